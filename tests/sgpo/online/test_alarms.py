"""Alarms on histories made up by hand."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from sgpo.config import GuardsConfig
from sgpo.online.alarms import AlarmCallback, check_alarms, rts_rises_alone, steps_inflate

CONFIG = GuardsConfig(alarm_rows=2, max_step_factor=1.5, max_rts_rise=0.1)


def history(*, steps: list[float], rts: list[float | None], accuracy: list[float]) -> list[dict[str, Any]]:
    rows = zip(steps, rts, accuracy, strict=True)
    return [{"sgpo/steps_per_response": a, "sgpo/rts_mean": b, "sgpo/accuracy": c} for a, b, c in rows]


def test_steps_are_compared_with_the_start() -> None:
    assert not steps_inflate([4.0, 6.0, 7.0, 8.0], n_rows=2, factor=1.5)  # 7.5 = 1.5 * 5, not more
    assert steps_inflate([4.0, 6.0, 7.0, 8.5], n_rows=2, factor=1.5)
    assert steps_inflate([4.0, 6.0, 8.0, 8.0, 8.0, 8.0], n_rows=2, factor=1.5)  # and goes on ringing
    assert not steps_inflate([4.0, 6.0, 99.0], n_rows=2, factor=1.5)  # no second window yet


def test_rts_is_compared_with_the_rows_before() -> None:
    rts, still = [0.3, 0.3, 0.4, 0.5], [0.1, 0.1, 0.1, 0.1]
    assert rts_rises_alone(rts, still, n_rows=2, rise=0.1)  # up by 0.15
    assert not rts_rises_alone(rts, still, n_rows=2, rise=0.16)
    assert not rts_rises_alone(rts, [0.1, 0.1, 0.13, 0.1], n_rows=2, rise=0.1)  # accuracy up by 0.015: it moves
    assert rts_rises_alone(rts, [0.3, 0.3, 0.1, 0.1], n_rows=2, rise=0.1)  # accuracy falls
    assert not rts_rises_alone([*rts, 0.45, 0.45], [*still, 0.1, 0.1], n_rows=2, rise=0.1)
    assert not rts_rises_alone(rts[1:], still[1:], n_rows=2, rise=0.1)


def test_rows_without_a_value_are_passed_over() -> None:
    rows = history(steps=[2.0] * 5, rts=[0.3, 0.3, None, 0.5, 0.5], accuracy=[0.1, 0.1, 0.9, 0.1, 0.1])
    rows += [{"train_runtime": 3.0}, {"sgpo/rts_mean": 0.0}]
    assert check_alarms(rows, config=CONFIG) == {
        "sgpo/alarm_step_inflation": 0.0,
        "sgpo/alarm_rts_without_accuracy": 1.0,
    }
    assert set(check_alarms([], config=CONFIG).values()) == {0.0}


def test_null_switches_an_alarm_off() -> None:
    rows = history(steps=[1.0, 1.0, 9.0, 9.0], rts=[0.0, 0.0, 1.0, 1.0], accuracy=[0.0] * 4)
    no_steps = CONFIG.model_copy(update={"max_step_factor": None})
    assert check_alarms(rows, config=no_steps) == {"sgpo/alarm_rts_without_accuracy": 1.0}
    no_rts = CONFIG.model_copy(update={"max_rts_rise": None})
    assert check_alarms(rows, config=no_rts) == {"sgpo/alarm_step_inflation": 1.0}


def test_warns_once_while_an_alarm_rings(caplog: pytest.LogCaptureFixture) -> None:
    rows = history(steps=[1.0, 1.0, 9.0, 9.0, 9.0, 1.0, 1.0, 9.0, 9.0], rts=[0.5] * 9, accuracy=[0.0] * 9)
    callback, flags = AlarmCallback(CONFIG), []
    with caplog.at_level(logging.WARNING):
        for step, row in enumerate(rows, start=1):
            state = SimpleNamespace(log_history=rows[:step], global_step=step, is_world_process_zero=True)
            logs = dict(row)
            callback.on_log(None, state, None, logs=logs)
            flags.append(logs["sgpo/alarm_step_inflation"])
    assert flags == [0, 0, 0, 1, 1, 1, 0, 1, 1]
    assert [record.getMessage().split(",")[0] for record in caplog.records] == ["step 4", "step 8"]
    logs = {"train_runtime": 3.0}
    callback.on_log(None, state, None, logs=logs)
    assert logs == {"train_runtime": 3.0}
