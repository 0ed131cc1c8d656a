"""The short scripts of examples/: each runs as its docstring says."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
ROWS = [
    {
        "problem": f"{n}+3-1?",
        "steps": [f"{n}+3={n + 3 + wrong}", f"{n + 3 + wrong}-1={n + 2 + wrong}"],
        "labels": ["error" if wrong else "ok", "ok"],
        "source": "sums",
    }
    for n in range(6)
    for wrong in (0, 1)
]


@pytest.fixture
def rows(tmp_path: Path) -> str:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return str(tmp_path / "rows.jsonl")


def run(script: str, *arguments: str) -> None:
    runpy.run_path(str(EXAMPLES / script))["main"](*arguments)


def test_judge_to_html(rows: str, tmp_path: Path) -> None:
    run("judge_to_html.py", "builtin:symbolic", rows, str(tmp_path / "judged.html"))
    page = (tmp_path / "judged.html").read_text(encoding="utf-8")
    assert page.count("▶ judge&#x27;s first error") == page.count("◆ true first error") == 6
    assert "0+3=4" in page and "color: #" in page


def test_compare_judges(rows: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("compare_judges.py", "builtin:symbolic", "builtin:no-error", "sums", rows, str(tmp_path / "run"))
    said = capsys.readouterr().out
    assert "builtin:symbolic: pooled F1 100 [100, 100]" in said and "builtin:no-error: pooled F1 0 [0, 0]" in said
    assert re.search(r"difference \+100\.0 .*: significant", said)


def test_serve_and_query(capsys: pytest.CaptureFixture[str]) -> None:
    run("serve_and_query.py", "builtin:symbolic")
    assert capsys.readouterr().out == "builtin:symbolic says 0\n"


@pytest.mark.parametrize(
    ("response", "verdict"),
    [
        (r"The speed is \boxed{9.8} m/s", "right"),
        (r"\boxed{9.5}", "wrong"),
        (r"\boxed{9.81}", "right"),
        (r"\boxed{9^{9^{9^9}}}", "unchecked"),
    ],
)
def test_own_check(response: str, verdict: str, capsys: pytest.CaptureFixture[str]) -> None:
    run("own_check.py", response, "9.81")
    assert capsys.readouterr().out.strip() == verdict


def test_best_of_n(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    of_rows = (["I do not know.", "2+3=6\n\n6-1=5", "2+3=5\n\n5-1=4"], ["No idea.", "None."])
    lines = [json.dumps({"problem": "2+3-1?", "responses": responses}) + "\n" for responses in of_rows]
    (tmp_path / "responses.jsonl").write_text("".join(lines))
    run("best_of_n.py", "builtin:symbolic", str(tmp_path / "responses.jsonl"))
    chosen, unsaid = map(json.loads, capsys.readouterr().out.splitlines())
    assert chosen["best"] == "2+3=5\n\n5-1=4" and chosen["p_no_error"] > 0.5
    assert unsaid == {"problem": "2+3-1?", "best": "No idea.", "p_no_error": None}
