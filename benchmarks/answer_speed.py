"""Speed of answer checking: plain math-verify with hard kills, the grammar in front, and several workers.

All variants check the same answers in one run, in turn, so that their ratios hold on a shared machine too: a third of
the answers are right and written as in the file, a third right and written otherwise, a third another problem's. Every
round begins with nothing remembered: answers that were read before would be compared in no time.
`python -m benchmarks.answer_speed math500.jsonl`: JSON lines with a field `answer`, of which what follows a `####`
counts.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import track
from rich.table import Table

from judgekit.answers import AnswerPool, MathVerifyCheck
from judgekit.answers.grammar import read_answer
from judgekit.errors import DataError
from judgekit.reading.rows import read_jsonl

Pair = tuple[str, str]
"""A right answer and a stated one."""


class AnswerSpeed(NamedTuple):
    """Rates of the variants on the same answers."""

    n_pairs: int
    """Answers checked by each variant in each round."""
    plain_per_s: float
    """Answers a second by math-verify alone in one worker."""
    fast_per_s: float
    """The same with the grammar in front."""
    parallel_per_s: float
    """The same with several workers."""
    agreement_frac: float
    """Share of answers, in [0, 1], on which math-verify alone and with the grammar in front say the same."""


def make_pairs(answers: Sequence[str]) -> list[Pair]:
    """Make the answers that a policy gives: the right one, the right one written otherwise, another problem's."""
    pairs = [
        pair
        for answer, other in zip(answers, [*answers[1:], *answers[:1]], strict=True)
        for pair in [(answer, answer), (answer, _rewrite(answer)), (answer, other)]
    ]
    return list(dict.fromkeys(pairs))


def measure_speed(pairs: Sequence[Pair], *, workers: int = 2, rounds: int = 3) -> AnswerSpeed:
    """Time the variants in turn, each round with processes that remember no answer; medians over the rounds.

    Args:
        pairs: What to check, without repetition.
        workers: Processes of the last variant.
        rounds: How often each variant checks everything.
    """
    responses = [(f"The answer is \\boxed{{{stated}}}.", answer) for answer, stated in pairs]
    with (
        closing(AnswerPool()) as pool,
        closing(MathVerifyCheck()) as fast,
        closing(MathVerifyCheck(workers=workers)) as parallel,
    ):
        variants: list[tuple[AnswerPool, Callable[[], object]]] = [
            (pool, lambda: pool.compare_many(pairs)),
            (fast.pool, lambda: fast.compare_many(responses)),
            (parallel.pool, lambda: parallel.compare_many(responses)),
        ]
        plain, quick = [result.outcome for result in pool.compare_many(pairs)], fast.check_many(responses)
        times_s = [
            [_seconds_afresh(*variant, n_workers=workers) for variant in variants]
            for _ in track(range(rounds), "rounds", transient=True)
        ]
    rates = [len(pairs) / statistics.median(column) for column in zip(*times_s, strict=True)]
    same = sum(a == b for a, b in zip(plain, quick, strict=True))
    return AnswerSpeed(len(pairs), rates[0], rates[1], rates[2], same / len(pairs))


def read_answers(path: Path, *, n_max: int) -> list[str]:
    """Read the first answers of a file of JSON lines.

    Raises:
        DataError: a row has no answer.
    """
    return list(_answers(path))[:n_max]


def _answers(path: Path) -> Iterator[str]:
    for number, row in read_jsonl(path):
        if not isinstance(row, dict) or not isinstance(row.get("answer"), str | int | float):
            raise DataError(f"{path}, row {number}: no field 'answer' with a text or number")
        yield str(row["answer"]).rpartition("####")[2].strip()


def _rewrite(answer: str) -> str:
    """The same value, written otherwise."""
    if answer.removeprefix("-").isdigit():
        return f"{answer}.0"
    return answer.replace("\\frac", "\\dfrac").replace(",", ", ").replace("+", " + ")


def _seconds_afresh(pool: AnswerPool, run: Callable[[], object], *, n_workers: int) -> float:
    """Time a variant with workers that have come up but remember nothing, and with nothing remembered here."""
    pool.close()
    pool.compare_many([("x", "y")] * n_workers)
    read_answer.cache_clear()
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    """Print one row a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="JSON lines with a field 'answer'")
    parser.add_argument("--workers", type=int, default=2, help="processes of the parallel variant")
    parser.add_argument("--n-max", type=int, default=500, help="answers a file, from the first on")
    options = parser.parse_args()
    table = Table(
        "file", "pairs", "plain/s", "fast path/s", "ratio", f"{options.workers} workers/s", "ratio", "agreement"
    )
    for path in options.files:
        speed = measure_speed(make_pairs(read_answers(path, n_max=options.n_max)), workers=options.workers)
        rates = (speed.plain_per_s, speed.fast_per_s, speed.parallel_per_s)
        plain, fast, parallel = (f"{rate:.0f}" for rate in rates)
        ratios = [f"{rate / speed.plain_per_s:.2f}" for rate in rates]
        table.add_row(
            path.stem, str(speed.n_pairs), plain, fast, ratios[1], parallel, ratios[2], f"{speed.agreement_frac:.4f}"
        )
    Console().print(table)


if __name__ == "__main__":
    main()
