"""What probe judges reach within a set of labels, across sets, across policies, and with few labels.

Reads the features that `judgekit train kind=probe` has left in its run folders, so that no model runs here:

    judgekit train kind=probe model=MODEL data=[data/a] --output runs/a
    judgekit train kind=probe model=MODEL data=[data/b] --output runs/b
    python benchmarks/probe_judges.py runs/a runs/b

Within a set, features, head and decision are chosen without the problems reported on (nested folds). Across sets, all
three come from the other set: as they are, and adapted as `judgekit adapt` does, by solutions of other problems of the
set reported on, without their labels. Half of the generators is judged by labels of the other half. The two floors that
read nothing are fitted and reported in the same ways. Calibration is that of the nested verdicts, and of index sets
with thresholds from the other folds. Intervals are 95 %, over problems. F1 is ProcessBench's, times 100.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from judgekit.calibration.conformal import IndexSets, index_set
from judgekit.io import read_json, read_records
from judgekit.judges.probe.heads import DomainHead, domain_of
from judgekit.metrics.steps import collect_reached_steps, compute_calibration
from judgekit.store import Store
from judgekit.training.config import HeadKind
from judgekit.training.probe.fit import SolutionFeatures, features_of, honest_metrics
from judgekit.training.probe.heads import Honest, Labelled, cross_fit, fit_probe, folds, nested, verdicts_of
from judgekit.types import DecisionKind, LabelledSolution, Verdict

KINDS: tuple[HeadKind, ...] = ("linear", "mean")
SIZES = (25, 50, 100, 200, 300)
GROUPS = {
    "floor: position": ("position/",),
    "floor: position, length": ("position/", "length/"),
    "no hidden states": ("position/", "length/", "wording/", "numbers/", "symbolic/", "surprisal/"),
}
"""Beside all features: some groups alone."""


def main() -> None:
    """Print the tables of two runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs=2, help="two finished runs of judgekit train kind=probe")
    parser.add_argument("--draws", type=int, default=5, help="draws of labels behind each point of the learning curve")
    args = parser.parse_args()
    sets = {run.name: load(run) for run in args.runs}
    for name, (data, _, _) in sets.items():
        rule_says(f"{name}: {len(data.gold_N)} solutions of {len(set(data.group_N))} problems, in domain, nested")
        for label, part in parts(*sets[name][:2]):
            show(label, part, honest := nested(part, kinds=KINDS))
            show_calibration(part, honest.verdicts_N)
        data = sets[name][0]
        show("first step below threshold", data, nested(data, kinds=KINDS, decision="threshold"))
    for source, target in (tuple(sets), tuple(sets)[::-1]):
        rule_says(f"labels of {source} alone, reported on {target}")
        for (label, there), (_, here) in zip(parts(*sets[source][:2]), parts(*sets[target][:2]), strict=True):
            show(label, here, carried_over(there, here))
            show(f"{label}, adapted", here, adapted := carried_over(there, here, adapt=True))
            show_calibration(here, adapted.verdicts_N, source=there)
    for name, (data, _, generator_N) in sets.items():
        rule_says(f"{name}: labels of half of the generators, reported on the other half, problems apart")
        show("all features", data, across(data, generator_N))
        rule_says(f"{name}: labels of a few solutions, reported on the problems left, mean over {args.draws} draws")
        for size in SIZES:
            print(f"{size:>26}  F1 {learning_point(data, size=size, n_draws=args.draws)}")


def rule_says(heading: str) -> None:
    """Print a heading."""
    print(f"\n{heading}")


def load(run: Path) -> tuple[Labelled, tuple[str, ...], list[str]]:
    """Return features, their names, and the generator of each solution of a run."""
    paths = read_json(run / "config.json")["data"]
    solutions = [item for path in paths for item in read_records(Path(path), LabelledSolution)]
    store = Store(run / "features", SolutionFeatures, key=lambda item: item.solution_id)
    solutions = [solution for solution in solutions if solution.id in store]
    data, names = features_of(solutions, store)
    return data, names, [str(solution.generator) for solution in solutions]


def parts(data: Labelled, names: Sequence[str]) -> list[tuple[str, Labelled]]:
    """Return the data with all features and with some groups alone."""
    n_features = data.features_N[0].shape[1]
    found = [("all features", data)]
    for label, kept in GROUPS.items():
        dropped = {f for f in range(n_features) if f >= data.n_plain or not names[f].startswith(kept)}
        found.append((label, data.without(dropped)))
    return found


