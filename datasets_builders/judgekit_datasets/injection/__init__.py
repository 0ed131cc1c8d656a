"""Errors injected into worked solutions at known steps."""
