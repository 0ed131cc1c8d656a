"""The output folder of a run or data set: how it is started, resumed, refused and finished, and what it logs."""

from __future__ import annotations

import importlib.metadata
import json
import math
import subprocess
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from judgekit.config import BaseConfig, differing_keys
from judgekit.errors import ConfigError, DataError
from judgekit.io import append_jsonl, input_hashes, read_json, write_json, write_text
from judgekit.reading.rows import read_jsonl
from judgekit.rejections import REJECTED
from judgekit.store import claim
from judgekit.version import VERSION

CONFIG = "config.json"
MANIFEST = "manifest.json"
METRICS = "metrics.jsonl"
SAMPLES = "samples.jsonl"
FIRINGS = "guards.jsonl"
CHECKPOINTS = "checkpoints"
MOST_SHOWN = 8
"""Differing options that an error names."""
BUILT_DATA = "data"
"""Folder in which commands build data sets of raw inputs, before the run begins that reads them."""
_MADE_OF = ("inputs", "items")
"""Settings of a data set that describe its inputs, in addition to its configuration."""
_FOREIGN = "{} holds files of something else, for example {}: choose another --output"
_PACKAGES = ("torch", "transformers", "trl", "datasets", "accelerate", "peft", "polars", "scikit-learn",
             "math-verify", "vllm")  # fmt: skip


