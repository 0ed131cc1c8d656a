"""A package of somebody else's: a judge kind, an algorithm, a data source, its benchmark and a command."""
