"""Fits a likelihood judge: any causal language model, two weights and a bias learned from labelled solutions."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from judgekit.engines.transformers_engine import check_sizes, load_scorer, load_tokenizer
from judgekit.errors import CheckpointError, DataError
from judgekit.golden import measure_golden
from judgekit.judges.card import JudgeCard, LikelihoodCard
from judgekit.judges.encoding import make_convention
from judgekit.judges.likelihood import LikelihoodJudge
from judgekit.problem_lists import ProblemList
from judgekit.run import Run, package_versions
from judgekit.training.config import LikelihoodConfig
from judgekit.training.judge import JUDGE
from judgekit.training.judge_files import evaluate_judge, read_labelled, refuse_overlap, save_judge
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
    tokenizer = load_tokenizer(config.model)
    model = load_scorer(config.model, dtype=config.dtype)
    check_sizes(model, tokenizer)
    solutions = list(read_labelled(config.data, config.n_max))
    eval_solutions = list(read_labelled([config.eval_data], config.n_eval_max)) if config.eval_data else []
    trained = ProblemList.of(solutions)
    refuse_overlap(trained, eval_solutions)
    card = JudgeCard(
        kind="likelihood",
        judge_id=config.judge_id or output.resolve().name,
        base_model=config.model,
        base_revision=getattr(model.config, "_commit_hash", None),
        input=make_convention(
            tokenizer,
            separator=config.separator,
            problem_separator=config.problem_separator,
            max_tokens=config.max_tokens,
        ),
        likelihood=LikelihoodCard(bias=0.0, max_weight=0.0, mean_weight=0.0),
    )
    features_K, ok_K = reached_features(LikelihoodJudge(card, model, tokenizer), solutions)
    counts = {"solutions": len(solutions), "steps_ok": int(ok_K.sum()), "steps_error": int((~ok_K).sum())}
    training = {"config": config.model_dump(mode="json"), "counts": counts, "packages": package_versions()}
    card = card.model_copy(update={"likelihood": fit_map(features_K, ok_K=ok_K), "training": training})
    judge = LikelihoodJudge(card, model, tokenizer)
    metrics = evaluate_judge(judge, eval_solutions)
    # golden scores are float32's; `judgekit doctor --store` adds them later to a judge fitted in another precision
    golden = measure_golden(judge) if config.dtype == "float32" else ()
    card = card.model_copy(update={"metrics": metrics, "golden": golden})
    save_judge(output / JUDGE, card, model, tokenizer, trained)
    run.finish({"counts": counts, "metrics": metrics})
    return output / JUDGE


def reached_features(judge: LikelihoodJudge, solutions: Sequence[LabelledSolution]) -> tuple[np.ndarray, np.ndarray]:
    """Return features and labels of every step up to and including the first error. Shapes (K, 2) and (K,).

    Solutions to which the model gives probabilities that are no numbers are left out, with a warning.

    Raises:
        CheckpointError: the model gives no solution a finite probability.
        DataError: every solution is longer than the judge's context.
    """
    encoded_N = judge.encode(solutions)
    kept = [row for row, item in enumerate(encoded_N) if len(item.input_ids) <= judge.max_tokens]
    if not kept:
        raise DataError(f"all {len(solutions)} solutions are longer than max_tokens={judge.max_tokens}")
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
            f"the model of {judge.judge_id} gives none of {len(kept)} solutions a finite probability: its weights are "
            "damaged, or too large for this precision"
        )
    if n_left_out:
        logger.warning("%d of %d solutions left out: the model gives no finite probability", n_left_out, len(kept))
    return np.concatenate(features_K), np.array(ok_K)


def fit_map(features_K: np.ndarray, *, ok_K: np.ndarray) -> LikelihoodCard:
    """Fit the logistic map from surprisal to P(step ok) without regularisation worth the name.

    Args:
        features_K: Largest and mean surprisal, nats. Shape (K, 2).
        ok_K: Whether the step is right. Shape (K,).

    Raises:
        DataError: the steps are all right or all wrong.
    """
    if ok_K.all() or not ok_K.any():
        raise DataError(f"all {len(ok_K)} steps are {'right' if ok_K.all() else 'wrong'}: a judge needs both kinds")
    fitted = LogisticRegression(C=1e3, max_iter=1000).fit(features_K, ok_K)
    max_weight, mean_weight = (float(weight) for weight in fitted.coef_[0])
    return LikelihoodCard(bias=float(fitted.intercept_[0]), max_weight=max_weight, mean_weight=mean_weight)


__all__ = ["fit_likelihood", "fit_map", "reached_features"]
