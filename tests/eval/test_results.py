"""Results as files: those of an earlier release are read and written back the same, others are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from judgekit.errors import DataError
from judgekit_eval.attacks.schema import AttackResults
from judgekit_eval.best_of_n.schema import BestOfNResults
from judgekit_eval.judges.comparisons import Comparisons
from judgekit_eval.judges.schema import EvalResults
from judgekit_eval.policy.schema import PolicyResults
from judgekit_eval.report.markdown_leaderboard import merge_leaderboards
from judgekit_eval.results import Results, read_results

STORED = Path(__file__).parents[1] / "fixtures" / "present_release" / "results"
MODELS: dict[str, type[Results]] = {
    "attack": AttackResults,
    "best_of_n": BestOfNResults,
    "eval": EvalResults,
    "policy": PolicyResults,
}
"""Model of each file that the release wrote."""


@pytest.mark.parametrize("name", MODELS)
def test_results_of_the_release_are_read_and_written_back_the_same(name: str, tmp_path: Path) -> None:
    path = STORED / f"{name}.json"
    read_results(path, MODELS[name]).write(tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text()) == json.loads(path.read_text())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("version", [2, 0, "1", True, None])
def test_another_version_is_refused_with_the_way_out(name: str, version: object, tmp_path: Path) -> None:
    values = json.loads((STORED / f"{name}.json").read_text())
    (tmp_path / "results.json").write_text(json.dumps(values | {"schema_version": version}))
    with pytest.raises(DataError, match=r"results.json has schema_version .*, but this release reads 1: run"):
        read_results(tmp_path / "results.json", MODELS[name])


def test_damaged_and_foreign_results_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    values = json.loads((STORED / "policy.json").read_text())
    for changed, said in (
        ([1], "holds no results but"),
        ({"a": 1}, "has schema_version None"),
        (values | {"packages": 3}, "damaged or not a PolicyResults: .*field 'packages'"),
        ({key: value for key, value in values.items() if key != "by"}, "field 'by' is missing"),
        (values | {"more": 3}, "field 'more'"),
    ):
        path.write_text(json.dumps(changed))
        with pytest.raises(DataError, match=said):
            read_results(path, PolicyResults)


def test_evaluations_of_the_release_are_merged_and_those_of_another_version_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run" / "judges" / "symbolic" / "mr-gsm8k" / "results.json"
    path.parent.mkdir(parents=True)
    shutil.copy(STORED / "eval.json", path)
    (results,) = merge_leaderboards([tmp_path / "run"], tmp_path / "all.md")
    values = json.loads(path.read_text())
    assert results == EvalResults.model_validate(values) and "builtin:symbolic" in (tmp_path / "all.md").read_text()
    path.write_text(json.dumps(values | {"schema_version": 2}))
    with pytest.raises(DataError, match="has schema_version 2, but this release reads 1"):
        merge_leaderboards([tmp_path / "run"], tmp_path / "all.md")


def test_comparisons_of_the_release_had_no_version_and_are_read(tmp_path: Path) -> None:
    path = tmp_path / "comparisons.json"
    pair = {"a": "x", "b": "y", "difference": 1.5, "lo": None, "hi": None, "p_value": 0.5, "p_holm": 0.5}
    compared = {"headline_name": "pooled F1", "n_comparisons": 1, "note": "One.", "pairs": [pair]}
    path.write_text(json.dumps({"own": compared}))
    found = read_results(path, Comparisons).benchmarks["own"]
    assert (found.pairs[0].difference, found.floors) == (1.5, None)
    path.write_text(json.dumps({"schema_version": 2, "own": compared}))
    with pytest.raises(DataError, match="has schema_version 2"):
        read_results(path, Comparisons)
    path.write_text(json.dumps({"own": {"pairs": []}}))
    with pytest.raises(DataError, match="damaged or not a Comparisons"):
        read_results(path, Comparisons)
