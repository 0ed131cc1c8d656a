"""Preference pairs out of groups: by the answer, by how far a judge says that they get, with a shared beginning."""

from __future__ import annotations

from pathlib import Path

import pytest

from judgekit.io import read_records
from judgekit.types import Rollout
from judgekit_datasets.build import build
from judgekit_datasets.labelling.config import PairsConfig
from judgekit_datasets.labelling.pairs import SOURCE, PreferencePair
from tests.sgpo.offline.offline_samples import SampleJudge, make_rollout, three_groups, write_groups, write_policy


def pairs_of(tmp_path: Path, rollouts: list[Rollout], **options: object) -> list[PreferencePair]:
    groups = write_groups(tmp_path / "groups", rollouts)
    config = PairsConfig.model_validate({"groups": groups} | options)
    build(SOURCE, output=tmp_path / "pairs", options=config)
    return list(read_records(tmp_path / "pairs", PreferencePair))


def test_a_right_response_is_preferred_and_other_groups_are_left_out(tmp_path: Path) -> None:
    (pair,) = pairs_of(tmp_path, three_groups())
    assert (pair.group_id, pair.reason, pair.margin) == ("mixed", "outcome", 1.0)
    assert pair.chosen.startswith("mixed try 0") and pair.rejected.startswith("mixed try 3")
    assert pair.prompt == "What is mixed?"
    assert "all wrong" in (tmp_path / "pairs" / "rejected.jsonl").read_text()


def test_where_all_are_wrong_the_judge_says_which_gets_further(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors at steps 0, 1, 2, 3 of 4: 3 against 0 by 0.75, 2 against 1 by 0.25."""
    monkeypatch.setattr("judgekit_datasets.labelling.pairs.load_judge", lambda _: SampleJudge())
    rollouts = [row for row in three_groups() if row.group_id == "negative"]
    pairs = pairs_of(tmp_path, rollouts, judge="sample", max_pairs=3)
    assert [(pair.chosen[:14], pair.rejected[:14], pair.margin) for pair in pairs] == [
        ("negative try 3", "negative try 0", 0.75),
        ("negative try 2", "negative try 1", 0.25),
    ]
    assert {pair.reason for pair in pairs} == {"judge"}


def test_shared_steps_stand_in_the_prompt(tmp_path: Path) -> None:
    rollouts = [
        make_rollout("g", 0, 1.0, ["First.", "Then 2.", "So 4."]),
        make_rollout("g", 1, 0.0, ["First.", "Then 3.", "So 6."]),
    ]
    (pair,) = pairs_of(tmp_path, rollouts, shared_steps="prompt")
    assert pair.prompt == "What is g?First.\n\n"
    assert (pair.chosen, pair.rejected) == ("Then 2.\n\nSo 4.", "Then 3.\n\nSo 6.")


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_trl_trains_on_the_rows_as_they_are(tmp_path: Path) -> None:
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer

    rows = [pair.model_dump(mode="json") for pair in pairs_of(tmp_path, three_groups(), max_pairs=2)]
    policy = write_policy(tmp_path / "policy")
    trainer = DPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(policy),
        args=DPOConfig(
            str(tmp_path / "dpo"),
            max_steps=1,
            use_cpu=True,
            bf16=False,
            report_to="none",
            save_strategy="no",
            activation_checkpointing=False,
            dataloader_pin_memory=False,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(policy),
    )
    assert trainer.train().training_loss == pytest.approx(0.6931, abs=1e-3), "-log sigmoid(0) before the first update"
