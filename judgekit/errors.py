"""The exceptions of the project: one base, four kinds, all picklable.

Which one to raise: `ConfigError` for what the user asked for, `DataError` for what a file holds, `CheckpointError` for
a model or judge directory that cannot be opened, `JudgeError` for an engine or server that fails while running. A
message says what is wrong, shows the value, names the file and row, and says what to do. Content that a judge cannot
judge is not an exception: it is a `Judgement` without a verdict. To add a kind, derive it from `JudgekitError` here,
but only if callers would handle it differently.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

_MOST_SHOWN = 300
"""Characters that are shown of what somebody else's code says."""
_MAX_FIELD = 200
"""Characters of a field's name in an error: a key may be as long as a file."""
_MAX_MESSAGE = 1000
"""Characters of what is wrong with it: our own complaints, which quote values, stay below this."""


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


@contextmanager
def boundary(
    kind: type[JudgekitError], what: str, *, explain: Callable[[Exception], str] | None = None
) -> Iterator[None]:
    """Let nothing through but errors of ours: whatever other code raises within becomes one line of the given kind.

    The one place for `except Exception`: around libraries whose exceptions nobody can list.

    Args:
        kind: What to raise.
        what: What was tried, for example "cannot open the model DIR".
        explain: What to say of an exception, in one line; `None` for `one_line`.

    Raises:
        JudgekitError: of the given kind, or whichever was raised within.

    Example:
        >>> with boundary(JudgeError, "the judge failed"):
        ...     int("x")
        Traceback (most recent call last):
        judgekit.errors.JudgeError: the judge failed: invalid literal for int() with base 10: 'x'
    """
    try:
        yield
    except JudgekitError:
        raise
    except Exception as error:
        raise kind(f"{what}: {(explain or one_line)(error)}") from error


def one_line(error: BaseException) -> str:
    r"""Return what an exception says as one line of bounded length; its type where the text alone says too little.

    Example:
        >>> one_line(KeyError("rope")), one_line(ValueError("two  \n lines."))
        ("KeyError 'rope'", 'two lines')
    """
    from pydantic import ValidationError  # the module itself imports nothing

    if isinstance(error, ValidationError):
        return describe_validation_error(error)
    said = " ".join(str(error).split()).rstrip(".")
    if not said or " " not in said:
        said = f"{type(error).__name__} {said}".strip()
    return said if len(said) <= _MOST_SHOWN else said[: _MOST_SHOWN - 3] + "..."


class _Short(reprlib.Repr):
    """Shows values with bounds on length and depth, whatever they are: somebody else's nesting ends no process."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother, self.maxlong = 4, 117, 117, 60
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = self.maxdeque = 20

    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to write out numbers of more than 4,300 digits.
        return super().repr_int(x, level) if x.bit_length() < 4_000 else f"a number of {x.bit_length()} bits"


def shorten(value: object, *, most: int = 120) -> str:
    """Return a value as a message shows it, in one line of at most `most` characters.

    Example:
        >>> shorten([[[[[[[1]]]]]]]), shorten("x" * 9, most=8)
        ('[[[[[...]]]]]', "'xxxx...")
    """
    shown = " ".join(_Short().repr(value).split())
    return shown if len(shown) <= most else shown[: most - 3] + "..."


def describe_validation_error(error: ValidationError) -> str:
    """Put a pydantic error into one line: the first complaint, its field and value."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part)[:_MAX_FIELD] for part in first["loc"])[:_MAX_FIELD]
    message = first["msg"].removeprefix("Value error, ")[:_MAX_MESSAGE]
    if first["type"] == "missing":
        return f"field {field!r} is missing"
    # pydantic names the class; whoever writes YAML and key=value wants the form
    if first["type"] in {"tuple_type", "list_type"}:
        given = first["input"]
        typed = given if isinstance(given, str) else shorten(given) if isinstance(given, int | float) else ""
        message = "Input should be a list"
        if typed.isprintable() and 0 < len(typed) <= 60:  # not what a hostile row holds
            message += f", such as [{typed}]"
    if first["type"] in {"dict_type", "mapping_type"}:
        message = "Input should be keys with values, such as {key: value}"
    return f"{message} (field {field!r}, value {shorten(first['input'])})" if field else message
