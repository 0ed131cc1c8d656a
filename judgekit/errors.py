"""The exceptions of the project: one base, four kinds, all picklable.

Which one to raise: `ConfigError` for what the user asked for, `DataError` for what a file holds, `CheckpointError` for
a model or judge directory that cannot be opened, `JudgeError` for an engine or server that fails while it works. A
message says what is wrong, shows the value, names the file and row, and tells the way out. Content that a judge cannot
judge is no exception: it is a `Judgement` without a verdict. A new kind is a subclass of `JudgekitError` here, added
only where a caller would handle it differently.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class JudgekitError(Exception):
    """Base of every error that judgekit raises on purpose."""


class ConfigError(JudgekitError, ValueError):
    """A configuration or command line asks for something that cannot be."""


class DataError(JudgekitError, ValueError):
    """A file, row or value does not say what it must say."""


class CheckpointError(JudgekitError, RuntimeError):
    """A model or judge directory is missing, incomplete or of an unknown kind."""


class JudgeError(JudgekitError, RuntimeError):
    """The engine or server underneath a judge failed."""


def describe_validation_error(error: ValidationError) -> str:
    """Put a pydantic error into one line: the first complaint, its field and value."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        return f"field {field!r} is missing"
    shown = repr(first["input"])
    shown = shown if len(shown) <= 120 else shown[:117] + "..."
    return f"{message} (field {field!r}, value {shown})" if field else message


__all__ = ["CheckpointError", "ConfigError", "DataError", "JudgeError", "JudgekitError", "describe_validation_error"]
