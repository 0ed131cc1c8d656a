"""SGPO on stored groups."""
