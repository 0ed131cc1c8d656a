"""The settings a data set was begun with: stored once, and compared whenever the work on it is resumed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from judgekit.config import differing_keys
from judgekit.errors import ConfigError, DataError
from judgekit.io import MANIFEST, SHARD_DIR, read_json, write_json
from judgekit.run import CONFIG


def begin(output: Path, settings: Mapping[str, Any], *, resume: bool) -> bool:
    """Store the settings of a new data set folder, or compare them with those it has; tell whether it is finished.

    Args:
        output: Folder of the data set.
        settings: Plain JSON values: everything that the content depends on.
        resume: Whether a folder that has been begun may be continued.

    Raises:
        ConfigError: the folder is in use, or was begun with other settings; names them.
        DataError: the folder holds something else, or cannot be made.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot make the folder {output}: {error.strerror}. Choose another output") from error
    if not _is_begun(output):
        write_json(output / CONFIG, settings)
        return False
    if not resume:
        raise ConfigError(f"{output} is already in use: add --resume to continue it, or choose another folder")
    refuse_other_settings(output, settings)
    return (output / MANIFEST).is_file()


def refuse_other_settings(output: Path, settings: Mapping[str, Any]) -> None:
    """Refuse to resume a folder that was begun with other settings.

    Raises:
        ConfigError: they differ; names them.
    """
    differing = differing_keys(read_json(output / CONFIG), dict(settings))
    if differing:
        raise ConfigError(f"cannot resume {output}: it was begun with other settings: {'; '.join(differing)}")


def _is_begun(output: Path) -> bool:
    """Whether the folder holds more than settings: if not, the work on it failed at once and is begun anew."""
    names = {path.name for path in output.iterdir()}
    if CONFIG not in names and names & {MANIFEST, SHARD_DIR}:
        raise DataError(f"{output} holds something else: choose another folder")
    return CONFIG in names and names != {CONFIG}


__all__ = ["begin", "refuse_other_settings"]
