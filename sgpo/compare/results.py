"""What `compare.json` holds: curves of every run, and what they come to for each arm against the reference arm.

Names of fields are the keys in the file. `null` always means "not known" or "not defined", never 0.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from sgpo.guards import Firing

N_FINAL = 3
"""Evaluations at the end of a curve whose mean is its final accuracy."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Curve(_Part):
    """A metric over optimiser steps."""

    steps: tuple[int, ...] = ()
    """Optimiser steps, rising."""
    values: tuple[float, ...] = ()
    """One value a step."""

    @property
    def final(self) -> float | None:
        """Mean of the last three values, which damps their noise; `None` without any."""
        last = self.values[-N_FINAL:]
        return sum(last) / len(last) if last else None

    def first_at_least(self, level: float) -> int | None:
        """Return the first step at which the curve is at or above a level, without interpolation; `None` if never.

        Example:
            >>> Curve(steps=(0, 10, 20), values=(0.1, 0.4, 0.3)).first_at_least(0.3)
            10
        """
        return next((step for step, value in zip(self.steps, self.values, strict=True) if value >= level), None)

    def at(self, step: float) -> float | None:
        """Return the value at a step, on the straight line between its neighbours; the outermost ones beyond the ends.

        `None` without any value.
        """
        return float(np.interp(step, self.steps, self.values)) if self.steps else None

    def step_at(self, amount: float) -> float:
        """Return the step at which a curve that never falls comes to an amount, on straight lines between its points.

        Where it stands still at the amount, the last such step.
        """
        return float(np.interp(amount, self.values, self.steps))

    @property
    def smoothed(self) -> Curve:
        """The curve of means of each value and the two before it, whose last value is `final`."""
        ends = range(1, len(self.values) + 1)
        means = [self.model_copy(update={"values": self.values[:end]}).final or 0.0 for end in ends]
        return Curve(steps=self.steps, values=tuple(means))


class Ends(_Part):
    """Ends of a 95 % interval; `null` where there is none: one seed, or seeds that are all alike."""

    lo: float | None
    """Lower end."""
    hi: float | None
    """Upper end."""


class Difference(_Part):
    """By how much an arm exceeds the reference arm, seed by seed."""

    value: float | None
    """Mean of the differences between runs of the same seed."""
    lo: float | None
    """Lower end of Student's 95 % interval."""
    hi: float | None
    """Upper end."""
    p_value: float | None = None
    """Of a paired t test, two-sided."""
    p_holm: float | None = None
    """The p-value corrected by Holm's procedure for all arms that have one."""
    n_seeds: int
    """Seeds that both arms have a value for."""


class Matched(_Part):
    """An arm and the reference arm when both have used as much of something as the run that used less, by seed."""

    budget: float | None
    """How much that is, mean over seeds."""
    accuracy: float | None
    """The arm's accuracy there, mean over seeds."""
    reference: float | None
    """The reference arm's accuracy there, mean over the same seeds."""
    difference: Difference
    """Between these, seed by seed."""


class Reaching(_Part):
    """What an arm needs to reach the level."""

    horizon: float | None
    """The shortest run of the reference arm: what is longer counts as this long."""
    mean: float | None
    """Mean over seeds of what was needed, or of the horizon where the level was not reached until there."""
    lo: float | None
    """Lower end of Student's 95 % interval of this mean, at least 0."""
    hi: float | None
    """Upper end, at most the horizon."""
    n_reached: int
    """Seeds that reach the level until the horizon, those of the next line included."""
    n_at_start: int
    """Seeds that are at the level before the first update."""
    n_not_reached: int
    """Seeds that do not reach it until the horizon: for these, and so for the mean, more is needed than is told."""
    difference: Difference
    """To the reference arm's, seed by seed, by the same rule."""


