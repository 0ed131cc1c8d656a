"""One rank of the two-process test: runs commands, then writes what it judged. Run by torchrun: JUDGE DATA OUTPUT."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from judgekit import cli
from judgekit.errors import JudgeError
from judgekit.judges import load_judge
from judgekit.judges.base import JudgeInfo
from judgekit.judges.shared import share_judge
from judgekit.judges.steps.by_step import StepLogitJudge
from judgekit.types import Judgement, Solution, ThresholdRule
from tests.judgekit.samples import addition

SEEN: list[str] = []


def main(judge: str, data: str, output: Path) -> None:
    judged = StepLogitJudge.judge

    def watched(self: StepLogitJudge, solutions: Sequence[Solution]) -> list[Judgement]:
        SEEN.extend(solution.id for solution in solutions)
        return judged(self, solutions)

    StepLogitJudge.judge = watched
    judging = ["judge", "--judge", judge, "--input", data]
    judges = ["--judge", judge, "--judge", "builtin:first-step"]
    status = [
        cli.main([*judging, "--output", str(output / "judge"), "chunk_size=16", "--show", "0"]),
        cli.main(["eval", *judges, "--output", str(output / "eval"), "--benchmark", "additions", data]),
        cli.main([*judging, "--output", str(output / "judge"), "chunk_size=16"]),  # refused: it is in use
    ]
    rank = os.environ["RANK"]
    found = {"status": status, "seen": SEEN, "error": error_of(broken), "alive": error_of(lambda: load_judge(judge))}
    (output / f"rank{rank}.json").write_text(json.dumps(found))


class broken:  # noqa: N801
    """A judge that fails in the second process alone."""

    info = JudgeInfo("broken", ThresholdRule())

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        if os.environ["RANK"] == "1":
            raise JudgeError("the second process is out of memory")
        return []


def error_of(load) -> str | None:
    try:
        with share_judge(load) as judge:
            if judge is not None:
                judge.judge([addition(number) for number in range(4)])
    except JudgeError as error:
        return str(error)
    return None


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
