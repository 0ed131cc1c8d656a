"""Curates sets of labelled solutions: `judgekit curate`.

Every row is either kept or written to `removed/` with the first reason that applies, in this order: invalid or too poor
(`quality`), taken from a benchmark (`decontamination`), exact duplicate, near-duplicate (`near_duplicates`), left out
for balance (`balance`). So the row that a duplicate repeats is itself neither poor nor contaminated; only balance may
remove it later.

The work has three parts. First, rows are read in batches, and files under `.work` store what decisions are based on
(`batches`). Then each row's fate is decided, which takes about a kilobyte per row: ids and labels, no texts. Finally
the rows are read again and written to their place. A run that was killed continues with the same arguments and
`resume`: finished batches are not read again, the rest is done again. `manifest.json` comes last; a folder without one
is unfinished.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from judgekit.errors import DataError
from judgekit.io import (
    MANIFEST,
    SHARD_DIR,
    ShardFiles,
    file_sha256,
    mention_old_problem_ids,
    parquet_copies,
    read_json,
    shard_paths,
    write_json,
    write_manifest,
    write_text,
)
from judgekit.progress import track
from judgekit.run import Run, git_state, package_versions
from judgekit.text.identity import ProblemGroups, problem_id
from judgekit.types import LabelledSolution
from judgekit_datasets.curation.balance import balance
from judgekit_datasets.curation.batches import (
    ROW_SKETCHES,
    Batch,
    join_sketches,
    make_files,
    plan_batches,
    read_batches,
    read_benchmark_texts,
    read_rows,
    text_identities,
)
from judgekit_datasets.curation.card import CARD, render_card
from judgekit_datasets.curation.config import CurationConfig
from judgekit_datasets.curation.decontamination import PARTS, RULES, open_benchmark
from judgekit_datasets.curation.near_duplicates import SketchFiles, find_duplicates, group_similar, sketch
from judgekit_datasets.curation.report import CurationReport, Example, count_curation, write_page
from judgekit_datasets.curation.text_hashes import hash_words
from judgekit_datasets.split import choose_side

REMOVED = "removed"
"""Folder of the rows that were removed: those of the input, with stage, reason, detail and, where there is one, the id
of the row kept in their place (`kept_id`) or the benchmark and its row."""
REPORT = "curation.json"
"""File with the counts."""
PAGE = "curation.html"
"""The same as a page."""
_WORK = ".work"
_COPIES = "rows"
_DECISION = {
    "stage": pl.String(), "reason": pl.String(), "detail": pl.String(), "kept_id": pl.String(),
    "benchmark": pl.String(), "benchmark_row": pl.String(),
}  # fmt: skip
_EXAMPLES_PER_REASON = 3


def curate(config: CurationConfig, output: Path, *, resume: bool = False, progress: bool = False) -> CurationReport:
    """Curate the configured data into the folder `output` and return the counts.

    Args:
        config: What to read, remove and keep.
        output: Folder of the data set; with `splits` it holds one data set folder a split.
        resume: Continue a run that was interrupted; of a finished one, return the counts.
        progress: Show progress bars.

    Raises:
        ConfigError: the folder is in use, or a resumed run has other options.
        DataError: data or a benchmark cannot be read or has changed, nothing is left of the data or for a split,
            or the disk is full.
    """
    files = [file for path in config.data for file in shard_paths(path)]
    inputs = {str(file): file_sha256(file) for file in files}
    for name, path in config.contamination.benchmarks.items():
        inputs |= {f"benchmark {name}: {part.name}": part.fingerprint for part in open_benchmark(path)}
    settings: dict[str, Any] = {"config": config.model_dump(mode="json", exclude={"workers"}), "inputs": inputs}
    work = output / _WORK
    # A run that failed before a batch was made, for instance on a benchmark that cannot be read, is begun again.
    facts_file = next((work / "facts").glob("part-*.parquet"), None)
    begun = facts_file is not None or any((output / name).is_file() for name in (MANIFEST, REPORT))
    run = Run(output, settings, resume=resume, data_set=True, begun=begun)
    if run.finished:
        return CurationReport.model_validate(read_json(output / REPORT))
    if run.resumed and facts_file is not None and "problem_key" not in pl.read_parquet_schema(facts_file):
        raise DataError(
            f"{output} was started by an earlier release, which identified problems differently: start a new folder"
        )
    for name in (SHARD_DIR, REMOVED, *(config.splits or ())) if run.resumed else (_WORK,):
        shutil.rmtree(output / name, ignore_errors=True)  # half a set, or rows copied for other options
    # Rows are read by column, in batches of a file: those of JSON are copied first.
    copies = [
        parquet_copies(path, LabelledSolution, below=work / _COPIES / str(number))
        for number, path in enumerate(config.data)
    ]
    batches = plan_batches([file for part in copies for file in part])
    make_files(batches, config, work, progress=progress)
    facts = read_batches(batches, work, "facts")
    mention_old_problem_ids(config.data[0], int(facts["renamed"].sum()), len(facts))
    # From here on `problem_id` is what is kept together: the same text under two ids is one problem.
    facts = facts.with_columns(stored_problem_id="problem_id", problem_id=_joined_problems(facts, batches))
    removed = _decide(facts, batches, config, work)
    kept = facts.join(removed.select("row"), on="row", how="anti", maintain_order="left")
    if kept.is_empty():
        raise DataError(f"nothing is left of the {len(facts)} rows of {', '.join(map(str, config.data))}")
    sides = _sides(batches, kept, config, work)
    side_of_row = kept.join(sides, on="problem_id", how="left").select("row", "side")
    shown = _examples(removed)
    wanted = pl.concat([shown["row"], shown["kept_row"].drop_nulls()])
    shards, texts = _write_rows(batches, removed, side_of_row, config, output, wanted=wanted, progress=progress)
    report = count_curation(
        config,
        facts,
        kept.join(side_of_row, on="row", how="left"),
        removed,
        read_batches(batches, work, "matches"),
        read_benchmark_texts(work)[1],
        examples=[_with_texts(row, texts) for row in shown.iter_rows(named=True)],
        leakage_auroc=_leakage(config.data),
    )
    _finish(output, settings, config, shards, report)
    return report


def _decide(facts: pl.DataFrame, batches: Sequence[Batch], config: CurationConfig, work: Path) -> pl.DataFrame:
    """Return the rows to remove, in order: `row`, `kept_row` and the columns of `_DECISION`."""
    poor = facts.filter(pl.col("reason").is_not_null()).select("row", "reason", "detail", stage=pl.lit("quality"))
    removed = [pl.DataFrame(schema={"row": pl.Int64(), "kept_row": pl.Int64(), **_DECISION}), poor]
    removed.append(_clashing_ids(facts.filter(pl.col("reason").is_null()), batches))

    def left() -> pl.DataFrame:
        gone = pl.concat([part.select("row") for part in removed])
        return facts.join(gone, on="row", how="anti", maintain_order="left")

    removed.append(_contaminated(left(), batches, config, work))
    if config.duplicates.exact:
        removed.append(_exact_duplicates(left(), batches))
    if config.duplicates.near is not None:
        spared = pl.col("label_method").is_in(config.duplicates.near_spares).fill_null(False)
        usable_B = np.zeros(len(facts), np.bool_)
        usable_B[left().filter(~spared)["row"].to_numpy()] = True
        near = find_duplicates(
            SketchFiles(work / ROW_SKETCHES), n_parts=len(batches), usable_B=usable_B, threshold=config.duplicates.near
        )
        similar = pl.DataFrame({"row": near.removed, "kept_row": near.kept, "jaccard": near.jaccard})
        detail = pl.format("Jaccard similarity {}", pl.col("jaccard").round(4))
        reason = {"stage": pl.lit("near-duplicates"), "reason": pl.lit("near-duplicate"), "detail": detail}
        removed.append(similar.select("row", "kept_row", **reason))
    removed.append(balance(left(), config.balance, seed=config.seed).with_columns(stage=pl.lit("balance")))
    decided = pl.concat(removed, how="diagonal").sort("row")
    # Where the row kept instead of an exact duplicate is a near-duplicate of another, that one is named instead.
    further = decided.filter(pl.col("stage") == "near-duplicates").select(kept_row="row", further="kept_row")
    decided = decided.join(further, on="kept_row", how="left", maintain_order="left")
    decided = decided.with_columns(kept_row=pl.coalesce("further", "kept_row")).drop("further")
    kept_id = facts["id"].gather(decided["kept_row"])  # `row` is the place in `facts`
    return decided.with_columns(kept_id=kept_id)


def _contaminated(left: pl.DataFrame, batches: Sequence[Batch], config: CurationConfig, work: Path) -> pl.DataFrame:
    matches = read_batches(batches, work, "matches").join(left.select("row"), on="row", how="semi")
    strongest = matches.sort("row", "rule", "part", "benchmark").unique("row", keep="first", maintain_order=True)
    places = pl.Series(read_benchmark_texts(work)[0], dtype=pl.String)
    part, rule = _named("part", PARTS), _named("rule", RULES)
    shared = pl.format("{} of {} n-grams of the {}", "n_found", "n_all", part)
    whole = pl.format("{}, {}", part, rule)
    return strongest.select(
        "row",
        stage=pl.lit("contamination"),
        reason=pl.format("contaminated {}", part),
        detail=pl.when(rule == "ngram").then(shared).otherwise(whole),
        benchmark=_named("benchmark", list(config.contamination.benchmarks)),
        benchmark_row=places.gather(strongest["benchmark_row"]),
    )


def _named(column: str, names: Sequence[str]) -> pl.Expr:
    return pl.col(column).replace_strict(dict(enumerate(names)), default=None, return_dtype=pl.String)


def _clashing_ids(sound: pl.DataFrame, batches: Sequence[Batch]) -> pl.DataFrame:
    """Return the rows that have the id of an earlier one and say something else."""
    doubled = sound.filter(pl.len().over("id") > 1)
    doubled = doubled.join(_text_ids(batches, doubled), on="row", how="left", maintain_order="left")
    said = ("text_id", "first_error")
    firsts = [pl.col(name).first().over("id").alias(f"earlier_{name}") for name in ("row", *said)]
    is_other = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"earlier_{name}")) for name in said)
    clashes = doubled.with_columns(firsts).filter(is_other)
    details = []
    for rows in clashes.select("row", "earlier_row").iter_rows():
        # A row's number among all is told as file and row in it, from 1.
        found = [(next(b for b in reversed(batches) if b.first_row <= row), row) for row in rows]
        here, first = (f"row {b.offset + row - b.first_row + 1} of {b.file.name}" for b, row in found)
        details.append(f"{here} has the id of {first}")
    removed = clashes.select("row", stage=pl.lit("quality"), reason=pl.lit("id of another solution"))
    return removed.with_columns(detail=pl.Series(details, dtype=pl.String))


def _text_ids(batches: Sequence[Batch], wanted: pl.DataFrame) -> pl.DataFrame:
    """Return `row` and `text_id` of the rows that are wanted; see `text_identities`."""
    texts = [rows.select("row", text_identities(rows)) for rows in _texts_of(batches, wanted)]
    return pl.concat([pl.DataFrame(schema={"row": pl.Int64(), "text_id": pl.String()}), *texts])


def _joined_problems(facts: pl.DataFrame, batches: Sequence[Batch]) -> pl.Series:
    """Return the problem of each row, where those of the same text or the same id are one."""
    several = pl.col("problem_id").n_unique().over("problem_key") > 1
    doubtful = facts.filter(several).unique(["problem_key", "problem_id"], keep="first", maintain_order=True)
    groups = ProblemGroups()
    for rows in _texts_of(batches, doubtful):
        for name, text in zip(rows["problem_id"], rows["problem"], strict=True):
            if name is not None and text is not None:
                groups.add(name, problem_id(text))
    names = [name if name is None else groups.name(name) for name in facts["problem_id"]]
    return pl.Series("problem_id", names, dtype=pl.String)


def _texts_of(batches: Sequence[Batch], wanted: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Read the rows again that are wanted, batch by batch."""
    for batch in batches:
        here = wanted.filter(pl.col("row").is_between(batch.first_row, batch.first_row + batch.n_rows - 1))
        if len(here):
            yield read_rows(batch).join(here.select("row"), on="row", how="semi", maintain_order="left")


