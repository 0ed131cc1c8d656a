"""Policy evaluation from end to end: figures by hand, both conventions, a tiny real policy, kills, the command."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

import judgekit_eval.policy.evaluate as policy
from judgekit.cli import main
from judgekit.config import load_config
from judgekit.engines.generation.base import Completion
from judgekit.errors import ConfigError, DataError
from judgekit.io import checkpoint_files
from judgekit.run import Run
from judgekit.types import Problem
from judgekit_eval.policy.config import PolicyConfig
from judgekit_eval.policy.evaluate import choose_problems, evaluate_policy
from judgekit_eval.policy.schema import PolicyResults
from judgekit_eval.results import read_results
from tests.datasets_builders.labelling.scripted_generator import CUT, FAILED, ScriptedGenerator, stop
from tests.judgekit.samples import TEXTS, tiny_config

FIXTURES = Path(__file__).parents[2] / "fixtures"


def problem(number: int, answer: str = "5", source: str = "own") -> Problem:
    return Problem(problem_id=f"{source}{number}", problem=f"{source} {number}", answer=answer, source=source)


def settings(model: str = "m", **changes: Any) -> PolicyConfig:
    values = {"generation": {"type": "transformers", "model": model}, "prompt": {"type": "raw"}, "n_samples": 4}
    return PolicyConfig.model_validate(values | {"outcome": {"type": "last_number"}, "n_resamples": 200} | changes)


def evaluate(
    replies: Mapping[str, Sequence[Completion]],
    output: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    problems: Sequence[Problem] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Evaluate a policy that answers by heart."""
    generator = ScriptedGenerator(lambda prompt: replies[prompt.strip()])
    monkeypatch.setattr(policy, "build_generator", lambda config: generator)
    rows = [problem(1), problem(2), problem(3)] if problems is None else problems
    return evaluate_policy(rows, output=output, config=settings(**changes))


# Figures by hand


def test_avg_and_pass_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replies = {
        "own 1": stop("5", "4", "so 5", "6"),
        "own 2": stop("1", "2", "3", "4"),
        "own 3": stop("5", "5", "5", "5"),
    }
    metrics = evaluate(replies, tmp_path / "out", monkeypatch).by.benchmark["own"]
    for convention in ("counted_wrong", "left_out"):
        scores = metrics.scores[convention]
        assert list(scores) == ["avg@4", "pass@2", "pass@4"]
        assert scores["avg@4"].value == pytest.approx(100 * (2 + 0 + 4) / 12)
        assert scores["pass@2"].value == pytest.approx(100 * (5 / 6 + 0 + 1) / 3)
        assert scores["pass@4"].value == pytest.approx(100 * 2 / 3)
        assert scores["avg@4"].lo < scores["avg@4"].value < scores["avg@4"].hi
    assert (metrics.n_problems, metrics.n_samples, metrics.n_right, metrics.n_wrong) == (3, 12, 6, 6)


def test_what_is_neither_right_nor_wrong_shows_in_both_conventions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = r"\boxed{" + "x+" * 600 + "}"  # too long to be compared
    replies = {
        "own 1": [*stop("5"), CUT, *stop("4", "")],
        "own 2": [*stop("5"), FAILED, FAILED, *stop(long)],
        "own 3": [CUT, CUT, CUT, CUT],
    }
    outcome = {"type": "math_verify"}
    metrics = evaluate(replies, tmp_path / "out", monkeypatch, outcome=outcome).by.benchmark["own"]
    counts = {name: value for name, value in metrics.model_dump().items() if name.startswith("n_")}
    assert counts == {
        "n_problems": 3, "n_samples": 12, "n_right": 2, "n_wrong": 2, "n_truncated": 5, "n_uncheckable": 1,
        "n_failed": 2, "n_empty": 1, "n_truncated_right": 5, "n_tokens": 40,
    }  # fmt: skip
    parts = ("n_right", "n_wrong", "n_truncated", "n_uncheckable", "n_failed")
    assert sum(counts[name] for name in parts) == counts["n_samples"]
    wrong, out = metrics.scores["counted_wrong"], metrics.scores["left_out"]
    assert wrong["avg@4"].value == pytest.approx(100 * 2 / 12) and wrong["avg@4"].n_problems == 3
    assert out["avg@4"].value == pytest.approx(100 * (1 / 3 + 1) / 2), "of three and of one answer"
    assert out["avg@4"].n_problems == 2
    assert (out["pass@2"].value, out["pass@2"].n_problems) == (pytest.approx(100 * 2 / 3), 1)
    assert out["pass@4"].model_dump() == {"value": None, "lo": None, "hi": None, "n_problems": 0}
    table = (tmp_path / "out/policy.md").read_text()
    assert "| own | 3 | counted wrong | 16.7 [" in table and "(1) | none |" in table


