"""Benchmarking in one call, for programs and notebooks: `judgekit.evaluate`; `judgekit eval` does the same."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from judgekit.cli.command import build_if_raw
from judgekit.config import parse_config
from judgekit.errors import CheckpointError, ConfigError, one_line
from judgekit.io import read_records
from judgekit.judges.base import Judge
from judgekit.judges.shared import share_in_turn
from judgekit.types import LabelledSolution
from judgekit_eval.choice import evenly_spaced
from judgekit_eval.evaluate import Evaluation, run_evaluation
from judgekit_eval.judges.candidates import Failure, candidate_of, find_candidates, lazily, tell_apart
from judgekit_eval.judges.config import EvalConfig

logger = logging.getLogger(__name__)

Inputs = str | Path | Sequence[str | Path] | Sequence[LabelledSolution]
"""A data set or raw file, several of them, or labelled solutions themselves."""


def evaluate(
    judges: Sequence[str | Path | Judge],
    benchmarks: Mapping[str, Inputs],
    *,
    output: str | Path,
    resume: bool = False,
    reuse: Sequence[str | Path] = (),
    **settings: object,
) -> Evaluation:
    """Benchmark judges: figures with intervals, calibration, comparisons, `leaderboard.md` and `report.html`.

    Args:
        judges: What `load_judge` opens, or judges that are open: any object with `info` and `judge` will do.
        benchmarks: What they are judged on, by benchmark (`processbench`, `prmbench`, ...): built data sets, raw files
            or solutions. Data without a protocol of their own are called by their `source`.
        output: Folder of the run.
        resume: Continue a run that was cut off: stored judgements are read, not made again.
        reuse: Folders of earlier evaluations: what a judge said there is taken over where it is the same judge.
        settings: Any option of `judgekit eval`, for example `n_resamples=500`; see `EvalConfig`.

    Returns:
        Results, comparisons and leaderboards, which the folder holds, too. Judges that failed are in `failures`.

    Raises:
        ConfigError: an option is unknown or refused, a judge is given twice, or the folder is in use.
        DataError: the data are not labelled solutions, or rows of another benchmark.
        JudgeError, CheckpointError: every judge failed.

    Example::

        done = evaluate([my_judge, "builtin:random"], {"processbench": "gsm8k.jsonl"}, output="runs/eval")
        for run in done.runs:
            print(run.results.judge.judge_id, run.results.headline)
    """
    opened = [judge for judge in judges if not isinstance(judge, str | Path)]
    solutions: dict[str, list[LabelledSolution]] = {}
    inputs: dict[str, list[str]] = {}
    for name, given in benchmarks.items():
        items = [given] if isinstance(given, str | Path) else list(given)
        solutions[name] = [item for item in items if isinstance(item, LabelledSolution)]
        inputs[name] = [str(item) for item in items if not isinstance(item, LabelledSolution)]
    named = {
        "judges": [str(judge) if isinstance(judge, str | Path) else judge.info.judge_id for judge in judges],
        "benchmarks": inputs,
    }
    config = parse_config(EvalConfig, {**settings, **named}, where="evaluate")
    done = evaluate_config(
        config, Path(output), resume=resume, opened=opened, solutions=solutions, reuse=[*map(Path, reuse)]
    )
    if done is None:
        raise ConfigError("evaluate runs in one process: to use several, run `torchrun -m judgekit.cli eval`")
    return done


def evaluate_config(
    config: EvalConfig,
    output: Path,
    *,
    resume: bool = False,
    opened: Sequence[Judge] = (),
    solutions: Mapping[str, Sequence[LabelledSolution]] | None = None,
    reuse: Sequence[Path] = (),
) -> Evaluation | None:
    """Build what is raw, open the judges one after another and evaluate.

    Args:
        config: How; judges that are open are in it by their ids.
        output: Folder of the run.
        resume: Continue a run that was cut off.
        opened: Judges that are open.
        solutions: More solutions, by benchmark.
        reuse: Folders of earlier evaluations whose judgements are taken over.

    Returns:
        `None` in every process but the first, which only help with judging.

    Raises:
        ConfigError, DataError, JudgeError, CheckpointError: see `evaluate`.
    """
    unopened: list[Failure] = []
    ids = [judge.info.judge_id for judge in opened]
    if doubles := [name for name in config.judges if name in ids and config.judges.count(name) > 1]:
        raise ConfigError(f"two judges are called {doubles[0]}: give each a different judge_id in its `info`")
    found = find_candidates(
        [name for name in config.judges if name not in ids],
        dtype=config.dtype,
        on_failure=lambda name, error: unopened.append(Failure(name, None, one_line(error))),
    )
    candidates = tell_apart([*map(candidate_of, opened), *found]) if opened else found
    if not candidates:
        raise CheckpointError("; ".join(failure.line for failure in unopened))
    for failure in unopened:
        logger.warning("%s; continuing with the others", failure.line)
    with share_in_turn([lazily(candidate) for candidate in candidates if not candidate.members]) as judges:
        if judges is None:
            return None
        folders: dict[str, list[Path]] = {}
        for name, given in config.benchmarks.items():
            stems = [Path(item).stem for item in given]  # each raw input is built into a folder named after it
            double = {stem for stem in stems if stems.count(stem) > 1}
            if double:
                raise ConfigError(f"two inputs of {name} are called {double.pop()}: rename one, or give it once")
            folders[name] = [
                build_if_raw(Path(item), source=name, output=output / "data" / name, resume=resume) for item in given
            ]
        rows = {
            name: evenly_spaced(
                [
                    *(solution for folder in built for solution in read_records(folder, LabelledSolution)),
                    *(solutions or {}).get(name, ()),
                ],
                config.n_max,
            )
            for name, built in folders.items()
        }
        return run_evaluation(
            candidates,
            judges,
            rows,
            output=output,
            config=config,
            inputs=folders,
            resume=resume,
            unopened=unopened,
            reuse=reuse,
        )
