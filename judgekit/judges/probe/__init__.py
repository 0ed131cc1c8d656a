"""Probe judges: a small head on what a frozen language model, and a check of the arithmetic, say of each step."""
