"""Whatever a row holds, it gives records that can be stored or a rejection in one line: nothing else comes out.

Rows of every importer and of every stored type are damaged at random places by values of wrong types, numbers without
bounds, half characters and deep nesting. Seeded, so that a failure comes again.
"""

from __future__ import annotations

import copy
import datetime
import json
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from judgekit.errors import ConfigError, DataError
from judgekit.io import parquet_schema, parse_record
from judgekit.rejections import REJECTED
from judgekit.types import LabelledSolution, Problem, Record, Rollout, Solution
from judgekit_datasets.build import _outcomes, build
from judgekit_datasets.inputs import InputPart
from judgekit_datasets.registry import IMPORTERS, load_source

FIXTURES = {
    "bigbench-mistake": "multistep_arithmetic",
    "injection": "worked_solutions",
    "labelled": "stepwise_supervision",
    "prm800k": "phase1_train",
    "relabel": "groups",
}
N_ROWS = 200
OURS: dict[type[Record], dict[str, Any]] = {
    Problem: {"problem_id": "p", "problem": "2+3?", "answer": "5", "source": "mine"},
    Solution: {"problem": "2+3?", "steps": ["5"], "reference": "5"},
    LabelledSolution: {
        "problem": "2+3?", "steps": ["6", "5"], "labels": ["error", "ok"], "source": "mine", "label_method": "human",
        "n_success": [0, 1], "n_rollouts": [4, 4], "final_answer_correct": True, "subset": None, "licence": "MIT",
    },
    Rollout: {
        "group_id": "g", "sample": 0, "problem": "2+3?", "prompt": "2+3?", "response": "5", "steps": ["5"],
        "step_start": [0], "step_end": [1], "outcome": 1.0, "source": "mine", "truncated": False, "answer": "5",
        "behaviour_logprobs": [-0.5], "behaviour_token_ids": [7],
    },
}  # fmt: skip


def nested(depth: int) -> Any:
    value: Any = "x"
    for number in range(depth):
        value = [value] if number % 2 else {"text": value, "steps": [value] if depth < 9 else 1}
    return value


HOSTILE: list[Any] = [
    None, True, False, 0, 1, -1, 2, 5, 2**63, -(2**63) - 1, 10**400, 0.5, 1e308, float("nan"), float("inf"), "", " ",
    "\n", "x", "0", "-1", "N/A", "{[1]: 2}", "[[1]]", "[" * 500, "ки", "Step 1:", "\ud800", "a\udfffb", "\x00", "ok",
    "9" * 5000, [], {}, [None], [[]], [1], ["a"], [True], [{}], ["\ud800"], [float("nan")], {"a": 1}, {"text": 5},
    ["a"] * 50, {"completions": 5}, lambda: nested(6), lambda: nested(988),
]  # fmt: skip
"""Values that JSON can spell; a function makes one that is too deep to be copied."""
NOT_JSON: list[Any] = [
    b"\xff", datetime.date(9999, 1, 1), datetime.datetime.max, {1: 2}, (1, 2), {3, 4}, lambda: nested(5_000),
]  # fmt: skip
"""Values that only tables hold, or nothing."""


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if len(path) > 9:
        return  # within what was put in
    for key, item in inner:
        yield (*path, key)
        yield from places(item, (*path, key))


def damaged(row: dict[str, Any], rng: random.Random, values: list[Any]) -> dict[str, Any]:
    row = copy.deepcopy(row)
    for _ in range(rng.choice((1, 1, 2, 4))):
        found = list(places(row))
        if not found:
            break
        *path, key = rng.choice(found)
        parent: Any = row
        for part in path:
            parent = parent[part]
        choice = rng.random()
        if choice < 0.1:
            del parent[key]
        elif choice < 0.2 and isinstance(parent, list):
            parent.extend(parent[:1] * 3)
        else:
            value = rng.choice(values)
            parent[key] = value() if callable(value) else copy.deepcopy(value)
    return row


