"""What judgements on disk depend on: whatever changes a verdict asks the judge again, and nothing else does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from judgekit.calibration.card import Fingerprint
from judgekit.calibration.posterior import IdentityCalibrator
from judgekit.judges import load_judge
from judgekit.judges.calibrated import CalibratedJudge
from judgekit.judges.stored import StoredJudge, shared_folder, verdict_key
from judgekit.types import Judgement, Solution, Verdict

FINGERPRINT = Fingerprint(data="d", sha256="0", n_solutions=9, n_problems=3, sources=("s",), generators=("g",))
SOLUTION = Solution(problem="1+1?", steps=("1+1=2", "2"))


def write_card(folder: Path, *, spec: dict[str, Any], **head: Any) -> Path:
    folder.mkdir(exist_ok=True)
    values = {"schema_version": 2, "judge_id": folder.name, "spec": spec} | head
    (folder / "judge.json").write_text(json.dumps(values))
    return folder


def write_prior(folder: Path, *, hazard: float = 0.5, **head: Any) -> Path:
    spec = {"kind": "position_prior", "by": "position", "hazards": [hazard]}
    return write_card(folder, spec=spec | {"fingerprint": FINGERPRINT.model_dump(mode="json")}, **head)


def calibrator() -> dict[str, Any]:
    return {"kind": "temperature", "temperature": 2.0, "fingerprint": FINGERPRINT.model_dump(mode="json")}


def test_a_key_follows_what_changes_verdicts(tmp_path: Path) -> None:
    prior = write_prior(tmp_path / "prior")
    members = {"kind": "ensemble", "members": ["../prior", "builtin:random"], "rule": "product", "weights": [1, 1]}
    both = write_card(tmp_path / "both", spec=members)
    bare = verdict_key(prior, dtype="float32"), verdict_key(both, dtype="float32")
    assert bare[0] != verdict_key(prior, dtype="bfloat16")

    write_prior(prior, decision={"kind": "threshold", "threshold": 0.9}, calibrator=calibrator(), metrics={"f1": 1.0})
    assert verdict_key(prior, dtype="float32") == bare[0], "what calibration writes changes no raw verdict"
    calibrated = verdict_key(both, dtype="float32")
    assert calibrated != bare[1], "an ensemble pools what its members say behind their calibrators"
    write_prior(prior, hazard=0.6, calibrator=calibrator())
    assert verdict_key(prior, dtype="float32") != bare[0]
    assert verdict_key(both, dtype="float32") not in (bare[1], calibrated), "a member is another judge now"


def test_a_key_follows_weights_and_prompts(judge_copy: Callable[..., Path], tmp_path: Path) -> None:
    judge = judge_copy()
    before = verdict_key(judge, dtype="float32")
    assert verdict_key(judge, dtype="float32") == before
    weights = next(judge.glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes())  # a judge that was trained again has the same sizes
    assert verdict_key(judge, dtype="float32") != before
    prompt = tmp_path / "prompt.yaml"
    prompt.write_text("one")
    critic = write_card(tmp_path / "critic", spec={"kind": "critic", "prompt": str(prompt), "model": "owner/model"})
    before = verdict_key(critic, dtype="float32")
    prompt.write_text("two")
    assert verdict_key(critic, dtype="float32") != before


def test_raw_verdicts_serve_every_calibrator(tmp_path: Path) -> None:
    class Counting:
        info = load_judge("builtin:random").info
        n = 0

        def judge(self, solutions: list[Solution]) -> list[Judgement]:
            self.n += len(solutions)
            verdict = Verdict(posterior=(0.2, 0.2, 0.6))
            return [Judgement(solution_id=item.id, judge_id=self.info.judge_id, verdict=verdict) for item in solutions]

    class Flat(IdentityCalibrator):
        def calibrate(self, verdict: Verdict) -> Verdict:
            return Verdict(posterior=(0.25, 0.25, 0.5))

    inner = Counting()
    for other, last in ((IdentityCalibrator(), 0.6), (Flat(), 0.5), (Flat(), 0.5)):
        judge = StoredJudge(CalibratedJudge(inner, other, fingerprint=FINGERPRINT), tmp_path, raw=True)
        (judgement,) = judge.judge([SOLUTION])
        assert judgement.verdict is not None and judgement.verdict.posterior[-1] == last
        assert judge.info.fingerprint == FINGERPRINT
    assert inner.n == 1
    assert StoredJudge(inner, tmp_path).judgements[SOLUTION.id].verdict == Verdict(posterior=(0.2, 0.2, 0.6))


@pytest.mark.parametrize("change", [{"hazard": 0.6}, {"calibrator": calibrator()}])
def test_runs_share_a_folder_until_raw_verdicts_change(change: dict[str, Any], tmp_path: Path) -> None:
    folders = []
    for options in ({}, change):
        name = str(write_prior(tmp_path / "prior", **options))
        folders.append(shared_folder(tmp_path / "shared", name=name, info=load_judge(name).info))
    assert (folders[0] == folders[1]) == ("calibrator" in change)
