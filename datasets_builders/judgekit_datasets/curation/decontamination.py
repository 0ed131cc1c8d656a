"""Finds overlap between a data set and benchmarks: word n-grams and whole texts, for problems and for solutions.

Problems are compared with problems, solutions with solutions. Three rules, strongest first:

- *exact*: the two texts have the same words (problems always; solutions from `min_words` words on);
- *contained*: one of the texts is shorter than an n-gram, has at least `min_words` words, and all of it stands in the
  other, word by word;
- *ngram*: the fraction of the row's n-grams that occur anywhere in the benchmark is above zero and at least the limit.

Words are those of `text_hashes`: case, punctuation and blanks do not count, numbers and operators do. Problems that are
the same by `judgekit.text.identity`, even if LaTeX spells one differently, are exact, too. Every entry names the
benchmark and the first of its rows that matched.

Source:
    n = 13 with any overlap: Brown et al., Language Models are Few-Shot Learners (2005.14165), appendix C.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from judgekit.errors import DataError
from judgekit.io import MANIFEST, shard_paths
from judgekit.text.identity import problem_id
from judgekit_datasets.curation.config import ContaminationConfig
from judgekit_datasets.curation.text_hashes import (
    HashSet,
    Ints,
    UInt64s,
    Words,
    hash_words,
    loose_keys,
    ngrams,
    whole_hashes,
)
from judgekit_datasets.inputs import InputPart, open_input

PARTS = ("problem", "solution")
"""What is compared with its like."""
RULES = ("exact", "contained", "ngram")
"""Ways to match, strongest first."""
MATCH_SCHEMA = {
    "row": pl.Int64(), "part": pl.UInt8(), "rule": pl.UInt8(), "benchmark": pl.UInt16(), "benchmark_row": pl.Int64(),
    "n_found": pl.Int64(), "n_all": pl.Int64(),
}  # fmt: skip
"""Columns of a match: row, `PARTS` and `RULES` by number, benchmark and its text by number, n-grams found of all."""
_TEXTS_AT_ONCE = 2000


class BenchmarkText(NamedTuple):
    """One text of a benchmark and where it stands."""

    benchmark: int
    """Number of the benchmark."""
    place: str
    """File and row."""
    part: int
    """Index into `PARTS`."""
    text: str
    """The text itself."""


def read_benchmarks(config: ContaminationConfig) -> Iterator[BenchmarkText]:
    """Yield the texts of all benchmarks.

    Raises:
        DataError: a benchmark cannot be read, or a row of it has none of the fields that hold a problem.
    """
    for number, (name, path) in enumerate(config.benchmarks.items()):
        for part in open_benchmark(path):
            for row, raw in part.rows():
                if isinstance(raw, str):
                    raise DataError(f"benchmark {name}: {part.name}, row {row}: {raw}")
                texts = [(0, text) for text in dict.fromkeys(_texts(raw, config.problem_fields))]
                if not texts:
                    raise DataError(
                        f"benchmark {name}: {part.name}, row {row} has no problem under "
                        f"{', '.join(config.problem_fields)} (it has {', '.join(raw)}): "
                        "set contamination.problem_fields"
                    )
                texts += [(1, text) for text in dict.fromkeys(_texts(raw, config.solution_fields))]
                for kind, text in texts:
                    yield BenchmarkText(number, f"{part.name} row {row}", kind, text)


def open_benchmark(path: Path) -> list[InputPart]:
    """Return the parts of a benchmark: the shards of a data set folder, or whatever `open_input` makes of the path.

    Raises:
        DataError: see `open_input` and `shard_paths`.
    """
    if not (path / MANIFEST).is_file():
        return open_input(path)
    return [part for shard in shard_paths(path) for part in open_input(shard)]


def _texts(value: Any, fields: Sequence[str]) -> Iterator[str]:
    """Yield the texts under the fields, at any depth; a list of texts is one text."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name in fields and isinstance(inner, str):
                yield inner
            elif name in fields and isinstance(inner, list) and inner and all(isinstance(item, str) for item in inner):
                yield "\n".join(inner)
            else:
                yield from _texts(inner, fields)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, fields)


