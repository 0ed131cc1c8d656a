"""The content of `bench.json`. It calls a method of judging a "way"."""

from __future__ import annotations

from typing import ClassVar

from judgekit.types import Precision
from judgekit_eval.results import Part, Results


class Machine(Part):
    """Where it was measured."""

    kind: str
    cores: int | None
    threads: int
    torch: str
    cpu_capability: str


class Model(Part):
    """The model."""

    type: str
    n_parameters_of_the_layers: int
    """Without embeddings."""


class Data(Part):
    """What was judged."""

    n_solutions: int
    mean_tokens: float


class Ratio(Part):
    """How many times as fast, over the rounds."""

    median: float
    least: float
    greatest: float


class MethodSpeed(Part):
    """How fast one method judges."""

    name: str
    task: str
    dtype: Precision
    n_solutions: int
    n_tokens: int
    seconds_per_solution: float
    tokens_per_s: float
    of_peak: float
    """Share of the processor's peak, 2 operations a token and parameter of the layers."""
    largest_difference: float
    """Of a logit, from the first method with the same task."""
    against: str | None
    """Key of the method that it is compared with."""
    target: float | None
    ratio: Ratio | None = None
    """The other method's time over this one's; left out where it is compared with none."""

    @property
    def key(self) -> str:
        """Precision and name."""
        return f"{self.dtype}, {self.name}"


class BenchResults(Results):
    """All methods on one machine."""

    unversioned: ClassVar[bool] = True
    machine: Machine
    model: Model
    data: Data
    clock: str
    peak_gflops: dict[Precision, float]
    """Fastest matrix multiplication seen, by precision."""
    ways: list[MethodSpeed]
    """The methods."""
