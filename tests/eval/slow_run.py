"""An evaluation that takes its time, to be killed half way: OUTPUT LOG SECONDS_EACH [--resume]."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.eval.samples import evaluate_all, pointing_at, sample
from tests.fakes import FakeJudge

N_SOLUTIONS = 40
CHUNK_SIZE = 4


class SlowJudge(FakeJudge):
    """Logs every solution that it is asked about, and waits."""

    def __init__(self, *args, log: Path, seconds_each: float, **options) -> None:
        super().__init__(*args, **options)
        self.log, self.seconds_each = log, seconds_each

    def judge(self, solutions):
        with self.log.open("a") as file:
            for solution in solutions:
                time.sleep(self.seconds_each)
                file.write(f"{self.judge_id} {solution.id}\n")
                file.flush()
        return super().judge(solutions)


def run(output: Path, log: Path, *, seconds_each: float = 0.0, resume: bool = False) -> None:
    """Evaluate two judges."""
    solutions = [sample(i, first_error=None if i % 3 else i % 2) for i in range(N_SOLUTIONS)]
    judges = [
        SlowJudge(
            {s.id: pointing_at(i % n if i % n < 3 else None) for i, s in enumerate(solutions)},
            judge_id=f"of-{n}",
            log=log,
            seconds_each=seconds_each,
        )
        for n in (4, 5)
    ]
    evaluate_all(judges, solutions, output=output, resume=resume, threshold="held-out", chunk_size=CHUNK_SIZE)


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]), seconds_each=float(sys.argv[3]), resume="--resume" in sys.argv)
