"""The step-classifier judge against one solution at a time through the bare model."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer

from judgekit.errors import CheckpointError
from judgekit.judges import load_judge
from judgekit.judges.base import Judge
from judgekit.judges.steps.by_step import probs_from_logits
from judgekit.judges.steps.classifier import StepClassifierJudge, label_logits
from judgekit.types import NoVerdictReason, Solution
from tests.judgekit.samples import HOSTILE


def open_judge(folder: Path, *, token_budget: int = 8192) -> StepClassifierJudge:
    judge = load_judge(folder)
    assert isinstance(judge, StepClassifierJudge)
    judge.token_budget = token_budget
    return judge


def straightforward(folder: Path, solution: Solution) -> list[float]:
    """Score one solution through the whole model: text piece by piece, softmax over the head's two labels."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForTokenClassification.from_pretrained(folder, dtype=torch.float32).eval()
    newline = tokenizer.convert_tokens_to_ids("Ċ")
    ids, ends = [*tokenizer.encode(solution.problem, add_special_tokens=False), newline], []
    for step in solution.steps:
        ids += [*tokenizer.encode(step, add_special_tokens=False), newline]
        ends.append(len(ids) - 1)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids])).logits[0, ends]
    return [float(prob) for prob in logits.softmax(-1)[:, 1]]


def test_step_probabilities_equal_one_at_a_time(tiny_judge: Path, solutions: list[Solution]) -> None:
    expected = {solution.id: straightforward(tiny_judge, solution) for solution in solutions}
    spread = [prob for probs in expected.values() for prob in probs]
    assert max(spread) - min(spread) > 0.1, "an untold difference would prove nothing"
    for token_budget in (1, 100, 8192):
        for solution, judgement in zip(
            solutions, open_judge(tiny_judge, token_budget=token_budget).judge(solutions), strict=True
        ):
            assert judgement.solution_id == solution.id
            assert judgement.verdict is not None
            assert judgement.verdict.p_ok_S == pytest.approx(expected[solution.id], abs=1e-5)


def test_permuting_a_batch_permutes_its_verdicts(tiny_judge: Path, solutions: list[Solution]) -> None:
    judge = open_judge(tiny_judge, token_budget=150)
    verdicts = {judgement.solution_id: judgement.verdict for judgement in judge.judge(solutions)}
    mixed = random.Random(1).sample(solutions, len(solutions))
    for solution, judgement in zip(mixed, judge.judge(mixed), strict=True):
        assert judgement.solution_id == solution.id
        before = verdicts[solution.id]
        assert judgement.verdict and before
        assert judgement.verdict.posterior == pytest.approx(before.posterior, abs=1e-6)


def test_later_steps_do_not_change_earlier_scores(tiny_judge: Path) -> None:
    steps = ("1+1=2", "2+2=4", "4+4=9")
    whole, part = open_judge(tiny_judge).judge(
        [Solution(problem="?", steps=steps), Solution(problem="?", steps=steps[:2])]
    )
    assert whole.verdict and part.verdict
    assert whole.verdict.p_ok_S[:2] == pytest.approx(part.verdict.p_ok_S, abs=1e-6)


def test_n_steps_in_n_steps_out_for_hostile_text(tiny_judge: Path) -> None:
    made = [Solution(problem=text, steps=HOSTILE[: n + 1]) for n, text in enumerate(HOSTILE)]
    for solution, judgement in zip(made, open_judge(tiny_judge).judge(made), strict=True):
        if judgement.no_verdict is NoVerdictReason.TOO_LONG:
            assert judgement.n_tokens > 128
            continue
        assert judgement.verdict is not None
        assert judgement.verdict.n_steps == len(solution.steps)


def test_no_steps_and_too_many_tokens_give_reasons(tiny_judge: Path) -> None:
    # Problem "?" and its separator are 2 tokens, a step of n letters and its separator n + 1: 2 + 126 = 128.
    fits = Solution(problem="?", steps=("z" * 125,))
    made = [Solution(problem="?", steps=()), fits, Solution(problem="?", steps=("z" * 126,))]
    empty, longest, too_long = open_judge(tiny_judge).judge(made)
    assert (empty.verdict, empty.no_verdict) == (None, NoVerdictReason.EMPTY)
    assert longest.verdict is not None and longest.n_tokens == 128
    assert (too_long.verdict, too_long.no_verdict, too_long.n_tokens) == (None, NoVerdictReason.TOO_LONG, 129)


def test_nothing_in_nothing_out(tiny_judge: Path) -> None:
    judge = open_judge(tiny_judge)
    assert judge.judge([]) == []
    assert isinstance(judge, Judge)
    assert judge.info.judge_id == "tiny"
    assert judge.judge([Solution(problem="?", steps=())])[0].no_verdict is NoVerdictReason.EMPTY


def test_bfloat16_stays_near_float32(tiny_judge: Path, solutions: list[Solution]) -> None:
    wide, narrow = load_judge(tiny_judge), load_judge(tiny_judge, dtype="bfloat16")
    for a, b in zip(wide.judge(solutions), narrow.judge(solutions), strict=True):
        assert a.verdict and b.verdict
        assert a.verdict.p_ok_S == pytest.approx(b.verdict.p_ok_S, abs=0.05)


def test_probabilities_of_logits_do_not_overflow() -> None:
    probs = probs_from_logits(torch.tensor([-800.0, -2.0, 0.0, 800.0]).numpy())
    assert probs == pytest.approx([0.0, 1 / (1 + math.exp(2)), 0.5, 1.0])


@pytest.mark.parametrize("ok_labels", [(2,), (0, 1)])
def test_labels_that_do_not_fit_the_head_are_refused(ok_labels: tuple[int, ...]) -> None:
    with pytest.raises(CheckpointError, match="do not fit a head with 2 labels"):
        label_logits(np.zeros((1, 2)), ok_labels)
