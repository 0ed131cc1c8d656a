"""The leaderboard says what was measured here, what others published, and what may not be compared."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from judgekit.cli import main
from judgekit.errors import ConfigError, DataError
from judgekit.io import read_json, write_json
from judgekit.metrics.bootstrap import Interval
from judgekit.report.markdown import markdown_table
from judgekit.types import LabelledSolution, ThresholdRule
from judgekit_eval.judges.schema import Decision
from judgekit_eval.report.leaderboard import threshold_origin
from judgekit_eval.report.markdown_leaderboard import cell, merge_leaderboards
from tests.eval.samples import evaluate_all, pointing_at, sample
from tests.fakes import FakeJudge


def solutions_of(source: str, n: int = 8) -> list[LabelledSolution]:
    rows = [sample(i, first_error=None if i % 2 else 1, subset="gsm8k" if i < 4 else "math") for i in range(n)]
    return [LabelledSolution.model_validate(row.model_dump() | {"source": source, "id": ""}) for row in rows]


def evaluated(output: Path, *names: str, source: str = "processbench", n: int = 8, **options: object) -> Path:
    solutions = solutions_of(source, n)
    judges = [
        FakeJudge(
            {s.id: pointing_at(s.first_error if i % (2 + k) else 2) for i, s in enumerate(solutions)},
            judge_id=name,
            decision=ThresholdRule(threshold=0.5, origin="best F1 on elsewhere"),
        )
        for k, name in enumerate(names)
    ]
    evaluate_all(judges, solutions, output=output, **options)
    return output


def rows_of(text: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]


def test_judges_stand_among_quoted_figures_best_first(tmp_path: Path) -> None:
    text = (evaluated(tmp_path / "run", "odd", "even") / "leaderboard.md").read_text()
    table = rows_of(text.split("By subset")[0].split("Better than")[0])
    header, body = table[0], table[2:]
    assert header[:6] == ["judge", "average F1", "judged only", "error accuracy", "correct accuracy", "accuracy"]
    assert header[6:9] == ["AUROC", "AUROC within position", "ECE"]
    assert header[9:] == ["no verdict", "threshold", "seen before", "tokens", "seconds"]
    assert "AUROC's floor is not 50" in text
    body = [row for row in body if not row[0].startswith("*floor*")]
    figures = [float(row[1].strip("*").split(" ")[0]) for row in body]
    assert figures == sorted(figures, reverse=True)
    ours = {row[0]: row for row in body if "*quoted*" not in row[0]}
    assert ours.keys() == {"odd", "even"}
    # odd: every solution with an even index is judged wrong, and these are the erroneous ones
    assert ours["odd"][2] == ours["odd"][1].strip("*"), "everything was judged"
    assert ours["odd"][3].startswith("0.0") and ours["odd"][4].startswith("100.0")
    assert ours["odd"][9:12] == ["0", "best F1 on elsewhere", "unknown"]
    assert any(row[0].startswith("*quoted* Qwen2.5-Math-PRM-7B (") and row[1] == "80.0" for row in body)
    assert any("average of the 2 subsets here; 73.5 over all 4)" in row[0] for row in body), "82.4 and 77.6"
    assert len(body) == 2 + 16
    assert "- Published ProcessBench figures are over 3,400 solutions, these over 8" in text


def test_results_of_an_earlier_release_stand_in_the_leaderboard_without_what_they_lack(tmp_path: Path) -> None:
    run = evaluated(tmp_path / "run", "odd", source="orchard")
    assert "not measured" not in (run / "leaderboard.md").read_text()
    for path in run.glob("*/*/*/results.json"):
        results = read_json(path)
        for values in [*results["subsets"].values(), results["pooled"]]:
            if values["steps"]:
                values["steps"] = {k: v for k, v in values["steps"].items() if "within_position" not in k}
        write_json(path, results)
    merge_leaderboards([run], tmp_path / "merged.md")
    header, _, *rows = rows_of((tmp_path / "merged.md").read_text())
    shown = {row[0]: row[header.index("AUROC within position")] for row in rows if len(row) == len(header)}
    assert shown["odd"] == "not measured"


def test_subsets_and_upper_bounds_are_marked(tmp_path: Path) -> None:
    text = (evaluated(tmp_path / "run", "odd", threshold="tuned:gsm8k") / "leaderboard.md").read_text()
    assert "best F1 on gsm8k in this evaluation, upper bound" in text
    assert "The threshold was chosen on gsm8k, which is reported here" in text
    by_subset = rows_of(text.split("By subset")[1])
    assert by_subset[0] == ["judge", "gsm8k", "math", "pooled"]
    assert any(row[:3] == ["*quoted* o1-mini", "93.2", "88.9"] for row in by_subset)


def test_a_source_without_published_figures_has_none(tmp_path: Path) -> None:
    text = (evaluated(tmp_path / "run", "odd", source="orchard") / "leaderboard.md").read_text()
    assert "## orchard" in text and "*quoted* " not in text.split("## orchard")[1]


def test_runs_are_merged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = evaluated(tmp_path / "one", "odd"), evaluated(tmp_path / "two", "even", "third")
    other = evaluated(tmp_path / "three", "odd", source="orchard")
    output = tmp_path / "all.md"
    assert main(["leaderboard", str(one), str(two), str(other), "--output", str(output)]) == 0
    assert "3 judges on 2 benchmarks" in capsys.readouterr().out
    judges = {row[0] for row in rows_of(output.read_text())}
    assert {"odd", "even", "third"} <= judges


def test_results_of_older_runs_are_merged_and_other_conventions_are_not_mixed(tmp_path: Path) -> None:
    def older(run: Path, **changed: object) -> Path:
        """Results as they were written before there were floors and pooled figures."""
        shutil.rmtree(run / "floors")
        for path in run.glob("judges/*/*/results.json"):
            results = {key: value for key, value in read_json(path).items() if key not in ("pooled", "undefined")}
            del results["decision"]["n_default"]
            path.write_text(json.dumps(results | {"headline": results["headline"] | changed}))
        return run

    old = older(evaluated(tmp_path / "old", "odd"))
    merge_leaderboards([old, evaluated(tmp_path / "new", "even")], tmp_path / "all.md")
    text = (tmp_path / "all.md").read_text()
    lines = [line for line in text.split("By subset")[1].splitlines() if line.startswith(("| odd |", "| even |"))]
    assert {line.split(" | ")[0]: line.endswith(" |  |") for line in lines} == {"| odd": True, "| even": False}
    averaged = older(evaluated(tmp_path / "averaged", "odd", source="orchard"), name="average F1")
    pooled = evaluated(tmp_path / "pooled", "even", source="orchard")
    with pytest.raises(
        DataError, match="headlines average F1 and pooled F1: run the older evaluation again with --resum"
    ):
        merge_leaderboards([averaged, pooled], tmp_path / "other.md")


def test_runs_that_cannot_stand_together_are_refused(tmp_path: Path) -> None:
    one, two = evaluated(tmp_path / "one", "odd"), evaluated(tmp_path / "two", "odd")
    fewer = evaluated(tmp_path / "fewer", "even", n=6)
    with pytest.raises(ConfigError, match="two results of odd on processbench"):
        merge_leaderboards([one, two], tmp_path / "all.md")
    with pytest.raises(DataError, match="even was run on 6 solutions of processbench and odd on 8"):
        merge_leaderboards([one, fewer], tmp_path / "all.md")
    with pytest.raises(DataError, match="holds no judges"):
        merge_leaderboards([tmp_path], tmp_path / "all.md")
    assert not (tmp_path / "all.md").exists()


def test_cells() -> None:
    assert cell(Interval(12.34, 10.0, 15.06)) == "12.3 [10.0, 15.1]"
    assert cell(Interval(12.34, None, None)) == "12.3"
    assert cell(Interval(None, None, None)) == "undefined"
    assert (
        threshold_origin(Decision(kind="argmax", threshold=None, thresholds=None, origin="default"))
        == "most probable outcome"
    )
    assert threshold_origin(Decision(kind="threshold", threshold=None, thresholds=[0.1], origin="x")) == "cross-fitted"
    assert markdown_table(["a|b"], [["c\nd"]]) == "| a\\|b |\n| --- |\n| c d |"
