"""Commands that make judges and the small language models under them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from judgekit.cli.command import add_command, add_output, settings_config
from judgekit.errors import ConfigError

if TYPE_CHECKING:
    from judgekit.calibration.card import CandidateCard


CALIBRATION_OPTIONS = {
    "calibrator": "auto (default: by cross-validated log loss), or one by name: identity, temperature, platt,\n"
    f"{'':18}position, length, beta, posterior, isotonic",
    "n_folds": "folds over problems, for the choice and the figures afterwards (default 5)",
    "n_bins": "bins of the expected calibration error (default 15)",
    "n_max": "solutions to use at most (default null: all)",
    "dtype": "precision of the judge (auto: bfloat16 where the hardware has it, else float32; default auto)",
    "chunk_size": "solutions judged and kept at a time (default 64)",
    "conformal_alpha": "probability with which a conformal promise may fail (default 0.1)",
    "conformal_frac": "share of the problems kept for conformal thresholds; null for none (default 0.5)",
}
"""What `judgekit calibrate --help` says of `CalibrationConfig`."""
PRIOR_OPTIONS = {
    "by": "position (default: the step's index) or relative (equal parts of the solution)",
    "n_bins": "places that are told apart (default 16)",
    "smoothing": "steps added to each place, wrong as often as anywhere (default 1.0)",
    "judge_id": "name in results (default null: the output folder's)",
    "n_folds": "folds over problems for the choice of the decision rule (default 5)",
    "n_max": "solutions to use at most (default null: all)",
}
"""What `judgekit prior --help` says of `PriorConfig`."""


def add_training_commands(commands: Any) -> None:
    """Declare them."""
    parser = add_command(
        commands,
        "pretrain",
        _pretrain,
        summary="Train the tiny language model on solutions: a base for judge and policy that needs no download.",
        example="judgekit pretrain configs/quickstart/base.yaml --output runs/base",
    )
    add_output(parser)
    parser = add_command(
        commands,
        "train",
        _train,
        summary="Train a step-classifier judge from any causal checkpoint.",
        example="judgekit train configs/judge/smollm2.yaml lr=1e-4 --output runs/judge",
    )
    add_output(parser)
    parser = add_command(
        commands,
        "fit",
        _fit,
        summary="Fit a likelihood judge: any language model whose surprise at a step's tokens is mapped to P(step ok).",
        example="judgekit fit model=runs/base/model data=[data/train] --output runs/judge",
    )
    add_output(parser)
    parser = add_command(
        commands,
        "calibrate",
        _calibrate,
        summary="Choose and fit a calibrator and a threshold on problems the judge was not trained on; rewrites its "
        "judge.json.",
        example="judgekit calibrate --judge runs/judge/judge --data data/calibration",
        options=CALIBRATION_OPTIONS,
    )
    parser.add_argument("--judge", required=True, help="judge directory; with --output also builtin:NAME")
    parser.add_argument("--data", type=Path, required=True, help="data set of labelled solutions")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="for a builtin judge: judge directory to write around it"
    )
    parser = add_command(
        commands,
        "ensemble",
        _ensemble,
        summary="Make one judge of several: fits their weights and a threshold on problems none was trained on.",
        example="judgekit ensemble --member runs/judge/judge --member builtin:symbolic --data data/calibration "
        "rule=product --output runs/ensemble",
    )
    parser.add_argument("--member", action="append", required=True, help="judge directory, hub id or builtin:NAME")
    parser.add_argument("--data", type=Path, required=True, help="data set of labelled solutions")
    parser.add_argument("--output", type=Path, required=True, help="judge directory to write; refused where in use")

    parser = add_command(
        commands,
        "prior",
        _prior,
        summary="Count where first errors are in labelled solutions: a baseline judge that reads no text.",
        example="judgekit prior --data data/train --output runs/prior",
        options=PRIOR_OPTIONS,
    )
    parser.add_argument("--data", type=Path, required=True, help="data set of labelled solutions")
    parser.add_argument("--output", type=Path, required=True, help="judge directory to write; refused where in use")


def _pretrain(args: argparse.Namespace) -> None:
    from judgekit.training.config import LanguageModelConfig

    config = settings_config(LanguageModelConfig, args.settings)  # refused before torch is loaded
    from judgekit.training.language_model import pretrain

    print(f"language model: {pretrain(config, args.output, resume=args.resume)}")


def _train(args: argparse.Namespace) -> None:
    from judgekit.training.config import JudgeTrainingConfig

    config = settings_config(JudgeTrainingConfig, args.settings)
    from judgekit.judges.card import read_card
    from judgekit.training.judge import train_judge

    directory = train_judge(config, args.output, resume=args.resume)
    print(f"judge: {directory}")
    _print_figures(read_card(directory).metrics)


def _fit(args: argparse.Namespace) -> None:
    from judgekit.training.config import LikelihoodConfig

    config = settings_config(LikelihoodConfig, args.settings)
    from judgekit.judges.card import read_card
    from judgekit.training.likelihood import fit_likelihood

    directory = fit_likelihood(config, args.output, resume=args.resume)
    card = read_card(directory)
    print(f"judge: {directory}\nfitted: {card.likelihood}")
    for sentence in card.training["warnings"]:
        print(f"warning: {sentence}")
    _print_figures(card.metrics)


def _calibrate(args: argparse.Namespace) -> None:
    from judgekit.calibration.card import describe_after, describe_calibrator
    from judgekit.judges.card import read_card
    from judgekit.training.calibrate import calibrate_judge, wrap_builtin
    from judgekit.training.config import CalibrationConfig

    config = settings_config(CalibrationConfig, args.settings)
    is_builtin = args.judge.startswith("builtin:")
    if is_builtin and args.output is None:
        raise ConfigError(
            f"{args.judge} has no directory to keep a calibrator in: add --output DIR, which becomes a judge directory "
            "around it"
        )
    if not is_builtin and args.output is not None:
        raise ConfigError("--output is for builtin judges; any other judge's calibrator goes into its own directory")
    if args.judge.startswith(("http://", "https://")):
        raise ConfigError(f"{args.judge} is a service: calibrate the judge directory that it serves, and serve it anew")
    directory = wrap_builtin(args.judge, args.output) if is_builtin else Path(args.judge)
    report = calibrate_judge(directory, args.data, config)
    for candidate in report.candidates:
        print(_candidate_line(candidate))
    card = read_card(directory)
    assert card.calibrator is not None
    after = describe_after(report, card.calibrator.kind)
    print(f"calibrator {describe_calibrator(card.calibrator)}; figures before -> {after}:")
    for name in report.before:
        print(f"{name:>20}: {report.before[name]:.4f} -> {report.after[name]:.4f}")
    if report.nested is not None:
        figures = ", ".join(f"{name} {value:.4f}" for name, value in report.nested.items())
        print(f"choosing anew in every fold ({', '.join(report.chosen_by_fold)}) comes to: {figures}")
    for sentence in report.warnings:
        print(f"warning: {sentence}")
    print(f"decision {card.decision}")
    if card.conformal is not None:
        print(
            f"conformal, alpha {card.conformal.alpha:g}, {card.conformal.n_problems} problems: index sets hold mass "
            f"{card.conformal.max_mass:.3f}, certified steps have survival above {card.conformal.min_survival:.3f}, of "
            f"erroneous solutions {card.conformal.min_survival_if_wrong:.3f}"
        )


def _candidate_line(candidate: CandidateCard) -> str:
    if candidate.log_loss is None or candidate.reason is not None:
        return f"{candidate.kind:>20}: left out: {candidate.reason}"
    gap = f"above the best by {candidate.gap:.4f} +- {candidate.gap_std_error:.4f}" if candidate.gap else "the best"
    return f"{candidate.kind:>20}: log loss {candidate.log_loss:.4f} +- {candidate.std_error:.4f}, {gap}"


def _ensemble(args: argparse.Namespace) -> None:
    from judgekit.training.config import EnsembleConfig
    from judgekit.training.ensemble import build_ensemble

    config = settings_config(EnsembleConfig, args.settings)
    card = build_ensemble(args.member, args.data, args.output, config)
    assert card.ensemble is not None
    losses = card.training["member_log_loss"]
    for member, weight, loss in zip(args.member, card.ensemble.weights, losses, strict=True):
        print(f"{member}: weight {weight:.3f}, log loss alone {'none' if loss is None else format(loss, '.4f')}")
    for sentence in card.training["warnings"]:
        print(f"warning: {sentence}")
    print(f"ensemble: {args.output}, log loss {card.training['log_loss']:.4f}; decision {card.decision}")


def _prior(args: argparse.Namespace) -> None:
    from judgekit.training.config import PriorConfig
    from judgekit.training.prior import build_prior

    card = build_prior(args.data, args.output, settings_config(PriorConfig, args.settings))
    assert card.position_prior is not None
    shares = " ".join(f"{hazard:.3f}" for hazard in card.position_prior.hazards)
    print(f"prior: {args.output}, wrong by {card.position_prior.by}: {shares}; decision {card.decision}")
    _print_figures(card.metrics)


def _print_figures(figures: dict[str, float | int | None]) -> None:
    for name, value in figures.items():
        print(f"  {name}: {value:.4f}" if isinstance(value, float) else f"  {name}: {value}")


__all__ = ["add_training_commands"]
