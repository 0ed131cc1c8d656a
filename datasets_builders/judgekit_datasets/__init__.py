"""Builders of step-labelled data: one module a public source (importers), one a construction."""
