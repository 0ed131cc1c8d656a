"""Fits a likelihood judge: any causal language model, with two weights and a bias learned from labelled solutions."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from judgekit.engines.scoring.load import check_sizes, load_scorer, load_tokenizer
from judgekit.errors import CheckpointError, DataError
from judgekit.judges.card import JudgeCard
from judgekit.judges.golden import measure_golden
from judgekit.judges.problem_lists import ProblemList
from judgekit.judges.steps.encoding import make_convention
from judgekit.judges.steps.likelihood import LikelihoodJudge
from judgekit.judges.steps.specs import LikelihoodCard, LikelihoodSpec
from judgekit.run import Run, package_versions
from judgekit.training.config import LikelihoodConfig
from judgekit.training.judge_files import (
    JUDGE,
    evaluate_judge,
    read_labelled,
    refuse_one_kind,
    refuse_overlap,
    save_judge,
)
from judgekit.types import LabelledSolution

logger = logging.getLogger(__name__)


def fit_likelihood(config: LikelihoodConfig, output: Path, *, resume: bool = False) -> Path:
    """Fit the judge and return its directory, `output/judge`.

    Raises:
        ConfigError: the output folder is in use, or the run resumed has another configuration.
        DataError: every solution is too long, the steps are all of one kind, or evaluation shares problems.
        CheckpointError: the model cannot be opened.
    """
    inputs = [*config.data, *([config.eval_data] if config.eval_data else [])]
    run = Run(output, config, inputs=inputs, resume=resume)
    if run.finished:
        return output / JUDGE
    solutions = list(read_labelled(config.data, config.n_max))
    refuse_one_kind(solutions, "steps", purpose="a judge")
    tokenizer = load_tokenizer(config.model)
    model = load_scorer(config.model, dtype=config.dtype)
    check_sizes(model, tokenizer)
    eval_solutions = list(read_labelled([config.eval_data], config.n_eval_max)) if config.eval_data else []
    trained = ProblemList.of(solutions)
    refuse_overlap(trained, eval_solutions)
    spec = LikelihoodSpec(
        input=make_convention(
            tokenizer,
            separator=config.separator,
            problem_separator=config.problem_separator,
            max_tokens=config.max_tokens,
        ),
        fitted=LikelihoodCard(bias=0.0, max_weight=0.0, mean_weight=0.0),
    )
    card = JudgeCard(
        judge_id=config.judge_id or output.resolve().name,
        base_model=config.model,
        base_revision=getattr(model.config, "_commit_hash", None),
        spec=spec,
    )
    features_K, ok_K = reached_features(LikelihoodJudge(card, model, tokenizer), solutions)
    counts = {"solutions": len(solutions), "steps_ok": int(ok_K.sum()), "steps_error": int((~ok_K).sum())}
    section = fit_map(features_K, ok_K=ok_K)
    warning = find_odd_direction(section, features_K, ok_K=ok_K)
    if warning:
        logger.warning("%s: %s", card.judge_id, warning)
    training = {
        "config": config.model_dump(mode="json"),
        "counts": counts,
        "packages": package_versions(),
        "warnings": [warning] if warning else [],
    }
    card = card.model_copy(update={"spec": spec.model_copy(update={"fitted": section}), "training": training})
    judge = LikelihoodJudge(card, model, tokenizer)
    metrics = evaluate_judge(judge, eval_solutions, trained=solutions)
    # golden scores are float32's; `judgekit doctor --store` adds them later to a judge fitted in another precision
    golden = measure_golden(judge) if config.dtype == "float32" else ()
    card = card.model_copy(update={"metrics": metrics, "golden": golden})
    save_judge(output / JUDGE, card, model, tokenizer, trained)
    run.finish({"counts": counts, "metrics": metrics})
    return output / JUDGE


def reached_features(judge: LikelihoodJudge, solutions: Sequence[LabelledSolution]) -> tuple[np.ndarray, np.ndarray]:
    """Return features and labels of every step up to and including the first error. Shapes (K, 2) and (K,).

    Solutions to which the model gives probabilities that are not numbers are left out, with a warning.

    Raises:
        CheckpointError: the model gives no solution a finite probability.
        DataError: every solution is longer than the judge's context.
    """
    encoded_N = judge.encode(solutions)
    kept = [row for row, item in enumerate(encoded_N) if len(item.input_ids) <= judge.max_tokens]
    if not kept:
        raise DataError(f"all {len(solutions)} solutions are longer than max_tokens={judge.max_tokens}: raise it")
    features_K, ok_K, n_left_out = [], [], 0
    for row, features_S in zip(kept, judge.features([encoded_N[row] for row in kept]), strict=True):
        if not np.isfinite(features_S).all():
            n_left_out += 1
            continue
        first_error = solutions[row].first_error
        reached = features_S if first_error is None else features_S[: first_error + 1]
        features_K.append(reached)
        ok_K += [step != first_error for step in range(len(reached))]
    if n_left_out == len(kept):
        raise CheckpointError(
            f"the model of {judge.info.judge_id} gives a finite probability for none of {len(kept)} solutions: its "
            "weights are damaged, or too large for this precision"
        )
    if n_left_out:
        logger.warning("%d of %d solutions left out: the model gives no finite probability", n_left_out, len(kept))
    return np.concatenate(features_K), np.array(ok_K)


def fit_map(features_K: np.ndarray, *, ok_K: np.ndarray) -> LikelihoodCard:
    """Fit the logistic map from surprisal to P(step ok) without regularisation worth the name.

    Args:
        features_K: Largest and mean surprisal, nats. Shape (K, 2).
        ok_K: Whether the step is correct. Shape (K,).

    Raises:
        DataError: the steps are all correct or all wrong.
    """
    if ok_K.all() or not ok_K.any():
        raise DataError(
            f"all {len(ok_K)} steps are {'correct' if ok_K.all() else 'wrong'}: a judge needs both kinds, so add data"
        )
    fitted = LogisticRegression(C=1e3, max_iter=1000).fit(features_K, ok_K)
    max_weight, mean_weight = (float(weight) for weight in fitted.coef_[0])
    return LikelihoodCard(bias=float(fitted.intercept_[0]), max_weight=max_weight, mean_weight=mean_weight)


def find_odd_direction(section: LikelihoodCard, features_K: np.ndarray, *, ok_K: np.ndarray) -> str | None:
    """Say when a fitted map trusts steps more that surprise the model more, or is no better than none; else `None`.

    Args:
        section: The map.
        features_K: Largest and mean surprisal, nats. Shape (K, 2).
        ok_K: Whether the step is correct. Shape (K,).
    """
    slopes = np.array([section.max_weight, section.mean_weight])
    logits_K = section.bias + features_K @ slopes
    if np.ptp(logits_K) > 0 and np.corrcoef(logits_K, features_K.mean(axis=1))[0, 1] > 0:
        return (
            "the fit is reversed: it trusts steps more that surprise the model more. Either the labels mean the "
            "opposite, or the model's surprise says nothing about errors in these data"
        )
    loss = float(np.mean(np.logaddexp(0.0, np.where(ok_K, -logits_K, logits_K))))
    share = float(np.mean(ok_K))
    nothing = -(share * np.log(share) + (1 - share) * np.log(1 - share))
    # three numbers fitted to noise gain half of a nat each on average, over all steps
    if len(ok_K) * (nothing - loss) < 3.0:
        return (
            f"the fit is no better than chance: its log loss is {loss:.4f} on {len(ok_K)} steps, that of an "
            f"uninformative judge {nothing:.4f}. Give more solutions, or another model"
        )
    return None
