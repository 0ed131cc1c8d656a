"""The central types: what they refuse, what they derive, and that they survive a trip through JSON."""

from __future__ import annotations

import math
import pickle
import random
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from judgekit.metrics.prmbench import call_steps
from judgekit.text.identity import problem_id
from judgekit.ties import is_tied
from judgekit.types import (
    ArgmaxRule,
    Judgement,
    LabelledSolution,
    LabelMethod,
    NoVerdictReason,
    Problem,
    Record,
    Rollout,
    Solution,
    StepLabel,
    ThresholdRule,
    Verdict,
    labels_from_first_error,
)

OK, NEUTRAL, ERROR, UNLABELLED = StepLabel.OK, StepLabel.NEUTRAL, StepLabel.ERROR, StepLabel.UNLABELLED


def labelled(*labels: StepLabel, **fields: Any) -> LabelledSolution:
    steps = tuple(f"step {i}" for i in range(len(labels)))
    values: dict[str, Any] = {"problem": "?", "steps": steps, "labels": labels, "source": "test", "label_method": None}
    return LabelledSolution(**(values | fields))


def rollout(**fields: Any) -> Rollout:
    values: dict[str, Any] = {
        "group_id": "g",
        "sample": 0,
        "problem": "?",
        "prompt": "?",
        "response": "one\n\ntwo",
        "steps": ("one", "two"),
        "step_start": (0, 5),
        "step_end": (3, 8),
        "outcome": 1.0,
        "source": "test",
    }
    return Rollout(**(values | fields))


# Labelled solutions


