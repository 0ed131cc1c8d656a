"""One forward pass over whole solutions: packs, attention, heads, loading, vLLM's pooling."""
