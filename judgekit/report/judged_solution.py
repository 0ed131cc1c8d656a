"""Shows one judged solution on a page, its steps coloured by the judge's probability; `terminal` does it in a terminal.

The look is that of the evaluation report's browser of solutions, without a script: on paper and in a mail it is there.
"""

from __future__ import annotations

from judgekit.report.page import escape
from judgekit.report.terminal import place, step_marks, visible
from judgekit.types import Judgement, LabelledSolution, Solution


def judged_solution(solution: Solution, judgement: Judgement, *, predicted: int | None) -> str:
    """Return the problem, each step with P(ok) as colour and number, and where judge and labels put the first error.

    Args:
        solution: The solution; true labels are shown where it is a `LabelledSolution`.
        judgement: What a judge said about it.
        predicted: First error that follows by the rule that decided, 0-based; `None` = no error. It counts for nothing
            where there is no verdict.
    """
    verdict = judgement.verdict
    if verdict is None:
        said = f"No verdict: {judgement.no_verdict}"
    else:
        said = f"Judge: {place(predicted)}, P(no error) {verdict.p_none:.2f}"
    lines = [said]
    if isinstance(solution, LabelledSolution):
        lines.append(f"Truth: {place(solution.first_error)}")
    steps = []
    for index, text in enumerate(solution.steps):
        marks = step_marks(solution, index, predicted if verdict else None)
        tags = [f'<span class="dim">step {index}</span>']
        look = ""
        if verdict is not None:
            prob = verdict.p_ok_S[index]
            # Eleven shades, for the page's policy allows no style but that of its own sheet.
            look = f" {'wrong' if prob < 0.5 else 'right'} shade-{round(10 * abs(2 * prob - 1))}"
            tags.append(f'<span class="chip number">P(ok) {prob:.3f}</span>')
        tags += [f'<span class="mark">{escape(mark)}</span>' for mark in marks]
        steps.append(
            f'<li class="step{look}"><div class="stripes"><div class="stripe"></div></div><div class="body">'
            f'<div class="head">{"".join(tags)}</div><div class="text">{escape(visible(text))}</div></div></li>'
        )
    heads = "".join(f'<div class="verdict">{escape(line)}</div>' for line in lines)
    problem = f'<div class="problem text">{escape(visible(solution.problem))}</div>'
    return f'{heads}{problem}<ol class="steps">{"".join(steps)}</ol>'
