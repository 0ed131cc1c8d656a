"""Best-of-N from end to end: scores, references, counts, resuming, the command, the real groups."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from judgekit.answers import MathVerifyCheck
from judgekit.cli import main
from judgekit.errors import ConfigError, DataError, JudgeError
from judgekit.groups import build_groups, load_groups
from judgekit.io import write_records
from judgekit.judges import load_judge
from judgekit.judges.card import JudgeCard, write_card
from judgekit.judges.ensemble import EnsembleSpec
from judgekit.types import Judgement, NoVerdictReason, Rollout, Solution, Verdict
from judgekit_datasets.build import build
from judgekit_eval.best_of_n.answer_groups import group_answers
from judgekit_eval.best_of_n.config import BestOfNConfig
from judgekit_eval.best_of_n.curves import score_verdict
from judgekit_eval.best_of_n.rerank import choose_groups, evaluate_best_of_n
from judgekit_eval.best_of_n.schema import BestOfNResults, MethodMetrics
from judgekit_eval.results import read_results
from tests.fakes import FakeJudge, PhraseJudge


def rollout(group: int, sample: int, text: str, *, right: bool) -> Rollout:
    return Rollout(
        group_id=f"g{group}",
        sample=sample,
        problem=f"Problem {group}",
        prompt=f"Problem {group}",
        response=text,
        steps=(text,) if text else (),
        step_start=(0,) if text else (),
        step_end=(len(text),) if text else (),
        outcome=float(right),
        generator="policy",
        source="own",
    )


def groups() -> list[Rollout]:
    """Four groups of four: mixed with a frequent right answer, mixed with a rare one, all wrong, all right."""
    answers = {0: ("5", "5", "5", "7"), 1: ("1", "1", "8", ""), 2: ("1", "2", "3", "4"), 3: ("9", "9", "9", "9")}
    right = {0: {"5"}, 1: {"8"}, 2: set(), 3: {"9"}}
    return [
        rollout(group, sample, f"answer: {text}" if text else "", right=text in right[group])
        for group, texts in answers.items()
        for sample, text in enumerate(texts)
    ]


def oracle_judge(rollouts: Sequence[Rollout], **options: Any) -> FakeJudge:
    """Sure of what is right: P(no error) 0.9, else 0.1."""
    posteriors = {
        item.solution.id: (0.1, 0.9) if item.outcome else (0.9, 0.1) for item in rollouts if item.solution.steps
    }
    empty = {item.solution.id: NoVerdictReason.EMPTY for item in rollouts if not item.solution.steps}
    return FakeJudge(posteriors, no_verdict=empty | options.pop("no_verdict", {}), **options)


def evaluate(output: Path, judge: Any, *, rollouts: Sequence[Rollout] | None = None, **options: Any) -> dict[str, Any]:
    resume = options.pop("resume", False)
    values = {"judges": ["fake"], "sizes": (1, 2, 4), "n_resamples": 100, "chunk_size": 3} | options
    config = BestOfNConfig.model_validate(values)
    found = build_groups(groups() if rollouts is None else rollouts, where="rows", min_size=1)
    return evaluate_best_of_n({"fake": lambda: judge}, found, output=output, config=config, resume=resume)


def values(metrics: MethodMetrics) -> list[float | None]:
    return [interval.value for interval in metrics.accuracy.values()]


# What it finds


def test_references_and_a_judge_that_knows(tmp_path: Path) -> None:
    results = evaluate(tmp_path / "out", oracle_judge(groups()))
    # right of four: 3, 1, 0, 4
    assert values(results.references["random"]) == pytest.approx([50.0] * 3)
    assert values(results.references["oracle"]) == pytest.approx([50.0, 100 * (1 + 1 / 2 + 0 + 1) / 4, 75.0])
    # of 5 5 5 7, pairs: three right, three ties; of 1 1 8 -: pairs 11 wrong, 18 twice a tie, 1- twice wrong, 8- right
    majority = [50.0, 100 * (4.5 / 6 + 2 / 6 + 0 + 1) / 4, 100 * (1 + 0 + 0 + 1) / 4]
    assert values(results.references["majority"]) == pytest.approx(majority)
    judge = results.judges["fake"]
    for score in ("product", "min", "last", "prefix"):
        assert values(judge.scores[score]) == pytest.approx(values(results.references["oracle"]))
    assert judge.scores["product"].minus_random["4"].value == pytest.approx(25.0)
    assert judge.scores["product"].minus_majority["4"].value == pytest.approx(25.0)
    assert judge.scores["weighted_majority"].accuracy["4"].value == pytest.approx(75.0), "0.9 against 0.2"
    assert (judge.n_no_verdict, judge.no_verdict) == (1, {"empty": 1})
    counts = ("n_groups", "n_responses", "n_all_wrong", "n_all_right", "n_without_answer", "n_mixed_answers")
    assert [getattr(results, name) for name in counts] == [4, 16, 1, 1, 1, 0]
    assert results.references["random"].minus_random["4"].model_dump() == {"value": 0.0, "lo": 0.0, "hi": 0.0}


def test_without_a_verdict_a_response_ranks_last(tmp_path: Path) -> None:
    rows = groups()
    right = next(item.solution.id for item in rows if item.group_id == "g1" and item.outcome)
    judge = oracle_judge(rows, no_verdict={right: NoVerdictReason.TIMED_OUT})
    results = evaluate(tmp_path / "out", judge)
    product = results.judges["fake"].scores["product"].accuracy
    # of group 1 the empty response alone has no verdict either: the right one is chosen from that pair half the time
    assert product["2"].value == pytest.approx(100 * (1 + (1 / 2) / 6 + 0 + 1) / 4)
    assert product["4"].value == pytest.approx(50.0)
    assert results.judges["fake"].no_verdict == {"timed_out": 1, "empty": 1}


def test_scores_of_a_verdict_by_hand() -> None:
    verdict = Verdict.from_step_probs([0.5, 0.8, 1.0])
    assert score_verdict(verdict, "product") == pytest.approx(0.4)
    assert score_verdict(verdict, "min") == pytest.approx(0.5)
    assert score_verdict(verdict, "last") == pytest.approx(1.0)
    assert score_verdict(verdict, "prefix") == pytest.approx((0.5 + 0.4 + 0.4) / 3)
    assert score_verdict(None, "product") == -math.inf


def test_equal_answers_are_one_vote() -> None:
    responses = [[r"\boxed{\frac12}", r"\boxed{0.5}", r"\boxed{2}", "nothing", r"\boxed{1/2}"], ["so 3", "so 4"]]
    with closing(MathVerifyCheck()) as check:
        first, second = group_answers(responses, check)
    assert first.answer_G == (0, 0, 1, None, 0) and first.n_uncheckable == 0
    assert second.answer_G == (0, 1)


def test_small_groups_are_left_out_where_they_have_too_few(tmp_path: Path) -> None:
    rows = groups()[:10]
    results = evaluate(tmp_path / "out", oracle_judge(rows), rollouts=rows)
    assert results.n_groups_by_size == {"1": 3, "2": 3, "4": 2}
    assert values(results.references["random"]) == pytest.approx([100 / 3, 100 / 3, 50.0])
    assert "Only 2 groups have 4 responses." in (tmp_path / "out/best_of_n.md").read_text()


def test_a_policy_that_nobody_names_is_unknown(tmp_path: Path) -> None:
    rows = [item.model_copy(update={"generator": None}) for item in groups()]
    results = evaluate(tmp_path / "out", oracle_judge(rows), rollouts=rows)
    assert results.generators == {"unknown": 16}
    assert "by unknown." in (tmp_path / "out/best_of_n.md").read_text()


def test_a_single_problem_has_no_interval(tmp_path: Path) -> None:
    rows = groups()[:4]
    results = evaluate(tmp_path / "out", oracle_judge(rows), rollouts=rows)
    assert results.references["random"].accuracy["1"].model_dump() == {"value": 75.0, "lo": None, "hi": None}
    assert "| random | 75.0 | 75.0 | 75.0 |" in (tmp_path / "out/best_of_n.md").read_text()


def test_groups_are_chosen_evenly_and_checked() -> None:
    rows = [
        item
        for group in range(10)
        for item in (rollout(group, 0, "1", right=True), rollout(group, 1, "2", right=False))
    ]
    gathered = build_groups(rows, where="rows")
    chosen = choose_groups(gathered, BestOfNConfig(judges=("x",), n_groups=3))
    assert [group.group_id for group in chosen] == ["g0", "g3", "g6"]
    with pytest.raises(DataError, match="no group has 4 responses"):
        choose_groups(gathered, BestOfNConfig(judges=("x",), sizes=(4, 8)))
    with pytest.raises(ValueError, match="must be ascending"):
        BestOfNConfig(judges=("x",), sizes=(2, 1))


# Resuming


@pytest.mark.parametrize("n_calls", [0, 2])
def test_a_killed_run_goes_on_and_judges_nothing_twice(n_calls: int, tmp_path: Path) -> None:
    straight = PhraseJudge("5")
    expected = evaluate(tmp_path / "straight", straight)
    killed = PhraseJudge("5", n_calls=n_calls)
    with pytest.raises(KeyboardInterrupt):
        evaluate(tmp_path / "out", killed)
    resumed = PhraseJudge("5")
    assert evaluate(tmp_path / "out", resumed, resume=True) == expected
    assert killed.judged + resumed.judged == straight.judged
    for name in ("results.json", "best_of_n.md", "report.html"):
        assert (tmp_path / "out" / name).read_text() == (tmp_path / "straight" / name).read_text()
    with pytest.raises(ConfigError, match="seed: 0 -> 1"):
        evaluate(tmp_path / "out", resumed, resume=True, seed=1)


def test_a_failing_judge_does_not_take_the_others_with_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_records(tmp_path / "groups", groups(), record_type=Rollout)
    arguments = ["best-of-n", "--judge", str(tmp_path / "gone"), "--judge", "builtin:random", "sizes=[1,4]"]
    arguments += ["--groups", str(tmp_path / "groups"), "--output", str(tmp_path / "out"), "n_resamples=100"]
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert "| builtin:random, product |" in shown.out
    assert shown.err.strip().splitlines()[-1].startswith(f"error: 1 of 2 judges failed: {tmp_path / 'gone'} failed: ")
    for name in ("best_of_n.md", "report.html", "results.json"):
        assert "does not exist" in (tmp_path / "out" / name).read_text()
    section = EnsembleSpec(members=("builtin:no-error",), rule="mixture", weights=(1.0,))
    write_card(tmp_path / "gone", JudgeCard(judge_id="back", spec=section))
    assert main([*arguments, "--resume"]) == 0
    results = read_results(tmp_path / "out/results.json", BestOfNResults)
    assert len(results.judges) == 2 and results.failures == []
    assert "Not here" not in (tmp_path / "out/best_of_n.md").read_text()
    with pytest.raises(JudgeError, match="fake failed: judge fake failed: no more memory"):
        evaluate(tmp_path / "alone", Failing({}))


class Failing(FakeJudge):
    """Raises what nobody foresaw."""

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        raise MemoryError("no more memory")


# The command and the real groups


def test_the_command_reranks_by_several_judges(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_records(tmp_path / "groups", groups(), record_type=Rollout)
    arguments = ["best-of-n", "--judge", "builtin:random", "--judge", "builtin:no-error", "sizes=[1,4]"]
    arguments += ["--groups", str(tmp_path / "groups"), "--output", str(tmp_path / "out"), "n_resamples=100"]
    assert main(arguments) == 0
    assert "| builtin:no-error, weighted majority |" in capsys.readouterr().out
    results = read_results(tmp_path / "out/results.json", BestOfNResults)
    assert list(results.judges) == ["builtin:random", "builtin:no-error"]
    always = results.judges["builtin:no-error"].scores["product"].accuracy
    assert always["1"].value == pytest.approx(50.0)
    assert always["4"].value == pytest.approx(100 * (3 / 4 + 1 / 3 + 0 + 1) / 4), "the empty one ranks last"
    page = (tmp_path / "out/report.html").read_text()
    assert "builtin:random" in page and page.count("<figure>") == 4


def test_the_real_groups(tmp_path: Path) -> None:
    folder = os.environ.get("JUDGEKIT_REAL_DATA")
    if not folder:
        pytest.skip("needs the real data sets: set JUDGEKIT_REAL_DATA to their folder")
    build("groups", input=Path(folder) / "groups", output=tmp_path / "groups")
    rows = load_groups(tmp_path / "groups")
    judges = {name: lambda name=name: load_judge(name) for name in ("builtin:random", "builtin:no-error")}
    config = BestOfNConfig(judges=tuple(judges), n_resamples=100, n_groups=50)
    results = evaluate_best_of_n(judges, rows, output=tmp_path / "out", config=config)
    right = [sum(group.outcome_G) for group in choose_groups(rows, BestOfNConfig(judges=("x",)))]
    assert (len(right), right.count(0.0), right.count(8.0)) == (200, 83, 36)
    references, random = results.references, results.judges["builtin:random"].scores
    first = {values(figures)[0] for figures in (*references.values(), *random.values())}
    assert max(first) - min(first) < 1e-9, "one response leaves no choice"
    for score, figures in random.items():
        for n, interval in figures.accuracy.items():
            assert interval.value <= references["oracle"].accuracy[n].value, score
    always = results.judges["builtin:no-error"].scores["product"]
    assert values(always) == pytest.approx([values(references["random"])[0]] * 4), "it says the same of every response"
