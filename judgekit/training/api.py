"""Training and calibration in one call, for programs and notebooks; the commands with these names do the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from judgekit.config import parse_config
from judgekit.errors import ConfigError
from judgekit.training.config import (
    CalibrationConfig,
    ClassifierConfig,
    LanguageModelConfig,
    LikelihoodConfig,
    ProbeConfig,
)

if TYPE_CHECKING:
    from judgekit.calibration.card import CalibrationReport

TrainingConfig = ClassifierConfig | LikelihoodConfig | ProbeConfig | LanguageModelConfig
CONFIGS: Mapping[str, type[TrainingConfig]] = {
    "step_classifier": ClassifierConfig,
    "likelihood": LikelihoodConfig,
    "probe": ProbeConfig,
    "language_model": LanguageModelConfig,
}
"""The configuration of each kind of training, in the order in which help shows them."""


def train(
    kind: Literal["step_classifier", "likelihood", "probe", "language_model"],
    *,
    output: str | Path,
    resume: bool = False,
    **settings: object,
) -> Path:
    """Train a judge, or a language model under one.

    Args:
        kind: What is made.
        output: Folder of the run.
        resume: Continue a run that was cut off, or leave a finished one.
        settings: The options of `judgekit train` for that kind, for example `model="runs/base", data=["data/train"]`;
            see `CONFIGS`.

    Returns:
        The judge directory, for `load_judge`; of a language model, its checkpoint.

    Raises:
        ConfigError: there is no such kind or option, or the folder is in use.
        DataError: the data cannot be learned from.
        CheckpointError: the model cannot be opened.
    """
    if kind not in CONFIGS:
        raise ConfigError(f"kind {kind!r} is not one of {', '.join(CONFIGS)}: write one of these")
    config = parse_config(CONFIGS[kind], {**settings, "kind": kind}, where="train")
    return train_config(config, Path(output), resume=resume)


def train_config(config: TrainingConfig, output: Path, *, resume: bool = False) -> Path:
    """Train what a configuration says, see `train`."""
    match config:
        case LanguageModelConfig():
            from judgekit.training.language_model import train_language_model

            return train_language_model(config, output, resume=resume)
        case LikelihoodConfig():
            from judgekit.training.likelihood import fit_likelihood

            return fit_likelihood(config, output, resume=resume)
        case ProbeConfig():
            from judgekit.training.probe.fit import train_probe

            return train_probe(config, output, resume=resume)
        case ClassifierConfig():
            from judgekit.training.classifier import train_classifier

            return train_classifier(config, output, resume=resume)


def calibrate(
    judge: str | Path, data: str | Path, *, output: str | Path | None = None, **settings: object
) -> CalibrationReport:
    """Choose and fit a calibrator and a decision on problems that the judge was not trained on.

    They go into its `judge.json`: `load_judge` opens it calibrated from then on.

    Args:
        judge: A judge directory; with `output` also `builtin:NAME`.
        data: Data set of labelled solutions.
        output: For a builtin judge: the judge directory to write around it.
        settings: Options of `judgekit calibrate`, see `CalibrationConfig`.

    Returns:
        The figures before and after, and what was chosen among.

    Raises:
        ConfigError: an option is unknown or refused, or the judge has no directory to keep a calibrator in.
        DataError: a problem was trained on, or the data are too few, all correct or all wrong.
        CheckpointError: there is no such judge.
    """
    from judgekit.training.calibrate import calibrate_judge

    config = parse_config(CalibrationConfig, dict(settings), where="calibrate")
    directory = calibrated_directory(str(judge), None if output is None else Path(output))
    return calibrate_judge(directory, Path(data), config)


def calibrated_directory(judge: str, output: Path | None) -> Path:
    """Return the directory that will hold a judge's calibrator; that of a builtin judge is made.

    Raises:
        ConfigError: see `calibrate`.
    """
    from judgekit.judges.card import SERVED
    from judgekit.training.calibrate import wrap_builtin

    is_builtin = judge.startswith("builtin:")
    if is_builtin and output is None:
        raise ConfigError(
            f"{judge} has no directory to store a calibrator in: add --output DIR, which becomes its judge directory"
        )
    if not is_builtin and output is not None:
        raise ConfigError(
            "--output is for builtin judges; leave it out, the calibrator goes into the judge's own directory"
        )
    if judge.startswith(SERVED):
        raise ConfigError(f"{judge} is a service: calibrate the judge directory that it serves, and serve it again")
    return Path(judge) if output is None else wrap_builtin(judge, output)
