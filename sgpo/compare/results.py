"""The contents of `compare.json`: the curves of every run, and each arm's results against the reference arm.

Field names are the keys in the file. `null` always means "unknown" or "undefined", never 0.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from sgpo.guards import Firing

N_FINAL = 3
"""The final accuracy is the mean of this many evaluations at the end of a curve."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Curve(_Part):
    """A metric over optimiser steps."""

    steps: tuple[int, ...] = ()
    """Optimiser steps, ascending."""
    values: tuple[float, ...] = ()
    """One value per step."""

    @property
    def final(self) -> float | None:
        """Mean of the last three values, which reduces their noise; `None` without any."""
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
        """Return the value at a step by linear interpolation; beyond the ends, the outermost value.

        `None` without any value.
        """
        return float(np.interp(step, self.steps, self.values)) if self.steps else None

    def step_at(self, amount: float) -> float:
        """Return the step at which a curve that never falls reaches an amount, by linear interpolation.

        If it stays at the amount, the last such step.
        """
        return float(np.interp(amount, self.values, self.steps))

    @property
    def smoothed(self) -> Curve:
        """The moving mean of each value and the two before it; its last value is `final`."""
        ends = range(1, len(self.values) + 1)
        means = [self.model_copy(update={"values": self.values[:end]}).final or 0.0 for end in ends]
        return Curve(steps=self.steps, values=tuple(means))


class Ends(_Part):
    """A 95 % interval; `null` if there is none: one seed, or seeds with equal values."""

    lo: float | None
    """Lower end."""
    hi: float | None
    """Upper end."""


class Difference(_Part):
    """By how much an arm exceeds the reference arm, paired by seed."""

    value: float | None
    """Mean of the differences between runs of the same seed."""
    lo: float | None
    """Lower end of Student's 95 % interval."""
    hi: float | None
    """Upper end."""
    p_value: float | None = None
    """Of a two-sided paired t test."""
    p_holm: float | None = None
    """The p-value with Holm's correction over all arms that have one."""
    n_seeds: int
    """Seeds for which both arms have a value."""


class Matched(_Part):
    """An arm and the reference arm at equal use of a resource: per seed, as much as the run that used less in all."""

    budget: float | None
    """How much that is, mean over seeds."""
    accuracy: float | None
    """The arm's accuracy at that point, mean over seeds."""
    reference: float | None
    """The reference arm's accuracy at that point, mean over the same seeds."""
    difference: Difference
    """Difference between the two, paired by seed."""


class Reaching(_Part):
    """What an arm needs to reach the level."""

    horizon: float | None
    """The length of the reference arm's shortest run; anything longer counts as this."""
    mean: float | None
    """Mean over seeds of the amount needed, or of the horizon where the level was not reached before it."""
    lo: float | None
    """Lower end of Student's 95 % interval of this mean, at least 0."""
    hi: float | None
    """Upper end, at most the horizon."""
    n_reached: int
    """Seeds that reach the level within the horizon, including those of the next field."""
    n_at_start: int
    """Seeds that are at the level before the first update."""
    n_not_reached: int
    """Seeds that do not reach it within the horizon. For these, and so for the mean, the true amount is larger."""
    difference: Difference
    """Difference to the reference arm, paired by seed, by the same rule."""


