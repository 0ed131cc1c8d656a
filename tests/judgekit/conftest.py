"""A tiny base model and an untrained tiny judge, made once a session."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from judgekit.types import Solution
from tests.judgekit.samples import TEXTS, labelled_solutions, tiny_config


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an ordinary checkpoint directory of a causal model with some ten thousand parameters."""
    from judgekit.training.tiny import build_tiny

    folder = tmp_path_factory.mktemp("tiny_base")
    build_tiny(folder, TEXTS, tiny_config())
    return folder


@pytest.fixture(scope="session")
def tiny_judge(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a judge directory with large random weights, so that its probabilities differ."""
    import torch

    from judgekit.engines.scoring.load import load_classifier, load_tokenizer
    from judgekit.judges.card import JudgeCard, write_card
    from judgekit.judges.steps.encoding import make_convention
    from judgekit.judges.steps.specs import StepClassifierSpec

    folder = tmp_path_factory.mktemp("tiny_judge")
    tokenizer = load_tokenizer(str(tiny_base))
    torch.manual_seed(0)
    model = load_classifier(str(tiny_base), dtype="float32", n_labels=2)
    for weight in model.parameters():
        if weight.dim() == 2:
            torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    convention = make_convention(tokenizer, separator="\n", problem_separator="\n", max_tokens=128)
    write_card(folder, JudgeCard(judge_id="tiny", base_model=str(tiny_base), spec=StepClassifierSpec(input=convention)))
    return folder


@pytest.fixture
def judge_copy(tiny_judge: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that copies the tiny judge and changes fields of its `judge.json`."""
    import shutil

    from tests.judgekit.cards import changed

    def copy(**fields: Any) -> Path:
        folder = tmp_path / "judge"
        shutil.copytree(tiny_judge, folder)
        (folder / "judge.json").write_text(json.dumps(changed(folder, **fields)))
        return folder

    return copy


@pytest.fixture(scope="session")
def solutions() -> list[Solution]:
    """Return solutions of different lengths in a mixed order."""
    rng = random.Random(0)
    made = [
        Solution(problem=f"Start with {i}.", steps=tuple(f"{i}+{k}={i + k}" for k in range(1, rng.randint(2, 8))))
        for i in range(12)
    ]
    rng.shuffle(made)
    return made


@pytest.fixture(scope="session")
def labelled_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data set folder of 40 labelled solutions to 20 problems."""
    from judgekit.io import write_records
    from judgekit.types import LabelledSolution

    folder = tmp_path_factory.mktemp("data") / "additions"
    write_records(folder, labelled_solutions(range(20)), record_type=LabelledSolution)
    return folder
