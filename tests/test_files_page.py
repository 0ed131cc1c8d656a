"""The page about files: its rows are read by what reads them, and the page of formats names every field."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from judgekit.errors import DataError
from judgekit.io import read_records
from judgekit.judges.card import JudgeCard, parse_card
from judgekit.judges.recognise import make_card
from judgekit.rejections import Rejection
from judgekit.types import Judgement, LabelledSolution, Problem, Rollout, Solution, WeaklyLabelledSolution
from judgekit_datasets.labelling.pairs import PreferencePair
from judgekit_eval.results import Metric
from sgpo.compare.results import Comparison
from sgpo.guards import Firing
from sgpo.offline.credit import Credit
from sgpo.online.sampled import Sampled

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "files.md").read_text()
ROWS = re.findall(r"<!-- row: (\w+) -->\n```json\n(.*?)\n```", PAGE)
RECORDS = {
    r.__name__: r for r in (Solution, LabelledSolution, WeaklyLabelledSolution, Problem, Rollout, PreferencePair)
}
OTHERS: dict[str, type[BaseModel]] = {m.__name__: m for m in (Judgement, Rejection, Firing, Metric)}


def test_every_block_is_read_by_something() -> None:
    assert len(re.findall(r"^```json", PAGE, re.MULTILINE)) == len(ROWS) == 14
    assert {name for name, _ in ROWS} == {*RECORDS, *OTHERS, "metrics", "samples", "results"}


@pytest.mark.parametrize(("name", "row"), ROWS)
def test_a_row_is_read_and_one_with_a_field_too_many_is_not(name: str, row: str, tmp_path: Path) -> None:
    values = json.loads(row)
    if name in RECORDS:
        path = tmp_path / "rows.jsonl"
        path.write_text(f"{row}\n")
        [record] = read_records(path, RECORDS[name])
        assert record.model_dump(mode="json", exclude_unset=True).items() >= values.items()
        for extra, complaint in (({"colour": "red"}, "colour"), ({"schema_version": 9}, "schema_version 9")):
            path.write_text(json.dumps(values | extra))
            with pytest.raises(DataError, match=complaint):
                list(read_records(path, RECORDS[name]))
    elif name in OTHERS:
        assert OTHERS[name].model_validate(values).model_dump(mode="json", exclude_unset=True) == values
        with pytest.raises(ValueError, match="colour"):
            OTHERS[name].model_validate(values | {"colour": "red"})
    elif name == "samples":
        [sample] = Sampled(["p"], ["r"], [0.0], [0.1], [0.5], [None]).rows(step=1)
        assert values.keys() == sample.keys()
    elif name == "results":
        stored = (ROOT / "docs" / "results" / "algorithms.jsonl").read_text().splitlines()[0]
        assert values.keys() == json.loads(stored).keys()
    else:
        assert all(key == "step" or "/" in key for key in values)


def test_the_card_by_hand_is_read_and_that_of_version_1() -> None:
    [text] = re.findall(r"<!-- card -->\n```yaml\n(.*?)```", PAGE, re.DOTALL)
    card = make_card(yaml.safe_load(text), where="the page", judge_id="mine")
    stored = card.model_dump(mode="json")
    assert stored["schema_version"] == 2 and parse_card(stored, where="here") == card
    assert {"spec", "decision", "calibrator", "calibration", "conformal", "golden", "training", "metrics"} <= {*stored}
    side_by_side = yaml.safe_load(text) | {"schema_version": 1}
    assert parse_card(side_by_side, where="here") == card


def test_the_page_of_formats_has_every_field_and_every_link_leads_somewhere() -> None:
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    assert spec is not None and spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    page = maker.formats_page()
    headings = {line.removeprefix("### ").lower().replace(" ", "-") for line in page.splitlines() if line[:4] == "### "}
    links = {*re.findall(r"\]\(#([^)]+)\)", page), *re.findall(r"\(reference/formats\.md#([^)]+)\)", PAGE)}
    assert links <= headings and len(headings) > 80
    tables = dict(re.findall(r"^### (.+?)\n(.*?)(?=^##|\Z)", page, re.DOTALL | re.MULTILINE))
    for model in (*RECORDS.values(), *OTHERS.values(), JudgeCard, Credit, Comparison):
        rows = re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", tables[model.__name__], re.MULTILINE)
        assert [name for name, _ in rows] == [*model.model_fields]
        assert all(meaning for _, meaning in rows), f"{model.__name__}: a field without a sentence"
