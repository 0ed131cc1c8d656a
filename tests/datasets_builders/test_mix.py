"""The mixed set: counts, order, resuming, and what is refused before anything is built."""

from __future__ import annotations

import io
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError
from rich.console import Console

from judgekit.config import load_config
from judgekit.errors import ConfigError, DataError
from judgekit.io import MANIFEST, file_sha256, read_json, read_records
from judgekit.types import LabelledSolution
from judgekit_datasets import mix
from judgekit_datasets.mix import MixReport, build_mix, render_mix_report
from judgekit_datasets.mix_config import MixConfig

CONFIGS = Path(__file__).parents[2] / "configs" / "data"
PROCEDURAL = {"source": "procedural", "options": {"n": 300, "seed": 1}}
WORDS = {"source": "procedural-word", "name": "words", "options": {"n": 200, "seed": 2}}
IMPORTED = {"source": "math-shepherd", "input": "math_shepherd.jsonl"}


@pytest.fixture(autouse=True)
def small_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mix, "_ROWS_PER_BUCKET", 60)


@pytest.fixture
def config(fixture_rows: Path) -> MixConfig:
    return MixConfig.model_validate({"data_root": fixture_rows, "parts": [PROCEDURAL, WORDS, IMPORTED]})


def rows(folder: Path) -> list[LabelledSolution]:
    return list(read_records(folder, LabelledSolution))


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: file_sha256(path) for path in sorted((folder / "data").iterdir())}


def test_a_mixed_set_holds_every_row_of_its_parts_once(config: MixConfig, tmp_path: Path) -> None:
    report = build_mix(config, tmp_path / "mix")
    built = {name: rows(tmp_path / "mix" / "parts" / name) for name in ("procedural", "words", "math-shepherd")}
    mixed = rows(tmp_path / "mix")
    by_id = {row.id: row for part in built.values() for row in part}
    assert {row.id: row for row in mixed} == by_id and len(mixed) == len(by_id) == report.n_rows
    assert [part.n_rows for part in report.parts] == [len(part) for part in built.values()]
    assert report.n_errors == sum(row.first_error is not None for row in mixed)
    assert report.parts[2].label_methods == {"monte_carlo": len(built["math-shepherd"])}
    assert report.parts[0].licences == {"Apache-2.0": len(built["procedural"])}
    assert all(part.seconds > 0 and part.rows_per_s > 0 for part in report.parts)


def test_the_manifest_tells_what_is_inside(config: MixConfig, tmp_path: Path) -> None:
    report = build_mix(config, tmp_path / "mix")
    manifest = read_json(tmp_path / "mix" / MANIFEST)
    assert manifest["n_rows"] == report.n_rows and manifest["record"] == "LabelledSolution"
    assert manifest["shards"] == {f"data/{name}": sha for name, sha in hashes(tmp_path / "mix").items()}
    assert len(manifest["shards"]) == 9, "500 rows and some, 60 a bucket"
    assert MixReport.model_validate(manifest["mix"]) == report
    assert pl.scan_parquet(tmp_path / "mix" / "data" / "*.parquet").select(pl.len()).collect().item() == report.n_rows
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(render_mix_report(report))
    shown = console.export_text()
    assert "math-shepherd" in shown and str(report.n_rows) in shown


def test_any_prefix_is_a_fair_sample(config: MixConfig, tmp_path: Path) -> None:
    build_mix(config, tmp_path / "mix")
    first = Counter(row.source for row in rows(tmp_path / "mix")[:100])
    # 59 of 100 expected from the 300 of some 505; five standard deviations are 25
    assert 34 < first["procedural"] < 84 and first["procedural-word"] > 15


def test_the_seed_decides_the_order_and_nothing_else_does(config: MixConfig, tmp_path: Path) -> None:
    for name, settings in {"a": {}, "b": {"workers": 2}, "c": {"seed": 1}}.items():
        build_mix(config.model_copy(update=settings), tmp_path / name)
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")
    a, c = ([row.id for row in rows(tmp_path / name)] for name in "ac")
    assert a != c and sorted(a) == sorted(c)


def test_the_earlier_part_keeps_a_row_that_two_have(tmp_path: Path) -> None:
    longer = {"source": "procedural", "name": "longer", "options": {"n": 400, "seed": 1}}
    report = build_mix(MixConfig.model_validate({"parts": [PROCEDURAL, longer]}), tmp_path / "mix")
    first, second = report.parts
    assert (first.n_duplicates, second.n_duplicates) == (0, first.n_built)
    assert report.n_rows == second.n_built and second.n_rows == second.n_built - first.n_built
    entries = [json.loads(line) for line in (tmp_path / "mix" / "rejected.jsonl").read_text().splitlines()]
    assert {(entry["file"], entry["reason"]) for entry in entries} == {("longer", "duplicate")}
    ids = [row.id for row in rows(tmp_path / "mix" / "parts" / "longer")]
    assert all(ids[entry["row"] - 1] == entry["raw"]["id"] for entry in entries)
    assert len(entries) == first.n_built


def test_n_max_takes_that_many_from_all_over(tmp_path: Path) -> None:
    few = {**PROCEDURAL, "name": "few", "n_max": 50}
    more = {**WORDS, "n_max": 100_000}
    report = build_mix(MixConfig.model_validate({"parts": [few, more]}), tmp_path / "mix")
    assert (report.parts[0].n_rows, report.parts[0].n_left_out) == (50, report.parts[0].n_built - 50)
    assert report.parts[1].n_left_out == 0
    places = {row.id: place for place, row in enumerate(rows(tmp_path / "mix" / "parts" / "few"))}
    taken = [places[row.id] for row in rows(tmp_path / "mix") if row.source == "procedural"]
    # 25 of 50 expected in the first half; five standard deviations are 16
    assert 9 <= sum(place < 150 for place in taken) <= 41