@pytest.mark.parametrize(
    ("labels", "first_error"),
    [
        ((OK, NEUTRAL, OK), None),
        ((ERROR, UNLABELLED), 0),
        ((OK, NEUTRAL, ERROR), 2),
        ((OK, ERROR, OK, ERROR), 1),
    ],
)
def test_first_error_is_the_first_label_error(labels: tuple[StepLabel, ...], first_error: int | None) -> None:
    assert labelled(*labels).first_error == first_error


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"labels": (OK, UNLABELLED), "steps": ("a", "b")}, "step 1 is unlabelled although no error comes before it"),
        ({"labels": (UNLABELLED, ERROR), "steps": ("a", "b")}, "step 0 is unlabelled"),
        ({"labels": (OK,), "steps": ("a", "b")}, "1 labels for 2 steps"),
        ({"labels": (), "steps": ()}, "at least one step"),
        ({"labels": (OK,), "steps": ("a",), "n_success": (1, 2)}, "2 values in n_success for 1 steps"),
        ({"labels": ("fine",), "steps": ("a",)}, "'ok', 'neutral', 'error' or 'unlabelled'"),
        ({"labels": (OK,), "steps": ("a",), "colour": "red"}, "Extra inputs are not permitted"),
    ],
)
def test_what_is_not_decidable_is_refused(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        labelled(**fields)


def test_labels_of_a_bare_first_error() -> None:
    assert labels_from_first_error(None, n_steps=2) == (OK, OK)
    assert labels_from_first_error(0, n_steps=2) == (ERROR, UNLABELLED)
    assert labels_from_first_error(1, n_steps=2) == (OK, ERROR)
    for outside in (-1, 2):
        with pytest.raises(ValueError, match=rf"first error {outside} is outside 0\.\.1"):
            labels_from_first_error(outside, n_steps=2)


# Ids


def test_ids_follow_the_content() -> None:
    one = Solution(problem="1+1?", steps=("2",))
    assert one.id == Solution(problem="1+1?", steps=("2",)).id
    assert one.id == "f8150ec10dc6e5b6d8d6", "ids stay the same over releases: files hold them"
    others = [Solution(problem="1+1?", steps=("3",)), Solution(problem="1+1?", steps=("2",), reference="2")]
    assert len({one.id, *(other.id for other in others)}) == 3
    assert one.problem_id == others[0].problem_id == problem_id("1+1?")
    assert Solution(id="mine", problem_id="p", problem="1+1?", steps=()).id == "mine"
    assert labelled(OK).id != labelled(ERROR).id
    assert labelled(OK, source_id="1").id != labelled(OK, source_id="2").id


def test_steps_do_not_run_into_each_other_in_an_id() -> None:
    assert Solution(problem="?", steps=("a", "b")).id != Solution(problem="?", steps=("a,b",)).id


# Stored rows


@pytest.mark.parametrize(
    "record",
    [
        Problem(problem_id="p", problem="?", answer="2", source="test"),
        Solution(problem="Ж∑", steps=("a\nb", "")),
        labelled(OK, ERROR, label_method=LabelMethod.MONTE_CARLO, n_success=(8, 0), n_rollouts=(8, 8)),
        rollout(behaviour_logprobs=(-0.5, -1.0), behaviour_token_ids=(3, 4)),
    ],
)
def test_rows_survive_json_and_refuse_another_version(record: Record) -> None:
    assert type(record).model_validate_json(record.model_dump_json()) == record
    with pytest.raises(ValidationError, match=r"schema_version 2 of \w+ is not 1: rebuild the file"):
        type(record).model_validate(record.model_dump() | {"schema_version": 2})
    with pytest.raises(ValidationError, match="frozen"):
        record.schema_version = 3


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"step_end": (3, 7)}, r"step 1 is not the text at 5\.\.7"),
        ({"step_end": (3,)}, "2 steps, 2 starts, 1 ends"),
        ({"behaviour_logprobs": (-0.5,)}, "must have the same length"),
        ({"behaviour_logprobs": (-0.5,), "behaviour_token_ids": (1, 2)}, "must have the same length"),
        ({"outcome": 1.5}, "less than or equal to 1"),
        ({"outcome": None}, "valid number"),
    ],
)
def test_rollouts_that_do_not_fit_together_are_refused(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        rollout(**fields)


# Verdicts


def test_posterior_of_step_probabilities_by_hand() -> None:
    verdict = Verdict.from_step_probs([0.9, 0.5, 0.2])
    # 1-0.9; 0.9*(1-0.5); 0.9*0.5*(1-0.2); 0.9*0.5*0.2
    assert verdict.posterior == pytest.approx((0.1, 0.45, 0.36, 0.09))
    assert verdict.n_steps == 3
    assert verdict.p_none == pytest.approx(0.09)
    assert verdict.survival_S == pytest.approx((0.9, 0.45, 0.09))
    assert verdict.p_ok_S == pytest.approx((0.9, 0.5, 0.2))
    assert verdict.expected_valid_steps == pytest.approx(0.9 + 0.45 + 0.09)
    # The same expectation from the posterior: 0 steps, 1 step, 2 steps, or all 3.
    assert verdict.expected_valid_steps == pytest.approx(0 * 0.1 + 1 * 0.45 + 2 * 0.36 + 3 * 0.09)


def test_decisions_by_hand() -> None:
    verdict = Verdict.from_step_probs([0.9, 0.5, 0.2])
    assert verdict.decide(ThresholdRule(threshold=0.95)) == 0
    assert verdict.decide(ThresholdRule(threshold=0.51)) == 1
    assert verdict.decide(ThresholdRule(threshold=0.5)) == 2, "0.5 passes a threshold of 0.5"
    assert verdict.decide(ThresholdRule(threshold=0.1)) is None
    assert verdict.decide(ArgmaxRule()) == 1
    assert Verdict(posterior=(0.2, 0.3, 0.5)).decide(ArgmaxRule()) is None


def test_a_step_that_cannot_be_reached_counts_as_right_where_the_posterior_is_all_there_is() -> None:
    verdict = Verdict.from_step_probs([0.0, 0.3])
    assert Verdict(posterior=verdict.posterior).p_ok_S == (0.0, 1.0)
    assert verdict.p_ok_S == (0.0, 0.3)


def test_step_probabilities_come_back_from_long_unlikely_solutions() -> None:
    rng = random.Random(0)
    for n_steps in (1, 2, 30, 200):
        p_ok_S = [rng.choice((rng.random(), 1e-3, 1 - 1e-9)) for _ in range(n_steps)]
        verdict = Verdict.from_step_probs(p_ok_S)
        assert math.fsum(verdict.posterior) == pytest.approx(1, abs=1e-12)
        assert verdict.p_ok_S == pytest.approx(p_ok_S, rel=1e-9, abs=1e-12)


def test_posterior_of_votes_by_hand() -> None:
    # Votes 1, 1, none over outcomes 0, 1, none with half a vote each: (0.5, 2.5, 1.5) / 4.5
    verdict = Verdict.from_votes([1, 1, None], n_steps=2)
    assert verdict.posterior == pytest.approx((1 / 9, 5 / 9, 3 / 9))
    with pytest.raises(ValueError, match=r"vote 2 is outside 0\.\.1"):
        Verdict.from_votes([2], n_steps=2)
    with pytest.raises(ValueError, match="no votes"):
        Verdict.from_votes([], n_steps=2)


@pytest.mark.parametrize("posterior", [(0.5, 0.6), (-0.1, 1.1), (math.nan, 1.0), (1.0,), (0.0, 0.0)])
def test_what_is_no_distribution_is_refused(posterior: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError):
        Verdict(posterior=posterior)


def test_a_probability_outside_0_to_1_is_refused() -> None:
    for wrong in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="outside"):
            Verdict.from_step_probs([0.5, wrong])


