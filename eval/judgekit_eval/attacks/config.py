"""Options of `judgekit attack`."""

from __future__ import annotations

import difflib
from typing import Self

from pydantic import Field, model_validator

from judgekit.config import BaseConfig
from judgekit.engines.precision import AUTO, ChosenPrecision
from judgekit_eval.attacks.attacks import ATTACKS, Attack
from judgekit_eval.attacks.reading import READING_TESTS, ReadingTest


class AttackConfig(BaseConfig):
    """How a judge is attacked."""

    judge: str
    """The judge as named on the command line, so that a resumed run has the same."""
    attacks: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Names of attacks and of tests of reading; `null` = all."""
    n_max: int | None = Field(default=200, ge=1)
    """Maximum erroneous solutions to attack, and correct ones for the tests of reading; if there are more, evenly
    spaced ones are used. `null` = all."""
    without_neutralisation: bool = False
    """Whether the judge is also attacked without neutralising the candidates' text, for comparison."""
    dtype: ChosenPrecision = AUTO
    """Precision in which the judge runs; `auto`: bfloat16 if the hardware supports it, else float32."""
    chunk_size: int = Field(default=64, ge=1)
    """Solutions that are judged, and stored, at once."""
    show_reference: bool = False
    """Whether the judge may see the reference."""
    n_resamples: int = Field(default=2000, ge=100)
    """Bootstrap resamples for the intervals."""
    seed: int = 0
    """Seed of the attacks' draws and of the bootstrap."""
    n_worst: int = Field(default=3, ge=0)
    """Examples of each attack to keep."""

    @model_validator(mode="after")
    def _known_attacks(self) -> Self:
        known = [*ATTACKS, *READING_TESTS]
        for name in self.attacks or ():
            if name not in known:
                (nearest,) = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
                raise ValueError(f"unknown attack {name!r}; did you mean {nearest!r}? Known: {', '.join(known)}")
        return self

    @property
    def chosen(self) -> list[Attack]:
        """The attacks to run, in the order of the registry."""
        return [attack for name, attack in ATTACKS.items() if self.attacks is None or name in self.attacks]

    @property
    def reading(self) -> list[ReadingTest]:
        """The tests of reading to run, in the order of their table."""
        return [test for name, test in READING_TESTS.items() if self.attacks is None or name in self.attacks]
