"""The `judgekit` command: help without heavy imports, and every bad input ends in one clear line."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

import sgpo.cli
from judgekit import cli
from judgekit.cli import main
from judgekit.cli.command import settings_config
from judgekit.errors import CheckpointError, ConfigError, DataError, JudgeError
from judgekit.io import read_records
from judgekit.judges.builtin import BUILTIN
from judgekit.judges.card import KINDS
from judgekit.judges.recognise import families
from judgekit.training.config import ClassifierConfig
from judgekit.types import LabelledSolution
from judgekit.version import VERSION
from judgekit_datasets.registry import SOURCES
from judgekit_eval.judges.benchmarks import BENCHMARKS
from sgpo.algorithms.registry import ALGORITHMS

HELP_OF_EVERY_COMMAND = """
import contextlib, importlib, io, sys
module = importlib.import_module(sys.argv[1])
def help_of(*argv):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            assert module.main([*argv, "--help"]) == 0
        except SystemExit as end:
            assert not end.code
    return out.getvalue()
listed = help_of()
for name in module.COMMANDS.names():
    assert name in listed
    text, command = help_of(name), module.COMMANDS.load(name)
    assert text.startswith("usage: ") and f"example:\\n  {command.example}" in text, name
    types = command.config_types(command.parse("", sys.argv[2:])) if name == "build" else command.config_types(None)
    text = help_of(name, *sys.argv[2:]) if name == "build" else text
    for config in types.values():
        for key, field in config.model_fields.items():
            said = " ".join(field.description.split())
            assert key == "kind" or f"\\n  {key}: " in text and said in " ".join(text.split()), (name, key)
heavy = {"torch", "transformers", "polars", "datasets", "sklearn", "scipy", "numpy", "matplotlib"} & sys.modules.keys()
assert not heavy, heavy
"""
ROOT = Path(__file__).parents[1]
STEP = {"prompt": "What is 1 + 1?", "completions": ["1 + 1 = 2."], "labels": [True]}
BENCH = {
    "id": "gsm8k-0",
    "generator": "m",
    "problem": "1+1?",
    "steps": ["a", "b"],
    "final_answer_correct": True,
    "label": -1,
}


@pytest.fixture
def rows(tmp_path: Path) -> Callable[..., str]:
    """Return a function: rows, or raw text, to the path of a JSON-lines file."""

    def write(*items: object, name: str = "in.jsonl") -> str:
        lines = [item if isinstance(item, str) else json.dumps(item) for item in items]
        (tmp_path / name).write_text("".join(line + "\n" for line in lines))
        return str(tmp_path / name)

    return write


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that runs a command, demands its refusal in one line and returns that line."""

    def run(*argv: object) -> str:
        assert main([str(part) for part in argv]) == 2
        complaint = capsys.readouterr().err.strip().splitlines()[-1]
        assert complaint.startswith("error: ") and "Traceback" not in complaint
        return complaint

    return run


# Help and settings


