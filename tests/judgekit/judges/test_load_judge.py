"""The one door to judges: what it opens and how it refuses."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from judgekit.errors import CheckpointError, ConfigError
from judgekit.judges import load_judge
from judgekit.judges.base import Judge
from judgekit.judges.builtin import BUILTIN, BUILTIN_NAMES
from judgekit.judges.calibrated import CalibratedJudge
from judgekit.judges.card import read_card, write_card
from judgekit.judges.recognise import make_card
from judgekit.types import ArgmaxRule, NoVerdictReason, Solution
from tests.judgekit.cards import changed

FINGERPRINT = {"data": "d", "sha256": "0", "n_solutions": 1, "n_problems": 1, "sources": [], "generators": []}

COLD = {"kind": "temperature", "temperature": 0, "fingerprint": FINGERPRINT}
LIKELIHOOD = {"bias": 1.0, "max_weight": -1.0, "mean_weight": 0.0}


def test_a_card_survives_writing(tiny_judge: Path, tmp_path: Path) -> None:
    card = read_card(tiny_judge)
    write_card(tmp_path, card)
    assert read_card(tmp_path) == card


def test_a_folder_without_a_card_is_no_judge(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no judge\.json, so it is not a judge directory"):
        load_judge(tmp_path)


def test_a_file_is_no_judge(tmp_path: Path) -> None:
    (tmp_path / "judge.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"judge\.json is neither a directory nor a YAML card"):
        load_judge(tmp_path / "judge.json")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", r"judge\.json is not valid JSON"),
        ("[]", r"judge\.json must hold keys and values"),
        ("{}", r"judge\.json: field 'kind' is missing"),
    ],
)
def test_a_card_that_is_not_one_is_refused(text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "judge.json").write_text(text)
    with pytest.raises(CheckpointError, match=complaint):
        load_judge(tmp_path)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"kind": "oracle"}, "unknown judge kind 'oracle'.*step_classifier"),
        ({"schema_version": 3}, "'schema_version', value 3"),
        ({"colour": "red"}, "'colour'"),
        ({"decision": {"kind": "threshold", "threshold": 2}}, "decision.threshold.threshold"),
        (
            {"calibrator": {"kind": "temperature", "temperature": 0, "fingerprint": FINGERPRINT}},
            r"temperature\.temperature",
        ),
        ({"engine": "cuda"}, "'engine', value 'cuda'"),
        ({"kind": "likelihood", "fitted": LIKELIHOOD, "engine": "vllm"}, "not permitted .*'engine'"),
        ({"model": "../gone"}, r"names the model '\.\./gone', but .* does not exist"),
        ({"model": "/gone/model"}, r"names the model '/gone/model'"),
    ],
)
def test_what_a_card_says_must_be_so(
    fields: dict[str, object], complaint: str, judge_copy: Callable[..., Path]
) -> None:
    with pytest.raises(CheckpointError, match=complaint):
        load_judge(judge_copy(**fields))


def test_an_engine_that_is_not_installed_is_named(
    judge_copy: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(ConfigError, match=r"the engine vllm cannot be used here .*pip install 'sgpo\[vllm\]'"):
        load_judge(judge_copy(engine="vllm"))


def test_missing_weights_are_refused(judge_copy: Callable[..., Path]) -> None:
    folder = judge_copy()
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="cannot open the model"):
        load_judge(folder)


def test_an_untrained_head_is_refused(judge_copy: Callable[..., Path], tiny_base: Path) -> None:
    with pytest.raises(CheckpointError, match="it is not a trained judge"):
        load_judge(judge_copy(model=str(tiny_base)))


def test_weights_may_lie_elsewhere(tiny_judge: Path, tmp_path: Path, solutions: list[Solution]) -> None:
    write_card(tmp_path, make_card(changed(tiny_judge, model=str(tiny_judge)), where="here"))
    here, there = load_judge(tmp_path).judge(solutions), load_judge(tiny_judge).judge(solutions)
    assert [judgement.verdict for judgement in here] == [judgement.verdict for judgement in there]


@pytest.mark.parametrize("name", ["gone", "runs/a/b/judge", "../judge", "/gone/judge", "owner/na--me", "a..b/c"])
def test_what_is_no_place_and_no_hub_id_is_refused(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=r"does not exist|cannot be fetched"):
        load_judge(name)


@pytest.mark.parametrize("error", [LocalEntryNotFoundError("offline"), OSError("no route")])
def test_a_hub_id_that_cannot_be_fetched_is_refused(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(CheckpointError, match="owner/judge is not a directory here and cannot be fetched from the Hub"):
        load_judge("owner/judge")


def test_a_hub_id_is_fetched_without_code_or_pickles(tiny_judge: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    def fetch(hub_id: str, *, allow_patterns: list[str]) -> str:
        asked[hub_id] = allow_patterns
        return str(tiny_judge)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    assert load_judge("owner/judge").info.judge_id == "tiny"
    assert {"*.json", "*.safetensors"} <= set(asked["owner/judge"])
    assert not any(pattern in ("*", "*.py", "*.bin") for pattern in asked["owner/judge"])


def test_an_unknown_precision_is_refused(tiny_judge: Path) -> None:
    with pytest.raises(ConfigError, match="unknown precision 'float16'"):
        load_judge(tiny_judge, dtype="float16")


# Calibrated judges


def test_a_stored_temperature_is_applied(judge_copy: Callable[..., Path], solutions: list[Solution]) -> None:
    folder = judge_copy(calibrator={"kind": "temperature", "temperature": 2.0, "fingerprint": FINGERPRINT})
    raw, calibrated = load_judge(folder, calibrated=False), load_judge(folder)
    assert isinstance(calibrated, CalibratedJudge)
    assert (calibrated.info.judge_id, calibrated.info.decision) == (raw.info.judge_id, raw.info.decision)
    empty = Solution(problem="?", steps=())
    for before, after in zip(raw.judge([*solutions, empty]), calibrated.judge([*solutions, empty]), strict=True):
        assert (after.solution_id, after.no_verdict) == (before.solution_id, before.no_verdict)
        for p, q in zip(*(j.verdict.p_ok_S if j.verdict else () for j in (before, after)), strict=True):
            # sigmoid(logit / 2): odds are square-rooted
            assert q / (1 - q) == pytest.approx((p / (1 - p)) ** 0.5, rel=1e-4)


# Builtin judges


def test_builtin_answers() -> None:
    solution = Solution(problem="?", steps=("a", "b", "c"))
    for name, answer in (("no-error", None), ("first-step", 0)):
        judge = load_judge(f"builtin:{name}")
        assert isinstance(judge, Judge)
        (judgement,) = judge.judge([solution])
        assert judgement.verdict is not None
        assert judgement.verdict.decide(judge.info.decision) == judgement.verdict.decide(ArgmaxRule()) == answer
        assert judgement.judge_id == f"builtin:{name}"
        (empty,) = judge.judge([Solution(problem="?", steps=())])
        assert empty.no_verdict is NoVerdictReason.EMPTY


def test_the_random_judge_is_even_and_repeats_itself() -> None:
    judge = load_judge("builtin:random")
    made = [Solution(problem=f"{i}?", steps=("a", "b", "c")) for i in range(2000)]
    answers = [j.verdict.decide(judge.info.decision) for j in judge.judge(made) if j.verdict]
    assert answers == [
        j.verdict.decide(judge.info.decision) for j in load_judge("builtin:random").judge(made) if j.verdict
    ]
    # 500 of each expected; five standard deviations are 5 * sqrt(2000 * 0.25 * 0.75) = 97
    assert all(403 < answers.count(answer) < 597 for answer in (0, 1, 2, None))


def test_an_unknown_builtin_lists_the_known() -> None:
    with pytest.raises(ConfigError, match="unknown builtin judge 'best': use one of first-step, no-error, random"):
        load_judge("builtin:best")


def test_every_builtin_judge_is_named_and_opens() -> None:
    assert BUILTIN.keys() < BUILTIN_NAMES.keys()
    for name in BUILTIN_NAMES:
        assert load_judge(f"builtin:{name}").info.judge_id == f"builtin:{name}"


def test_cards_are_json_without_surprises(tiny_judge: Path) -> None:
    card = json.loads((tiny_judge / "judge.json").read_text())
    assert (card["spec"]["kind"], card["spec"]["ok_labels"], card["calibrator"]) == ("step_classifier", None, None)