def test_benchmarks_stand_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problems = [problem(1, source="a"), problem(1, source="b"), problem(2, source="a")]
    replies = {"a 1": stop("5", "5"), "a 2": stop("5", "5"), "b 1": stop("4", "4")}
    results = evaluate(replies, tmp_path / "out", monkeypatch, problems=problems, n_samples=2, chunk_size=1)
    found = {name: metrics.scores["left_out"]["avg@2"].value for name, metrics in results.by.benchmark.items()}
    assert found == {"a": 100.0, "b": 0.0}
    assert results.policy.prompt_rendered == "{problem}\n"
    assert results.settings["sampling"] == {"max_tokens": 2048, "temperature": 0.7, "top_p": 1.0}


def test_problems_are_chosen_evenly_and_come_once() -> None:
    problems = [problem(number) for number in range(10)] + [problem(0, source="other")]
    chosen = choose_problems(problems, 4)
    assert [row.problem for row in chosen["own"]] == ["own 0", "own 2", "own 5", "own 7"] and len(chosen["other"]) == 1
    with pytest.raises(DataError, match="holds the problem own1 2 times"):
        choose_problems([problem(1), problem(1)], None)
    with pytest.raises(DataError, match="no problems"):
        choose_problems([], None)


def test_samples_that_cannot_serve_are_refused() -> None:
    with pytest.raises(ValueError, match="4 greedy samples"):
        settings(sampling={"temperature": None})
    with pytest.raises(ValueError, match="pass@8 needs"):
        settings(k=[1, 8])
    assert settings(n_samples=6).k_values == (1, 2, 4)


# A real policy, kills


@pytest.fixture
def tiny_policy(tmp_path: Path) -> Path:
    from judgekit.training.tiny import build_tiny

    build_tiny(tmp_path / "policy", TEXTS, tiny_config())
    return tmp_path / "policy"


