"""How fast a judge judges, way by way."""
