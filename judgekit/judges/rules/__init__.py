"""Judges without a model: rules on stated arithmetic."""
