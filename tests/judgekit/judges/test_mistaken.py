"""Judges with known errors: how often and where to they err, and that nothing but the text decides it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from judgekit.errors import CheckpointError
from judgekit.judges import load_judge
from judgekit.judges.card import JudgeCard, parse_card, write_card
from judgekit.judges.mistaken import MistakenJudge, MistakenSpec
from judgekit.types import ArgmaxRule, LabelledSolution, NoVerdictReason, Solution
from judgekit_datasets.procedural.chains import ProceduralConfig, generate
from sgpo.theory.config import NoisyJudge
from sgpo.theory.dynamics import confusion
from tests.fakes import FakeJudge

N_STEPS = 5


@pytest.fixture(scope="module")
def solutions() -> list[LabelledSolution]:
    config = ProceduralConfig(n=4000, seed=7, min_steps=N_STEPS, max_steps=N_STEPS)
    return [item for item in generate(config) if len(item.steps) == N_STEPS]


def knowing(solutions: Sequence[LabelledSolution]) -> FakeJudge:
    """A judge that knows the labels; the rest of its mass differs from outcome to outcome."""
    posteriors = {}
    for item in solutions:
        posterior = [0.01 * (outcome + 1) for outcome in range(N_STEPS + 1)]
        posterior[N_STEPS if item.first_error is None else item.first_error] += 1 - sum(posterior)
        posteriors[item.id] = posterior
    return FakeJudge(posteriors)


def mistaken(member: FakeJudge, **options: Any) -> MistakenJudge:
    spec = MistakenSpec(members=("member",), **options)
    return MistakenJudge(JudgeCard(judge_id="mistaken", spec=spec, decision=ArgmaxRule()), member)


def decided(judge: MistakenJudge, solutions: Sequence[Solution]) -> list[int]:
    """First errors by the judge's rule; the number of steps stands for "no error"."""
    verdicts = [judgement.verdict for judgement in judge.judge(solutions)]
    found = [verdict.decide(judge.info.decision) for verdict in verdicts if verdict is not None]
    return [N_STEPS if step is None else step for step in found]


@pytest.mark.parametrize("errors", ["early", "late", "random"])
@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_it_errs_as_often_and_where_the_theory_says(
    solutions: list[LabelledSolution], errors: Any, rate: float
) -> None:
    named = decided(mistaken(knowing(solutions), errors=errors, rate=rate), solutions)
    right = [N_STEPS if item.first_error is None else item.first_error for item in solutions]
    counts = np.zeros((N_STEPS + 1, N_STEPS + 1))
    np.add.at(counts, (right, named), 1)
    expected = np.zeros_like(counts)
    expected[:-1, :-1] = confusion(NoisyJudge(kind=errors, error=rate), n_steps=N_STEPS)
    # "No error" lies behind all steps, so that `late` leaves it.
    expected[-1, -1] = 1.0 if errors == "late" else 1 - rate
    expected[-1, :-1] = 0.0 if errors == "late" else rate / N_STEPS
    n = counts.sum(axis=1, keepdims=True)
    assert n.min() > 200
    assert np.abs(counts / n - expected).max() < 4 * 0.5 / np.sqrt(n.min())
    assert (counts[expected == 0] == 0).all(), "never early where it errs late, nor the other way round"


def test_the_text_and_the_seed_decide_alone(solutions: list[LabelledSolution]) -> None:
    some = solutions[:300]
    judge = mistaken(knowing(some), errors="random", rate=0.5)
    first = {item.solution_id: item for item in judge.judge(some)}
    assert {item.solution_id: item for one in reversed(some) for item in judge.judge([one])} == first
    assert decided(judge, some) != decided(mistaken(knowing(some), errors="random", rate=0.5, seed=1), some)
    # Labels and the reference are no part of the text, though they are of the id.
    renamed = [Solution(problem=item.problem, steps=item.steps, reference="42") for item in some]
    posteriors = knowing(some).posteriors
    member = FakeJudge({new.id: posteriors[old.id] for new, old in zip(renamed, some, strict=True)})
    assert decided(mistaken(member, errors="random", rate=0.5), renamed) == decided(judge, some)


def test_at_a_higher_rate_the_same_ones_are_wrong_and_more(solutions: list[LabelledSolution]) -> None:
    some, member = solutions[:500], knowing(solutions[:500])
    low, high = (decided(mistaken(member, errors="early", rate=rate), some) for rate in (0.2, 0.6))
    right = decided(mistaken(member, errors="early", rate=0.0), some)
    wrong_low = [(here, there) for here, there, true in zip(low, high, right, strict=True) if here != true]
    assert wrong_low and all(here == there for here, there in wrong_low)
    assert sum(map(int.__ne__, high, right)) > 2 * len(wrong_low)


def test_it_is_as_sure_as_the_member() -> None:
    item = Solution(id="s", problem="?", steps=("a", "b", "c"))
    member = FakeJudge({"s": (0.1, 0.6, 0.05, 0.25)})
    for errors, posterior in (("early", (0.6, 0.1, 0.05, 0.25)), ("late", (0.1, 0.05, 0.6, 0.25))):
        [judgement] = mistaken(member, errors=errors, rate=1.0).judge([item])
        assert judgement.verdict is not None and judgement.verdict.posterior == posterior
        assert "fake: first error at step 1" in (judgement.raw or "")
        assert (judgement.judge_id, judgement.n_tokens, judgement.seconds) == ("mistaken", 30, 0.5)
    # Nothing lies before the first step, nothing behind the last one, and no step behind "no error".
    for errors, stays in (("early", (0.7, 0.1, 0.2)), ("late", (0.1, 0.7, 0.2)), ("late", (0.1, 0.2, 0.7))):
        [judgement] = mistaken(FakeJudge({"s": stays}), errors=errors, rate=1.0).judge([item])
        assert judgement.verdict is not None and judgement.verdict.posterior == stays


def test_no_verdict_stays_without_one() -> None:
    member = FakeJudge({}, no_verdict={"s": NoVerdictReason.TOO_LONG})
    [judgement] = mistaken(member, errors="random", rate=1.0).judge([Solution(id="s", problem="?", steps=("a",))])
    assert (judgement.verdict, judgement.no_verdict) == (None, NoVerdictReason.TOO_LONG)


def test_the_card_opens_with_its_member_beside_it(tmp_path: Path) -> None:
    spec = MistakenSpec(members=("builtin:first-step",), errors="late", rate=1.0)
    write_card(tmp_path / "inner", JudgeCard(judge_id="inner", spec=spec, decision=ArgmaxRule()))
    (tmp_path / "outer.yaml").write_text("kind: mistaken\nmembers: [inner]\nerrors: early\nrate: 0\njudge_id: outer\n")
    judge = load_judge(tmp_path / "outer.yaml")
    assert (judge.info.judge_id, judge.info.members, judge.info.deterministic) == ("outer", ("inner",), True)
    [judgement] = judge.judge([Solution(problem="?", steps=("a", "b"))])
    assert judgement.verdict is not None and judgement.verdict.decide(judge.info.decision) == 1


@pytest.mark.parametrize(
    ("options", "named"),
    [({"rate": 1.5}, "rate"), ({"errors": "reversed"}, "errors"), ({"members": ["a", "b"]}, "members")],
)
def test_what_it_cannot_be_is_refused(options: dict[str, Any], named: str) -> None:
    values = {"kind": "mistaken", "judge_id": "m", "members": ["a"], "errors": "early", "rate": 0.1} | options
    with pytest.raises(CheckpointError, match=named):
        parse_card(values, where="card")
