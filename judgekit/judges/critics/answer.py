r"""Reads a critic's answers: boxed indices, boxed verdicts on every step, or the next token.

Strict where it matters: an index outside the solution, an ambiguous box, or a box that was never closed gives no
verdict. A critic may repeat text of a hostile candidate, so reading takes time linear in the text.
"""

from __future__ import annotations

import bisect
import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from judgekit.judges.critics.votes import Vote
from judgekit.types import NoVerdictReason

_BRACE = re.compile(r"\\boxed\s{0,3}\{|\\[{}\\]|[{}]")
_WRAPPED = re.compile(r"\\(?:boxed|fbox|text|textbf|mathrm|mathbf|mathit|mbox)\s*\{(.*)\}", re.DOTALL)
_INDEX = re.compile(r"<?(?:(?:paragraph|step)[\s_]*)?(-1|[0-9]{1,7})>?\.?", re.IGNORECASE)
_REFUSAL = re.compile(r"\W*(?:i'?m sorry|i am sorry|sorry,|i can(?:no|')t\b|i am unable|i'?m unable)", re.IGNORECASE)
_STEP_HEADING = re.compile(
    r"""(?:^|[.!?:;}*)\]]\s)[ \t*\#>_|<-]*   # begins a line, or a sentence behind the box of the step before
    (?:\\(?:textbf|(?:sub)*section\*?)\{)?
    (?:
        (?:(?P<paragraph>paragraph)|step|schritt|[ée]tape|paso|passo|шаг|步骤|步驟|ステップ)[ \t_]{0,3}\#?[ \t]?
            (?P<number>\d{1,7})
      | 第[ \t]?(?P<ordinal>\d{1,7})[ \t]?步
      | (?P<summary>overall|(?:in[ ])?(?:summary|conclusion)|final[ ](?:verdict|assessment|judge?ment|conclusion)
            |(?:final|total)(?=[ \t]?:))\b
    )
    (?(summary)|(?:[ \t]?(?:of|/)[ \t]?\d{1,7})?   # "from step 1 follows" is no heading: a heading ends as follows
        (?:[ \t]?\([^()\n]{0,80}\))?[*_}]*[ \t]*(?:[:.)>|\uff1a。\u2013\u2014-]|$))""",
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_LIST_NUMBER = re.compile(r"^[ \t*#>_-]*\d{1,4}[.)](?=[ \t*_])", re.MULTILINE)
_LONGEST_BOX = 200
"""Characters of a box that can still hold a verdict."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BoxedIndex(_Part):
    r"""The answer ends with the index of the first wrong step, or -1, in `\boxed{}`; the last box counts."""

    type: Literal["boxed_index"] = "boxed_index"
    """Selects this kind."""
    force: str = "\n\n\\boxed{"
    """How an answer that was cut off is led to its verdict, where the card asks for that; ends inside the box."""


class ChoiceIndex(_Part):
    """The answer is nothing but the index, or -1: the engine holds the critic to these choices."""

    type: Literal["choice_index"] = "choice_index"
    """Selects this kind."""


class BoxedVerdicts(_Part):
    r"""The answer goes through the steps and boxes a verdict on each, in their order."""

    type: Literal["boxed_verdicts"] = "boxed_verdicts"
    """Selects this kind."""
    ok: str = "correct"
    """Boxed where a step is correct."""
    error: str = "incorrect"
    """Boxed where a step is wrong; what comes after the first one does not matter."""


class NextToken(_Part):
    """Behind the answer stands a question, and the next token is the verdict on one step: P(ok) of the two tokens."""

    type: Literal["next_token"] = "next_token"
    """Selects this kind."""
    ask: str
    """What is put behind the answer, up to right before the token that is read."""
    ask_unfinished: str | None = None
    """The same where the answer has none of the prompt's `stop` texts; `null` takes `ask`."""
    ok: str
    """The token for a correct step; white space in front counts."""
    error: str
    """The token for a wrong step."""
    close: str = ""
    """What follows the verdict, where the critic is shown its earlier answers."""


AnswerFormat = Annotated[BoxedIndex | ChoiceIndex | BoxedVerdicts | NextToken, Field(discriminator="type")]
"""How a critic's answer is read."""


def boxes(text: str) -> list[str]:
    r"""Return what stands in every closed `\boxed{}` of a text, in the order in which they begin.

    Example:
        >>> boxes(r"so \boxed{\text{2}}, not \boxed{1")
        ['\\text{2}']
    """
    return [text[start:end] for start, end in _verdict_spans(text)]


def _verdict_spans(text: str) -> list[tuple[int, int]]:
    """Return begin and end of the content of every closed box that is short enough to hold a verdict."""
    return [(begin, end) for begin, end in _box_spans(text) if end - begin <= _LONGEST_BOX]


def _box_spans(text: str) -> list[tuple[int, int]]:
    """Return begin and end of the content of every closed box."""
    spans: list[tuple[int, int]] = []
    opened: list[int | None] = []  # begin of a box's content, None for another brace
    for match in _BRACE.finditer(text):
        if match[0].startswith("\\boxed"):
            opened.append(match.end())
        elif match[0] == "{":
            opened.append(None)
        elif match[0] == "}" and opened:
            begin = opened.pop()
            if begin is not None:
                spans.append((begin, match.start()))
    return sorted(spans)


def _unwrapped(content: str) -> str:
    """Take text commands, dollars and spaces from around a box's content."""
    content = content.replace("\u2212", "-").strip().strip("$").strip()
    wrapped = _WRAPPED.fullmatch(content)
    return _unwrapped(wrapped[1]) if wrapped else content


def parse_index(text: str, *, n_steps: int, first_index: int) -> Vote:
    """Read an index or -1.

    Args:
        text: The index alone, perhaps with `paragraph` or `step` in front.
        n_steps: Steps of the solution.
        first_index: What the critic calls the first step.

    Example:
        >>> parse_index("3", n_steps=5, first_index=1), parse_index("-1", n_steps=5, first_index=1)
        (2, None)
        >>> parse_index("5", n_steps=5, first_index=0)
        <NoVerdictReason.UNPARSABLE: 'unparsable'>
    """
    found = _INDEX.fullmatch(_unwrapped(text))
    if found is None:
        return NoVerdictReason.UNPARSABLE
    if found[1] == "-1":
        return None
    step = int(found[1]) - first_index
    return step if 0 <= step < n_steps else NoVerdictReason.UNPARSABLE


def parse_boxed_index(text: str, *, truncated: bool, n_steps: int, first_index: int) -> Vote:
    """Read the index in the last box. An answer that was cut off has no last box: what it boxed may not be its verdict.

    Args:
        text: The critic's answer.
        truncated: Whether it was cut off.
        n_steps: See `parse_index`.
        first_index: See `parse_index`.
    """
    if truncated:
        return NoVerdictReason.TRUNCATED
    # The content of the box that closes last, so of the outermost one; `None` if it can be no verdict.
    begin, end = max(_box_spans(text), key=lambda span: span[1], default=(0, _LONGEST_BOX + 1))
    content = text[begin:end] if end - begin <= _LONGEST_BOX else None
    vote = (
        NoVerdictReason.UNPARSABLE
        if content is None
        else parse_index(content, n_steps=n_steps, first_index=first_index)
    )
    return NoVerdictReason.REFUSED if vote is NoVerdictReason.UNPARSABLE and _REFUSAL.match(text) else vote


def parse_boxed_verdicts(text: str, answer: BoxedVerdicts, *, truncated: bool, n_steps: int) -> Vote:
    r"""Read a verdict on every step: the first wrong step, or no error where all n steps are boxed right.

    A verdict belongs to the step that the heading before it names (`Step 2:`, from 1); of several on one step the last
    counts, as a critic may look again. Verdicts on steps that are not there do not count, and one behind `Overall` is
    about all steps. Where nothing numbers them, verdicts are read in order, and more of them than steps, or several in
    one item of a numbered list, cannot be distinguished: no verdict then. A step without a verdict before the first
    wrong one is no verdict either.

    Args:
        text: The critic's answer.
        answer: Which words are verdicts.
        truncated: Whether it was cut off; a wrong step found before that still counts.
        n_steps: Steps of the solution.

    Example:
        >>> chain = r"Step 1: fine, \boxed{correct}. Step 2: 2+2=5? \boxed{incorrect}."
        >>> parse_boxed_verdicts(chain, BoxedVerdicts(), truncated=False, n_steps=3)
        1
    """
    is_ok = {answer.ok.lower(): True, answer.error.lower(): False}
    words = [(end, _unwrapped(text[begin:end]).lower().rstrip(".")) for begin, end in _verdict_spans(text)]
    verdicts = [(end, is_ok[word]) for end, word in words if word in is_ok]
    headings = list(_STEP_HEADING.finditer(text))
    before = _places_behind([match.end() for match in headings], verdicts)
    ok_S: dict[int, bool] | None  # verdict by 0-based step, None if they cannot be distinguished
    if len(set(before)) > 1 or (len(verdicts) == 1 and any(before)):
        ok_S = _verdicts_by_heading(headings, before, [ok for _, ok in verdicts], n_steps=n_steps)
    else:  # no headings between them, for example a list at the end
        # An item of a numbered list with several verdicts would move those behind it to later steps.
        items = _places_behind([match.end() for match in _LIST_NUMBER.finditer(text)], verdicts)
        is_clear = len(set(items)) in (1, len(items)) and len(verdicts) <= n_steps
        ok_S = dict(enumerate(ok for _, ok in verdicts)) if is_clear or not verdicts else None
    if ok_S is not None:
        first_open = next((step for step in range(n_steps) if not ok_S.get(step, False)), None)
        if first_open is None:
            return None
        if first_open in ok_S:
            return first_open
    if truncated:
        return NoVerdictReason.TRUNCATED
    return NoVerdictReason.REFUSED if _REFUSAL.match(text) else NoVerdictReason.UNPARSABLE


def _places_behind(ends: list[int], verdicts: list[tuple[int, bool]]) -> list[int]:
    """Return behind how many headings, given by where they end, each verdict stands."""
    return [bisect.bisect_right(ends, end) for end, _ in verdicts]


def _verdicts_by_heading(
    headings: list[re.Match[str]], before: list[int], oks: list[bool], *, n_steps: int
) -> dict[int, bool] | None:
    """Return the verdict on each 0-based step that headings number; `None` if they do not tell which it is.

    Steps are numbered from 1 and paragraphs from 0 or 1: a critic that counts steps from 0 is not a critic to guess at.
    A summary is about all steps, where the step before it has its verdict already, and must not contradict them.

    Args:
        headings: Headings of steps and summaries.
        before: Behind how many headings each verdict stands.
        oks: The verdicts.
        n_steps: Steps of the solution.
    """
    numbers = [None if match["summary"] else int(match["number"] or match["ordinal"]) for match in headings]
    used = {numbers[index - 1] for index in before if index}
    first = 0 if 0 in used and all(match["paragraph"] or match["summary"] for match in headings) else 1
    if 0 in used and first == 1:
        return None
    ok_S: dict[int, bool] = {}
    of_all: bool | None = None
    # The number of the step that each heading, or the last one before a summary, is about.
    about: list[int | None] = [None]
    for number in numbers:
        about.append(about[-1] if number is None else number)
    for index, ok in zip(before, oks, strict=True):
        step = about[index]
        if index and numbers[index - 1] is None and (step is None or step - first in ok_S):
            of_all = ok
        elif step is not None and first <= step < first + n_steps:
            ok_S[step - first] = ok
    return None if of_all is not None and of_all != all(ok_S.values()) else ok_S
