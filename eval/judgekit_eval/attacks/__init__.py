"""How far a judge can be talked into another verdict."""
