"""The mixed set: several sources built one by one, then merged into one shuffled data set.

Each part is a data set under `parts/NAME`, built by `judgekit_datasets.build`, so that an interrupted run keeps what is
finished. Then all rows are ordered by a hash of their ids, which spreads every source evenly over the whole: any prefix
is a representative sample. Rows are scattered to buckets by ranges of that hash, and each bucket is sorted and written
as one shard, so memory holds one bucket or one shard at a time, however many rows there are.
"""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
import resource
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict
from rich.table import Column, Table

from judgekit.config import BaseConfig, parse_config
from judgekit.errors import ConfigError, DataError
from judgekit.io import (
    MANIFEST,
    SHARD_DIR,
    ShardFiles,
    atomic_path,
    current_problem_ids,
    file_sha256,
    parquet_schema,
    read_json,
    shard_paths,
    write_json,
    write_manifest,
)
from judgekit.progress import track
from judgekit.rejections import Rejections
from judgekit.run import Run, git_state, package_versions
from judgekit.types import LabelledSolution, StepLabel
from judgekit_datasets.build import build
from judgekit_datasets.mix_config import MixConfig, MixPart
from judgekit_datasets.registry import load_source
from judgekit_datasets.source import GeneratorSource

_log = logging.getLogger(__name__)
PARTS = "parts"
"""Folder with the data sets of the parts."""
_BUCKETS = ".buckets"
_ROWS_PER_BUCKET = 25_000
_KEY, _PART, _ROW = "_key", "_part", "_row"


class PartReport(BaseModel):
    """What one source gave."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """Name of the part."""
    source: str
    """Its source."""
    n_built: int
    """Solutions built."""
    n_rows: int
    """Solutions in the mixed set."""
    n_errors: int
    """Those of them with an error."""
    n_duplicates: int
    """Left out since an earlier part has a row of the same id; those that say something else are listed as such."""
    n_left_out: int
    """Left out by `n_max`."""
    n_rejected: int | None = None
    """Rows of the input, or attempts of a generator, that gave no solution; `None` in reports of earlier releases."""
    label_methods: dict[str, int]
    """Solutions by the way their labels came about, `unknown` where the source does not say."""
    licences: dict[str, int]
    """Solutions by licence, `unknown` where the source does not say."""
    seconds: float
    """Time of the run that finished building the part."""

    @property
    def rows_per_s(self) -> float:
        """Solutions built in a second."""
        return self.n_built / self.seconds


class MixReport(BaseModel):
    """What a mixed set holds and what it took."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parts: tuple[PartReport, ...]
    """The sources in their order."""
    seconds: float
    """Time of the run that finished the set; parts that an earlier run finished are not in it."""
    peak_memory_mb: float
    """Largest resident memory of one process, in units of 1024 * 1024 bytes."""

    @property
    def n_rows(self) -> int:
        """Solutions of the set."""
        return sum(part.n_rows for part in self.parts)

    @property
    def n_errors(self) -> int:
        """Solutions with an error."""
        return sum(part.n_errors for part in self.parts)


class _Job(NamedTuple):
    """One part, checked, ready to be built."""

    part: MixPart
    source: str
    options: BaseConfig
    input: str | Path | None
    folder: Path


class _Built(NamedTuple):
    n_records: int
    n_rejected: int
    seconds: float


def build_mix(config: MixConfig, output: Path, *, resume: bool = False, progress: bool = False) -> MixReport:
    """Build the mixed set in the folder `output` and return what is in it.

    The folder gets the shards, `rejected.jsonl` with the rows left out as duplicates, `config.json`, `parts/` and,
    last, `manifest.json` with the report.

    Args:
        config: The sources.
        output: Folder of the data set.
        resume: Continue a build that was interrupted, without building finished parts again; of a finished one, return
            the report.
        progress: Show progress bars.

    Raises:
        ConfigError: a source is unknown, has other options or gives no labelled solutions, the folder is in use, or a
            resumed build has other options.
        DataError: an input cannot be read or has changed, a process died, or the disk is full.
    """
    started = time.perf_counter()
    jobs = [_job(part, config.data_root, output) for part in config.parts]
    settings = config.model_dump(mode="json", exclude={"workers", "data_root"})
    if Run(output, settings, resume=resume, data_set=True).finished:
        return MixReport.model_validate(read_json(output / MANIFEST)["mix"])
    built = _build_parts(jobs, workers=config.workers, progress=progress)
    shards, parts = _put_together(jobs, built, output, seed=config.seed, progress=progress)
    # The largest resident memory so far of this process or of one it waited for.
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    peak_memory_mb = peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
    report = MixReport(parts=parts, seconds=time.perf_counter() - started, peak_memory_mb=peak_memory_mb)
    info = {
        "source": "mix",
        "parts": {job.part.label: file_sha256(job.folder / MANIFEST) for job in jobs},
        "packages": package_versions(),
        "git": git_state(),
        "mix": report.model_dump(mode="json"),
    }
    write_manifest(output, LabelledSolution, [shards], info)
    return report


