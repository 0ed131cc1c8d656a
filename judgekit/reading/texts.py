"""Text files from users: UTF-8, with or without a byte-order mark.

Editors and spreadsheets on Windows put a byte-order mark at the start of a file. Read as a character it silently spoils
the first row, key or id, so every text file of a user goes through here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

from judgekit.errors import DataError

BYTE_ORDER_MARK = "\ufeff"
"""What a byte-order mark becomes where UTF-8 is read as it stands."""
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


def refuse_pointer(begin: bytes, path: Path) -> None:
    """Refuse what a clone without Git LFS leaves instead of a large file.

    Args:
        begin: The first bytes of the file.
        path: The file, for the message.

    Raises:
        DataError: it is such a pointer.
    """
    if begin.startswith(_LFS_POINTER):
        raise DataError(f"{path} is a Git LFS pointer, not the data: run `git lfs pull` in its repository")


def open_text(path: Path) -> TextIO:
    """Open a text file for reading; a byte-order mark is no part of the text.

    Raises:
        DataError: the file is missing or unreadable, is UTF-16 or UTF-32, or a pointer of Git LFS.
    """
    try:
        with path.open("rb") as file:
            begin = file.read(64)
        refuse_pointer(begin, path)
        # A text has no NUL, but one of the first two bytes of UTF-16 without a mark is one where a Latin letter begins.
        if begin.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in begin[:2]:
            raise DataError(
                f"{path} is UTF-16 or UTF-32, not UTF-8: save it as UTF-8, for example with "
                f"`iconv -f UTF-16 -t UTF-8 {path.name} > utf8-{path.name}`"
            )
        return path.open(encoding="utf-8-sig", errors="strict")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


def read_text(path: Path) -> str:
    """Return the text of a file without its byte-order mark.

    Raises:
        DataError: the file is missing or unreadable, or is not UTF-8.
    """
    try:
        with open_text(path) as file:
            return file.read()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise not_utf8(path, error) from error


def not_utf8(path: Path, error: UnicodeDecodeError) -> DataError:
    """Return the error about a file whose bytes are no UTF-8."""
    return DataError(f"{path} is not UTF-8 text: {error}. Is it compressed? Unpack it first")
