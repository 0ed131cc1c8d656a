"""SGPO gives the rewards, advantages and metrics that the release before there were algorithms gave, to the bit.

The numbers in the fixture were written by that release for random groups, verdicts and options of its `guidance`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from judgekit.types import ThresholdRule, Verdict
from sgpo.algorithms.base import GroupBatch, Scored
from sgpo.algorithms.sgpo import SGPO
from sgpo.credit import give_credit, shape_groups

FIXTURE = Path(__file__).parents[2] / "fixtures" / "present_release" / "sgpo" / "credit.json"
RECORDED = json.loads(FIXTURE.read_text())


def hexed(values: torch.Tensor) -> list[str | None]:
    return [None if value != value else value.hex() for value in values.tolist()]


@pytest.mark.parametrize("case", RECORDED["cases"], ids=lambda case: f"{case['guidance']}-{case['dtype']}")
def test_credit_is_that_of_the_present_release(case: dict[str, Any]) -> None:
    rows, algorithm = RECORDED["rows"], SGPO.model_validate(case["guidance"])
    batch = GroupBatch(
        torch.tensor([row["outcome"] for row in rows], dtype=getattr(torch, case["dtype"])),
        group_ids_N=torch.tensor([row["group"] for row in rows]),
        truncated_N=torch.tensor([row["truncated"] for row in rows]),
        n_tokens_N=torch.ones(len(rows), dtype=torch.int64),
    )

    def score(row: dict[str, Any]) -> Scored:
        if not row["verdict"]:
            return Scored(None)
        verdict, decision = Verdict.from_step_probs(row["p_ok"]), ThresholdRule(threshold=0.5)
        return Scored(algorithm.rts.compute(verdict, decision=decision, lengths_S=row["lengths"], min_survival=0.35))

    assert algorithm.rows_to_score(batch).tolist() == case["rows"]
    credit = shape_groups(batch, algorithm, lambda rows_M: [score(rows[row]) for row in rows_M.tolist()])
    found = [credit.rts_N[row] for row in case["rows"]]
    assert [None if rts is None else rts.hex() for rts in found] == case["rts"]
    assert hexed(credit.shaped.rewards_N) == case["rewards"]
    assert hexed(credit.shaped.std_floor_N) == case["floor"]
    for scale, advantages in case["advantages"].items():
        given = give_credit(
            credit.shaped.rewards_N,
            batch=batch,
            algorithm=algorithm,
            std_floor_N=credit.shaped.std_floor_N,
            scale=scale,  # type: ignore[arg-type]
        )
        assert isinstance(given, torch.Tensor)
        assert hexed(given) == advantages
    stats = {name: float(value).hex() for name, value in credit.stats.items() if name != "judge_seconds"}
    assert stats == case["stats"]
