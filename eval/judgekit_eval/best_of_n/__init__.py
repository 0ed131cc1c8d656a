"""Judges that rerank sampled answers."""
