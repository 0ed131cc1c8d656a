"""The results of all arms against the reference arm: intervals over seeds, paired tests, matched budgets.

Differences are paired by seed and tested by a paired t test; the p-values of one measure are corrected by Holm's
procedure over all arms that have one. A level that a run did not reach is not a number: it counts as the length of the
reference arm's shortest run, and so does anything longer (a restricted mean); such runs are counted separately.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import TypeVar

from judgekit.errors import JudgekitError
from judgekit.metrics.bootstrap import holm_adjust, paired_t, t_interval
from sgpo.compare.curves import RunRecord
from sgpo.compare.results import ArmResult, Comparison, Curve, Difference, Ends, Matched, Reaching, SeedResult

ALPHA = 0.05
"""Two arms differ significantly if the corrected p-value is at most this."""
Runs = Mapping[int, RunRecord]
"""Runs of one arm by seed."""
Seeds = Mapping[int, SeedResult]
"""The same runs, as results."""
Values = Mapping[int, float | None]
"""A value by seed; `None` if it is unknown."""
Measured = TypeVar("Measured", Matched, Reaching)


def compare_arms(arms: Mapping[str, Runs], *, reference: str, n_steps: int) -> Comparison:
    """Compare every arm with the reference arm; `sgpo.compare.results` defines each number.

    Args:
        arms: Runs by arm and seed. An arm may lack seeds; one without any run is left out.
        reference: Name of the reference arm.
        n_steps: Optimiser updates per run.

    Raises:
        JudgekitError: no run of the reference arm has an evaluation.
    """
    arms = {arm: runs for arm, runs in arms.items() if runs}
    means = {arm: mean_curve([run.curve for run in runs.values()]) for arm, runs in arms.items()}
    level = means[reference].final if reference in means else None
    if level is None:
        raise JudgekitError(
            f"arm {reference} has no evaluation with a checked answer, so there is nothing to compare with: look at "
            "its runs' logs"
        )
    seeds = {arm: {seed: _seed_result(run, level=level) for seed, run in runs.items()} for arm, runs in arms.items()}
    final = {arm: {seed: run.final_accuracy for seed, run in of.items()} for arm, of in seeds.items()}
    differences = correct_for_arms({arm: paired_difference(of, final[reference]) for arm, of in final.items()})
    by_rollouts = _corrected({arm: match(seeds[arm], seeds[reference], lambda run: run.rollouts) for arm in arms})
    by_seconds = _corrected({arm: match(seeds[arm], seeds[reference], lambda run: run.seconds) for arm in arms})
    to_level = _corrected({arm: reach(seeds[arm], seeds[reference]) for arm in arms})
    needed = means[reference].first_at_least(level)
    n_tested = sum(found.p_value is not None for found in differences.values())
    found = {}
    for arm, runs in arms.items():
        reached = means[arm].first_at_least(level)
        _, lo, hi = t_interval([value for value in final[arm].values() if value is not None])
        known = [run.first_frac_all_negative for run in seeds[arm].values() if run.first_frac_all_negative is not None]
        found[arm] = ArmResult(
            **next(iter(runs.values())).facts._asdict(),
            final_accuracy=means[arm].final,
            final_interval=_ends(lo, hi, most=1.0),
            difference=differences[arm],
            matched_rollouts=by_rollouts[arm],
            matched_seconds=by_seconds[arm],
            rollouts_to_reach=to_level[arm],
            updates_to_reach=reached,
            ratio=reached / needed if reached is not None and needed else None,
            ratio_of_all=reached / n_steps if reached is not None else None,
            mean=means[arm],
            first_frac_all_negative=sum(known) / len(known) if known else None,
            seeds={str(seed): run for seed, run in seeds[arm].items()},
            finding=None
            if arm == reference
            else describe_difference(differences[arm], reference=reference, n_tested=n_tested),
        )
    return Comparison(reference=reference, level=level, n_steps=n_steps, arms=found)


def mean_curve(curves: Sequence[Curve]) -> Curve:
    """Return the mean over seeds at the steps that every seed has."""
    tables = [dict(zip(curve.steps, curve.values, strict=True)) for curve in curves]
    steps = sorted(set.intersection(*(set(table) for table in tables)))
    return Curve(steps=tuple(steps), values=tuple(sum(table[step] for table in tables) / len(tables) for step in steps))


def _seed_result(run: RunRecord, *, level: float) -> SeedResult:
    reached = run.curve.first_at_least(level)
    more = {name: value for name, value in run.results.items() if name.startswith(("judge_deferred_", "judge_usd"))}
    return SeedResult(
        final_accuracy=run.curve.final,
        updates_to_reach=reached,
        rollouts_to_reach=None if reached is None else run.rollouts.at(reached),
        seconds_to_reach=None if reached is None else run.seconds.at(reached),
        first_frac_all_negative=run.first_frac_all_negative,
        judge_calls=run.results["judge_calls"],
        judge_seconds=run.results["judge_seconds"],
        seconds_per_step=run.seconds_per_step,
        curve=run.curve,
        rollouts=run.rollouts,
        seconds=run.seconds,
        guards=run.guards,
        training=dict(run.training),
        **more,
    )


def paired_difference(of_arm: Values, of_reference: Values) -> Difference:
    """Return the mean difference over the seeds for which both arms have a value, with its interval and its test."""
    pairs = [
        (value, other)
        for seed, value in of_arm.items()
        if value is not None and (other := of_reference.get(seed)) is not None
    ]
    if not pairs:
        return Difference(value=None, lo=None, hi=None, n_seeds=0)
    value, lo, hi, p_value = paired_t(*zip(*pairs, strict=True))
    return Difference(value=value, lo=lo, hi=hi, p_value=p_value, n_seeds=len(pairs))


def correct_for_arms(differences: Mapping[str, Difference]) -> dict[str, Difference]:
    """Add Holm's correction to the differences of one measure, over all arms that have a p-value."""
    tested = {arm: of.p_value for arm, of in differences.items() if of.p_value is not None}
    corrected = dict(zip(tested, holm_adjust(list(tested.values())), strict=True))
    return {arm: of.model_copy(update={"p_holm": corrected.get(arm)}) for arm, of in differences.items()}