def _job(part: MixPart, data_root: Path | None, output: Path) -> _Job:
    """Check a part as far as can be without reading its input.

    Raises:
        ConfigError: see `build_mix`.
    """
    source = load_source(part.source)
    if source.record_type is not LabelledSolution:
        records = source.record_type.__name__
        raise ConfigError(f"part {part.label!r}: {source.name} gives {records} records, not labelled solutions")
    is_generator, has_input = isinstance(source, GeneratorSource), (part.input or part.hub) is not None
    if is_generator is has_input:
        wanted = "makes its records from its options: leave out input and hub" if is_generator else "needs input or hub"
        raise ConfigError(f"part {part.label!r}: {source.name} {wanted}")
    options = parse_config(source.config_type, part.options, where=f"part {part.label!r}")
    given = part.hub if part.input is None else (data_root or Path()) / part.input
    if isinstance(given, Path) and not given.exists():
        raise DataError(f"part {part.label!r}: {given} does not exist; data_root is {data_root or 'not set'}")
    return _Job(part, source.name, options, given, output / PARTS / part.label)


def _build_parts(jobs: Sequence[_Job], *, workers: int, progress: bool) -> list[_Built]:
    if workers == 1:
        return [_build_part(job, progress=progress) for job in jobs]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context) as pool:
        futures = [pool.submit(_build_part, job) for job in jobs]
        try:
            for future in track(as_completed(futures), "parts", total=len(jobs), disable=not progress):
                future.result()
        except BrokenProcessPool as error:
            raise DataError(
                "a process building a part was killed: free memory or lower workers, then resume"
            ) from error
        except BaseException:  # parts that are being built go on, so that their work is kept; no other is begun
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [future.result() for future in futures]


def _build_part(job: _Job, *, progress: bool = False) -> _Built:
    """Build a part, or leave a finished one; the time it took lies next to its folder."""
    timing, started = job.folder.with_name(f"{job.folder.name}.json"), time.perf_counter()
    report = build(
        job.source, output=job.folder, input=job.input, options=job.options, resume=True, progress=progress,
        rows_per_shard=_ROWS_PER_BUCKET,
    )  # fmt: skip
    if not timing.is_file():  # of the run that built it: leaving a finished part takes no time
        write_json(timing, {"seconds": time.perf_counter() - started})
    return _Built(report.n_records, report.rows_rejected, read_json(timing)["seconds"])