def rows_of(name: str, folder: Path) -> list[dict[str, Any]]:
    file = folder / f"{FIXTURES.get(name, name.replace('-', '_'))}.jsonl"
    rows = []
    for line in file.read_text("utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    good = [row for row in rows if isinstance(row, dict) and row]
    if name == "labelled":
        renamed = [{"problem": r.get("prompt"), "steps": r.get("completions"), "labels": r.get("labels")} for r in good]
        return [OURS[LabelledSolution], *renamed]
    return good


@pytest.mark.parametrize("name", sorted(IMPORTERS))
def test_an_importer_gives_records_that_can_be_stored_or_a_rejection(name: str, fixture_rows: Path) -> None:
    source, rng = load_source(name), random.Random(name)
    options = source.config_type()
    if name == "labelled":
        options = source.config_type(label_form="one_is_ok", source="mine")
    if name == "bigbench-mistake":
        options = source.config_type(task="multistep_arithmetic")
    part = InputPart("rows.jsonl", "rows", "0", lambda: iter(()))
    rows, n_kept, n_rejected, kept = rows_of(name, fixture_rows), 0, 0, []
    for number in range(N_ROWS):
        row = damaged(rng.choice(rows), rng, HOSTILE + NOT_JSON)
        try:
            (outcome,) = _outcomes(source, options, [part._replace(rows=partial(iter, [(number, row)]))])
        except ConfigError as error:
            assert "\n" not in str(error) and len(str(error)) < 1000  # an option is asked for
            continue
        if outcome.rejection is not None:
            assert len(str(outcome.rejection)) < 1000
            n_rejected += 1
        else:
            kept += [record.model_dump(mode="json") for record in outcome.records]
            n_kept += 1
    assert n_kept + n_rejected > 0 and n_rejected > 0
    stored = pl.DataFrame(kept, schema=parquet_schema(source.record_type))
    assert stored.height == len(kept)
    json.dumps(kept, allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize("record_type", OURS, ids=lambda record_type: record_type.__name__)
def test_a_stored_row_is_a_record_that_can_be_stored_or_one_line(record_type: type[Record]) -> None:
    rng, kept = random.Random(record_type.__name__), []
    for number in range(3 * N_ROWS):
        row = damaged(OURS[record_type], rng, HOSTILE + NOT_JSON)
        try:
            record = parse_record(row, record_type, where=f"rows.jsonl, row {number}")
        except DataError as error:
            assert str(error).startswith(f"rows.jsonl, row {number}: ")
            assert "\n" not in str(error) and len(str(error)) < 500
        else:
            kept.append(record.model_dump(mode="json"))
    assert 0 < len(kept) < 3 * N_ROWS
    assert pl.DataFrame(kept, schema=parquet_schema(record_type)).height == len(kept)
    json.dumps(kept, allow_nan=False, ensure_ascii=False).encode()


def test_a_build_writes_down_every_row_it_rejects(fixture_rows: Path, tmp_path: Path) -> None:
    rng, rows = random.Random(0), rows_of("prm800k", fixture_rows)
    lines = [json.dumps(damaged(rng.choice(rows), rng, HOSTILE[:-1])) for _ in range(N_ROWS)]
    lines += ["[" * 5000, '{"a":' * 5000, "9" * 5000, '{"question": ' + "9" * 5000 + "}", "\x00", json.dumps(rows[0])]
    lines += ['{"question": ' + "[" * 985 + "]" * 985 + "}"]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines) + "\n")
    report = build("prm800k", input=tmp_path / "rows.jsonl", output=tmp_path / "built")
    entries = [json.loads(line) for line in (tmp_path / "built" / REJECTED).read_text("utf-8").splitlines()]
    n_partly = sum(entry["reason"] == "duplicate in part" for entry in entries)
    assert report.rows_read == len(lines) and len(entries) - n_partly == report.rows_rejected
    assert all(len(entry["reason"]) < 100 and len(entry["detail"]) < 1000 for entry in entries)
