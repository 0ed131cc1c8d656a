"""What judgements on disk depend on: whatever changes a verdict asks the judge again, and nothing else does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from judgekit.calibration.card import Fingerprint
from judgekit.calibration.posterior import IdentityCalibrator
from judgekit.judges import load_judge, stored
from judgekit.judges.base import JudgeInfo
from judgekit.judges.builtin import BUILTIN, BUILTIN_VERSION
from judgekit.judges.calibrated import CalibratedJudge
from judgekit.judges.critics import prompt as prompt_module
from judgekit.judges.golden import EXAMPLES
from judgekit.judges.stored import StoredJudge, shared_folder, verdict_key
from judgekit.judges.trust import record_trust
from judgekit.text.identity import content_id
from judgekit.types import Judgement, Solution, ThresholdRule, Verdict

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


def test_a_key_follows_prompts(tmp_path: Path) -> None:
    prompts = Path(prompt_module.__file__).parent / "prompts"
    engine = {"type": "openai", "base_url": "http://127.0.0.1:1", "model": "m"}
    keys = []
    for number, named in enumerate(("generic-1", "prompt.yaml", "prompt.yaml")):
        (tmp_path / "critic").mkdir(exist_ok=True)
        text = (prompts / "generic-1.yaml").read_text() + "\n" * number
        (tmp_path / "critic" / "prompt.yaml").write_text(text)
        critic = write_card(tmp_path / "critic", spec={"kind": "critic", "prompt": named, "engine": engine})
        record_trust(critic / "judge.json")
        keys.append(verdict_key(critic, dtype=None))
    assert len({*keys}) == 3


def test_a_key_follows_the_commit_of_a_hub_model(
    judge_copy: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    latest, asked = "a" * 40, []

    def fetch(name: str, *, revision: str | None = None, **_: object) -> str:
        asked.append((name, revision))
        snapshot = tmp_path / "snapshots" / (revision or latest)
        snapshot.mkdir(parents=True, exist_ok=True)
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    judge = judge_copy(model="owner/name")
    first = verdict_key(judge, dtype="float32")
    assert verdict_key(judge, dtype="float32") == first
    latest = "b" * 40
    assert verdict_key(judge, dtype="float32") != first, "the name is the same, the weights are others"
    shutil.rmtree(judge)
    assert verdict_key(judge_copy(model="owner/name", revision="c" * 40), dtype="float32") != first
    assert ("owner/name", None) in asked and ("owner/name", "c" * 40) in asked


def test_a_key_follows_the_rules_of_builtin_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    before = verdict_key("builtin:symbolic", dtype=None)
    assert verdict_key("builtin:symbolic", dtype=None) == before != verdict_key("builtin:random", dtype=None)
    monkeypatch.setattr(stored, "BUILTIN_VERSION", -1)
    assert verdict_key("builtin:symbolic", dtype=None) != before


def test_other_verdicts_of_builtin_judges_are_another_version() -> None:
    steps = ("2 + 2 = 4", "4 * 3 = 13", "13 - 1 = 12", "So she has 12 eggs.", "12 / 5 = 2.4")
    samples = (*EXAMPLES, Solution(problem="3 boxes of 4 eggs. How many?", steps=steps))
    verdicts = [
        [item.verdict and item.verdict.posterior for item in load_judge(f"builtin:{name}").judge(samples)]
        for name in (*BUILTIN, "symbolic")
    ]
    # Where this fails, judgements on disk no longer say what the judge says: raise the version, then take the new id.
    assert (BUILTIN_VERSION, content_id(verdicts=verdicts)) == (1, "50dc9475330045ee992d")


@pytest.mark.parametrize("member", [False, True])
def test_a_service_that_does_not_say_what_it_depends_on_is_asked_again(
    member: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name, info = "http://127.0.0.1:1", JudgeInfo("served", ThresholdRule(), fingerprint=FINGERPRINT)
    if member:
        spec = {"kind": "ensemble", "members": [name], "rule": "product", "weights": [1]}
        name = str(write_card(tmp_path / "served", spec=spec))
        record_trust(tmp_path / "served" / "judge.json")
    assert shared_folder(tmp_path, name=name, info=info) is None
    assert "does not say what its verdicts depend on" in caplog.text
    if not member:
        folders = {shared_folder(tmp_path, name=name, info=replace(info, verdict_key=key)) for key in ("a", "a", "b")}
        assert len(folders) == 2 and None not in folders


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
