"""The folder of a run: what it holds and when it may be continued."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from judgekit.config import BaseConfig
from judgekit.errors import ConfigError, DataError
from judgekit.run import Run, git_state, package_versions


class Options(BaseConfig):
    lr: float = 1.0
    n_max: int | None = None


def test_a_run_writes_what_it_was_made_from(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("{}\n")
    run = Run(tmp_path / "run", Options(), inputs=[tmp_path / "in.jsonl"])
    assert json.loads((tmp_path / "run" / "config.json").read_text()) == {"lr": 1.0, "n_max": None}
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    # SHA-256 of the three bytes "{}\n"
    sha256 = "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356"
    assert manifest["inputs"] == {"in.jsonl": sha256}
    assert manifest["packages"] == package_versions()
    assert manifest["git"].keys() == {"sha", "dirty"}
    assert not run.resumed and not run.finished and run.results == {}


def test_a_folder_in_use_is_refused_and_continued_on_request(tmp_path: Path) -> None:
    Run(tmp_path, Options()).log({"step": 1})
    with pytest.raises(ConfigError, match="already holds a run: add --resume"):
        Run(tmp_path, Options())
    run = Run(tmp_path, Options(), resume=True)
    assert run.resumed and not run.finished
    run.finish({"f1": 0.5})
    assert run.finished
    again = Run(tmp_path, Options(), resume=True)
    assert again.finished and again.results == {"f1": 0.5}


def test_a_run_that_failed_at_once_is_begun_anew(tmp_path: Path) -> None:
    Run(tmp_path, Options(lr=1))  # and the model it names cannot be opened
    for resume in (False, True):
        assert not Run(tmp_path, Options(lr=2), resume=resume).resumed
    assert json.loads((tmp_path / "config.json").read_text())["lr"] == 2.0
    Run(tmp_path, Options(lr=3)).finish({})
    with pytest.raises(ConfigError, match="already holds a run"):
        Run(tmp_path, Options(lr=3))


def test_a_fresh_folder_may_be_resumed(tmp_path: Path) -> None:
    assert not Run(tmp_path / "new", Options(), resume=True).resumed


def test_a_folder_of_quite_another_run_is_refused_in_one_line_that_can_be_read(tmp_path: Path) -> None:
    Run(tmp_path, {f"option_{i}": "x" * 300 for i in range(20)}).log({"step": 1})
    with pytest.raises(ConfigError, match=r"differs in option_0: .*; and in 13 more$") as refused:
        Run(tmp_path, {"other": 1} | {f"option_{i}": 0 for i in range(19)}, resume=True)
    assert len(str(refused.value)) < 2000


def test_resuming_with_other_options_or_inputs_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "in.jsonl"
    data.write_text("{}\n")
    Run(tmp_path / "run", Options(), inputs=[data]).log({"step": 1})
    with pytest.raises(ConfigError, match=r"configuration differs in lr: 1.0 -> 2.0; n_max: None -> 3"):
        Run(tmp_path / "run", Options(lr=2, n_max=3), inputs=[data], resume=True)
    data.write_text('{"changed": 1}\n')
    with pytest.raises(DataError, match=r"inputs changed: in\.jsonl"):
        Run(tmp_path / "run", Options(), inputs=[data], resume=True)


def test_metrics_are_rows_and_rewound_to_a_checkpoint(tmp_path: Path) -> None:
    run = Run(tmp_path, Options())
    for step in (1, 2, 3):
        run.log({"step": step, "train/loss": 1 / step})
        run.log_samples([{"step": step, "raw": "a\nb"}])
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "train/lo')  # what a kill in the middle of a write leaves
    run.rewind(2)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert rows == [{"step": 1, "train/loss": 1.0}, {"step": 2, "train/loss": 0.5}]
    assert [json.loads(line)["step"] for line in (tmp_path / "samples.jsonl").read_text().splitlines()] == [1, 2]
    with pytest.raises(ValueError, match="JSON compliant"):
        run.log({"train/loss": float("nan")})
    run.rewind(-1)
    assert (tmp_path / "metrics.jsonl").read_text() == ""


def test_versions_and_commit_are_known_here() -> None:
    assert package_versions()["torch"]
    sha = git_state()["sha"]
    assert sha is None or re.fullmatch("[0-9a-f]{40}", sha)


@pytest.mark.parametrize("name", ["notes.txt", "model", "judge.json"])
def test_a_folder_of_something_else_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir() if name == "model" else (tmp_path / name).write_text("mine")
    for resume in (False, True):
        with pytest.raises(ConfigError, match=f"holds files of something else, for example {name}"):
            Run(tmp_path, Options(), resume=resume)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_built_data_and_hidden_files_are_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / ".DS_Store").write_text("")
    assert not Run(tmp_path, Options()).resumed
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is a file, but a run needs a folder"):
        Run(tmp_path / "file", Options())


@pytest.mark.parametrize("name", ["config.json", "manifest.json"])
@pytest.mark.parametrize("text", ["[]", "3", "null"])
def test_papers_that_are_no_object_are_one_line(name: str, text: str, tmp_path: Path) -> None:
    Run(tmp_path, Options()).log({"step": 1})
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=f"{name} is not a JSON object"):
        Run(tmp_path, Options(), resume=True)


def test_a_manifest_without_inputs_is_one_line(tmp_path: Path) -> None:
    Run(tmp_path, Options()).log({"step": 1})
    for text in ("{}", '{"inputs": [1]}'):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(DataError, match="does not say how the run was started"):
            Run(tmp_path, Options(), resume=True)


def test_rows_whose_step_is_no_number_are_dropped(tmp_path: Path) -> None:
    run = Run(tmp_path, Options())
    for step in (1, "x", None, 2):
        run.log({"step": step})
    run.rewind(1)
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1}\n'
