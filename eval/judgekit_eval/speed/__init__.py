"""How fast a judge judges, method by method."""
