"""The version of the project, written here alone."""

VERSION = "0.1.0"
"""Of the distribution `sgpo` and all its packages."""
