"""Benchmarks of judges and policies, and the reports about them."""
