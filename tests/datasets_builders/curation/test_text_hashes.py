import subprocess
import sys

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from judgekit.text.identity import problem_words
from judgekit_datasets.curation.text_hashes import (
    HashSet,
    exact_part_hashes,
    hash_words,
    loose_keys,
    ngrams,
    whole_hashes,
)
from tests.judgekit.text.test_identity import SAME, rewritings

TEXTS = st.lists(st.text(alphabet=st.sampled_from("ab 1,.-/+\n\u2019\u00e9\u2212"), max_size=30), max_size=8)


NASTY = "aB1\u0661\u00b2\u00bdx.$\\ {}^\u00e9\u00df\u6c42\u0301<"


def same(a, b):
    first, second = whole_hashes(hash_words([a, b]))
    return first == second


def same_numbers(a, b):
    first, second = exact_part_hashes(hash_words([a, b]))
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
    assert hash_words(["2+3-1 = 4?"]).n_words_B.tolist() == [7]  # 2 + 3 - 1 = 4


def test_powers_fractions_symbols_and_digits_of_all_scripts():
    assert same("x\u00b2 and \u0663\u066b\u0665", "x^2 and 3.5")
    assert same("1\u00bd", "1 1/2") and not same("1\u00bd", "11/2")
    assert not same("x\u2264 5", "x\u2265 5") and not same("2\u00d73", "2\u00f73")
    assert same("3\u22122", "3-2")
    assert not same_numbers("x \u2264 5", "x \u2265 5") and not same_numbers(r"x \le 5", r"x \ge 5")


def test_each_character_of_a_script_without_spaces_is_a_word():
    assert hash_words(["\u5df2\u77e5x2\u3002\u6c42y", "\u0e01\u0e02 b", "\uac00\ub098 \ub2e4"]).n_words_B.tolist() == [
        5,
        3,
        2,
    ]
    assert same("\u5df2\u77e5\uff0c\u6c42", "\u5df2 \u77e5\u6c42") and not same("\u5df2\u77e5", "\u77e5\u5df2")


@settings(max_examples=200, deadline=None)
@given(rewritings())
def test_loose_keys_never_part_what_is_the_same(pair):
    assert problem_words(pair[0]) == problem_words(pair[1])
    first, second = loose_keys(pl.Series(pair))
    assert first == second


def test_loose_keys_never_part_nasty_texts():
    first, second = (loose_keys(pl.Series(texts)) for texts in zip(*SAME, strict=True))
    assert first.tolist() == second.tolist()


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.text(alphabet=st.sampled_from(NASTY), max_size=6),
        max_size=30,
    )
)
def test_loose_keys_agree_with_identity_on_random_texts(texts):
    keys = loose_keys(pl.Series(texts, dtype=pl.String)).tolist()
    by_words = {}
    for text, key in zip(texts, keys, strict=True):
        assert by_words.setdefault(problem_words(text), key) == key


def test_exact_part_holds_numbers_numerals_and_operators_in_order():
    assert same_numbers("She has two dogs and 3 cats", "He had two birds, and then 3 fish")
    assert not same_numbers("two dogs", "three dogs")
    assert not same_numbers("3 dogs, 4 cats", "4 dogs, 3 cats")
    assert not same_numbers("2 + 3", "2 - 3")


def test_ngrams_by_hand():
    words = hash_words(["a b c d", "b c", "", "b c d"])
    grams = ngrams(words, 3)
    assert grams.starts_B1.tolist() == [0, 2, 3, 3, 4]  # abc bcd | bc | | bcd
    assert grams.hashes[1] == grams.hashes[3]
    assert len(set(grams.hashes.tolist())) == 3
    assert whole_hashes(words)[1] == grams.hashes[2]


def test_hash_is_the_same_in_another_process():
    code = "from judgekit_datasets.curation.text_hashes import *; print(whole_hashes(hash_words(['Two é 3']))[0])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(printed) == int(whole_hashes(hash_words(["Two é 3"]))[0])


@settings(max_examples=60, deadline=None)
@given(TEXTS)
def test_texts_in_one_lot_hash_as_they_do_alone(texts):
    together = whole_hashes(hash_words(texts)).tolist()
    assert together == [int(whole_hashes(hash_words([text]))[0]) for text in texts]


def test_slices_of_a_column_are_read_from_their_beginning():
    column = pl.Series(["one word", "zwei Wörter hier", "x"])
    assert hash_words(column[1:]).n_words_B.tolist() == [3, 1]


@given(st.sets(st.integers(0, 2**64 - 1), max_size=20), st.lists(st.integers(0, 2**64 - 1), max_size=20))
def test_hash_set_finds_exactly_its_members(members, others):
    asked = np.array([*others, *members], np.uint64)
    found = HashSet(np.array(sorted(members), np.uint64)).find(asked)
    assert found.tolist() == [i for i, value in enumerate(asked.tolist()) if value in members]