class Run:
    """An output folder: begun, resumed and finished by the same rules whatever stage fills it.

    A run keeps its configuration in `config.json` and, from the begin, its inputs in `manifest.json`. A data set keeps
    both in `config.json`, for its manifest comes last: a folder without one is unfinished. A folder that holds nothing
    but what opens a run, and rows that were all rejected, failed at once and is begun again.

    Args:
        output: The folder; made if it is missing.
        config: The resolved configuration, stored with its nulls. A data set's is a mapping of everything its content
            depends on; what stands under `inputs` and `items` says of what it is made.
        inputs: Files or folders the run reads; their hashes go into the manifest, by name. Inputs that may share their
            names are given as a mapping, whose keys then stand before the names. A data set names its own.
        resume: Continue a folder that a run with the same configuration and inputs has begun; a fresh folder is fine.
        data_set: Whether the folder is that of a data set.
        begun: Whether anything was made in the folder, where the files in it do not tell; `None` if they do.
        unused: Beginnings of the names of inputs that nothing in the folder was made of yet: these may have changed.
        partial: Inputs that were there when the run began may be missing now; they stay in the manifest.

    Raises:
        ConfigError: the folder is a file or holds files of something else, or a run and `resume` is off, or the
            configuration differs (names the keys). An option that the folder's configuration is too old to know had
            its default.
        DataError: the folder cannot be made, or, resuming, an input's content has changed.
    """

    def __init__(
        self,
        output: Path,
        config: BaseConfig | Mapping[str, Any],
        *,
        inputs: Sequence[Path] | Mapping[str, Sequence[Path]] = (),
        resume: bool = False,
        data_set: bool = False,
        begun: bool | None = None,
        unused: Sequence[str] = (),
        partial: bool = False,
    ) -> None:
        self.output = output
        self.listeners: list[Callable[[Mapping[str, Any]], None]] = []
        """Told each row of metrics once it is on disk."""
        self._data_set = data_set
        self._manifest: dict[str, Any] = {}
        self._has_logged = False
        refuse_foreign(output, own=(CONFIG,) if data_set else (CONFIG, MANIFEST, BUILT_DATA))
        self.resumed = (output / CONFIG).is_file() and (_has_begun(output) if begun is None else begun)
        self.config = now = _plain(config)
        hashes = _made_of(now) if data_set else _hashes(inputs)
        stored = _with_defaults(config, _read_object(output / CONFIG)) if (output / CONFIG).is_file() else {}
        if data_set and stored and stored.keys() != now.keys():  # that of an evaluation, say, or of another stage
            raise ConfigError(_FOREIGN.format(output, CONFIG))
        if self.resumed:
            if not resume:
                raise ConfigError(
                    f"{output} already holds a run: add --resume to continue it, or choose another folder"
                )
            if not data_set or (output / MANIFEST).is_file():
                self._manifest = _read_object(output / MANIFEST)
            self._check_same(stored, now, hashes, unused=tuple(unused), partial=partial)
            return
        try:
            output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"cannot make the folder {output}: {error.strerror}. Choose another output") from error
        if not data_set:
            self._manifest = {"inputs": hashes, "packages": package_versions(), "git": git_state(), "started": _now()}
            write_json(output / MANIFEST, self._manifest)
        write_json(output / CONFIG, now)

    def _check_same(
        self,
        stored: dict[str, Any],
        now: dict[str, Any],
        hashes: dict[str, Any],
        *,
        unused: tuple[str, ...],
        partial: bool,
    ) -> None:
        before = _made_of(stored) if self._data_set else self._manifest.get("inputs")
        if self._data_set:
            stored, now = ({k: v for k, v in of.items() if k not in _MADE_OF} for of in (stored, now))
        differing = differing_keys(stored, now)
        if differing:
            shown = [line if len(line) <= 200 else f"{line[:197]}..." for line in differing[:MOST_SHOWN]]
            more = f"; and in {len(differing) - len(shown)} more" if len(differing) > len(shown) else ""
            raise ConfigError(f"cannot resume {self.output}: the configuration differs in {'; '.join(shown)}{more}")
        if not isinstance(before, dict):
            raise DataError(
                f"{self.output / MANIFEST} does not say how the run was started: start a new run in another folder"
            )
        current = before | hashes if partial else hashes
        old, new = ({k: v for k, v in of.items() if not k.startswith(unused)} for of in (before, current))
        changed = differing_keys(old, new)
        if changed:
            raise DataError(f"cannot resume {self.output}: inputs changed: {'; '.join(changed)}")
        if current != before:
            self._manifest["inputs"] = current
            write_json(self.output / MANIFEST, self._manifest)

    @property
    def finished(self) -> bool:
        """Whether `finish` was called for this folder, or its data set written, now or by an earlier process."""
        return bool(self._manifest) if self._data_set else "finished" in self._manifest

    @property
    def code(self) -> str:
        """The version and, of a checkout, the commit that the run was begun with."""
        sha, packages = self._manifest.get("git", {}).get("sha"), self._manifest.get("packages", {})
        return f"sgpo {packages.get('sgpo', 'of an unknown version')}" + (f", commit {sha[:12]}" if sha else "")

    @property
    def inputs(self) -> dict[str, str]:
        """Hashes of what the run reads, by name."""
        return dict(self._manifest.get("inputs", {}))

    @property
    def started(self) -> str:
        """When the run was begun, in UTC."""
        return str(self._manifest.get("started", "at an unknown time"))

    @property
    def results(self) -> dict[str, Any]:
        """What `finish` stored; empty before."""
        return dict(self._manifest.get("results", {}))

    def log(self, metrics: Mapping[str, Any]) -> None:
        """Append one row to `metrics.jsonl`. Names are `stage/metric`; values are JSON numbers, strings or null.

        Rows without a `step` come at the end of a run: where one that was killed has written some, they are written
        again. What stands at the end of training is not written down again either.

        Raises:
            DataError: the disk is full or the folder cannot be written.
        """
        is_first, self._has_logged = not self._has_logged, True
        if is_first and self.resumed and (self.output / METRICS).is_file():
            if "step" not in metrics:
                self._keep_rows(lambda row: "step" in row)
            last = (self.output / METRICS).read_text(encoding="utf-8").splitlines()[-1:]
            if last and (row := json.loads(last[0])).keys() == metrics.keys() and row["step"] == metrics["step"]:
                return
        append_jsonl(self.output / METRICS, [metrics])
        for listener in self.listeners:
            listener(metrics)

    def log_samples(self, samples: Iterable[Mapping[str, Any]]) -> None:
        """Append rows to `samples.jsonl`: raw texts with what was made of them, and the training step.

        Raises:
            DataError: the disk is full or the folder cannot be written.
        """
        append_jsonl(self.output / SAMPLES, samples)

    def log_firings(self, firings: Iterable[Mapping[str, Any]]) -> None:
        """Append rows to `guards.jsonl`: what watches over the run has found, see `sgpo.watch`.

        Raises:
            DataError: the disk is full or the folder cannot be written.
        """
        if rows := list(firings):
            append_jsonl(self.output / FIRINGS, rows)

    def rewind(self, step: int) -> None:
        """Drop metrics, samples and firings beyond a training step, before a run continues from a checkpoint of it."""
        self._keep_rows(lambda row: _step_of(row) <= step)

    def _keep_rows(self, wanted: Callable[[Mapping[str, Any]], bool]) -> None:
        """Drop the rows of these files that are not wanted, and half a row of a run that was killed."""
        for path in (self.output / METRICS, self.output / SAMPLES, self.output / FIRINGS):
            if path.is_file() and path.stat().st_size:
                rows = [row for _, row in read_jsonl(path)]
                kept = [row for row in rows if isinstance(row, dict) and wanted(row)]
                if len(kept) < len(rows):
                    write_text(path, "".join(json.dumps(row) + "\n" for row in kept))

    def finish(self, results: Mapping[str, Any]) -> None:
        """Mark the run as finished and store its results in the manifest."""
        self._manifest = self._manifest | {"finished": _now(), "results": dict(results)}
        write_json(self.output / MANIFEST, self._manifest)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file that runs append to; a line that is only half written is left out.

    Raises:
        DataError: the file is missing or empty.
    """
    return [row for _, row in read_jsonl(path) if isinstance(row, dict)]


def is_training(output: Path) -> bool:
    """Whether a process of this machine, perhaps one whose parent was killed, trains into a folder at this moment."""
    if not (output / CHECKPOINTS).is_dir():
        return False
    with claim(output / CHECKPOINTS, None) as claimed:
        return not claimed


def _step_of(row: Mapping[str, Any]) -> float:
    """Return the step of a row of metrics: 0 (the start) if it has none, infinity if it is not a number."""
    step = row.get("step", 0)
    return step if isinstance(step, int | float) else math.inf


def _read_object(path: Path) -> dict[str, Any]:
    values = read_json(path)
    if not isinstance(values, dict):
        raise DataError(f"{path} is not a JSON object, so no run wrote it. Choose another output folder")
    return values


def _with_defaults(config: BaseConfig | Mapping[str, Any], stored: dict[str, Any]) -> dict[str, Any]:
    """Add the options that a stored configuration is too old to know; as it is where it says what is none today."""
    if not isinstance(config, BaseConfig):
        known = {name: part for name, part in config.items() if isinstance(part, BaseConfig) and name in stored}
        return stored | {name: _with_defaults(part, stored[name]) for name, part in known.items()}
    try:
        return type(config).model_validate(stored).model_dump(mode="json")
    except ValidationError:
        return stored


def _hashes(inputs: Sequence[Path] | Mapping[str, Sequence[Path]]) -> dict[str, str]:
    if isinstance(inputs, Mapping):
        return {f"{key}/{name}": sha for key, paths in inputs.items() for name, sha in _hashes(paths).items()}
    return {name: sha for path in inputs for name, sha in input_hashes(path).items()}


def _plain(config: BaseConfig | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(config, BaseConfig):
        return config.model_dump(mode="json")
    return {name: _plain(value) if isinstance(value, BaseConfig) else value for name, value in config.items()}


def _made_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the settings of a data set say of its inputs."""
    return settings.get("inputs", {}) | {name: settings[name] for name in _MADE_OF[1:] if name in settings}


