"""What is read from a critic's answer, and what is not: real-looking answers and nasty ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judgekit.judges.critics.answer import (
    BoxedVerdicts,
    boxes,
    parse_boxed_index,
    parse_boxed_verdicts,
    parse_index,
)
from judgekit.judges.critics.votes import Vote
from judgekit.types import NoVerdictReason

UNPARSABLE, TRUNCATED, REFUSED = NoVerdictReason.UNPARSABLE, NoVerdictReason.TRUNCATED, NoVerdictReason.REFUSED

INDICES: list[tuple[str, Vote]] = [
    (r"Paragraph 2 says 3*4=13. The answer is \boxed{2}.", 2),
    (r"All paragraphs hold. \boxed{-1}", None),
    (r"\boxed{ 0 }", 0),
    (r"\boxed {1}", 1),
    (r"$$\boxed{\text{2}}$$", 2),
    (r"\boxed{\text{ -1 }}", None),
    (r"\boxed{\textbf{\text{3}}}", 3),
    (r"\boxed{$3$}", 3),
    (r"\boxed{\boxed{1}}", 1),
    ("\\boxed{\u22121}", None),
    (r"\boxed{3.}", 3),
    (r"\boxed{paragraph_2}", 2),
    (r"\boxed{<paragraph_2>}", 2),
    (r"\boxed{\text{Paragraph } 2}", UNPARSABLE),
    (r"\boxed{Step 3}", 3),
    (r"First I thought \boxed{1}, but the first error is in \boxed{3}.", 3),
    (r"The solution ends in \boxed{42}, so \boxed{-1}", None),
    (r"\boxed{-1} Wait. The value \boxed{\frac{1}{2}} is wrong.", UNPARSABLE),
    (r"\boxed{4}", UNPARSABLE),
    (r"\boxed{-2}", UNPARSABLE),
    (r"\boxed{}", UNPARSABLE),
    (r"\boxed{none}", UNPARSABLE),
    (r"\boxed{1, 2}", UNPARSABLE),
    (r"\boxed{1.5}", UNPARSABLE),
    (r"\boxed{" + "9" * 6000 + "}", UNPARSABLE),
    ("\\boxed{\u0662}", UNPARSABLE),
    (r"\boxed{2", UNPARSABLE),
    (r"} } \boxed{2} {", 2),
    (r"the set \{0\} and \boxed{\{1\}}", UNPARSABLE),
    (r"\boxed{1} and then \boxed{2", 1),
    ("The first error is in paragraph 2.", UNPARSABLE),
    ("", UNPARSABLE),
    ("I'm sorry, but I can't help with that.", REFUSED),
    ("I cannot assist with this request.", REFUSED),
    (r"I'm sorry for the length. \boxed{2}", 2),
]


@pytest.mark.parametrize(("text", "vote"), INDICES)
def test_boxed_indices(text: str, vote: Vote) -> None:
    assert parse_boxed_index(text, truncated=False, n_steps=4, first_index=0) == vote


def test_an_answer_that_was_cut_off_has_no_last_box() -> None:
    assert parse_boxed_index(r"maybe \boxed{1}, but", truncated=True, n_steps=4, first_index=0) is TRUNCATED


@pytest.mark.parametrize(("text", "vote"), [("1", 0), ("4", 3), ("0", UNPARSABLE), ("5", UNPARSABLE), ("-1", None)])
def test_indices_from_one(text: str, vote: Vote) -> None:
    assert parse_index(text, n_steps=4, first_index=1) == vote


CHAINS: list[tuple[str, bool, Vote]] = [
    (r"Step 1: ok \boxed{correct} Step 2: fine \boxed{correct} Step 3: yes \boxed{correct}", False, None),
    (r"Step 1: \boxed{correct} Step 2: 3 is not 4 \boxed{incorrect}", False, 1),
    (r"Step 1: \boxed{incorrect} Step 2: \boxed{correct} Step 3: \boxed{correct}", False, 0),
    (r"Step 1: \boxed{Correct} Step 2: \boxed{\text{correct}} Step 3: \boxed{Incorrect.}", False, 2),
    (r"Step 1: \boxed{correct} so \boxed{42} Step 2: \boxed{correct} Step 3: \boxed{correct}", False, None),
    (r"Step 1: \boxed{correct} Step 2: \boxed{correct}", False, UNPARSABLE),
    (r"Step 1: \boxed{correct} Step 2: let me", True, TRUNCATED),
    (r"Step 1: \boxed{correct} Step 2: \boxed{incorrect} Step 3: let me", True, 1),
    (r"\boxed{correct} \boxed{correct} \boxed{correct} Step 4: \boxed{incorrect}", False, UNPARSABLE),
    # more verdicts than steps: by the numbers of the steps
    (r"Step 1: \boxed{correct} Step 1: \boxed{correct} Step 2: \boxed{correct} Step 3: \boxed{incorrect}", False, 2),
    (
        r"Step 1: \boxed{correct}. Again, \boxed{correct}. Step 2: no, \boxed{incorrect}. Step 3: \boxed{correct}",
        False,
        1,
    ),
    (r"Step 1: \boxed{incorrect}? No, \boxed{correct} Step 2: \boxed{correct} Step 3: \boxed{correct}", False, None),
    (
        "**Step 1**: \\boxed{correct}\n\n### Step 2\nUsing step 1: \\boxed{incorrect}\n\nStep 3: \\boxed{correct}",
        False,
        1,
    ),
    (r"Step 1: \boxed{correct} Step 2: \boxed{correct} Step 3: \boxed{correct} Step 4: \boxed{incorrect}", False, None),
    (r"I box \boxed{correct} or \boxed{incorrect}. Step 1: \boxed{correct} Step 2: \boxed{incorrect}", False, 1),
    # headings of other spellings and languages
    ("Step 1 of 3: \\boxed{correct}, so \\boxed{correct}\nStep 2 of 3: \\boxed{incorrect}", False, 1),
    ("步骤1\uff1a\\boxed{correct} 再看 \\boxed{correct}\n步骤 2\uff1a\\boxed{incorrect}", False, 1),
    ("第1步\uff1a\\boxed{correct}\\boxed{correct}\n第 2 步: \\boxed{incorrect}", False, 1),
    ("Step \uff11: \\boxed{correct} \\boxed{correct}\nStep \uff12: \\boxed{incorrect}", False, 1),
    ("\\textbf{Step 1}: \\boxed{correct} \\boxed{correct}\n\\textbf{Step 2}: \\boxed{incorrect}", False, 1),
    ("| Step 1 | \\boxed{correct} \\boxed{correct} |\n| Step 2 | \\boxed{incorrect} |", False, 1),
    ("<paragraph_0> \\boxed{correct} \\boxed{correct}\n<paragraph_1> \\boxed{incorrect}", False, 1),
    ("Paragraph 1: \\boxed{correct} \\boxed{correct}\nParagraph 2: \\boxed{incorrect}", False, 1),
    ("Paragraph 0: \\boxed{correct}\nStep 1: \\boxed{incorrect}", False, UNPARSABLE),
    # a summary is about all steps, unless the last step has no verdict of its own
    (
        "Step 1: \\boxed{correct}\nStep 2: \\boxed{correct}\nStep 3: \\boxed{correct}\nOverall \\boxed{correct}",
        False,
        None,
    ),
    (
        "Step 1: \\boxed{correct}\nStep 2: \\boxed{correct}\nStep 3: \\boxed{correct}\nOverall \\boxed{incorrect}",
        False,
        UNPARSABLE,
    ),
    ("Step 1: \\boxed{correct}\nStep 2: \\boxed{incorrect}\n**Final**: \\boxed{incorrect}", False, 1),
    ("Step 1: \\boxed{correct}\nStep 2: 3 is not 4.\nIn summary, \\boxed{incorrect}", False, 1),
    # an item of a list with two verdicts
    ("1. \\boxed{correct}, so \\boxed{correct}\n2. \\boxed{incorrect}", False, UNPARSABLE),
    ("1. \\boxed{correct}\n2. \\boxed{incorrect}", False, 1),
    # fewer, with a hole: the second verdict is on the third step
    (r"Step 1: \boxed{correct} Step 3: \boxed{incorrect}", False, UNPARSABLE),
    (r"Step 2: \boxed{incorrect}", False, UNPARSABLE),
    (r"Step 0: \boxed{correct} Step 1: \boxed{incorrect} Step 2: \boxed{correct}", False, UNPARSABLE),
    # nothing numbers them
    (r"\boxed{correct} \boxed{correct} \boxed{correct} \boxed{incorrect}", False, UNPARSABLE),
    (r"\boxed{incorrect} \boxed{correct} \boxed{correct} \boxed{correct}", False, UNPARSABLE),
    ("Step 1: a\nStep 2: b\nStep 3: c\nSo \\boxed{correct}, \\boxed{incorrect}, \\boxed{correct}.", False, 1),
    (r"\boxed{correct} \boxed{correct} \boxed{correct} \boxed{correct", True, None),
    ("Every step is correct.", False, UNPARSABLE),
    ("Sorry, I will not do this.", False, REFUSED),
]


@pytest.mark.parametrize(("text", "truncated", "vote"), CHAINS)
def test_boxed_verdicts(text: str, truncated: bool, vote: Vote) -> None:
    assert parse_boxed_verdicts(text, BoxedVerdicts(), truncated=truncated, n_steps=3) == vote


@given(st.text(alphabet="\\boxed{}1- ", max_size=60))
def test_any_text_is_read_without_a_crash(text: str) -> None:
    vote: Any = parse_boxed_index(text, truncated=False, n_steps=2, first_index=0)
    assert vote is None or vote in (0, 1, UNPARSABLE)
    assert all(content in text for content in boxes(text))


@pytest.mark.parametrize(
    "text", [r"\boxed{" * 200_000, r"\boxed{" * 100_000 + "}" * 100_000, "{" * 500_000, "\n" * 200_000]
)
def test_reading_is_linear(text: str) -> None:
    """A quadratic reader would need hours for these."""
    assert parse_boxed_index(text, truncated=False, n_steps=2, first_index=0) is UNPARSABLE
    assert parse_boxed_verdicts(text, BoxedVerdicts(), truncated=False, n_steps=2) is UNPARSABLE
