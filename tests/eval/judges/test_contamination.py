"""What a judge has seen before: only what it says itself, and silence is no clean bill."""

from __future__ import annotations

from pathlib import Path

from judgekit.judges.card import JudgeCard
from judgekit.judges.ensemble import EnsembleSpec
from judgekit.judges.exposure import NOTHING_FITTED, SAYS_NOTHING, Exposure, read_exposure
from judgekit.judges.problem_lists import CALIBRATION_PROBLEMS, TRAIN_PROBLEMS, ProblemList, write_problems
from judgekit.judges.steps.layout import InputConvention
from judgekit.judges.steps.specs import StepClassifierSpec
from judgekit.text.identity import exact_problem_id
from judgekit.types import ThresholdRule
from judgekit_eval.judges.candidates import candidate_of
from judgekit_eval.judges.contamination import check_contamination
from tests.eval.samples import evaluate_all, pointing_at, sample
from tests.fakes import FakeJudge

SOLUTIONS = [sample(i, first_error=None if i % 2 else 1) for i in range(8)]
ELSEWHERE = sample(99, first_error=None)
CARD = JudgeCard(
    judge_id="j",
    spec=StepClassifierSpec(input=InputConvention(separator_ids=(1,), problem_separator_ids=(), max_tokens=8)),
)


def test_a_rule_has_seen_nothing_and_silence_is_unknown() -> None:
    found = check_contamination(NOTHING_FITTED, SOLUTIONS)
    assert (found.status, found.n_solutions, found.examples) == ("none", 0, [])
    assert found.note == "Nothing about the judge was fitted to problems."
    found = check_contamination(SAYS_NOTHING, SOLUTIONS)
    assert found.status == "unknown" and "says nothing about its training" in found.note


def test_training_and_calibration_problems_are_both_looked_up(tmp_path: Path) -> None:
    write_problems(tmp_path / TRAIN_PROBLEMS, ProblemList.of([SOLUTIONS[0], ELSEWHERE]))
    write_problems(tmp_path / CALIBRATION_PROBLEMS, ProblemList.of([SOLUTIONS[3]]))
    exposure = read_exposure(tmp_path, CARD)
    found = check_contamination(exposure, [*SOLUTIONS, SOLUTIONS[0]])
    assert found.status == "overlap"
    assert (found.n_solutions, found.n_problems) == (3, 2)
    assert found.examples == sorted([SOLUTIONS[0].problem_id, SOLUTIONS[3].problem_id])
    assert found.note == "3 of 9 solutions are to problems that the judge was trained or calibrated on."


def test_a_judge_that_lists_everything_is_clean_and_one_that_does_not_is_unknown(tmp_path: Path) -> None:
    write_problems(tmp_path / TRAIN_PROBLEMS, ProblemList.of([ELSEWHERE]))
    found = check_contamination(read_exposure(tmp_path, CARD), SOLUTIONS)
    assert (found.status, found.note) == (
        "none", "None of the 1 problems that the judge names is in the benchmark.",
    )  # fmt: skip
    fitted = CARD.model_copy(update={"decision": ThresholdRule(threshold=0.4, origin="best F1 on somewhere")})
    found = check_contamination(read_exposure(tmp_path, fitted), SOLUTIONS)
    assert found.status == "unknown" and "does not list the problems it was calibrated on" in found.note
    found = check_contamination(read_exposure(tmp_path / "bare", CARD), SOLUTIONS)
    assert found.status == "unknown" and "does not list the problems it was trained on" in found.note


def test_one_more_space_is_no_other_problem(tmp_path: Path) -> None:
    seen = sample(0, first_error=1, problem="Find  $x^2$, if x = 3.")
    write_problems(tmp_path / TRAIN_PROBLEMS, ProblemList.of([seen]))
    exposure = read_exposure(tmp_path, CARD)
    assert check_contamination(exposure, [sample(1, first_error=1, problem="find x^2, if $x=3$")]).status == "overlap"
    assert check_contamination(exposure, [sample(1, first_error=1, problem="find x_2, if $x=3$")]).status == "none"


def test_a_list_of_an_earlier_release_finds_exact_repeats_and_is_no_clean_bill(tmp_path: Path) -> None:
    seen = sample(0, first_error=1, problem="Find x, if x > 3.")
    (tmp_path / TRAIN_PROBLEMS).write_text(f"{exact_problem_id(seen.problem)}\n")
    exposure = read_exposure(tmp_path, CARD)
    assert check_contamination(exposure, [seen, SOLUTIONS[0]]).n_solutions == 1
    found = check_contamination(exposure, [sample(1, first_error=1, problem="Find x,  if x > 3.")])
    assert found.status == "unknown" and "only finds exact repeats" in found.note


def test_an_ensemble_has_seen_what_its_members_have(tmp_path: Path) -> None:
    section = EnsembleSpec(members=("a", "b"), rule="mixture", weights=(0.5, 0.5))
    card = JudgeCard(judge_id="e", spec=section)
    members = [Exposure(ProblemList.of(SOLUTIONS[:1]), ()), Exposure(ProblemList(), ("b says nothing",))]
    exposure = read_exposure(tmp_path, card, members)
    assert exposure == Exposure(ProblemList.of(SOLUTIONS[:1]), ("b says nothing",))
    found = check_contamination(exposure, SOLUTIONS)
    assert (found.status, found.n_solutions) == ("overlap", 1) and "b says nothing" in found.note


def test_figures_without_what_was_seen_stand_beside_the_others(tmp_path: Path) -> None:
    # right on the four solutions it has seen, and on one error (index 4) of the others
    judge = FakeJudge({s.id: pointing_at(s.first_error if i < 5 else 2) for i, s in enumerate(SOLUTIONS)})
    seen = Exposure(ProblemList.of(SOLUTIONS[:4]), ())
    results = (
        evaluate_all([candidate_of(judge, exposure=seen)], SOLUTIONS, output=tmp_path / "run")
        .runs[0]
        .results.as_stored()
    )
    scores, clean = results["subsets"]["shop"]["scores"], results["subsets"]["shop"]["scores_clean"]
    assert (scores["error_accuracy"]["value"], scores["correct_accuracy"]["value"]) == (75.0, 50.0)
    assert (clean["error_accuracy"]["value"], clean["correct_accuracy"]["value"]) == (50.0, 0.0)
    assert results["overall"]["scores_clean"]["f1"]["value"] == 0.0
    assert clean["n"] == results["overall"]["scores_clean"]["n"] == 4
    assert results["protocol"]["contamination"]["status"] == "overlap"
    assert any("4 of 8 solutions are to problems" in note for note in results["comparability"])
    assert "(4 of 8 solutions)" in (tmp_path / "run/leaderboard.md").read_text()


def test_figures_without_overlap_stand_alone(tmp_path: Path) -> None:
    judge = FakeJudge({s.id: pointing_at(1) for s in SOLUTIONS})
    results = evaluate_all([judge], SOLUTIONS, output=tmp_path / "run").runs[0].results.as_stored()
    assert "scores_clean" not in results["overall"]
    assert results["protocol"]["contamination"]["status"] == "unknown"
