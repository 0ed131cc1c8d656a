"""Problems and solutions of reasoning-gym."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from judgekit.errors import ConfigError
from judgekit.types import LabelledSolution, Problem, StepLabel
from judgekit_datasets.build import build
from judgekit_datasets.procedural.reasoning_gym import (
    ReasoningGymConfig,
    ReasoningGymSolutionsConfig,
    _solution,
    generate_problems,
    generate_solutions,
)
from judgekit_datasets.source import RowRejected

needs_extra = pytest.mark.skipif(
    importlib.util.find_spec("reasoning_gym") is None, reason="needs the extra: pip install 'sgpo[reasoning-gym]'"
)


def entry(chain: str, answer: str = "20") -> dict[str, Any]:
    return {"question": "How many?", "answer": answer, "metadata": {"answer_cot": chain}}


def test_a_chain_of_thought_becomes_steps() -> None:
    made = _solution(entry("He places 28 x 4 = 112 bananas.\n\nThere are 132 - 112 = 20 bananas left.\n#### 20.0"))
    assert isinstance(made, LabelledSolution)
    assert made.steps == ("He places 28 x 4 = 112 bananas.", "There are 132 - 112 = 20 bananas left.")
    assert (made.labels, made.reference) == ((StepLabel.OK, StepLabel.OK), "20")


@pytest.mark.parametrize(
    ("chain", "reason"),
    [
        ("It is 10 + 10 = 20.\n#### 21", "the solution ends at another answer"),
        ("It is 10 + 11 = 20.\n#### 20", "a step is wrong"),
        ("Half of them, 0.5 * 41 = 20.\n#### 20", "a step is wrong"),
        ("It is 2 * x = 40.\n#### 20", "a step cannot be checked"),
        ("It is obvious.\n#### 20", "a step cannot be checked"),
        ("#### 20", "a step cannot be checked"),
    ],
)
def test_a_chain_that_does_not_check_out_is_rejected(chain: str, reason: str) -> None:
    made = _solution(entry(chain))
    assert isinstance(made, RowRejected) and made.reason == reason


@needs_extra
def test_problems_are_drawn_in_turn_and_those_without_answer_rejected(tmp_path: Path) -> None:
    config = ReasoningGymConfig(
        n=12, datasets=("gsm_symbolic", "chain_sum", "rush_hour"), options={"chain_sum": {"min_terms": 3}}
    )
    made = list(generate_problems(config))
    assert [isinstance(item, Problem) for item in made] == [True, True, False] * 4
    sums = [item for item in made[1::3] if isinstance(item, Problem)]
    assert all(eval_sum(item.problem) == int(item.answer) for item in sums)
    assert made[:2] + made[3:5] == list(generate_problems(config))[:2] + list(generate_problems(config))[3:5]
    assert made[0] != next(iter(generate_problems(ReasoningGymConfig(n=12, seed=1))))
    report = build("reasoning-gym", output=tmp_path / "built", options=config)
    assert (report.n_records, report.rejected) == (8, {"no answer": 4})


def eval_sum(text: str) -> int:
    terms = text.split(": ")[1].removesuffix(" =").replace("- ", "+ -").split(" + ")
    return sum(map(int, terms))


@needs_extra
def test_solutions_are_right_and_the_same_for_the_same_seed() -> None:
    made = list(generate_solutions(ReasoningGymSolutionsConfig(n=60)))
    right = [item for item in made if isinstance(item, LabelledSolution)]
    assert 20 < len(right) < 60
    assert all(item.first_error is None and item.reference in item.steps[-1] for item in right if item.reference)
    again = generate_solutions(ReasoningGymSolutionsConfig(n=60))
    assert right == [item for item in again if isinstance(item, LabelledSolution)]


@needs_extra
@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"datasets": ["gsm_symbolik"]}, "no data set 'gsm_symbolik'; did you mean 'gsm_symbolic'"),
        ({"options": {"gsm_symbolic": {"colour": 1}}}, "refuses the options"),
        ({"options": {"chain_sum": {"min_terms": 1}}}, "options for 'chain_sum', which is not among the datasets"),
        ({"datasets": ["chain_sum"], "options": {"chain_sum": {"min_terms": -1}}}, "refuses the options"),
    ],
)
def test_unknown_data_sets_and_options_are_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        next(iter(generate_problems(ReasoningGymConfig.model_validate(settings))))


def test_without_the_extra_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "reasoning_gym"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(ConfigError, match=r"pip install 'sgpo\[reasoning-gym\]'"):
        next(iter(generate_problems(ReasoningGymConfig())))
