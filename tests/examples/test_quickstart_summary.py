"""What the summary page says of a comparison: never a bare number that looks certain."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

SUMMARY = runpy.run_path(str(Path(__file__).parents[2] / "examples/quickstart/summary.py"))

OF_AN_EARLIER_RELEASE = {"final_accuracy": 0.43, "updates_to_reach": 30, "ratio_of_all": 0.5}


@pytest.mark.parametrize(
    ("arm", "shown"),
    [
        ({"final_interval": {"lo": 0.374, "hi": 0.487}}, "0.430 [0.374, 0.487]"),
        ({"final_interval": {"lo": None, "hi": None}}, "0.430 (no interval: one seed, or seeds that end alike)"),
        ({}, "0.430 (no interval: compared by an earlier release"),
    ],
)
def test_a_final_accuracy_has_an_interval_or_says_why_not(arm: dict[str, Any], shown: str) -> None:
    assert SUMMARY["describe_final"](OF_AN_EARLIER_RELEASE | arm).startswith(shown)


def test_comparisons_of_an_earlier_release_are_shown_and_claim_nothing() -> None:
    assert "without intervals" in SUMMARY["describe_finding"](OF_AN_EARLIER_RELEASE)
    assert SUMMARY["describe_finding"](OF_AN_EARLIER_RELEASE | {"finding": "above it"}) == "above it"


def test_a_folder_without_runs_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert SUMMARY["main"]([str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: ")