def _exact_duplicates(left: pl.DataFrame, batches: Sequence[Batch]) -> pl.DataFrame:
    """Return the rows whose text stands in an earlier one; tell those apart that contradict its labels."""
    doubtful = left.filter(pl.len().over("text_key") > 1)  # the same words, but perhaps other signs
    known = _text_ids(batches, doubtful)
    earlier = [pl.col(name).first().over("text_id").alias(f"kept_{name}") for name in ("row", "first_error")]
    same = doubtful.join(known, on="row", how="left", maintain_order="left").with_columns(earlier)
    agrees = pl.col("first_error").eq_missing(pl.col("kept_first_error"))
    steps = [pl.col(name).cast(pl.String).fill_null("none") for name in ("first_error", "kept_first_error")]
    return same.filter(pl.col("row") != pl.col("kept_row")).select(
        "row",
        "kept_row",
        stage=pl.lit("exact duplicates"),
        reason=pl.when(agrees).then(pl.lit("exact duplicate")).otherwise(pl.lit("exact duplicate, other label")),
        detail=pl.when(~agrees).then(pl.format("first error {}, of the kept row {}", *steps)),
    )


def _sides(batches: Sequence[Batch], kept: pl.DataFrame, config: CurationConfig, work: Path) -> pl.DataFrame:
    """Return `problem_id` and `side` of every problem; without splits there is one side, the folder itself."""
    if config.splits is None:
        return kept.select(pl.col("problem_id").unique(maintain_order=True), side=pl.lit(""))
    problems = kept.select(pl.col("problem_id").unique(maintain_order=True))
    problems = problems.with_columns(group_id="problem_id")
    if config.duplicates.near is not None:
        problems = _similar_problems(batches, kept, config, config.duplicates.near, work)
    chosen = [choose_side(group, config.splits, seed=config.seed) for group in problems["group_id"]]
    problems = problems.select("problem_id", side=pl.Series(chosen, dtype=pl.String))
    empty = config.splits.keys() - set(chosen)
    if empty:
        raise DataError(
            f"split {min(empty)!r} would be empty: {len(problems)} problems are too few for {config.splits}"
        )
    return problems