@pytest.mark.parametrize("name", ["judgekit.cli", "sgpo.cli"])
def test_every_help_tells_all_options_without_heavy_imports(name: str) -> None:
    source = ["labelled", "--output", "out"]
    done = subprocess.run([sys.executable, "-c", HELP_OF_EVERY_COMMAND, name, *source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_command_that_is_written_down_can_be_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples of help, README, pages, Makefile and heads of YAML: parsed, and files read by their command's class."""
    monkeypatch.chdir(ROOT)
    programs = {"judgekit": cli.COMMANDS, "sgpo": sgpo.cli.COMMANDS}
    # What extending.md types needs the package that it installs, see tests/examples/test_extending.py.
    paths = [Path("README.md"), *(path for path in sorted(Path("docs").glob("*.md")) if path.stem != "extending")]
    pages = "\n".join(path.read_text() for path in paths)
    blocks = re.findall(r"^```\w*\n(.*?)^```", pages, re.DOTALL | re.MULTILINE)
    files = [
        re.sub(r"^#(?: Run:)? {2,}", "", path.read_text(), flags=re.MULTILINE)
        for path in sorted(Path("configs").rglob("*.yaml"))
    ]
    written = "\n".join([*blocks, *files, Path("Makefile").read_text().replace("\t$(BIN)/", "")])
    examples = [table.load(name).example for table in programs.values() for name in table.names()]
    lines = [line.strip() for line in written.replace("\\\n", " ").splitlines()] + examples
    found = [match for line in lines if (match := re.match(r"(?:[A-Z_]+=\S+ )*(judgekit|sgpo) (\S+) (.*)", line))]
    assert len(found) > 80 and {match[2] for match in found} == {name for t in programs.values() for name in t.names()}
    for program, name, rest in (match.groups() for match in found):
        bare = re.sub(r"'[^']*'|\"[^\"]*\"|\s#.*", "", rest)
        assert not re.search(r"[\[\]{}*?]", bare), f"zsh takes this for a pattern, write quotes: {rest}"
        command = programs[program].load(name)
        args = command.parse(f"{program} {name}", shlex.split(rest, comments=True))
        if "--reuse" not in rest:  # which reads the folders that it names
            assert command.config is None or command.read_config(args), rest


def test_an_unknown_command_names_the_nearest_and_the_known(refused: Callable[..., str]) -> None:
    complaint = refused("jugde")
    assert "unknown command 'jugde'; did you mean 'judge'?" in complaint
    assert all(name in complaint for name in cli.COMMANDS.names())


@pytest.mark.parametrize("program", [main, sgpo.cli.main])
def test_version_and_lists_of_names(program: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert program(["--version"]) == 0
    assert capsys.readouterr().out.endswith(f" {VERSION}\n")
    assert program(["list"]) == 0
    printed = capsys.readouterr().out
    registries = [KINDS, SOURCES, BENCHMARKS] if program is main else [ALGORITHMS]
    names = {name for registry in registries for name in registry.names()}
    if program is main:
        names |= families().keys() | {"builtin:symbolic"} | {f"builtin:{name}" for name in BUILTIN}
    assert {line.split()[0] for line in printed.splitlines() if re.match(r"  \S", line)} == names
    assert not re.search(r"^  \S+$", printed, re.MULTILINE)  # none without its sentence


def test_a_line_without_a_command_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "\n  build " in capsys.readouterr().err
    assert main(["help"]) == 0 and "\n  build " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "kind", "found"),
    [("train", "likelihood", "LikelihoodConfig"), ("train", None, "ClassifierConfig"), ("fit", None, "Likelihood")],
)
def test_a_configuration_says_what_train_makes(command: str, kind: str | None, found: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("model: base\ndata: [rows]\n" + (f"kind: {kind}\n" if kind else ""))
    chosen = cli.COMMANDS.load(command)
    args = chosen.parse(command, [str(tmp_path / "a.yaml"), "--output", "out"])
    assert type(chosen.read_config(args)).__name__.startswith(found)


def test_a_kind_that_is_not_made_here_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    output = ["--output", tmp_path / "out"]
    assert "kind 'critic' is not one of step_classifier, likelihood" in refused("train", "kind=critic", *output)
    assert "use `judgekit train`" in refused("fit", "kind=step_classifier", "model=m", "data=[d]", *output)


def test_settings_are_one_file_and_overrides(refused: Callable[..., str], tmp_path: Path) -> None:
    output = tmp_path / "out"
    assert "unknown key 'max_stepz'; did you mean 'max_steps'?" in refused(
        "build", "procedural", "max_stepz=3", "--output", output
    )
    assert "give one configuration file, not a.yaml, b.yaml" in refused(
        "build", "procedural", "a.yaml", "b.yaml", "--output", output
    )
    assert "cannot read the configuration" in refused("build", "procedural", tmp_path / "gone.yaml", "--output", output)
    assert "max_steps 3 is below min_steps 5" in refused(
        "build", "procedural", "min_steps=5", "max_steps=3", "--output", output
    )
    assert not output.exists()


@pytest.mark.parametrize("folder", ["lr=1e-5", "a/lr=1e-5/b=c", "plain"])
def test_a_path_of_a_configuration_may_hold_an_equals_sign(folder: str, tmp_path: Path) -> None:
    """Folders are often named after the options of a run."""
    file = tmp_path / folder / "train.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("model: base\ndata: [rows]\n")
    config = settings_config(ClassifierConfig, [str(file), "lr=1e-4"])
    assert config.model == "base" and config.lr == 1e-4
    with contextlib.chdir(tmp_path):
        assert settings_config(ClassifierConfig, [f"{folder}/train.yaml"]).model == "base"
    with pytest.raises(ConfigError, match=r"cannot read the configuration .*gone\.yaml"):
        settings_config(ClassifierConfig, [str(file.with_name("gone.yaml"))])


def test_a_file_named_like_an_option_does_not_stand_in_for_it(tmp_path: Path) -> None:
    with contextlib.chdir(tmp_path):
        Path("lr=1e-4").write_text("model: base\ndata: [rows]\n")
        config = settings_config(ClassifierConfig, ["lr=1e-4", "model=other", "data=[rows]"])
        assert (config.lr, config.model) == (1e-4, "other")
        Path("lr=1e-4").rename("lr=1e-4.yaml")
        assert settings_config(ClassifierConfig, ["lr=1e-4.yaml"]).model == "base"


def test_settings_may_follow_the_options(
    tmp_path: Path, refused: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["build", "procedural", "n=3", "--output", str(tmp_path / "out"), "n=5"]) == 0
    assert len(list(read_records(tmp_path / "out", LabelledSolution))) == 5
    for stray in ("--outptu", "-x"):
        with pytest.raises(SystemExit):
            main(["build", "procedural", "--output", str(tmp_path / "other"), stray])
        assert f"unrecognized arguments: {stray}" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["split", "data", "a=1", "--resume", "--sed=3"])


def test_the_precision_of_a_judge_is_checked(rows: Callable[..., str], refused: Callable[..., str]) -> None:
    data = rows({"problem": "1?", "steps": ["a"]})
    complaint = refused("judge", "dtype=float8", "--judge", "builtin:random", "--input", data, "--output", "never")
    assert "dtype" in complaint and "bfloat16" in complaint


@pytest.mark.parametrize("command", ["train", "pretrain", "fit"])
def test_unknown_training_keys_name_the_nearest(command: str, refused: Callable[..., str], tmp_path: Path) -> None:
    complaint = refused(command, "model=x", "data=[y]", "learnig=1", "weight_decai=1", "--output", tmp_path / "out")
    assert "unknown key" in complaint and "did you mean" in complaint
    assert not (tmp_path / "out").exists()


# Build


def test_a_build_counts_and_keeps_what_it_rejects(rows: Callable[..., str], tmp_path: Path) -> None:
    given = rows(
        STEP,
        '{"prompt": ',
        {key: value for key, value in STEP.items() if key != "labels"},
        STEP | {"prompt": "Empty?", "completions": [], "labels": []},
    )
    output = tmp_path / "out"
    assert main(["build", "stepwise-supervision", "--input", given, "--output", str(output)]) == 0
    rejected = [json.loads(line) for line in (output / "rejected.jsonl").read_text().splitlines()]
    assert [row["row"] for row in rejected] == [2, 3, 4]
    assert rejected[0]["reason"] == "malformed JSON"
    assert "labels" in rejected[1]["reason"]
    assert all(row["reason"] and "in.jsonl" in row["file"] for row in rejected)


def test_a_label_beyond_the_last_step_is_rejected_by_row(rows: Callable[..., str], tmp_path: Path) -> None:
    output = tmp_path / "out"
    given = rows(BENCH, BENCH | {"id": "gsm8k-1", "label": 2}, BENCH | {"id": "gsm8k-2", "label": 1})
    assert main(["build", "processbench", "--input", given, "--output", str(output)]) == 0
    (rejected,) = [json.loads(line) for line in (output / "rejected.jsonl").read_text().splitlines()]
    assert rejected["row"] == 2
    assert "2" in rejected["detail"]
    assert json.loads((output / "manifest.json").read_text())["n_rows"] == 2


def test_inputs_without_a_usable_row_are_refused(
    rows: Callable[..., str], refused: Callable[..., str], tmp_path: Path
) -> None:
    def build(source: str, given: object, output: str) -> str:
        return refused("build", source, "--input", given, "--output", tmp_path / output)

    assert "empty.jsonl is empty" in build("processbench", rows(name="empty.jsonl"), "a")
    assert "no row was accepted" in build("processbench", rows(BENCH | {"steps": []}), "b")
    assert "no row was accepted" in build("processbench", rows("not JSON"), "c")
    single = {"id": 1, "question": "Q", "steps": [["a"]], "labels": [True]}
    assert "group of fewer than two responses: 1" in build("groups", rows(single), "d")
    assert "unknown source 'procesbench'; did you mean 'processbench'" in build("procesbench", rows(BENCH), "e")
    assert "gone" in build("processbench", tmp_path / "gone.jsonl", "f")


def test_a_procedural_set_is_built_and_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(tmp_path / "all")
    assert main(["build", "procedural", "n=40", "--output", data]) == 0
    assert "40" in capsys.readouterr().out
    assert main(["build", "procedural", "n=40", "--output", data]) == 2, "the folder is in use"
    assert main(["build", "procedural", "n=40", "--output", data, "--resume"]) == 0
    capsys.readouterr()
    sides = [f"{tmp_path / 'a'}=0.75", f"{tmp_path / 'b'}=0.25"]
    assert main(["split", data, *sides]) == 0
    counts = [int(line.split()[-2]) for line in capsys.readouterr().out.splitlines()]
    assert sum(counts) == 40 and all(counts)


def test_a_split_side_without_a_fraction_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "write FOLDER=FRACTION" in refused("split", tmp_path, "train", "--seed", 1)


# Judges


def test_judge_directories_that_are_none_are_refused(
    rows: Callable[..., str], refused: Callable[..., str], tmp_path: Path
) -> None:
    card = {
        "kind": "step_classifier",
        "judge_id": "j",
        "base_model": "b",
        "model": "../gone",
        "input": {"separator_ids": [1], "problem_separator_ids": [], "max_tokens": 8},
    }
    for name, text in (("bare", None), ("cut", '{"kind": '), ("orphan", json.dumps(card))):
        (tmp_path / name).mkdir()
        if text is not None:
            (tmp_path / name / "judge.json").write_text(text)

    def judge(name: str) -> str:
        return refused("judge", "--judge", tmp_path / name, "--problem", "1+1?", "--step", "1+1=2")

    assert "bare has no judge.json, so it is not a judge directory" in judge("bare")
    assert "It has no model either" in judge("bare")
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    assert "no public family fits its name or its LlamaForCausalLM" in judge("plain")
    (tmp_path / "above/of/judge").mkdir(parents=True)
    (tmp_path / "above/of/judge/judge.json").write_text("{}")
    assert f"There are judges below it: {tmp_path / 'above/of/judge'}" in judge("above")
    assert "judge.json is not valid JSON" in judge("cut")
    assert "names the model '../gone'" in judge("orphan") and "does not exist" in judge("orphan")
    assert "does not exist and is not a Hub id" in judge("a/b/c")
    one = ("--problem", "1+1?", "--step", "1+1=2")
    assert "is called builtin:symbolic" in refused("judge", "--judge", "symbolic", *one)
    page = refused("judge", "--judge", "https://huggingface.co/owner/judge-7b/tree/main", *one)
    assert "is a page of the Hub, not a judge service: give its id, owner/judge-7b" in page
    for command in ("calibrate", "eval"):
        options = {
            "calibrate": ["--data", rows(BENCH)],
            "eval": ["--benchmark", "processbench", rows(BENCH)],
        }
        output = ["--output", tmp_path / command] if command == "eval" else []
        assert "has no judge.json" in refused(command, "--judge", tmp_path / "bare", *options[command], *output)


def test_one_solution_is_judged_and_shown(refused: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    judge = ["judge", "--judge", "builtin:first-step"]
    assert main([*judge, "--problem", "What is 2 + 3?", "--step", "2 + 3 = [6]", "--step", "So 6."]) == 0
    shown = capsys.readouterr().out
    assert "What is 2 + 3?" in shown and "2 + 3 = [6]" in shown and "builtin:first-step" in shown
    assert "give --step TEXT once for each" in refused(*judge, "--problem", "?")
    assert "give --input FILE, or --problem" in refused(*judge)


def test_a_file_is_judged_and_shown_without_a_folder_for_it(
    rows: Callable[..., str],
    refused: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "empty").mkdir()
    solutions = rows(*[{"problem": f"What is {n} + 3?", "steps": [f"{n} + 3 = {n + 3}"]} for n in range(5)])
    monkeypatch.chdir(tmp_path / "empty")
    assert main(["judge", "--judge", "builtin:symbolic", "--input", solutions]) == 0
    shown = capsys.readouterr().out
    assert all(f"What is {n} + 3?" in shown for n in range(5))
    assert "5 judged" in shown and "--output DIR" in shown and not list(Path().iterdir())
    assert "name it with --output DIR" in refused(
        "judge", "--judge", "builtin:symbolic", "--input", solutions, "--resume"
    )
    assert "unknown builtin judge 'best'" in refused(
        "judge", "--judge", "builtin:best", "--problem", "?", "--step", "a"
    )


def test_a_file_is_judged_and_bad_files_are_refused(
    rows: Callable[..., str], refused: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = [{"problem": f"{i}?", "steps": ["a", "b"]} for i in range(3)]
    output = tmp_path / "out"
    command = ["judge", "--judge", "builtin:random", "--output", str(output), "--input"]
    assert "row 4: malformed JSON" in refused(*command, rows(*good, "{"))
    assert "row 1: field 'problem' is missing" in refused(*command, rows({"steps": ["a"]}))
    assert "empty.jsonl is empty" in refused(*command, rows(name="empty.jsonl"))
    assert "gone.jsonl" in refused(*command, tmp_path / "gone.jsonl")
    assert not output.exists(), "a file that cannot be read takes no folder"
    without_steps = {"problem": "none?", "steps": []}
    assert main([*command, rows(*good, without_steps)]) == 0
    said = capsys.readouterr().out
    assert "4 judged, first errors by builtin:random: " in said and "1 without a verdict: row 4 (empty)" in said
    lines = [json.loads(line) for line in (output / "judgements.jsonl").read_text().splitlines()]
    assert [line["no_verdict"] for line in lines] == [None, None, None, "empty"]
    assert "already holds a run" in refused(*command, rows(*good, without_steps))


@pytest.mark.parametrize("name", ["a: b", "5", "[x", "a # b", "{z}", "${u}", "x=y", " a"])
def test_a_path_is_a_path_whatever_it_looks_like(
    name: str, rows: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows({"problem": "?", "steps": ["a"]}, name=f"{name}.jsonl")
    assert main(["judge", "--judge", "builtin:random", "--input", f"{name}.jsonl", "--output", "out"]) == 0
    assert json.loads((tmp_path / "out" / "config.json").read_text())["data"] == f"{name}.jsonl"


@pytest.mark.parametrize("kind", [ConfigError, DataError, CheckpointError, JudgeError])
def test_our_errors_become_one_line(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str], tmp_path: Path
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise kind("what, the value, the way out")

    monkeypatch.setattr("judgekit.judges.load_judge", fail)
    complaint = refused("judge", "--judge", "x", "--problem", "?", "--step", "a")
    assert complaint == "error: what, the value, the way out"


def test_an_interrupted_command_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("judgekit.judges.load_judge", interrupt)
    assert main(["judge", "--judge", "x", "--problem", "?", "--step", "a"]) == 130
    assert "--resume" in capsys.readouterr().err


def test_the_log_has_no_line_for_every_request_to_a_server(refused: Callable[..., str], tmp_path: Path) -> None:
    logging.getLogger(httpx2.__name__).setLevel(logging.NOTSET)
    refused("split", str(tmp_path / "missing"), f"{tmp_path / 'side'}=1")
    assert logging.getLogger(httpx2.__name__).level == logging.WARNING


def test_a_programming_error_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("judgekit.judges.load_judge", fail)
    with pytest.raises(ZeroDivisionError):
        main(["judge", "--judge", "x", "--problem", "?", "--step", "a"])
