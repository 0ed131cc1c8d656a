"""Engines that run models for judges."""
