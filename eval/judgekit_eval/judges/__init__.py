"""Judges on benchmarks: thresholds, metrics, intervals, typed results."""
