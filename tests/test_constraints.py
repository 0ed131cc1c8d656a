"""The packages that `make setup` installs: each pinned with hashes, and fit for what pyproject.toml asks for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PINNED = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>[^ ;\\]+)[^\\]*\\\n(?P<hashes>(?:    --hash=sha256:[0-9a-f]{64}.*\n)+)", re.M
)


def test_every_package_is_pinned_with_hashes() -> None:
    text = (ROOT / "constraints" / "requirements.txt").read_text(encoding="utf-8")
    pinned = {canonicalize_name(match["name"]): match["version"] for match in PINNED.finditer(text)}
    assert len(pinned) == text.count("=="), "every line with a version has hashes below it"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["dev"]]
    for requirement in map(Requirement, [*wanted, *project["build-system"]["requires"]]):
        name = canonicalize_name(requirement.name)
        if name == "torch":  # its builds differ from index to index: the Makefile has its version
            version = re.search(r"^TORCH \?= torch==(\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
            assert version is not None and requirement.specifier.contains(version[1])
            continue
        assert requirement.specifier.contains(pinned[name]), f"{requirement} and {pinned[name]}: run `make lock` again"