class _Table:
    """Hashes of a benchmark's n-grams or texts -> (benchmark, number of its text), each pair of the first two once."""

    def __init__(self, hashes: UInt64s, text: Ints, benchmark_of_text: npt.NDArray[np.uint16]) -> None:
        benchmark = benchmark_of_text[text]
        order = np.lexsort((text, benchmark, hashes))
        hashes, benchmark, text = hashes[order], benchmark[order], text[order]
        is_new = np.concatenate(([True], (hashes[1:] != hashes[:-1]) | (benchmark[1:] != benchmark[:-1])))
        is_new = is_new[: len(hashes)]
        self.hashes, self.benchmark, self.text = hashes[is_new], benchmark[is_new], text[is_new]

    @cached_property
    def _members(self) -> HashSet:
        return HashSet(self.hashes)

    def look_up(self, hashes: UInt64s) -> tuple[Ints, Ints]:
        """Return (index of the hash given, index of the entry) for every entry with that hash."""
        found = self._members.find(hashes)
        begin = np.searchsorted(self.hashes, hashes[found], "left")
        counts = np.searchsorted(self.hashes, hashes[found], "right") - begin
        entry = np.arange(counts.sum()) + np.repeat(begin - (np.cumsum(counts) - counts), counts)
        return np.repeat(found, counts), entry


class _PartIndex(NamedTuple):
    """What is looked up for problems, or for solutions."""

    whole: _Table
    """Whole texts."""
    ngrams: _Table
    """The n-grams."""
    windows: _Table
    """All windows of at least `min_words` words that are shorter than an n-gram."""
    short: _Table
    """Whole texts shorter than an n-gram that may be contained."""
    short_sizes: tuple[int, ...]
    """Their numbers of words."""


