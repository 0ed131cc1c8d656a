import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judgekit_datasets.curation.config import DuplicatesConfig
from judgekit_datasets.curation.near_duplicates import (
    ShingleFile,
    SketchFiles,
    find_duplicates,
    group_similar,
    minhashes,
    shingle_sets,
    sketch,
)
from judgekit_datasets.curation.text_hashes import hash_words

BASE = "the quick brown fox jumps over a lazy dog while nine small birds sing in old trees near our green house"
WORDS = BASE.split()


def find(folder, texts, *, threshold=0.8, key=None, usable=None):
    files = SketchFiles(folder)
    made = sketch(hash_words(texts), DuplicatesConfig(n_bands=20, rows_per_band=3), key_B=key)
    files.write(0, made)
    usable = np.ones(len(texts), bool) if usable is None else np.array(usable)
    return find_duplicates(files, n_parts=1, usable_B=usable, threshold=threshold)


def test_jaccard_by_hand(tmp_path):
    # abc bcd cde | abc bcd cdf: 2 of 4 shared; ab (a short text is one shingle) | nothing shared
    files = SketchFiles(tmp_path)
    files.write(0, sketch(hash_words(["a b c d e", "a b c d f", "a b"]), DuplicatesConfig(n_bands=1, rows_per_band=1)))
    pairs = np.array([[0, 1], [0, 2], [1, 1]])
    assert files.shingle_file(1).jaccards(pairs).tolist() == [0.5, 0.0, 1.0]


def test_near_duplicate_is_removed_and_the_first_kept(tmp_path):
    texts = [BASE, "something else entirely is said in this text", BASE + " again", BASE.upper()]
    found = find(tmp_path, texts)
    assert found.removed.tolist() == [2, 3]
    assert found.kept.tolist() == [0, 0]
    n = len(WORDS) - 2  # shingles of BASE; one more word makes one more shingle
    assert found.jaccard.tolist() == pytest.approx([n / (n + 1), 1.0])


@pytest.mark.parametrize(
    ("one", "other"), [("costs 5 dollars", "costs 6 dollars"), ("five", "six"), ("2 + 3", "2 - 3"), ("1.5", "15")]
)
def test_texts_that_differ_in_numbers_or_operators_never_merge(tmp_path, one, other):
    assert find(tmp_path, [f"{BASE} {one} {BASE}", f"{BASE} {other} {BASE}"], threshold=0.01).removed.tolist() == []


def test_keys_keep_texts_apart(tmp_path):
    assert find(tmp_path, [BASE, BASE], key=np.array([1, 2], np.uint64)).removed.tolist() == []
    assert find(tmp_path, [BASE, BASE], key=np.array([1, 1], np.uint64)).removed.tolist() == [1]


def test_rows_that_are_out_neither_go_nor_make_others_go(tmp_path):
    assert find(tmp_path, [BASE, BASE, BASE], usable=[False, True, True]).removed.tolist() == [2]


def test_empty_texts_are_nobodys_duplicates(tmp_path):
    assert find(tmp_path, ["", "", "?!"]).removed.tolist() == []


def test_no_row_goes_because_of_a_chain(tmp_path):
    words = [f"w{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(60)]
    chain = [" ".join(words[4 * i : 4 * i + 40]) for i in range(5)]  # neighbours share 34 of 42 shingles: 0.81
    found = find(tmp_path, chain, threshold=0.8)
    assert found.removed.tolist() == [1, 3]
    assert found.kept.tolist() == [0, 2]
    groups = group_similar(SketchFiles(tmp_path), n_parts=1, threshold=0.8)
    assert len(set(groups.tolist())) == 1  # for splits, chains do count


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 60), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_minhash_estimates_the_true_similarity(n_shared, n_own, seed):
    values = np.random.default_rng(seed).choice(2**32, n_shared + 2 * n_own, replace=False).astype(np.uint32)
    a = np.sort(np.concatenate([values[:n_shared], values[n_shared : n_shared + n_own]]))
    b = np.sort(np.concatenate([values[:n_shared], values[n_shared + n_own :]]))
    minima = minhashes(np.concatenate([a, b]), np.array([len(a), len(b)]), n_hashes=1024)
    truth = n_shared / (n_shared + 2 * n_own)
    estimate = float((minima[:, 0] == minima[:, 1]).mean())
    assert abs(estimate - truth) <= 5 * math.sqrt(truth * (1 - truth) / 1024) + 1e-9


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcde"), max_size=9), min_size=1, max_size=6))
def test_every_removed_text_is_similar_to_a_kept_one(tmp_path_factory, lists):
    texts = [" ".join(words) for words in lists]
    folder = tmp_path_factory.mktemp("sketches")
    found = find(folder, texts, threshold=0.6)
    shingles, sizes = shingle_sets(hash_words(texts), 3)
    sets = [set(part.tolist()) for part in np.split(shingles, np.cumsum(sizes)[:-1])]
    for removed, kept, jaccard in zip(*found, strict=True):
        assert kept < removed and kept not in found.removed
        assert jaccard == pytest.approx(len(sets[kept] & sets[removed]) / len(sets[kept] | sets[removed]))
        assert jaccard >= 0.6


def test_texts_in_several_files_are_numbered_through(tmp_path):
    files = SketchFiles(tmp_path)
    for number, text in enumerate(["some other text that is here", BASE, BASE]):
        files.write(number, sketch(hash_words([text]), DuplicatesConfig(n_bands=4, rows_per_band=2)))
    found = find_duplicates(files, n_parts=3, usable_B=np.ones(3, bool), threshold=0.8)
    assert (found.removed.tolist(), found.kept.tolist()) == ([2], [1])


def test_file_without_shingles(tmp_path):
    path = tmp_path / "empty"
    path.touch()
    assert ShingleFile(path, np.zeros(2, np.int64)).jaccards(np.zeros((0, 2), np.int64)).tolist() == []
