"""Options of `judgekit curate`; imports nothing heavy, so that a typo is reported at once."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from judgekit.config import BaseConfig

CapKey = Literal["problem_id", "first_error", "n_steps", "generator", "source"]
"""What a cap counts rows by."""


class QualityConfig(BaseConfig):
    """Which rows are too poor to keep; `null` turns a filter off."""

    min_steps: int | None = Field(default=None, ge=1)
    """Minimum steps."""
    max_steps: int | None = Field(default=None, ge=1)
    """Maximum steps."""
    min_step_chars: int | None = Field(default=1, ge=1)
    """Minimum characters of a step, without surrounding blanks."""
    max_step_chars: int | None = Field(default=None, ge=1)
    """Maximum characters of a step."""
    max_problem_chars: int | None = Field(default=None, ge=1)
    """Maximum characters of a problem."""
    max_repeated_steps: int | None = Field(default=None, ge=0)
    """Maximum steps that repeat an earlier one letter by letter."""
    max_garbage_frac: float | None = Field(default=0.01, ge=0, le=1)
    """Maximum fraction of characters that are control, private-use or replacement characters (U+FFFD)."""
    require_final_answer: bool = False
    """Whether the last step must contain a digit of any script, `boxed` or a word for answer."""


class DuplicatesConfig(BaseConfig):
    """When two solutions count as the same. The first row is kept."""

    exact: bool = True
    """Remove rows whose problem and steps are the same by `judgekit.text.identity` (case, blanks, formula delimiters
    and full stops do not count), whatever their labels."""
    near: float | None = Field(default=0.8, gt=0, le=1)
    """Remove rows whose word shingles have at least this Jaccard similarity with a kept row, the same first error, and
    the same numbers and operators in the same order; `null` turns it off."""
    near_spares: tuple[str, ...] = ("injected",)
    """Label methods whose rows are neither removed as near-duplicates nor cause others to be: constructions add
    harmless edits next to errors on purpose, so that an edit reveals nothing, and only those would be removed."""
    shingle_words: int = Field(default=3, ge=1)
    """Words per shingle."""
    n_bands: int = Field(default=10, ge=1)
    """Bands of the signature (b); more bands find more. At similarity s, a pair is found with 1 - (1 - s^r)^b."""
    rows_per_band: int = Field(default=4, ge=1)
    """Hashes per band (r); more of them leave fewer pairs to verify."""


class ContaminationConfig(BaseConfig):
    """What counts as taken from a benchmark. Problems are compared with problems, solutions with solutions."""

    benchmarks: dict[str, Path] = Field(default_factory=dict)
    """Name -> data set folder, or file or folder of raw rows (`.jsonl`, `.json`, `.parquet`)."""
    n_words: int = Field(default=13, ge=1)
    """Words per n-gram; characters in scripts without spaces between words. A shorter text counts as contained if the
    whole of it occurs in the other."""
    min_words: int = Field(default=8, ge=1)
    """Texts with fewer words only match as a whole: problems by equality, solutions not at all."""
    problem_share: float = Field(default=0.0, ge=0, le=1)
    """Smallest fraction of a problem's n-grams that must occur in the benchmark; at 0, one is enough."""
    solution_share: float = Field(default=0.5, ge=0, le=1)
    """The same for solutions, whose stock phrases are shared by chance."""
    problem_fields: tuple[str, ...] = (
        "problem", "question", "Question", "original_question", "modified_question", "input",
    )  # fmt: skip
    """Fields of raw rows that contain a problem, at any depth."""
    solution_fields: tuple[str, ...] = (
        "steps", "solution", "answer", "response", "ground_truth", "ground_truth_solution", "original_process",
        "modified_process", "original_response", "model_output_steps", "Model_Solution_Steps", "completions",
    )  # fmt: skip
    """Fields of raw rows that contain a solution, as text or as a list of texts, at any depth."""

    @model_validator(mode="after")
    def _words(self) -> Self:
        if self.min_words > self.n_words:
            raise ValueError(f"min_words {self.min_words} is more than n_words {self.n_words}")
        return self


class BalanceConfig(BaseConfig):
    """How the kept rows are subsampled, by a hash of the id and the seed; everything is off by default."""

    caps: dict[CapKey, int] = Field(default_factory=dict)
    """Maximum rows for each value, applied in this order. `first_error` only counts rows with an error."""
    error_frac: float | None = Field(default=None, gt=0, lt=1)
    """Fraction of erroneous solutions to reach by leaving out rows of the more frequent kind, after the caps; `null`
    leaves the fraction unchanged."""

    @model_validator(mode="after")
    def _positive(self) -> Self:
        wrong = {key: cap for key, cap in self.caps.items() if cap < 1}
        if wrong:
            raise ValueError(f"a cap must be at least 1, not {wrong}; leave the key out for no cap")
        return self


class CurationConfig(BaseConfig):
    """How a set of labelled solutions is curated."""

    data: tuple[Path, ...] = Field(min_length=1)
    """Data set folders or parquet files of labelled solutions; of duplicates, the first is kept."""
    name: str = "curated step labels"
    """Name of the data set on its card."""
    quality: QualityConfig = QualityConfig()
    """Which rows are too poor to keep."""
    duplicates: DuplicatesConfig = DuplicatesConfig()
    """When two solutions count as the same."""
    contamination: ContaminationConfig = ContaminationConfig()
    """What counts as taken from a benchmark."""
    balance: BalanceConfig = BalanceConfig()
    """How the kept rows are subsampled."""
    splits: dict[str, float] | None = None
    """Name -> fraction of the problems, in (0, 1], summing to 1; `null` writes one set. Problems that are
    near-duplicates of each other stay together."""
    seed: int = 0
    """Seed of balancing and splitting."""
    rows_per_shard: int = Field(default=50_000, ge=1)
    """Rows per shard; the last shard of a set may have fewer."""
    workers: int | None = Field(default=None, ge=1)
    """Processes; `null` uses one per CPU core. The result does not depend on it."""

    @model_validator(mode="after")
    def _sound_splits(self) -> Self:
        if self.splits is None:
            return self
        fractions = self.splits.values()
        if not all(fraction > 0 for fraction in fractions) or not math.isclose(math.fsum(fractions), 1):
            raise ValueError(f"fractions of splits must be above 0 and sum to 1, not {self.splits}")
        reserved = {"data", "removed"} & self.splits.keys()
        odd = [name for name in self.splits if name in reserved or not re.fullmatch(r"[A-Za-z0-9_]+", name)]
        if odd:
            raise ValueError(
                f"{odd[0]!r} is not a valid name for a split: use letters, digits and _, but not data or removed"
            )
        return self
