import subprocess
import sys

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_builders.text_hashes import HashSet, exact_part_hashes, hash_texts, hash_words, ngrams, whole_hashes

TEXTS = st.lists(st.text(alphabet=st.sampled_from("ab 1,.-/+\n\u2019\u00e9\u2212"), max_size=30), max_size=8)


def same(a, b):
    first, second = whole_hashes(hash_texts([a, b]))
    return first == second


def same_numbers(a, b):
    first, second = exact_part_hashes(hash_texts([a, b]))
    return first == second


def test_case_blanks_and_punctuation_do_not_count():
    assert same("She sells 3 eggs.", "she  SELLS\n3 “eggs”!")
    assert same("a half-price sale and/or more", "a half price sale and or more")
    assert same("80,000 people", "80000 people")
    assert same("48/2 = <<48/2=24>>24", "48/2 = 24")


def test_numbers_and_operators_count():
    assert not same("3 eggs", "4 eggs")
    assert not same("x+y=2", "x-y=2")
    assert not same("3.50 dollars", "350 dollars")
    assert hash_texts(["2+3-1 = 4?"]).n_words_B.tolist() == [7]  # 2 + 3 - 1 = 4


def test_exact_part_holds_numbers_numerals_and_operators_in_order():
    assert same_numbers("She has two dogs and 3 cats", "He had two birds, and then 3 fish")
    assert not same_numbers("two dogs", "three dogs")
    assert not same_numbers("3 dogs, 4 cats", "4 dogs, 3 cats")
    assert not same_numbers("2 + 3", "2 - 3")


def test_ngrams_by_hand():
    words = hash_texts(["a b c d", "b c", "", "b c d"])
    grams = ngrams(words, 3)
    assert grams.starts_B1.tolist() == [0, 2, 3, 3, 4]  # abc bcd | bc | | bcd
    assert grams.hashes[1] == grams.hashes[3]
    assert len(set(grams.hashes.tolist())) == 3
    assert whole_hashes(words)[1] == grams.hashes[2]


def test_hash_is_the_same_in_another_process():
    code = "from datasets_builders.text_hashes import *; print(whole_hashes(hash_texts(['Two é 3']))[0])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(printed) == int(whole_hashes(hash_texts(["Two é 3"]))[0])


@settings(max_examples=60, deadline=None)
@given(TEXTS)
def test_texts_in_one_lot_hash_as_they_do_alone(texts):
    together = whole_hashes(hash_texts(texts)).tolist()
    assert together == [int(whole_hashes(hash_texts([text]))[0]) for text in texts]


def test_slices_of_a_column_are_read_from_their_beginning():
    column = pl.Series(["one word", "zwei Wörter hier", "x"])
    assert hash_words(column[1:]).n_words_B.tolist() == [3, 1]


@given(st.sets(st.integers(0, 2**64 - 1), max_size=20), st.lists(st.integers(0, 2**64 - 1), max_size=20))
def test_hash_set_finds_exactly_its_members(members, others):
    asked = np.array([*others, *members], np.uint64)
    found = HashSet(np.array(sorted(members), np.uint64)).find(asked)
    assert found.tolist() == [i for i, value in enumerate(asked.tolist()) if value in members]
