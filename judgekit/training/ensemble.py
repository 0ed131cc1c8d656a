"""Fits an ensemble's weights and decision threshold on problems that none of its members was trained on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from judgekit.calibration.decision import fit_decision
from judgekit.calibration.direction import direction_of
from judgekit.calibration.fingerprint import fingerprint_of
from judgekit.calibration.posterior import IdentityCalibrator
from judgekit.calibration.split import CalibrationSplit
from judgekit.errors import ConfigError, DataError
from judgekit.judges.card import JudgeCard
from judgekit.judges.ensemble import EnsembleSpec, floored_logs, pool_verdicts
from judgekit.judges.problem_lists import (
    CALIBRATION_PROBLEMS,
    TRAIN_PROBLEMS,
    ProblemList,
    calibration_problems,
    join_lists,
    refuse_trained_problems,
    train_problems,
    write_problems,
)
from judgekit.judges.trust import write_own_card
from judgekit.judging.run import as_seen
from judgekit.run import refuse_foreign
from judgekit.text.identity import group_problems
from judgekit.training.calibrate import UPSIDE_DOWN_WAY_OUT
from judgekit.training.config import EnsembleConfig, EnsembleRule
from judgekit.training.judge_files import member_folders, read_labelled, refuse_one_kind, relative_members
from judgekit.types import LabelledSolution, Verdict

_log = logging.getLogger(__name__)

Floats = NDArray[np.float64]

MAX_EXPONENT = 20.0
"""Highest weight of a product's member: where one member is never wrong, the log loss falls without end."""
_MIN_SHARE = 1e-9
_MIN_WEIGHT = 1e-6


class FittedWeights(NamedTuple):
    """Weights and the log loss of the true first error under them, next to that of each member alone."""

    weights_M: tuple[float, ...]
    """One weight per member."""
    log_loss: float
    """Mean of -log P(true first error) of the ensemble, nats."""
    member_log_loss_M: tuple[float | None, ...]
    """The same of each member over the solutions it has a verdict on; `None` if there are none."""


def build_ensemble(members: Sequence[str], data: Path, output: Path, config: EnsembleConfig) -> JudgeCard:
    """Fit an ensemble on a labelled data set and write its judge directory; returns the card.

    Members that are paths are stored relative to the directory.

    Raises:
        ConfigError: fewer than two members, or the output folder is in use.
        DataError: a member was trained on one of the problems, or the data are all correct, all wrong or without
            verdict.
        CheckpointError: a member cannot be opened.
    """
    from judgekit.judges import load_judge

    if len(members) < 2:
        raise ConfigError(f"an ensemble needs at least two members, not {len(members)}: give --member once for each")
    # The card comes last: the lists alone are what a run that was killed has left.
    refuse_foreign(output, own=(TRAIN_PROBLEMS, CALIBRATION_PROBLEMS))
    solutions = list(read_labelled([data], config.n_max))
    folders = member_folders(members)
    trained = {name: train_problems(folder) for name, folder in folders.items()}
    for name, problems in trained.items():
        refuse_trained_problems(problems, solutions, judge=name)
    refuse_one_kind(solutions, "solutions", purpose="an ensemble")
    seen = [as_seen(solution, show_reference=False) for solution in solutions]
    judges = [load_judge(name, dtype=config.dtype) for name in members]  # all of them, before any has worked for hours
    verdicts_M = [[judgement.verdict for judgement in judge.judge(seen)] for judge in judges]
    verdicts_N_M = list(zip(*verdicts_M, strict=True))
    gold_N = [solution.first_error for solution in solutions]
    fitted = fit_weights(verdicts_N_M, gold_N=gold_N, rule=config.rule)
    warnings = _find_trouble(members, verdicts_N_M, solutions, fitted)
    for sentence in warnings:
        _log.warning("%s", sentence)
    used = [item for item, row in zip(solutions, verdicts_N_M, strict=True) if any(row)]
    fingerprint = fingerprint_of(data, used)
    spec = EnsembleSpec(
        members=relative_members(members, output),
        rule=config.rule,
        weights=fitted.weights_M,
        fingerprint=fingerprint,
    )
    pooled_N = [pool_verdicts(row, spec) for row in verdicts_N_M]
    card = JudgeCard(
        judge_id=config.judge_id or output.resolve().name,
        spec=spec,
        decision=fit_decision(
            "threshold",
            pooled_N,
            gold_N=[solution.first_error for solution in solutions],
            origin=fingerprint.data,
        ),
        training={
            "config": config.model_dump(mode="json"),
            "log_loss": fitted.log_loss,
            "member_log_loss": fitted.member_log_loss_M,
            "n_without_verdict": len(solutions) - len(used),
            "warnings": warnings,
        },
    )
    write_problems(output / TRAIN_PROBLEMS, join_lists(trained.values()))
    before = join_lists(map(calibration_problems, folders.values()))
    write_problems(output / CALIBRATION_PROBLEMS, ProblemList.of(solutions) | before)
    write_own_card(output, card)  # the user named the members: one that asks a server is opened without a question
    return card


