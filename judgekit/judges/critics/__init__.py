"""Judges that write: a language model is prompted, and its answer is parsed."""
