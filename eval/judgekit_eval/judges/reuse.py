"""Reuses judgements of earlier evaluations: metrics are computed again, and nothing is judged twice."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from judgekit.errors import ConfigError, describe_validation_error
from judgekit.io import read_json
from judgekit.judges.card import SERVED
from judgekit.run import CONFIG, MANIFEST
from judgekit.store import store_files
from judgekit.types import LabelledSolution
from judgekit_eval.judges.candidates import Candidate
from judgekit_eval.judges.config import EvalConfig

logger = logging.getLogger(__name__)

JUDGES_DIR = "judges"
"""Folder of an evaluation that holds one folder a judge, with one a benchmark."""


def merge_configs(
    runs: Sequence[Path], *, judges: Sequence[str], benchmarks: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Return the judges and benchmarks of earlier evaluations, with those that are given in addition.

    Raises:
        ConfigError: a folder is none of an evaluation, or two have different inputs for one benchmark.
    """
    all_judges, all_benchmarks = list[str](), dict[str, list[str]]()
    for run in runs:
        stored, _ = _read(run)
        all_judges += stored["judges"]
        for name, inputs in stored["benchmarks"].items():
            if all_benchmarks.setdefault(name, inputs) != inputs:
                raise ConfigError(
                    f"{name} is {', '.join(all_benchmarks[name])} in one and {', '.join(inputs)} in {run}: judges that "
                    "read different data cannot share a leaderboard; reuse one of them"
                )
    for name, given in benchmarks.items():
        all_benchmarks[name] = list(given)
    return {"judges": list(dict.fromkeys([*all_judges, *judges])), "benchmarks": all_benchmarks}


def take_judgements(
    runs: Sequence[Path],
    folder: Path,
    *,
    candidate: Candidate,
    benchmark: str,
    solutions: Sequence[LabelledSolution],
    inputs: Mapping[str, str],
    seen: Mapping[str, Any],
) -> None:
    """Copy a judge's judgements on a benchmark from the first evaluation that has them, unless the folder has some.

    It must be the same judge: the same files and precision, and shown references or not. A service, or an object of
    your program, has no files that could show this, so it judges again. The solutions must be the same, too: if their
    ids are not computed from their content, only the hash of their file shows it. Further judgements do no harm.

    Args:
        runs: Folders of earlier evaluations.
        folder: The store of judgements.
        candidate: The judge.
        benchmark: Name of the benchmark.
        solutions: What will be judged.
        inputs: Hashes of all files that this evaluation reads, by name.
        seen: Options that change what a judge says.
    """
    if store_files(folder):
        return
    slug = candidate.slug
    for run in runs:
        files = store_files(run / JUDGES_DIR / slug / benchmark / folder.name)
        if not files:
            continue
        stored, before = _read(run)
        own, old = (_below(f"{JUDGES_DIR}/{slug}/", of) for of in (inputs, before))
        data, old_data = (_below(f"data/{benchmark}/", of) for of in (inputs, before))
        differing = [name for name, value in seen.items() if stored.get(name) != value]
        why = None
        if candidate.is_object or candidate.name.startswith(SERVED):
            why = "a service, or an object of your program, may have changed"
        elif own != old:
            why = "the judge's files have changed"
        elif differing:
            why = f"{differing[0]} differs"
        elif not (data and data == old_data) and not all(solution.has_computed_id for solution in solutions):
            why = "the data differ, and their ids do not show which solutions are the same"
        if why:
            logger.warning("%s: judgements of %s on %s are not reused: %s", run, slug, benchmark, why)
            continue
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copyfile(file, folder / f".{file.name}")
            (folder / f".{file.name}").rename(folder / file.name)
        logger.info("%s on %s: judgements of %s are reused", slug, benchmark, run)
        return


def _below(beginning: str, hashes: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in hashes.items() if name.startswith(beginning)}


def _read(run: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the configuration of an evaluation, and the hashes of what it read."""
    if not (run / CONFIG).is_file() or not (run / MANIFEST).is_file():
        raise ConfigError(f"{run} is not the folder of an evaluation: it has no {CONFIG} or no {MANIFEST}")
    stored, manifest = read_json(run / CONFIG), read_json(run / MANIFEST)
    if not isinstance(stored, dict) or not {"judges", "benchmarks"} <= stored.keys():
        raise ConfigError(
            f"{run} is the folder of another command: the configuration of an evaluation names judges and benchmarks"
        )
    try:
        config = EvalConfig.model_validate({name: stored[name] for name in ("judges", "benchmarks")})
    except ValidationError as error:
        raise ConfigError(f"{run / CONFIG} is damaged: {describe_validation_error(error)}") from error
    inputs = manifest.get("inputs") if isinstance(manifest, dict) else None
    if not isinstance(inputs, dict):
        raise ConfigError(f"{run / MANIFEST} is damaged: it does not say what the evaluation read")
    return stored | config.model_dump(mode="json", include={"judges", "benchmarks"}), inputs
