"""Judges and the door to them, `load_judge`."""
