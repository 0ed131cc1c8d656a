"""Commands that build judges and the small language models under them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from judgekit.cli.command import OUTPUT, Argument, Command
from judgekit.training.api import CONFIGS, TrainingConfig, calibrated_directory, train_config
from judgekit.training.config import (
    AdaptConfig,
    CalibrationConfig,
    CascadeConfig,
    EnsembleConfig,
    LanguageModelConfig,
    LikelihoodConfig,
    PriorConfig,
    ProbeConfig,
)

_DATA = Argument("--data", type=Path, required=True, help="data set of labelled solutions")
_JUDGE_DIRECTORY = Argument("--output", type=Path, required=True, help="judge directory to write; refused if in use")


def _train(args: argparse.Namespace, config: TrainingConfig) -> None:
    directory = train_config(config, args.output, resume=args.resume)
    if isinstance(config, LanguageModelConfig):
        print(f"language model: {directory}")
        return
    from judgekit.judges.card import read_card

    card = read_card(directory)
    print(f"judge: {directory}")
    if isinstance(config, LikelihoodConfig):
        from judgekit.judges.steps.specs import LikelihoodSpec

        fitted = card.spec_as(LikelihoodSpec).fitted
        print(
            f"logit P(step ok) = {fitted.bias:.3g} {fitted.max_weight:+.3g} x largest surprisal "
            f"{fitted.mean_weight:+.3g} x mean surprisal; decision {card.decision}"
        )
        for sentence in card.training["warnings"]:
            print(f"warning: {sentence}")
    elif isinstance(config, ProbeConfig):
        _print_probe(card.training, decision=str(card.decision))
    else:
        print(f"decision {card.decision}")
    _print_figures(card.metrics)
    if not card.metrics and not isinstance(config, ProbeConfig):
        print(f"no figures yet: judgekit calibrate --judge {directory} --data DATA, then judgekit eval")


def _print_probe(training: Mapping[str, Any], *, decision: str) -> None:
    """Print what cross-fitting says of a probe judge, beside judges that do not read, and what its features add."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from judgekit.report.terminal import console, figure_name, figure_text
    from judgekit.training.floors import FLOORS

    print(f"head: {training['head']}; {decision}")
    table = Table("", "this judge", *FLOORS, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name, found in training["cross_fitted"].items():
        beside = [training[floor][name] for floor in FLOORS]
        table.add_row(figure_name(name), *(figure_text(name, *each.values()) for each in (found, *beside)))
    print("cross-fitted over problems, with 95 % intervals:")
    console().print(table)
    worth = training.get("ablation", {})
    if worth:
        print("what leaving a group of features out costs, nats of log loss with 95 % intervals:")
    for group, found in worth.items():
        print(f"  {group:<12} {figure_text(group, *found.values())}")
    for source, said in training.get("weak", {}).items():
        taken = f"weight {said['weight']:g}, right despite error {said['right_despite_error']:g}"
        how = taken if said["weight"] else "left out, because no weight helps"
        print(
            f"{source}: {said['solutions']} weak labels, {how}; with the choice made in every fold, they are worth "
            f"{figure_text(source, *said['worth'].values())} nats of held-out log loss"
        )


TRAIN = Command(
    summary="Train the kind of judge that kind= names, or a tiny language model as its base.",
    example="judgekit train configs/judge/smollm2.yaml lr=1e-4 --output runs/judge",
    run=_train,
    arguments=OUTPUT,
    config=CONFIGS,
)
PRETRAIN = Command(
    summary="Same as train kind=language_model: a tiny language model, a base that needs no download.",
    example="judgekit pretrain configs/quickstart/base.yaml --output runs/base",
    run=_train,
    arguments=OUTPUT,
    config=LanguageModelConfig,
)
FIT = Command(
    summary="Same as train kind=likelihood: map a language model's surprise at a step to P(step ok).",
    example='judgekit fit model=runs/base/model "data=[data/train]" --output runs/judge',
    run=_train,
    arguments=OUTPUT,
    config=LikelihoodConfig,
)


def _adapt(args: argparse.Namespace, config: AdaptConfig) -> None:
    from judgekit.training.probe.adapt import adapt_probe

    directory = adapt_probe(args.judge, args.data, config, args.output, resume=args.resume)
    print(f"judge: {directory}; the guarantees in judge.json still refer to its original domain")


ADAPT = Command(
    summary="Adapt a probe judge to another domain with unlabelled solutions, by rescaling its features.",
    example="judgekit adapt --judge runs/probe/judge --data data/rollouts --output runs/adapted",
    run=_adapt,
    arguments=(
        Argument("--judge", type=Path, required=True, help="judge directory of a probe judge"),
        Argument(
            "--data", type=Path, required=True, help=("solutions or rollouts of the new domain; labels are ignored")
        ),
        *OUTPUT,
    ),
    config=AdaptConfig,
)


def _calibrate(args: argparse.Namespace, config: CalibrationConfig) -> None:
    from judgekit.calibration.card import describe_after, describe_calibrator
    from judgekit.judges.card import read_card
    from judgekit.report.terminal import figure_name
    from judgekit.training.calibrate import calibrate_judge

    directory = calibrated_directory(args.judge, args.output)
    report = calibrate_judge(directory, args.data, config)
    for candidate in report.candidates:
        if candidate.log_loss is None or candidate.reason is not None:
            print(f"{candidate.kind:>20}: left out: {candidate.reason}")
            continue
        gap = f"above the best by {candidate.gap:.4f} +- {candidate.gap_std_error:.4f}" if candidate.gap else "the best"
        print(f"{candidate.kind:>20}: log loss {candidate.log_loss:.4f} +- {candidate.std_error:.4f}, {gap}")
    card = read_card(directory)
    assert card.calibrator is not None
    after = describe_after(report, card.calibrator.kind)
    print(f"calibrator {describe_calibrator(card.calibrator)}; figures before -> {after}:")
    for name in report.before:
        print(f"{figure_name(name):>36}: {report.before[name]:.4f} -> {report.after[name]:.4f}")
    for floor, reached in report.floors.items():
        figures = ", ".join(f"{figure_name(name)} {value:.4f}" for name, value in reached.items())
        print(f"{floor}, cross-fitted: {figures}")
    if report.nested is not None:
        figures = ", ".join(f"{figure_name(name)} {value:.4f}" for name, value in report.nested.items())
        print(f"with the choice made in every fold ({', '.join(report.chosen_by_fold)}): {figures}")
    for sentence in report.warnings:
        print(f"warning: {sentence}")
    print(f"decision {card.decision}")
    if card.conformal is not None:
        print(
            f"conformal, alpha {card.conformal.alpha:g}, {card.conformal.n_problems} problems: index sets hold mass "
            f"{card.conformal.max_mass:.3f}, certified steps have survival above {card.conformal.min_survival:.3f}, in "
            f"wrong solutions above {card.conformal.min_survival_if_wrong:.3f}"
        )


CALIBRATE = Command(
    summary="Choose and fit a calibrator and a threshold on problems the judge was not trained on; rewrites its "
    "judge.json.",
    example="judgekit calibrate --judge runs/judge/judge --data data/calibration",
    run=_calibrate,
    arguments=(
        Argument("--judge", required=True, help="judge directory; with --output also builtin:NAME"),
        _DATA,
        Argument("--output", type=Path, metavar="DIR", help="judge directory to write, for a builtin judge"),
    ),
    config=CalibrationConfig,
)


def _ensemble(args: argparse.Namespace, config: EnsembleConfig) -> None:
    from judgekit.judges.ensemble import EnsembleSpec
    from judgekit.training.ensemble import build_ensemble

    card = build_ensemble(args.member, args.data, args.output, config)
    losses = card.training["member_log_loss"]
    for member, weight, loss in zip(args.member, card.spec_as(EnsembleSpec).weights, losses, strict=True):
        print(f"{member}: weight {weight:.3f}, log loss alone {'none' if loss is None else format(loss, '.4f')}")
    for sentence in card.training["warnings"]:
        print(f"warning: {sentence}")
    print(f"ensemble: {args.output}, log loss {card.training['log_loss']:.4f}; decision {card.decision}")


ENSEMBLE = Command(
    summary="Combine several judges: fit their weights and a threshold on problems none was trained on.",
    example="judgekit ensemble --member runs/judge/judge --member builtin:symbolic --data data/calibration "
    "rule=product --output runs/ensemble",
    run=_ensemble,
    arguments=(
        Argument("--member", action="append", required=True, help="judge directory, Hub id or builtin:NAME"),
        _DATA,
        _JUDGE_DIRECTORY,
    ),
    config=EnsembleConfig,
)


def _cascade(args: argparse.Namespace, config: CascadeConfig) -> None:
    from judgekit.judges.cascade import CascadeSpec
    from judgekit.training.cascade import build_cascade

    card = build_cascade(args.member, args.data, args.output, config)
    spec = card.spec_as(CascadeSpec)
    promise = spec.promise
    assert promise is not None
    for sentence in card.training["warnings"]:
        print(f"warning: {sentence}")
    for member, stage, cost in zip(args.member, (*spec.stages, None), card.training["costs"], strict=True):
        if stage is None:
            sure = "answers the rest"
        else:
            hi = "never decides no error" if stage.hi is None else f"no error from P(none) {stage.hi:.4f}"
            lo = "never decides an error" if stage.lo is None else f"an error if all else has at most {stage.lo:.4f}"
            sure = f"{hi}, {lo}"
        print(f"{member}: cost {cost:.4g}; {sure}")
    if promise.shown is not None:
        wrong = "" if promise.n_wrong is None else f", {promise.n_wrong} of them wrong"
        print(
            f"guarantee: {promise.about} at most {promise.at_most:g} with probability {1 - promise.delta:g}; tested on "
            f"{promise.n_tested} problems, of which {promise.n_sure} are answered before the last "
            f"member{wrong}; the upper bound is {promise.shown:.4f}"
        )
    print(f"cascade: {args.output}; decision {card.decision}; on problems that were not used to choose anything:")
    _print_figures(card.metrics)


CASCADE = Command(
    summary="Chain several judges, cheap ones first, with a guaranteed error or cost.",
    example="judgekit cascade --member builtin:symbolic --member runs/judge/judge --data data/calibration "
    "max_error=0.1 --output runs/cascade",
    run=_cascade,
    arguments=(
        Argument(
            "--member",
            action="append",
            required=True,
            help="judge directory, Hub id, address or builtin:NAME; in order of use, cheap ones first",
        ),
        _DATA,
        _JUDGE_DIRECTORY,
    ),
    config=CascadeConfig,
)


def _prior(args: argparse.Namespace, config: PriorConfig) -> None:
    from judgekit.judges.position_prior import PositionPriorSpec
    from judgekit.training.prior import build_prior

    card = build_prior(args.data, args.output, config)
    spec = card.spec_as(PositionPriorSpec)
    shares = ", ".join(f"{100 * hazard:.1f}" for hazard in spec.hazards)
    print(f"judge: {args.output}\nshare of steps that are the first error, by {spec.by}, in percent: {shares}")
    print(f"decision {card.decision}; F1 cross-fitted over problems:")
    _print_figures(card.metrics)


PRIOR = Command(
    summary="Count where first errors are in labelled solutions: a baseline judge that reads no text.",
    example="judgekit prior --data data/train --output runs/prior",
    run=_prior,
    arguments=(_DATA, _JUDGE_DIRECTORY),
    config=PriorConfig,
)


def _print_figures(figures: Mapping[str, float | int | None]) -> None:
    from judgekit.report.terminal import figure_name, figure_text

    for key, value in figures.items():
        print(f"  {figure_name(key):<36} {figure_text(key, value)}")
