"""The page of the quick start, of small outputs of real stages."""

from __future__ import annotations

import html
import importlib
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from judgekit import build, calibrate, evaluate, split, train
from judgekit.calibration.card import CalibrationReport, Fingerprint, IdentityCard, TemperatureCard
from judgekit.cli import main as judgekit_main
from judgekit.io import read_json
from judgekit.run import Run
from sgpo.compare.report import write_report
from tests.sgpo.compare.samples import write_runs

ROOT = Path(__file__).parents[2]
UNCALIBRATED = ("calibration", "calibrator", "conformal")
TASK: dict[str, Any] = {"max_value": 10, "min_steps": 3, "max_steps": 3}
TRAINING: dict[str, Any] = {
    "preset": {"hidden_size": 32, "n_layers": 2, "n_heads": 2, "vocab_size": 300},
    "bf16": False,
}


@pytest.fixture(scope="module")
def summary() -> Iterator[Any]:
    """The module, with its folder on the path as where it is run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "examples/quickstart"))
        yield importlib.import_module("summary")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quick start in small: every stage but the training of policies, whose runs are scripted."""
    here = tmp_path_factory.mktemp("runs") / "quick start"
    data = here / "data"
    build("procedural", output=data / "all", n=300, seed=1, **TASK)
    split(data / "all", {data / "train": 0.4, data / "calibration": 0.3, data / "test": 0.3})
    build("procedural-problems", output=data / "problems", n=40, seed=2, **TASK)
    split(data / "problems", {data / "rl-train": 0.5, data / "rl-test": 0.5})
    model = train("language_model", output=here / "base", data=data / "train", max_steps=12, log_every=4, **TRAINING)
    (here / "judge_base").symlink_to(here / "base")
    train("language_model", output=here / "policy", data=data / "train", max_steps=4, log_every=2, **TRAINING)
    judge = train("likelihood", output=here / "judge", model=str(model), data=[str(data / "train")], judge_id="small")
    calibrate(judge, data / "calibration", dtype="float32")
    evaluate([judge], {"procedural": data / "test"}, output=here / "eval", dtype="float32", n_resamples=100)
    run = Run(here / "compare", {"arms": ["grpo", "sgpo", "random"]})
    write_report(run.output, write_runs(run.output), reference="grpo", n_steps=40)
    run.finish({})
    return here


@pytest.fixture(scope="module")
def page(summary: Any, folder: Path) -> Path:
    file = folder / "report.html"
    summary.write_summary(folder, file)
    return file


def text_of(page: Path) -> str:
    """The page's words, without its style."""
    body = page.read_text(encoding="utf-8").partition("<body>")[2]
    return re.sub(r"\s+", " ", html.unescape(re.sub("<[^>]+>", " ", body)))


def test_the_page_begins_with_judged_solutions_and_the_curve(folder: Path, page: Path) -> None:
    source, text = page.read_text(encoding="utf-8"), text_of(page)
    titles = re.findall("<h[23]>([^<]+)</h[23]>", source)
    assert titles[:3] == ["What the judge says", "A wrong solution", "A right solution"]
    assert titles.index("SGPO against GRPO and a judge that answers at random") <= 4
    assert "◆ true first error" in text and re.search(r"step 0 P\(ok\) [01]\.\d{3}", text)
    assert re.search('<li class="step (wrong|right) shade-', source)
    assert source.count('<polygon class="band"') >= 3 and "Student's 95 % interval" in text
    finding = read_json(folder / "compare/compare.json")["arms"]["sgpo"]["finding"]
    assert "the interval includes 0" in finding and finding in text
    assert titles[-3:] == ["What it was made of", "How the models trained", "What to do next"]
    assert "grpo asks no judge" in text and "random is grpo and asks no judge" in text  # as these runs have it


def test_the_page_says_how_it_came_about_and_nothing_as_python_prints_it(page: Path) -> None:
    text = text_of(page)
    assert re.search(r"Finished \d{4}-\d\d-\d\d \d\d:\d\d UTC by make quickstart with sgpo [\d.]+", text)
    assert "seeds of the comparison: 0, 1" in text and re.search(r"Machine time: base \d+ s", text)
    assert "in rounds of 50 steps" in text  # points of four steps are of solutions of like length
    for unwanted in ("{'", "NoneType", "None", "LabelledSolution", "Html(", "nan", "[]"):
        assert unwanted not in text
    long = re.findall(r"\d\.\d{5,}", text)
    assert not long


def test_its_links_lead_to_files(page: Path) -> None:
    links = re.findall('href="([^"]+)"', page.read_text(encoding="utf-8"))
    assert {"eval/report.html", "compare/compare.html"} <= {target.partition("#")[0] for target in links}
    for target in links:
        assert (page.parent / unquote(target.partition("#")[0])).is_file(), target