# Step probabilities that a judge gave


@pytest.mark.parametrize("p_ok_S", [[0.9] * 8, [0.97, 0.15, 0.3, 0.9], [1.0, 0.0, 0.4], [0.1 + 0.2, 0.3], [1 / 3] * 40])
def test_step_probabilities_are_what_they_were_given(p_ok_S: list[float]) -> None:
    verdict = Verdict.from_step_probs(p_ok_S)
    assert verdict.p_ok_S == tuple(p_ok_S)
    judgement = Judgement(solution_id="s", judge_id="j", verdict=verdict)
    copies = [
        Judgement.model_validate_json(judgement.model_dump_json()),
        Judgement.model_validate(judgement.model_dump(mode="json")),
        judgement.model_copy(update={"judge_id": "k"}),
        judgement.model_copy(deep=True),
        pickle.loads(pickle.dumps(judgement)),
    ]
    for copy in copies:
        assert copy.verdict is not None
        assert copy.verdict.p_ok_S == tuple(p_ok_S)


def test_numbers_of_other_types_become_plain_floats() -> None:
    verdict = Verdict.from_step_probs(np.array([0.9, 0.25], dtype=np.float32))
    assert verdict.p_ok_S == (float(np.float32(0.9)), 0.25)
    assert all(type(p_ok) is float for p_ok in verdict.p_ok_S)


def test_a_stored_posterior_without_step_probabilities_is_still_read() -> None:
    stored = Verdict.from_step_probs([0.9] * 8).model_dump(mode="json", exclude={"step_probs_S"})
    verdict = Verdict.model_validate(stored)
    assert verdict.step_probs_S is None
    assert verdict.p_ok_S == (0.9,) * 8, "worked out, with 13 significant digits"


@given(st.lists(st.sampled_from([0.9, 0.97, 0.45, 0.2, 0.5, 0.75, 1 / 3, 0.85]), min_size=1, max_size=30))
def test_equal_probabilities_stay_equal_when_worked_out(p_ok_S: list[float]) -> None:
    worked_out = Verdict(posterior=Verdict.from_step_probs(p_ok_S).posterior).p_ok_S
    assert worked_out == tuple(float(f"{p_ok:.13g}") for p_ok in p_ok_S)