def _corrected(measured: Mapping[str, Measured]) -> dict[str, Measured]:
    differences = correct_for_arms({arm: of.difference for arm, of in measured.items()})
    return {arm: of.model_copy(update={"difference": differences[arm]}) for arm, of in measured.items()}


def match(of_arm: Seeds, of_reference: Seeds, cost: Callable[[SeedResult], Curve]) -> Matched:
    """Compare accuracies where both runs of a seed have used as much as the run that used less in all.

    Accuracy is the mean of the last three evaluations, interpolated linearly between evaluations; runs that use the
    same amount are compared by their final accuracies.

    Args:
        of_arm: Runs of the arm by seed.
        of_reference: Runs of the reference arm by seed.
        cost: Amount that a run has used up to a step; no points if that is unknown.
    """
    rows = []
    for seed, run in of_arm.items():
        pair = (run, of_reference[seed]) if seed in of_reference else ()
        if not pair or not all(cost(item).steps and item.curve.steps for item in pair):
            continue
        budget = min(cost(item).values[-1] for item in pair)
        mine, other = (item.curve.smoothed.at(cost(item).step_at(budget)) for item in pair)
        rows.append((seed, budget, mine, other))
    if not rows:
        return Matched(budget=None, accuracy=None, reference=None, difference=paired_difference({}, {}))
    seeds, budgets, accuracies, others = zip(*rows, strict=True)
    return Matched(
        budget=fmean(budgets),
        accuracy=fmean(accuracies),
        reference=fmean(others),
        difference=paired_difference(dict(zip(seeds, accuracies, strict=True)), dict(zip(seeds, others, strict=True))),
    )


def reach(of_arm: Seeds, of_reference: Seeds) -> Reaching:
    """Return how many rollouts an arm's runs need to reach the level, and how many more than the reference arm's.

    A run that does not reach it counts as the horizon. A run that ended before the horizon without reaching the level
    is censored too early; then there is no mean.
    """
    lengths = [run.rollouts.values[-1] for run in of_reference.values() if run.rollouts.steps]
    horizon = min(lengths, default=None)
    needed = {seed: _restricted(run, horizon) for seed, run in of_arm.items()}
    known = [value for value in needed.values() if value is not None]
    mean, lo, hi = t_interval(known if len(known) == len(needed) else [])
    in_time = [
        run
        for run in of_arm.values()
        if run.rollouts_to_reach is not None and horizon is not None and run.rollouts_to_reach <= horizon
    ]
    return Reaching(
        horizon=horizon,
        mean=mean,
        **_ends(lo, hi, most=horizon or 0.0).model_dump(),
        n_reached=len(in_time),
        n_at_start=sum(run.updates_to_reach == 0 for run in of_arm.values()),
        n_not_reached=len(of_arm) - len(in_time),
        difference=paired_difference(needed, {seed: _restricted(run, horizon) for seed, run in of_reference.items()}),
    )


def _restricted(run: SeedResult, horizon: float | None) -> float | None:
    if horizon is None or not run.rollouts.steps:
        return None
    if run.rollouts_to_reach is not None:
        return min(run.rollouts_to_reach, horizon)
    return horizon if run.rollouts.values[-1] >= horizon else None


def _ends(lo: float | None, hi: float | None, *, most: float) -> Ends:
    """Clip an interval of a quantity that is in [0, most]."""
    return Ends(lo=None if lo is None else max(lo, 0.0), hi=None if hi is None else min(hi, most))


def describe_difference(difference: Difference, *, reference: str, n_tested: int) -> str:
    """Say in a sentence whether an arm ends above or below the reference arm, or not significantly different.

    Args:
        difference: Of final accuracies.
        reference: Name of the reference arm.
        n_tested: Number of arms over which p-values are corrected.
    """
    value, lo, hi, n_seeds = difference.value, difference.lo, difference.hi, difference.n_seeds
    if value is None:
        return f"no seed has a final accuracy both here and in {reference}, so the difference is unknown"
    if lo is None or hi is None or difference.p_holm is None:
        which = f"{n_seeds} seeds with the same difference of {value:+.3f}" if n_seeds > 1 else f"{n_seeds} seed"
        return f"{which}: no interval, so the difference to {reference} is not established"
    shown = f"{value:+.3f} [{lo:+.3f}, {hi:+.3f}] compared with {reference} over {n_seeds} seeds"
    if lo <= 0 <= hi:
        return f"{shown}: the interval includes 0, so the difference is not significant"
    several = f", p {difference.p_holm:.2g} corrected for {n_tested} arms" if n_tested > 1 else ""
    if difference.p_holm > ALPHA:
        return f"{shown}{several}: not significant after the correction"
    return f"{shown}{several}: significantly {'above' if value > 0 else 'below'} it"