def test_the_command_that_judges_does(page: Path) -> None:
    [command] = re.findall("<code>(judgekit judge [^<]+)</code>", page.read_text(encoding="utf-8"))
    assert judgekit_main(shlex.split(html.unescape(command))[1:]) == 0
    assert (page.parent / "judged/judgements.jsonl").is_file()


def test_a_folder_half_finished_names_the_stage_and_its_command(summary: Any, tmp_path: Path, capsys: Any) -> None:
    known = [stage.command.replace("runs/quickstart", str(tmp_path)) for stage in summary.STAGES]
    for name, last in summary.MADE.items():  # in the order in which stages make them
        assert summary.main([str(tmp_path)]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"error: {tmp_path / name / last} is missing: `make quickstart` goes on from there")
        command = said.strip().partition(" or run ")[2]
        assert command in known and str(tmp_path / name) in command
        (tmp_path / name / last).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name / last).touch()


def test_a_judge_without_calibration_is_refused(summary: Any, folder: Path, tmp_path: Path, capsys: Any) -> None:
    shutil.copytree(folder, tmp_path / "run")
    card = tmp_path / "run/judge/judge/judge.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | dict.fromkeys(UNCALIBRATED)))
    assert summary.main([str(tmp_path / "run")]) == 2
    assert "is not calibrated: " in (said := capsys.readouterr().err) and "or run judgekit calibrate --judge" in said


def test_the_command_prints_a_headline_with_intervals_and_the_page(summary: Any, folder: Path, capsys: Any) -> None:
    assert summary.main([str(folder)]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^first-error F1 of the judge on held-out problems: \d+\.\d \[", said)
    assert "the interval includes 0" in said and said.endswith(f"\nthe page: {folder}/report.html\n")


def test_a_comparison_of_an_earlier_release_is_refused(summary: Any, folder: Path, tmp_path: Path) -> None:
    for stage in folder.iterdir():
        if stage.is_dir() and stage.name != "compare":
            (tmp_path / stage.name).symlink_to(stage)
    (tmp_path / "compare").mkdir()
    (tmp_path / "compare/compare.json").write_text('{"reference": "grpo", "arms": {}}')
    with pytest.raises(Exception, match=r"of an earlier release, .*or run sgpo compare .* --resume"):
        summary.write_summary(tmp_path, tmp_path / "report.html")


@pytest.mark.parametrize(
    ("name", "content"),
    [("eval/judges/*/*/predictions.parquet", None), ("eval/judges/*/*/predictions.parquet", b"PAR1"),
     ("data/rl-train/manifest.json", b"{}"), ("compare/manifest.json", b"null")],
)  # fmt: skip
def test_damaged_files_are_told_in_one_line(
    summary: Any, folder: Path, tmp_path: Path, capsys: Any, name: str, content: bytes | None
) -> None:
    shutil.copytree(folder, tmp_path / "q", symlinks=True)
    [path] = (tmp_path / "q").glob(name)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert summary.main([str(tmp_path / "q")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and "damaged" in line and str(tmp_path / "q") in line


def test_words_say_what_calibration_did_also_where_it_harms(summary: Any) -> None:
    before, worse = {"ece": 0.02, "nll": 0.1}, {"ece": 0.01, "nll": 0.2}
    bins = ({"lo": 0.0, "hi": 1.0, "count": 4, "mean_prob": 0.9, "frac_ok": 0.75},)
    report = CalibrationReport(before=before, after=worse, bins_before=bins, bins_after=bins, n_steps=4)
    data = Fingerprint(data="d", sha256="0", n_solutions=1, n_problems=1, sources=(), generators=())
    said = summary.describe_change(report, TemperatureCard(temperature=2.0, fingerprint=data))
    assert "a mean probability of 0.900 where 0.750 are right" in said
    assert "calibration error (ECE) falls from 0.0200 to 0.0100" in said
    assert "log loss of a step (nats) rises from 0.1000 to 0.2000" in said
    assert "stay as the model gives them" in summary.describe_change(report, IdentityCard(fingerprint=data))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_the_page_fits_its_window(browser: Any, page: Path, width: int, scheme: str) -> None:
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    driver = browser.open(page, width=width)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    # Nothing but a table that says so may be wider than its place.
    cut = driver.execute_script(
        "return [...document.querySelectorAll('body *')].filter((e) => !e.closest('svg, .scroll')"
        " && e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== 'inline').map((e) => e.outerHTML)"
    )
    assert cut == []
    stripe = driver.execute_script("return getComputedStyle(document.querySelector('.stripe')).backgroundColor")
    assert re.fullmatch(r"rgba?\((213, 94, 0|0, 114, 178).*\)", stripe)
    assert browser.requests() == [page.as_uri()] and browser.messages() == []
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
