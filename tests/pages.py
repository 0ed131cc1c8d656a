"""The code of the pages: every fenced block of README and docs/, and small files under the names that it expects.

A block is run, or read by what would read it, or says in the source why not: `<!-- not run: needs a GPU -->` on the
line before it. `tests/test_pages.py` does that; `python -m tests.pages` counts it, a page a row.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

ROOT = Path(__file__).parents[1]
MADE = {"judgekit.md", "sgpo.md", "sources.md", "formats.md", "changelog.md", "architecture.md"}
"""Pages that scripts write: of the code's own words."""
TESTED_ALONE = {"docs/extending.md": "tests/examples/test_extending.py", "docs/files.md": "tests/test_files_page.py"}
"""Pages with a test of their own, which runs and reads all their blocks."""
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *(path for path in sorted((ROOT / "docs").rglob("*.md")) if path.name not in MADE),
]
FENCE = re.compile(
    r"(?:^[ ]*<!-- not run: (?P<mark>.+?) -->\n+)?^(?P<indent>[ ]*)```(?P<language>\w*)\n(?P<text>.*?)^[ ]*```$",
    re.DOTALL | re.MULTILINE,
)
Fate = Literal["run", "read", "marked"]


class Block(NamedTuple):
    """One fenced block."""

    page: str
    line: int
    language: str
    text: str
    mark: str | None
    """Why it is not run."""

    @property
    def fate(self) -> Fate:
        """`read`: rows and configurations, and commands that would take hours and have a dry run."""
        if self.mark is not None:
            return "marked"
        if self.language in {"json", "yaml", "text", "toml"}:
            return "read"
        planned = self.language == "" and all(words[:2] == ["sgpo", "compare"] for words in commands(self.text))
        return "read" if planned else "run"


def blocks(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page in its order."""
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start("indent")) + 1
        body = re.sub(f"^{found['indent']}", "", found["text"], flags=re.MULTILINE)
        yield Block(str(page.relative_to(ROOT)), line, found["language"], body, found["mark"])
    assert text.count("```") == 2 * len(FENCE.findall(text)), f"{page}: a fence that was not understood"


def commands(text: str) -> list[list[str]]:
    """Return the commands of a block as words, without comments and what is set for one command alone."""
    lines = [shlex.split(line, comments=True) for line in text.replace("\\\n", " ").splitlines()]
    return [[w for i, w in enumerate(words) if i or not re.match(r"[A-Z_]+=", w)] for words in lines if words]


if __name__ == "__main__":
    total: Counter[Fate] = Counter()
    print(f"{'page':34} {'blocks':>7} {'run':>5} {'read':>5} {'marked':>7}")
    for page in PAGES:
        count = Counter(block.fate for block in blocks(page))
        total += count
        if count:
            name = str(page.relative_to(ROOT))
            print(f"{name:34} {count.total():7} {count['run']:5} {count['read']:5} {count['marked']:7}")
    print(f"{'all':34} {total.total():7} {total['run']:5} {total['read']:5} {total['marked']:7}")
