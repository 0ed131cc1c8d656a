"""Stable hashes of words and word n-grams, for many texts at once.

A word is a run of letters and digits, in lower case. Each of `+ - * / = < > ^ %` and each symbol of mathematics (`≤`,
`∈`, ...) is a separate word, so that formulas with different operators differ. Scripts without spaces between words
(Chinese, Japanese, Thai, Lao, Khmer, Myanmar, Tibetan) have no words to find: each of their characters is a word, and
n-grams of words are n-grams of characters. A point between digits belongs to the number and a comma between digits is
dropped (`80,000` = `80000`); a hyphen or slash inside text (`half-price`, `and/or`) only separates, and so does
everything else. Texts are first put into Unicode form NFKC, except for powers and fractions (`x²` = `x^2`, `1½` = `1
1/2`), with digits of all scripts as plain ones, and calculator annotations (`<<48/2=24>>`) are left out.

These words find *similar* texts. `judgekit.text.identity` decides whether two problems are the *same*; `loose_keys`
finds the few candidates for that.

The hashes are our own: the same in every process, on every machine and with every version of the libraries. They are
polynomial in the bytes modulo 2**64 and mixed at the end, so equal words have equal hashes and others collide with a
probability of about 2**-64 unless a collision is constructed.

Axis suffixes: `_C` byte, `_W` word of any text, `_B` text; `starts_B1` has one more entry, the end of the last text.
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import polars as pl

from judgekit.text.identity import RANGES_WITHOUT_SPACES

UInt64s = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_SEPARATOR, _LETTER, _DIGIT, _OPERATOR, _CHAR, _SYMBOL, _INSIDE, _LAST = range(8)
"""Kinds of bytes. The last four are those of a character that is a word by itself: its first byte, as a letter or as a
symbol, those inside, and its last one."""
_SEPARATORS = (
    (0xA0, 0xA1), (0xAB, 0xAB), (0xBB, 0xBB), (0xBF, 0xBF), (0x589, 0x589), (0x60C, 0x60C), (0x61B, 0x61B),
    (0x61F, 0x61F), (0x66A, 0x66D), (0x6D4, 0x6D4), (0x964, 0x965), (0xE2F, 0xE2F), (0xE5A, 0xE5B), (0x104A, 0x104F),
    (0x1361, 0x1368), (0x17D4, 0x17DA), (0x2000, 0x206F), (0x3000, 0x3004), (0x3008, 0x3020), (0x3030, 0x3030),
    (0x30FB, 0x30FB), (0xFE10, 0xFE4F), (0xFFFD, 0xFFFD),
)  # fmt: skip
"""Code points, first and last, that separate words: spaces, dashes, quotes, and the punctuation of other scripts."""
_SYMBOLS = (
    (0xB1, 0xB1),
    (0xB7, 0xB7),
    (0xD7, 0xD7),
    (0xF7, 0xF7),
    (0x2190, 0x22FF),
    (0x27C0, 0x27FF),
    (0x2900, 0x2AFF),
)
"""Code points of arrows and mathematics."""
_BYTE_BASE = 0x9E3779B97F4A7C15
_WORD_BASE = 0xD1B54A32D192ED03
_NUMERALS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion dozen "
    "half third quarter fourth fifth sixth eighth tenth once twice thrice double triple quadruple first second "
    "le leq leqslant ge geq geqslant lt gt ne neq times cdot div pm mp"
)
"""Words that count like digits and signs: numbers spelled out, and comparisons and operators of LaTeX."""


@dataclass(frozen=True)
class Words:
    """The words of several texts, one after the other."""

    hashes_W: UInt64s
    """Hash of each word."""
    starts_B1: Ints
    """Index of the first word of each text, and the number of words."""
    exact_W: Flags
    """Words that near-duplicates must share: numbers, written in digits or spelled out, operators and symbols."""

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


@lru_cache(maxsize=1)
def _spelled_out() -> dict[str, str]:
    """Return the characters that NFKC leaves alone or takes for others, and what they stand for."""
    table = {"\u2212": "-", "\u2215": "/", "\u2044": "/", "\u066b": ".", "\u066c": ","}
    for char in map(chr, range(0x80, 0x1F000)):
        kind, _, codes = unicodedata.decomposition(char).partition(" ")
        plain = "".join(chr(int(code, 16)) for code in codes.split())
        if kind == "<fraction>":
            table[char] = f" {plain.replace(chr(0x2044), '/')}"
        elif kind in ("<super>", "<sub>") and plain.isdecimal():
            table[char] = ("^" if kind == "<super>" else "") + plain
        elif unicodedata.category(char) == "Nd":
            table[char] = str(unicodedata.decimal(char))
    return table


def loose_keys(texts: pl.Series) -> UInt64s:
    """Return one number per text, equal wherever the words are equal that `problem_words` finds.

    Its converse does not hold: only small letters and digits count here, so signs do not. Whoever wants to know which
    texts are the same asks `problem_words`, which is slow, about those few that share a key.
    """
    texts = texts.str.replace_all(r"<<[^<>\n]*>>", "").str.replace_all(r"\\", " ", literal=True)
    texts = texts.str.replace_all(r"(?:\\n)+([^a-z])", " $1")  # a line break that was escaped twice, no command
    texts = texts.str.replace_all(r"\\(?:begin|end)\{[a-z]*\*?\}|\\[A-Za-z]+", "")  # as many spellings as LaTeX has
    with_marks = (texts.str.len_bytes() != texts.str.len_chars()).arg_true()
    if len(with_marks):
        plain = texts.gather(with_marks).str.replace_many(_spelled_out() | {"\u00ba": "", "ß": "ss", "ẞ": "ss"})
        texts = texts.scatter(with_marks, plain.str.normalize("NFKD"))
    return whole_hashes(hash_words(texts.str.to_lowercase().str.replace_all(r"[^a-z0-9]", "")))


def hash_words(texts: pl.Series | Sequence[str]) -> Words:
    """Return the words of texts.

    Example:
        >>> a, b = hash_words(["Half-price: 1,000 eggs", "half price 1000 EGGS!"]).hashes_W.reshape(2, -1)
        >>> bool((a == b).all())
        True
    """
    texts = pl.Series("text", texts, dtype=pl.String).str.replace_all(r"<<[^<>\n]*>>", "")
    with_marks = (texts.str.len_bytes() != texts.str.len_chars()).arg_true()  # ASCII is normalised as it stands
    if len(with_marks):
        plain = texts.gather(with_marks).str.replace_many(_spelled_out()).str.normalize("NFKC")
        texts = texts.scatter(with_marks, plain)
    # The bytes of all texts as they lie in memory, without a copy; a line break behind each text keeps words apart.
    _, offsets, data = (texts + "\n").rename("").to_arrow().buffers()
    starts_B1 = np.frombuffer(offsets, np.int64)[: len(texts) + 1]
    bytes_C = np.frombuffer(data, np.uint8)[: starts_B1[-1]]
    kind_C, folded_C = _KINDS[bytes_C], _FOLDED[bytes_C]
    # Tell characters of several bytes that are a word by themselves, or none, from the letters of words.
    first = np.flatnonzero(bytes_C >= 0xC2)
    lead = bytes_C[first]
    width = 2 + (lead >= 0xE0).astype(np.int64) + (lead >= 0xF0)
    code = lead.astype(np.int64) & np.choose(width - 2, (0x1F, 0x0F, 0x07))
    for offset in range(1, 4):
        has_it = width > offset
        code[has_it] = code[has_it] << 6 | (bytes_C[first[has_it] + offset] & 0x3F)
    starts, kinds = _character_kinds()
    kind = kinds[np.searchsorted(starts, code, "right") - 1]
    first, width, kind = (values[kind != _LETTER] for values in (first, width, kind))
    is_word = kind != _SEPARATOR
    for offset in range(4):
        here = width > offset
        inside = np.where(width[here] - 1 == offset, _LAST, _INSIDE)
        kind_C[first[here] + offset] = np.where(is_word[here], inside if offset else kind[here], _SEPARATOR)
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
    return Ngrams(_range_hashes(words.hashes_W, begin, end), starts_B1)


def whole_hashes(words: Words) -> UInt64s:
    """Return one hash a text of all its words, shape (B,); equal to that of an n-gram of the same words."""
    return _range_hashes(words.hashes_W, words.starts_B1[:-1], words.starts_B1[1:])


def exact_part_hashes(words: Words) -> UInt64s:
    """Return one hash a text of its numbers and operators in order, shape (B,)."""
    before = np.concatenate(([0], np.cumsum(words.exact_W)))
    starts_B1 = before[words.starts_B1]
    return _range_hashes(words.hashes_W[words.exact_W], starts_B1[:-1], starts_B1[1:])


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
        """Return the indices of those that are members, ascending."""
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


_KINDS = np.full(256, _SEPARATOR, np.uint8)
_KINDS[[*map(ord, string.ascii_letters), *range(128, 256)]] = _LETTER  # beyond ASCII until `hash_words` knows better
_KINDS[[*map(ord, string.digits)]] = _DIGIT
_KINDS[[*map(ord, "+-*/=<>^%")]] = _OPERATOR
_FOLDED = np.array([ord(chr(i).lower()) if i < 128 else i for i in range(256)], np.uint8)


@lru_cache(maxsize=1)
def _character_kinds() -> tuple[Ints, npt.NDArray[np.uint8]]:
    """Return where ranges of code points begin, ascending, and the kind of the characters of each."""
    of_kind = ((_SEPARATORS, _SEPARATOR), (_SYMBOLS, _SYMBOL), (RANGES_WITHOUT_SPACES, _CHAR))
    kinds = {code: kind for ranges, kind in of_kind for begin, end in ranges for code in range(begin, end + 1)}
    for begin, end in _SEPARATORS:  # within the ranges of their scripts
        kinds |= dict.fromkeys(range(begin, end + 1), _SEPARATOR)
    starts, found = [0], [_LETTER]
    for code in sorted(kinds | {code + 1: _LETTER for code in kinds if code + 1 not in kinds}):
        kind = kinds.get(code, _LETTER)
        if kind != found[-1]:
            starts.append(code)
            found.append(kind)
    return np.array(starts, np.int64), np.array(found, np.uint8)


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
        else:  # 1,000 and 1000 are one number
            keep_C[where] = False
    for char in b"-/":
        where = np.flatnonzero(bytes_C == char)
        # half-price is two words, x-y a difference: two letters on a side make text.
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
    begins_C |= is_operator_C
    ends_C |= is_operator_C
    if kind_C.max(initial=0) > _OPERATOR:  # most texts have no character of these kinds
        begins_C |= (kind_C == _CHAR) | (kind_C == _SYMBOL)
        ends_C |= kind_C == _LAST
    begins_W = np.flatnonzero(begins_C)
    ends_W = np.flatnonzero(ends_C) + 1
    hashes_W = _range_hashes(folded_C.astype(np.uint64) + np.uint64(1), begins_W, ends_W, base=_BYTE_BASE)
    word_starts_B1 = np.searchsorted(begins_W, starts_B1)
    kind_W = kind_C[begins_W]
    exact_W = (kind_W != _LETTER) & (kind_W != _CHAR)
    exact_W[_numerals().find(hashes_W)] = True
    return Words(hashes_W, word_starts_B1, exact_W)


@lru_cache(maxsize=1)
def _numerals() -> HashSet:
    sizes = np.array([len(word) for word in _NUMERALS.split()])
    letters = np.frombuffer(_NUMERALS.replace(" ", "").encode(), np.uint8).astype(np.uint64) + np.uint64(1)
    ends = np.cumsum(sizes)
    return HashSet(_range_hashes(letters, ends - sizes, ends, base=_BYTE_BASE))


def _range_hashes(values: UInt64s, begin: Ints, end: Ints, *, base: int = _WORD_BASE) -> UInt64s:
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
