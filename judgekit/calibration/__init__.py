"""Calibrators for judges: fitted, selected and stored in a card, with their guarantees."""
