"""Uploads a curated data set folder to the Hub: `judgekit push`."""

from __future__ import annotations

from pathlib import Path

from judgekit.errors import DataError
from judgekit.hub import upload
from judgekit.io import MANIFEST
from judgekit.reading.rows import is_hidden
from judgekit.run import CONFIG
from judgekit_datasets.curation.card import CARD


def push_to_hub(directory: Path, repo_id: str, *, private: bool = True) -> str:
    """Upload a finished data set folder in one commit, make the repository if needed, and return the commit's address.

    Args:
        directory: A folder that `curate` has finished.
        repo_id: `OWNER/NAME` on the Hub.
        private: Whether a repository that is made now is private; one that exists stays as it is.

    Raises:
        DataError: the folder is not finished or has no card.
        ConfigError: no token, no correct to write, or the Hub cannot be reached.
    """
    for name in (MANIFEST, CARD):
        if not (directory / name).is_file():
            raise DataError(f"{directory} has no {name}: push a finished folder of `judgekit curate`")
    files = {
        path.relative_to(directory).as_posix(): path
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not is_hidden(path, directory)
    }
    files.pop(CONFIG, None)  # the settings as given, with the folders of this machine
    return upload(files, repo_id, kind="dataset", private=private, what=directory.name)
