"""Runs the guards: chooses the additional responses to judge, looks at every batch, and acts.

The same for the online trainer, in any script, and for offline training. What they have seen is saved with the
checkpoint. Axes: `_N` responses, `_M` those scored by the algorithm, `_K` those judged for the guards.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from statistics import fmean
from typing import Any

import torch
from transformers import TrainerCallback

from judgekit.errors import JudgeError
from sgpo.algorithms.base import GroupBatch, Scored
from sgpo.guards import Firing, GuardsConfig, Known, Observation, Reading, describe_reasons

STATE = "SGPOGuards"
"""Key in a checkpoint's `trainer_state.json` for what guards have seen, among `stateful_callbacks`."""


class Guards:
    """The guards of one run.

    Args:
        config: Their bounds and actions.
        asks_judge: Whether the algorithm uses a judge; without one there is none to switch off, so a guard warns.
        seed: Seed of the choice of responses to judge.
    """

    def __init__(self, config: GuardsConfig, *, asks_judge: bool, seed: int = 0) -> None:
        self.config = config
        self.asks_judge = asks_judge
        self.seed = seed
        self.listeners: list[Callable[[Firing], None]] = []
        """Called with each guard that fires, before a run stops."""
        self.judge_off = False
        """Whether a guard has switched the judge off."""
        self.ringing: set[str] = set()
        """Guards whose bound is passed."""
        self._seen: list[Observation] = []

    @property
    def latest(self) -> Observation:
        """The latest batch."""
        return self._seen[-1]

    def rows_to_ask(self, batch: GroupBatch, rows_M: torch.Tensor, *, step: int) -> torch.Tensor:
        """Return a few correct responses to judge besides `rows_M`, drawn by seed and step, ascending. Shape (K,).

        Empty if no guard needs them or the algorithm has nothing judged. Truncated responses are left out, because a
        judge may miss their end.
        """
        guard = self.config.judge_auc
        if guard is None or not self.asks_judge or not len(rows_M):
            return rows_M[:0]
        right = (batch.right_N & ~batch.truncated_N).nonzero().flatten()
        right = right[~torch.isin(right, rows_M)]
        n_asked = min(math.ceil(guard.sample * len(rows_M)), len(right))
        chosen = sorted(random.Random(f"{self.seed}:{step}").sample(range(len(right)), n_asked))
        return right[chosen]

    def look(self, observation: Observation) -> list[Firing]:
        """Take in a batch, read every guard, and return and act on those that have just fired.

        Raises:
            JudgeError: a guard whose action is to stop fires.
        """
        self._seen.append(observation)
        # Verdicts that no guard looks back on need not be in checkpoints.
        longest = max((guard.window for guard in self.config.on.values()), default=1)
        for index in [index for index, item in enumerate(self._seen) if item.known][:-longest]:
            self._seen[index] = self._seen[index].model_copy(update={"known": ()})
        readings = {name: guard.read(self._seen) for name, guard in self.config.on.items()}
        return self._act({name: reading for name, reading in readings.items() if reading and reading.fires})

    def finish(self) -> list[Firing]:
        """Take in the end of a run: a judge that never gave a verdict is useless, however rarely it was used.

        Raises:
            JudgeError: that is the case, and the action of `unscored` is to stop.
        """
        guard, asked = self.config.unscored, [item for item in self._seen if item.n_judged]
        n_unscored = sum(item.n_unscored for item in asked)
        if guard is None or guard.bound >= 1 or not asked or n_unscored < sum(item.n_judged for item in asked):
            return []
        what = f"the judge gave no verdict for any of {n_unscored} responses{describe_reasons(asked)}"
        return self._act({"unscored": Reading(1.0, True, what, len(asked))} | dict.fromkeys(self.ringing))

    def _act(self, passed: Mapping[str, Reading | None]) -> list[Firing]:
        firings = [
            Firing(
                step=self.latest.step,
                guard=name,
                value=reading.value,
                bound=guard.bound,
                window=reading.window,
                action=guard.action if self.asks_judge or guard.action != "judge_off" else "warn",
                what=reading.what,
                way_out=guard.way_out,
            )
            for name, guard in self.config.on.items()
            if (reading := passed.get(name)) is not None and name not in self.ringing
        ]
        self.ringing = {*passed}
        self.judge_off |= any(firing.action == "judge_off" for firing in firings)
        for firing in firings:
            for listener in self.listeners:
                listener(firing)
        for firing in firings:
            if firing.action == "stop":
                raise JudgeError(str(firing))
        return firings

    def state(self) -> dict[str, Any]:
        """Return the state that a resumed run needs, for JSON."""
        seen = [item.model_dump(mode="json", exclude_defaults=True) for item in self._seen]
        return {"seen": seen, "ringing": sorted(self.ringing), "judge_off": self.judge_off}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a state."""
        self._seen = [Observation.model_validate(item) for item in state["seen"]]
        self.ringing, self.judge_off = set(state["ringing"]), state["judge_off"]


def asked_counts(batch: GroupBatch, rows: Collection[int], scored: Mapping[int, Scored]) -> dict[str, Any]:
    """Return what an observation says about the judge, from the rows that the algorithm had scored and all scores."""
    outcomes, right = batch.outcomes_N.tolist(), batch.right_N.tolist()
    group_ids = batch.group_ids_N.tolist()
    judged = {row: item for row, item in scored.items() if item.judged}
    return {
        "n_judged": len(judged),
        "n_unscored": sum(
            item.rts is None and (row in rows or item.p_no_error is None) for row, item in judged.items()
        ),
        "n_by_reason": dict(Counter(item.no_verdict for item in judged.values() if item.no_verdict is not None)),
        "known": tuple(
            Known(group_ids[row], right[row], item.p_no_error, item.flawless)
            for row, item in judged.items()
            if item.p_no_error is not None and not math.isnan(outcomes[row])
        ),
    }


def observe(
    batch: GroupBatch,
    *,
    step: int,
    rows_M: torch.Tensor | None,
    scored: Mapping[int, Scored],
    n_steps_N: Sequence[int],
) -> Observation:
    """Return what a batch of rollouts showed.

    Args:
        batch: The groups.
        step: The optimiser step that trains on it, 1-based.
        rows_M: Responses that the algorithm wanted scored; `None` for one that scores none. Shape (M,).
        scored: Their scores, and those of the responses judged for guards, by row.
        n_steps_N: Number of steps of each response.
    """
    right = batch.right_N[~batch.outcomes_N.isnan()]
    rows, cut = set() if rows_M is None else set(rows_M.tolist()), batch.truncated_N.tolist()
    scored_rts = [value for row in rows if (value := scored[row].rts) is not None]
    negative_N = batch.classify().all_negative_N
    negative = [] if rows_M is None else negative_N.nonzero().flatten().tolist()
    return Observation(
        step=step,
        accuracy=right.double().mean().item() if len(right) else None,
        rts=fmean(scored_rts) if scored_rts else None,
        n_steps=fmean(n_steps_N),
        n_tokens=batch.n_tokens_N.double().mean().item(),
        n_all_negative=len(negative),
        n_one_step=sum(row in rows and n_steps_N[row] < 2 for row in negative),
        n_cut=sum(row not in rows and cut[row] for row in negative),
        **asked_counts(batch, rows, scored),
    )


class GuardCallback(TrainerCallback):
    """Keeps what guards have seen in the state that checkpoints hold, and tells them when the run ends."""

    def __init__(self, guards: Guards) -> None:
        self.guards = guards

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Continue from a checkpoint; one of an earlier release has nothing to continue from."""
        if STATE in state.stateful_callbacks:
            self.guards.restore(state.stateful_callbacks[STATE]["attributes"])

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Store what a checkpoint of this step must hold, in the form that transformers gives callbacks."""
        state.stateful_callbacks[STATE] = {"args": {}, "attributes": self.guards.state()}

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Look a last time."""
        self.guards.finish()
