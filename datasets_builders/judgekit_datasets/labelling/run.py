"""Labels items chunk by chunk; a killed run resumes with what the store lacks, and several processes can share it.

The items are cut into chunks by their order alone. Workers, further invocations on the same folder and the tasks of a
cluster all take the next chunk that nobody holds, and the labels of every finished chunk are in the run's store. When
no chunk is left, shards, `rejected.jsonl` and manifest are assembled in the order of the items, so the result does not
depend on who did what.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from judgekit.config import BaseConfig
from judgekit.errors import ConfigError, DataError, JudgekitError
from judgekit.io import MANIFEST, ShardWriter, input_hashes, read_json, write_json
from judgekit.progress import Progress
from judgekit.rejections import Rejections
from judgekit.run import CONFIG, Run, git_state, package_versions
from judgekit.store import claim, store_files
from judgekit.types import LabelledSolution, Record
from judgekit_datasets.build_report import BuildReport, histogram
from judgekit_datasets.labelling.chunks import CHUNK_DIR, Chunk, open_labels
from judgekit_datasets.labelling.workers import MakeLabeller, label_here, label_in_processes
from judgekit_datasets.source import RowRejected, record_id

Engine = Literal["local", "ray"]
"""Where the workers run: processes of this machine, or tasks of Ray Data."""
_RUN = 0
"""Byte of the lock file that stands for reading and removing all labels; chunk i has i + 1."""


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
        raise ConfigError(f"workers={workers}: give 1 or more")
    if not items:
        raise DataError(f"nothing to label for {output}: the input is empty")
    output = output.absolute()  # workers elsewhere may stand in another folder
    digest = hashlib.sha256()
    for item in items:
        digest.update(record_id(item).encode() + b"\n")
    settings = {
        "name": name,
        "config": config,
        "chunk_size": chunk_size,
        # Ids say what the items are, and their order what the chunks are.
        "items": {"n": len(items), "sha256": digest.hexdigest()},
        "inputs": {file: sha for path in inputs for file, sha in input_hashes(path).items()},
    }
    run = Run(output, settings, resume=resume, data_set=True)
    if not run.finished:
        try:
            _label_all(items, output, make_labeller, name=name, chunk_size=chunk_size, workers=workers, engine=engine)
        except JudgekitError:
            # A run that failed before its first chunk was finished may be begun again with other settings.
            if not store_files(output / CHUNK_DIR):
                with claim(output / CHUNK_DIR, None) as alone:
                    if alone:
                        shutil.rmtree(output / CHUNK_DIR, ignore_errors=True)
            raise
    if (output / CHUNK_DIR).is_dir():
        with claim(output / CHUNK_DIR, _RUN, wait=True):
            if not (output / MANIFEST).is_file():
                _assemble(items, output, record_type=record_type, settings=run.config)
            shutil.rmtree(output / CHUNK_DIR, ignore_errors=True)  # another invocation may do the same
    return BuildReport.model_validate(read_json(output / MANIFEST)["report"])


def _label_all(
    items: Sequence[Record],
    output: Path,
    make_labeller: MakeLabeller,
    *,
    name: str,
    chunk_size: int,
    workers: int,
    engine: Engine,
) -> None:
    # Chunks follow from the order of the items alone, for all who join a run must mean the same by one: what is stored
    # already drops out as whole chunks.
    by_id: dict[str, Record] = {}
    for item in items:
        by_id.setdefault(record_id(item), item)
    unique = [*by_id.values()]
    starts = range(0, len(unique), chunk_size)
    chunks = [Chunk(output, index, unique[start : start + chunk_size]) for index, start in enumerate(starts)]
    with claim(output / CHUNK_DIR, _RUN, wait=True):  # another invocation may be about to remove the labels
        files = store_files(output / CHUNK_DIR)
        labels = open_labels(output)
    left = [chunk for chunk in chunks if not all(record_id(item) in labels for item in chunk.items)]
    for chunk in left:
        if chunk.path in files:
            raise DataError(f"{chunk.path} lacks labels of its items: remove it and resume")
    done: set[int] = set()  # a chunk that was tried again while it was worked at comes twice
    with Progress(f"{name}, chunks", len(chunks), done=len(chunks) - len(left)) as progress:
        if engine == "ray":
            from judgekit_datasets.labelling.ray import label_with_ray

            indices = label_with_ray(left, make_labeller, workers=workers)
        elif workers == 1:
            indices = label_here(left, make_labeller)
        else:
            indices = label_in_processes(left, make_labeller, workers=workers)
        for index in indices:
            done |= set() if index is None else {index}
            progress.update(len(chunks) - len(left) + len(done))


def _assemble(items: Sequence[Record], output: Path, *, record_type: type[Record], settings: dict[str, Any]) -> None:
    """Write shards, rejected rows and, last, the manifest."""
    write_json(output / CONFIG, settings)
    labels = open_labels(output)
    seen: dict[str, int] = {}
    first_errors: Counter[int | None] = Counter()
    with ShardWriter(output, record_type, resume=True) as writer:
        with Rejections(output, settings["name"]) as rejected:
            for row, item in enumerate(items, start=1):
                key = record_id(item)
                first = seen.setdefault(key, row)
                if first != row:
                    rejected.add("duplicate", f"duplicate of row {first}", row=row, id=key, raw=item)
                    continue
                label = labels[key].open(record_type, where=f"{labels.folder}, item {key}")
                if isinstance(label, RowRejected):
                    rejected.add(label.reason, label.detail, row=row, id=key, raw=item)
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
