"""Preference pairs from judged groups, for TRL's `DPOTrainer`: columns `prompt`, `chosen`, `rejected`.

In a group with correct and wrong responses, a correct one is preferred to a wrong one. If all are wrong and there is a
judge, the one that gets further before its first error is preferred. Steps that both responses of a pair share at the
start can be moved into the prompt, so that the pair differs from its first token on.

Source:
    On-policy preference data: 2404.14367. Pairs of one prefix with a better and a worse continuation: MCTS-DPO
    (2405.00451), which searches for them; here they are those that a group happens to contain.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from itertools import takewhile
from typing import NamedTuple

from judgekit.errors import ConfigError
from judgekit.groups import RolloutGroup, is_right, load_groups
from judgekit.judges import load_judge
from judgekit.judges.base import Judge
from judgekit.judges.stored import judge_batch
from judgekit.ties import first_largest
from judgekit.types import Record, Rollout
from judgekit_datasets.labelling.config import PairsConfig
from judgekit_datasets.source import GeneratorSource, RowRejected


class Reason(StrEnum):
    """What tells the responses of a pair apart."""

    OUTCOME = "outcome"
    """Their answers."""
    JUDGE = "judge"
    """How far they get before their first error, as a judge says."""


class PreferencePair(Record):
    """Two responses to one prompt, one of them preferred."""

    id: str
    """Id of the two responses."""
    prompt: str
    """What both follow on: the stored prompt, and the steps that they share where these are moved."""
    chosen: str
    """The preferred response, or the rest of it."""
    rejected: str
    """The other."""
    problem: str
    """Text of the problem."""
    group_id: str
    """Their group."""
    reason: Reason
    """What Selects this kind."""
    margin: float
    """Share of its steps before the first error, chosen less rejected; 1 for a correct answer. In (0, 1]."""
    source: str
    """Data set or run that the responses come from."""


class Worth(NamedTuple):
    """What a response is compared by, the outcome first."""

    is_right: bool
    """Whether its answer is correct."""
    share: float
    """Share of its steps before the first error, in [0, 1]; 1 of a correct answer."""


def valid_shares(rollouts: list[Rollout], judge: Judge) -> list[float | None]:
    """Return the share of the steps before the first error of wrong responses, `None` without a verdict.

    A judge that sees no error is known to miss one: the most probable step is taken.
    """
    found: list[float | None] = []
    for judgement in judge_batch(judge, [rollout.solution for rollout in rollouts]):
        share = None
        if judgement.verdict is not None and judgement.verdict.n_steps:
            first_error = judgement.verdict.decide(judge.info.decision)
            if first_error is None:
                first_error = first_largest(judgement.verdict.posterior[:-1])
            share = first_error / judgement.verdict.n_steps
        found.append(share)
    return found


def pair_up(group: RolloutGroup, worth: dict[int, Worth], config: PairsConfig) -> list[tuple[Rollout, Rollout, float]]:
    """Return chosen, rejected and margin of each pair; `worth` is by place in the group, of those that have one."""
    ranked = sorted(worth, key=lambda place: (worth[place], -place), reverse=True)
    pairs: list[tuple[Rollout, Rollout, float]] = []
    for best, worst in zip(ranked[: len(ranked) // 2], reversed(ranked), strict=False):
        margin = worth[best].share - worth[worst].share
        tells = worth[best].is_right > worth[worst].is_right or margin >= config.min_margin
        if tells and margin > 0 and len(pairs) < config.max_pairs:
            pairs.append((group.rollouts[best], group.rollouts[worst], margin))
    return pairs


def generate(config: PairsConfig) -> Iterator[PreferencePair | RowRejected]:
    """Yield the pairs of each group, or why it gives none.

    Raises:
        ConfigError: no groups are given.
    """
    if config.groups is None:
        raise ConfigError("pairs are made from groups, but none are given: give groups=FOLDER")
    judge = None if config.judge is None else load_judge(config.judge)
    for group in load_groups(config.groups):
        worth = {i: Worth(is_right(r.outcome), float(is_right(r.outcome))) for i, r in enumerate(group.rollouts)}
        if group.all_negative and judge is not None:
            # How far a response would have got that was cut off, it is unknown.
            whole = [i for i, rollout in enumerate(group.rollouts) if not rollout.truncated and rollout.steps]
            shares = valid_shares([group.rollouts[i] for i in whole], judge) if whole else []
            worth = {i: Worth(False, share) for i, share in zip(whole, shares, strict=True) if share is not None}
        pairs = pair_up(group, worth, config)
        if not pairs:
            kind = "all right" if group.all_positive else "all wrong" if group.all_negative else "no difference"
            yield RowRejected(kind, f"group {group.group_id!r} distinguishes no responses")
        for chosen, rejected, margin in pairs:
            start = 0
            if config.shared_steps == "prompt":
                alike = takewhile(lambda steps: steps[0] == steps[1], zip(chosen.steps, rejected.steps, strict=False))
                n_shared = len(list(alike))
                # Only where the very text is the same, and something is left of both.
                end = chosen.step_start[n_shared] if 0 < n_shared < min(len(chosen.steps), len(rejected.steps)) else 0
                start = end if chosen.response[:end] == rejected.response[:end] else 0
            yield PreferencePair(
                id=f"{chosen.id}-{rejected.id}",
                prompt=chosen.prompt + chosen.response[:start],
                chosen=chosen.response[start:],
                rejected=rejected.response[start:],
                problem=chosen.problem,
                group_id=group.group_id,
                reason=Reason.OUTCOME if is_right(chosen.outcome) else Reason.JUDGE,
                margin=margin,
                source=chosen.source,
            )


SOURCE = GeneratorSource("pairs", PreferencePair, PairsConfig, generate)
