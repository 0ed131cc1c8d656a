"""Sampling solutions: what becomes a row, what does not, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from judgekit.answers import LastNumberCheck
from judgekit.config import load_config
from judgekit.engines.generation.base import Completion
from judgekit.errors import ConfigError, DataError
from judgekit.groups import load_groups
from judgekit.io import read_records
from judgekit.types import Rollout
from judgekit_datasets.labelling.config import RolloutsConfig
from judgekit_datasets.labelling.rollouts import (
    Question,
    RolloutCounts,
    RolloutLabeller,
    count_rollouts,
    sample_rollouts,
)
from judgekit_datasets.source import RowRejected
from tests.datasets_builders.labelling.scripted_generator import CUT, FAILED, ScriptedGenerator, stop
from tests.http_server import answer, drip, running_server
from tests.judgekit.samples import TEXTS, tiny_config

GENERATION = {"type": "transformers", "model": "m"}


class NumberCheck(LastNumberCheck):
    """Cannot tell where a question mark stands."""

    def check_many(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        return [None if "?" in response else self.check(response, answer=answer) for response, answer in pairs]


def question(number: int, answer: str | None = "5") -> Question:
    return Question(problem_id=f"p{number}", problem=f"Problem {number}", answer=answer, source="own")


def settings(**changes: Any) -> RolloutsConfig:
    values = {"problems": "p.jsonl", "generation": GENERATION, "n_samples": 3, "prompt": {"type": "raw"}} | changes
    return RolloutsConfig.model_validate(values)


def sample(
    replies: Mapping[str, Sequence[Completion]], questions: Sequence[Question], output: Path, **changes: Any
) -> list[Any]:
    generator = ScriptedGenerator(lambda prompt: replies[prompt.strip()])
    return list(RolloutLabeller(generator, NumberCheck(), settings(**changes), output).label(questions))


def test_a_response_becomes_a_row_with_steps_and_outcome(tmp_path: Path) -> None:
    replies = {"Problem 1": stop("2+2=4\n\n4+1=5", "", "so 6")}
    (rows,) = sample(replies, [question(1)], tmp_path)
    assert [(row.sample, row.outcome, row.truncated, row.steps) for row in rows] == [
        (0, 1.0, False, ("2+2=4", "4+1=5")),
        (1, 0.0, False, ()),
        (2, 0.0, False, ("so 6",)),
    ]
    assert {(row.prompt, row.problem, row.answer, row.generator, row.source) for row in rows} == {
        ("Problem 1\n", "Problem 1", "5", "scripted", "own")
    }
    assert len({row.group_id for row in rows}) == 1
    assert count_rollouts(tmp_path) == RolloutCounts(
        right=1, wrong=2, empty=1, truncated=0, uncheckable=0, failed=0, n_tokens=3
    )


def test_what_has_no_outcome_is_no_row_and_is_written_down(tmp_path: Path) -> None:
    replies = {
        "Problem 1": [*stop("it is ?"), CUT, *stop("5")],
        "Problem 2": [FAILED, FAILED, *stop("5")],
        "Problem 3": [FAILED, FAILED, FAILED],
    }
    one, two, three = sample(replies, [question(1), question(2), question(3)], tmp_path)
    assert [(row.sample, row.outcome, row.truncated) for row in one] == [(1, 1.0, True), (2, 1.0, False)]
    assert isinstance(two, RowRejected) and isinstance(three, RowRejected)
    assert two.reason == three.reason == "too few checked responses"
    assert two.detail == "1 of 3 have a known outcome: failed no answer within 3 s (2 tries)"
    assert count_rollouts(tmp_path) == RolloutCounts(
        right=3, wrong=0, empty=0, truncated=1, uncheckable=1, failed=5, n_tokens=10
    )
    (file,) = (tmp_path / "tally").iterdir()
    first = json.loads(file.read_text().splitlines()[0])
    assert first["dropped"] == [{"sample": 0, "fate": "uncheckable", "text": "it is ?", "detail": None}]


@pytest.mark.parametrize("answer", [None, "", "  "])
def test_a_problem_without_answer_is_rejected_and_not_asked(answer: str | None, tmp_path: Path) -> None:
    rows, rejected = sample({"Problem 1": stop("5", "5", "6")}, [question(1), question(2, answer)], tmp_path)
    assert len(rows) == 3
    assert isinstance(rejected, RowRejected) and rejected.reason == "no answer"


def test_greedy_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="3 greedy samples are all the same"):
        settings(sampling={"temperature": None})
    assert settings(sampling={"temperature": None}, n_samples=1).n_samples == 1


def test_a_real_policy_makes_groups_that_sgpo_reads(tmp_path: Path) -> None:
    from judgekit.training.tiny import build_tiny

    policy = tmp_path / "policy"
    build_tiny(policy, TEXTS, tiny_config())
    problems = tmp_path / "problems.jsonl"
    rows = [question(number).model_dump() for number in range(5)] + [question(9, None).model_dump(exclude={"answer"})]
    problems.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = RolloutsConfig.model_validate(
        {"problems": problems, "generation": {"type": "transformers", "model": str(policy)}, "n_samples": 4}
        | {"prompt": {"type": "raw"}, "sampling": {"max_tokens": 6}, "chunk_size": 2, "seed": 1}
        | {"outcome": {"type": "last_number"}}
    )
    report = sample_rollouts(config, tmp_path / "straight")
    assert (report.rows_read, report.rows_accepted, report.rejected) == (6, 5, {"no answer": 1})
    groups = load_groups(tmp_path / "straight")
    assert [len(group.rollouts) for group in groups] == [4] * 5
    assert len({rollout.response for group in groups for rollout in group.rollouts}) > 10
    counts = count_rollouts(tmp_path / "straight")
    assert counts.right + counts.wrong == 20

    # another size of batch and of chunk samples the same responses
    other = config.model_copy(
        update={"chunk_size": 5, "generation": config.generation.model_copy(update={"batch_size": 3})}
    )
    sample_rollouts(other, tmp_path / "other")
    straight, differently = (list(read_records(tmp_path / name, Rollout)) for name in ("straight", "other"))
    for one, other in zip(straight, differently, strict=True):  # log-probabilities but for rounding
        logprobs = {"behaviour_logprobs": None}
        assert one.model_copy(update=logprobs) == other.model_copy(update=logprobs)
        assert one.behaviour_logprobs == pytest.approx(other.behaviour_logprobs, abs=1e-4)
    with pytest.raises(ConfigError, match="seed"):
        sample_rollouts(config.model_copy(update={"seed": 2}), tmp_path / "straight", resume=True)
    assert sample_rollouts(config, tmp_path / "straight", resume=True) == report
    build_tiny(policy, TEXTS, tiny_config().model_copy(update={"seed": 9}))  # another policy in the same place
    with pytest.raises(DataError, match=r"model\.safetensors"):
        sample_rollouts(config, tmp_path / "straight", resume=True)


def test_a_server_that_times_out_costs_its_problem_alone(tmp_path: Path) -> None:
    problems = tmp_path / "problems.jsonl"
    problems.write_text("".join(question(number).model_dump_json() + "\n" for number in (1, 2, 3)))
    with running_server() as server:
        server.acts = [answer, answer, drip, drip, drip, drip]
        generation = {"type": "openai", "base_url": server.url, "model": "m", "backoff_s": 0.01, "deadline_s": 0.3}
        config = RolloutsConfig.model_validate(
            {"problems": problems, "generation": generation | {"max_retries": 1, "max_concurrency": 1}, "n_samples": 2}
            | {"prompt": {"type": "raw"}, "outcome": {"type": "last_number"}, "chunk_size": 1}
        )
        report = sample_rollouts(config, tmp_path / "groups")
    assert report.rejected == {"too few checked responses": 1}
    assert [group.rollouts[0].problem for group in load_groups(tmp_path / "groups")] == ["Problem 1", "Problem 3"]
    rejected = json.loads((tmp_path / "groups/rejected.jsonl").read_text())
    assert rejected["raw"]["problem"] == "Problem 2"
    assert rejected["detail"].endswith("failed no answer within 0.3 s (2 tries)")
    counts = count_rollouts(tmp_path / "groups")
    assert (counts.right, counts.wrong, counts.failed) == (0, 4, 2)


def test_the_engine_is_chosen_on_the_command_line() -> None:
    overrides = [
        "problems=p",
        "generation.type=openai",
        "generation.base_url=http://localhost:8000/v1",
        "generation.model=m",
    ]
    assert load_config(RolloutsConfig, overrides=overrides).generation.type == "openai"
