"""The one runner behind evaluations, attacks, best-of-n, policies and speed measurements.

It requests judgements that are not stored in the run's folder, continues if one of several judges fails, writes results
and reports, logs, and closes the run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from judgekit.errors import CheckpointError, JudgeError, boundary, one_line
from judgekit.io import write_text
from judgekit.judges.base import Judge
from judgekit.judging.run import judge_in_chunks
from judgekit.run import Run
from judgekit.types import Judgement, Rollout, Solution
from judgekit_eval.judges.candidates import Failure
from judgekit_eval.results import Results, ResultsT, read_results

logger = logging.getLogger(__name__)

RESULTS = "results.json"
REPORT = "report.html"
JUDGEMENT_DIR = "judgements"
"""Folder of what judges said."""


class Runner:
    """Measures something in the folder of a run.

    Args:
        run: The run.
        chunk_size: Solutions handed to a judge, and stored, at a time.
        show_reference: Whether judges may see the reference.
        failures: Judges that could not be opened before.
    """

    def __init__(
        self, run: Run, *, chunk_size: int = 64, show_reference: bool = False, failures: Sequence[Failure] = ()
    ) -> None:
        self.run = run
        self.failures = [*failures]
        """Judges that failed. A run with some is not closed: it asks them again when it is resumed."""
        self._chunk_size = chunk_size
        self._show_reference = show_reference

    def stored(self, model: type[ResultsT]) -> ResultsT | None:
        """Return the results of a run that is closed; `None` of any other. Raises as `read_results` does."""
        return read_results(self.run.output / RESULTS, model) if self.run.finished else None

    def judge(self, judge: Judge, rows: Sequence[Solution | Rollout], folder: Path) -> list[Judgement]:
        """Judge what is not stored in a folder; see `judge_in_chunks`."""
        return judge_in_chunks(
            judge, rows, folder=folder, chunk_size=self._chunk_size, show_reference=self._show_reference
        )

    def try_judge(
        self,
        name: str,
        open_judge: Callable[[], Judge],
        rows: Sequence[Solution | Rollout],
        folder: Path,
        *,
        benchmark: str | None = None,
    ) -> list[Judgement] | None:
        """Open a judge and judge as `judge` does; one that fails is added to `failures`, and the answer is `None`.

        What it said before it failed is kept. `name` and `benchmark` are for the message.

        Raises:
            DataError, ConfigError: the store is damaged, about other solutions, or by another judge.
        """
        try:
            with boundary(CheckpointError, f"cannot open {name}"):
                judge = open_judge()
            return self.judge(judge, rows, folder)
        # Damaged stores and wrong configurations are not a judge's fault, and end the run.
        except (CheckpointError, JudgeError) as error:
            self.failures.append(Failure(name, benchmark, one_line(error)))
            logger.error("%s; continuing with the others", self.failures[-1].line)
            return None

    def raise_failures(self) -> NoReturn:
        """Raise a `JudgeError` that says why every judge failed."""
        raise JudgeError("; ".join(failure.line for failure in self.failures))

    def write(
        self,
        results: Results,
        shown: Mapping[str, str],
        *,
        rows: Iterable[Mapping[str, object]] = (),
        summary: Mapping[str, object],
        name: str = RESULTS,
    ) -> None:
        """Write results and what is shown of them, log and close the run; a run with `failures` stays open.

        Args:
            results: The results.
            shown: Texts made of them, by the name of their file.
            rows: Rows of metrics.
            summary: What the manifest says of the results.
            name: File of the results.
        """
        results.write(self.run.output / name)
        for file, text in shown.items():
            write_text(self.run.output / file, text)
        # A run that was finished before may have been scored again: its metrics stay those it was finished with.
        if self.run.finished or self.failures:
            return
        for row in rows:
            self.run.log(row)
        self.run.finish(summary)
