"""Miniatures of the public judge families, made and opened once a session."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

from judgekit.judges.by_step import StepLogitJudge


@pytest.fixture(scope="session")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function from a miniature's name to what `load_judge` opens."""
    from tests.judgekit.judges.miniatures import make_miniature

    return functools.cache(lambda name: make_miniature(name, tmp_path_factory.mktemp(name)))


@pytest.fixture(scope="session")
def miniature_judge(miniature: Callable[[str], Path]) -> Callable[..., StepLogitJudge]:
    """Return a function from a miniature's name, and whether it neutralises, to the judge."""
    from judgekit.judges import load_judge

    def opened(name: str, neutralise: bool = True) -> StepLogitJudge:
        judge = load_judge(miniature(name), neutralise=neutralise)
        assert isinstance(judge, StepLogitJudge)
        return judge

    return functools.cache(opened)
