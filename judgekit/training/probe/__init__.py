"""Probe judges: features, heads, unbiased metrics of both, and adaptation to another domain."""
