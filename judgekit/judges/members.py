"""What judges with members have in common: how cards name the members, what they report, and how it adds up."""

from __future__ import annotations

from abc import ABC
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Self

from pydantic import Field

from judgekit.calibration.card import Fingerprint
from judgekit.errors import shorten
from judgekit.judges.base import JudgeInfo
from judgekit.judges.card import SERVED, JudgeSpec
from judgekit.types import Asked, Judgement, Precision

_MAX_RAW = 4000


class MembersSpec(JudgeSpec, ABC):
    """A spec that names other judges."""

    members: tuple[str, ...] = Field(min_length=1)
    """Judges as `load_judge` opens them: a path relative to the card, a Hub id, `builtin:NAME`, an address."""
    fingerprint: Fingerprint | None = None
    """What it was fitted on; `null` if it was set by hand."""

    def with_places(self, place: Callable[[str, str], str]) -> Self:
        """Return the spec with the members elsewhere."""
        return self.model_copy(update={"members": tuple(place("member", member) for member in self.members)})

    def powers(self) -> Iterator[str]:
        """Say which servers are members."""
        for member in self.members:
            if member.lower().startswith(SERVED):
                yield f"the server {shorten(member)}"

    def member_names(self) -> tuple[str, ...]:
        """Return the members."""
        return self.members

    def declare(self, info: JudgeInfo, *, dtype: Precision, members: Sequence[JudgeInfo]) -> JudgeInfo:
        """Where members differ, each precision is named. What was fitted last counts: it itself, else a member."""
        fitted_on = [self.fingerprint, *(said.fingerprint for said in members)]
        reserved_M = [said.reserved for said in members]
        known = dict.fromkeys(text for reserved in reserved_M for text in reserved or ())
        return replace(
            info,
            deterministic=all(said.deterministic for said in members),
            dtype=", ".join(dict.fromkeys(said.dtype for said in members if said.dtype is not None)) or None,
            fingerprint=next((item for item in fitted_on if item is not None), None),
            reserved=None if None in reserved_M else tuple(known),
            members=tuple(said.judge_id for said in members),
        )


def what_it_took(parts: Sequence[Judgement | Asked]) -> dict[str, Any]:
    """Return the fields of a judgement that say what it took: the sums over all that was asked for it."""
    prices = [part.cost_usd for part in parts if part.cost_usd is not None]
    return {
        "n_tokens": sum(part.n_tokens for part in parts),
        "seconds": sum(part.seconds for part in parts),
        "cost_usd": sum(prices) if prices else None,
    }


class AskedMember(NamedTuple):
    """What a member of a cascade was asked over many solutions."""

    judge_id: str
    """The member."""
    n_asked: int
    """Solutions that it was asked about."""
    n_answered: int
    """Of these, those that it answered: the others went on to the next member."""
    took: Sequence[Asked]
    """What each of them took."""


def asked_members(judgements: Sequence[Judgement]) -> list[AskedMember]:
    """Return what each member of a cascade was asked, in its order; nothing of other judges.

    Members that no solution got to are not there: judgements do not name them.
    """
    by_place: dict[int, list[Asked]] = {}
    answered = Counter(len(judgement.asked) - 1 for judgement in judgements)
    for judgement in judgements:
        for place, asked in enumerate(judgement.asked):
            by_place.setdefault(place, []).append(asked)
    return [AskedMember(took[0].judge_id, len(took), answered[place], took) for place, took in sorted(by_place.items())]


def member_line(head: str, member: JudgeInfo, judgement: Judgement) -> str:
    """Return what a member said in a line behind `head`, and below it the text that it wrote, cut where it is long."""
    verdict = judgement.verdict
    if verdict is None:
        said = f"no verdict, {judgement.no_verdict}"
    else:
        first_error = verdict.decide(member.decision)
        said = "no error" if first_error is None else f"first error at step {first_error}"
        said += f", P(no error) {verdict.p_none:.3f}"
    line = f"{head}: {said}"
    return line if judgement.raw is None else f"{line}\n{judgement.raw[:_MAX_RAW]}"
