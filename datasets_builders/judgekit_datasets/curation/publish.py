"""Puts a curated data set folder on the Hub: `judgekit push`."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import HfApi

from judgekit.errors import ConfigError, DataError
from judgekit.io import MANIFEST
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
        ConfigError: no token, no right to write, or the Hub cannot be reached.
    """
    for name in (MANIFEST, CARD):
        if not (directory / name).is_file():
            raise DataError(f"{directory} has no {name}: push a folder that `judgekit curate` has finished")
    api = HfApi()
    try:
        api.create_repo(repo_id, repo_type="dataset", private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo_id,
            repo_type="dataset",
            folder_path=directory,
            ignore_patterns=[".*", CONFIG],  # the settings as given, with the folders of this machine
            commit_message=f"Upload {directory.name}",
        )
    except Exception as error:  # the boundary to the Hub: its client raises whatever its transport raises
        raise ConfigError(
            f"cannot push {directory} to {repo_id!r}: {error}. Log in with `hf auth login`, or set HF_TOKEN"
        ) from error
    return str(commit.commit_url)
