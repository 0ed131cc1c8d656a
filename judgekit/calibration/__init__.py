"""Calibrators around a judge: fitted, selected, stored as a card, with what they promise."""
