"""Training of judges and of small language models."""
