"""One door to text generation: transformers, vLLM, servers that speak the OpenAI dialect."""
