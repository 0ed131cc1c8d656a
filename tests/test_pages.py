"""The code of the pages runs as it stands: commands by the command line, Python block after block, on tiny files.

Each page has a folder of its own, in which what its commands name is laid before they run; see `tests/pages.py`.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import huggingface_hub
import pytest
import yaml

import judgekit.cli
import judgekit.hub
import sgpo.cli
from judgekit.cli.options import describe_options
from judgekit.config import load_config
from judgekit.io import read_records
from judgekit.judges.card import read_card
from judgekit.judges.recognise import find_card
from judgekit.types import LabelledSolution, Rollout
from judgekit_datasets.by_hand.work import Work
from sgpo.compare.config import CompareConfig
from sgpo.online.config import OnlineConfig
from tests.fake_hub import fake_hub
from tests.page_files import GIVEN, OF_PAGE, PRELUDE, PUT_RIGHT, Maker, judge, model
from tests.pages import MADE, PAGES, ROOT, TESTED_ALONE, Block, blocks, commands

MAINS: dict[str, Callable[[list[str]], int]] = {"judgekit": judgekit.cli.main, "sgpo": sgpo.cli.main}
TESTED = [path for path in PAGES if [*blocks(path)] and str(path.relative_to(ROOT)) not in TESTED_ALONE]

STUDIES = yaml.safe_load((ROOT / "configs/theory/figures.yaml").read_text())["studies"]
SMALL = {
    r"judgekit build procedural": ["n=160"],
    r"judgekit mix": [
        "workers=1",
        "parts=[{source: procedural, options: {n: 40}}, {source: injection, input: gsm8k/train.jsonl}, "
        "{source: prmbench, input: prmbench}]",
    ],
    r"judgekit pretrain": ["max_steps=2", "batch_size=4", "threads=1", "bf16=false"],
    r"judgekit train (kind=step_classifier|configs/judge/smollm2)": ["max_steps=1", "bf16=false", "threads=1"],
    r"judgekit (eval|best-of-n|attack|policy)": ["n_resamples=100"],
    r"judgekit attack": ["n_max=6"],
    r"judgekit bench": ["n_solutions=2", "rounds=1", "group_size=2", "bfloat16=false", "long_problem_tokens=20"],
    r"judgekit (rollouts|monte-carlo|policy)": ["generation.dtype=float32", "sampling.max_tokens=6"],
    r"judgekit rollouts": ["n_problems=4", "n_samples=2"],
    r"sgpo (online|offline)(?!.*--dry-run)": ["max_steps=1", "bf16=false"],
    r"sgpo online(?!.*--dry-run)": [
        *("group_size=2", "prompts_per_step=1", "micro_batch=2", "max_completion_length=6"),
    ],
    r"sgpo compare(?!.*--dry-run)": ["--dry-run"],
    r"sgpo theory": [f"studies.{name}.base.n_updates=2" for name in STUDIES] + ["studies.batches.n_runs=2"],
    r"python -m benchmarks.weak_labels": ["--draws", "1"],
}  # fmt: skip
"""What is put behind commands so that they take a second. Comparisons are counted and not run: a process a run."""


class Page:
    """What is run of one page: one folder, one space of names."""

    def __init__(
        self,
        name: str,
        lay: Callable[[Maker, Path], None],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.name, self.lay, self.monkeypatch, self.capsys = name, lay, monkeypatch, capsys
        self.names: dict[str, object] = {"__name__": "__main__"}
        self.server: subprocess.Popen[bytes] | None = None
        self.said: list[str] = []
        """What each block that ran has printed."""

    def give(self, text: str) -> None:
        """Lay what a text names and is not there: nothing behind `--output`, no side of a split."""
        for name, maker in (GIVEN | OF_PAGE.get(self.name, {})).items():
            named = re.search(rf"(?<!--output )(?<!--write )(?<![\w./:-]){re.escape(name)}(?![\w:/-]|=|\.\w)", text)
            if named and not Path(name).exists():
                self.lay(maker, Path(name))

    def run(self, words: list[str], *, status: int = 0) -> None:
        """Run one command."""
        program, *arguments = words
        files = [Path(word).read_text() for word in arguments if word.endswith(".yaml") and Path(word).is_file()]
        self.give(" ".join([*words, *(re.sub("#.*", "", text) for text in files)]))
        line = " ".join(words)
        small = [option for pattern, options in SMALL.items() if re.match(pattern, line) for option in options]
        if program == "python":
            is_module = arguments[0] == "-m"
            self.monkeypatch.setattr(sys, "argv", [*arguments[is_module:], *small])
            run = runpy.run_module if is_module else runpy.run_path
            run(arguments[1] if is_module else str(ROOT / arguments[0]), run_name="__main__")
        elif arguments[0] == "serve":  # until the page is done
            self.server = subprocess.Popen([sys.executable, "-m", "judgekit.cli", *arguments], stdout=subprocess.PIPE)
            assert self.server.stdout is not None and b"serving" in self.server.stdout.readline()
        else:
            assert MAINS[program]([*arguments, *small]) == status, line
        for name, maker in PUT_RIGHT.items():
            if f"--output {name}" in line:
                shutil.rmtree(name)
                self.lay(maker, Path(name))

    def python(self, block: Block) -> None:
        self.give(block.text)
        exec(PRELUDE.get(self.name, ""), self.names)
        exec(compile(block.text, block.page, "exec"), self.names)

    def read(self, block: Block) -> None:
        """Read a row by its schema, a configuration by its class, and what is shown beside what was said."""
        if block.language == "text":
            shown = ".*".join(re.escape(" ".join(part.split())) for part in block.text.split("..."))
            assert re.search(shown, " ".join(self.said[-1].split())), (block.text, self.said[-1])
        elif block.language == "json":
            row = json.loads(block.text)
            Path("block.jsonl").write_text(json.dumps(row))
            if "group_id" in row or "labels" in row:
                assert [*read_records(Path("block.jsonl"), Rollout if "group_id" in row else LabelledSolution)]
            else:
                assert {"prompt", "completion", "reward"} <= {*row}
        else:
            Path("block.yaml").write_text(block.text)
            data = yaml.safe_load(block.text)
            if "arms" in data:
                load_config(CompareConfig, Path("block.yaml"))
            elif {"model", "kind", "family"} & {*data}:
                self.give(block.text)
                find_card("block.yaml")
            else:
                load_config(OnlineConfig, Path("block.yaml"), fixed={"policy": "MODEL", "problems": "rows"})


def check_own_judge(page: Page) -> None:
    card = read_card(Path("runs/probe/judge"))
    assert card.reading is not None and {*card.reading.tests} == {"problems-shuffled", "numbers-changed"}
    assert card.calibration is not None and card.training["cross_fitted"]["f1"]["value"] > 0.8


def check_weak_labels(page: Page) -> None:
    assert "of which known: " in page.said[0] and "data/weak: 120 weak labels, weight " in page.said[1]
    assert read_card(Path("runs/probe/judge")).training["weak"]["data/weak"]["worth"]["value"] > 0
    assert read_card(Path("runs/judge/judge")).training["counts"]["weak_solutions"] == 120


def check_python(page: Page) -> None:
    said = [text.splitlines() for text in page.said]
    assert said[0][-1] == "0", "the first step is wrong"
    assert any("▶ judge's first error" in line for line in said[2])
    assert [line.split()[0] for line in said[3] if line.startswith(("judge ", "doubtful "))] == ["judge", "doubtful"]
    assert said[4] == ["right None", "wrong None", "unchecked huge"]
    assert Path("runs/eval/report.html").is_file()


def check_compare(page: Page) -> None:
    arms = yaml.safe_load((ROOT / "configs/sgpo/compare_algorithms.yaml").read_text())["arms"]
    assert f"{5 * len(arms)} runs, 0 of them finished." in page.said[0]
    assert "140 runs" in page.said[1] and "vppo_random60" in page.said[1]
    assert "12 runs" in page.said[2] and "sgpo_offline" in page.said[2]


CHECKS = {
    "docs/own_judge.md": check_own_judge,
    "docs/weak_labels.md": check_weak_labels,
    "docs/python.md": check_python,
    "docs/compare.md": check_compare,
}
"""What has come of a page's commands, beyond that they ended well."""


