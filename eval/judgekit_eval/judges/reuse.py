"""What judges said in earlier evaluations, taken over: figures are computed again, and nothing is judged twice."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from judgekit.errors import ConfigError
from judgekit.io import read_json
from judgekit.run import CONFIG, MANIFEST
from judgekit.store import store_files

logger = logging.getLogger(__name__)

JUDGES_DIR = "judges"
"""Folder of an evaluation that holds one folder a judge, with one a benchmark."""


def merge_configs(
    runs: Sequence[Path], *, judges: Sequence[str], benchmarks: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Return the judges and benchmarks of earlier evaluations, and those that are given besides.

    Raises:
        ConfigError: a folder is none of an evaluation, or two have different inputs for one benchmark.
    """
    all_judges, all_benchmarks = list[str](), dict[str, list[str]]()
    for run in runs:
        stored = _read(run)
        all_judges += stored["judges"]
        for name, inputs in stored["benchmarks"].items():
            if all_benchmarks.setdefault(name, inputs) != inputs:
                raise ConfigError(
                    f"{name} is {', '.join(all_benchmarks[name])} in one and {', '.join(inputs)} in {run}: judges that "
                    "read different data are no one leaderboard; reuse one of them"
                )
    for name, given in benchmarks.items():
        all_benchmarks[name] = list(given)
    return {"judges": list(dict.fromkeys([*all_judges, *judges])), "benchmarks": all_benchmarks}


def take_judgements(
    runs: Sequence[Path], folder: Path, *, slug: str, benchmark: str, inputs: Mapping[str, str], seen: Mapping[str, Any]
) -> None:
    """Copy what a judge said of a benchmark from the first evaluation that holds it, unless something is there already.

    It must be the same judge: its files, its precision, and whether it was shown references. Judgements of solutions
    that are no longer asked about do no harm.

    Args:
        runs: Folders of earlier evaluations.
        folder: The store of judgements.
        slug: The judge's folder in an evaluation.
        benchmark: Name of the benchmark.
        inputs: Hashes of all files that this evaluation reads, by name.
        seen: Options that change what a judge says.
    """
    if store_files(folder):
        return
    for run in runs:
        files = store_files(run / JUDGES_DIR / slug / benchmark / folder.name)
        if not files:
            continue
        before, stored = read_json(run / MANIFEST)["inputs"], _read(run)
        prefix = f"{JUDGES_DIR}/{slug}/"
        own, old = ({k: v for k, v in of.items() if k.startswith(prefix)} for of in (inputs, before))
        differing = [name for name, value in seen.items() if stored.get(name) != value]
        if own != old or differing:
            what = f"{differing[0]} is another" if differing else "the judge's files have changed"
            logger.warning("%s: what %s said of %s is not reused, for %s", run, slug, benchmark, what)
            continue
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copyfile(file, folder / f".{file.name}")
            (folder / f".{file.name}").rename(folder / file.name)
        logger.info("%s on %s: judgements of %s are reused", slug, benchmark, run)
        return


def _read(run: Path) -> dict[str, Any]:
    if not (run / CONFIG).is_file() or not (run / MANIFEST).is_file():
        raise ConfigError(f"{run} is no folder of an evaluation: it has no {CONFIG} or no {MANIFEST}")
    stored = read_json(run / CONFIG)
    if not isinstance(stored, dict) or not {"judges", "benchmarks"} <= stored.keys():
        raise ConfigError(f"{run} is the folder of something else: an evaluation names judges and benchmarks")
    return stored
