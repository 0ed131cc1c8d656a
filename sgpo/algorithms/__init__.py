"""Algorithms: one small module each. They turn groups of responses into rewards and advantages."""