@pytest.fixture(scope="module")
def lay(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Maker, Path], None]:
    """Return a function that makes a file; models and judges are made once and copied."""
    kept: dict[Maker, Path] = {}

    def put(maker: Maker, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if maker not in {model, judge}:
            return maker(path)
        if maker not in kept:
            maker(folder := tmp_path_factory.mktemp("made") / path.name)
            kept[maker] = folder
        shutil.copytree(kept[maker], path)

    return put


@pytest.fixture
def page(
    request: pytest.FixtureRequest,
    lay: Callable[[Maker, Path], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Page]:
    """The page that the test is for, in its own folder; with a Hub, and a person who labels additions."""
    monkeypatch.chdir(tmp_path)
    os.symlink(ROOT / "configs", "configs")
    monkeypatch.setattr("judgekit_datasets.by_hand.page.serve_page", label_all)
    monkeypatch.setattr("judgekit_datasets.by_hand.terminal.label_in_terminal", label_all)
    with fake_hub() as server:
        api = huggingface_hub.HfApi(endpoint=server.address, token="hf_fake")
        monkeypatch.setattr(judgekit.hub, "HfApi", lambda: api)
        # What is downloaded lies here already.
        monkeypatch.setattr(
            huggingface_hub, "snapshot_download", lambda name, *, local_dir: shutil.copytree(name, local_dir)
        )
        page = Page(str(request.param.relative_to(ROOT)), lay, monkeypatch, capsys)
        yield page
        if page.server is not None:
            page.server.terminate()
            page.server.communicate()


def label_all(work: Work, **_: object) -> None:
    """Name the first sum that is wrong."""
    while (shown := work.session.shown()) is not None:
        sums = [re.fullmatch(r"(\d+)\+(\d+)=(\d+)", step) for step in shown.item.solution.steps]
        wrong = [i for i, m in enumerate(sums) if m is None or int(m[1]) + int(m[2]) != int(m[3])]
        work.session.decide("label", first_error=wrong[0] if wrong else None)


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")  # TRL's own use of transformers
@pytest.mark.parametrize("page", TESTED, indirect=True, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_code_of_a_page(page: Page) -> None:
    found = [*blocks(ROOT / page.name)]
    for number, block in enumerate(found):
        fails = any(then.language == "text" and then.text.startswith("error: ") for then in found[number + 1 :][:1])
        try:
            if block.fate == "marked":
                continue
            if block.language in {"json", "yaml", "text"}:
                page.read(block)
                continue
            if block.language == "python":
                page.python(block)
            else:
                for words in commands(block.text):
                    page.run(words, status=2 if fails else 0)
        except BaseException as error:
            said = page.capsys.readouterr()
            raise AssertionError(
                f"{block.page}:{block.line}: {error!r}\n{said.out[-2000:]}{said.err[-1000:]}"
            ) from error
        page.said.append("".join(page.capsys.readouterr()))
    CHECKS.get(page.name, lambda page: None)(page)


def test_marks_say_why_and_what_they_mark_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for block in (block for path in PAGES for block in blocks(path)):
        if block.mark is not None:
            assert len(block.mark) > 10, block
        for program, *arguments in commands(block.text) if block.language == "" else []:
            if program == "make":
                targets = [word for word in arguments if "=" not in word]
                assert all(f"\n{target}:" in makefile for target in targets), (block.page, block.line, targets)
            if program == "python" and arguments[0] != "-m":
                assert (ROOT / arguments[0]).is_file(), (block.page, block.line)


def test_the_reference_has_every_option_with_what_it_may_be_and_its_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    made = runpy.run_path(str(ROOT / "docs" / "make_reference.py"))
    n_options = 0
    for program, table in {"judgekit": judgekit.cli.COMMANDS, "sgpo": sgpo.cli.COMMANDS}.items():
        page = made["page"](program, "", table)
        for name in table.names():
            [part] = [text for text in page.split("\n## ") if text.startswith(f"{program} {name}\n")]
            said = " ".join(part.split())
            config = table.load(name).config
            types = [*config.values()] if isinstance(config, Mapping) else [config] if isinstance(config, type) else []
            for option in (option for each in types for option in describe_options(each) if option.key != "kind"):
                # A choice, `sampling.type=greedy`, has no value of its own.
                shown = f"{option.key}: {option.value}" if option.value else option.key
                assert shown in said and " ".join(option.description.split()) in said, (name, option.key)
                assert not option.default or f"default {option.default}" in said, (name, option.key)
                n_options += 1
    assert n_options > 1000


def slugs(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and the site make them."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    """Files and headings of this repository; other sites cannot be asked here, so theirs are checked by their form."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text(), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:", link):
            assert re.match(r"https://(arxiv\.org/abs/\d{4}\.\d{5}$|github\.com/|huggingface\.co/)", link), link
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if target.name not in MADE:
            assert target.exists(), link
            assert not anchor or anchor in slugs(target), link
    listed = (ROOT / "docs/papers.md").read_text() + (ROOT / "docs/algorithms.md").read_text()
    for number in re.findall(r"(?<![\d.])(\d{4}\.\d{5})(?![\d.])", text):
        assert 7 <= int(number[:2]) <= 26 and 1 <= int(number[2:4]) <= 12, number
        assert number in listed, f"arXiv {number} is in no list of papers"
