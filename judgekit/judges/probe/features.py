"""What a probe judge sees of a step in the text itself: position, length, wording, numbers, and checked arithmetic.

Numbers grow with the size of the text, so counts and lengths enter as log(1 + n). A feature may use the whole solution,
as a judge of finished solutions does: a later fault is evidence about this step, too. Nothing is learned here, and no
feature comes from a benchmark. Axes: `_S` steps of one solution, `_F` features.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from judgekit.judges.rules.statements import Rule
from judgekit.judges.rules.symbolic import check_solution

Columns = dict[str, NDArray[np.float64]]
"""Features by name, in the order in which the head gets them. Shape (S,) each."""

CUES: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        name: re.compile(pattern, re.IGNORECASE)
        for name, pattern in {
            "concludes": r"\b(?:therefore|thus|hence|so)\b",
            "gives_reason": r"\b(?:since|because|as)\b",
            "assumes": r"\b(?:assume|suppose|let)\b",
            "turns": r"\b(?:however|but|although|instead|wait|mistake)\b",
            "insists": r"\b(?:clearly|must|obviously|only|always|never)\b",
            "recalls": r"\b(?:note|notice|observe|recall|recognize|know|known)\b",
            "restates": r"\b(?:given|problem|need|find|determine|identify|goal|first)\b",
            "explores": r"\b(?:try|trial|test|check|verify|explore|consider|case)\b",
            "rounds": r"\\approx|\b(?:approximately|about|roughly|estimate)\b",
            "answers": r"\\boxed|\b(?:final answer|the answer is)\b",
            "generalises": r"\b(?:pattern|similarly|likewise|symmetr\w+|without loss)\b",
            "cites": r"\b(?:formula|theorem|law|identity|inequality|property|principle|rule)\b",
            "calculates": r"\b(?:simplif|substitut|expand|rearrang|solv|calculat|comput)\w*\b",
            "hedges": r"\b(?:possibl[ey]|possibilit\w+|could|might|may|seems?|likely|should|would)\b",
        }.items()
    }
)
"""Words that say what a step does."""
MARKUP = ("###", "**", "\\(", "$", "```")
"""Markup that tells styles of writing apart."""
_MAX_CUES = 3
_WORD = re.compile(r"[^\W\d_]{3,}")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_MATHS = frozenset("=\\+*/^_{}<>")


def position(problem: str, steps: Sequence[str]) -> Columns:
    """Return where the step stands."""
    n = len(steps)
    index_S = np.arange(n)
    return {
        "steps before": np.log1p(index_S),
        "steps": np.full(n, np.log1p(n)),
        "share of steps": (index_S + 1) / n,
        "is first": (index_S == 0).astype(float),
        "is last": (index_S == n - 1).astype(float),
    }


def length(problem: str, steps: Sequence[str]) -> Columns:
    """Return how many characters the step and its neighbours have."""
    n_chars_S = np.array([len(step) for step in steps], dtype=np.float64)
    ends_S = np.cumsum(n_chars_S)
    later_S = np.array([max(map(len, steps[k + 1 :]), default=0) for k in range(len(steps))])
    return {
        "characters": np.log1p(n_chars_S),
        "characters of the solution": np.full(len(steps), np.log1p(ends_S[-1])),
        "characters to the mean": np.log((n_chars_S + 20) / (n_chars_S.mean() + 20)),  # 20: a short step says little
        "characters before": np.log1p(ends_S - n_chars_S),
        "longest later step": np.log1p(later_S),
        "characters of the problem": np.full(len(steps), np.log1p(len(problem))),
    }


def wording(problem: str, steps: Sequence[str]) -> Columns:
    """Return which words the step uses, and how many of them were there before."""
    asked = set(map(str.lower, _WORD.findall(problem)))
    seen, of_problem, of_before = set(asked), [], []
    words_S = [[word.lower() for word in _WORD.findall(step)] for step in steps]
    for words in words_S:
        of_problem.append(_share(words, asked))
        of_before.append(_share(words, seen))
        seen.update(words)
    columns: Columns = {
        "words": np.log1p([len(words) for words in words_S]),
        "words of the problem": np.array(of_problem),
        "words seen before": np.array(of_before),
        "lines": np.log1p([step.count("\n") for step in steps]),
        "asks": np.array([float("?" in step) for step in steps]),
    }
    for mark in MARKUP:
        columns[f"has {mark}"] = np.array([float(mark in step) for step in steps])
    for name, pattern in CUES.items():
        columns[name] = np.array([float(min(len(pattern.findall(step)), _MAX_CUES)) for step in steps])
    return columns


def numbers(problem: str, steps: Sequence[str]) -> Columns:
    """Return how much the step calculates, and how many of its numbers stand nowhere before it."""
    known = set(_NUMBER.findall(problem))
    found_S, new_S = [_NUMBER.findall(step) for step in steps], []
    for found in found_S:
        new_S.append(sum(number not in known for number in found))
        known.update(found)
    n_S = np.array([len(found) for found in found_S], dtype=np.float64)
    return {
        "numbers": np.log1p(n_S),
        "new numbers": np.log1p(new_S),
        "share of new numbers": np.array(new_S) / (n_S + 1),
        "equals signs": np.log1p([step.count("=") for step in steps]),
        "share of signs": np.array([sum(char in _MATHS for char in step) / (len(step) + 1) for step in steps]),
        "longest number": np.array([float(max(map(len, found), default=0)) for found in found_S]),
        "has decimals": np.array([float(any("." in number for number in found)) for found in found_S]),
    }


def symbolic(problem: str, steps: Sequence[str]) -> Columns:
    """Return what the check of stated arithmetic finds: each rule by itself, in this step and around it."""
    findings = check_solution(problem, steps)
    fires = {rule: np.zeros(len(steps)) for rule in Rule}
    for step, rule, _ in findings.faults:
        fires[rule][step] = 1.0
    checked_S = np.array([len(checked) for checked in findings.checked_S], dtype=np.float64)
    faulty_S = np.max(list(fires.values()), axis=0)
    return {
        **{f"fault: {rule}": fires_S for rule, fires_S in fires.items()},
        "statements checked": np.log1p(checked_S),
        "statements checked before": np.log1p(np.cumsum(checked_S) - checked_S),
        "faulty steps before": np.cumsum(faulty_S) - faulty_S,
        "faulty steps later": faulty_S.sum() - np.cumsum(faulty_S),
    }


def _share(words: Sequence[str], known: set[str]) -> float:
    return sum(word in known for word in words) / len(words) if words else 0.0


GROUPS: Mapping[str, Callable[[str, Sequence[str]], Columns]] = MappingProxyType(
    {"position": position, "length": length, "wording": wording, "numbers": numbers, "symbolic": symbolic}
)
"""The groups of features that need no language model."""
