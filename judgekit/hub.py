"""Uploads to the Hugging Face Hub: files of one repository in one commit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from huggingface_hub import CommitOperationAdd, HfApi

from judgekit.errors import ConfigError


def upload(
    files: Mapping[str, Path | str], repo_id: str, *, kind: Literal["model", "dataset"], private: bool, what: str
) -> str:
    """Put files into a repository, which is made if it is missing, and return the commit's address.

    Args:
        files: Path in the repository -> a file of this machine, or the text itself.
        repo_id: `OWNER/NAME` on the Hub.
        kind: What the repository holds.
        private: Whether a repository that is made now is private; one that exists stays as it is.
        what: What is uploaded, for the commit and for errors.

    Raises:
        ConfigError: no token, no correct to write, or the Hub cannot be reached.
    """
    operations = [
        CommitOperationAdd(path_in_repo=name, path_or_fileobj=file.encode() if isinstance(file, str) else file)
        for name, file in sorted(files.items())
    ]
    api = HfApi()
    try:
        api.create_repo(repo_id, repo_type=kind, private=private, exist_ok=True)
        commit = api.create_commit(repo_id, operations, commit_message=f"Upload {what}", repo_type=kind)
    except Exception as error:  # the boundary to the Hub: its client raises whatever its transport raises
        raise ConfigError(
            f"cannot push {what} to {repo_id!r}: {error}. Log in with `hf auth login`, or set HF_TOKEN"
        ) from error
    return str(commit.commit_url)
