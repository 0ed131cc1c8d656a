"""Judge a file of solutions and write a page of them, with coloured steps.

python examples/judge_to_html.py builtin:symbolic solutions.jsonl judged.html
"""

import io
import sys

from rich.console import Console

from judgekit import load_judge, read_solutions, render_judgement


def main(judge_name: str, data: str, page: str) -> None:
    """Judge a data set, or JSON lines with `problem` and `steps`; where there are `labels`, the page shows them."""
    judge = load_judge(judge_name)
    solutions = read_solutions(data)
    console = Console(record=True, width=110, file=io.StringIO())
    for solution, judgement in zip(solutions, judge.judge(solutions), strict=True):
        console.print(render_judgement(solution, judgement, judge.info))
    console.save_html(page)
    print(f"{len(solutions)} solutions: {page}")


if __name__ == "__main__":
    main(*sys.argv[1:])