@given(st.lists(st.none() | st.integers(0, 3), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_votes_are_ranked_by_their_counts(votes: list[int | None], rng: random.Random) -> None:
    shuffled = list(votes)
    rng.shuffle(shuffled)
    a, b = (Verdict.from_votes(order, n_steps=4) for order in (votes, shuffled))
    assert a.p_ok_S == b.p_ok_S
    counts = [sum(vote == k for vote in votes) + Fraction(1, 2) for k in (0, 1, 2, 3, None)]
    exact = [sum(counts[k + 1 :]) / sum(counts[k:]) for k in range(4)]
    for one, exact_one in zip(a.p_ok_S, exact, strict=True):
        for other, exact_other in zip(a.p_ok_S, exact, strict=True):
            assert (one < other) == (exact_one < exact_other)


@pytest.mark.parametrize(
    ("step_probs_S", "complaint"),
    [
        ([0.9], "1 step probabilities for a posterior over 2 steps"),
        ([0.75, 0.51], "outcome 1 has 0.375 in the posterior but 0.3675 by the step probabilities"),
        ([0.75, 1.5], r"probability 1\.5 is outside \[0, 1\]"),
        ([0.75, math.nan], r"probability nan is outside \[0, 1\]"),
    ],
)
def test_step_probabilities_of_another_posterior_are_refused(step_probs_S: list[float], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Verdict(posterior=(0.25, 0.375, 0.375), step_probs_S=tuple(step_probs_S))


def test_a_copy_with_another_posterior_does_not_keep_the_step_probabilities() -> None:
    verdict = Verdict.from_step_probs([0.75, 0.5])
    assert verdict.model_copy(update={"posterior": (0.5, 0.25, 0.25)}).p_ok_S == (0.5, 0.5)
    assert verdict.model_copy().p_ok_S == (0.75, 0.5)


@pytest.mark.parametrize("threshold", [0.1, 0.15, 0.2, 0.3, 0.45, 0.7, 0.9])
@pytest.mark.parametrize("n_before", range(0, 12, 3))
def test_a_probability_at_the_threshold_passes_wherever_it_stands(threshold: float, n_before: int) -> None:
    given_S = [0.95] * n_before + [threshold] * 3
    for verdict in (
        Verdict.from_step_probs(given_S),
        Verdict(posterior=Verdict.from_step_probs(given_S).posterior),
    ):
        assert verdict.decide(ThresholdRule(threshold=threshold)) is None
        assert verdict.decide(ThresholdRule(threshold=threshold + 1e-6)) == n_before


@given(st.floats(0.01, 1), st.integers(1, 30))
def test_a_verdict_of_an_earlier_release_says_what_the_same_verdict_says_today(p_ok: float, n_steps: int) -> None:
    """A resumed run holds both: what was equal stays tied, and is decided alike, whatever its digits."""
    given = Verdict.from_step_probs([p_ok] * n_steps)
    stored = Verdict(posterior=given.posterior)
    assert all(map(is_tied, stored.p_ok_S, given.p_ok_S))
    for threshold in (p_ok, stored.p_ok_S[-1]):
        for verdict in (given, stored):
            assert verdict.decide(ThresholdRule(threshold=threshold)) is None
            called_ok_S = call_steps(verdict.p_ok_S, predicted=None, threshold=threshold)
            assert all(called_ok_S)


def test_the_earliest_of_equally_probable_outcomes_is_decided_on() -> None:
    noisy = 0.1 + 0.2
    assert noisy > 0.3
    assert Verdict(posterior=(0.1, 0.3, noisy, 0.3)).decide(ArgmaxRule()) == 1
    assert Verdict(posterior=(0.2, 0.1, 0.4 - 1e-17, 0.1 + 0.2 - 1e-16)).decide(ArgmaxRule()) == 2
    assert Verdict(posterior=(0.4, 0.2, 0.4 + 1e-16)).decide(ArgmaxRule()) == 0, "any step before none"
    assert Verdict(posterior=(0.3, 0.3 + 1e-9, 0.4 - 1e-9)).decide(ArgmaxRule()) is None


# Judgements and what they are about


def test_a_judgement_has_a_verdict_or_a_reason() -> None:
    verdict = Verdict(posterior=(0.5, 0.5))
    Judgement(solution_id="s", judge_id="j", verdict=verdict)
    Judgement(solution_id="s", judge_id="j", no_verdict=NoVerdictReason.TOO_LONG)
    for both in ({}, {"verdict": verdict, "no_verdict": NoVerdictReason.EMPTY}):
        with pytest.raises(ValidationError, match="either a verdict or a reason"):
            Judgement(solution_id="s", judge_id="j", **both)


def test_lone_surrogates_of_a_solution_become_readable() -> None:
    solution = Solution(problem="a\ud800b", steps=("\udfff", "\U0001f9ee"), reference="\udc00", id="i\ud800")
    assert (solution.problem, solution.steps, solution.reference) == ("a\ufffdb", ("\ufffd", "\U0001f9ee"), "\ufffd")
    assert solution.id == "i\ufffd"
    assert Solution(problem="a\ud800b", steps=("c",)).id == Solution(problem="a\ufffdb", steps=("c",)).id
    assert Solution.model_validate_json(solution.model_dump_json()) == solution


def test_a_solution_of_no_texts_is_still_refused() -> None:
    for values in ({"problem": 1, "steps": ("a",)}, {"problem": "?", "steps": (1,)}, {"problem": "?", "steps": "abc"}):
        with pytest.raises(ValidationError):
            Solution(**values)
