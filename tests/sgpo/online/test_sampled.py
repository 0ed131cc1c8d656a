"""Rows of `samples.jsonl`."""

from __future__ import annotations

from sgpo.algorithms.base import Scored
from sgpo.online.sampled import Sampled


def test_samples_show_what_the_judge_said_in_an_order_that_changes() -> None:
    scored = [
        Scored(0.5, p_no_error=0.2, first_error=1, text="step 1 is wrong"),
        Scored(None),
        Scored(0.9, p_no_error=0.9),
        None,
    ]
    texts, nothing = [f"r{i}" for i in range(4)], float("nan")
    outcomes, rts = [0.0, 0.0, 1.0, nothing], [0.5, None, None, None]
    sampled = Sampled(["p"] * 4, texts, outcomes, [0.6, nothing, 1.0, nothing], rts, scored)
    rows = list(sampled.rows(step=1))
    assert rows[0] == {
        "step": 1,
        "prompt": "p",
        "response": "r0",
        "outcome": 0.0,
        "reward": 0.6,
        "rts": 0.5,
        "first_error": 1,
        "p_no_error": 0.2,
        "judge_text": "step 1 is wrong",
    }
    by_text = {row["response"]: (row["first_error"], row["p_no_error"], row["rts"]) for row in rows}
    assert by_text["r1"] == by_text["r3"] == (None, None, None), "no verdict"
    assert by_text["r2"] == (None, 0.9, None), "a right one, in which the judge sees no error"
    assert len({tuple(row["response"] for row in sampled.rows(step=step)) for step in range(9)}) > 1
    assert all(next(sampled.rows(step=step))["response"] == "r0" for step in range(9)), "judged ones first"
