"""What README and the index of results say was measured stands, to the digit, in the page that they name."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
LINK = re.compile(r"\[[^\]]*\]\(([^)#]+\.md)")
MINUS = str.maketrans("\u2212", "-")


def rows_of(page: Path, *, headings: tuple[str, ...]) -> list[str]:
    """Return the rows, with a link, of the tables below some headings."""
    text = page.read_text().translate(MINUS)
    parts = [part for part in re.split(r"^## ", text, flags=re.MULTILINE) if part.startswith(headings)]
    assert len(parts) == len(headings)
    return [line for part in parts for line in part.splitlines() if line.startswith("| ") and LINK.search(line)]


ROWS = [(ROOT / "README.md", row) for row in rows_of(ROOT / "README.md", headings=("What we measured",))]
ROWS += [
    (DOCS / "results/index.md", row) for row in rows_of(DOCS / "results/index.md", headings=("Judges", "Policies"))
]


@pytest.mark.parametrize(("page", "row"), ROWS, ids=[row[:60] for _, row in ROWS])
def test_a_figure_stands_in_its_page(page: Path, row: str) -> None:
    named = [(page.parent / link).resolve() for link in LINK.findall(row)]
    texts = "".join(path.read_text().translate(MINUS) for path in named)
    # Names of models hold figures that nobody measured here.
    figures = re.findall(r"(?<![\w.])[+-]?\d+\.\d+(?!\w)", re.sub(r"`[^`]*`|Qwen[\w.-]*|\d\.\d M\b", "", row))
    missing = [figure for figure in figures if not re.search(rf"(?<!\d){re.escape(figure.lstrip('+'))}(?!\d)", texts)]
    assert not missing, f"{page.name}: {missing} in none of {[path.name for path in named]}"


def test_every_page_of_results_is_in_the_index() -> None:
    index = (DOCS / "results" / "index.md").read_text()
    for path in (DOCS / "results").glob("*.md"):
        assert path.stem == "index" or f"({path.name})" in index, path.name


def test_the_code_of_concepts_prints_what_it_says() -> None:
    [code] = re.findall(r"```python\n(.*?)```", (DOCS / "concepts.md").read_text(), re.DOTALL)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(code, "concepts.md", "exec"), {})
    told = re.findall(r"^print\(.*\)  # (.+)$", code, re.MULTILINE)
    assert len(told) == len(said.getvalue().splitlines()) == 4
    for comment, printed in zip(told, said.getvalue().splitlines(), strict=True):
        assert comment.startswith(printed)
