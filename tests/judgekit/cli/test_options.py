"""What help says of a configuration: every key with its values, default and sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from judgekit.cli.options import Option, describe_options, render_options
from judgekit.config import BaseConfig, OneOf


class Near(BaseConfig):
    """Stays here."""

    type: Literal["near"] = "near"
    """Tells them apart."""
    steps: int = Field(default=3, ge=1)
    """How many."""


class Far(BaseConfig):
    """Goes away.

    Further than one thinks.
    """

    type: Literal["far"] = "far"
    """Tells them apart."""
    share: float | None = Field(gt=0, le=1)
    """How far; `null`: all the way."""


class Part(BaseConfig):
    """A part."""

    name: str = "part"
    """Its name."""


class Whole(BaseConfig):
    """All kinds of fields."""

    files: tuple[Path, ...] = Field(min_length=1)
    """What is read."""
    walk: Annotated[Near | Far, Field(discriminator="type")] = Near(steps=5)
    """Where to."""
    detours: tuple[Annotated[Near | Far, Field(discriminator="type")], ...] | None = None
    """On the way."""
    parts: tuple[Part, ...] = ()
    """Its parts."""
    single: Part = Part(name="one")
    """One of them,
    over two lines."""
    by_name: dict[str, tuple[Annotated[float, Field(ge=0)], ...]] = {}  # noqa: RUF012 - a field, copied by pydantic
    """Numbers."""


class Farther(Near):
    """Goes on."""

    type: Literal["farther"] = "farther"  # type: ignore[assignment]
    """Tells them apart."""
    hours: int = 2
    """How long."""


class Trip(BaseConfig):
    """Where a registry knows the choices."""

    walk: Annotated[BaseConfig, OneOf(lambda: [Near, Farther])] | None = None
    """Where to."""


def test_every_option_is_described() -> None:
    assert list(describe_options(Whole)) == [
        Option("files", "list of path, not empty", None, "What is read.", 0),
        Option("walk", "one of these", "type: near", "Where to.", 0),
        Option("walk.type=near", "", "", "Stays here.", 0),
        Option("walk.steps", "integer >= 1", "5", "How many.", 1),
        Option("walk.type=far", "", "", "Goes away.", 0),
        Option("walk.share", "number > 0 and <= 1 | null", None, "How far; `null`: all the way.", 1),
        Option("detours", "list of one of these | null", "null", "On the way.", 0),
        Option("detours[].type=near", "", "", "Stays here.", 0),
        Option("detours[].steps", "integer >= 1", "3", "How many.", 1),
        Option("detours[].type=far", "", "", "Goes away.", 0),
        Option("detours[].share", "number > 0 and <= 1 | null", None, "How far; `null`: all the way.", 1),
        Option("parts", "list of the keys below", "[]", "Its parts.", 0),
        Option("parts[].name", "text", "part", "Its name.", 0),
        Option("single", "the keys below", "", "One of them,\nover two lines.", 0),
        Option("single.name", "text", "one", "Its name.", 0),
        Option("by_name", "mapping of text to list of number >= 0", "{}", "Numbers.", 0),
    ]


def test_choices_of_a_registry_are_listed_and_what_they_share_is_told_once() -> None:
    assert list(describe_options(Trip)) == [
        Option("walk", "one of these | null", "null", "Where to.", 0),
        Option("walk.type=near", "", "", "Stays here.", 0),
        Option("walk.steps", "integer >= 1", "3", "How many.", 1),
        Option("walk.type=farther", "", "", "Goes on. Takes, as above: steps.", 0),
        Option("walk.hours", "integer", "2", "How long.", 1),
    ]


def test_help_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    text = render_options(Whole)
    assert text.startswith("settings (files= must be given):\n  files: list of path, not empty; required\n      What")
    assert "    walk.steps: integer >= 1; default 5\n        How many.\n" in text
    assert "      One of them, over two lines.\n" in text
    assert max(map(len, text.splitlines())) <= 48
