"""Measurements of speed that developers run; no command of a user's."""
