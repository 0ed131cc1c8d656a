"""A judge goes to the Hub and comes back: what is uploaded, what its page says, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import pytest
import yaml

import judgekit
import judgekit.hub
from judgekit import LabelledSolution, Solution
from judgekit.cli import main
from judgekit.errors import CheckpointError, ConfigError, DataError
from judgekit.io import read_json, write_json, write_records
from judgekit_eval.judges import benchmarks
from judgekit_eval.judges.schema import EvalResults
from judgekit_eval.publish.model_card import Measured, hub_results
from judgekit_eval.publish.push import push_judge
from tests.eval.samples import sample
from tests.fake_hub import FakeHub, fake_hub

SMALL: dict[str, object] = {"n_resamples": 100, "n_splits": 2, "floors": False, "dtype": "float32"}


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A likelihood judge with weights in its directory, trained on data by an absolute path."""
    folder = tmp_path_factory.mktemp("judge")
    rows = [sample(i, first_error=(None, 1)[i % 2]) for i in range(12)]
    write_records(folder / "train", rows, record_type=LabelledSolution)
    preset = {"hidden_size": 8, "n_layers": 1, "n_heads": 1, "vocab_size": 260, "max_tokens": 256}
    model = judgekit.train("language_model", output=folder / "base", data=folder / "train", max_steps=1, preset=preset)
    settings = {"model": str(model), "data": [folder / "train"], "judge_id": "plums"}
    return judgekit.train("likelihood", output=folder / "run", **settings)


@pytest.fixture(scope="module")
def run(judge: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluation of it."""
    folder = tmp_path_factory.mktemp("eval") / "run"
    rows = [sample(i, first_error=(None, 1, 2)[i % 3]) for i in range(20, 32)]
    judgekit.evaluate([judge, "builtin:random"], {"orchard": rows}, output=folder, **SMALL)
    return folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with fake_hub() as server:
        api = huggingface_hub.HfApi(endpoint=server.address, token="hf_fake")
        monkeypatch.setattr(judgekit.hub, "HfApi", lambda: api)
        yield server


def test_what_was_pushed_is_opened_by_its_id(judge: Path, run: Path, hub: FakeHub, tmp_path: Path) -> None:
    pushed = ["push", str(judge), "me/plums", "--licence", "apache-2.0", "--results", str(run)]
    assert main(pushed) == 0
    files = hub.files["models/me/plums"]
    assert {"judge.json", "model.safetensors", "config.json", "tokenizer.json", "README.md"} <= {*files}
    assert {name.rpartition(".")[2] for name in files} == {"json", "safetensors", "md", "txt"}
    assert str(judge.parent.parent) not in "".join(text.decode(errors="replace") for text in files.values())
    code = (
        "from judgekit import Solution, load_judge; judge = load_judge('me/plums'); "
        "[said] = judge.judge([Solution(problem='1+1?', steps=('1+1=2', 'So 2.'))]); print(said.verdict.posterior)"
    )
    env = os.environ | {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [said] = judgekit.load_judge(judge).judge([Solution(problem="1+1?", steps=("1+1=2", "So 2."))])
    assert said.verdict is not None and done.stdout == f"{said.verdict.posterior}\n"


def test_the_model_card_says_what_was_measured(judge: Path, run: Path, hub: FakeHub) -> None:
    push_judge(judge, "me/plums", licence="mit", runs=[run], base_model="me/base")
    card = hub.files["models/me/plums"]["README.md"].decode()
    _, front, body = card.split("---\n", 2)
    head = yaml.safe_load(front)
    assert (head["license"], head["base_model"], head["library_name"]) == ("mit", "me/base", "sgpo")
    assert {"process-reward-model", "likelihood"} <= {*head["tags"]}
    assert 'load_judge("me/plums")' in body
    headline = EvalResults.model_validate(read_json(run / "judges/plums/orchard/results.json")).headline
    assert f"| pooled F1 | {headline.value:.1f} [{headline.lo:.1f}, {headline.hi:.1f}] | 12 | 0 |" in body
    assert "Not calibrated" in body and "Data sets: train." in body
    assert not [name for name in hub.files["models/me/plums"] if name.startswith(".eval_results")], "no public data"


def test_figures_over_a_whole_benchmark_go_to_its_leaderboard(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = EvalResults.model_validate(read_json(run / "judges/plums/orchard/results.json"))
    as_published = replace(benchmarks.PROCESSBENCH, n_published=12, published_subsets={"shop": 12})
    monkeypatch.setattr(benchmarks, "PROCESSBENCH", as_published)
    measured = results.model_copy(update={"benchmark": "processbench"})
    files = hub_results([Measured(measured, "2026-01-02T03:04:05Z")])
    [entry] = yaml.safe_load(files[".eval_results/processbench.yaml"])
    assert entry["dataset"] == {"id": "Qwen/ProcessBench", "task_id": "default"}
    assert entry["value"] == pytest.approx(results.headline.value, abs=0.005) and entry["date"].startswith("2026-01-02")
    assert "95 % interval" in entry["notes"]
    assert hub_results([Measured(results.model_copy(update={"benchmark": "prmbench"}), "2026")]) == {}, "a part of it"


def test_what_would_not_open_is_not_pushed(judge: Path, run: Path, hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"needs a licence .* --licence apache-2.0"):
        push_judge(judge, "me/plums", licence=None)
    other = tmp_path / "other"
    other.mkdir()
    card = read_json(judge / "judge.json")
    write_json(other / "judge.json", card | {"spec": card["spec"] | {"model": str(judge)}})
    with pytest.raises(CheckpointError, match=r"names the model .* outside of its repository"):
        push_judge(other, "me/plums", licence="mit")
    write_json(other / "judge.json", card)
    with pytest.raises(CheckpointError, match="cannot be opened"):
        push_judge(other, "me/plums", licence="mit")
    with pytest.raises(DataError, match=r"has no results of else .*\(of others: builtin:random, plums\)"):
        write_json(other / "judge.json", card | {"judge_id": "else"})
        for path in judge.glob("[!j]*.*"):
            (other / path.name).write_bytes(path.read_bytes())
        push_judge(other, "me/plums", licence="mit", runs=[run])
    assert hub.files == {}


def test_options_of_judges_are_refused_for_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["push", str(tmp_path), "me/set", "--licence", "mit"]) == 2
    assert "--licence, --results and --base-model are for judges" in capsys.readouterr().err
