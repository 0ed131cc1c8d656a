"""Build a data set folder from a source: read, convert, reject with a reason, write, count.

The folder gets the shards, `rejected.jsonl` (one line for each row that gave no record, see `judgekit.rejections`),
`config.json` and, last, `manifest.json`. To continue a build that was killed, run it again with the same arguments and
`resume`: rows are converted again, compared with the finished shards and not written twice.
"""

from __future__ import annotations

import difflib
import logging
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from judgekit.config import BaseConfig
from judgekit.errors import ConfigError, DataError, boundary, shorten
from judgekit.io import MANIFEST, WAY_IN, ShardWriter, field_names, holds_records, read_json
from judgekit.progress import track
from judgekit.rejections import REJECTED, Rejections
from judgekit.run import Run, git_state, package_versions
from judgekit.solution_ids import content_of
from judgekit.text.identity import content_id
from judgekit.types import LabelledSolution, Problem, Record, WeaklyLabelledSolution
from judgekit_datasets.build_report import BuildReport, histogram
from judgekit_datasets.importers.labelled import LabelledConfig
from judgekit_datasets.inputs import InputPart, open_input
from judgekit_datasets.leakage import LeakageSample, measure_leakage
from judgekit_datasets.registry import is_source, load_source, source_names
from judgekit_datasets.source import AnySource, GeneratorSource, RowRejected

logger = logging.getLogger(__name__)


def build(
    source: str | AnySource,
    *,
    output: Path,
    input: str | Path | None = None,
    options: BaseConfig | None = None,
    resume: bool = False,
    progress: bool = False,
    rows_per_shard: int = 50_000,
    probe_leakage: bool | None = None,
) -> BuildReport:
    """Build the folder `output` and return the counts.

    Args:
        source: A source or its name.
        output: Folder of the data set.
        input: File, folder or Hub id (see `open_input`); `None` for a source that generates its records.
        options: The source's options; `None` takes the defaults.
        resume: Continue a build that was interrupted; of a finished one, return the counts.
        progress: Show a progress bar.
        rows_per_shard: Records in every shard but the last.
        probe_leakage: Whether to measure shortcut leakage; `None` leaves it to the source.

    Raises:
        ConfigError: the source is unknown, input and source do not fit, the folder is in use, or a resumed build has
            other options.
        DataError: the input cannot be read, is empty or has changed, no row of one of its files was accepted, or the
            disk is full.
    """
    source = load_source(source) if isinstance(source, str) else source
    options = source.config_type() if options is None else options
    sample = LeakageSample() if (source.probe_leakage if probe_leakage is None else probe_leakage) else None
    parts: list[InputPart] = []
    if isinstance(source, GeneratorSource):
        if input is not None:
            raise ConfigError(f"{source.name} makes its records from its options: leave out the input {str(input)!r}")
    elif input is None:
        raise ConfigError(f"{source.name} needs an input: a file, a folder or a Hub id")
    else:
        parts = open_input(input)
    settings = {
        "source": source.name,
        "options": options,
        "inputs": {part.name: part.fingerprint for part in parts},
    }
    run = Run(output, settings, resume=resume, data_set=True)
    if run.finished:
        return BuildReport.model_validate(read_json(output / MANIFEST)["report"])
    with ShardWriter(output, source.record_type, rows_per_shard=rows_per_shard, resume=True) as writer:
        with _SeenKeys() as seen, Rejections(output, source.name) as rejected:
            row_filter = _RowFilter(source.key, seen, rejected)
            outcomes = _outcomes(source, options, parts)
            for outcome in track(outcomes, source.name, disable=not progress):
                for record in row_filter.accept(outcome):
                    writer.write(record)
                    if sample is not None and isinstance(record, LabelledSolution):
                        sample.add(record)
        report = row_filter.report(source, parts, output)
        if sample is not None and sample.can_be_probed:
            report = report.model_copy(update={"leakage_auroc": measure_leakage(sample.solutions).auroc})
        writer.info = run.config | {
            "packages": package_versions(),
            "git": git_state(),
            "report": report.model_dump(mode="json"),
        }
    return report


class _Outcome(NamedTuple):
    """What one raw row came to."""

    part: str
    row: int
    raw: object
    records: Sequence[Record] = ()
    rejection: RowRejected | None = None


