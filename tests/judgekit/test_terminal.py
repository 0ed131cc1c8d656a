import io

import pytest
from rich.console import Console

from judgekit.terminal import render_judgement, visible
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


def shown(solution, judgement, rule=None, *, colour=False):
    file = io.StringIO()
    console = Console(
        file=file, width=80, force_terminal=colour, color_system="truecolor" if colour else None, legacy_windows=False
    )
    console.print(render_judgement(solution, judgement, rule=rule or ThresholdRule()))
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
