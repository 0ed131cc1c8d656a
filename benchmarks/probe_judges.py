"""What probe judges reach within a set of labels, across sets, across policies, and with few labels.

Reads the features that `judgekit train kind=probe` has left in its run folders, so that no model runs here:

    judgekit train kind=probe model=MODEL data=[data/a] --output runs/a
    judgekit train kind=probe model=MODEL data=[data/b] --output runs/b
    python benchmarks/probe_judges.py runs/a runs/b

Within a set, features, head and threshold are chosen without the problems reported on (nested folds). Across sets, all
three come from the other set. The two floors that read nothing are fitted and reported in the same ways. Intervals are
95 %, over problems. F1 is ProcessBench's, times 100.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from judgekit.io import read_json, read_records
from judgekit.store import Store
from judgekit.training.config import HeadKind
from judgekit.training.probe import SolutionFeatures, features_of, honest_metrics
from judgekit.training.probe_heads import Honest, Labelled, fit_probe, folds, nested, verdicts_of
from judgekit.types import LabelledSolution

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
            show(label, part, nested(part, kinds=KINDS))
    for source, target in (tuple(sets), tuple(sets)[::-1]):
        rule_says(f"labels of {source} alone, reported on {target}")
        for (label, there), (_, here) in zip(parts(*sets[source][:2]), parts(*sets[target][:2]), strict=True):
            show(label, here, carried_over(there, here))
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


def carried_over(there: Labelled, here: Labelled) -> Honest:
    """Fit on one set, threshold too, and judge another."""
    fitted = fit_probe(there, kinds=KINDS)
    verdicts = verdicts_of(fitted.head, here.features_N)
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
                judged = carried_over(data.take(mine), data.take(theirs))
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
        values.append(100 * (honest_metrics(here, carried_over(data.take(chosen), here))["f1"].value or 0.0))
    return f"{np.mean(values):.1f} (draws {min(values):.1f} to {max(values):.1f})"


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
