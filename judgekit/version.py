"""The version of the project; this is the only place that states it."""

VERSION = "0.1.0"
"""Of the distribution `sgpo` and all its packages."""
