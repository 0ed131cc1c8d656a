"""What outcomes of responses are worth beside a few exact labels, on problems that nobody gave an outcome for.

    judgekit build processbench --input olympiadbench.jsonl --output data/olympiadbench
    judgekit build relabel --input GROUPS.jsonl --output data/weak
    python -m benchmarks.weak_labels data/olympiadbench data/weak

Features are those of the text alone, the head is linear. Exact labels are drawn from solutions to problems that have
responses, all other exactly labelled solutions are reported on. Log loss of the true first error, nats.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from judgekit.io import read_records
from judgekit.judges.probe.features import GROUPS
from judgekit.judges.probe.heads import Floats
from judgekit.text.identity import group_problems
from judgekit.training.probe.evidence import Reading, Weak
from judgekit.training.probe.fit import AGAINST, mean_rise
from judgekit.training.probe.heads import Labelled, fit_heads, fit_probe, log_losses, verdicts_of
from judgekit.types import LabelledSolution, Solution, WeaklyLabelledSolution

SIZES = (50, 100, 300)
FIXED = [Reading(weight, rate) for weight in (0.03, 0.1, 0.3, 1.0) for rate in (1.0, 0.1, 0.0)]


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", type=Path, help="data set of labelled solutions")
    parser.add_argument("weak", type=Path, help="data set of weakly labelled solutions, partly to the same problems")
    parser.add_argument("--draws", type=int, default=4, help="draws of exact labels")
    args = parser.parse_args()
    exact = list(read_records(args.labels, LabelledSolution))
    rows = list(read_records(args.weak, WeaklyLabelledSolution))
    numbers: dict[str, int] = {}
    group_N = [numbers.setdefault(problem, len(numbers)) for problem in group_problems([*exact, *rows])]
    names = [f"{group}/{name}" for group in GROUPS for name in GROUPS[group]("1", ["1"])]
    data = Labelled(
        [text_features(row) for row in exact],
        [row.first_error for row in exact],
        group_N[: len(exact)],
        [-1 if name.partition(":")[0] in AGAINST else 0 for name in names],
    )
    features_N, weak_group_N = [text_features(row) for row in rows], group_N[len(exact) :]
    weak = Weak.of(rows, features_N=features_N, group_N=weak_group_N, source_N=[0] * len(rows), n_sources=1)
    asked, known = set(weak.group_N), set(data.group_N)
    here = data.take(i for i, group in enumerate(data.group_N) if group not in asked)
    pool = [i for i, group in enumerate(data.group_N) if group in asked]
    sources = {"all": weak, "apart": weak.take(i for i, group in enumerate(weak.group_N) if group not in known)}
    counts = ", ".join(f"{name} {len(part)}" for name, part in sources.items())
    print(f"reported on {len(here.gold_N)} solutions of {len(set(here.group_N))} problems; weak labels: {counts}")
    changes: dict[Reading, list[float]] = {reading: [] for reading in FIXED}
    for size in SIZES:
        for draw in range(args.draws if size < len(pool) else 1):
            drawn = data.take(np.random.default_rng(draw).permutation(pool)[:size].tolist())
            without_N = log_losses(verdicts_of(fit_probe(drawn, kinds=("linear",)).head, here.features_N), here.gold_N)
            for name, part in sources.items():
                fitted = fit_probe(drawn, part, kinds=("linear",))
                gain = mean_rise(here, without_N - log_losses(verdicts_of(fitted.head, here.features_N), here.gold_N))
                where = f"{len(drawn.gold_N):>4} labels, draw {draw}, {name:>5}: weight {fitted.readings[0].weight:g}"
                interval = f"{gain.value:.3f} [{gain.lo:.3f}, {gain.hi:.3f}]"
                print(f"{where}, log loss {without_N.mean():.3f} less {interval}", flush=True)
            for reading in FIXED if size == SIZES[0] else ():
                head = fit_heads(drawn, ["linear"], weak.read_as([reading]))["linear"]
                found_N = log_losses(verdicts_of(head, here.features_N), here.gold_N)
                changes[reading].append(float((found_N - without_N).mean()))
    print(f"{SIZES[0]} labels, the reading fixed: mean change of the log loss over {args.draws} draws")
    for reading, values in changes.items():
        print(f"weight {reading.weight:g}, right despite error {reading.right_despite_error:g}: {np.mean(values):+.3f}")


def text_features(solution: Solution) -> Floats:
    """Return all features that need no language model. Shape (S, F)."""
    columns = [column_S for group in GROUPS.values() for column_S in group(solution.problem, solution.steps).values()]
    return np.stack(columns, axis=1)


if __name__ == "__main__":
    main()
