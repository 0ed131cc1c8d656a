"""Step-wise judges: open, train, calibrate and benchmark them. What is exported here is imported when it is asked for.

Example:
    >>> from judgekit import Solution, load_judge
    >>> judge = load_judge("builtin:symbolic")
    >>> [judgement] = judge.judge([Solution(problem="2+3-1?", steps=("2+3=6", "6-1=5"))])
    >>> judgement.verdict.decide(judge.info.decision)  # the first error is in the first step
    0
"""

from typing import TYPE_CHECKING

from judgekit.extensions import lazily
from judgekit.version import VERSION

__version__ = VERSION
_EXPORTS = {
    "Judge": "judgekit.judges.base:Judge",
    "JudgeInfo": "judgekit.judges.base:JudgeInfo",
    "Judgement": "judgekit.types:Judgement",
    "LabelledSolution": "judgekit.types:LabelledSolution",
    "NoVerdictReason": "judgekit.types:NoVerdictReason",
    "Solution": "judgekit.types:Solution",
    "Verdict": "judgekit.types:Verdict",
    "calibrate": "judgekit.training.api:calibrate",
    "evaluate": "judgekit_eval.api:evaluate",
    "load_judge": "judgekit.judges:load_judge",
    "train": "judgekit.training.api:train",
}
__all__ = [*_EXPORTS]

if TYPE_CHECKING:
    from judgekit.judges import load_judge as load_judge
    from judgekit.judges.base import Judge as Judge
    from judgekit.judges.base import JudgeInfo as JudgeInfo
    from judgekit.training.api import calibrate as calibrate
    from judgekit.training.api import train as train
    from judgekit.types import Judgement as Judgement
    from judgekit.types import LabelledSolution as LabelledSolution
    from judgekit.types import NoVerdictReason as NoVerdictReason
    from judgekit.types import Solution as Solution
    from judgekit.types import Verdict as Verdict
    from judgekit_eval.api import evaluate as evaluate
else:
    __getattr__ = lazily(__name__, _EXPORTS)
