"""The folder of one run: resolved configuration, manifest and metrics, and the rules of resuming it."""

from __future__ import annotations

import importlib.metadata
import json
import math
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from judgekit.config import BaseConfig, differing_keys
from judgekit.errors import ConfigError, DataError
from judgekit.io import input_hashes, read_json, read_jsonl, write_json, write_text

CONFIG = "config.json"
MANIFEST = "manifest.json"
METRICS = "metrics.jsonl"
SAMPLES = "samples.jsonl"
BUILT_DATA = "data"
"""Folder in which commands build data sets of raw inputs, before the run begins that reads them."""
_PACKAGES = ("judgekit", "torch", "transformers", "trl", "datasets", "accelerate", "polars", "scikit-learn",
             "math-verify", "vllm")  # fmt: skip


class Run:
    """An output folder with `config.json`, `manifest.json` and `metrics.jsonl`.

    A folder that holds nothing but the two papers that open a run, because it failed at once, is begun anew.

    Args:
        output: The folder; made if it is missing.
        config: The resolved configuration, stored with its nulls.
        inputs: Files or folders the run reads; their hashes go into the manifest, by name. Inputs that may share their
            names are given as a mapping, whose keys then stand before the names.
        resume: Continue a folder that a run with the same configuration and inputs has begun; a fresh folder is fine.
        unused: Beginnings of the names of inputs that nothing in the folder was made of yet: these may have changed.
        partial: Inputs that were there when the run began may be missing now; they stay in the manifest.

    Raises:
        ConfigError: the folder holds files of something else, or a run and `resume` is off, or the configuration
            differs (names the keys). An option
            that the folder's configuration is too old to know had its default.
        DataError: resuming, and an input's content has changed.
    """

    def __init__(
        self,
        output: Path,
        config: BaseConfig,
        *,
        inputs: Sequence[Path] | Mapping[str, Sequence[Path]] = (),
        resume: bool = False,
        unused: Sequence[str] = (),
        partial: bool = False,
    ) -> None:
        self.output = output
        self.resumed = _has_begun(output)
        if not self.resumed:
            _refuse_foreign(output)
        hashes = _hashes(inputs)
        if self.resumed:
            self._check_same(config, hashes, resume=resume, unused=tuple(unused), partial=partial)
            return
        output.mkdir(parents=True, exist_ok=True)
        self._manifest: dict[str, Any] = {
            "inputs": hashes,
            "packages": package_versions(),
            "git": git_state(),
            "started": _now(),
        }
        write_json(output / MANIFEST, self._manifest)
        write_json(output / CONFIG, config.model_dump(mode="json"))

    def _check_same(
        self, config: BaseConfig, hashes: dict[str, str], *, resume: bool, unused: tuple[str, ...], partial: bool
    ) -> None:
        if not resume:
            raise ConfigError(
                f"{self.output} already holds a run: add --resume to continue it, or choose another folder"
            )
        stored = _with_defaults(config, _read_object(self.output / CONFIG))
        differing = differing_keys(stored, config.model_dump(mode="json"))
        if differing:
            raise ConfigError(f"cannot resume {self.output}: the configuration differs in {'; '.join(differing)}")
        self._manifest = _read_object(self.output / MANIFEST)
        before = self._manifest.get("inputs")
        if not isinstance(before, dict):
            raise DataError(f"{self.output / MANIFEST} does not say what the run was begun with: begin another")
        now = before | hashes if partial else hashes
        old, new = ({k: v for k, v in of.items() if not k.startswith(unused)} for of in (before, now))
        changed = differing_keys(old, new)
        if changed:
            raise DataError(f"cannot resume {self.output}: inputs changed: {'; '.join(changed)}")
        if now != before:
            self._manifest["inputs"] = now
            write_json(self.output / MANIFEST, self._manifest)

    @property
    def finished(self) -> bool:
        """Whether `finish` was called for this folder, now or by an earlier process."""
        return "finished" in self._manifest

    @property
    def results(self) -> dict[str, Any]:
        """What `finish` stored; empty before."""
        return dict(self._manifest.get("results", {}))

    def log(self, metrics: Mapping[str, Any]) -> None:
        """Append one row to `metrics.jsonl`. Names are `stage/metric`; values are JSON numbers, strings or null."""
        with (self.output / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(dict(metrics), allow_nan=False) + "\n")

    def log_samples(self, samples: Iterable[Mapping[str, Any]]) -> None:
        """Append rows to `samples.jsonl`: raw texts with what was made of them, and the training step."""
        with (self.output / SAMPLES).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(dict(row), allow_nan=False) + "\n" for row in samples)

    def rewind(self, step: int) -> None:
        """Drop metrics and samples beyond a training step, before a run continues from a checkpoint of it."""
        for path in (self.output / METRICS, self.output / SAMPLES):
            if path.is_file() and path.stat().st_size:
                rows = [row for _, row in read_jsonl(path) if isinstance(row, dict) and _step_of(row) <= step]
                write_text(path, "".join(json.dumps(row) + "\n" for row in rows))

    def finish(self, results: Mapping[str, Any]) -> None:
        """Mark the run as finished and store its results in the manifest."""
        self._manifest = self._manifest | {"finished": _now(), "results": dict(results)}
        write_json(self.output / MANIFEST, self._manifest)


