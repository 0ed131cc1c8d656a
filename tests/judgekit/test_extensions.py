"""Names that stand for code, ours and others'."""

from __future__ import annotations

from pathlib import Path

import pytest

from judgekit.errors import ConfigError
from judgekit.extensions import Registry


def make_registry() -> Registry[float]:
    return Registry("judgekit.test_things", noun="thing", of=float, own={"pi": "math:pi", "tau": "math:tau"})


def install(folder: Path, entry_points: str) -> None:
    """Write what an installer leaves of a package in `site-packages`."""
    info = folder / "other-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[judgekit.test_things]\n{entry_points}\n")


def test_a_package_adds_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = (
        "third = other_module:THIRD\nbroken = no_such_module:THING\npi = other_module:THIRD\nword = other_module:WORD"
    )
    install(tmp_path, points)
    (tmp_path / "other_module.py").write_text("THIRD = 1 / 3\nWORD = 'third'\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry = make_registry()
    assert registry.names() == ["pi", "tau", "broken", "third", "word"]
    assert registry.load("third") == 1 / 3
    assert registry.load("pi") > 3  # ours cannot be replaced
    assert registry.targets()["third"] == "other_module:THIRD"
    with pytest.raises(ConfigError, match=r"other adds the thing 'broken'.*no_such_module"):
        registry.load("broken")
    with pytest.raises(ConfigError, match="other adds the thing 'word', but it is no float: 'third'"):
        registry.load("word")


def test_a_program_adds_a_name() -> None:
    registry = make_registry()
    registry.add("half", 0.5)
    assert "half" in registry and registry.load("half") == 0.5
    with pytest.raises(ConfigError, match="exists already"):
        registry.add("pi", 3.0)
    with pytest.raises(ConfigError, match="this program adds the thing 'int', but it is no float: 7"):
        registry.add("int", 7)


def test_underscores_and_capitals_may_count_as_hyphens() -> None:
    registry: Registry[float] = Registry("judgekit.test_things", noun="thing", of=float, own={}, hyphens=True)
    registry.add("Two_Thirds", 2 / 3)
    assert registry.names() == ["two-thirds"]
    assert registry.load("two_thirds") == registry.load("two-thirds") == 2 / 3
    with pytest.raises(ConfigError, match="exists already"):
        registry.add("two-thirds", 0.7)
    assert "Pi" not in make_registry()


def test_an_unknown_name_says_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown thing 'taw'; did you mean 'tau'\? \(known: pi, tau\)"):
        make_registry().load("taw")
