"""Configurations: YAML, overrides, and complaints that help."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from judgekit.config import BaseConfig, differing_keys, load_config, read_settings
from judgekit.errors import ConfigError


class Inner(BaseConfig):
    n_max: int | None = 5
    ratio: float = 0.5


class Red(BaseConfig):
    type: Literal["red"] = "red"
    strength: int = 1


class Blue(BaseConfig):
    type: Literal["blue"] = "blue"
    depth: int = 1


class Outer(BaseConfig):
    lr: float = Field(default=1e-3, gt=0)
    name: str = "x"
    data: Inner = Inner()
    colour: Annotated[Red | Blue, Field(discriminator="type")] = Red()
    arms: dict[str, Inner] = Field(default={})
    paths: tuple[Path, ...] = ()


def load(text: str, tmp_path: Path, *overrides: str) -> Outer:
    (tmp_path / "c.yaml").write_text(text)
    return load_config(Outer, tmp_path / "c.yaml", overrides=overrides)


def test_overrides_win_over_yaml_and_yaml_over_defaults(tmp_path: Path) -> None:
    config = load("lr: 0.1\ndata: {n_max: 7, ratio: 0.25}\npaths: [a, b]", tmp_path, "lr=1e-5", "data.n_max=null")
    assert config == Outer(lr=1e-5, data=Inner(n_max=None, ratio=0.25), paths=(Path("a"), Path("b")))


def test_values_that_refer_to_others_see_the_overrides(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("lr: 0.1\nhalf: ${lr}\nchoice: {type: a, n: 1, lr: '${lr}'}\n")
    read = functools.partial(read_settings, tmp_path / "c.yaml")
    kept = {"type": "a", "n": 1, "lr": 5}
    assert read(overrides=["lr=5"]) == {"lr": 5, "half": 5, "choice": kept}
    assert read(overrides=["lr=5", "other=${half}"])["other"] == 5
    assert read(overrides=["choice.type=b", "choice.m=${lr}"])["choice"] == {"type": "b", "m": 0.1}


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("lrr=1", "unknown key 'lrr'; did you mean 'lr'?"),
        ("data.n_mx=1", "unknown key 'data.n_mx'; did you mean 'n_max'?"),
        ("colour.type=blue colour.strength=2", r"unknown key .*strength'; did you mean '\w+'\? \(known here: depth, t"),
        ("arms.one.ratoi=1", "unknown key 'arms.one.ratoi'; did you mean 'ratio'?"),
        ("lr=-1", r"greater than 0 \(field 'lr', value -1\)"),
        ("lr=fast", r"field 'lr', value 'fast'"),
        ("colour.type=green", "'red', 'blue'"),
        ("paths=a.jsonl", r"should be a list, such as \[a.jsonl\] \(field 'paths'"),
        ("arms=a", "should be keys with values, such as {key: value}"),
        ("lr", "'lr' is not an override: write key=value"),
        ("=3", "is not an override"),
    ],
)
def test_what_cannot_be_is_refused_by_name(override: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint.replace("?", r"\?") if "\\" not in complaint else complaint):
        load_config(Outer, overrides=override.split())


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the configuration .*gone\.yaml: No such file"):
        load_config(Outer, tmp_path / "gone.yaml")
    with pytest.raises(ConfigError, match="those below configs/ lie in the repository"):
        load_config(Outer, Path("configs/gone.yaml"))
    with pytest.raises(ConfigError, match=r"c\.yaml is not a valid configuration"):
        load("lr: [1", tmp_path)
    with pytest.raises(ConfigError, match=r"c\.yaml must hold keys and values, not a list"):
        load("- 1\n- 2", tmp_path)


def test_configurations_are_frozen_and_their_defaults_are_checked() -> None:
    class Wrong(BaseConfig):
        lr: float = Field(default=-1.0, gt=0)

    with pytest.raises(ValidationError, match="greater than 0"):
        Wrong()
    with pytest.raises(ValidationError, match="frozen"):
        Outer().lr = 2.0


def test_a_digest_tells_configurations_apart() -> None:
    assert Outer().digest() == Outer(lr=1e-3).digest()
    assert len({Outer().digest(), Outer(lr=1).digest(), Outer(data=Inner(n_max=None)).digest()}) == 3


def test_differing_keys_are_listed_with_both_values() -> None:
    old = {"lr": 1, "data": {"n": 2, "m": 3}, "gone": None}
    new = {"lr": 2, "data": {"n": 2, "m": None}, "new": 4}
    assert differing_keys(old, new) == ["data.m: 3 -> None", "lr: 1 -> 2", "new: None -> 4"]