def _has_begun(output: Path) -> bool:
    """Whether a run has left anything below the folder beyond what opens it and the rows it rejected."""
    if (output / MANIFEST).is_file():
        manifest = _read_object(output / MANIFEST)
        if "finished" in manifest or "shards" in manifest:
            return True
    files = (path for path in output.rglob("*") if path.is_file())
    return any(path.name not in {CONFIG, MANIFEST, REJECTED} and path.name[0] != "." for path in files)


def refuse_foreign(output: Path, *, own: Collection[str] = ()) -> None:
    """Refuse a folder in which somebody keeps something else: a run would mix its files with it, or write over them.

    Hidden entries count for nothing: systems and atomic writing leave them.

    Args:
        output: The folder.
        own: Names that a run which was killed may have left. One that has its configuration is known by that.

    Raises:
        ConfigError: it holds other files, or is not a folder.
    """
    if output.exists() and not output.is_dir():
        raise ConfigError(f"{output} is a file, but a run needs a folder: choose another --output")
    if not output.is_dir() or (CONFIG in own and (output / CONFIG).is_file()):
        return
    foreign = sorted(path.name for path in output.iterdir() if path.name not in own and path.name[0] != ".")
    if foreign:
        raise ConfigError(_FOREIGN.format(output, foreign[0]))


def package_versions() -> dict[str, str]:
    """Return the installed versions of the packages that can change a result; absent ones are left out."""
    versions = {"sgpo": VERSION}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def git_state() -> dict[str, Any]:
    """Return commit and dirty flag of the checkout this code runs from; both `None` outside a checkout."""
    here = Path(__file__).parent
    try:
        sha = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
        status = subprocess.run(["git", "status", "--porcelain"], cwd=here, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return {"sha": None, "dirty": None}
    return {"sha": sha.stdout.strip(), "dirty": bool(status.stdout.strip())}


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
