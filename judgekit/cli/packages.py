"""Our packages are those beside this one, whatever folders of their names lie where a command is started.

`python -m` puts the folder it is started in first on the path, and imports of `eval` and `datasets_builders` come late,
after hours of judging. An installed copy that is found by name, as an editable one is, then loses to a plain folder.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path

from judgekit.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds our packages."""
PACKAGES = ("judgekit", "datasets_builders", "eval", "sgpo")
"""All of them."""


def leave_start_folder() -> None:
    """Look for modules as a console script does: not in the folder the command was started in.

    Interpreters that this one starts do the same. Where our packages lie in that folder, nothing is changed.
    """
    if sys.flags.safe_path or Path.cwd() == ROOT:
        return
    if sys.path and sys.path[0] in ("", os.getcwd()):
        del sys.path[0]
    os.environ.setdefault("PYTHONSAFEPATH", "1")


def claim_packages() -> None:
    """Import our packages from the folder that holds this one, before anything else can stand for their names.

    Raises:
        ConfigError: a package of that name, which is none of ours, was imported already.
    """
    for name in PACKAGES:
        spec = PathFinder.find_spec(name, [str(ROOT)])
        if spec is None or spec.loader is None or spec.origin is None:
            raise ConfigError(f"{ROOT} holds judgekit and no package {name}: install the project again")
        loaded = sys.modules.get(name)
        if loaded is None:
            sys.modules[name] = module = module_from_spec(spec)
            spec.loader.exec_module(module)
        elif getattr(loaded, "__file__", None) is None:  # a plain folder: nothing of it was run, so ours can step in
            loaded.__spec__, loaded.__file__ = spec, spec.origin
            loaded.__path__ = list(spec.submodule_search_locations or ())
        elif not os.path.samefile(str(loaded.__file__), spec.origin):
            raise ConfigError(
                f"{loaded.__file__} was imported as {name} and hides judgekit's own in {ROOT}: rename it, or run from "
                "another folder, without it in PYTHONPATH"
            )
