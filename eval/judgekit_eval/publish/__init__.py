"""Judges for others: the model card, the figures in the form that the Hub shows, and the upload."""