class SeedResult(BaseModel):
    """One run. `judge_deferred_N` and `judge_usd` stand here, too, where the run has them."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)
    __pydantic_extra__: dict[str, float | None]

    final_accuracy: float | None
    """Mean of the last three evaluations."""
    updates_to_reach: int | None
    """First evaluated step at or above the level; 0 where it is there before the first update."""
    rollouts_to_reach: float | None
    """Rollouts used until then."""
    seconds_to_reach: float | None
    """Seconds of training until then."""
    first_frac_all_negative: float | None
    """Share of all-negative groups: in the first row of metrics, or of all stored groups."""
    judge_calls: float
    """Responses that were judged."""
    judge_seconds: float
    """Seconds in the judge."""
    seconds_per_step: float | None
    """Mean seconds of an optimiser step, sampling and judging included, evaluation not."""
    curve: Curve
    """Held-out accuracy."""
    rollouts: Curve
    """Rollouts used up to a step, those that DAPO samples again included; stored ones are used by the first update."""
    seconds: Curve
    """Seconds of training up to a step, evaluation not included."""
    guards: tuple[Firing, ...]
    """Guards that fired."""
    training: dict[str, Curve]
    """Metrics of training by name; see `sgpo.compare.curves`."""


class ArmFacts(NamedTuple):
    """What an arm is, as far as its configuration tells."""

    algorithm: str
    """Type of its algorithm."""
    judge: str | None
    """Id of its judge; of one with known errors, of the judge that it asks; `None` without."""
    error_kind: str | None = None
    """Which way a judge with known errors errs; `None` of others."""
    error_rate: float | None = None
    """On which share of solutions it errs; `None` of others."""


class ArmResult(_Part):
    """One arm over all its seeds."""

    algorithm: str
    """Type of its algorithm."""
    judge: str | None
    """Id of its judge; of one with known errors, of the judge that it asks; `null` without."""
    error_kind: str | None
    """`early`, `late` or `random`, of a judge with known errors; `null` of others."""
    error_rate: float | None
    """Share of solutions on which such a judge errs; `null` of others."""
    final_accuracy: float | None
    """Of the mean curve."""
    final_interval: Ends
    """Student's interval of the seeds' final accuracies, within [0, 1]."""
    difference: Difference
    """Of final accuracies, that is, at equal updates, to the reference arm's."""
    matched_rollouts: Matched
    """Accuracies at equal numbers of rollouts."""
    matched_seconds: Matched
    """Accuracies at equal seconds of training."""
    rollouts_to_reach: Reaching
    """Rollouts to the level."""
    updates_to_reach: int | None
    """First step at which the mean curve is at or above the level; `null` where it never is."""
    ratio: float | None
    """This by the same of the reference arm; `null` also where that is 0."""
    ratio_of_all: float | None
    """This by the updates of a run."""
    mean: Curve
    """Held-out accuracy, mean over seeds."""
    first_frac_all_negative: float | None
    """Mean over seeds."""
    seeds: dict[str, SeedResult]
    """Runs by seed."""
    finding: str | None
    """What follows for final accuracy, in words; `null` for the reference arm."""


class Trend(_Part):
    """How an algorithm's final accuracy changes with the rate at which its judge errs by design."""

    error_kind: str
    """Which way the judge errs."""
    algorithm: str
    """Type of the algorithm."""
    judge: str | None
    """The judge that is made to err."""
    rates: tuple[float, ...]
    """Error rates of its arms, rising."""
    slope: Difference
    """Change of final accuracy for an error rate that is higher by 1: a line through all rates, seed by seed."""


class Comparison(_Part):
    """All arms in the order of the configuration."""

    schema_version: Literal[1] = 1
    """Version of the file's layout."""
    reference: str
    """Name of the reference arm."""
    level: float
    """Its final accuracy, which the others are to reach."""
    n_steps: int
    """Optimiser updates of a run."""
    arms: dict[str, ArmResult]
    """By name."""
    trends: tuple[Trend, ...] = ()
    """Where judges err by design: one a kind of error and algorithm, p-values corrected for all of them."""

    @property
    def best_first(self) -> dict[str, ArmResult]:
        """Arms by falling final accuracy; those without one last."""
        return dict(sorted(self.arms.items(), key=lambda item: -(item[1].final_accuracy or -1.0)))

    def rows(self) -> list[dict[str, Any]]:
        """Return one row a run, for `results.jsonl`: what each run is, and what it came to."""
        rows = []
        for name, arm in self.arms.items():
            for seed, run in arm.seeds.items():
                dead, tokens = (run.training.get(name, Curve()) for name in ("frac_all_negative", "tokens"))
                rows.append(
                    {
                        "arm": name,
                        "seed": int(seed),
                        "algorithm": arm.algorithm,
                        "judge": arm.judge,
                        "error_kind": arm.error_kind,
                        "error_rate": arm.error_rate,
                        "final_accuracy": run.final_accuracy,
                        "updates_to_reach": run.updates_to_reach,
                        "rollouts_to_reach": run.rollouts_to_reach,
                        "updates": max(run.curve.steps, default=None),
                        "rollouts": run.rollouts.values[-1] if run.rollouts.values else None,
                        "tokens": tokens.values[-1] if tokens.values else None,
                        "seconds": run.seconds.values[-1] if run.seconds.values else None,
                        "judge_calls": run.judge_calls,
                        "judge_seconds": run.judge_seconds,
                        "first_frac_all_negative": run.first_frac_all_negative,
                        "last_frac_all_negative": dead.final,
                        "guards": [
                            {"guard": fired.guard, "step": fired.step, "action": fired.action} for fired in run.guards
                        ],
                    }
                )
        return rows
