"""A calibrated judge on data far from its calibration: wrappers pass on what it declares, commands warn."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from judgekit.answers import LastNumberCheck
from judgekit.cli import main
from judgekit.io import write_records
from judgekit.judges import load_judge
from judgekit.judges.base import Judge, LazyJudge, WrappedJudge
from judgekit.judges.card import JudgeCard, write_card
from judgekit.judges.ensemble import EnsembleJudge, EnsembleSpec
from judgekit.judges.shared import SharedJudge
from judgekit.judges.stored import StoredJudge
from judgekit.training.calibrate import calibrate_judge
from judgekit.training.config import CalibrationConfig, PriorConfig
from judgekit.training.prior import build_prior
from judgekit.types import LabelledSolution, Rollout, labels_from_first_error
from judgekit_eval.judges.candidates import RecordedJudge, candidate_of, find_candidates
from sgpo.offline.config import OfflineConfig
from sgpo.offline.run import run_offline
from sgpo.online.config import OnlineConfig
from sgpo.online.run import build_trainer
from tests.judgekit.serving.service import running_service
from tests.sgpo.samples import SEGMENTATION, write_policy, write_problems


def made(row: int, *, source: str, generator: str) -> LabelledSolution:
    first_error = 1 if row % 3 == 0 else None
    steps = (f"{row} + 1 = {row + 1}.", f"{row} + 2 = {row + 2 + (first_error is not None)}.")
    labels = labels_from_first_error(first_error, n_steps=2)
    return LabelledSolution(
        problem_id=f"{source}-{row}",
        problem=f"What is {row} + 2, said {source}?",
        steps=steps,
        labels=labels,
        source=source,
        subset="gsm8k",
        generator=generator,
        label_method=None,
    )


def response(row: int, sample: int) -> Rollout:
    steps = (f"{row} + 1 = {row + 2}", f"try {sample}")
    text = "\n".join(steps)
    return Rollout(
        group_id=f"g{row}",
        sample=sample,
        problem=f"What is {row} + 1?",
        prompt=f"What is {row} + 1?\n",
        response=text,
        steps=steps,
        step_start=(0, len(steps[0]) + 1),
        step_end=(len(steps[0]), len(text)),
        outcome=float(sample == 0),
        answer=str(row + 1),
        generator="far-policy",
        source="far",
    )


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a calibrated ensemble, a prior, and what they are used on: solutions, groups, problems, a policy."""
    folder = tmp_path_factory.mktemp("far")
    near = [made(row, source="near", generator="near-model") for row in range(60)]
    far = [made(row, source="processbench", generator="far-model") for row in range(12)]
    groups = [response(row, sample) for row in range(2) for sample in range(4)]
    for name, rows, record in (
        ("near", near, LabelledSolution),
        ("data", far, LabelledSolution),
        ("g", groups, Rollout),
    ):
        write_records(folder / name, rows, record_type=record)
    section = EnsembleSpec(members=("builtin:symbolic",), rule="product", weights=(1.0,))
    (folder / "judge").mkdir()
    write_card(folder / "judge", JudgeCard(judge_id="near-judge", spec=section))
    calibrate_judge(folder / "judge", folder / "near", CalibrationConfig())
    build_prior(folder / "near", folder / "prior", PriorConfig())
    write_problems(folder / "problems", n=4)
    (folder / "policy").mkdir()
    write_policy(folder / "policy")
    return {name: folder / name for name in ("near", "judge", "prior", "data", "g", "problems", "policy")}


@pytest.fixture
def calibrated(places: dict[str, Path]) -> Judge:
    judge = load_judge(places["judge"])
    assert judge.info.deterministic and judge.info.fingerprint is not None and judge.info.conformal is not None
    return judge


class Marked(WrappedJudge):
    """A judge whose `info` differs from that of the one inside."""

    def __init__(self, inner: Judge) -> None:
        marked = replace(inner.info, reserved=("<|mark|>",), dtype="bfloat16", verdict_key="key")
        super().__init__(inner, replace(marked, usd_per_mtok=(0.5, 2.0), training={"n_steps": 5}))


WRAPPERS: dict[str, Callable[[Judge, Path], Judge]] = {
    "shared": lambda judge, _: SharedJudge(judge, 1),
    "stored": lambda judge, folder: StoredJudge(judge, folder),
    "lazy": lambda judge, _: LazyJudge(judge.info, lambda: judge),
    "recorded": lambda judge, _: RecordedJudge(candidate_of(judge), []),
    "several": lambda judge, folder: StoredJudge(SharedJudge(LazyJudge(judge.info, lambda: judge), 1), folder),
}


@pytest.mark.parametrize("name", WRAPPERS)
def test_every_wrapper_declares_what_the_judge_inside_declares(name: str, calibrated: Judge, tmp_path: Path) -> None:
    for judge in (calibrated, Marked(calibrated)):
        assert WRAPPERS[name](judge, tmp_path).info == judge.info


