"""Step-wise judges: make data, open, train, calibrate and benchmark. Exported names are imported when first used.

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
    "SegmentationConfig": "judgekit.text.segmentation:SegmentationConfig",
    "Solution": "judgekit.types:Solution",
    "Verdict": "judgekit.types:Verdict",
    "build": "judgekit_datasets.api:build",
    "calibrate": "judgekit.training.api:calibrate",
    "certified_steps": "judgekit.calibration.conformal:certified_steps",
    "evaluate": "judgekit_eval.api:evaluate",
    "index_set": "judgekit.calibration.conformal:index_set",
    "load_judge": "judgekit.judges:load_judge",
    "read_records": "judgekit.io:read_records",
    "read_solutions": "judgekit.judging.run:read_solutions",
    "render_judgement": "judgekit.report.terminal:render_judgement",
    "segment": "judgekit.text.segmentation:segment",
    "split": "judgekit_datasets.split:split",
    "train": "judgekit.training.api:train",
    "write_records": "judgekit.io:write_records",
}
__all__ = [*_EXPORTS]

if TYPE_CHECKING:
    from judgekit.calibration.conformal import certified_steps as certified_steps
    from judgekit.calibration.conformal import index_set as index_set
    from judgekit.io import read_records as read_records
    from judgekit.io import write_records as write_records
    from judgekit.judges import load_judge as load_judge
    from judgekit.judges.base import Judge as Judge
    from judgekit.judges.base import JudgeInfo as JudgeInfo
    from judgekit.judging.run import read_solutions as read_solutions
    from judgekit.report.terminal import render_judgement as render_judgement
    from judgekit.text.segmentation import SegmentationConfig as SegmentationConfig
    from judgekit.text.segmentation import segment as segment
    from judgekit.training.api import calibrate as calibrate
    from judgekit.training.api import train as train
    from judgekit.types import Judgement as Judgement
    from judgekit.types import LabelledSolution as LabelledSolution
    from judgekit.types import NoVerdictReason as NoVerdictReason
    from judgekit.types import Solution as Solution
    from judgekit.types import Verdict as Verdict
    from judgekit_datasets.api import build as build
    from judgekit_datasets.split import split as split
    from judgekit_eval.api import evaluate as evaluate
else:
    __getattr__ = lazily(__name__, _EXPORTS)