def _find_trouble(
    members: Sequence[str],
    verdicts_N_M: Sequence[Sequence[Verdict | None]],
    solutions: Sequence[LabelledSolution],
    fitted: FittedWeights,
) -> list[str]:
    """Say which members are reversed, and whether the whole is worth more than a judge that says nothing.

    Raises:
        DataError: no member gets any weight.
    """
    sentences, splits, problem_N = [], [], group_problems(solutions)
    gold_N = [solution.first_error for solution in solutions]
    for name, column in zip(members, zip(*verdicts_N_M, strict=True), strict=True):
        if not any(column):
            continue
        splits.append(CalibrationSplit.of(column, gold_N=gold_N, problem_ids_N=problem_N))
        direction = direction_of(splits[-1])
        if direction is not None and direction.is_upside_down:
            sentences.append(f"member {name}: {direction.describe()}. {UPSIDE_DOWN_WAY_OUT}")
    if not any(fitted.weights_M):
        raise DataError(
            "; ".join(
                ["no member gets any weight: on these data they say nothing about errors, or the opposite", *sentences]
            )
        )
    # what a judge comes to that knows the share of correct steps and nothing else, on the solutions judged by the most
    split = max(splits, key=lambda item: len(item.n_steps_N))
    silent = split.without_judge(float(split.ok_K.mean()))
    nothing = -float(IdentityCalibrator().logprobs_N(silent).mean())
    if fitted.log_loss >= nothing:
        sentences.append(
            f"the ensemble's log loss {fitted.log_loss:.4f} is not below {nothing:.4f}, that of an uninformative "
            "judge: calibrate the members, or leave out those that know nothing"
        )
    return sentences


def fit_weights(
    verdicts_N_M: Sequence[Sequence[Verdict | None]], *, gold_N: Sequence[int | None], rule: EnsembleRule
) -> FittedWeights:
    """Find the weights with the lowest mean log loss of the true first error.

    A product's weights lie within [0, `MAX_EXPONENT`], a mixture's are not negative and sum to 1. A member without a
    verdict is left out for that solution as in judging; a solution without any verdict does not count.

    Args:
        verdicts_N_M: Verdicts of the members on each solution. Shape (N, M).
        gold_N: True first errors, 0-based, `None` = no error. Shape (N,).
        rule: How the members are pooled.

    Raises:
        DataError: no member has a verdict on any solution.
    """
    rows = [(row, gold) for row, gold in zip(verdicts_N_M, gold_N, strict=True) if any(row)]
    if not rows:
        raise DataError(
            f"no member has a verdict on any of {len(gold_N)} solutions, so an ensemble cannot be fitted: see the "
            "reasons with `judgekit judge`"
        )
    packed = _Packed.of(rows)
    n_members = packed.probs_M_K.shape[0]
    loss = packed.product_loss if rule == "product" else packed.mixture_loss
    found = minimize(
        loss,
        np.full(n_members, 1 / n_members),
        method="L-BFGS-B" if rule == "product" else "SLSQP",
        bounds=[(0.0, MAX_EXPONENT if rule == "product" else 1.0)] * n_members,
        constraints=() if rule == "product" else ({"type": "eq", "fun": lambda weights: weights.sum() - 1},),
    )
    weights = np.clip(found.x, 0.0, None)
    weights = np.where(weights < _MIN_WEIGHT, 0.0, weights)
    weights = weights if rule == "product" else weights / weights.sum()
    return FittedWeights(tuple(weights.tolist()), float(loss(weights)), packed.member_log_loss_M())