def test_a_judge_behind_a_service_declares_what_it_declares_here(calibrated: Judge) -> None:
    marked = Marked(calibrated)
    with running_service(marked) as url:
        assert load_judge(url).info == marked.info


def test_an_ensemble_without_fitted_weights_has_the_data_of_its_members(calibrated: Judge) -> None:
    section = EnsembleSpec(members=("a", "b"), rule="mixture", weights=(0.5, 0.5))
    card = JudgeCard(judge_id="both", spec=section)
    judge = EnsembleJudge(card, [load_judge("builtin:symbolic"), calibrated])
    assert judge.info.fingerprint == calibrated.info.fingerprint
    assert judge.info.deterministic


def test_candidates_know_before_opening_what_the_opened_judge_says(places: dict[str, Path]) -> None:
    for candidate in find_candidates([str(places["judge"]), str(places["prior"])], dtype="float32"):
        opened = load_judge(candidate.name).info
        assert candidate.info == replace(opened, reserved=candidate.info.reserved)


def warnings_of(caplog: pytest.LogCaptureFixture, judge_id: str = "near-judge") -> list[str]:
    texts = [record.getMessage() for record in caplog.records if record.name == "judgekit.judges.unfamiliar"]
    return [text for text in texts if text.startswith(f"judge {judge_id} may be off here")]


COMMANDS = {
    "judge": ["judge", "--judge", "JUDGE", "--input", "DATA", "--output", "OUT"],
    "judge one": ["judge", "--judge", "JUDGE", "--problem", "1+1?", *(["--step", "1+1=2"] * 9)],
    "eval": ["eval", "--judge", "JUDGE", "--benchmark", "processbench", "DATA", "--output", "OUT", "n_resamples=100"],
    "attack": ["attack", "JUDGE", "--input", "DATA", "--output", "OUT", "attacks=[blank-step]", "n_resamples=100"],
    "best-of-n": ["best-of-n", "--judge", "JUDGE", "--groups", "GROUPS", "--output", "OUT", "n_resamples=100"],
    "judge-labels": ["judge-labels", "judge=JUDGE", "data=DATA", "--output", "OUT"],
}


@pytest.mark.parametrize("served", [False, True], ids=["directory", "served"])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_warns_once_of_data_far_from_the_calibration(
    command: str, served: bool, places: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def run(judge: str) -> None:
        words = {"JUDGE": judge, "DATA": str(places["data"]), "GROUPS": str(places["g"]), "OUT": str(tmp_path / "out")}
        argv = [words.get(word, word) for word in COMMANDS[command]]
        argv = [word.replace("JUDGE", judge).replace("DATA", words["DATA"]) for word in argv]
        assert main(argv) == 0

    if served:
        with running_service(load_judge(places["judge"])) as url:
            run(url)
    else:
        run(str(places["judge"]))
    [warning] = warnings_of(caplog)
    wanted = {"judge one": "numbers of steps (9 to 9)", "best-of-n": "far-policy"}.get(command, "far-model")
    assert wanted in warning and "`judgekit calibrate` fits it" in warning


def test_a_prior_warns_too(places: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    argv = ["judge", "--judge", str(places["prior"]), "--input", str(places["data"]), "--output", str(tmp_path / "out")]
    assert main(argv) == 0
    assert len(warnings_of(caplog, "prior")) == 1


def test_the_calibration_data_themselves_bring_no_warning(
    places: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    argv = ["judge", "--judge", str(places["judge"]), "--input", str(places["near"]), "--output", str(tmp_path / "out")]
    assert main(argv) == 0
    assert not warnings_of(caplog)


def test_sgpo_warns_offline_and_online(
    places: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running_service(load_judge(places["judge"])) as url, caplog.at_level(logging.WARNING):
        offline = OfflineConfig.model_validate(
            {"policy": str(places["policy"]), "groups": places["g"], "judge": url, "prompt": {"type": "raw"}}
            | {"max_tokens": 60, "token_budget": 60, "bins_per_step": 2, "epochs": 1, "device": "cpu"}
        )
        run_offline(offline, tmp_path / "offline")
        [warning] = warnings_of(caplog)
        assert "far-policy" in warning
        caplog.clear()
        online = OnlineConfig.model_validate(
            {"policy": str(places["policy"]), "problems": places["problems"], "judge": url, "max_steps": 1}
            | {"segmentation": SEGMENTATION, "group_size": 4, "prompts_per_step": 2, "max_completion_length": 12}
            | {"device": "cpu", "threads": 1, "save_every": None}
        )
        build_trainer(online, tmp_path / "online", check=LastNumberCheck())
        [warning] = warnings_of(caplog)
        assert "near-judge" in warning and "lack: test." in warning
