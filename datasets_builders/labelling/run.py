"""Labels items chunk by chunk: resumable after a kill at any moment, shared by any number of processes.

The items are cut into chunks by their order alone. Workers, further invocations on the same folder and the tasks of a
cluster all take the next chunk that nobody holds, and every finished chunk is one file. When none is left, shards,
`rejected.jsonl` and manifest are put together in the order of the items, so the result does not depend on who did what.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from datasets_builders.build_report import BuildReport, histogram
from datasets_builders.labelling.chunks import CHUNK_DIR, Chunk, Label, claim
from datasets_builders.labelling.workers import MakeLabeller, label_here, label_in_processes
from datasets_builders.source import RowRejected, record_id
from judgekit.config import BaseConfig
from judgekit.errors import ConfigError, DataError, JudgekitError
from judgekit.io import MANIFEST, ShardWriter, input_hashes, read_json, write_json
from judgekit.rejections import Rejections
from judgekit.run import CONFIG, Run, git_state, package_versions
from judgekit.types import LabelledSolution, Record

Engine = Literal["local", "ray"]
"""Where the workers run: processes of this machine, or tasks of Ray Data."""
_RUN = 0


def run_labelling(
    items: Sequence[Record],
    make_labeller: MakeLabeller,
    output: Path,
    *,
    name: str,
    config: BaseConfig,
    record_type: type[Record],
    inputs: Sequence[Path],
    chunk_size: int = 16,
    workers: int = 1,
    engine: Engine = "local",
    resume: bool = False,
) -> BuildReport:
    """Label all items, write the data set folder `output` and return the counts.

    Args:
        items: What to label, with content-based ids, in the same order whenever the run is resumed. Of several items
            with one id the first counts, the others are rejected as duplicates.
        make_labeller: Opens the labeller, once a process and only if there is work; picklable, like its arguments, for
            more than one worker.
        output: Folder of the data set.
        name: Name of the labelling, for the progress bar and the report.
        config: Everything that the labels depend on, except for the items.
        record_type: What the labeller makes.
        inputs: Files or folders that the items come from; a resumed run must find the same content.
        chunk_size: Items a chunk, which is what a labeller gets at a time and what a kill can lose.
        workers: Processes; each has its own labeller.
        engine: Where the workers run.
        resume: Continue an interrupted run, or join one that is going on; of a finished one, return the counts.

    Raises:
        ConfigError: no workers are wanted, the folder is in use, or a resumed run has other options; names them.
        DataError: a resumed run has other inputs, the disk is full, or no item gave a record.
        JudgekitError: whatever the labeller raises. Finished chunks are kept, and `resume` continues with the rest;
            if there are none, the folder is free again.
    """
    if workers < 1:
        raise ConfigError(f"{workers} workers cannot label: give 1 or more")
    if not items:
        raise DataError(f"nothing to label for {output}: the input holds no items")
    output = output.absolute()  # workers elsewhere may stand in another folder
    chunks = [
        Chunk(output, index, items[start : start + chunk_size])
        for index, start in enumerate(range(0, len(items), chunk_size))
    ]
    settings = {
        "name": name,
        "config": config,
        "chunk_size": chunk_size,
        "items": {"n": len(items), "sha256": _fingerprint(items)},
        "inputs": {file: sha for path in inputs for file, sha in input_hashes(path).items()},
    }
    run = Run(output, settings, resume=resume, data_set=True)
    if not run.finished:
        try:
            _label_all(chunks, make_labeller, name=name, workers=workers, engine=engine)
        except JudgekitError:
            _forget_if_unbegun(output)
            raise
    if (output / CHUNK_DIR).is_dir():
        with claim(output, _RUN, wait=True):
            if not (output / MANIFEST).is_file():
                _assemble(chunks, output, record_type=record_type, settings=run.config)
            shutil.rmtree(output / CHUNK_DIR, ignore_errors=True)  # another invocation may do the same
    return BuildReport.model_validate(read_json(output / MANIFEST)["report"])


def _fingerprint(items: Sequence[Record]) -> str:
    digest = hashlib.sha256()
    for item in items:
        digest.update(record_id(item).encode() + b"\n")
    return digest.hexdigest()


def _forget_if_unbegun(output: Path) -> None:
    """Let a run that failed before its first chunk was finished be begun anew with other settings."""
    if any((output / CHUNK_DIR).glob("*.jsonl")):
        return
    with claim(output, None, wait=False) as alone:
        if alone:
            shutil.rmtree(output / CHUNK_DIR, ignore_errors=True)


def _label_all(
    chunks: Sequence[Chunk], make_labeller: MakeLabeller, *, name: str, workers: int, engine: Engine
) -> None:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    done = {chunk.index for chunk in chunks if chunk.finished}
    left = [chunk for chunk in chunks if chunk.index not in done]
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(f"{name}: chunks", total=len(chunks), completed=len(done))
        for index in _finish(left, make_labeller, workers=workers, engine=engine):
            done |= set() if index is None else {index}
            progress.update(task, completed=len(done))


def _finish(
    chunks: Sequence[Chunk], make_labeller: MakeLabeller, *, workers: int, engine: Engine
) -> Iterator[int | None]:
    if engine == "ray":
        from datasets_builders.labelling.ray import label_with_ray

        return label_with_ray(chunks, make_labeller, workers=workers)
    if workers == 1:
        return label_here(chunks, make_labeller)
    return label_in_processes(chunks, make_labeller, workers=workers)


def _assemble(chunks: Sequence[Chunk], output: Path, *, record_type: type[Record], settings: dict[str, Any]) -> None:
    """Write shards, rejected rows and, last, the manifest."""
    write_json(output / CONFIG, settings)
    first_errors: Counter[int | None] = Counter()
    with ShardWriter(output, record_type, resume=True) as writer:
        with Rejections(output, settings["name"]) as rejected:
            for row, (item, label) in enumerate(_labels(chunks, record_type), start=1):
                if isinstance(label, RowRejected):
                    rejected.add(label.reason, label.detail, row=row, id=record_id(item), raw=item)
                    continue
                for record in label:
                    writer.write(record)
                first_errors.update(record.first_error for record in label if isinstance(record, LabelledSolution))
        if not writer.n_rows:
            raise DataError(f"no records for {output}: every item was rejected; each is listed in {rejected.path}")
        n_items = settings["items"]["n"]
        report = BuildReport(
            source=settings["name"],
            output=output.name,
            record=record_type.__name__,
            rows_read=n_items,
            rows_accepted=n_items - rejected.reasons.total(),
            rejected=dict(rejected.reasons.most_common()),
            n_records=writer.n_rows,
            duplicates=0,
            first_errors=histogram(first_errors),
        )
        info = {"packages": package_versions(), "git": git_state(), "report": report.model_dump(mode="json")}
        writer.info = settings | info


def _labels(chunks: Sequence[Chunk], record_type: type[Record]) -> Iterator[tuple[Record, Label]]:
    """Yield every item with its label; an item that was there before is rejected."""
    seen: dict[str, int] = {}
    row = 0
    for chunk in chunks:
        for item, label in zip(chunk.items, chunk.read(record_type), strict=True):
            row += 1
            first = seen.setdefault(record_id(item), row)
            yield item, label if first == row else RowRejected("duplicate", f"duplicate of row {first}")
