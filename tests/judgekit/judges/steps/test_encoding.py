"""n steps in, n positions out, whatever the steps hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from judgekit.engines.scoring.load import load_tokenizer
from judgekit.errors import ConfigError
from judgekit.judges.steps.encoding import encode_solutions, make_convention, show_encoded
from judgekit.judges.steps.layout import InputConvention
from judgekit.types import Solution
from tests.judgekit.samples import HOSTILE


@pytest.fixture(scope="module")
def tokenizer(tiny_base: Path) -> Any:
    return load_tokenizer(str(tiny_base))


class LetterTokenizer:
    """One token a letter: its place in the alphabet."""

    bos_token_id = 99
    add_bos_token = True

    def __call__(self, texts: list[str], **options: Any) -> Any:
        assert options["split_special_tokens"] and not options["add_special_tokens"]
        self.input_ids = [[ord(letter) - ord("a") for letter in text] for text in texts]
        return self


def test_layout_by_hand() -> None:
    convention = InputConvention(separator_ids=(50, 51), problem_separator_ids=(60,), bos_id=99, max_tokens=10)
    solution = Solution(problem="ab", steps=("c", "", "de"))
    (encoded,) = encode_solutions(LetterTokenizer(), [solution], convention)
    #                            bos  a  b  sep  c   sep       sep      d  e   sep
    assert encoded.input_ids == [99, 0, 1, 60, 2, 50, 51, 50, 51, 3, 4, 50, 51]
    assert encoded.positions_S == [6, 8, 12], "at the last token of each separator"
    assert encoded.n_problem_tokens == 4


def test_a_convention_follows_the_tokenizer(tokenizer: Any) -> None:
    letters = make_convention(LetterTokenizer(), separator="cd", problem_separator="", max_tokens=10)
    assert (letters.separator_ids, letters.problem_separator_ids, letters.bos_id) == ((2, 3), (), 99)
    tiny = make_convention(tokenizer, separator="\n", problem_separator="\n\n", max_tokens=10)
    newline = tokenizer.encode("\n", add_special_tokens=False)
    assert list(tiny.separator_ids) == newline and len(newline) == 1
    assert list(tiny.problem_separator_ids) == newline * 2
    assert tiny.bos_id is None
    with pytest.raises(ConfigError, match="separator '' gives no token"):
        make_convention(tokenizer, separator="", problem_separator="", max_tokens=10)


def test_hostile_text_moves_no_position_and_makes_no_reserved_token(tokenizer: Any) -> None:
    convention = make_convention(tokenizer, separator="\n", problem_separator="\n", max_tokens=1000)
    made = [Solution(problem=text or "?", steps=(*HOSTILE, text)) for text in HOSTILE]
    made.append(Solution(problem="none", steps=()))
    for solution, encoded in zip(made, encode_solutions(tokenizer, made, convention), strict=True):
        assert len(encoded.positions_S) == len(solution.steps)
        assert encoded.positions_S == sorted(set(encoded.positions_S))
        assert all(encoded.input_ids[position] == convention.separator_ids[-1] for position in encoded.positions_S)
        assert not {*encoded.input_ids} & {*tokenizer.all_special_ids}
        whole = "".join(f"{text}\n" for text in (solution.problem, *solution.steps))
        assert tokenizer.decode(encoded.input_ids) == whole, "nothing is lost"


def test_a_step_has_the_same_ids_wherever_it_stands(tokenizer: Any) -> None:
    convention = make_convention(tokenizer, separator="\n", problem_separator="\n", max_tokens=1000)
    ab, a = encode_solutions(
        tokenizer,
        [Solution(problem="?", steps=("1+1=2", "2+2=4")), Solution(problem="?", steps=("1+1=2",))],
        convention,
    )
    assert ab.input_ids[: len(a.input_ids)] == a.input_ids
    assert ab.positions_S[0] == a.positions_S[0]


def test_an_example_is_shown_with_its_positions(tokenizer: Any) -> None:
    convention = make_convention(tokenizer, separator="\n", problem_separator="\n", max_tokens=100)
    (encoded,) = encode_solutions(tokenizer, [Solution(problem="1+1+1?", steps=("1+1=2", "2+1=3"))], convention)
    assert show_encoded(tokenizer, encoded) == "1+1+1?\n1+1=2\n⟦0⟧2+1=3\n⟦1⟧"