def _put_together(
    jobs: Sequence[_Job], built: Sequence[_Built], output: Path, *, seed: int, progress: bool
) -> tuple[ShardFiles, tuple[PartReport, ...]]:
    """Write the shards and count; what a run that was interrupted here has written is written again."""
    buckets, n_buckets = output / _BUCKETS, -(-sum(part.n_records for part in built) // _ROWS_PER_BUCKET)
    for folder in (buckets, output / SHARD_DIR):
        shutil.rmtree(folder, ignore_errors=True)
    for number, job in enumerate(track(jobs, "scatter", disable=not progress)):
        _scatter(job, number, buckets, n_buckets=n_buckets, seed=seed)
    shards = ShardFiles(output / SHARD_DIR)
    n_clashes = 0
    # Of each part: solutions by (label method, licence), those with an error, and those left out.
    kinds: list[Counter[tuple[str, str]]] = [Counter() for _ in jobs]
    n_errors: Counter[int] = Counter()
    n_duplicates: Counter[int] = Counter()
    has_error = pl.col("labels").list.contains(str(StepLabel.ERROR))
    with Rejections(output, "mix") as rejected:
        for folder in track(sorted(buckets.glob("[!.]*")), "shuffle", disable=not progress):
            rows, doubled = _gather(folder)
            shards.write(rows.select(list(parquet_schema(LabelledSolution))))
            groups = rows.group_by(_PART, "label_method", "licence").agg(n=pl.len(), n_errors=has_error.sum())
            for number, method, licence, n, n_wrong in groups.sort(pl.all()).iter_rows():
                kinds[number][method or "unknown", licence or "unknown"] += n
                n_errors[number] += n_wrong
            for row in doubled.iter_rows(named=True):
                n_duplicates[row[_PART]] += 1
                part, first_part = (jobs[row[number]].part.label for number in (_PART, f"_first_{_PART}"))
                rejected.add(
                    "id of another solution" if row["_is_other"] else "duplicate",
                    f"row {row[f'_first_{_ROW}']} of {first_part} has this id",
                    file=part, row=row[_ROW], id=row["id"], raw={"id": row["id"], "problem_id": row["problem_id"]},
                )  # fmt: skip
                n_clashes += row["_is_other"]
            shutil.rmtree(folder)
    buckets.rmdir()
    if n_clashes:
        _log.warning(
            "%d rows were left out because another solution has their id, see %s: give the solutions of the parts "
            "their own ids, or leave `id` out",
            n_clashes, rejected.path,
        )  # fmt: skip
    reports = []
    for number, (job, part_built) in enumerate(zip(jobs, built, strict=True)):
        methods: Counter[str] = Counter()
        licences: Counter[str] = Counter()
        for (method, licence), n in kinds[number].items():
            methods[method] += n
            licences[licence] += n
        report = PartReport(
            name=job.part.label,
            source=job.source,
            n_built=part_built.n_records,
            n_rows=methods.total(),
            n_errors=n_errors[number],
            n_duplicates=n_duplicates[number],
            n_left_out=part_built.n_records - methods.total() - n_duplicates[number],
            n_rejected=part_built.n_rejected,
            label_methods=dict(methods.most_common()),
            licences=dict(licences.most_common()),
            seconds=part_built.seconds,
        )
        reports.append(report)
    return shards, tuple(reports)


def _scatter(job: _Job, number: int, buckets: Path, *, n_buckets: int, seed: int) -> None:
    """Write each row of a part to the bucket that its key falls into."""
    last = 2**64 - 1  # the largest key that `n_max` lets through
    if (n_max := job.part.n_max) is not None:
        ids = (pl.read_parquet(shard, columns=["id"])["id"] for shard in shard_paths(job.folder))
        all_keys = np.concatenate([_keys(shard_ids, seed) for shard_ids in ids])  # eight bytes a row of the part
        if n_max < len(all_keys):
            last = int(np.partition(all_keys, n_max - 1)[n_max - 1])
    n_before = 0
    for shard in shard_paths(job.folder):
        frame = pl.read_parquet(shard)
        # a part that an earlier release built has its ids of problems
        frame = frame.with_columns(current_problem_ids(frame["problem_id"], frame["problem"]))
        keys = _keys(frame["id"], seed)
        # The upper half of a key, scaled to the number of buckets: whole keys would overflow.
        bucket = (keys >> np.uint64(32)) * np.uint64(n_buckets) >> np.uint64(32)
        frame = frame.with_columns(
            pl.Series(_KEY, keys),
            pl.Series("_bucket", bucket),
            pl.lit(number, dtype=pl.Int32).alias(_PART),
            pl.int_range(n_before + 1, n_before + frame.height + 1, dtype=pl.Int64).alias(_ROW),
        ).filter(pl.Series(keys <= last))
        n_before += len(keys)
        for (index,), rows in frame.partition_by("_bucket", as_dict=True, include_key=False).items():
            with atomic_path(buckets / f"{index:05d}" / f"{number:03d}-{shard.name}") as partial:
                rows.write_parquet(partial)


def _keys(ids: pl.Series, seed: int) -> npt.NDArray[np.uint64]:
    """Return a hash of each id and the seed, evenly spread over 64 bits; the same in every process."""
    digests = b"".join(hashlib.sha256(f"{seed}:{id}".encode()).digest()[:8] for id in ids)
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64)


def _gather(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows of a bucket in order, and those whose id an earlier part or row has."""
    frame = pl.concat([pl.read_parquet(file) for file in sorted(folder.glob("*.parquet"))]).sort(
        _KEY, "id", _PART, _ROW
    )
    # Equal ids have equal keys, so that all rows of one id are here, that of the earliest part first.
    is_first = frame["id"].is_first_distinct()
    said = ("problem", "steps", "labels")
    firsts = [pl.col(name).first().over("id").alias(f"_first_{name}") for name in (*said, _PART, _ROW)]
    doubled = frame.filter(~frame["id"].is_unique()).with_columns(firsts)
    is_other = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"_first_{name}")) for name in said)
    doubled = doubled.filter(~doubled["id"].is_first_distinct()).with_columns(_is_other=is_other)
    return frame.filter(is_first), doubled


def render_mix_report(report: MixReport) -> Table:
    """Return the report as a table for the terminal."""
    columns = ("rows", "with an error", "rejected", "duplicates", "left out", "rows/s")
    numbers = [Column(name, justify="right") for name in columns]
    caption = f"{report.seconds:.0f} s, peak memory {report.peak_memory_mb:.0f} MB"
    table = Table(Column("part", no_wrap=True), "labels", "licence", *numbers, caption=caption)
    for part in report.parts:
        methods, licences = ", ".join(part.label_methods), part.licences
        n_rejected = "?" if part.n_rejected is None else part.n_rejected
        counts = (
            part.n_rows, part.n_errors, n_rejected, part.n_duplicates, part.n_left_out, round(part.rows_per_s),
        )  # fmt: skip
        table.add_row(part.name, methods, ", ".join(licences), *map(str, counts))
    table.add_section()
    table.add_row("all", "", "", str(report.n_rows), str(report.n_errors))
    return table
