"""The page of the quick start, of small outputs of real stages."""

from __future__ import annotations

import html
import re
import runpy
import shlex
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
SUMMARY = runpy.run_path(str(ROOT / "examples/quickstart/summary.py"))
TASK: dict[str, Any] = {"max_value": 10, "min_steps": 3, "max_steps": 3}
TRAINING: dict[str, Any] = {
    "preset": {"hidden_size": 32, "n_layers": 2, "n_heads": 2, "vocab_size": 300},
    "bf16": False,
}


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
    train("language_model", output=here / "policy", data=data / "train", max_steps=4, log_every=2, **TRAINING)
    judge = train("likelihood", output=here / "judge", model=str(model), data=[str(data / "train")], judge_id="small")
    calibrate(judge, data / "calibration", dtype="float32")
    evaluate([judge], {"procedural": data / "test"}, output=here / "eval", dtype="float32", n_resamples=100)
    run = Run(here / "compare", {"arms": ["grpo", "sgpo", "random"]})
    write_report(run.output, write_runs(run.output), reference="grpo", n_steps=40)
    run.finish({})
    return here


@pytest.fixture(scope="module")
def page(folder: Path) -> Path:
    file = folder / "report.html"
    SUMMARY["write_summary"](folder, file)
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


def test_a_folder_half_finished_names_the_stage_and_its_command(tmp_path: Path, capsys: Any) -> None:
    assert SUMMARY["main"]([str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {tmp_path}/data/all/manifest.json is missing") and said.count("\n") == 1
    assert f"judgekit build procedural configs/quickstart/judge_data.yaml --output {tmp_path}/data/all" in said
    typed = [stage.command for stage in runpy.run_path(str(ROOT / "examples/quickstart/stages.py"))["STAGES"]]
    for command in SUMMARY["STAGES"].values():
        assert any(line.startswith(command.format("runs/quickstart")) for line in typed)


def test_the_command_prints_a_headline_with_intervals_and_the_page(folder: Path, capsys: Any) -> None:
    assert SUMMARY["main"]([str(folder)]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^first-error F1 of the judge on held-out problems: \d+\.\d \[", said)
    assert "the interval includes 0" in said and said.endswith(f"\nthe page: {folder}/report.html\n")


def test_a_comparison_of_an_earlier_release_is_refused_with_the_way_out(folder: Path, tmp_path: Path) -> None:
    for stage in folder.iterdir():
        if stage.is_dir() and stage.name != "compare":
            (tmp_path / stage.name).symlink_to(stage)
    (tmp_path / "compare").mkdir()
    (tmp_path / "compare/compare.json").write_text('{"reference": "grpo", "arms": {}}')
    with pytest.raises(Exception, match=r"of an earlier release: .*Run sgpo compare .* --resume"):
        SUMMARY["write_summary"](tmp_path, tmp_path / "report.html")


def test_words_say_what_calibration_did_also_where_it_harms() -> None:
    before, worse = {"ece": 0.02, "nll": 0.1}, {"ece": 0.01, "nll": 0.2}
    bins = ({"lo": 0.0, "hi": 1.0, "count": 4, "mean_prob": 0.9, "frac_ok": 0.75},)
    report = CalibrationReport(before=before, after=worse, bins_before=bins, bins_after=bins, n_steps=4)
    data = Fingerprint(data="d", sha256="0", n_solutions=1, n_problems=1, sources=(), generators=())
    said = SUMMARY["describe_change"](report, TemperatureCard(temperature=2.0, fingerprint=data))
    assert "a mean probability of 0.900 where 0.750 are right" in said
    assert "calibration error (ECE) falls from 0.0200 to 0.0100" in said
    assert "log loss of a step (nats) rises from 0.1000 to 0.2000" in said
    assert "stay as the model gives them" in SUMMARY["describe_change"](report, IdentityCard(fingerprint=data))


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
