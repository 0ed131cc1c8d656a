import io

import pytest
from rich.console import Console

from judgekit.calibration.card import ConformalCard, Fingerprint
from judgekit.judges.base import JudgeInfo
from judgekit.report.terminal import render_judgement, visible
from judgekit.types import (
    ArgmaxRule,
    Judgement,
    LabelledSolution,
    NoVerdictReason,
    Solution,
    StepLabel,
    ThresholdRule,
    Verdict,
)

STEPS = ("He has 2 boxes of 3.", "So 2 x 3 = 7 pens.", "The answer is 7.")


CONFORMAL = ConformalCard(
    alpha=0.1,
    max_mass=0.75,
    min_survival=0.5,
    min_survival_if_wrong=0.9,
    n_problems=40,
    n_problems_if_wrong=20,
    n_no_verdict=0,
    fingerprint=Fingerprint(data="d", sha256="0", n_solutions=40, n_problems=40, sources=("s",), generators=("g",)),
)


def shown(solution, judgement, rule=None, *, colour=False, conformal=None):
    file = io.StringIO()
    console = Console(
        file=file, width=80, force_terminal=colour, color_system="truecolor" if colour else None, legacy_windows=False
    )
    info = JudgeInfo("tiny", rule or ThresholdRule(), conformal=conformal)
    console.print(render_judgement(solution, judgement, info))
    return file.getvalue()


def judged(solution, probs, **options):
    return Judgement(solution_id=solution.id, judge_id="tiny", verdict=Verdict.from_step_probs(probs), **options)


def test_numbers_marks_and_truth_are_shown():
    solution = LabelledSolution(
        problem="Pens?",
        steps=STEPS,
        labels=(StepLabel.NEUTRAL, StepLabel.ERROR, StepLabel.UNLABELLED),
        source="s",
        label_method="human",
    )
    text = shown(solution, judged(solution, [0.9, 0.8, 0.25]))
    lines = text.splitlines()
    (first,) = [i for i, line in enumerate(lines) if "labelled neutral" in line]
    assert lines[first].split()[:2] == ["0", "0.900"]
    assert any("0.800" in line and "◆ true first error" in line for line in lines)
    assert any("0.250" in line and "▶ judge's first error" in line for line in lines)
    assert "Judge tiny: first error at step 2 (P(ok) below 0.5, default)." in text
    assert "P(no error in any step) 0.180" in text  # 0.9 * 0.8 * 0.25
    assert "Truth: first error at step 1 (labelled by: human)." in text
    unsaid = solution.model_copy(update={"label_method": None})
    assert "(labelled by: unknown)." in shown(unsaid, judged(unsaid, [0.9, 0.8, 0.25]))


def test_both_marks_stand_on_a_step_found_exactly():
    solution = LabelledSolution(
        problem="Pens?", steps=("So 7.",), labels=(StepLabel.ERROR,), source="s", label_method="human"
    )
    (line,) = [line for line in shown(solution, judged(solution, [0.1])).splitlines() if "judge's first error" in line]
    assert "true first error" in line


def test_unlabelled_solution_has_no_truth_and_argmax_says_how():
    solution = Solution(problem="Pens?", steps=STEPS)
    text = shown(solution, judged(solution, [0.9, 0.9, 0.9]), ArgmaxRule())
    assert "Judge tiny: no error (most probable outcome, default)." in text
    assert "Truth" not in text


def test_reason_is_shown_where_there_is_no_verdict():
    solution = Solution(problem="Pens?", steps=STEPS)
    judgement = Judgement(solution_id=solution.id, judge_id="tiny", no_verdict=NoVerdictReason.TOO_LONG)
    text = shown(solution, judgement)
    assert "No verdict by tiny: too_long." in text
    assert "no error" not in text
    assert STEPS[1] in text


def test_index_set_and_certified_prefix_are_shown_where_the_card_has_them():
    solution = Solution(problem="Pens?", steps=STEPS)
    judgement = judged(solution, [0.9, 0.5, 0.5])  # posterior 0.1, 0.45, 0.225, 0.225: survival 0.9, 0.45, 0.225
    text = shown(solution, judgement, conformal=CONFORMAL)
    # Best first: step 1, step 2 with 0.45 above it, none with 0.675, step 0 with 0.9.
    assert "Index set (90 %, calibrated on 40 problems): steps 1-2 or no error." in text
    assert "Certified prefix (90 %, calibrated on 40 problems): step 0." in text
    wide = CONFORMAL.model_copy(update={"max_mass": 1.0, "min_survival": 1.0})
    text = shown(solution, judgement, conformal=wide)
    assert "problems): steps 0-2 or no error." in text and "problems): no step." in text
    narrow = CONFORMAL.model_copy(update={"max_mass": 0.0, "min_survival": 0.2})
    text = shown(solution, judgement, conformal=narrow)
    assert "problems): step 1." in text and "problems): steps 0-2." in text
    assert "Index set" not in shown(solution, judgement)


def test_an_index_set_with_a_gap_names_its_runs():
    solution = Solution(problem="Pens?", steps=("a", "b", "c", "d"))
    judgement = Judgement(solution_id="s", judge_id="tiny", verdict=Verdict(posterior=(0.3, 0.04, 0.3, 0.3, 0.06)))
    assert "problems): steps 0, 2-3." in shown(solution, judgement, conformal=CONFORMAL)


def test_without_a_verdict_anything_may_be_and_nothing_is_certified():
    solution = Solution(problem="Pens?", steps=STEPS)
    judgement = Judgement(solution_id=solution.id, judge_id="tiny", no_verdict=NoVerdictReason.TOO_LONG)
    text = shown(solution, judgement, conformal=CONFORMAL)
    assert "problems): steps 0-2 or no error." in text and "problems): no step." in text


def test_solution_without_steps_can_be_shown():
    solution = Solution(problem="Pens?", steps=())
    judgement = Judgement(solution_id=solution.id, judge_id="tiny", no_verdict=NoVerdictReason.EMPTY)
    assert "No verdict by tiny: empty." in shown(solution, judgement)


def test_steps_are_coloured_by_their_probability():
    solution = Solution(problem="Pens?", steps=STEPS)
    text = shown(solution, judged(solution, [1.0, 0.5, 0.0]), colour=True)
    for red_green_blue, step in zip(("20;130;200", "128;128;128", "213;94;0"), STEPS, strict=True):
        assert f"\x1b[38;2;{red_green_blue}m{step}" in text


@pytest.mark.parametrize("place", ["problem", "step"])
def test_hostile_text_is_inert(place):
    hostile = "[bold red]b[/] [link=file:x]l[/link] :bomb: \x1b[2J\x1b]0;t\x07 \x9b31m \r \u202e"
    solution = Solution(
        problem=hostile if place == "problem" else "Pens?", steps=(hostile if place == "step" else "x",)
    )
    text = shown(solution, judged(solution, [0.9]))
    assert "[bold red]b[/] [link=file:x]l[/link] :bomb:" in text
    assert "\\x1b[2J\\x1b]0;t\\x07" in text
    assert not set("\x1b\x07\x9b\r\u202e") & set(text)


def test_line_breaks_and_ordinary_scripts_stay():
    text = "a\r\nb\tc x² ≤ 3, 数学, नमस्ते, क\u200dष"
    assert visible(text) == text.replace("\r\n", "\n")
