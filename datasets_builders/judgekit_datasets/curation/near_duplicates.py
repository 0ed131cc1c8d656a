"""Near-duplicates by MinHash and locality-sensitive hashing; every pair is verified.

A text is the set of its word shingles. Its signature holds the minima of `n_bands * rows_per_band` hash functions over
the set; two texts whose signatures agree in a whole band are a candidate pair, and a pair counts only if the true
Jaccard similarity of the two sets reaches the threshold. Texts are compared only with texts of the same key: numbers
and operators in order, and whatever else the caller mixes in. So problems that differ in a number never meet.

Of similar texts the first is kept; a text is removed only if it is similar to one that is kept, never because of a
chain of similarities. Sketches are in files: the search needs about 20 bytes of memory per text, plus what the system
maps.

Source:
    Broder, On the resemblance and containment of documents (1997); banding as in Leskovec, Rajaraman and Ullman,
    Mining of Massive Datasets, chapter 3. Written again for numpy.

Axis suffixes: `_B` text, `_K` band, `_P` pair.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from judgekit.io import atomic_path
from judgekit_datasets.curation.config import DuplicatesConfig
from judgekit_datasets.curation.text_hashes import Flags, Ints, UInt64s, Words, distinct, exact_part_hashes, mix, ngrams

UInt32s = npt.NDArray[np.uint32]

_PAIRS_AT_ONCE = 20_000


class Sketch(NamedTuple):
    """What is kept of some texts."""

    keys_K_B: UInt64s
    """One key a band and text; equal keys make a candidate pair. Shape (n_bands, B)."""
    shingles: UInt32s
    """The shingles of each text, one text after the other, rising and each once."""
    sizes_B: Ints
    """Number of shingles of each text; one without any is nobody's duplicate."""


def sketch(words: Words, config: DuplicatesConfig, *, key_B: UInt64s | None = None) -> Sketch:
    """Return the sketch of texts.

    Args:
        words: The texts' words.
        config: Sizes of shingles and of the signature.
        key_B: Only texts of the same value are compared, on top of their numbers and operators; `None` for no more.
    """
    n_bands, rows_per_band = config.n_bands, config.rows_per_band
    shingles, sizes_B = shingle_sets(words, config.shingle_words)
    minima = minhashes(shingles, sizes_B, n_hashes=n_bands * rows_per_band)
    exact_B = exact_part_hashes(words)
    if key_B is not None:
        exact_B = mix(exact_B + key_B * np.uint64(0x9E3779B97F4A7C15))
    keys_K_B = np.empty((n_bands, len(sizes_B)), np.uint64)
    for band in range(n_bands):
        key = exact_B
        for minimum_B in minima[band * rows_per_band : (band + 1) * rows_per_band]:
            key = key * np.uint64(0xD1B54A32D192ED03) + minimum_B
        keys_K_B[band] = mix(key)
    return Sketch(keys_K_B, shingles, sizes_B)


def shingle_sets(words: Words, shingle_words: int) -> tuple[UInt32s, Ints]:
    """Return the distinct shingles of each text as 32-bit hashes, one text after the other, and their numbers."""
    grams = ngrams(words, shingle_words)
    n_texts = len(grams.starts_B1) - 1
    text = np.repeat(np.arange(n_texts, dtype=np.uint64), np.diff(grams.starts_B1))
    both = distinct((text << np.uint64(32)) | (grams.hashes >> np.uint64(32)))
    return both.astype(np.uint32), np.bincount((both >> np.uint64(32)).astype(np.int64), minlength=n_texts)


def minhashes(shingles: UInt32s, sizes_B: Ints, *, n_hashes: int) -> UInt32s:
    """Return the smallest value of each hash function over each set, shape (n_hashes, B); 0 for empty sets.

    The share of functions in which two sets agree estimates their Jaccard similarity, without bias, with a standard
    deviation of sqrt(s (1 - s) / n_hashes).
    """
    seeds = mix(np.arange(1, 2 * n_hashes + 1, dtype=np.uint64)).astype(np.uint32)
    filled_B = sizes_B > 0
    starts = (np.cumsum(sizes_B) - sizes_B)[filled_B]
    minima = np.zeros((n_hashes, len(sizes_B)), np.uint32)
    if not len(starts):
        return minima
    hashed = np.empty_like(shingles)
    for row, (offset, factor) in enumerate(zip(seeds[::2], seeds[1::2] | np.uint32(1), strict=True)):
        np.bitwise_xor(shingles, offset, out=hashed)
        np.multiply(hashed, factor, out=hashed)
        np.bitwise_xor(hashed, hashed >> np.uint32(15), out=hashed)
        np.multiply(hashed, np.uint32(0x2C1B3C6D), out=hashed)
        minima[row, filled_B] = np.minimum.reduceat(hashed, starts)
    return minima


