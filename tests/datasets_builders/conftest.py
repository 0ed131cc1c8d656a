"""Fixtures of the builders' tests: our own rows in each source's schema."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def fixture_rows() -> Path:
    return Path(__file__).parents[1] / "fixtures"
