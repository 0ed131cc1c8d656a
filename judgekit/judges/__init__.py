"""Judges, and `load_judge`, which opens all of them."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args

from judgekit.errors import CheckpointError, ConfigError, shorten
from judgekit.judges.base import Judge, JudgeInfo, LazyJudge
from judgekit.judges.builtin import BUILTIN, BUILTIN_NAMES, BuiltinJudge
from judgekit.judges.card import CARDLESS, SERVED, LentModel, Opening
from judgekit.judges.recognise import check_weights, find_card, locate_member, refuse_cycle
from judgekit.judges.rules.symbolic import SymbolicJudge
from judgekit.judges.trust import Trust
from judgekit.types import Precision

_HUB_PAGE = re.compile(r"https?://(?:huggingface\.co|hf\.co)/([\w.-]+/[\w.-]+).*")


def load_judge(
    name: str | Path,
    *,
    calibrated: bool = True,
    dtype: Precision = "float32",
    neutralise: bool = True,
    votes: int | None = None,
    open_member: Callable[[str], Judge] | None = None,
    lent: LentModel | None = None,
    named_by: Trust | None = None,
) -> Judge:
    """Open any judge. What a judge of somebody else may do is in docs/threat_model.md.

    Args:
        name: A judge directory, an ensemble's too, or a Hub id of one; a public checkpoint whose family is known, as a
            directory or Hub id; a YAML file with a card written by hand; `builtin:random`, `builtin:no-error`,
            `builtin:first-step`; `builtin:symbolic`, which recomputes stated arithmetic; or `http://HOST:PORT` of a
            `judgekit serve`, where calibration, precision and neutralisation were chosen when it was started.
        calibrated: Apply the calibrator that the card stores.
        dtype: Precision of judges with weights.
        neutralise: Keep candidates from acting as markup. Off only to measure what that prevents.
        votes: Number of answers to sample from a critic, instead of the number in its card; `None` keeps that.
        open_member: Opens the members of an ensemble, by name; `None` for this function. For callers that have the
            members' judgements already.
        lent: A model of the caller's for judges, members too, whose frozen model it is: they load none, and run in its
            precision. Which ones do, it knows afterwards.
        named_by: For a judge that a card names: the trust of that card, which this one's never exceeds. `None` if
            the user names it.

    Raises:
        CheckpointError: nothing can be opened there; says what was tried. Or a card that is not the user's own names a
            server, an environment variable or a file to write; or one of the Hub, a path outside of its repository.
        ConfigError: an unknown builtin judge, family or precision; a service is asked to leave out calibration or
            neutralisation; votes are asked of a judge that samples none.
        JudgeError: no judge service answers at an address, or it refuses the token.

    Example:
        >>> from judgekit.types import Solution
        >>> judge = load_judge("builtin:first-step")
        >>> judge.judge([Solution(problem="1+1?", steps=("1+1=3",))])[0].verdict.decide(judge.info.decision)
        0
    """
    text = str(name)
    if votes is not None and text.startswith(CARDLESS):
        raise ConfigError(f"votes={votes} is for critics, but {text} is not one: leave votes out")
    if text.startswith("builtin:"):
        rule = text.removeprefix("builtin:")
        if rule == "symbolic":
            return SymbolicJudge()
        if rule not in BUILTIN:
            raise ConfigError(f"unknown builtin judge {rule!r}: use one of {', '.join(sorted(BUILTIN_NAMES))}")
        return BuiltinJudge(rule, BUILTIN[rule])
    if page := _HUB_PAGE.fullmatch(text):  # else problems would be sent there
        raise CheckpointError(f"{shorten(text)} is a page of the Hub, not a judge service: give its id, {page[1]}")
    if text.startswith(SERVED):
        if named_by is not None and not named_by.is_own:
            raise CheckpointError(
                f"a card that is not yours names the server {shorten(text)}: see `judgekit trust --help`"
            )
        if not (calibrated and neutralise):
            raise ConfigError(
                f"{text} is a service, whose options are fixed when it starts: open its judge directory instead"
            )
        from judgekit.serving.remote import RemoteJudge  # slow to import, and few judges are behind one

        return RemoteJudge(text)
    if dtype not in get_args(Precision):
        raise ConfigError(f"unknown precision {dtype!r}: use {' or '.join(get_args(Precision))}")
    found = find_card(name, named_by=named_by)
    refuse_cycle(found)
    card = found.card
    if votes is not None:
        card = card.model_copy(update={"spec": card.spec.with_votes(votes)})
    # Each member is opened with its own calibrator: weights are fitted to what members say behind theirs.
    open_one = open_member or functools.partial(
        load_judge, dtype=dtype, neutralise=neutralise, lent=lent, named_by=found.trust
    )

    def lazy_one(member: str) -> Judge:
        if open_member is not None:
            return open_one(member)
        return LazyJudge(declare_judge(member, dtype=dtype, named_by=found.trust), functools.partial(open_one, member))

    judge = card.spec.open(
        Opening(
            card,
            found.directory,
            hub_only=found.trust.root is not None,
            dtype=dtype,
            neutralise=neutralise,
            open_member=lambda member: open_one(locate_member(found.directory, member)),
            lazy_member=lambda member: lazy_one(locate_member(found.directory, member)),
            lent=lent,
        )
    )
    if not calibrated or card.calibrator is None:
        return judge
    # Calibrators bring scipy, which judges without one, and their cards, do not need.
    from judgekit.calibration.calibrators import open_calibrator
    from judgekit.judges.calibrated import CalibratedJudge

    stored, conformal = card.calibrator, card.conformal
    return CalibratedJudge(judge, open_calibrator(stored), fingerprint=stored.fingerprint, conformal=conformal)


def declare_judge(name: str, *, dtype: Precision, named_by: Trust | None = None) -> JudgeInfo:
    """Return what a judge will say of itself with its calibrator, without opening more than cards and headers.

    Args:
        name: As `load_judge` takes it; a service is asked.
        dtype: Precision of judges with weights.
        named_by: Trust of the card that names it, see `load_judge`.

    Raises:
        CheckpointError: there is no such judge, or its weights are missing or damaged.
        JudgeError: no judge service answers at an address, or it refuses the token.
    """
    if name.startswith(CARDLESS):
        return load_judge(name, named_by=named_by).info
    found = find_card(name, named_by=named_by)
    check_weights(found)
    names = [locate_member(found.directory, member) for member in found.card.spec.member_names()]
    members = [declare_judge(member, dtype=dtype, named_by=found.trust) for member in names]
    return found.card.declare(dtype=dtype, members=members, calibrated=True)


__all__ = ["declare_judge", "load_judge"]
