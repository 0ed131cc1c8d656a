"""One vocabulary of the optimiser: what earlier releases called it, what transformers gets, and trackers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import TrainingArguments

import judgekit.training.optim
from judgekit.config import load_config
from judgekit.errors import ConfigError
from judgekit.run import Run
from judgekit.training.config import ClassifierConfig, LanguageModelConfig
from judgekit.training.loop import loop_arguments, training_arguments
from judgekit.training.optim import OptimConfig
from judgekit.training.tracking import tracking
from sgpo.offline.config import OfflineConfig
from sgpo.online.config import OnlineConfig

TRAIN, ONLINE, OFFLINE = (
    {"kind": "language_model", "data": "d"},
    {"policy": "p", "problems": "q"},
    {"policy": "p", "groups": "g"},
)


@pytest.mark.parametrize(
    ("config_type", "needed", "old", "new"),
    [
        (LanguageModelConfig, TRAIN, {"warmup_frac": 0.1}, {"warmup": 0.1}),
        (LanguageModelConfig, TRAIN, {"schedule": "constant_with_warmup"}, {"schedule": "constant"}),
        (LanguageModelConfig, TRAIN, {"grad_accumulation": 1, "batch_size": 8}, {"batch_size": 8}),
        (LanguageModelConfig, TRAIN, {"grad_accumulation": 4}, {"batch_size": 64, "micro_batch": 16}),
        (OnlineConfig, ONLINE, {"warmup_steps": 3}, {"warmup": 3}),
        (OfflineConfig, OFFLINE, {"warmup_steps": 0, "save_every": 7}, {"warmup": 0.0, "save_every": 7}),
    ],
)
def test_names_of_earlier_releases_are_understood(
    config_type: type[OptimConfig], needed: dict[str, Any], old: dict[str, Any], new: dict[str, Any], tmp_path: Path
) -> None:
    """Such a configuration is that of today, and its run folder goes on."""
    config = config_type.model_validate(needed | new)
    assert config_type.model_validate(needed | old) == config
    Run(tmp_path, config)
    stored = {
        key: value
        for key, value in config.model_dump(mode="json").items()
        if key not in (*new, "report_to", "micro_batch")
    }
    (tmp_path / "config.json").write_text(json.dumps(stored | old))
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    assert Run(tmp_path, config, resume=True).resumed


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["warmup_frac=0.1", "warmup=0.2"], "warmup_frac is now called warmup, but both are given"),
        (["warmup=1.5"], "a fraction of the steps below 1, or a whole number"),
        (["grad_accumulation=2", "micro_batch=2"], "grad_accumulation was removed: give batch_size"),
        (["report_to=[no_such]"], "report_to"),
    ],
)
def test_what_is_refused(changes: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_config(ClassifierConfig, overrides=["model=m", "data=[d]", *changes])


def test_a_tracker_that_is_not_installed_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judgekit.training.optim.importlib.util, "find_spec", lambda name: None)
    for config_type, needed in ((LanguageModelConfig, TRAIN), (OnlineConfig, ONLINE), (OfflineConfig, OFFLINE)):
        given = [f"{key}={value}" for key, value in needed.items()]
        with pytest.raises(ConfigError, match="wandb is not installed: pip install wandb"):
            load_config(config_type, overrides=[*given, "report_to=[wandb]"])


def test_arguments_of_transformers_follow(tmp_path: Path) -> None:
    config = LanguageModelConfig.model_validate(
        TRAIN
        | {"lr": 1e-4, "warmup": 0.1, "batch_size": 12, "micro_batch": 3, "seed": 5, "bf16": False}
        | {"max_steps": 30, "save_every": None, "device": "cpu", "schedule": "constant", "log_every": 2}
    )
    arguments = loop_arguments(config, tmp_path)
    assert (arguments.per_device_train_batch_size, arguments.gradient_accumulation_steps) == (3, 4)
    assert (arguments.lr_scheduler_type, arguments.get_warmup_steps(30)) == ("constant_with_warmup", 3)
    assert (arguments.seed, arguments.max_steps, arguments.logging_steps) == (5, 30, 2)
    assert (arguments.save_strategy, arguments.report_to, arguments.use_cpu) == ("no", [], True)
    with pytest.raises(ConfigError, match="8 bins a step cannot be split over 2 processes with micro-batches of 3"):
        training_arguments(
            TrainingArguments, config, tmp_path, n_per_step=8, micro_batch=3, batch="bins a step", n_processes=2
        )


def test_tensorboard_shows_the_rows_on_disk(tmp_path: Path) -> None:
    """Also after a kill: rows beyond the checkpoint that training goes on from give way."""
    run = Run(tmp_path, OptimConfig())
    with pytest.raises(KeyboardInterrupt), tracking(run, ["tensorboard"], step=0):
        for step in range(1, 4):
            run.log({"step": step, "train/loss": float(step), "judge": "name", "unknown": None})
        raise KeyboardInterrupt
    assert not run.listeners
    run.rewind(2)
    with tracking(run, ["tensorboard"], step=2):
        run.log({"step": 3, "train/loss": 30.0})
        run.log({"step": 3, "eval/accuracy": 0.5})
    shown = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert sorted(shown.Tags()["scalars"]) == ["eval/accuracy", "train/loss"]
    assert [(event.step, event.value) for event in shown.Scalars("train/loss")] == [(1, 1.0), (2, 2.0), (3, 30.0)]
