"""Keeps the start folder of `python -m` off the path: a file there may be named like a library imported later.

Python puts that folder first on the path, and a command imports much of what it needs only after hours of judging.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds `judgekit`."""


def leave_start_folder() -> None:
    """Look for modules as a console script does: not in the folder the command was started in.

    Interpreters that this one starts do the same. Where our packages lie in that folder, nothing is changed.
    """
    if sys.flags.safe_path or Path.cwd() == ROOT:
        return
    if sys.path and sys.path[0] in ("", os.getcwd()):
        del sys.path[0]
    os.environ.setdefault("PYTHONSAFEPATH", "1")
