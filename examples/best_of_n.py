"""Of several responses to a problem, take the one that a judge trusts most.

python examples/best_of_n.py runs/judge/judge responses.jsonl     # {"problem": "...", "responses": ["...", "..."]}
"""

import json
import sys
from pathlib import Path

from judgekit import Solution, load_judge, segment


def main(judge_name: str, rows: str) -> None:
    """Print the chosen response of each row, with P(no error); `null` where the judge has a verdict on none."""
    judge = load_judge(judge_name)
    for row in map(json.loads, Path(rows).read_text(encoding="utf-8").splitlines()):
        solutions = [  # a paragraph is a step; `segment` knows other rules
            Solution(problem=row["problem"], steps=[step.text for step in segment(response)])
            for response in row["responses"]
        ]
        trust = [None if said.verdict is None else said.verdict.p_none for said in judge.judge(solutions)]
        best = max(range(len(trust)), key=lambda i: -1.0 if trust[i] is None else trust[i])
        print(json.dumps({"problem": row["problem"], "best": row["responses"][best], "p_no_error": trust[best]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
