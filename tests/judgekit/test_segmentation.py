"""Step splitting: spans, white space and the odd responses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judgekit.segmentation import split_steps

TEXTS = st.text(alphabet=st.sampled_from("ab1= .\n\t\r\u3000;"), max_size=60)
SEPARATORS = st.sampled_from(["\n\n", "\n", ";", ". "])


def texts(response: str, separator: str = "\n\n") -> list[str]:
    return [span.text for span in split_steps(response, separator=separator)]


def test_steps_are_trimmed_paragraphs() -> None:
    assert texts("First.\nStill first.\n\n  Second. \n\nThird.") == ["First.\nStill first.", "Second.", "Third."]


@pytest.mark.parametrize("response", ["", "   ", "\n\n\n", "\n\n \t\n\n"])
def test_nothing_but_white_space_has_no_steps(response: str) -> None:
    assert split_steps(response) == []


def test_a_response_without_separator_is_one_step() -> None:
    assert split_steps(" x = 1\ny = 2\n") == [(1, 12, "x = 1\ny = 2")]


def test_blank_lines_in_a_row_separate_once() -> None:
    assert texts("a\n\n\n\nb") == ["a", "b"]
    assert texts("a\n \t\nb") == ["a", "b"]
    assert texts("a\r\n\r\nb") == ["a", "b"]


def test_other_separators_are_literal() -> None:
    assert texts("a\nb\n\nc", "\n") == ["a", "b", "c"]
    assert texts("a.b. c", ".") == ["a", "b", "c"]
    assert texts("a\n\nb", "###") == ["a\n\nb"]


def test_many_line_breaks_do_not_hang() -> None:
    assert texts("a" + "\n " * 50_000 + "b") == ["a", "b"]


def test_empty_separator_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        split_steps("a", separator="")


@given(TEXTS, SEPARATORS)
def test_spans_reproduce_the_text_and_lose_only_white_space_and_separators(response: str, separator: str) -> None:
    spans = split_steps(response, separator=separator)
    position = 0
    for span in spans:
        assert response[span.start : span.end] == span.text == span.text.strip() != ""
        between = response[position : span.start]
        assert not between.replace(separator, "").strip()
        position = span.end
    assert not response[position:].replace(separator, "").strip()


@given(TEXTS, SEPARATORS)
def test_splitting_a_step_again_changes_nothing(response: str, separator: str) -> None:
    for span in split_steps(response, separator=separator):
        assert texts(span.text, separator) == [span.text]
