"""Locates a judge's files: directories on this machine, and snapshots from the Hub."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from judgekit.errors import CheckpointError, DataError, shorten
from judgekit.io import read_json
from judgekit.reading.rows import is_hidden

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_FILES = [
    "*.json", "*.safetensors", "*.jinja", "merges.txt", "vocab.txt", "tokenizer.model", "spiece.model",
    "sentencepiece.bpe.model", "*_problem_ids.txt",
]  # fmt: skip
"""What is fetched: neither pickles nor code, and of a tokenizer what it is known to be made of."""
_PICKLES = ("*.bin", "*.bin.index.json", "*.pt", "*.pth")
"""Pickled weights, and the index of some that are not fetched."""
_KERNEL_KEY = "_implementation"
"""In the configuration's keys by which transformers chooses code: a value `owner/name` is fetched and loaded."""
_INDEX = ".safetensors.index.json"
"""End of the name of an index: which shard holds which tensor."""
_WEIGHTS_KEY = "transformers_weights"
"""The configuration's key that names the file with the weights."""
_OTHER_CONFIGURATIONS_KEY = "configuration_files"
"""The configuration's key by which transformers reads another file in its place."""


def fetch_checkpoint(name: str, *, revision: str | None = None) -> Path:
    """Return a directory of this machine that holds a checkpoint; a Hub id is fetched, at a revision or the latest.

    Raises:
        CheckpointError: it is neither a directory nor a Hub id, it cannot be fetched, or it is the folder of a run,
            which contains the model.
    """
    for part in ("model", "policy"):
        # os.path and not Path: a name longer than a file name may be is then no file instead of an OSError.
        if os.path.isfile(f"{name}/manifest.json") and os.path.isfile(f"{name}/{part}/config.json"):
            raise CheckpointError(f"{name} is the folder of a run: its {part} is {Path(name) / part}")
    return Path(name) if os.path.exists(name) else fetch_from_hub(name, revision=revision)


def fetch_from_hub(name: str, *, revision: str | None = None) -> Path:
    """Return the snapshot of a Hub id, whether or not something on this machine has the same name.

    Raises:
        CheckpointError: it is no Hub id, or it cannot be fetched.
    """
    if not _HUB_ID.fullmatch(name):
        raise CheckpointError(f"{shorten(name)} does not exist and is not a Hub id (owner/name)")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        pinned: dict[str, Any] = {} if revision is None else {"revision": revision}
        return Path(snapshot_download(name, allow_patterns=_FILES, **pinned))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise CheckpointError(f"{name} is not a directory here and cannot be fetched from the Hub: {error}") from error


def fetched_files(directory: Path) -> list[str]:
    """Return what of a directory would be fetched, were it on the Hub: paths in it. Hidden files are none."""
    paths = [path for path in sorted(directory.rglob("*")) if path.is_file() and not is_hidden(path, directory)]
    names = [path.relative_to(directory).as_posix() for path in paths]
    return [name for name in names if any(fnmatch(name, pattern) for pattern in _FILES)]


def locate_model(directory: Path, model: str, *, revision: str | None = None, hub_only: bool = False) -> Path:
    """Resolve a path or Hub id that a card names: relative to the card, absolute, or fetched.

    Args:
        directory: Where the card lies.
        model: What it names.
        revision: Revision of a Hub id; `None` takes the latest.
        hub_only: Take a Hub id for one even where a folder of this machine is called so, as it is for cards of the Hub.

    Raises:
        CheckpointError: nothing is there.
    """
    local = (directory / model).resolve()
    if os.path.isdir(local):
        return local
    if model.startswith((".", "/")) or not _HUB_ID.fullmatch(model):
        raise CheckpointError(
            f"the card in {directory} names the model {shorten(model)}, but {shorten(str(local))} does not exist"
        )
    return fetch_from_hub(model, revision=revision) if hub_only else fetch_checkpoint(model, revision=revision)


def safe_checkpoint(name: str | Path, *, weights: bool = True) -> Path:
    """Return the directory of a checkpoint in which nothing makes transformers or vLLM run or unpickle anything.

    Every model and tokenizer is opened from what this returns. A Hub id is fetched first, without pickles and code:
    transformers itself would follow an index to any file, and ask a conversion service where there is no safetensors.

    Args:
        name: Directory or Hub id.
        weights: Whether it must hold weights, too; a tokenizer may lie alone.

    Raises:
        CheckpointError: it is missing, or a file names pickles, code, or files outside of the directory; names both.
    """
    directory = fetch_checkpoint(str(name))
    if not directory.is_dir():
        raise CheckpointError(f"{name} is not a checkpoint directory: give one, or a Hub id")
    reason = missing_weights(directory) if weights else None
    if reason:
        raise CheckpointError(f"cannot open the model {name}: {reason}")
    for index in sorted(directory.glob(f"*{_INDEX}")):
        _check_index(index)
    config = _read_object(directory / "config.json")
    others = config.get(_OTHER_CONFIGURATIONS_KEY)
    if others:  # what is checked, and read for labels and quantisation, must be what transformers goes by
        raise CheckpointError(
            f"{directory / 'config.json'} names {shorten(others)} to be read instead of it "
            f"({_OTHER_CONFIGURATIONS_KEY}): take this line out of a copy of the checkpoint"
        )
    named = config.get(_WEIGHTS_KEY)
    if named is not None and not _is_plain(named, (".safetensors", _INDEX)):
        raise CheckpointError(
            f"{directory / 'config.json'} names {shorten(named)} as its weights ({_WEIGHTS_KEY}): only safetensors "
            "files next to it are opened"
        )
    for key, value in _kernel_choices(config):
        raise CheckpointError(
            f"{directory / 'config.json'} sets {key} to {shorten(value)}, which would be fetched and run: take this "
            "line out of a copy of the checkpoint"
        )
    named_files = _read_object(directory / "tokenizer_config.json").get("fast_tokenizer_files")
    if not isinstance(named_files, list):
        named_files = [] if named_files is None else [named_files]
    for named_file in named_files:
        if not _is_plain(named_file, (".json",)):
            raise CheckpointError(
                f"{directory / 'tokenizer_config.json'} names {shorten(named_file)} among its fast_tokenizer_files: "
                "only files next to it are opened"
            )
    return directory


