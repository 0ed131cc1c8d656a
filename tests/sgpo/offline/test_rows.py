"""What offline training reads: groups as they are on disk, plain rows of others, and what is counted and left out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from judgekit.answers import LastNumberCheck
from judgekit.config import parse_config
from judgekit.engines.generation.transformers import TransformersGenerator
from judgekit.errors import DataError
from judgekit.groups import RolloutGroup
from judgekit.types import Rollout
from judgekit_datasets.labelling.config import RolloutsConfig
from judgekit_datasets.labelling.rollouts import RolloutLabeller
from sgpo.offline.config import OfflineConfig
from sgpo.offline.plan import build_rows
from sgpo.offline.rows import GroupsFile, load_offline_groups
from sgpo.offline.trainer import compute_row_values
from sgpo.policy import Policy, load_policy
from tests.datasets_builders.labelling.test_rollouts import question
from tests.sgpo.offline.offline_samples import make_rollout, write_groups, write_policy

CHAT = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    policy = load_policy(str(write_policy(tmp_path_factory.mktemp("policy"))))
    policy.tokenizer.chat_template = CHAT
    return policy


def _config(groups: Path, **options: Any) -> OfflineConfig:
    values = {"policy": "tiny", "groups": str(groups), "max_tokens": 250, "device": "cpu"}
    return parse_config(OfflineConfig, values | options, where="test")


def _read(path: Path, rows: Sequence[Mapping[str, Any]], policy: Policy, **options: Any) -> GroupsFile:
    (path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load_offline_groups(_config(path / "rows.jsonl", **options), policy.tokenizer)


USER = [{"role": "user", "content": "What is 2+2?"}]


@pytest.mark.parametrize(
    ("rows", "prompt"),
    [
        (  # TRL, plain text
            [{"prompt": "What is 2+2?", "completion": f"so\n{i}", "reward": float(i == 4)} for i in (3, 4)],
            "What is 2+2?",
        ),
        (  # TRL, conversations
            [
                {"prompt": USER, "completion": [{"role": "assistant", "content": f"so\n{i}"}], "reward": int(i == 4)}
                for i in (3, 4)
            ],
            "<user>What is 2+2?<assistant>",
        ),
        (  # verl, which calls the prompt's number uid
            [{"uid": 7, "prompt": USER, "response": f"so\n{i}", "score": float(i == 4)} for i in (3, 4)],
            "<user>What is 2+2?<assistant>",
        ),
        (  # what vLLM answers to one prompt
            [{"prompt": "What is 2+2?", "responses": ["so\n3", "so\n4"], "rewards": [0.0, 1.0]}],
            "What is 2+2?",
        ),
    ],
)
def test_rows_of_others_are_groups(rows: list[dict[str, Any]], prompt: str, policy: Policy, tmp_path: Path) -> None:
    (group,), left_out = _read(tmp_path, rows, policy, segmentation={"mode": "lines"})
    assert [rollout.response for rollout in group.rollouts] == ["so\n3", "so\n4"]
    assert [rollout.steps for rollout in group.rollouts] == [("so", "3"), ("so", "4")]
    assert (group.outcome_G, group.problem) == ([0.0, 1.0], "What is 2+2?")
    assert {rollout.prompt for rollout in group.rollouts} == {prompt}
    assert left_out == {"no_outcome": 0, "single": 0}
    if not isinstance(rows[0]["prompt"], str):  # the stored prompt is the rendered conversation
        (row, _), _ = build_rows([group], tokenizer=policy.tokenizer, config=_config(tmp_path))
        assert policy.tokenizer.decode(row.prompt_ids) == prompt


def test_single_and_unknown_responses_are_counted_and_left_out(policy: Policy, tmp_path: Path) -> None:
    rows = [{"prompt": name, "response": "x", "reward": reward} for name, reward in (
        ("a", 1.0), ("a", 0.0), ("a", None), ("b", 1.0), ("c", 1.0), ("c", float("nan")),
    )]  # fmt: skip
    groups, left_out = _read(tmp_path, rows, policy)
    assert [(group.problem, len(group)) for group in groups] == [("a", 2)]
    assert left_out == {"no_outcome": 2, "single": 2}
    with pytest.raises(DataError, match=r"no group of two responses with a known outcome \(1 of one response, 0"):
        _read(tmp_path, rows[:1], policy)
    # Rows of our own, too: one short group is no reason to refuse the file.
    own = write_groups(
        tmp_path / "own", [make_rollout("g", 0, 1.0), make_rollout("g", 1, 0.0), make_rollout("h", 0, 1.0)]
    )
    groups, left_out = load_offline_groups(_config(own), policy.tokenizer)
    assert [group.group_id for group in groups] == ["g"]
    assert left_out == {"no_outcome": 0, "single": 1}


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (
            {"prompt": "a", "response": "x", "reward": -1.0},
            r"row 1: the reward is -1.0, but an outcome must be in 0..1",
        ),
        ({"prompt": "a", "text": "x", "reward": 1.0}, r"row 1 has no response .*columns.response=NAME"),
        ({"prompt": "a", "responses": ["x", "y"], "rewards": [1.0]}, r"row 1: 2 responses and rewards \[1.0\]"),
        ({"prompt": 3, "response": "x", "reward": 1.0}, r"row 1: .*not iterable"),
    ],
)
def test_rows_that_cannot_be_read_are_named(
    row: dict[str, Any], complaint: str, policy: Policy, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=complaint):
        _read(tmp_path, [row], policy)


def test_columns_may_be_named(policy: Policy, tmp_path: Path) -> None:
    rows = [{"ask": "a", "say": f"x{i}", "mark": i, "key": 5} for i in range(2)]
    columns = {"prompt": "ask", "response": "say", "reward": "mark", "group": "key"}
    (group,), _ = _read(tmp_path, rows, policy, columns=columns)
    assert (group.group_id, group.outcome_G) == ("5", [0.0, 1.0])


def test_what_rollouts_store_is_what_the_policy_trains_on(policy: Policy, tmp_path: Path) -> None:
    """Prompt, tokens and log-probabilities of our own sampling are those of training: the first ratio is 1."""
    values = {"problems": "p", "generation": {"type": "transformers", "model": "m"}, "n_samples": 3}
    sampling = {"max_tokens": 12, "temperature": 0.7, "top_p": 0.9}
    config = RolloutsConfig.model_validate(values | {"prompt": {"type": "chat"}, "sampling": sampling})
    generator = TransformersGenerator(policy.model.eval(), policy.tokenizer, generator_id="m", batch_size=2)
    (rollouts,) = RolloutLabeller(generator, LastNumberCheck(), config, tmp_path).label([question(1)])
    assert isinstance(rollouts, list) and all(isinstance(rollout, Rollout) for rollout in rollouts)
    offline = _config(tmp_path, ratio="behaviour")
    rows, _ = build_rows([RolloutGroup("g", tuple(rollouts))], tokenizer=policy.tokenizer, config=offline)
    assert policy.tokenizer.decode(rows[0].prompt_ids) == "<user>Problem 1<assistant>"
    for row, logprobs_T in zip(rows, compute_row_values(policy.model, rows, token_budget=250), strict=True):
        assert row.old_logprobs_T == pytest.approx(logprobs_T, abs=1e-4)
