"""The benchmark of judging: every method gives the same numbers, and the command writes table and picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from judgekit import cli
from judgekit.engines.scoring.encoded import Encoded
from judgekit.engines.scoring.forward import score_positions
from judgekit.engines.scoring.load import load_classifier, load_language_model, load_tokenizer
from judgekit.errors import ConfigError, DataError
from judgekit.io import write_records
from judgekit.training.tiny import build_tiny
from judgekit.types import LabelledSolution
from judgekit_eval.results import read_results
from judgekit_eval.speed import judge_speed
from judgekit_eval.speed.config import BenchConfig
from judgekit_eval.speed.judge_speed import BASELINE, Method, Rounds, bench, ideal_ratio, make_group, summarise
from judgekit_eval.speed.judging_methods import Reader, encode_chat, label_id, save_label_classifier
from judgekit_eval.speed.schema import BenchResults, Ratio
from judgekit_eval.speed.speed_report import HEADER, table_rows
from tests.judgekit.samples import TEXTS, labelled_solutions, tiny_config

CHAT = (
    "{% for turn in messages %}<{{ turn.role }}>{{ turn.content }}</{{ turn.role }}>\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


@pytest.fixture(autouse=True)
def small_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_speed, "PEAK_SIZE", 64)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    build_tiny(folder, TEXTS, tiny_config())
    tokenizer = load_tokenizer(str(folder))
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "additions"
    write_records(folder, labelled_solutions(range(6)), record_type=LabelledSolution)
    return folder


def config_of(model: Path, data: Path, **fields: object) -> BenchConfig:
    sizes = {"n_solutions": 5, "rounds": 1, "group_size": 3, "long_problem_tokens": 80, "threads": None}
    return BenchConfig.model_validate({"model": str(model), "data": data} | sizes | fields)


def test_all_methods_give_the_same_numbers(model: Path, data: Path) -> None:
    results = bench(config_of(model, data), list(labelled_solutions(range(6))), progress=False)
    ways = {(way.dtype, way.name): way for way in results.ways}
    assert len(ways) == len(results.ways) == 8 + 2 + 3
    for way in results.ways:
        assert way.largest_difference < (1e-5 if way.dtype == "float32" else 0.1)
        assert way.seconds_per_solution > 0 < way.tokens_per_s and way.of_peak > 0
    engine = ways["bfloat16", "our engine"]
    assert engine.against == f"float32, {BASELINE}" and engine.target == 2.2
    assert engine.largest_difference > 0, "compared with float32, not with itself"
    assert engine.ratio.least <= engine.ratio.median <= engine.ratio.greatest
    long = ways["float32", "group, long problem, problem shared"]
    assert long.target > 0.9 * 2 > ways["float32", "group, short problem, problem shared"].target
    assert {*results.peak_gflops} == {"float32", "bfloat16"}


def test_a_classifier_with_the_labels_of_a_language_model(model: Path, tmp_path: Path) -> None:
    reader = Reader(load_language_model(str(model)).eval(), (7, 9), pad_id=0, token_budget=100)
    save_label_classifier(reader, tmp_path)
    encoded_N = [Encoded([5, 6, 7, 8], [1, 3]), Encoded([9, 10], [1])]
    found = score_positions(load_classifier(str(tmp_path), dtype="float32"), encoded_N, token_budget=100, pad_id=0)
    for logits_S, expected in zip(found, reader.one_at_a_time(encoded_N), strict=True):
        np.testing.assert_allclose(logits_S[:, 0] - logits_S[:, 1], expected, atol=1e-6)


def test_a_row_by_hand() -> None:
    slow = Method("slow", "solutions", "float32", 2, 300, list)
    fast = Method("fast", "solutions", "float32", 2, 300, list, against=slow.key, target=1.5)
    seconds = {slow.key: [6.0, 8.0, 9.0], fast.key: [3.0, 2.0, 3.0]}
    rounds = Rounds(seconds, {"float32": 4e6}, {slow.key: 0.0, fast.key: 0.5})
    row = summarise(fast, rounds, n_body=1000)
    assert row.ratio == Ratio(median=3.0, least=2.0, greatest=4.0)
    assert (row.seconds_per_solution, row.tokens_per_s) == (1.5, 100.0)
    assert row.of_peak == pytest.approx(2 * 1000 * 100 / 4e6)
    assert summarise(slow, rounds, n_body=1000).ratio is None


def test_groups_by_hand(model: Path) -> None:
    solutions = list(labelled_solutions(range(3)))
    short = make_group(solutions, load_tokenizer(str(model)), 4, 1)
    assert {item.problem for item in short} == {solutions[0].problem}
    assert [item.steps for item in short] == [item.steps for item in solutions[:4]]
    long = make_group(solutions, load_tokenizer(str(model)), 4, 500)
    assert long[0].problem.startswith(f"{solutions[0].problem}\n\n{solutions[1].problem}\n\n")
    # 3 solutions of 10 + 5 tokens: 45 without, 25 with one shared problem
    assert ideal_ratio([Encoded([1] * 15, [14], 10)] * 3) == 45 / 25


def test_a_conversation_is_read_before_each_answer(model: Path) -> None:
    tokenizer = load_tokenizer(str(model))
    solution = next(labelled_solutions([1]))
    encoded, n_behind = encode_chat(tokenizer, solution, label="+")
    texts = [tokenizer.decode(encoded.input_ids[: position + 1]) for position in encoded.positions_S]
    assert [text.endswith("</user>\n<assistant>") for text in texts] == [True] * len(solution.steps)
    first = f"<user>{solution.problem} {solution.steps[0]}</user>\n<assistant>"
    assert texts[0] == first
    assert texts[1] == f"{first}+</assistant>\n<user>{solution.steps[1]}</user>\n<assistant>"
    assert tokenizer.decode(encoded.input_ids[-n_behind:]) == "+</assistant>\n"
    tokenizer.chat_template = "{{ messages | length }}" + CHAT
    with pytest.raises(ConfigError, match="does not continue a conversation"):
        encode_chat(tokenizer, solution, label="+")
    for template in (None, "{{ raise_exception('no') }}"):
        tokenizer.chat_template = template
        with pytest.raises(ConfigError, match="set chat=false"):
            encode_chat(tokenizer, solution, label="+")


def test_a_label_without_tokens_is_refused(model: Path) -> None:
    tokenizer = load_tokenizer(str(model))
    assert tokenizer.decode([label_id(tokenizer, "1+")]) == "+"
    with pytest.raises(ConfigError, match="the label '' gives no token"):
        label_id(tokenizer, "")


def test_too_few_solutions_are_refused(model: Path, data: Path) -> None:
    with pytest.raises(DataError, match=r"has 2 solutions with steps, but 5 are needed: lower n_solutions"):
        bench(config_of(model, data), list(labelled_solutions([0])), progress=False)


def test_the_command_writes_table_and_picture(
    model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["n_solutions=2", "rounds=1", "group_size=2", "bfloat16=false", "chat=false", "threads=null"]
    output = tmp_path / "bench"
    command = ["bench", "--model", str(model), "--input", str(data), "--output", str(output), *options]
    assert cli.main(command) == 0
    results = read_results(output / "bench.json", BenchResults)
    assert "ratio" not in json.loads((output / "bench.json").read_text())["ways"][0]
    assert len(results.ways) == 8
    lines = (output / "bench.md").read_text().splitlines()
    assert [line.count("|") for line in lines if line.startswith("|")] == [10] * (2 + 8)
    assert str(tmp_path) not in (output / "bench.md").read_text()
    assert (output / "bench.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((output / "manifest.json").read_text())["results"] == {"ways": 8}
    rows = table_rows(results)
    assert rows[0][4:8] == ("", "", "", "")
    few = dict(zip(HEADER, rows[1], strict=True))
    assert few["target"] == "1.15" and few["as"] == f"float32, {BASELINE}"
    assert few["least to greatest"] == f"{few['times as fast']} to {few['times as fast']}", "one round"
    assert f"bench.json, bench.md and bench.png: {output}" in capsys.readouterr().out.replace("\n", "")
    assert cli.main(command) == 2, "the folder is in use"
