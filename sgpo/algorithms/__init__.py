"""Algorithms: one small module each, from groups of responses to rewards and advantages."""
