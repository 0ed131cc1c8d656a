"""Options of `judgekit eval`."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from judgekit.config import BaseConfig
from judgekit.engines.precision import AUTO, ChosenPrecision

HELD_OUT = "held-out"
"""The judge's own threshold where it was chosen on other data; else cross-fitted over problems."""
JUDGE = "judge"
"""The judge's own threshold, the default of an untouched card, too."""
TUNED = "tuned:"
"""Before the name of a subset: the threshold with the best F1 on it, which is how scalar judges are published."""


def check_threshold(value: float | str) -> float | str:
    """Check the option; returns it.

    Raises:
        ValueError: it is not one of the four ways.
    """
    is_number = isinstance(value, float) and 0 < value <= 1
    is_word = value in (HELD_OUT, JUDGE) or (isinstance(value, str) and value[len(TUNED) :] and value.startswith(TUNED))
    if not (is_number or is_word):
        raise ValueError(f"threshold is {HELD_OUT!r}, {JUDGE!r}, '{TUNED}SUBSET' or a number above 0 and at most 1")
    return value


class EvalConfig(BaseConfig):
    """Which judges are benchmarked on what, and how."""

    judges: tuple[str, ...] = Field(min_length=1)
    """Judges as `load_judge` opens them; `--judge` on the command line."""
    benchmarks: dict[str, tuple[str, ...]] = Field(min_length=1)
    """Built data sets or raw files of each benchmark, by the name of its source; `--benchmark NAME INPUT ...`."""
    n_max: int | None = Field(default=None, ge=1)
    """Solutions of each benchmark at most; of more, evenly spaced ones are judged. `null`: all."""
    dtype: ChosenPrecision = AUTO
    """Precision in which the judges run; `auto`: bfloat16 if the hardware supports it, else float32."""
    chunk_size: int = Field(default=64, ge=1)
    """Solutions that are judged, and stored, at once."""
    n_resamples: int = Field(default=2000, ge=100)
    """Bootstrap resamples for the intervals."""
    seed: int = 0
    """Seed of the bootstrap."""
    n_bins: int = Field(default=10, ge=1)
    """Bins of the reliability diagrams and of the expected calibration errors."""
    threshold: Annotated[float | str, AfterValidator(check_threshold)] = HELD_OUT
    """Threshold on P(step ok). `held-out`: the judge's own if it was chosen on other data, else cross-fitted over the
    problems of each subset. `judge`: the judge's own, even an untouched default. A number: that one. `tuned:SUBSET`:
    the best on that subset, as is usual for published scalar judges; an upper bound there. A judge whose rule is the
    most probable outcome keeps it."""
    n_folds: int = Field(default=5, ge=2)
    """Folds over problems for cross-fitted thresholds."""
    alphas: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (0.05, 0.1, 0.2)
    """Error probabilities for which conformal index sets and certified prefixes are measured."""
    n_splits: int = Field(default=100, ge=2)
    """Random halvings of a subset's problems over which these measurements are repeated."""
    show_reference: bool = False
    """Whether judges may see the reference; results are then not comparable with published ones."""
    floors: bool = True
    """Whether to include judges that read nothing, fitted to each benchmark itself and cross-fitted."""
    n_browsed: int = Field(default=3400, ge=0)
    """Maximum solutions of a benchmark in the report's browser; if there are more, evenly spaced ones are shown."""
