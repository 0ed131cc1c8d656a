"""Builders of step-labelled data: one module per public source (importers) and one per construction."""