def test_a_killed_run_goes_on_and_gives_the_same(
    tiny_policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problems = [problem(number) for number in range(5)] + [problem(number, source="other") for number in range(3)]
    config = settings(str(tiny_policy), sampling={"max_tokens": 6}, chunk_size=2)
    expected = evaluate_policy(problems, output=tmp_path / "straight", config=config)
    assert expected.policy.engine == "transformers" and expected.policy.device
    assert expected.by.benchmark["own"].n_samples == 20

    opened = policy.build_generator
    real, n_calls = policy.sample_and_check, 0

    def killed(*args: Any, **options: Any) -> Any:
        nonlocal n_calls
        n_calls += 1
        if n_calls == 3:
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(policy, "sample_and_check", killed)
    with pytest.raises(KeyboardInterrupt):
        evaluate_policy(problems, output=tmp_path / "out", config=config)
    assert len(list((tmp_path / "out/samples").rglob("*.jsonl"))) == 2
    assert evaluate_policy(problems, output=tmp_path / "out", config=config, resume=True) == expected
    assert n_calls == 3 + 3, "five chunks, two of them before the kill"
    samples = [path.relative_to(tmp_path / "out") for path in (tmp_path / "out/samples").rglob("*.jsonl")]
    assert len(samples) == 5
    for name in ("results.json", "policy.md", *samples):
        assert (tmp_path / "out" / name).read_text() == (tmp_path / "straight" / name).read_text()

    monkeypatch.setattr(policy, "build_generator", lambda config: pytest.fail("a finished run opens no model"))
    assert evaluate_policy(problems, output=tmp_path / "out", config=config, resume=True) == expected
    with pytest.raises(ConfigError, match="already holds a run"):
        evaluate_policy(problems, output=tmp_path / "out", config=config)
    with pytest.raises(ConfigError, match="seed: 0 -> 1"):
        evaluate_policy(problems, output=tmp_path / "out", config=config.model_copy(update={"seed": 1}), resume=True)
    monkeypatch.setattr(policy, "build_generator", opened)
    other = evaluate_policy(problems, output=tmp_path / "big", config=config.model_copy(update={"chunk_size": 8}))
    assert other.by == expected.by, "the size of chunks changes nothing"


def test_damaged_chunks_are_named(tiny_policy: Path, tmp_path: Path) -> None:
    config = settings(str(tiny_policy), sampling={"max_tokens": 3}, n_samples=1)
    chunk = tmp_path / "out/samples/own/chunk-00000.jsonl"
    Run(tmp_path / "out", config, inputs=checkpoint_files(tiny_policy))  # the papers that a killed run leaves
    chunk.parent.mkdir(parents=True)
    chunk.write_text('{"half')
    with pytest.raises(DataError, match=r"chunk-00000\.jsonl, row 1 is damaged"):
        evaluate_policy([problem(1)], output=tmp_path / "out", config=config, resume=True)


def test_answers_that_an_earlier_release_stored_are_not_sampled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ZipFile(FIXTURES / "present_release/runs.zip") as archive:
        for name in ("engine.json", "samples/own/chunk-00000.jsonl"):
            archive.extract(f"finished/policy/{name}", tmp_path)
    output = tmp_path / "finished/policy"
    rows = [json.loads(line) for line in (output / "samples/own/chunk-00000.jsonl").read_text().splitlines()]
    ids = list(dict.fromkeys(row["problem_id"] for row in rows))
    config = settings(n_samples=len(rows) // len(ids), chunk_size=1)
    problems = [Problem(problem_id=key, problem=key, answer="5", source="own") for key in ids]
    engine = (output / "engine.json").read_text()
    (output / "engine.json").unlink()
    samples = (output / "samples").rename(tmp_path / "samples")
    Run(output, config)  # what a killed run leaves
    samples.rename(output / "samples")
    (output / "engine.json").write_text(engine)
    monkeypatch.setattr(policy, "build_generator", lambda config: pytest.fail("every answer is stored"))
    found = evaluate_policy(problems, output=output, config=config, resume=True).by.benchmark["own"]
    assert (found.n_problems, found.n_samples) == (len(ids), len(rows)) and len(ids) > 1
    assert found.n_right == sum(row["outcome"] == 1.0 and row["finish_reason"] == "stop" for row in rows)


def test_the_command_reads_raw_files_and_built_data_sets(
    tiny_policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {
        "easy": [{"problem": "1+1?", "answer": 2.0}],
        "hard": [{"question": "What?", "final_answer": ["$3$", "$4$"]}],
    }
    files = []
    for name, lines in rows.items():
        files.append(str(tmp_path / f"{name}.jsonl"))
        Path(files[-1]).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["build", "policy-benchmarks", "--input", files[1], "--output", str(tmp_path / "hard")]) == 0
    arguments = ["policy", "generation.type=transformers", f"generation.model={tiny_policy}", "prompt.type=raw"]
    arguments += ["n_samples=2", "sampling.max_tokens=4", "n_resamples=100"]
    arguments += [
        "--benchmark",
        "policy-benchmarks",
        files[0],
        "--benchmark",
        "policy-benchmarks",
        str(tmp_path / "hard"),
    ]
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "| easy | 1 | counted wrong |" in printed and "| hard | 1 | left out |" in printed
    results = read_results(tmp_path / "out/results.json", PolicyResults)
    assert set(results.by.benchmark) == {"easy", "hard"}
    assert main(["policy", "--benchmark", "gsm8k", "--output", str(tmp_path / "other"), "generation.model=m"]) == 2


def test_defaults_ask_for_a_boxed_answer() -> None:
    config = load_config(PolicyConfig, overrides=["generation.type=transformers", "generation.model=m"])
    assert config.prompt.build("1+1?") == [
        {"role": "user", "content": "1+1?\n\nPlease reason step by step, and put your final answer within \\boxed{}."}
    ]
