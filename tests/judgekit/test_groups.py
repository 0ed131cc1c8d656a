"""Groups files: what is read, counted and refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from judgekit.errors import DataError
from judgekit.groups import build_groups, count_groups, load_groups
from judgekit_datasets.build import build
from tests.sgpo.offline.offline_samples import make_rollout, three_groups, write_groups


def test_counts_and_order(tmp_path: Path) -> None:
    rollouts = three_groups()
    groups = load_groups(write_groups(tmp_path / "groups", rollouts[::-1]))
    assert [group.group_id for group in groups] == ["positive", "mixed", "negative"]
    assert [rollout.sample for rollout in groups[0].rollouts] == [0, 1, 2, 3]
    assert [group.n_correct for group in groups] == [4, 1, 0]
    assert count_groups(groups) == (3, 12, 1, 1, 1)


def test_group_of_one_response_is_named() -> None:
    rollouts = [*three_groups(), make_rollout("alone", 0, 0.0)]
    with pytest.raises(DataError, match=r"here: group 'alone' has one response \(1 of 4 groups have fewer than 2\)"):
        build_groups(rollouts, where="here")
    assert len(build_groups(rollouts, where="here", min_size=1)) == 4


def test_same_sample_twice_is_named() -> None:
    with pytest.raises(DataError, match="group 'mixed' has sample 2 twice"):
        build_groups([*three_groups(), make_rollout("mixed", 2, 1.0)], where="here")


def test_group_of_two_prompts_is_named() -> None:
    rollouts = [make_rollout("a", 0, 0.0), make_rollout("a", 1, 0.0, prompt="Another question?")]
    with pytest.raises(DataError, match="group 'a' has responses to 2 different values of 'prompt'"):
        build_groups(rollouts, where="here")


@pytest.mark.parametrize(("outcome", "complaint"), [(None, "valid number"), (2.0, "less than or equal to 1")])
def test_unknown_outcome_names_file_and_row(outcome: float | None, complaint: str, tmp_path: Path) -> None:
    rows = [json.loads(rollout.model_dump_json()) for rollout in three_groups()]
    rows[4]["outcome"] = outcome
    path = tmp_path / "groups.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match=rf"groups.jsonl, row 5: .*{complaint}.*outcome"):
        load_groups(path)


def test_shared_groups(tmp_path: Path) -> None:
    if "JUDGEKIT_REAL_DATA" not in os.environ:
        pytest.skip("needs the real data sets: set JUDGEKIT_REAL_DATA to their folder")
    build("groups", input=Path(os.environ["JUDGEKIT_REAL_DATA"]) / "groups", output=tmp_path / "groups")
    counts = count_groups(load_groups(tmp_path / "groups"))
    assert counts == (200, 1600, 83, 36, 81)
