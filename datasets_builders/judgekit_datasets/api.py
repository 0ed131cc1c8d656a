"""Making data in one call, for programs and notebooks: `judgekit.build`; `judgekit build` does the same."""

from __future__ import annotations

from pathlib import Path

from judgekit.config import parse_config
from judgekit_datasets.build import build as build_source
from judgekit_datasets.build_report import BuildReport
from judgekit_datasets.registry import load_source


def build(
    source: str, *, output: str | Path, input: str | Path | None = None, resume: bool = False, **settings: object
) -> BuildReport:
    """Make a data set: import somebody's rows, or generate some.

    Args:
        source: Name of a source, for example `processbench`, `labelled` (rows of your own) or `procedural-word`.
        output: Folder of the data set.
        input: File, folder or Hub id; `None` for a source that generates its rows.
        resume: Continue a build that was cut off, or leave a finished one.
        settings: The options of `judgekit build` for that source, for example `n=300, seed=1`.

    Returns:
        How many rows were read, taken and rejected, and why; rejected ones are in `rejected.jsonl`.

    Raises:
        ConfigError: there is no such source or option, or the folder is in use.
        DataError: the input cannot be read, or no row of it was accepted.
    """
    found = load_source(source)
    options = parse_config(found.config_type, dict(settings), where=f"build {source}")
    return build_source(found, output=Path(output), input=input, options=options, resume=resume)
