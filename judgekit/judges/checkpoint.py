"""Where a judge's files lie: directories of this machine, and snapshots of the hub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from judgekit.errors import CheckpointError

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_FILES = ["*.json", "*.safetensors", "tokenizer*", "merges.txt", "*.jinja"]
"""What is fetched: neither pickles nor code."""
_PICKLES = ("*.bin", "*.bin.index.json", "*.pt", "*.pth")
"""Pickled weights, and the index of some that are not fetched."""


def fetch_checkpoint(name: str, *, revision: str | None = None) -> Path:
    """Return a directory of this machine that holds a checkpoint; a hub id is fetched, at a revision or the latest.

    Raises:
        CheckpointError: it is neither a directory nor a hub id, or it cannot be fetched.
    """
    if Path(name).exists():
        return Path(name)
    if not _HUB_ID.fullmatch(name):
        raise CheckpointError(f"{name} does not exist, and is no hub id (owner/name) either")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        pinned: dict[str, Any] = {} if revision is None else {"revision": revision}
        return Path(snapshot_download(name, allow_patterns=_FILES, **pinned))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise CheckpointError(f"{name} is no directory here and cannot be fetched from the hub: {error}") from error


def locate_model(directory: Path, model: str, *, revision: str | None = None) -> Path:
    """Resolve a path or hub id that a card names: relative to the card, absolute, or fetched.

    Raises:
        CheckpointError: nothing is there.
    """
    local = (directory / model).resolve()
    if local.is_dir():
        return local
    if model.startswith((".", "/")) or not _HUB_ID.fullmatch(model):
        raise CheckpointError(f"the card in {directory} names the model {model!r}, and {local} does not exist")
    return fetch_checkpoint(model, revision=revision)


def missing_weights(directory: Path) -> str | None:
    """Tell why a checkpoint directory has no weights that may be read, and the way out; `None` where it has some."""
    if (directory / "adapter_config.json").is_file() and not (directory / "config.json").is_file():
        return "it holds an adapter (PEFT) and no model: merge it into its base model and save both as one checkpoint"
    if any(directory.glob("*.safetensors")):
        return None
    pickles = sorted(path.name for pattern in _PICKLES for path in directory.glob(pattern))
    found = f"pickled weights ({', '.join(pickles[:3])})" if pickles else "no weights (pickled ones are never fetched)"
    return (
        f"it holds no safetensors file but {found}. A pickle can run code when it is opened, so it is not read here: "
        "convert it once with torch.load(..., weights_only=True), as README.md shows under 'Public judges', or fetch a "
        "revision with safetensors"
    )


def tensor_names(directory: Path) -> dict[Path, list[str]]:
    """Return the names of a checkpoint's tensors by safetensors file, from the files' headers alone.

    Raises:
        CheckpointError: a file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    found = {}
    for path in sorted(directory.glob("*.safetensors")):
        try:
            with safe_open(path, framework="numpy") as file:
                found[path] = list(file.keys())
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path} is no readable safetensors file: {error}. Fetch it again") from error
    return found


__all__ = ["fetch_checkpoint", "locate_model", "missing_weights", "tensor_names"]
