"""Labels from counts, and the search for the first error, worked out by hand with a policy that answers by heart."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judgekit.engines.generation.base import Completion
from judgekit.errors import JudgeError
from judgekit.io import read_records, write_records
from judgekit.text.identity import problem_id
from judgekit.types import LabelledSolution, LabelMethod, Problem, Rollout, Solution, StepLabel
from judgekit_datasets.labelling.config import MonteCarloConfig
from judgekit_datasets.labelling.monte_carlo import (
    Candidate,
    MonteCarloLabeller,
    Spending,
    Tally,
    count_spending,
    label_by_monte_carlo,
    read_candidates,
    search_by_bisection,
    search_exhaustively,
)
from judgekit_datasets.labelling.tally import Fate
from judgekit_datasets.source import RowRejected
from tests.datasets_builders.labelling.scripted_generator import CUT, FAILED, ScriptedGenerator, stop
from tests.datasets_builders.labelling.test_rollouts import NumberCheck
from tests.judgekit.samples import TEXTS, tiny_config

RIGHT, WRONG = stop("is 5")[0], stop("is 6")[0]
UNKNOWN = stop("is ?")[0]
Replies = Callable[[str], Sequence[Completion]]


def candidate(n_steps: int, *, right: bool = False, finished: bool = True, answer: str | None = "5") -> Candidate:
    """Return a solution with the steps `s0`, `s1`, ...; the last one states the answer where it is finished."""
    steps = [f"s{i}:" for i in range(n_steps)]
    if finished:
        steps[-1] += " is 5" if right else " is 6"
    ends = list(accumulate((len(step) for step in steps), lambda end, n: end + 1 + n))
    return Candidate(
        id=f"{n_steps}{right}{finished}{answer}",
        problem_id="p",
        problem=f"{n_steps} steps",
        text="\n".join(steps),
        step_start=tuple(end - len(step) for end, step in zip(ends, steps, strict=True)),
        step_end=tuple(ends),
        finished=finished,
        answer=answer,
        source="own",
    )


def run(
    items: Sequence[Candidate], reply: Replies, output: Path, **changes: Any
) -> tuple[list[Any], ScriptedGenerator]:
    values = {"data": "own.jsonl", "generation": {"type": "transformers", "model": "m"}, "n_completions": 2}
    config = MonteCarloConfig.model_validate(values | {"prompt": {"type": "raw"}} | changes)
    generator = ScriptedGenerator(reply)
    labels = list(MonteCarloLabeller(generator, NumberCheck(), config, output).label(items))
    return [label if isinstance(label, RowRejected) else label[0] for label in labels], generator


def solvable_up_to(n_good: int, *, good: Sequence[Completion] = (WRONG, RIGHT)) -> Replies:
    """Prefixes of at most `n_good` steps can still be brought to the answer."""
    return lambda prompt: good if f"s{n_good}:" not in prompt else (WRONG, WRONG)


def test_exhaustive_labels_by_hand(tmp_path: Path) -> None:
    (found,), generator = run([candidate(4)], solvable_up_to(2), tmp_path)
    assert [str(label) for label in found.labels] == ["ok", "ok", "error", "error"]
    assert (found.n_success, found.n_rollouts) == ((1, 1, 0, 0), (2, 2, 2, 1)), "the final answer is one rollout"
    assert (found.first_error, found.final_answer_correct) == (2, False)
    assert found.label_method is LabelMethod.MONTE_CARLO
    name = "4 steps"
    assert generator.calls == [[f"{name}\ns0:\n", f"{name}\ns0:\ns1:\n", f"{name}\ns0:\ns1:\ns2:\n"]]
    assert count_spending(tmp_path) == Spending(
        solutions=1, completions=6, tokens=6, right=2, wrong=4, truncated=0, uncheckable=0, failed=0
    )


def test_a_step_that_the_policy_recovers_from_keeps_its_own_label(tmp_path: Path) -> None:
    replies = {0: (RIGHT, RIGHT), 1: (WRONG, WRONG), 2: (WRONG, RIGHT)}
    (found,), _ = run([candidate(4, right=True)], lambda prompt: replies[prompt.count(":") - 1], tmp_path)
    assert [str(label) for label in found.labels] == ["ok", "error", "ok", "ok"]
    assert found.first_error == 1 and found.final_answer_correct is True


def test_the_threshold_counts_shares(tmp_path: Path) -> None:
    options = {"threshold": 0.5, "n_completions": 4}
    replies = {0: (RIGHT, RIGHT, RIGHT, WRONG), 1: (RIGHT, RIGHT, WRONG, WRONG)}
    (found,), _ = run([candidate(3)], lambda prompt: replies[prompt.count(":") - 1], tmp_path, **options)
    assert [str(label) for label in found.labels] == ["ok", "error", "error"], "3/4 is above a half, 2/4 is not"


# A wrong answer in 8 steps, first error at step 5: steps -1 and 7 are known, so 3, 5, 4 are sampled.
def test_bisection_by_hand(tmp_path: Path) -> None:
    (found,), generator = run([candidate(8)], solvable_up_to(5), tmp_path, method="binary_search")
    assert found.first_error == 5
    assert [str(label) for label in found.labels] == ["ok"] * 5 + ["error", "unlabelled", "unlabelled"]
    assert [prompt.count(":") - 1 for (prompt,) in generator.calls] == [3, 5, 4]
    assert found.n_rollouts == (0, 0, 0, 2, 2, 2, 0, 1), "what was not sampled has no rollouts"
    assert found.n_success == (0, 0, 0, 1, 1, 0, 0, 0)
    assert count_spending(tmp_path).completions == 6


def test_bisection_spends_nothing_on_a_right_answer(tmp_path: Path) -> None:
    found, generator = run(
        [candidate(4, right=True), candidate(1)], solvable_up_to(0), tmp_path, method="binary_search"
    )
    assert [item.first_error for item in found] == [None, 0], "one wrong step can only be that"
    assert generator.calls == []
    assert found[0].n_rollouts == (0, 0, 0, 1)


def test_an_unfinished_solution_is_sampled_at_its_last_step(tmp_path: Path) -> None:
    items = [candidate(3, finished=False)]
    for method, n_completions in (("exhaustive", 6), ("binary_search", 2)):
        (found,), _ = run(items, solvable_up_to(3), tmp_path / method, method=method)
        assert (found.first_error, found.final_answer_correct) == (None, None)
        assert count_spending(tmp_path / method).completions == n_completions
    (found,), _ = run(items, solvable_up_to(1), tmp_path / "wrong", method="binary_search")
    assert found.first_error == 1


@given(n_steps=st.integers(1, 40), first_error=st.integers(0, 39))
def test_bisection_finds_what_exhaustive_labels_say_for_fewer_completions(n_steps: int, first_error: int) -> None:
    first_error = min(first_error, n_steps - 1)

    def search(how: Callable[..., Any]) -> tuple[int, int]:
        tally = Tally(n_steps, final=Fate.WRONG)
        steps = how(tally, threshold=0.0)
        while True:
            try:
                for step in next(steps):
                    tally.fates[step] = Counter({Fate.RIGHT if step < first_error else Fate.WRONG: 3})
            except StopIteration as end:
                return [str(label) for label in end.value].index("error"), len(tally.fates)

    assert search(search_exhaustively) == (first_error, n_steps - 1)
    found, n_sampled = search(search_by_bisection)
    assert found == first_error
    assert n_sampled <= (n_steps - 1).bit_length(), "ceil(log2(steps))"


def test_what_could_not_be_checked_is_not_wrong(tmp_path: Path) -> None:
    replies = {0: (CUT, RIGHT), 1: (UNKNOWN, RIGHT), 2: (FAILED, RIGHT)}
    (found,), _ = run([candidate(4)], lambda prompt: replies[prompt.count(":") - 1], tmp_path)
    assert (found.n_success, found.n_rollouts) == ((1, 1, 1, 0), (1, 1, 1, 1))
    assert count_spending(tmp_path) == Spending(
        solutions=1, completions=6, tokens=11, right=3, wrong=0, truncated=1, uncheckable=1, failed=1
    )
    (found,), _ = run([candidate(4)], lambda prompt: (CUT, RIGHT), tmp_path / "wrong", truncated="wrong")
    assert (found.n_success, found.n_rollouts) == ((1, 1, 1, 0), (2, 2, 2, 1))


@pytest.mark.parametrize("method", ["exhaustive", "binary_search"])
def test_a_step_that_stays_undecided_rejects_the_solution(method: str, tmp_path: Path) -> None:
    (rejected,), _ = run([candidate(2)], lambda _: (FAILED, UNKNOWN), tmp_path, method=method)
    assert isinstance(rejected, RowRejected)
    assert str(rejected) == "no completion of a step could be checked: step 0: 1 failed, 1 uncheckable"
    item = candidate(2).model_copy(update={"text": "s0:\ns1: ?????"})
    (rejected,), _ = run([item], lambda _: (RIGHT, RIGHT), tmp_path, method=method)
    assert isinstance(rejected, RowRejected) and rejected.reason == "the final answer could not be checked"
    # behind the first error it does no harm
    (found,), _ = run([item], lambda _: (WRONG, WRONG), tmp_path)
    assert [str(label) for label in found.labels] == ["error", "unlabelled"]


def test_what_cannot_be_labelled_says_why(tmp_path: Path) -> None:
    empty = candidate(1).model_copy(update={"step_start": (), "step_end": (), "text": ""})
    items = [empty, candidate(2, answer=None), candidate(4), candidate(2, right=True)]
    found, generator = run(items, solvable_up_to(9), tmp_path, max_steps=3)
    assert [item.reason for item in found[:3]] == ["no steps", "no answer", "too many steps"]
    assert found[3].first_error is None
    assert len(generator.calls[0]) == 1, "only what is labelled costs anything"


@pytest.mark.parametrize("method", ["exhaustive", "binary_search"])
def test_a_problem_that_the_policy_does_not_solve_says_nothing_about_steps(method: str, tmp_path: Path) -> None:
    items, changes = [candidate(3), candidate(4)], {"method": method, "check_problem": True}

    def reply(prompt: str) -> Sequence[Completion]:
        return (WRONG, WRONG) if prompt.startswith("3 steps") or "s2:" in prompt else (RIGHT, WRONG)

    (rejected, found), generator = run(items, reply, tmp_path, **changes)
    assert generator.calls[0] == ["3 steps\n", "4 steps\n"]
    assert str(rejected) == "the policy does not solve the problem: 0 of 2 completions"
    assert found.first_error == 2
    assert len(found.n_rollouts) == 4
    n_prefixes = 3 if method == "exhaustive" else 2
    assert count_spending(tmp_path).completions == 2 * (2 + n_prefixes), "both problems, and the second one's prefixes"


def test_solutions_of_a_chunk_are_searched_side_by_side(tmp_path: Path) -> None:
    items = [candidate(8), candidate(4), candidate(8, right=True)]
    found, generator = run(items, solvable_up_to(1), tmp_path, method="binary_search")
    assert [item.first_error for item in found] == [1, 1, None]
    assert [len(call) for call in generator.calls] == [2, 2, 1]


def test_rollouts_keep_their_own_text_between_steps(tmp_path: Path) -> None:
    response = "One.\n\n\nTwo.  \n\nThree, so 5."
    spans = [(0, 4), (7, 11), (15, 27)]
    rollout = Rollout(
        group_id="g", sample=0, problem="P", prompt="P", response=response, outcome=1.0, answer="5", source="own",
        steps=tuple(response[start:end] for start, end in spans), step_start=tuple(start for start, _ in spans),
        step_end=tuple(end for _, end in spans), truncated=True, generator="policy",
    )  # fmt: skip
    write_records(tmp_path / "groups", [rollout], record_type=Rollout)
    values = {"data": tmp_path / "groups", "generation": {"type": "transformers", "model": "m"}}
    (item,) = read_candidates(MonteCarloConfig.model_validate(values))
    assert [item.prefix(n) for n in (1, 2, 3)] == ["One.\n\n\n", "One.\n\n\nTwo.  \n\n", response]
    assert (item.steps, item.finished, item.answer, item.generator) == (rollout.steps, False, "5", "policy")


def test_answers_come_from_the_reference_or_from_problems(tmp_path: Path) -> None:
    solution = Solution(problem="P", steps=("a", "b"), reference="2+3=5\n#### 5")
    (tmp_path / "own.jsonl").write_text(solution.model_dump_json() + "\n")
    problems = [
        Problem(problem_id=problem_id("P"), problem="P", answer="7", source="own"),
        Problem(problem_id="their-own", problem="Q", answer="8", source="own"),
    ]
    (tmp_path / "problems.jsonl").write_text("".join(problem.model_dump_json() + "\n" for problem in problems))
    rollout = Rollout(
        group_id="g", sample=0, problem="Q", prompt="Q", response="a", steps=("a",), step_start=(0,), step_end=(1,),
        outcome=0.0, source="own",
    )  # fmt: skip
    (tmp_path / "rollouts.jsonl").write_text(rollout.model_dump_json() + "\n")
    values = {"data": tmp_path / "own.jsonl", "generation": {"type": "transformers", "model": "m"}}

    def read(**changes: Any) -> Candidate:
        return next(read_candidates(MonteCarloConfig.model_validate(values | changes)))

    assert read().answer == "2+3=5\n#### 5"
    assert read(reference="solution").answer == "5"
    assert read(problems=tmp_path / "problems.jsonl").answer == "7"
    assert read(problems=tmp_path / "problems.jsonl", data=tmp_path / "rollouts.jsonl").answer == "8"
    assert read(step_separator=" | ").prefix(1) == "a | "
    assert read().source == "own"


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from judgekit.training.tiny import build_tiny

    folder = tmp_path_factory.mktemp("policy")
    build_tiny(folder, TEXTS, tiny_config())
    return folder


def test_a_real_policy_labels_and_a_killed_run_continues(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "solutions.jsonl"
    solutions = [
        Solution(
            problem=f"Start with {i}.", steps=(f"{i}+1={i + 1}", f"{i + 1}+1={i + 2 + i % 2}"), reference=str(i + 2)
        )
        for i in range(6)
    ]
    data.write_text("".join(solution.model_dump_json() + "\n" for solution in solutions))
    config = MonteCarloConfig.model_validate(
        {"data": data, "generation": {"type": "transformers", "model": str(policy)}, "prompt": {"type": "raw"}}
        | {"n_completions": 3, "sampling": {"max_tokens": 5}, "chunk_size": 2, "truncated": "wrong"}
        | {"outcome": {"type": "last_number"}}
    )
    report = label_by_monte_carlo(config, tmp_path / "straight")
    assert report.n_records == 6
    assert count_spending(tmp_path / "straight").completions == 18

    usual = MonteCarloLabeller.label
    calls: list[int] = []

    def failing(self: MonteCarloLabeller, items: Sequence[Candidate]) -> Any:
        calls.append(len(items))
        if len(calls) == 2:
            raise JudgeError("the server is gone")
        return usual(self, items)

    monkeypatch.setattr(MonteCarloLabeller, "label", failing)
    with pytest.raises(JudgeError, match="the server is gone"):
        label_by_monte_carlo(config, tmp_path / "again")
    label_by_monte_carlo(config, tmp_path / "again", resume=True)
    assert len(calls) == 4, "the finished chunk is not labelled again"
    first, second = (list(read_records(tmp_path / name, LabelledSolution)) for name in ("straight", "again"))
    assert first == second
    shards = [(tmp_path / name / "data/part-00000.parquet").read_bytes() for name in ("straight", "again")]
    assert shards[0] == shards[1]
    assert count_spending(tmp_path / "again") == count_spending(tmp_path / "straight")
    rows = [json.loads(line) for path in (tmp_path / "again/tally").iterdir() for line in path.read_text().splitlines()]
    assert {row["n_completions"] for row in rows} == {3}


@pytest.mark.parametrize("threshold", [0.07, 0.1, 0.29, 0.3, 0.57, 0.58, 0.7])
def test_a_share_of_successes_at_the_threshold_is_an_error(
    threshold: float,
) -> None:
    tally = Tally(n_steps=2, fates={0: Counter({Fate.RIGHT: round(100 * threshold)})})
    tally.fates[0][Fate.WRONG] = 100 - tally.fates[0][Fate.RIGHT]
    assert tally.label(0, threshold=threshold) is StepLabel.ERROR
    tally.fates[0] += Counter({Fate.RIGHT: 1})
    assert tally.label(0, threshold=threshold) is StepLabel.OK
