"""Fixtures of the builders' tests: our own rows in each source's schema, and the real files where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def fixture_rows() -> Path:
    return Path(__file__).parents[1] / "fixtures"


@pytest.fixture
def real_data() -> Path:
    given = os.environ.get("JUDGEKIT_REAL_DATA")
    if not given:
        pytest.skip("needs the real data sets: set JUDGEKIT_REAL_DATA to their folder")
    return Path(given)
