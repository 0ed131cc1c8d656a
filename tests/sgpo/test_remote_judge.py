"""Guidance by a judge behind a service: the same credits to the last digit as by the judge in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from judgekit.errors import JudgeError
from judgekit.groups import build_groups
from judgekit.judges import load_judge
from judgekit.judges.base import Judge
from judgekit.judges.stored import StoredJudge
from sgpo.algorithms.sgpo import SGPO
from sgpo.guards import GuardsConfig
from sgpo.offline.credit import CreditTable, assign_credit
from tests.judgekit.serving.service import HashJudge, running_service
from tests.sgpo.offline.offline_samples import SampleJudge, make_rollout, three_groups

COMMON = {"guards": GuardsConfig(judge_auc=None), "trained": {}, "count_tokens": len}


def assign(judge: Judge, folder: Path, algorithm: SGPO) -> CreditTable:
    steps = [[f"response {k} try {k % 4}", "a second step", "a third step", "the end"] for k in range(40)]
    more = [make_rollout("more", k, 0.0, steps[k], answer="7") for k in range(40)]
    rollouts = [*three_groups(), *more]
    groups = build_groups(rollouts, where="samples")
    return assign_credit(groups, judge=StoredJudge(judge, folder), algorithm=algorithm, chunk=8, **COMMON)


@pytest.mark.parametrize("rts", ["hard", "expected"])
@pytest.mark.parametrize("judge_type", [SampleJudge, HashJudge])
def test_offline_credits_are_the_same(judge_type: type[Judge], rts: str, tmp_path: Path) -> None:
    algorithm = SGPO(rts=rts)  # type: ignore[arg-type]
    here = assign(judge_type(), tmp_path / "here", algorithm)
    with running_service(judge_type(), max_batch=5) as url:
        there = assign(load_judge(url), tmp_path / "there", algorithm)
    assert there.credits_N == here.credits_N
    assert here.report["revived"] == 2 and any(credit.rts for credit in here.credits_N)
    times = {"judge_seconds": 0.0}
    assert there.report | times == here.report | times


def test_a_service_that_is_gone_stops_the_run_and_keeps_what_is_judged(tmp_path: Path) -> None:
    with running_service(SampleJudge()) as url:
        judge = load_judge(url)
        full = assign(judge, tmp_path / "full", SGPO())
    with pytest.raises(JudgeError, match="no server at"):
        load_judge(url)
    resumed = assign(judge, tmp_path / "full", SGPO())
    assert resumed == full, "nothing is asked twice"
