"""Errors put into worked solutions, with the step known."""