def _similar_problems(
    batches: Sequence[Batch], kept: pl.DataFrame, config: CurationConfig, threshold: float, work: Path
) -> pl.DataFrame:
    """Return `problem_id` and `group_id`, the smallest id among the problems that it is similar to."""
    files, ids = SketchFiles(work / "problem_sketches"), [pl.Series(dtype=pl.String)]
    # every wording, for a problem may have several under one id
    first_rows = kept.select("row", "problem_id", "problem_key").unique(
        ["problem_id", "problem_key"], keep="first", maintain_order=True
    )
    for batch in batches:
        new = read_rows(batch).drop("problem_id").join(first_rows, on="row", how="inner", maintain_order="left")
        lots = [new[start : start + 1000] for start in range(0, max(len(new), 1), 1000)]
        sketches = [sketch(hash_words(lot["problem"]), config.duplicates) for lot in lots]
        files.write(batch.number, join_sketches(sketches))
        ids.append(new["problem_id"])
    groups = group_similar(files, n_parts=len(batches), threshold=threshold)
    joined = ProblemGroups()
    names = pl.concat(ids).to_list()
    for name, group in zip(names, groups.tolist(), strict=True):
        joined.add(name, f"similar texts {group}")
    unique = list(dict.fromkeys(names))
    return pl.DataFrame({"problem_id": unique, "group_id": [joined.name(name) for name in unique]})


