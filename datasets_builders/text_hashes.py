"""Stable hashes of words and word n-grams, for many texts at once.

A word is a run of letters and digits, in lower case; each of `+ - * / = < > ^ %` is a word of its own, so that formulas
that differ in an operator differ. A point between digits belongs to the number and a comma between digits is dropped
(`80,000` = `80000`); a hyphen or slash inside text (`half-price`, `and/or`) only separates. Everything else separates.
Texts are put into Unicode form NFKC first, and calculator annotations (`<<48/2=24>>`) are left out.

The hashes are our own: the same in every process, on every machine and with every version of the libraries. They are
polynomial in the bytes modulo 2**64 and mixed at the end, so equal words have equal hashes and others collide with a
probability of about 2**-64 unless somebody constructs a collision.

Axis suffixes: `_C` byte, `_W` word of any text, `_B` text; `starts_B1` has one more entry, the end of the last text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import polars as pl

UInt64s = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_SEPARATOR, _LETTER, _DIGIT, _OPERATOR = range(4)
_BYTE_BASE = 0x9E3779B97F4A7C15
_WORD_BASE = 0xD1B54A32D192ED03
_NUMERALS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion dozen "
    "half third quarter fourth fifth sixth eighth tenth once twice thrice double triple quadruple first second"
)


@dataclass(frozen=True)
class Words:
    """The words of several texts, one after the other."""

    hashes_W: UInt64s
    """Hash of each word."""
    starts_B1: Ints
    """Index of the first word of each text, and the number of words."""
    exact_W: Flags
    """Words that near-duplicates must share: numbers, written in digits or spelled out, and operators."""

    def joined(self, n: int) -> Words:
        """Return the same words with every n texts joined into one; n must divide their number."""
        return Words(self.hashes_W, self.starts_B1[::n], self.exact_W)

    @property
    def n_words_B(self) -> Ints:
        """Number of words of each text."""
        return np.diff(self.starts_B1)


@dataclass(frozen=True)
class Ngrams:
    """Hashes of the word n-grams of several texts, one after the other."""

    hashes: UInt64s
    """Hash of each n-gram."""
    starts_B1: Ints
    """Index of the first n-gram of each text, and the number of n-grams."""


def normalise(texts: pl.Series) -> pl.Series:
    """Return the texts in Unicode form NFKC without calculator annotations; what `hash_words` expects."""
    texts = texts.str.replace_all(r"<<[^<>\n]*>>", "")
    with_marks = (texts.str.len_bytes() != texts.str.len_chars()).arg_true()  # ASCII is normalised as it stands
    return texts.scatter(with_marks, texts.gather(with_marks).str.normalize("NFKC")) if len(with_marks) else texts


def hash_texts(texts: Sequence[str]) -> Words:
    """Return the words of texts as they stand; a convenience for few of them.

    Example:
        >>> a, b = hash_texts(["Half-price: 1,000 eggs", "half price 1000 EGGS!"]).hashes_W.reshape(2, -1)
        >>> bool((a == b).all())
        True
    """
    return hash_words(normalise(pl.Series("text", texts, dtype=pl.String)))


def hash_words(texts: pl.Series) -> Words:
    """Return the words of normalised texts (see `normalise`)."""
    bytes_C, starts_B1 = _bytes_of(texts)
    kind_C, folded_C = _KINDS[bytes_C], _FOLDED[bytes_C]
    _mark_punctuation(bytes_C, kind_C)
    keep_C = _resolve_numbers(bytes_C, kind_C)
    if not keep_C.all():
        starts_B1 = np.concatenate(([0], np.cumsum(keep_C)))[starts_B1]
        kind_C, folded_C = kind_C[keep_C], folded_C[keep_C]
    return _words(kind_C, folded_C, starts_B1)


def ngrams(words: Words, n: int) -> Ngrams:
    """Return the n-grams of each text; a text of fewer words has one, of all its words, and an empty text none."""
    sizes_B = np.where(words.n_words_B >= n, words.n_words_B - n + 1, np.minimum(words.n_words_B, 1))
    starts_B1 = np.concatenate(([0], np.cumsum(sizes_B)))
    begin = np.arange(starts_B1[-1]) + np.repeat(words.starts_B1[:-1] - starts_B1[:-1], sizes_B)
    end = np.minimum(begin + n, np.repeat(words.starts_B1[1:], sizes_B))
    return Ngrams(_sequence_hashes(words.hashes_W, begin, end), starts_B1)


def whole_hashes(words: Words) -> UInt64s:
    """Return one hash a text of all its words, shape (B,); equal to that of an n-gram of the same words."""
    return _sequence_hashes(words.hashes_W, words.starts_B1[:-1], words.starts_B1[1:])


def exact_part_hashes(words: Words) -> UInt64s:
    """Return one hash a text of its numbers and operators in order, shape (B,)."""
    before = np.concatenate(([0], np.cumsum(words.exact_W)))
    starts_B1 = before[words.starts_B1]
    return _sequence_hashes(words.hashes_W[words.exact_W], starts_B1[:-1], starts_B1[1:])


def distinct(values: UInt64s) -> UInt64s:
    """Return the values rising and each once; by sorting, which here is much faster than `np.unique`."""
    values = np.sort(values)
    return values[np.concatenate(([True], values[1:] != values[:-1]))] if len(values) else values


class HashSet:
    """Finds the few members among many hashes: a table of bits sorts out nearly all others at once."""

    def __init__(self, members: UInt64s) -> None:
        self.members = distinct(members)
        n_bits = min(max(16, 4 + len(self.members).bit_length()), 26)
        self._shift = np.uint64(64 - n_bits)
        self._table = np.zeros(1 << n_bits, np.bool_)
        self._table[self.members >> self._shift] = True

    def find(self, hashes: UInt64s) -> Ints:
        """Return the indices of those that are members, rising."""
        if not len(self.members):
            return np.zeros(0, np.int64)
        maybe = np.flatnonzero(self._table[hashes >> self._shift])
        place = np.searchsorted(self.members, hashes[maybe])
        return maybe[self.members[np.minimum(place, len(self.members) - 1)] == hashes[maybe]]


def mix(values: UInt64s) -> UInt64s:
    """Return the values scrambled one to one, so that every bit depends on every bit.

    Source:
        The finaliser of splitmix64 (Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014).
    """
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _bytes_of(texts: pl.Series) -> tuple[npt.NDArray[np.uint8], Ints]:
    """Return the UTF-8 bytes of all texts, each followed by a line break, and where each begins."""
    _, offsets, data = (texts + "\n").rename("").to_arrow().buffers()
    starts_B1 = np.frombuffer(offsets, np.int64)[: len(texts) + 1]
    return np.frombuffer(data, np.uint8)[: starts_B1[-1]], starts_B1


def _kind_table() -> npt.NDArray[np.uint8]:
    kinds = np.full(256, _SEPARATOR, np.uint8)
    kinds[128:] = _LETTER
    for char in range(128):
        if chr(char).isalpha():
            kinds[char] = _LETTER
        elif chr(char).isdigit():
            kinds[char] = _DIGIT
    kinds[[ord(char) for char in "+-*/=<>^%"]] = _OPERATOR
    return kinds


_KINDS = _kind_table()
_FOLDED = np.array([ord(chr(i).lower()) if i < 128 else i for i in range(256)], np.uint8)


def _mark_punctuation(bytes_C: npt.NDArray[np.uint8], kind_C: npt.NDArray[np.uint8]) -> None:
    """Make the general punctuation of Unicode (U+2000 to U+206F: dashes, curly quotes, ...) separate words."""
    first = np.flatnonzero(bytes_C == 0xE2)
    first = first[np.isin(bytes_C[first + 1], (0x80, 0x81))]
    for offset in range(3):
        kind_C[first + offset] = _SEPARATOR


def _resolve_numbers(bytes_C: npt.NDArray[np.uint8], kind_C: npt.NDArray[np.uint8]) -> Flags:
    """Join points to numbers, make hyphens and slashes inside text separators, and return what stays of the bytes."""
    last = len(bytes_C) - 1
    keep_C = np.ones(len(bytes_C), np.bool_)

    def is_kind(index: Ints, kind: int) -> Flags:
        return (index >= 0) & (index <= last) & (kind_C[np.clip(index, 0, last)] == kind)

    for char in b".,":
        where = np.flatnonzero(bytes_C == char)
        where = where[is_kind(where - 1, _DIGIT) & is_kind(where + 1, _DIGIT)]
        if char == ord("."):
            kind_C[where] = _DIGIT
        else:
            keep_C[where] = False
    for char in b"-/":
        where = np.flatnonzero(bytes_C == char)
        after_text = is_kind(where - 1, _LETTER) & is_kind(where - 2, _LETTER)
        before_text = is_kind(where + 1, _LETTER) & is_kind(where + 2, _LETTER)
        kind_C[where[after_text | before_text]] = _SEPARATOR
    return keep_C


def _words(kind_C: npt.NDArray[np.uint8], folded_C: npt.NDArray[np.uint8], starts_B1: Ints) -> Words:
    in_word_C = (kind_C == _LETTER) | (kind_C == _DIGIT)
    is_operator_C = kind_C == _OPERATOR
    begins_C, ends_C = in_word_C.copy(), in_word_C.copy()
    begins_C[1:] &= ~in_word_C[:-1]
    ends_C[:-1] &= ~in_word_C[1:]
    begins_W = np.flatnonzero(begins_C | is_operator_C)
    ends_W = np.flatnonzero(ends_C | is_operator_C) + 1
    hashes_W = _range_hashes(folded_C.astype(np.uint64) + np.uint64(1), begins_W, ends_W, base=_BYTE_BASE)
    word_starts_B1 = np.searchsorted(begins_W, starts_B1)
    exact_W = kind_C[begins_W] != _LETTER
    exact_W[_numerals().find(hashes_W)] = True
    return Words(hashes_W, word_starts_B1, exact_W)


@lru_cache(maxsize=1)
def _numerals() -> HashSet:
    sizes = np.array([len(word) for word in _NUMERALS.split()])
    letters = np.frombuffer(_NUMERALS.replace(" ", "").encode(), np.uint8).astype(np.uint64) + np.uint64(1)
    ends = np.cumsum(sizes)
    return HashSet(_range_hashes(letters, ends - sizes, ends, base=_BYTE_BASE))


def _sequence_hashes(hashes_W: UInt64s, begin: Ints, end: Ints) -> UInt64s:
    return _range_hashes(hashes_W, begin, end, base=_WORD_BASE)


def _range_hashes(values: UInt64s, begin: Ints, end: Ints, *, base: int) -> UInt64s:
    """Return the mixed polynomial hash of `values[begin:end]` for each pair, by prefix sums modulo 2**64."""
    sums = np.zeros(len(values) + 1, np.uint64)
    np.cumsum(values * _powers(base, len(values)), out=sums[1:])
    inverse = pow(base, -1, 2**64)
    return mix((sums[end] - sums[begin]) * _powers(inverse, len(values) + 1)[begin])


_power_tables: dict[int, UInt64s] = {}


def _powers(base: int, n: int) -> UInt64s:
    """Return `base ** i` modulo 2**64 for i in 0..n-1; kept between calls."""
    table = _power_tables.get(base)
    if table is None or len(table) < n:
        table = np.full(max(n, 1 << 16), base, np.uint64)
        table[0] = 1
        np.cumprod(table, out=table)
        _power_tables[base] = table
    return table[:n]


__all__ = [
    "Flags", "HashSet", "Ints", "Ngrams", "UInt64s", "Words", "distinct", "exact_part_hashes", "hash_texts",
    "hash_words", "mix", "ngrams", "normalise", "whole_hashes",
]  # fmt: skip
