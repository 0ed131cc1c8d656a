"""Draws `docs/pictures/judged.svg`: a solution as a judge sees it, with the chance that each step is the first error.

`python docs/make_pictures.py [JUDGE]`; without a judge it is `builtin:symbolic`, which recomputes stated arithmetic.
"""

from __future__ import annotations

import sys
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from judgekit import Solution, load_judge

PROBLEM = "A baker makes 24 rolls a day for 5 days and sells 87 of them. The rest go into bags of 3. How many bags?"
STEPS = (
    "In 5 days there are 24 * 5 = 120 rolls.",
    "After the sale 120 - 87 = 43 rolls are left.",
    "In bags of 3 these are 43 / 3 = 14.33, so 14 full bags.",
    "The answer is 14.",
)
PICTURE = Path(__file__).parent / "pictures" / "judged.svg"
OK, ERROR, BEHIND = "#2e7d32", "#c62828", "#757575"


def draw(judge_name: str) -> None:
    """Judge the solution and write the picture."""
    judge = load_judge(judge_name)
    [judgement] = judge.judge([Solution(problem=PROBLEM, steps=STEPS)])
    assert judgement.verdict is not None, "the judge says nothing about this solution"
    first_error = judgement.verdict.decide(judge.info.decision)
    with rc_context({"svg.hashsalt": "judged", "font.size": 11}):
        figure = Figure(figsize=(9, 3.4))
        axes = figure.add_axes((0.01, 0.02, 0.98, 0.96))
        axes.set(xlim=(0, 100), ylim=(len(STEPS) + 1.1, -0.9))
        axes.axis("off")
        axes.text(1, -0.4, PROBLEM, style="italic", va="center")
        axes.text(99, 0.35, "P(first error here)", ha="right", va="center", color=BEHIND, fontsize=9)
        for row, (text, prob) in enumerate(zip((*STEPS, "no error"), judgement.verdict.posterior, strict=True)):
            y = row + 0.9
            is_step = row < len(STEPS)
            behind = first_error is not None and row > first_error
            colour = BEHIND if behind or not is_step else ERROR if row == first_error else OK
            if is_step:
                axes.barh(y, 66, left=1, height=0.7, color=colour + "22", edgecolor=colour)
            axes.text(2.5, y, text, va="center", color=colour if is_step else BEHIND)
            axes.barh(y, 24 * prob, left=69, height=0.4, color=colour)
            axes.text(99, y, f"{prob:.2f}", ha="right", va="center", color=colour)
        PICTURE.parent.mkdir(exist_ok=True)
        figure.savefig(PICTURE, metadata={"Date": None}, facecolor="white")


if __name__ == "__main__":
    draw(sys.argv[1] if len(sys.argv) > 1 else "builtin:symbolic")
