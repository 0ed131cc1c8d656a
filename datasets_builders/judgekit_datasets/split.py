"""Splits a built data set into disjoint ones, so that no problem is in two of them.

A hash of its id and the seed assigns every problem to one part: the same in every process, whatever the order of the
rows and, if problems have the ids of their texts, whatever else is in the file. Problems that share an id of their
source or the words of their text are one (`judgekit.text.identity`).
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from judgekit.errors import ConfigError, DataError
from judgekit.io import (
    MANIFEST,
    ShardWriter,
    file_sha256,
    find_record_type,
    read_json,
    read_records,
    shard_paths,
    write_json,
)
from judgekit.run import CONFIG, Run, git_state, package_versions
from judgekit.text.identity import ProblemGroups, problem_id
from judgekit.types import Rollout


def choose_side(problem_id: str, sides: Mapping[str, float], *, seed: int) -> str:
    """Return the side a problem belongs to: each side gets about its fraction of all problems.

    Args:
        problem_id: Id of the problem.
        sides: Name -> fraction in (0, 1]; they sum to 1. Their order matters.
        seed: Another seed gives another split.
    """
    digest = hashlib.sha256(f"{seed}:{problem_id}".encode()).digest()
    share, upper = int.from_bytes(digest[:8], "big") / 2**64, 0.0
    for name, fraction in sides.items():
        upper += fraction
        if share < upper:
            return name
    return name  # the fractions may sum to a hair less than 1


def split(
    input: str | Path,
    outputs: Mapping[str, float] | Mapping[Path, float],
    *,
    seed: int = 0,
    resume: bool = False,
    rows_per_shard: int = 50_000,
) -> dict[Path, int]:
    """Split the data set folder `input` by problem and return the number of records of each output.

    Args:
        input: A finished data set folder, or a file of records.
        outputs: Folder -> fraction of the problems, in (0, 1]; they sum to 1.
        seed: Another seed gives another split.
        resume: Continue a split that was interrupted.
        rows_per_shard: Records in every shard but the last.

    Raises:
        ConfigError: the fractions do not sum to 1 or one of them is not above 0, an output is in use, or a resumed
            split has other options.
        DataError: the input is unfinished, of an unknown type or has changed, or an output would be empty.
    """
    input, outputs = Path(input), {Path(folder): fraction for folder, fraction in outputs.items()}
    if not all(fraction > 0 for fraction in outputs.values()) or not math.isclose(math.fsum(outputs.values()), 1):
        raise ConfigError(f"fractions must be above 0 and sum to 1, not {list(outputs.values())}")
    sides = {str(path): fraction for path, fraction in outputs.items()}
    shards, record_type = shard_paths(input), find_record_type(input)
    settings = {
        "split": {"of": input.name, "seed": seed, "fractions": {path.name: value for path, value in outputs.items()}},
        "inputs": {shard.name: file_sha256(shard) for shard in shards},
    }
    for path in outputs:
        # Earlier releases stored them in the manifest alone; of a half-made split each row is compared.
        if resume and not (path / CONFIG).is_file() and any(path.glob("data/part-*.parquet")):
            manifest = read_json(path / MANIFEST) if (path / MANIFEST).is_file() else settings
            write_json(path / CONFIG, {name: manifest[name] for name in settings if name in manifest})
    runs = [Run(path, settings, resume=resume, data_set=True) for path in outputs]
    if all(run.finished for run in runs):
        return {path: read_json(path / MANIFEST)["n_rows"] for path in outputs}
    info = settings | {"packages": package_versions(), "git": git_state()}
    with contextlib.ExitStack() as stack:
        writers = {
            str(path): stack.enter_context(ShardWriter(path, record_type, rows_per_shard=rows_per_shard, resume=True))
            for path in outputs
        }
        # Two passes: a later row may show that two problems of earlier ones are the same.
        groups = ProblemGroups()
        record: Any
        for record in read_records(input, record_type):
            groups.add(_problem_id(record), problem_id(record.problem))
        for record in read_records(input, record_type):
            writers[choose_side(groups.name(_problem_id(record)), sides, seed=seed)].write(record)
        for name, writer in writers.items():
            if not writer.n_rows:
                raise DataError(f"{name} would be empty: {input} has too few problems for these fractions")
            writer.info = info
    return {path: writers[str(path)].n_rows for path in outputs}


def _problem_id(record: Any) -> str:
    """Return the problem's id; a rollout has none of its own, and gets that of its problem's text."""
    return problem_id(record.problem) if isinstance(record, Rollout) else record.problem_id