class SeedResult(BaseModel):
    """One run. Also holds `judge_deferred_N` and `judge_usd`, if the run has them."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)
    __pydantic_extra__: dict[str, float | None]

    final_accuracy: float | None
    """Mean of the last three evaluations."""
    updates_to_reach: int | None
    """First evaluated step at or above the level; 0 if it is reached before the first update."""
    rollouts_to_reach: float | None
    """Rollouts used until then."""
    seconds_to_reach: float | None
    """Seconds of training until then."""
    first_frac_all_negative: float | None
    """Fraction of all-negative groups: in the first row of metrics, or among all stored groups."""
    judge_calls: float
    """Responses that were judged."""
    judge_seconds: float
    """Seconds in the judge."""
    seconds_per_step: float | None
    """Mean seconds per optimiser step, including sampling and judging but not evaluation."""
    curve: Curve
    """Held-out accuracy."""
    rollouts: Curve
    """Rollouts used up to each step, including those that DAPO samples again; stored ones are used by the first
    update."""
    seconds: Curve
    """Seconds of training up to each step, without evaluation."""
    guards: tuple[Firing, ...]
    """Guards that fired."""
    training: dict[str, Curve]
    """Metrics of training by name; see `sgpo.compare.curves`."""


class ArmFacts(NamedTuple):
    """What an arm is, as far as its configuration says."""

    algorithm: str
    """Type of its algorithm."""
    judge: str | None
    """Id of its judge; with simulated errors, of the judge underneath; `None` without."""
    error_kind: str | None = None
    """Kind of simulated error; `None` without."""
    error_rate: float | None = None
    """Fraction of solutions with a simulated error; `None` without."""


class ArmResult(_Part):
    """One arm over all its seeds."""

    algorithm: str
    """Type of its algorithm."""
    judge: str | None
    """Id of its judge; with simulated errors, of the judge underneath; `null` without."""
    error_kind: str | None
    """`early`, `late` or `random`: kind of simulated error; `null` without."""
    error_rate: float | None
    """Fraction of solutions with a simulated error; `null` without."""
    final_accuracy: float | None
    """Final accuracy of the mean curve."""
    final_interval: Ends
    """Student's interval of the seeds' final accuracies, within [0, 1]."""
    difference: Difference
    """Difference in final accuracy to the reference arm, that is, at equal updates."""
    matched_rollouts: Matched
    """Accuracies after equal numbers of rollouts."""
    matched_seconds: Matched
    """Accuracies after equal seconds of training."""
    rollouts_to_reach: Reaching
    """Rollouts needed to reach the level."""
    updates_to_reach: int | None
    """First step at which the mean curve is at or above the level; `null` if it never is."""
    ratio: float | None
    """That step divided by the reference arm's; `null` also if the latter is 0."""
    ratio_of_all: float | None
    """That step divided by the updates of a run."""
    mean: Curve
    """Held-out accuracy, mean over seeds."""
    first_frac_all_negative: float | None
    """Mean over seeds."""
    seeds: dict[str, SeedResult]
    """Runs by seed."""
    finding: str | None
    """Conclusion about final accuracy, in words; `null` for the reference arm."""


class Trend(_Part):
    """How an algorithm's final accuracy changes with the rate of its judge's simulated errors."""

    error_kind: str
    """Kind of error."""
    algorithm: str
    """Type of the algorithm."""
    judge: str | None
    """The judge that is made to err."""
    rates: tuple[float, ...]
    """Error rates of its arms, ascending."""
    slope: Difference
    """Change of final accuracy per unit of error rate (0 to 1): a line through all rates, per seed."""


class Comparison(_Part):
    """All arms in the order of the configuration."""

    schema_version: Literal[1] = 1
    """Version of the file's layout."""
    reference: str
    """Name of the reference arm."""
    level: float
    """Its final accuracy, which is the level for the others to reach."""
    n_steps: int
    """Optimiser updates per run."""
    arms: dict[str, ArmResult]
    """By name."""
    trends: tuple[Trend, ...] = ()
    """With simulated judge errors: one per kind of error and algorithm, p-values corrected over all of them."""

    @property
    def best_first(self) -> dict[str, ArmResult]:
        """Arms by decreasing final accuracy; those without one last."""
        return dict(sorted(self.arms.items(), key=lambda item: -(item[1].final_accuracy or -1.0)))

    def rows(self) -> list[dict[str, Any]]:
        """Return one row per run, for `results.jsonl`: what each run is, and its results."""
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