def _write_rows(
    batches: Sequence[Batch],
    removed: pl.DataFrame,
    side_of_row: pl.DataFrame,
    config: CurationConfig,
    output: Path,
    *,
    wanted: pl.Series,
    progress: bool,
) -> tuple[dict[str, ShardFiles], dict[int, dict[str, Any]]]:
    """Write every row to its place; return the shards by side, and the rows wanted for the report."""
    folders = {side: output / side / SHARD_DIR for side in config.splits or ("",)} | {REMOVED: output / REMOVED}
    shards = {side: ShardFiles(folder, rows_per_shard=config.rows_per_shard) for side, folder in folders.items()}
    texts: dict[int, dict[str, Any]] = {}
    for batch in track(batches, "writing", disable=not progress):
        rows = read_rows(batch)
        texts |= {row["row"]: row for row in rows.filter(pl.col("row").is_in(wanted.implode())).iter_rows(named=True)}
        gone = rows.join(removed.drop("kept_row"), on="row", how="inner", maintain_order="left")
        shards[REMOVED].add(gone.drop("row"))
        left = rows.join(gone.select("row"), on="row", how="anti", maintain_order="left")
        left = left.join(side_of_row, on="row", how="left", maintain_order="left")
        for side in folders.keys() - {REMOVED}:
            shards[side].add(left.filter(pl.col("side") == side).drop("row", "side"))
    for written in shards.values():
        written.flush()
    n_written = sum(written.n_rows for written in shards.values())
    assert n_written == sum(batch.n_rows for batch in batches), "a row vanished"
    return shards, texts


