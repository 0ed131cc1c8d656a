"""Probe judges: a small head on features of a frozen language model and on a check of the arithmetic."""
