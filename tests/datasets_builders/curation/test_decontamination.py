# ruff: noqa: RUF001 (punctuation of other scripts)
import json

import polars as pl
import pytest

from judgekit.errors import DataError
from judgekit.reading.rows import read_jsonl
from judgekit_datasets.curation.config import ContaminationConfig
from judgekit_datasets.curation.decontamination import PARTS, RULES, BenchmarkIndex, row_words

LONG = "Ann buys three pens for two dollars each and then gives one of them to her brother Tom"  # 18 words
SHORT = "How many eggs do four hens lay today"  # 8 words
SOLUTION = "First we add the pens she has and multiply by the price of every single pen to get the sum"  # 20 words


def index(tmp_path, rows, **options):
    path = tmp_path / "bench.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return BenchmarkIndex(ContaminationConfig(benchmarks={"bench": path}, **options))


def match(found_in, problems, solutions):
    return found_in.find(row_words(pl.Series(problems), pl.Series(solutions)), pl.Series(problems))


def find(found_in, problem, solution="none"):
    matches = match(found_in, [problem], [solution])
    return [(PARTS[row["part"]], RULES[row["rule"]], row["n_found"], row["n_all"]) for row in matches.to_dicts()]


@pytest.fixture
def bench(tmp_path):
    words = SOLUTION.split()
    steps = [" ".join(words[:4]), " ".join(words[4:])]
    rows = [{"question": LONG, "steps": steps}, {"question": SHORT}, {"question": "Tiny one?"}]
    return index(tmp_path, rows)


def test_whole_problem_in_other_case_and_punctuation_is_exact(bench):
    assert find(bench, LONG.upper() + "!") == [("problem", "exact", 1, 1)]
    assert find(bench, "tiny ONE") == [("problem", "exact", 1, 1)]


def test_shared_ngram(bench):
    words = LONG.split()
    # the first 13 words are the benchmark's: one of the row's 15 - 13 + 1 = 3 n-grams
    assert find(bench, " ".join([*words[:13], "who", "left"])) == [("problem", "ngram", 1, 3)]
    assert find(bench, " ".join([*words[:12], "who", "left"])) == []


def test_another_number_is_another_ngram(bench):
    assert find(bench, LONG.replace("two", "four")) == []


def test_short_texts_are_contained_either_way(bench):
    assert find(bench, f"Say: {SHORT} and a lot of other words that make it a long text") == [
        ("problem", "contained", 1, 1)
    ]
    assert find(bench, "Ann buys three pens for two dollars each") == [("problem", "contained", 1, 1)]  # 8 words
    assert find(bench, "buys three pens for two dollars each") == []  # 7 words
    assert find(bench, "A tiny one? That is contained but has too few words to count as such") == []


def test_solutions_are_compared_with_solutions(bench):
    assert find(bench, "other", SOLUTION) == [("solution", "exact", 1, 1)]
    assert find(bench, SOLUTION, LONG) == []


def test_share_of_ngrams_of_a_solution(bench):
    words = SOLUTION.split()
    stock = " ".join(words[:13])
    assert find(bench, "other", f"{stock} a b") == []  # 1 of 3 n-grams is less than half
    assert find(bench, "other", " ".join([*words[:14], "b"])) == [("solution", "ngram", 2, 3)]


@pytest.mark.parametrize(
    "problem",
    [
        "已知函数的图像经过点甲和点乙，并且在区间上单调递增，求实数的取值范围。",
        "ร้านค้าขายปากกาสามด้ามในราคาด้ามละสองบาทแล้วให้น้องชายหนึ่งด้าม",
        "ペンを三本ずつ買って、そのうち一本を弟にあげました。残りは何本ですか。",
    ],
)
def test_scripts_without_spaces_have_ngrams_too(tmp_path, problem):
    found_in = index(tmp_path, [{"problem": problem}])
    assert find(found_in, problem) == [("problem", "exact", 1, 1)]
    ((part, rule, n_found, n_all),) = find(found_in, f"{problem[0]}以{problem[0]}: {problem}！")
    assert (part, rule) == ("problem", "ngram") and 0 < n_found < n_all
    assert find(found_in, problem[::-1]) == []


def test_the_same_problem_is_exact_however_it_is_spelled(tmp_path):
    problem = r"Find $x \le \dfrac{1}{2}$, where $x - 2 = y^2$ and costs are \$5!"
    found_in = index(tmp_path, [{"problem": problem}, {"problem": "x < 5"}])
    other = "find x \u2264 \\frac{1}{2}, where x \u2212 2 = y\u00b2 and costs are $\uff15!"
    assert find(found_in, other) == [("problem", "exact", 1, 1)]
    assert find(found_in, "x > 5") == find(found_in, "x \u2265 5") == []


def test_places_and_counts(tmp_path):
    found_in = index(tmp_path, [{"problem": "first text here"}, {"nested": {"problem": LONG, "solution": "yes"}}])
    matches = match(found_in, [LONG], [""])
    assert [found_in.places[i] for i in matches["benchmark_row"]] == ["bench.jsonl row 2"]
    assert found_in.n_texts.tolist() == [[2, 1]]


def test_a_row_is_found_in_each_benchmark(tmp_path):
    paths = {}
    for name in ("one", "two"):
        paths[name] = tmp_path / f"{name}.jsonl"
        paths[name].write_text(json.dumps({"problem": LONG}) + "\n")
    found_in = BenchmarkIndex(ContaminationConfig(benchmarks=paths))
    matches = match(found_in, ["no", LONG], ["", ""])
    assert matches.select("row", "benchmark").rows() == [(1, 0), (1, 1)]


def test_a_benchmark_without_known_fields_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"bench.jsonl, row 1 has no problem under .*it has text.*problem_fields"):
        index(tmp_path, [{"text": "x"}])


def test_model_solutions_of_gsm8k_test_hold_the_problems_of_processbench(real_data):
    found_in = BenchmarkIndex(ContaminationConfig(benchmarks={"processbench": real_data / "processbench/gsm8k.jsonl"}))
    rows = [row for _, row in read_jsonl(real_data / "gsm8k/example_model_solutions.jsonl")]
    solutions = [row["175b_verification"]["solution"] for row in rows]
    matches = match(found_in, [row["question"] for row in rows], solutions)
    exact = matches.filter((pl.col("part") == 0) & (pl.col("rule") == 0))
    problems = {row["problem"] for _, row in read_jsonl(real_data / "processbench/gsm8k.jsonl")}
    assert len(exact) == len(problems) == 375  # every distinct problem of the benchmark


def test_gsm8k_train_is_clean_of_processbench(real_data):
    found_in = BenchmarkIndex(ContaminationConfig(benchmarks={"processbench": real_data / "processbench/gsm8k.jsonl"}))
    rows = [row for _, row in read_jsonl(real_data / "gsm8k/train.jsonl")]
    matches = match(found_in, *([row[name] for row in rows] for name in ("question", "answer")))
    assert len(matches) == 1  # one problem with another name and other numbers