def _examples(removed: pl.DataFrame) -> pl.DataFrame:
    """Return a few removed rows of each reason, evenly spaced."""
    place, count = pl.int_range(pl.len()).over("reason"), pl.len().over("reason")
    step = (count // _EXAMPLES_PER_REASON).clip(1)
    return removed.filter((place % step == 0) & (place // step < _EXAMPLES_PER_REASON)).sort("reason", "row")


def _with_texts(decision: Mapping[str, Any], texts: Mapping[int, Mapping[str, Any]]) -> Example:
    row, kept = texts[decision["row"]], texts.get(decision["kept_row"])
    return Example(
        **{name: decision[name] for name in _DECISION},
        id=row["id"],
        problem=row["problem"],
        steps=row["steps"],
        kept_problem=kept["problem"] if kept else None,
        kept_steps=kept["steps"] if kept else None,
    )


def _leakage(data: Sequence[Path]) -> dict[str, float]:
    """Return the leakage that the builds of the data measured, by folder; see `judgekit_datasets.leakage`."""
    folders = [folder for path in data for folder in (path, *sorted(path.glob("parts/*")))]  # a mix has parts
    manifests = {folder.name: read_json(folder / MANIFEST) for folder in folders if (folder / MANIFEST).is_file()}
    known = {name: (manifest.get("report") or {}).get("leakage_auroc") for name, manifest in manifests.items()}
    return {name: auroc for name, auroc in known.items() if auroc is not None}


def _finish(
    output: Path,
    settings: dict[str, Any],
    config: CurationConfig,
    shards: Mapping[str, ShardFiles],
    report: CurationReport,
) -> None:
    """Write report, card and manifests, the one of the whole last, and clean up."""
    write_json(output / REPORT, report.model_dump(mode="json"))
    write_page(report, output / PAGE)
    write_text(output / CARD, render_card(config, report))
    info = {"packages": package_versions(), "git": git_state()}
    kept = {side: written for side, written in shards.items() if side != REMOVED}
    for side, written in kept.items():
        if side:
            write_manifest(output / side, LabelledSolution, [written], info)
    shutil.rmtree(output / _WORK)
    # The settings with the end of each path only: a manifest is published, a machine's folders are not.
    given = settings["config"]
    benchmarks = {name: _end(path, 1) for name, path in given["contamination"]["benchmarks"].items()}
    ends = {
        "data": [_end(path, 1) for path in given["data"]],
        "contamination": given["contamination"] | {"benchmarks": benchmarks},
    }
    inputs = {_end(path, 3): sha for path, sha in settings["inputs"].items()}
    whole = {"curation": REPORT, "config": given | ends, "inputs": inputs} | info
    write_manifest(output, LabelledSolution, list(kept.values()), whole)


def _end(path: str, n_parts: int) -> str:
    return "/".join(Path(path).parts[-n_parts:]) if Path(path).is_absolute() else path