def _outcomes(source: AnySource, options: BaseConfig, parts: Sequence[InputPart]) -> Iterator[_Outcome]:
    if isinstance(source, GeneratorSource):
        for number, made in enumerate(source.generate(options), start=1):
            if isinstance(made, RowRejected):
                yield _Outcome(source.name, number, None, rejection=made)
            else:
                yield _Outcome(source.name, number, made, [made])
        return
    not_valid = f"not a valid {source.record_type.__name__}"
    for part in parts:
        for number, raw in part.rows():
            if isinstance(raw, str):  # the reader could make no row of it, and says why
                reason, _, detail = raw.partition(": ")
                yield _Outcome(part.name, number, None, rejection=RowRejected(reason, detail))
                continue
            try:
                with boundary(DataError, not_valid):  # a row may hold anything at all, and costs a row at most
                    records = source.convert(raw, options, part.part)
            except RowRejected as rejection:
                yield _Outcome(part.name, number, raw, rejection=rejection)
            except ConfigError as error:  # an option is missing without which no row of its kind can be read
                raise ConfigError(f"{part.name}, row {number}: {error}") from error
            except DataError as error:
                rejected = RowRejected(not_valid, str(error).removeprefix(f"{not_valid}: "))
                yield _Outcome(part.name, number, raw, rejection=rejected)
            else:
                yield _Outcome(part.name, number, raw, records)


class _RowFilter:
    """Lets new records through, writes down the rest, and counts both."""

    def __init__(self, key: Callable[[Any], str], seen: _SeenKeys, rejected: Rejections) -> None:
        self._key = key
        self._seen = seen
        self._rejected = rejected
        self._reasons: dict[str, Counter[str]] = defaultdict(Counter)
        self._first_rejected: dict[str, str] = {}
        self._accepted: Counter[str] = Counter()
        self._first_errors: Counter[int | None] = Counter()
        self._known: Counter[str] = Counter()
        self._n_records = 0
        self._duplicates = 0
        self._n_blank = 0

    def accept(self, outcome: _Outcome) -> list[Record]:
        """Return the records of a row that were not there before."""
        if outcome.rejection is not None:
            return self._reject(outcome, outcome.rejection)
        place = f"row {outcome.row} of {outcome.part}"
        keys = [self._key(record) for record in outcome.records]
        contents: dict[str, list[str]] = defaultdict(list)
        for key, record in zip(keys, outcome.records, strict=True):
            # What a record says; a problem may be spelled in several ways, see `judgekit.text.identity`.
            contents[key].append(record.answer if isinstance(record, Problem) else content_of(record))
        earlier = []
        for key in keys:
            first, is_same = self._seen.earlier_place(key, place, content_id(contents=contents[key]))
            if not is_same:
                detail = f"id {key!r} is that of {first}, which differs: give each its own id"
                return self._reject(outcome, RowRejected("id of another record", detail))
            earlier.append(first)
        fresh = [record for record, first in zip(outcome.records, earlier, strict=True) if first is None]
        repeated = [first for first in earlier if first is not None]
        if not fresh:
            return self._reject(outcome, RowRejected("duplicate", f"duplicate of {repeated[0]}"))
        self._duplicates += len(repeated)
        if repeated:
            detail = f"{len(repeated)} of {len(earlier)} records, the first of them in {repeated[0]}"
            self._write(outcome, RowRejected("duplicate in part", detail))
        self._accepted[outcome.part] += 1
        self._n_records += len(fresh)
        for record in fresh:
            if isinstance(record, LabelledSolution):
                self._first_errors[record.first_error] += 1
                self._n_blank += not all(step.strip() for step in record.steps)
            elif isinstance(record, WeaklyLabelledSolution):
                self._known[record.known] += 1
        return fresh

    def _reject(self, outcome: _Outcome, rejection: RowRejected) -> list[Record]:
        self._reasons[outcome.part][rejection.reason] += 1
        self._first_rejected.setdefault(
            outcome.part, f"row {outcome.row}: {(rejection.detail or rejection.reason)[:300]}"
        )
        self._write(outcome, rejection)
        return []

    def _write(self, outcome: _Outcome, rejection: RowRejected) -> None:
        self._rejected.add(rejection.reason, rejection.detail, file=outcome.part, row=outcome.row, raw=outcome.raw)

    def report(self, source: AnySource, parts: Sequence[InputPart], output: Path) -> BuildReport:
        """Return the counts; refuse an input of which one part gave nothing: it is not what the source takes it for."""
        for part in parts:
            if not self._accepted[part.name]:
                reasons = "; ".join(f"{reason}: {count}" for reason, count in self._reasons[part.name].most_common(3))
                raise DataError(
                    f"{part.name}: no row was accepted ({reasons}), as {self._first_rejected[part.name]}; each is "
                    f"listed in {output / REJECTED}"
                )
        if not self._n_records:
            raise DataError(f"no records for {output}: the options request none")

        rejected = sum(self._reasons.values(), Counter())
        n_accepted = self._accepted.total()
        return BuildReport(
            source=source.name,
            output=output.name,
            record=source.record_type.__name__,
            rows_read=n_accepted + rejected.total(),
            rows_accepted=n_accepted,
            rejected=dict(rejected.most_common()),
            n_records=self._n_records,
            duplicates=self._duplicates,
            first_errors=histogram(self._first_errors),
            known=dict(self._known.most_common()),
            n_blank_steps=self._n_blank,
        )