def _step_of(row: Mapping[str, Any]) -> float:
    """Return the step of a row of metrics; one that states none belongs to the begin, one that is no number nowhere."""
    step = row.get("step", 0)
    return step if isinstance(step, int | float) else math.inf


def _read_object(path: Path) -> dict[str, Any]:
    values = read_json(path)
    if not isinstance(values, dict):
        raise DataError(f"{path} holds no JSON object: it is not what a run leaves. Choose another output folder")
    return values


def _with_defaults(config: BaseConfig, stored: dict[str, Any]) -> dict[str, Any]:
    """Add the options that a stored configuration is too old to know; as it is where it says what is none today."""
    try:
        return type(config).model_validate(stored).model_dump(mode="json")
    except ValidationError:
        return stored


def _hashes(inputs: Sequence[Path] | Mapping[str, Sequence[Path]]) -> dict[str, str]:
    if isinstance(inputs, Mapping):
        return {f"{key}/{name}": sha for key, paths in inputs.items() for name, sha in _hashes(paths).items()}
    return {name: sha for path in inputs for name, sha in input_hashes(path).items()}


def _has_begun(output: Path) -> bool:
    """Whether a run has left anything in the folder beyond the papers that open it."""
    if not (output / CONFIG).is_file():
        return False
    written = {path.name for path in output.iterdir()} - {CONFIG, MANIFEST}
    return bool(written) or "finished" in _read_object(output / MANIFEST)


def _refuse_foreign(output: Path) -> None:
    """Refuse a folder in which somebody keeps something else: a run would mix its files with it, or write over them.

    Hidden entries count for nothing: systems and atomic writing leave them.

    Raises:
        ConfigError: it holds such files, or is no folder.
    """
    if output.exists() and not output.is_dir():
        raise ConfigError(f"{output} is a file, and a run needs a folder: choose another --output")
    if not output.is_dir() or (output / CONFIG).is_file():
        return
    own = {MANIFEST, BUILT_DATA}
    foreign = sorted(path.name for path in output.iterdir() if path.name not in own and path.name[0] != ".")
    if foreign:
        raise ConfigError(f"{output} holds files of something else, for example {foreign[0]}: choose another --output")


def package_versions() -> dict[str, str]:
    """Return the installed versions of the packages that can change a result; absent ones are left out."""
    versions = {}
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


__all__ = ["CONFIG", "MANIFEST", "METRICS", "SAMPLES", "Run", "git_state", "package_versions"]