class SketchFiles:
    """The sketches of many texts, in numbered files of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, number: int, part: Sketch) -> None:
        """Store the sketches of the texts that come after those of the lower numbers."""
        for name, values in part._asdict().items():
            with atomic_path(self._path(name, number)) as partial, partial.open("wb") as file:
                np.save(file, values)

    def candidate_pairs(self, usable_B: Flags, n_parts: int) -> npt.NDArray[np.int64]:
        """Return (earlier, later) texts that agree in a band, by the later, each pair once. Shape (P, 2).

        All texts with one key are paired with the first of them.
        """
        rows = np.flatnonzero(usable_B)
        codes = np.zeros(0, np.uint64)
        n_bands = len(self._load("keys_K_B", 0)) if n_parts else 0
        for band in range(n_bands):
            keys = np.concatenate([self._load("keys_K_B", part)[band] for part in range(n_parts)])[rows]
            order = np.argsort(keys, kind="stable")
            keys = keys[order]
            is_first = np.concatenate(([True], keys[1:] != keys[:-1])) if len(keys) else np.zeros(0, np.bool_)
            first = np.maximum.accumulate(np.where(is_first, np.arange(len(keys)), 0))
            later, earlier = rows[order[~is_first]], rows[order[first[~is_first]]]
            found = (later.astype(np.uint64) << np.uint64(32)) | earlier.astype(np.uint64)
            codes = distinct(np.concatenate([codes, found]))
        pairs = np.stack([codes & np.uint64(0xFFFFFFFF), codes >> np.uint64(32)], axis=1)
        return pairs.astype(np.int64)

    def shingle_file(self, n_parts: int) -> ShingleFile:
        """Join the shingles of all parts into one file and open it."""
        path = self.folder / "shingles.bin"
        with atomic_path(path) as partial, partial.open("wb") as file:
            for part in range(n_parts):
                self._load("shingles", part).tofile(file)
        sizes = [self._load("sizes_B", part) for part in range(n_parts)]
        return ShingleFile(path, np.concatenate([np.zeros(0, np.int64), *sizes]))

    def _load(self, name: str, number: int) -> npt.NDArray[np.generic]:
        return np.load(self._path(name, number), mmap_mode="r")

    def _path(self, name: str, number: int) -> Path:
        return self.folder / f"{name}-{number:05d}.npy"


class ShingleFile:
    """The shingle sets of all texts, mapped from a file."""

    def __init__(self, path: Path, sizes_B: Ints) -> None:
        self.sizes_B = sizes_B
        self.starts_B = np.cumsum(sizes_B) - sizes_B
        self._values: UInt32s = np.memmap(path, np.uint32, "r") if sizes_B.any() else np.zeros(0, np.uint32)

    def jaccards(self, pairs_P_2: Ints) -> npt.NDArray[np.float64]:
        """Return the Jaccard similarity of each pair of texts, shape (P,). Both must have shingles."""
        found = [np.zeros(0)]
        for start in range(0, len(pairs_P_2), _PAIRS_AT_ONCE):
            pairs = pairs_P_2[start : start + _PAIRS_AT_ONCE]
            values = np.concatenate([self._tagged(pairs[:, 0]), self._tagged(pairs[:, 1])])
            values.sort(kind="stable")  # two rising runs, which the stable sort merges
            # A set holds each shingle once, so a value that stands twice is in both sets of its pair.
            shared = values[1:][values[1:] == values[:-1]] >> np.uint64(32)
            n_shared = np.bincount(shared.astype(np.int64), minlength=len(pairs))
            found.append(n_shared / (self.sizes_B[pairs].sum(axis=1) - n_shared))
        return np.concatenate(found)

    def _tagged(self, texts: Ints) -> UInt64s:
        """Return the shingles of the texts with the place in the list in the upper half."""
        sizes = self.sizes_B[texts]
        place = np.repeat(np.arange(len(texts)), sizes)
        index = np.arange(len(place)) + np.repeat(self.starts_B[texts] - (np.cumsum(sizes) - sizes), sizes)
        return (place.astype(np.uint64) << np.uint64(32)) | self._values[index]


class Duplicates(NamedTuple):
    """Which texts are removed, ascending, and why."""

    removed: Ints
    """Index of each text removed."""
    kept: Ints
    """Index of the earlier text that it is similar to, and that stays."""
    jaccard: npt.NDArray[np.float64]
    """Their similarity, at least the threshold."""


def find_duplicates(files: SketchFiles, *, n_parts: int, usable_B: Flags, threshold: float) -> Duplicates:
    """Return the near-duplicates among texts of which sketches are stored.

    Args:
        files: The sketches.
        n_parts: Number of files.
        usable_B: Texts to compare; the others neither go nor make others go.
        threshold: Smallest Jaccard similarity, in (0, 1].
    """
    shingles = files.shingle_file(n_parts)
    pairs, jaccards = _similar_pairs(files, shingles, n_parts, usable_B, threshold)
    keeper = np.arange(len(shingles.sizes_B))
    similarity = np.zeros(len(keeper))
    for (earlier, later), jaccard in zip(pairs.tolist(), jaccards.tolist(), strict=True):
        if keeper[later] != later:  # an earlier partner has settled it
            continue
        kept = keeper[earlier]
        if kept != earlier:
            jaccard = shingles.jaccards(np.array([[kept, later]]))[0]
        if jaccard >= threshold:
            keeper[later], similarity[later] = kept, jaccard
    removed = np.flatnonzero(keeper != np.arange(len(keeper)))
    return Duplicates(removed, keeper[removed], similarity[removed])


def group_similar(files: SketchFiles, *, n_parts: int, threshold: float) -> Ints:
    """Return the number of each text's group: similar texts, and texts linked by a chain of them, are in one."""
    shingles = files.shingle_file(n_parts)
    n_texts = len(shingles.sizes_B)
    pairs, _ = _similar_pairs(files, shingles, n_parts, np.ones(n_texts, np.bool_), threshold)
    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n_texts, n_texts))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _similar_pairs(
    files: SketchFiles, shingles: ShingleFile, n_parts: int, usable_B: Flags, threshold: float
) -> tuple[Ints, npt.NDArray[np.float64]]:
    """Return the verified pairs (earlier, later), by the later and then the earlier, and their similarities."""
    pairs = files.candidate_pairs(usable_B & (shingles.sizes_B > 0), n_parts)
    jaccards = shingles.jaccards(pairs)
    similar = jaccards >= threshold
    return pairs[similar], jaccards[similar]
