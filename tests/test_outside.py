"""What a package from outside adds, each example in under 40 lines: written as it would be, installed, and used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from judgekit.cli import main
from judgekit.io import read_json, read_records
from judgekit.types import LabelledSolution
from sgpo.offline.run import run_offline
from sgpo.online.run import run_online
from tests.sgpo.offline import offline_samples
from tests.sgpo.samples import write_problems


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, *, group: str, entry: str, module: str, code: str) -> None:
    """Leave in a folder on the path what an installer leaves of a package with one entry point."""
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{entry}\n")
    (folder / f"{module}.py").write_text(code)
    monkeypatch.syspath_prepend(folder)


ALGORITHM = '''
"""GRPO that trains the first half of every response alone."""
from typing import Literal

import torch
from sgpo.algorithms.base import Algorithm


class FirstHalf(Algorithm):
    """GRPO on the first half of the tokens."""

    type: Literal["first_half"] = "first_half"
    weight: float = 1.0
    """Factor of every advantage."""

    def credit(self, rewards_N, *, batch, std_floor_N, scale):
        advantages_N = super().credit(rewards_N, batch=batch, std_floor_N=std_floor_N, scale=scale)
        is_first_N_T = [torch.arange(n) < n / 2 for n in batch.n_tokens_N.tolist()]
        return [self.weight * a * first_T for a, first_T in zip(advantages_N, is_first_N_T, strict=True)]
'''


def test_an_algorithm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = "first_half = half_rl:FirstHalf"
    install(tmp_path / "lib", monkeypatch, group="sgpo.algorithms", entry=entry, module="half_rl", code=ALGORITHM)
    from sgpo.offline.config import OfflineConfig
    from sgpo.online.config import OnlineConfig

    policy = str(offline_samples.write_policy(tmp_path / "policy"))
    groups = offline_samples.write_groups(tmp_path / "groups", offline_samples.three_groups())
    common = {"policy": policy, "algorithm": {"type": "first_half", "weight": 2.0}, "device": "cpu", "threads": 1}
    offline = {"groups": groups, "prompt": {"type": "raw"}, "max_tokens": 128, "bins_per_step": 1, "epochs": 2}
    report = run_offline(OfflineConfig.model_validate(common | offline), tmp_path / "offline")
    assert report["steps"] >= 2 and report["judge_calls"] == 0
    problems = write_problems(tmp_path / "problems", n=3)
    online = {"problems": problems, "group_size": 4, "prompts_per_step": 2, "max_steps": 2, "max_completion_length": 8}
    run_online(OnlineConfig.model_validate(common | online), tmp_path / "online")
    rows = [json.loads(line) for line in (tmp_path / "online" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2]


SOURCE = '''
"""Rows of one wrong line each: {"task": ..., "lines": [...], "bad": index or null}."""
from judgekit_datasets.source import NoOptions, RowRejected, Source
from judgekit.types import LabelledSolution, LabelMethod, labels_from_first_error


def convert(row, options, stem):
    if not row["lines"]:
        raise RowRejected("no lines")
    return [
        LabelledSolution(
            problem=row["task"],
            steps=tuple(row["lines"]),
            labels=labels_from_first_error(row["bad"], n_steps=len(row["lines"])),
            source="orchard-lines",
            subset=stem,
            label_method=LabelMethod.HUMAN,
        )
    ]


SOURCE = Source("orchard-lines", LabelledSolution, NoOptions, convert)
'''

BENCHMARK = '''
"""How those rows are scored: the share of all solutions that are decided rightly."""
from judgekit_eval.judges.benchmarks import Benchmark
from judgekit_eval.judges.counting import FIRST_ERROR

BENCHMARK = Benchmark(
    name="orchard-lines",
    title="Orchard Lines",
    headline="accuracy of location",
    headline_score="accuracy",
    overall_metrics=(FIRST_ERROR,),
    caveats=("Every task is about plums.",),
)
'''


def lines_file(folder: Path) -> Path:
    """Write twelve rows, every third of them right, and one that has no lines."""
    rows = [
        {"task": f"{i} + 1 plums?", "lines": [f"{i} + 1 = {i + 1 + (i % 3 > 0)}", "Done."], "bad": 0 if i % 3 else None}
        for i in range(12)
    ]
    path = folder / "shop.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"task": "?", "lines": [], "bad": None}]))
    return path


def test_a_source_and_its_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = "orchard-lines = orchard_source:SOURCE"
    install(tmp_path, monkeypatch, group="judgekit.sources", entry=entry, module="orchard_source", code=SOURCE)
    path, built = lines_file(tmp_path), tmp_path / "built"
    assert main(["build", "orchard_lines", "--input", str(path), "--output", str(built)]) == 0
    assert len(list(read_records(built, LabelledSolution))) == 12
    assert "no lines" in (built / "rejected.jsonl").read_text()

    entry = "orchard-lines = orchard_scores:BENCHMARK"
    install(tmp_path, monkeypatch, group="judgekit.benchmarks", entry=entry, module="orchard_scores", code=BENCHMARK)
    command = ["eval", "--judge", "builtin:symbolic", "--benchmark", "orchard-lines", str(path)]
    assert main([*command, "--output", str(tmp_path / "run"), "n_resamples=100", "n_splits=2"]) == 0
    results = read_json(tmp_path / "run/judges/builtin-symbolic/orchard-lines/results.json")
    assert results["headline"]["name"] == "accuracy of location" and results["headline"]["value"] == 100.0
    assert "## Orchard Lines" in (tmp_path / "run" / "leaderboard.md").read_text()
    assert "Every task is about plums." in results["comparability"]
