"""Tests of reading: what is made of right solutions, and the figures of judges that read and that do not."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from judgekit.calibration.card import Fingerprint
from judgekit.cli import main
from judgekit.errors import DataError
from judgekit.io import write_records
from judgekit.judges import load_judge
from judgekit.judges.base import JudgeInfo
from judgekit.judges.card import read_card
from judgekit.judges.reading import ReadingScore
from judgekit.types import Judgement, LabelledSolution, Solution, ThresholdRule, Verdict, labels_from_first_error
from judgekit_eval.attacks.config import AttackConfig
from judgekit_eval.attacks.nonsense import KINDS, write_nonsense
from judgekit_eval.attacks.reading import NUMBER, READING_TESTS
from judgekit_eval.attacks.run import attack_judges
from judgekit_eval.attacks.schema import AttackResults


def solution(index: int, *, first_error: int | None = None, subset: str | None = None) -> LabelledSolution:
    problem = f"A crate holds {index + 20} plums and costs $1,{index}50. What do 7 crates hold?"
    steps = ("Step 1: One crate.", f"{index + 20} * 7 = {7 * (index + 20)}")
    labels = labels_from_first_error(first_error, n_steps=2)
    return LabelledSolution(
        problem=problem, steps=steps, labels=labels, source="hand", subset=subset, label_method=None
    )


def changed(name: str, solutions: Sequence[LabelledSolution], seed: int = 0) -> dict[int, Solution]:
    return READING_TESTS[name].apply(solutions, seed=seed)


class NumbersJudge:
    """Trusts a solution as far as its numbers of two digits or more stand in the problem: it reads nothing else.

    Args:
        reads: Off, it says the same of every solution.
    """

    info = JudgeInfo("numbers", ThresholdRule())

    def __init__(self, *, reads: bool = True) -> None:
        self.reads = reads

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        return [
            Judgement(solution_id=item.id, judge_id="numbers", verdict=Verdict.from_step_probs(self._p_ok(item)))
            for item in solutions
        ]

    def _p_ok(self, item: Solution) -> list[float]:
        first = re.search(r"\d\d+", " ".join(item.steps))
        found = first is not None and re.search(rf"\b{first[0]}\b", item.problem)
        return [0.9 if found or not self.reads else 0.2] * len(item.steps)


def test_the_problem_is_removed_and_the_solution_stays() -> None:
    solutions = [solution(0), solution(1)]
    made = changed("problem-removed", solutions)
    assert [(item.problem, item.steps) for item in made.values()] == [("", item.steps) for item in solutions]
    assert [item.id for item in made.values()] == [f"{item.id}:problem-removed" for item in solutions]


def test_no_problem_stays_where_it_was_and_subsets_stay_apart() -> None:
    twice = solution(0).model_copy(update={"steps": ("20 * 7 = 140",), "id": "another", "labels": ("ok",)})
    solutions = [
        *map(solution, range(6)),
        twice,
        solution(0, subset="b"),
        solution(9, subset="b"),
        solution(3, subset="c"),
    ]
    drawn = set()
    for seed in range(20):
        made = changed("problems-shuffled", solutions, seed)
        assert made.keys() == set(range(9)), "a subset of one problem has no other"
        assert all(item.problem != solutions[row].problem for row, item in made.items())
        first = [made[row].problem for row in range(6)]
        assert sorted(first) == sorted(item.problem for item in solutions[:6]), "each problem is used once"
        assert made[6].problem == made[0].problem and (made[7].problem, made[8].problem) == (
            solutions[8].problem,
            solutions[7].problem,
        )
        drawn.add(tuple(first))
        assert made == changed("problems-shuffled", solutions, seed)
    assert len(drawn) > 10


def test_only_numbers_that_the_solution_uses_are_changed_and_keep_their_shape() -> None:
    given = LabelledSolution(
        problem="Tom has 30 plums at $1,250.50 and 1 bag, x_2 of 45, (30+8)^3, \\frac{16}{4}, 12. How many are 30?",
        steps=("Step 8: 1 * 30 - 1250.5 = 1.", "3. 16 and 0.70"),
        labels=("ok", "ok"),
        source="hand",
        label_method=None,
    )
    seen = set()
    for seed in range(60):
        (made,) = changed("numbers-changed", [given], seed).values()
        match = re.fullmatch(
            r"Tom has (\d0) plums at \$(\d),(\d\d\d)\.(\d)0 and 1 bag, x_2 of 45, \((\d0)\+8\)\^3, "
            r"\\frac\{(\d\d)\}\{4\}, 12\. How many are (\d0)\?",
            made.problem,
        )
        assert match and made.steps == given.steps
        assert match[1] == match[5] == match[7] != "30" and match[6] not in ("16", "45", "12", match[1])
        seen |= {match[1], match[6]}
    assert len(seen) > 30
    assert changed("numbers-changed", [given.model_copy(update={"steps": ("Step 8: 1 bag, 2 left.",)})]) == {}


def test_what_is_a_number() -> None:
    text = "5:9, 1,234.5 and 12,34 or x2 3x a_4 \\5 .7 8. 50% -6 (7/2)"
    assert NUMBER.findall(text) == ["5", "9", "1,234.5", "8", "50", "6", "7", "2"]


@pytest.mark.parametrize("n_steps", [1, 2, 3, 8, 40])
def test_nonsense_has_as_many_steps_and_repeats_none_before_its_list_is_through(n_steps: int) -> None:
    kinds = set()
    for seed in range(30):
        kind, steps = write_nonsense(n_steps, random.Random(seed))
        firsts, middles, lasts = KINDS[kind]
        assert len(steps) == n_steps and steps[-1] in lasts
        assert n_steps == 1 or steps[0] in firsts
        between = steps[1:-1][: len(middles) - 1]
        assert len(set(between)) == len(between)
        kinds.add(kind)
    assert kinds == set(KINDS)


# Figures


def run(output: Path, n: int = 12, **options: object) -> AttackResults:
    judges = {"reads": NumbersJudge(), "blind": NumbersJudge(reads=False), "position": load_judge("builtin:first-step")}
    solutions = [solution(i, first_error=0 if i % 3 == 0 else None) for i in range(n)]
    config = AttackConfig(judge="numbers", n_resamples=100, **{"attacks": list(READING_TESTS)} | options)
    return attack_judges(judges, solutions, output=output, config=config)


def test_a_judge_that_reads_the_numbers_has_1_and_those_that_read_nothing_exactly_half(tmp_path: Path) -> None:
    reading = run(tmp_path / "out").reading
    assert reading is not None and (reading.n, reading.n_problems) == (8, 8)
    for name, test in reading.tests.items():
        reads, blind, position = (test.judges[judge] for judge in ("reads", "blind", "position"))
        assert (reads.auc.value, reads.auc.lo, reads.auc.hi) == (1, 1, 1)
        assert reads.p_none.value == pytest.approx(0.2**2 - 0.9**2)
        assert (reads.n, reads.n_scored, reads.n_passed_before, reads.noticed.value) == (8, 8, 8, 1), name
        for nothing in (blind, position):
            assert (nothing.auc.value, nothing.auc.lo, nothing.auc.hi) == (0.5, 0.5, 0.5)
            assert (nothing.p_none.value, nothing.p_none.lo, nothing.p_none.hi) == (0, 0, 0)
        assert (blind.noticed.value, position.noticed.value) == (0, None), "nothing passed that could be noticed"
    scores = reading.scores
    assert scores["reads"] is not None and scores["blind"] is not None
    assert (scores["reads"].auc, scores["blind"].auc) == (1, 0.5)
    assert scores["reads"].words == "reacts to a changed problem"
    assert scores["blind"].words == "does not react to a changed problem (AUC below 0.6): a style detector"
    assert scores["blind"].tests == {"problems-shuffled": 0.5, "numbers-changed": 0.5}
    assert (scores["blind"].fingerprint.n_solutions, scores["blind"].fingerprint.sources) == (8, ("hand",))
    for file in ("attacks.md", "report.html"):
        text = (tmp_path / "out" / file).read_text()
        assert "Reading score, blind, on 8 correct solutions: 0.50 [0.50, 0.50]: does not react to a changed" in text
        assert "Does it read the problem?" in text


def test_a_judge_that_is_right_of_some_by_hand(tmp_path: Path) -> None:
    class Half(NumbersJudge):
        def _p_ok(self, item: Solution) -> list[float]:
            # reads in every second solution alone: 0.81 against 0.04 there, 0.81 against 0.81 elsewhere
            return super()._p_ok(item) if int(item.steps[1][:2]) % 2 else [0.9, 0.9]

    config = AttackConfig(judge="half", n_resamples=100, attacks=["numbers-changed"])
    solutions = [solution(i) for i in range(4)]
    results = attack_judges({"judge": Half()}, solutions, output=tmp_path / "out", config=config)
    assert results.reading is not None and results.attacks == {} and results.n == 0
    effects = results.reading.tests["numbers-changed"].judges["judge"]
    # each of 4 own ones beats 2 changed ones and ties with 2
    assert effects.auc.value == pytest.approx((2 + 2 / 2) / 4) and effects.noticed.value == 0.5
    assert effects.p_none.value == pytest.approx((0.04 - 0.81) / 2)
    assert results.reading.scores == {"judge": None}, "one test of two makes no score"
    assert "none, because a test that it needs was left out" in (tmp_path / "out/attacks.md").read_text()


def test_without_right_solutions_there_is_no_score(tmp_path: Path) -> None:
    wrong = [solution(i, first_error=0) for i in range(3)]
    config = AttackConfig(judge="numbers", n_resamples=100, attacks=["blank-step", "numbers-changed"])
    assert attack_judges({"j": NumbersJudge()}, wrong, output=tmp_path / "a", config=config).reading is None
    config = config.model_copy(update={"attacks": ("numbers-changed",)})
    with pytest.raises(DataError, match="no correct solution to test reading on"):
        attack_judges({"j": NumbersJudge()}, wrong, output=tmp_path / "b", config=config)


@pytest.mark.parametrize(
    ("lo", "hi", "said"),
    [
        (0.45, 0.59, "a style detector"),
        (0.3, 0.59, "a style detector"),
        (0.1, 0.39, "it is reversed"),
        (0.51, 0.9, "reacts to a changed problem"),
        (0.45, 0.7, "no evidence"),
        (None, None, "one problem"),
    ],
)
def test_the_score_in_words(lo: float | None, hi: float | None, said: str) -> None:
    fingerprint = Fingerprint(data="d", sha256="0", n_solutions=1, n_problems=1, sources=(), generators=())
    assert said in ReadingScore(auc=0.5, lo=lo, hi=hi, tests={}, fingerprint=fingerprint).words


# The card


def test_the_command_stores_the_score_in_the_card_leaderboards_show_it_and_calibration_takes_it_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, judge = tmp_path / "data", tmp_path / "prior"
    rows = [solution(i, first_error=1 if i % 2 else None) for i in range(20)]
    write_records(data, rows, record_type=LabelledSolution)
    assert main(["prior", "--data", str(data), "--output", str(judge)]) == 0
    command = ["attack", str(judge), "--input", str(data), "n_resamples=100", "--store"]
    assert main([*command, "--output", str(tmp_path / "a"), "attacks=[blank-step,numbers-changed]"]) == 2
    assert "no reading score to store" in capsys.readouterr().err and read_card(judge).reading is None
    wanted = "attacks=[problems-shuffled,numbers-changed]"
    assert main([*command, "--output", str(tmp_path / "b"), wanted]) == 0
    assert "Reading score, judge, on 10 correct solutions: 0.50 [0.50, 0.50]: does not" in capsys.readouterr().out
    stored = read_card(judge).reading
    assert stored is not None and stored.auc == 0.5 and stored.fingerprint.data == "data"
    assert load_judge(judge).info.reading == stored
    assert main(["doctor", str(judge)]) == 0
    assert "reading score: 0.50, does not react to a changed problem" in capsys.readouterr().out
    assert main(["attack", "builtin:random", *command[2:], "--output", str(tmp_path / "c"), wanted]) == 2
    assert not (tmp_path / "c").exists(), "refused before anything is judged"
    command = ["eval", "--judge", str(judge), "--judge", "builtin:first-step", "--benchmark", "hand", str(data)]
    assert main([*command, "--output", str(tmp_path / "e"), "n_resamples=100", "n_splits=2"]) == 0
    note = (
        "prior does not react to a changed problem (AUC below 0.6): a style detector (reading score 0.50 [0.50, 0.50]"
    )
    assert note in " ".join(capsys.readouterr().out.split())
    board = (tmp_path / "e/leaderboard.md").read_text()
    lines = [line for line in reversed(board.splitlines()) if line.startswith("| ")]  # the first table wins
    cells = {line.split(" | ")[0]: line.split(" | ")[-1] for line in lines}
    assert (cells["| judge"], cells["| prior"]) == ("reads the problem (AUC) |", "0.50 [0.50, 0.50] |")
    assert cells["| builtin:first-step"] == "not tested |" and f"- {note}" in board
    assert note in (tmp_path / "e/report.html").read_text()
    other = [row.model_copy(update={"problem": f"{row.problem} Now.", "problem_id": f"p-{row.id}"}) for row in rows]
    write_records(tmp_path / "other", other, record_type=LabelledSolution)
    assert main(["calibrate", "--judge", str(judge), "--data", str(tmp_path / "other")]) == 0
    assert read_card(judge).reading is None
