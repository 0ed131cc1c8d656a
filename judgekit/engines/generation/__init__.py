"""Text generation behind one interface: transformers, vLLM, OpenAI-compatible servers."""
