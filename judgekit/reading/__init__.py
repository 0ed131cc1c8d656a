"""Readers of raw files: rows, texts, and YAML from untrusted sources."""
