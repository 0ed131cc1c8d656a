"""Probe judges: features, heads, honest figures of both, and the way to another domain."""