class _Packed(NamedTuple):
    """Posteriors of all members end to end, so that the loss is a few array operations. K outcomes of all solutions."""

    probs_M_K: Floats
    """Probability of each outcome; 1 where the member has no verdict."""
    has_M_N: NDArray[np.bool_]
    """Whether the member has a verdict on the solution."""
    starts_N: NDArray[np.int64]
    """Where each solution's outcomes begin."""
    true_N: NDArray[np.int64]
    """Where each solution's true outcome lies."""

    @classmethod
    def of(cls, rows: Sequence[tuple[Sequence[Verdict | None], int | None]]) -> _Packed:
        lengths_N = [next(len(verdict.posterior) for verdict in row if verdict) for row, _ in rows]
        starts_N = np.concatenate([[0], np.cumsum(lengths_N)[:-1]]).astype(np.int64)
        none_N = np.array(lengths_N) - 1
        gold_N = [
            none if first_error is None else first_error for none, (_, first_error) in zip(none_N, rows, strict=True)
        ]
        columns_M = list(zip(*(row for row, _ in rows), strict=True))
        # Ones stand for a verdict that is missing: they leave a product as it is, and a mixture gives them no share.
        probs_M = [
            [item.posterior if item else np.ones(n) for item, n in zip(column, lengths_N, strict=True)]
            for column in columns_M
        ]
        probs_M_K = np.array([np.concatenate(posteriors) for posteriors in probs_M])
        has_M_N = np.array([[verdict is not None for verdict in column] for column in columns_M])
        return cls(probs_M_K, has_M_N, starts_N, starts_N + np.array(gold_N, dtype=np.int64))

    def product_loss(self, weights_M: Floats) -> float:
        """Return the mean of -log of the pooled probability of the true outcome, nats."""
        logs_K = weights_M @ floored_logs(self.probs_M_K)
        highest_N = np.maximum.reduceat(logs_K, self.starts_N)
        lengths_N = np.diff([*self.starts_N, len(logs_K)])
        sums_N = np.add.reduceat(np.exp(logs_K - np.repeat(highest_N, lengths_N)), self.starts_N)
        return float(np.mean(highest_N + np.log(sums_N) - logs_K[self.true_N]))

    def mixture_loss(self, weights_M: Floats) -> float:
        """Return the mean of -log of the pooled probability of the true outcome, nats."""
        shares_M_N = np.maximum(weights_M, _MIN_SHARE)[:, None] * self.has_M_N
        probs_N = (shares_M_N * self.probs_M_K[:, self.true_N]).sum(axis=0) / shares_M_N.sum(axis=0)
        return float(-floored_logs(probs_N).mean())

    def member_log_loss_M(self) -> tuple[float | None, ...]:
        """Return the log loss of each member over the solutions it has a verdict on."""
        losses_M_N = -floored_logs(self.probs_M_K[:, self.true_N])
        pairs = zip(losses_M_N, self.has_M_N, strict=True)
        return tuple(float(losses_N[has_N].mean()) if has_N.any() else None for losses_N, has_N in pairs)
