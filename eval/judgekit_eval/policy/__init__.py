"""Language models on problems with checkable answers."""
