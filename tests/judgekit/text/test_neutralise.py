"""Reserved strings are broken up, whatever they overlap with; everything else stays as it is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from judgekit.text.neutralise import Reserved


def test_the_longest_string_is_broken_up_first() -> None:
    assert Reserved(["<s>", "<s>x"]).neutralise("a<s>x<s>") == "a< s>x< s>"


def test_overlapping_occurrences_are_broken_up() -> None:
    assert Reserved(["abab"]).neutralise("ababab") == "a ba bab"


def test_single_characters_and_spaces_cannot_be_reserved() -> None:
    reserved = Reserved(["+", " +", "  ", "\n \n", "\n", ""])
    assert reserved.strings == ()
    assert reserved.neutralise("1 +  1\n \n") == "1 +  1\n \n"


def test_spaces_around_a_string_do_not_count_and_line_breaks_do() -> None:
    reserved = Reserved([" ки", " \n\n\n"])
    assert reserved.strings == ("\n\n\n", "ки")
    assert reserved.neutralise("a ки\n\n\n\nb") == "a к и\n \n \n\nb"


@given(st.text(alphabet="ab<> \n", max_size=40), st.lists(st.text(alphabet="ab<> \n", max_size=5), max_size=4))
def test_nothing_reserved_is_left_and_only_spaces_are_added(text: str, strings: list[str]) -> None:
    reserved = Reserved(strings)
    clean = reserved.neutralise(text)
    assert not any(string in clean for string in reserved.strings)
    assert clean.replace(" ", "") == text.replace(" ", "")
