"""Benchmarks and reports. Hides a builtin: always write `from eval.x import y`."""