def test_a_killed_build_goes_on_without_building_finished_parts_again(
    config: MixConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_mix(config, tmp_path / "straight")
    calls = ["_build_part"] * 3 + ["_scatter"] * 3 + ["_gather"] * 9
    stop_before = random.Random(0).sample(range(1, len(calls)), 3)
    for stop in sorted(stop_before):
        with monkeypatch.context() as patched:
            name, n_before = calls[stop], calls[:stop].count(calls[stop])
            patched.setattr(mix, name, killed_after(getattr(mix, name), n_before))
            with pytest.raises(KeyboardInterrupt):
                build_mix(config, tmp_path / "mix", resume=(tmp_path / "mix").exists())
        assert not (tmp_path / "mix" / MANIFEST).exists()
    shards = {path: path.stat().st_mtime_ns for path in (tmp_path / "mix" / "parts" / "procedural").rglob("*.parquet")}
    report = build_mix(config, tmp_path / "mix", resume=True)
    assert shards == {path: path.stat().st_mtime_ns for path in shards} and shards
    assert hashes(tmp_path / "mix") == hashes(tmp_path / "straight")
    assert not list((tmp_path / "mix").glob(".*"))
    assert build_mix(config, tmp_path / "mix", resume=True) == report, "a finished one is left as it is"


def killed_after(function: Any, n_calls: int) -> Any:
    made = []

    def call(*args: Any, **kwargs: Any) -> Any:
        if len(made) == n_calls:
            raise KeyboardInterrupt
        made.append(None)
        return function(*args, **kwargs)

    return call


@pytest.mark.parametrize(
    ("part", "complaint"),
    [
        ({"source": "procedurral"}, "did you mean 'procedural'"),
        ({"source": "procedural-problems"}, "gives Problem records, not labelled solutions"),
        ({"source": "procedural", "options": {"colour": 1}}, "part 'procedural': unknown key 'colour'"),
        ({"source": "procedural", "input": "math_shepherd.jsonl"}, "leave out input and hub"),
        ({"source": "prm800k"}, "needs input or hub"),
        ({"source": "prm800k", "input": "missing.jsonl"}, "missing.jsonl does not exist; data_root is"),
    ],
)
def test_a_part_that_cannot_be_built_is_refused_at_once(
    part: dict[str, Any], complaint: str, fixture_rows: Path, tmp_path: Path
) -> None:
    config = MixConfig.model_validate({"data_root": fixture_rows, "parts": [WORDS, part]})
    with pytest.raises((ConfigError, DataError), match=complaint):
        build_mix(config, tmp_path / "mix")
    assert not (tmp_path / "mix").exists()


@pytest.mark.parametrize(
    "parts",
    [[], [PROCEDURAL, PROCEDURAL], [{**WORDS, "name": "../up"}], [{**IMPORTED, "hub": "a/b"}], [{**WORDS, "n_max": 0}]],
)
def test_what_makes_no_mix_is_refused(parts: list[dict[str, Any]]) -> None:
    with pytest.raises(ValidationError):
        MixConfig.model_validate({"parts": parts})


def test_a_part_that_fails_leaves_the_finished_ones(fixture_rows: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.jsonl").write_text('{"nothing": 1}\n')
    parts = [PROCEDURAL, {"source": "prm800k", "input": "broken.jsonl"}]
    config = MixConfig.model_validate({"data_root": tmp_path, "parts": parts})
    with pytest.raises(DataError, match="no row was accepted"):
        build_mix(config, tmp_path / "mix")
    assert len(rows(tmp_path / "mix" / "parts" / "procedural")) > 250


def test_a_run_that_failed_at_once_is_begun_anew_with_other_settings(tmp_path: Path) -> None:
    (tmp_path / "broken.jsonl").write_text('{"nothing": 1}\n')
    broken = MixConfig.model_validate({"parts": [{"source": "prm800k", "input": str(tmp_path / "broken.jsonl")}]})
    with pytest.raises(DataError, match="no row was accepted"):
        build_mix(broken, tmp_path / "mix")
    assert build_mix(MixConfig.model_validate({"parts": [PROCEDURAL]}), tmp_path / "mix").n_rows > 250


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("mixed_*.yaml")), ids=lambda path: path.name)
def test_the_configurations_that_come_along_can_be_built(path: Path, real_data: Path, tmp_path: Path) -> None:
    config = load_config(MixConfig, path, overrides=[f"data_root={real_data}"])
    assert len([mix._job(part, config.data_root, tmp_path) for part in config.parts]) == len(config.parts)


def test_rejected_rows_of_a_part_are_counted(fixture_rows: Path, tmp_path: Path) -> None:
    config = MixConfig.model_validate({"data_root": fixture_rows, "parts": [IMPORTED]})
    report = build_mix(config, tmp_path / "mix")
    (part,) = report.parts
    manifest = read_json(tmp_path / "mix" / "parts" / part.name / MANIFEST)["report"]
    assert part.n_rejected == sum(manifest["rejected"].values()) > 0
    assert part.n_rows + part.n_duplicates + part.n_left_out + part.n_rejected == manifest["rows_read"]