class BenchmarkIndex:
    """The texts of all benchmarks, ready to be looked up.

    Args:
        config: Which benchmarks and rules.

    Raises:
        DataError: see `read_benchmarks`.
    """

    def __init__(self, config: ContaminationConfig) -> None:
        self.config = config
        self.names = list(config.benchmarks)
        """Names of the benchmarks by number."""
        texts = list(read_benchmarks(config))
        self.places = [text.place for text in texts]
        """File and row of each text by number."""
        self.n_texts = np.zeros((len(self.names), len(PARTS)), np.int64)
        """Number of texts of each benchmark and part."""
        benchmark_of_text = np.array([text.benchmark for text in texts], np.uint16)
        self._parts = []
        for kind in range(len(PARTS)):
            numbers = np.array([i for i, text in enumerate(texts) if text.part == kind], np.int64)
            words = hash_words([texts[i].text for i in numbers])
            self.n_texts[:, kind] = np.bincount(benchmark_of_text[numbers], minlength=len(self.names))
            self._parts.append(self._index_part(words, numbers, benchmark_of_text, is_problem=kind == 0))
        problems = [i for i, text in enumerate(texts) if text.part == 0]
        self._loose = HashSet(loose_keys(pl.Series([texts[i].text for i in problems], dtype=pl.String)))
        identities = _identities(texts[i].text for i in problems)
        self._same = _Table(identities, np.array(problems, np.int64), benchmark_of_text)

    def _index_part(
        self, words: Words, numbers: Ints, benchmark_of_text: npt.NDArray[np.uint16], *, is_problem: bool
    ) -> _PartIndex:
        least, n = self.config.min_words, self.config.n_words
        sizes, whole = words.n_words_B, whole_hashes(words)
        exact = sizes >= (1 if is_problem else least)
        short = (sizes >= least) & (sizes < n)

        def windows(*window_sizes: int) -> _Table:
            found = [_windows(words, size) for size in window_sizes]
            hashes = np.concatenate([np.zeros(0, np.uint64), *(hashes for hashes, _ in found)])
            texts = np.concatenate([np.zeros(0, np.int64), *(texts for _, texts in found)])
            return _Table(hashes, numbers[texts], benchmark_of_text)

        return _PartIndex(
            whole=_Table(whole[exact], numbers[exact], benchmark_of_text),
            ngrams=windows(n),
            windows=windows(*range(least, n)),
            short=_Table(whole[short], numbers[short], benchmark_of_text),
            short_sizes=tuple(np.unique(sizes[short]).tolist()),
        )

    def find(self, words: Words, problems: pl.Series) -> pl.DataFrame:
        """Return the matches of rows, in the columns of `MATCH_SCHEMA`; the strongest rule for each benchmark and part.

        Args:
            words: Two texts a row, its problem and its solution.
            problems: The problems' texts.
        """
        matches: list[pl.DataFrame] = []
        for kind in range(len(PARTS)):
            # Every second text, beginning with the first (problems) or the second (solutions).
            begin, end = words.starts_B1[kind:-1:2], words.starts_B1[kind + 1 :: 2]
            starts_B1 = np.concatenate(([0], np.cumsum(end - begin)))
            index = np.arange(starts_B1[-1]) + np.repeat(begin - starts_B1[:-1], end - begin)
            matches += self._find_part(Words(words.hashes_W[index], starts_B1, words.exact_W[index]), kind)
        maybe = self._loose.find(loose_keys(problems))
        given, entry = self._same.look_up(_identities(problems.gather(maybe)))
        matches.append(_matches(maybe[given], 0, 0, self._same, entry))
        best = pl.concat(matches).sort("row", "part", "benchmark", "rule", "benchmark_row")
        return best.unique(["row", "part", "benchmark"], keep="first", maintain_order=True)

    def _find_part(self, words: Words, kind: int) -> Iterator[pl.DataFrame]:
        index, config = self._parts[kind], self.config
        sizes, whole = words.n_words_B, whole_hashes(words)
        usable = np.flatnonzero(sizes >= (1 if kind == 0 else config.min_words))
        given, entry = index.whole.look_up(whole[usable])
        yield _matches(usable[given], kind, 0, index.whole, entry)
        short = np.flatnonzero((sizes >= config.min_words) & (sizes < config.n_words))
        given, entry = index.windows.look_up(whole[short])
        yield _matches(short[given], kind, 1, index.windows, entry)
        for size in index.short_sizes:
            hashes, row = _windows(words, size)
            given, entry = index.short.look_up(hashes)
            yield _matches(row[given], kind, 1, index.short, entry)
        hashes, row = _windows(words, config.n_words)
        given, entry = index.ngrams.look_up(hashes)
        found = (
            _matches(row[given], kind, 2, index.ngrams, entry)
            .group_by("row", "part", "rule", "benchmark")
            .agg(pl.col("benchmark_row").min(), n_found=pl.len().cast(pl.Int64))
        )
        n_all = words.n_words_B[found["row"].to_numpy()] - config.n_words + 1
        found = found.with_columns(n_all=pl.Series(n_all, dtype=pl.Int64))
        share = (config.problem_share, config.solution_share)[kind]
        yield found.filter(pl.col("n_found") / pl.col("n_all") >= share).select(list(MATCH_SCHEMA))


def _identities(problems: Iterable[str]) -> UInt64s:
    """Return a number for each problem, the same for the same problem."""
    return np.array([int(problem_id(text)[:16], 16) for text in problems], np.uint64)


def _windows(words: Words, size: int) -> tuple[UInt64s, Ints]:
    """Return the windows of exactly that many words, and the text of each."""
    grams = ngrams(words, size)
    text = np.repeat(np.arange(len(words.n_words_B)), np.diff(grams.starts_B1))
    long_enough = words.n_words_B[text] >= size
    return grams.hashes[long_enough], text[long_enough]


def _matches(row: Ints, kind: int, rule: int, table: _Table, entry: Ints) -> pl.DataFrame:
    columns = {
        "row": row, "part": np.full(len(row), kind), "rule": np.full(len(row), rule),
        "benchmark": table.benchmark[entry], "benchmark_row": table.text[entry],
        "n_found": np.ones(len(row), np.int64), "n_all": np.ones(len(row), np.int64),
    }  # fmt: skip
    return pl.DataFrame(columns, schema=MATCH_SCHEMA)


def row_words(problems: pl.Series, solutions: pl.Series) -> Words:
    """Return the words of rows, two texts a row: what `BenchmarkIndex.find` and the duplicates work on."""
    both = pl.DataFrame({"problem": problems, "solution": solutions})
    texts = both.select(pl.concat_list("problem", "solution").alias("text")).explode("text")["text"]
    return hash_words(texts)
