"""`sgpo theory`: the folder that it writes, and the page that quotes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from judgekit.config import load_config
from sgpo.cli import main
from sgpo.theory.config import TheoryConfig
from sgpo.theory.figures import study_table
from sgpo.theory.results import CasesResult, StartsResult, TheoryResults
from sgpo.theory.run import compute

ROOT = Path(__file__).parents[3]
SMALL = """
studies:
  kinds:
    type: cases
    title: A judge that errs
    base: {n_steps: 3, group_size: 3, n_updates: 30, start: 0.4}
    vary: {judge.kind: [random, reversed], judge.error: [0.0, 1.0]}
    level: 0.5
  alone: {type: cases, title: One case, base: {n_updates: 5}}
  starts: {type: starts, title: Starts, base: {n_updates: 20}, chances: [0.1, 0.5, 0.9]}
  batches:
    type: batches
    title: Batches
    base: {n_updates: 10}
    judges: {none: null, perfect: {}}
    n_groups: [1, 3]
    n_runs: 4
"""


def test_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    command = ["theory", str(tmp_path / "small.yaml"), "--output", str(tmp_path / "out")]
    assert main(command) == 0
    assert "| random | 1 |" in capsys.readouterr().out
    results = TheoryResults.model_validate_json((tmp_path / "out" / "theory.json").read_text())
    kinds, starts = results.studies["kinds"], results.studies["starts"]
    assert isinstance(kinds, CasesResult) and isinstance(starts, StartsResult)
    right, noise, _, reversed_ = kinds.cases
    assert right.sgpo.updates_to_level is not None and right.grpo.updates_to_level is not None
    assert right.sgpo.updates_to_level < right.grpo.updates_to_level
    assert right.grpo.success_T == noise.grpo.success_T == pytest.approx(noise.sgpo.success_T)
    assert reversed_.least < -0.05 and reversed_.most == 0 == reversed_.most_at
    assert starts.least[2][0] < 0 == starts.least[0][0] and starts.most[0][0] > 0
    # The same configuration gives the same bytes, sampled batches included.
    files = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.suffix in {".png", ".json"}}
    assert {"kinds.png", "alone.png", "starts.png", "batches.png"} <= files.keys()
    assert main([*command[:-1], str(tmp_path / "again")]) == 0
    assert {name: (tmp_path / "again" / name).read_bytes() for name in files if name != "manifest.json"} == {
        name: content for name, content in files.items() if name != "manifest.json"
    }
    assert main([*command, "--resume"]) == 0
    assert main([*command, "--resume", "seed=1"]) == 2


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"vary": {"n_stpes": [1]}}, "unknown key 'n_stpes'; did you mean 'n_steps'?"),
        ({"vary": {"judge.error": [2.0]}}, "less than or equal to 1"),
        ({"base": {"judge": None}}, "base.judge is null"),
        ({"type": "starts", "chances": [0.1, 0.2], "base": {"n_steps": 3}}, "a map of starts needs n_steps=2"),
    ],
)
def test_what_is_refused(
    change: dict[str, object], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = {"type": "cases", "title": "x"} | change
    (tmp_path / "bad.json").write_text(json.dumps({"studies": {"one": study}}))
    assert main(["theory", str(tmp_path / "bad.json"), "--output", str(tmp_path / "out")]) == 2
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def check_page(config: TheoryConfig) -> None:
    page = (ROOT / "docs" / "theory.md").read_text()
    for name, study in config.studies.items():
        table = study_table(compute(study, seed=config.seed))
        assert table in page, f"docs/theory.md does not have the table of {name} as it is computed"
        assert f"(theory/{name}.png)" in page and (ROOT / "docs" / "theory" / f"{name}.png").is_file()


def test_the_page_has_the_tables() -> None:
    config = load_config(TheoryConfig, ROOT / "configs" / "theory" / "figures.yaml")
    quick = {name: config.studies[name] for name in ("paper", "order", "clipping")}
    check_page(config.model_copy(update={"studies": quick}))


@pytest.mark.slow
def test_the_page_has_the_tables_of_all() -> None:
    check_page(load_config(TheoryConfig, ROOT / "configs" / "theory" / "figures.yaml"))