def _check_index(path: Path) -> None:
    """Refuse an index of shards that names anything but safetensors files next to it, or one that is missing."""
    shards = _read_object(path).get("weight_map")
    if not isinstance(shards, dict):
        raise CheckpointError(f"{path} has no weight_map: it is not an index of shards. Fetch it again")
    for shard in dict.fromkeys(map(str, shards.values())):
        if not _is_plain(shard, (".safetensors",)):
            raise CheckpointError(
                f"{path} names the shard {shorten(shard)}: only safetensors files next to it are opened, because a "
                "pickle can run code"
            )
        in_use = path.name == f"model{_INDEX}" and not (path.parent / "model.safetensors").is_file()
        if in_use and not (path.parent / shard).is_file():
            raise CheckpointError(f"{path} names the shard {shorten(shard)}, which is missing: fetch it again")


def _is_plain(name: object, ends: tuple[str, ...]) -> bool:
    """Whether this is the name of a file in the same folder, with one of these endings."""
    return isinstance(name, str) and name.endswith(ends) and name == Path(name).name and "\\" not in name


def _kernel_choices(config: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Return the texts of a configuration that choose code from the Hub, at any depth, with their keys."""
    if isinstance(config, dict):
        for name, value in config.items():
            yield from _kernel_choices(value, key or (name if _KERNEL_KEY in name else ""))
    elif isinstance(config, list):
        for value in config:
            yield from _kernel_choices(value, key)
    elif key and isinstance(config, str) and "/" in config:
        yield key, config


def _read_object(path: Path) -> dict[str, Any]:
    """Return a JSON file's object; an empty one where there is no file."""
    if not path.is_file():
        return {}
    try:
        value = read_json(path)
    except (DataError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged: {error}. Fetch it again") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} is not a JSON object: fetch it again")
    return value


def snapshot_commit(directory: Path) -> str | None:
    """Return the commit of a snapshot in the Hub's cache; `None` for any other directory."""
    return directory.name if directory.parent.name == "snapshots" else None


def missing_weights(directory: Path) -> str | None:
    """Tell why a checkpoint directory has no weights that may be read, and the way out; `None` if it has some."""
    if (directory / "adapter_config.json").is_file():
        # transformers would fetch the base that it names, and open pickles and caches that it names
        beside = "and no model" if not (directory / "config.json").is_file() else "next to its model"
        return f"it holds an adapter (PEFT) {beside}: merge it into its base model and save both as one checkpoint"
    if any(directory.glob("*.safetensors")):
        return None
    pickles = sorted(path.name for pattern in _PICKLES for path in directory.glob(pattern))
    found = f"pickled weights ({', '.join(pickles[:3])})" if pickles else "no weights (pickled ones are never fetched)"
    return (
        f"it holds no safetensors file but {found}. A pickle can run code when it is opened, so it is not read here: "
        "convert it once with torch.load(..., weights_only=True), as docs/judges.md shows under 'Public judges', or "
        "fetch a revision with safetensors"
    )


def tensor_names(directory: Path) -> dict[Path, list[str]]:
    """Return the names of a checkpoint's tensors by safetensors file, from the files' headers alone.

    Raises:
        CheckpointError: a file is damaged.
    """
    files = sorted(directory.glob("*.safetensors"))
    return {path: list(formats) for path, formats in tensor_formats(files).items()}


def weight_files(directory: Path) -> list[Path]:
    """Return the safetensors files that transformers reads a checkpoint's weights from; others may lie next to them."""
    path = directory / (_read_object(directory / "config.json").get(_WEIGHTS_KEY) or "model.safetensors")
    if not path.is_file():
        path = directory / f"model{_INDEX}"
    if path.name.endswith(_INDEX):
        return sorted({directory / shard for shard in _read_object(path).get("weight_map", {}).values()})
    return [path]


def tensor_formats(files: Iterable[Path]) -> dict[Path, dict[str, str]]:
    """Return the number format of every tensor (`F32`, `BF16`, `F8_E4M3`, `I8`) by safetensors file and name.

    Raises:
        CheckpointError: a file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    found = {}
    for path in files:
        try:
            with safe_open(path, framework="numpy") as file:
                found[path] = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path} is not a readable safetensors file: {error}. Fetch it again") from error
    return found