def carried_over(
    there: Labelled, here: Labelled, *, decision: DecisionKind = "threshold", adapt: bool = False
) -> Honest:
    """Fit on one set, decision too, and judge another; adapted to each fold by features of the others' solutions."""
    fitted = fit_probe(there, kinds=KINDS, decision=decision)
    verdicts = verdicts_of(fitted.head, here.features_N)
    if adapt:
        assert isinstance(fitted.head, DomainHead)
        for rest, held_out in folds(here, n_folds=5, seed=0):
            mean_F, scale_F = domain_of([here.features_N[i] for i in rest])
            head = replace(fitted.head, mean_F=mean_F, scale_F=scale_F)
            found = verdicts_of(head, [here.features_N[i] for i in held_out])
            for i, verdict in zip(held_out, found, strict=True):
                verdicts[i] = verdict
    return Honest(verdicts, [verdict.decide(fitted.rule) for verdict in verdicts])


def across(data: Labelled, generator_N: Sequence[str]) -> Honest:
    """Judge each half of the generators by labels of the other half, on problems that these labels are not of."""
    half = {name: index % 2 for index, name in enumerate(sorted(set(generator_N)))}
    found = {}
    for rest, held_out in folds(data, n_folds=5, seed=0):
        for side in (0, 1):
            mine = [i for i in rest if half[generator_N[i]] != side]
            theirs = [i for i in held_out if half[generator_N[i]] == side]
            if theirs:
                judged = carried_over(data.take(mine), data.take(theirs), decision="argmax")
                found |= dict(zip(theirs, zip(judged.verdicts_N, judged.predicted_N, strict=True), strict=True))
    return Honest([found[i][0] for i in sorted(found)], [found[i][1] for i in sorted(found)])


def learning_point(data: Labelled, *, size: int, n_draws: int) -> str:
    """Return the mean F1, and its spread over draws, of heads fitted on that many solutions."""
    values = []
    for seed in range(n_draws):
        order = np.random.default_rng(seed).permutation(len(data.gold_N)).tolist()
        chosen, problems = order[:size], {data.group_N[i] for i in order[:size]}
        rest = [i for i in order if data.group_N[i] not in problems]
        here = data.take(rest)
        values.append(
            100 * (honest_metrics(here, carried_over(data.take(chosen), here, decision="argmax"))["f1"].value or 0.0)
        )
    return f"{np.mean(values):.1f} (draws {min(values):.1f} to {max(values):.1f})"


def show_calibration(data: Labelled, verdicts_N: Sequence[Verdict], *, source: Labelled | None = None) -> None:
    """Print ECE of steps up to the first error, and size and coverage of 90 % index sets.

    Thresholds of the sets come from the other folds, or from cross-fitted verdicts on the set that labels came from.
    """
    steps = collect_reached_steps([verdict.p_ok_S for verdict in verdicts_N], gold_N=data.gold_N)
    ece = compute_calibration(steps.p_ok_K, steps.ok_K, n_bins=15).ece
    if source is None:
        learned_on = [
            (data.take(rest), [verdicts_N[i] for i in rest], held_out)
            for rest, held_out in folds(data, n_folds=5, seed=0)
        ]
    else:
        of_source_N = cross_fit(source, [KINDS[-1]], n_folds=5, seed=0)[KINDS[-1]]
        learned_on = [(source, of_source_N, list(range(len(verdicts_N))))]
    sizes, covered = [], []
    for known, known_N, rows in learned_on:
        posterior_N_O = [verdict.posterior for verdict in known_N]
        sets = IndexSets(alpha=0.1).fit(posterior_N_O, gold_N=known.gold_N, problem_N=known.group_N)
        for i in rows:
            indices = index_set(verdicts_N[i].posterior, max_mass=sets.max_mass_)
            sizes.append(len(indices))
            covered.append(data.gold_N[i] in indices)
    print(f"{'':>26}  ECE {ece:.3f}; 90 % index sets of {np.mean(sizes):.2f}, cover {100 * np.mean(covered):.1f} %")


def show(label: str, data: Labelled, honest: Honest) -> None:
    """Print a row."""
    found = honest_metrics(data, honest)
    f1, loss = found["f1"], found["log_loss"]
    accuracies = f"{100 * (found['error_accuracy'].value or 0):.1f}/{100 * (found['correct_accuracy'].value or 0):.1f}"
    print(
        f"{label:>26}  F1 {100 * (f1.value or 0):.1f} [{100 * (f1.lo or 0):.1f}, {100 * (f1.hi or 0):.1f}]"
        f"  error/correct {accuracies}  log loss {loss.value:.3f} [{loss.lo:.3f}, {loss.hi:.3f}]"
    )


if __name__ == "__main__":
    main()
