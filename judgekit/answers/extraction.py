r"""Finds where a response states its final answer.

A box or an `<answer>` tag counts first (the later of the two), then a phrase such as "the answer is", then the last
number. Thinking inside tags is not an answer. The result is a text; the grammar reads it.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator

from judgekit.answers.formulas import HugeError
from judgekit.answers.grammar import read_answer
from judgekit.answers.kinds import Denial

_THINKING = re.compile(r"<(think|thinking|thought|thoughts|reasoning|scratchpad)>(?:.*?</\1>|.*\Z)", re.DOTALL | re.I)
_END_OF_THINKING = re.compile(r"</(?:think|thinking|thought|thoughts|reasoning|scratchpad)>|\u25c1/think\u25b7", re.I)
_FINAL_CHANNEL = "<|channel|>final<|message|>"
_END_OF_TURN = re.compile(r"<\|(?:im_end|endoftext|eot_id|end_of_text|end_of_turn|im_start)\|>|<end_of_turn>|<eos>")
"""What a policy writes after the end of its turn, such as another question, is not part of its response."""
_SPECIAL = re.compile(
    r"<\|[^<>|\n]{1,40}\|>|</?s>|<(?:eos|bos|pad|unk|end_of_turn|start_of_turn)>|\[/?INST\]|<\uff5c[^<>\n]{1,40}\uff5c>"
)
_TAG = re.compile(r"<(answer|final_answer|final-answer|finalanswer|result)>(.*?)</\1>", re.DOTALL | re.I)
_OPEN_TAG = re.compile(r"<(?:answer|final_answer|final-answer|finalanswer)>([^<>\n]{1,200})\Z", re.I)
"""A tag at the end that was cut off by a stop word or the token limit."""
_JSON = re.compile(
    r"""["'](?:final_?\s?)?answer["']\s*:\s*("(?:[^"\\\n]|\\.){0,500}"|'[^'\n]{0,500}'|\[[^\[\]]{0,500}\]|-?\d[\d.eE+-]{0,100}|true\b|false\b)""",
    re.I,
)
_BOX = re.compile(r"\\(?:boxed|fbox|framebox)(?![a-zA-Z])\s*")
_BETWEEN_BOXES = re.compile(
    r"""(?:[\s,;$&:]|\\[()\[\],;:! ]|\\(?:quad|qquad|text\s*\{)|\}|\b(?:and|or|also|either|maybe|perhaps|possibly)\b
    |\\?(?:[a-zA-Z]|alpha|beta|theta)(?:_\w|_\{\w+\})?\s*=)*""",
    re.VERBOSE | re.I,
)
_PHRASE = re.compile(
    r"""\#\#\#\#[ \t]*
    |(?:\b(?P<verb>\w+)\s+(?:the|your|our|my|this|an?|that|for|out)?\s*)?
     (?:\b(?:final\s+|correct\s+|right\s+)?answer\b
       |\b(?:correct|right|best)\s+(?:option|choice)\b(?=[\s*:=is]{0,9}(?:therefore|thus)?[\s*:$\\(]*(?:text\w*\{)?\(?[A-J]\b))
     (?:,\s*(?:then|therefore|thus|hence|finally|so),|\s+(?:here|now|then|(?:that\s+)?(?:we|I|you)\s+\w+))?
     (?:\s+(?:to|for|of|in)\s+(?![^.\n:]{0,80}\banswer\b)[^.\n:=]{1,80}?)?
     [ \t]*\*{0,3}[ \t]*
     (?:(?:\b(?P<copula>is|are|was|(?:should|would|will|must)\s+be|equals|comes\s+to|becomes)\b
           (?:\s+(?:therefore|thus|then|hence|simply|just|indeed)\b)?|[:=]|[\u2013\u2014](?=[ ]))[ \t:*]*
        |\*{0,3}[ \t]*(?=\n))
    |(?:\u6700\u7ec8|\u6b63\u786e)?\u7b54\u6848(?:\u662f|\u4e3a|\u5c31\u662f)?[ \t]*[:\uff1a]?[ \t]*
    |^\*{0,3}\u7b54[:\uff1a][ \t]*
    |(?:\u7b54\u3048|\u89e3\u7b54)(?:\u306f|[:\uff1a])[ \t]*|\uc815\ub2f5(?:\uc740|:)[ \t]*|\ub2f5(?:\uc740|:)[ \t]*
    |\b(?:r\u00e9ponse|respuesta|antwort|risposta|resposta|l\u00f6sung|\u043e\u0442\u0432\u0435\u0442)\b
     (?:\s+(?:finale?|correcta|final))?
     \s*\*{0,3}\s*(?:\b(?:est|es|ist|lautet|\u00e8|\u00e9)\b|[:\u2013\u2014-])[ \t:*]*""",
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
_CUE = re.compile("answer|option|choice|####|antwort|respuesta|risposta|resposta", re.I)
_ASKS = frozenset((
    "verify", "check", "confirm", "checking", "verifying", "confirming", "double-check", "find", "finding", "get",
    "getting", "write", "writing", "give", "giving", "determine", "determining", "compute", "computing",
    "calculate", "simplify", "simplifying", "express", "review", "state", "provide", "reach", "box", "reconsider",
    "explain", "examine", "test", "guess", "submit", "format", "present", "report", "verified", "recheck",
    "doublecheck", "validate",
))  # fmt: skip
"""Verbs in front of "the answer": then what follows the colon is not an answer, unless nothing else is."""
_NOT_FINAL = frozenset(("wrong", "incorrect", "false", "tempting", "previous", "earlier", "initial", "old", "partial"))
"""Words in front of an answer that is not the one."""
_SENTENCE_END = re.compile(
    r"\n|(?<!\\)[!?](?=\s|$)|(?<!\\)(?<![ap]\.m)(?<!\bapprox)(?<!\bi\.e)(?<!\be\.g)(?<!\bsq)\.(?=\s|$)(?<!\.\.(?=\sor\b))|\u3002|\u3067\u3059|\uc785\ub2c8\ub2e4"
)
_CLAUSE = re.compile(
    r",\s+(?:which|since|because|as|so|meaning|when|not|after|rather|and not|but(?![^.\n]*\d))\b"
    r"|,\s+(?:i\.e|e\.g)\."
    r"|\s+(?:because|since|which|rather than|instead of|\(?not|and not)\s"
    r"|\s+as (?:required|desired|claimed|needed|expected|stated|asked)\b|\s+in all\b(?!\s+\w)|\s+or so\b"
    r"|\s+(?:\u2014|--)\s+(?=[A-Za-z]{2})|\s+[\u2013-]\s+(?=[A-Za-z]{3})",
    re.I,
)
_ANSWER_LAST = re.compile(
    r"(?:^|[.!?:,]\s+)(?:(?:so|hence|thus|therefore|then),?\s+)?([^.!?\n:,]{1,60}?)\s+is\s+(?:the|my|our)\s+"
    r"(?:final\s+|correct\s+|right\s+)?answer\b"
    r"|\b(?:option|choice)\s+(\(?[A-J]\)?)\s+is\s+(?:the\s+)?(?:correct|right)\b",
    re.I | re.M,
)
_REMARK = re.compile(r"\s+\((?!\s*(?:or|and|maybe|perhaps|possibly|also)\b)[^()]*\)\s*$", re.I)
_DENIAL = re.compile(r"\bnot\b|n't\b", re.I)
_ORNAMENT = " \t\n*_`\u2713\u2714\u2705\u2611\ufe0f\U0001f389"
_NUMBER = re.compile(
    r"""(?<![\w.,])(?:[-+\u2212\u2013]\ ?(?=[$\u20ac\u00a3]?\d|\.\d))?[$\u20ac\u00a3]?
    (?:\d{1,3}(?:,\d{3})+(?![\d,])(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)
    (?:[eE][-+]?\d{1,3}(?!\w))?
    (?:(?:\ \d{1,3})?/\d{1,6}(?![\d/.]\d)|:\d\d(?:\s?[ap]\.?m\b\.?)?|\ ?[\u00bc-\u00be\u2150-\u215e]|\s?\\?%)?""",
    re.VERBOSE,
)
_FORMULA_BEFORE = re.compile(
    r"(?:[\w)\]]\s*\*\s*|[\^\\/\u00d7\u00b7\u221a<\u2264\u2265\u2260\u00b1!]|(?<!>)>|(?<![>\s])[-+]|[\w)\]}]\s*[-+\u2212\u2013]|!="
    r"|\bnot|n't|\bthan|\bhalf\s+of)\s*\$?$",
    re.I,
)
_FORMULA_BEHIND = re.compile(
    r"\s?(?:[\^_!]\w|[\^\u221a\u03c0\u00b2\u00b3\u00d7\u00b7]|\*(?!\*)|\\(?!\)|\]|[ ,;%]|text|\$)"
    r"|[a-df-zA-DF-Z]\b(?<![ap]m)"
    r"|\s[+*/\u2212]\s|\s(?:squared|cubed|pi)\b)",
    re.I,
)
_SEVERAL_BEFORE = re.compile(r"(?<![\w.])(?:-?\d[\d.]*(?:\s*,\s+(?:and |or )?|\s+(?:and|or)\s+))+\Z", re.I)
_COMPOUND_BEFORE = re.compile(
    r"(?<![\w.])\d+\s*(?:hours?|hrs?|h|minutes?|mins?|days?|weeks?|feet|foot|ft|yards?|pounds?|lbs?|dollars?|meters?)"
    r"\s*(?:,|and)?\s*\Z",
    re.I,
)
_SPAN = re.compile(r"\\\((.+?)\\\)|\\\[(.+?)\\\]|\$\$(.+?)\$\$", re.DOTALL)
_TAIL_CHARS = 2_000
_LONG_BLANK = re.compile(r"\s{20,}")
"""Patterns with several optional blanks in a row would try every way to share out a long one."""


def extract_answer(response: str) -> str | None:
    r"""Return the part of a response that states its final answer, or `None` if nothing does.

    The first of these that exists: the content of the last `\boxed{}` or `<answer>` tag, whichever comes later (boxes
    joined by commas, "and" or "or" are several answers); what follows the last `####`, "answer is" or "answer:" up to
    the end of its line or sentence, or on the next line after such a heading; the last number, unless it belongs to a
    formula. Thinking between tags is skipped.

    Example:
        >>> extract_answer("**Answer**: 73 (70 + 3). I checked it in 2 ways.")
        '73'
    """
    if "\r" in response:
        response = response.replace("\r\n", "\n").replace("\r", "\n")
    response = _LONG_BLANK.sub(_shortened, _without_thinking(response))
    explicit = _last_explicit(response)
    if explicit is not None:
        return explicit
    return _stated(response) or _last_number(response)


def _without_thinking(response: str) -> str:
    if "<" not in response and "\u25c1" not in response and "[" not in response:
        return response
    if _FINAL_CHANNEL in response:
        response = response.rpartition(_FINAL_CHANNEL)[2]
    # A template may have opened the thinking before the response began.
    ends = list(_END_OF_THINKING.finditer(response))
    if ends:
        response = response[ends[-1].end() :]
    if "<|" in response or "<e" in response:
        over = _END_OF_TURN.search(response)
        if over is not None and response[: over.start()].strip():
            response = response[: over.start()]
    if "think" in response or "thought" in response or "reasoning" in response or "scratch" in response:
        response = _THINKING.sub(" ", response)
    return _SPECIAL.sub(" ", response)


def _shortened(blank: re.Match[str]) -> str:
    return "\n\n" if blank.group().count("\n") > 1 else "\n" if "\n" in blank.group() else "  "


def _last_explicit(text: str) -> str | None:
    """The last box or tag that is complete."""
    found: tuple[int, str] | tuple[()] = ()  # where the last tag ends, and what is in it
    if "<" in text:
        for match in (*deque(_TAG.finditer(text), maxlen=1), None if "\\boxed" in text else _OPEN_TAG.search(text)):
            if match is not None and (match[match.lastindex or 1].strip() or not found):
                found = (match.end(), match[match.lastindex or 1].strip())
    if "nswer" in text and (match := next(iter(deque(_JSON.finditer(text), maxlen=1)), None)) is not None:
        stated = _json_value(match[1])
        # An object further up may be the form that was asked for: what is said below it counts.
        if stated and (not found or match.end() > found[0]) and _CUE.search(text, match.end()) is None:
            found = (match.end(), stated)
    if "\\boxed" in text or "\\fbox" in text or "\\framebox" in text:
        boxes = [(match.start(), *box) for match in _BOX.finditer(text) if (box := _box_content(text, match.end()))]
        if boxes and (not found or boxes[-1][0] > found[0]):
            # The last box, with those before it that are joined to it by a comma, `and` or `or`.
            last = len(boxes) - 1
            contents = [boxes[last][1]]
            for i in range(last - 1, -1, -1):
                _, content, behind = boxes[i]
                between = text[behind : boxes[i + 1][0]]
                # The same box again, or one in another paragraph, is a repetition and no further answer.
                if behind > boxes[i + 1][0] or "\n\n" in between or not _BETWEEN_BOXES.fullmatch(between):
                    break
                if content not in contents:
                    contents.append(content)
            return ", ".join(reversed(contents))
    if not found:
        return None
    content = found[1]
    return _last_explicit(content) or _stated(content) or content.strip(_ORNAMENT)


def _json_value(written: str) -> str:
    """What the field of a JSON object, or of one in Python's spelling, says; nothing for `null` and objects."""
    if written[0] == "[":
        return written[1:-1].replace('"', "").replace("'", "").strip()
    if written[0] not in "\"'":
        return written
    try:
        return str(json.loads(written)).strip() if written[0] == '"' else written[1:-1].strip()
    except ValueError:
        return written[1:-1].strip()  # LaTeX with single backslashes


def _box_content(text: str, begin: int) -> tuple[str, int] | None:
    r"""The content of a box and the place behind it; `\{` and `\}` are signs and open nothing."""
    if begin >= len(text):
        return None
    if text[begin] != "{":
        word = re.match(r"-?\d+(?:\.\d+)?|\\[a-zA-Z]+|\w", text[begin:])
        return (word.group(), begin + word.end()) if word else None
    depth = 0
    for match in re.finditer(r"\\.|[{}]", text[begin:], re.DOTALL):
        depth += {"{": 1, "}": -1}.get(match.group(), 0)
        if depth == 0:
            return text[begin + 1 : begin + match.start()].strip(), begin + match.end()
    return None


def _stated(text: str) -> str | None:
    """What the last phrase states; one that asks for the answer, or states nothing readable, yields to those before."""
    if text.isascii() and _CUE.search(text) is None:
        return None  # most responses of a policy trained on boxes
    fallback = denial = None
    for statement, is_asked, end in _statements(text):
        try:
            found = read_answer(statement)
        except HugeError:
            return statement
        if isinstance(found, Denial):
            # "The answer is not 6. It is 5." What is denied states nothing; what follows it may.
            if fallback is None and denial is None and (following := _last_number(text[end:])) is not None:
                return following
            denial = denial or statement
            continue
        if found is not None and not is_asked and _says_something(statement):
            return statement
        if fallback is None and not is_asked:
            fallback = statement
    if fallback is None and (reversed_ := deque(_ANSWER_LAST.finditer(text), maxlen=1)):
        return (reversed_[0][1] or reversed_[0][2]).strip(_ORNAMENT)  # 64 is the answer
    return fallback or denial


def _says_something(statement: str) -> bool:
    return statement.lower() not in {"correct", "right", "wrong", "yes", "below", "above", "as follows", "verified"}


def _statements(text: str) -> Iterator[tuple[str, bool, int]]:
    """Yield what follows each phrase, the last one first, whether the phrase only asks for it, and where it ends."""
    for phrase in reversed(list(_PHRASE.finditer(text))):
        rest = text[phrase.end() :].lstrip(" \t*:_")
        if not rest.strip() or (rest[:1] == "\n" and not rest.strip(_ORNAMENT)):
            continue
        # A heading, or a colon at the end of a line: the answer stands on the next line.
        is_below = rest[:1] == "\n"
        rest = rest.lstrip(" \t\n*:#-" if is_below and "-" not in rest.lstrip("\n \t*")[:1] else " \t\n*:#")
        if is_below:
            rest = re.sub(r"\A[-\u2022]\s+(?=\S)", "", rest)  # a bullet; a minus has no space behind
        begin = len(text) - len(rest)
        block = re.match(
            r"\\\[(.+?)\\\]|\$\$(.+?)\$\$|\\\((.+?)\\\)(?=[\s.,]|$)(?!,?\s+(?:and|or|maybe)\b|,\s*\\\()",
            rest,
            re.DOTALL,
        )
        if block is not None:
            statement, stop = next(group for group in block.groups() if group is not None).strip(), block.end()
        else:
            end = _SENTENCE_END.search(rest)
            stop = end.start() if end else len(rest)
            statement = rest[:stop]
            statement = _without_comment(statement.strip())
        statement = statement.strip(_ORNAMENT)
        if statement.startswith("$") and statement.endswith("$") and statement.count("$") == 2:
            statement = statement[1:-1].strip()
        verb = (phrase["verb"] or "").lower()
        if statement:
            is_asked = verb in _NOT_FINAL or (verb in _ASKS and phrase["copula"] is None)
            yield statement, is_asked, begin + stop


def _without_comment(statement: str) -> str:
    """Take away what explains the answer: `73 (70 + 3)`, `73, which is odd`, `73 because ...`."""
    clause = _CLAUSE.search(statement, 1)
    if clause is not None and any(sign.isalnum() for sign in statement[: clause.start()]):
        head = statement[: clause.start()]
        if _DENIAL.search(head):
            pass  # not 5, but 6
        elif head.count("$") % 2 == 0 or "$" not in statement[clause.start() :]:
            statement = head
    remark = _REMARK.search(statement)
    if (
        remark is not None
        and re.search(r"[\w$%*)}]$", statement[: remark.start()])
        and "=" not in statement[: remark.start()]
    ):
        # A point `(3, 4)` is not a remark: something must be stated in front of it.
        head = statement[: remark.start()].strip(_ORNAMENT)
        try:
            if re.search(r"\d", head) and read_answer(head) is not None:
                statement = head
        except HugeError:
            return head
    return statement.rstrip(" ,;:")


def _last_number(text: str) -> str | None:
    """The last number, with its sign, currency, fraction and percent; `None` if it belongs to a formula."""
    start = max(0, len(text) - _TAIL_CHARS)
    found = None
    while found is None:
        found = next(iter(deque(_NUMBER.finditer(text, start), maxlen=1)), None)
        if start == 0:
            break
        start = max(0, start - _TAIL_CHARS)
    if found is None:
        return None
    span = _span_around(text, found.start(), found.end())
    if span is not None:
        return span
    several = _SEVERAL_BEFORE.search(text, max(0, found.start() - 200), found.start())
    if several is not None and several.end() == found.start():
        return (several.group() + found.group()).strip()
    compound = _COMPOUND_BEFORE.search(text, max(0, found.start() - 60), found.start())
    if compound is not None and (unit := re.match(r"\s*[a-zA-Z]+", text[found.end() :])):
        return compound.group() + found.group() + unit.group()
    before, behind = text[max(0, found.start() - 20) : found.start()], text[found.end() : found.end() + 12]
    number = found.group()
    if number[0] in "-+\u2212\u2013" and re.search(r"[\w)\]}]\s*$", before):
        # A sign behind a digit or bracket subtracts: `12-5` ends in 5, which is a part of a formula.
        return None
    if _FORMULA_BEFORE.search(before) or _FORMULA_BEHIND.match(behind):
        return None
    return number.rstrip(".").strip()


def _span_around(text: str, start: int, end: int) -> str | None:
    """The mathematics that a number stands in, if it is marked as such."""
    if "\\" not in text and "$$" not in text:
        return None
    for match in _SPAN.finditer(text, max(0, start - _TAIL_CHARS)):
        if match.start() <= start and end <= match.end():
            return next(group for group in match.groups() if group is not None).strip()
    return None
