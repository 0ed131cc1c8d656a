"""Judges as rerankers of sampled answers."""
