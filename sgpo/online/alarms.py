"""Alarms over the logged history of an online run: two ways in which a policy may please the judge without learning.

They only warn: a row of `metrics.jsonl` says whether an alarm rings, and a line in the log says so when it begins. Axis
`_R` runs over logged rows, in order.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from transformers import TrainerCallback

from sgpo.config import GuardsConfig

logger = logging.getLogger(__name__)

ACCURACY_STILL = 0.01
"""Raw accuracy that rose by less than this stands still."""
STEPS, RTS, ACCURACY = "sgpo/steps_per_response", "sgpo/rts_mean", "sgpo/accuracy"
INFLATION, RTS_ALONE = "sgpo/alarm_step_inflation", "sgpo/alarm_rts_without_accuracy"
MEANING = {
    INFLATION: "responses have many more steps than at the start: the policy may be splitting its steps",
    RTS_ALONE: "RTS rises and accuracy stands still: the policy may be pleasing the judge, not solving problems",
}


def steps_inflate(steps_R: Sequence[float], *, n_rows: int, factor: float) -> bool:
    """Whether the latest `n_rows` rows have more than `factor` times the steps a response of the first `n_rows`.

    False until there are two such windows that do not overlap.
    """
    return len(steps_R) >= 2 * n_rows and fmean(steps_R[-n_rows:]) > factor * fmean(steps_R[:n_rows])


def rts_rises_alone(rts_R: Sequence[float], accuracy_R: Sequence[float], *, n_rows: int, rise: float) -> bool:
    """Whether RTS rose by more than `rise` from the `n_rows` rows before to the latest ones, and accuracy did not.

    Both are shares in [0, 1], of the same rows. False until there are two windows.
    """
    if len(rts_R) < 2 * n_rows:
        return False
    rose = [fmean(values_R[-n_rows:]) - fmean(values_R[-2 * n_rows : -n_rows]) for values_R in (rts_R, accuracy_R)]
    return rose[0] > rise and rose[1] < ACCURACY_STILL


def check_alarms(history_R: Sequence[Mapping[str, Any]], *, config: GuardsConfig) -> dict[str, float]:
    """Return 1.0 for an alarm that rings and 0.0 for one that does not; those that are off are absent.

    Args:
        history_R: Logged rows; rows without the values an alarm reads are passed over.
        config: Thresholds, see `GuardsConfig`.
    """
    rings = {}
    if config.max_step_factor is not None:
        (steps_R,) = _columns(history_R, STEPS)
        rings[INFLATION] = steps_inflate(steps_R, n_rows=config.alarm_rows, factor=config.max_step_factor)
    if config.max_rts_rise is not None:
        rts_R, accuracy_R = _columns(history_R, RTS, ACCURACY)
        rings[RTS_ALONE] = rts_rises_alone(rts_R, accuracy_R, n_rows=config.alarm_rows, rise=config.max_rts_rise)
    return {name: float(ringing) for name, ringing in rings.items()}


def _columns(history_R: Sequence[Mapping[str, Any]], *names: str) -> list[list[float]]:
    """The values of the rows that have all of these names."""
    rows = [row for row in history_R if all(row.get(name) is not None for name in names)]
    return [[row[name] for row in rows] for name in names]


class AlarmCallback(TrainerCallback):
    """Adds the alarms to what the trainer logs, for the callbacks after it, and warns when one begins to ring.

    It reads the trainer's own history, which checkpoints keep, so a resumed run goes on as if never interrupted.
    """

    def __init__(self, config: GuardsConfig) -> None:
        self.config = config
        self._ringing: set[str] = set()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Check the history up to this row."""
        if not logs or STEPS not in logs:
            return
        alarms = check_alarms(state.log_history, config=self.config)
        logs |= alarms
        ringing = {name for name, value in alarms.items() if value}
        if state.is_world_process_zero:
            for name in sorted(ringing - self._ringing):
                logger.warning("step %d, %s: %s", state.global_step, name, MEANING[name])
        self._ringing = ringing