class _SeenKeys:
    """Where each key was seen first. Kept in a temporary file that vanishes with the process, not in memory."""

    def __enter__(self) -> Self:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")  # nothing to bring back: a resumed build reads its input again
        self._db.execute("CREATE TABLE seen (key TEXT PRIMARY KEY, place TEXT, content TEXT) WITHOUT ROWID")
        self._db.execute("BEGIN")
        return self

    def __exit__(self, *exception: object) -> None:
        self._db.close()

    def earlier_place(self, key: str, place: str, content: str) -> tuple[str | None, bool]:
        """Return where else the key was seen before, and whether with the same content.

        The place is `None` if it was not; place and content are then remembered.
        """
        try:
            # Whoever came first is in the table, be it this call or an earlier one.
            self._db.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", (key, place, content))
            first, earlier = self._db.execute("SELECT place, content FROM seen WHERE key = ?", (key,)).fetchone()
            return (None, True) if first == place else (first, earlier == content)
        except sqlite3.Error as error:
            raise DataError(f"cannot keep the ids seen so far: {error}. Free space for temporary files") from error


def build_if_raw(given: Path, *, source: str, output: Path, resume: bool) -> Path:
    """Return a data set, or a file of stored records, as it is.

    A raw file or folder of a source, or its Hub id, is built below `output` first. Step-labelled rows under a name that
    is not a source are the user's own: they are read like those of `labelled`, and the name becomes their source if
    they have none.

    Raises:
        ConfigError: there is no such source, and the rows are neither stored records nor plainly labelled; the
            message says how to convert them.
        DataError: the input cannot be read or gives no row.
    """
    folder = output / given.stem
    if given.exists():
        if holds_records(given):
            return given
        if not is_source(source):
            _warn_of_rejected(given, folder, _build_own_rows(given, source=source, output=folder, resume=resume))
            return folder
    elif given.is_absolute() or given.suffix in {".jsonl", ".json", ".parquet", ".arrow"}:  # no hub id
        raise DataError(f"{given} does not exist: give a data set, a file or folder of raw rows, or a Hub id")
    _warn_of_rejected(given, folder, build(source, input=str(given), output=folder, resume=resume))
    return folder


def _warn_of_rejected(given: Path, folder: Path, report: BuildReport) -> None:
    # `judgekit build` prints the counts; who names a raw file elsewhere must not take a part of it for the whole
    if report.rows_rejected:
        reasons = "; ".join(f"{count:,}: {reason}" for reason, count in report.rejected.items())
        logger.warning(
            "%s: %d of %d rows are left out (%s), see %s",
            given,
            report.rows_rejected,
            report.rows_read,
            reasons,
            folder / REJECTED,
        )


def _build_own_rows(given: Path, *, source: str, output: Path, resume: bool) -> BuildReport:
    fields = field_names(given)
    if "steps" not in fields or fields.isdisjoint({"labels", "first_error"}):
        nearest = difflib.get_close_matches(source, source_names(), n=1)
        hint = f" (did you mean {nearest[0]!r}?)" if nearest else ""
        raise ConfigError(
            f"{given} has rows with {shorten(sorted(fields))}, but there is no source {source!r} to read them{hint}; "
            f"{WAY_IN}"
        )
    options = LabelledConfig(source=None if "source" in fields else source)
    try:
        return build("labelled", input=str(given), output=output, options=options, resume=resume)
    except (ConfigError, DataError) as error:
        raise type(error)(
            f"{error}. Options are taken by `judgekit build labelled --input {given} --output FOLDER source={source} "
            "...`; then name FOLDER here"
        ) from error
