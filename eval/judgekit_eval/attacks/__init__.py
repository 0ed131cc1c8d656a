"""Attacks: how far a judge can be manipulated into another verdict."""
