"""Makes a position prior: counts where first errors occur in labelled solutions and writes a judge directory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from sklearn.model_selection import GroupKFold

from judgekit.calibration.decision import fit_decision
from judgekit.calibration.fingerprint import fingerprint_of
from judgekit.errors import DataError
from judgekit.judges.card import JudgeCard, write_card
from judgekit.judges.position_prior import PositionPriorSpec, prior_verdict
from judgekit.judges.problem_lists import CALIBRATION_PROBLEMS, TRAIN_PROBLEMS, ProblemList, write_problems
from judgekit.metrics.localization import compute_localization
from judgekit.run import refuse_foreign
from judgekit.text.identity import group_problems
from judgekit.ties import is_tied
from judgekit.training.config import PriorConfig
from judgekit.training.floors import count_hazards
from judgekit.training.judge_files import read_labelled
from judgekit.types import ArgmaxRule, LabelledSolution, ThresholdRule, Verdict

Rule = ThresholdRule | ArgmaxRule


def build_prior(data: Path, output: Path, config: PriorConfig) -> JudgeCard:
    """Count hazards on a labelled data set, choose the decision rule and write the judge directory.

    The rule is that of threshold and argmax which has the higher ProcessBench F1 when hazards and threshold come from
    other problems than those decided on; argmax where both are equal. Both figures are in the card's `metrics`.

    Raises:
        ConfigError: the output folder is in use.
        DataError: there are only right or only wrong solutions, or of one problem.
    """
    # The card comes last: the lists alone are what a run that was killed has left.
    refuse_foreign(output, own=(TRAIN_PROBLEMS, CALIBRATION_PROBLEMS))
    solutions = list(read_labelled([data], config.n_max))
    n_wrong = sum(solution.first_error is not None for solution in solutions)
    n_problems = len(set(group_problems(solutions)))
    if not 0 < n_wrong < len(solutions) or n_problems < 2:
        raise DataError(
            f"a prior needs correct and wrong solutions of several problems, but {data} has {n_wrong} wrong ones of "
            f"{len(solutions)}, on {n_problems} problems: add data"
        )
    f1_argmax = _cross_fitted_f1(solutions, lambda _: ArgmaxRule(), config)
    f1_threshold = _cross_fitted_f1(solutions, lambda rest: _threshold(rest, config, data=data.name), config)
    hazards, fingerprint = count_hazards(solutions, config), fingerprint_of(data, solutions)
    threshold_is_better = f1_threshold > f1_argmax and not is_tied(f1_threshold, f1_argmax)
    card = JudgeCard(
        judge_id=config.judge_id or output.resolve().name,
        spec=PositionPriorSpec(by=config.by, hazards=hazards, fingerprint=fingerprint),
        decision=_threshold(solutions, config, data=data.name) if threshold_is_better else ArgmaxRule(),
        training={"config": config.model_dump(mode="json")},
        metrics={"f1_argmax_cross_fitted": f1_argmax, "f1_threshold_cross_fitted": f1_threshold},
    )
    for name in (TRAIN_PROBLEMS, CALIBRATION_PROBLEMS):  # rates and threshold are from the same problems
        write_problems(output / name, ProblemList.of(solutions))
    write_card(output, card)
    return card


def _verdicts(hazards: Sequence[float], solutions: Sequence[LabelledSolution], config: PriorConfig) -> list[Verdict]:
    return [prior_verdict(hazards, by=config.by, n_steps=len(solution.steps)) for solution in solutions]


def _threshold(solutions: Sequence[LabelledSolution], config: PriorConfig, *, data: str) -> Rule:
    """Return the best threshold rule on solutions; argmax where they are all correct or all wrong."""
    if len({solution.first_error is None for solution in solutions}) < 2:
        return ArgmaxRule()
    hazards = count_hazards(solutions, config)
    gold_N = [solution.first_error for solution in solutions]
    return fit_decision("threshold", _verdicts(hazards, solutions, config), gold_N=gold_N, origin=data)


def _cross_fitted_f1(
    solutions: Sequence[LabelledSolution], choose: Callable[[Sequence[LabelledSolution]], Rule], config: PriorConfig
) -> float:
    """Return ProcessBench F1, hazards and rule of each fold from the rest."""
    predicted_N: list[int | None] = [None] * len(solutions)
    problems = group_problems(solutions)
    n_folds = min(config.n_folds, len(set(problems)))
    for rest, fold in GroupKFold(n_folds).split(problems, groups=problems):
        known = [solutions[i] for i in rest]
        rule, hazards = choose(known), count_hazards(known, config)
        for i, verdict in zip(fold, _verdicts(hazards, [solutions[i] for i in fold], config), strict=True):
            predicted_N[i] = verdict.decide(rule)
    gold_N = [solution.first_error for solution in solutions]
    f1 = compute_localization(gold_N, predicted_N, judged_N=[True] * len(solutions)).f1
    assert f1 is not None
    return f1
