"""Benchmark two judges on labelled solutions, and say whether they differ significantly.

python examples/compare_judges.py runs/judge/judge builtin:symbolic mine rows.jsonl runs/compared
"""

import sys

from judgekit import evaluate


def main(judge: str, other: str, source: str, rows: str, output: str) -> None:
    """Print F1 and the paired test; `output/report.html` has the rest. `source` is the one that the rows name."""
    done = evaluate([judge, other], {source: rows}, output=output, resume=True)
    for run in done.runs:
        print(f"{run.results.judge.judge_id}: {run.results.headline.name} {run.results.headline}")
    [pair] = done.comparisons.benchmarks[source].pairs  # both judges on the same draws of problems
    significance = "significant" if pair.lo > 0 or pair.hi < 0 else "not significant"
    print(f"difference {pair.difference:+.1f} [{pair.lo:+.1f}, {pair.hi:+.1f}], p = {pair.p_value:.3f}: {significance}")


if __name__ == "__main__":
    main(*sys.argv[1:])
