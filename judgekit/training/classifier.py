"""Trains a step-classifier judge: a token-classification head read at step ends, from any causal decoder.

A step is trained on only if every step before it is correct, because P(step ok | earlier steps ok) is what the head
means: labels after the first error are ignored even if the data has them. The steps of a weakly labelled solution have
no labels; what is known about it as a whole is used, see `weak_loss`.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from transformers import EarlyStoppingCallback, Trainer, set_seed

from judgekit.engines.scoring.encoded import Encoded
from judgekit.engines.scoring.load import HEAD, HeadedModel, check_sizes, load_classifier, load_tokenizer
from judgekit.errors import DataError, JudgeError
from judgekit.io import read_records
from judgekit.judges.card import JudgeCard
from judgekit.judges.golden import measure_golden
from judgekit.judges.problem_lists import ProblemList, names_of
from judgekit.judges.steps.classifier import StepClassifierJudge
from judgekit.judges.steps.encoding import encode_solutions, make_convention, show_encoded
from judgekit.judges.steps.layout import InputConvention
from judgekit.judges.steps.specs import StepClassifierSpec
from judgekit.run import Run, package_versions
from judgekit.training.config import ClassifierConfig
from judgekit.training.judge_files import (
    JUDGE,
    evaluate_judge,
    read_labelled,
    refuse_one_kind,
    refuse_overlap,
    save_judge,
)
from judgekit.training.language_model import IGNORED, Collator, TokenRow
from judgekit.training.loop import MetricsCallback, loop_arguments, train, warn_of_few_steps
from judgekit.types import LabelledSolution, ThresholdRule, WeakLabel, WeaklyLabelledSolution

logger = logging.getLogger(__name__)

ERROR, OK = 0, 1
"""Labels of the head."""
SOME_ERROR, NO_ERROR, RIGHT = 2, 3, 4
"""Labels of all steps of a weakly labelled solution: a step is wrong, none is, or the final answer is correct."""
CHUNK = 1000


class TrainingRows(NamedTuple):
    """What a data set gives to the Trainer."""

    rows: list[TokenRow]
    """One a solution."""
    problems: set[tuple[str, str]]
    """Problems among them, under both names; see `judgekit.judges.problem_lists`."""
    counts: Counter[str]
    """`solutions`, `overlong_dropped`, `overlong_cut`, `steps_ok`, `steps_error`, `tokens`; `weak_solutions`, of them
    `weak_overlong_dropped` and `weak_silent`, of which nothing is known."""


def train_classifier(config: ClassifierConfig, output: Path, *, resume: bool = False) -> Path:
    """Train a judge and return its directory, `output/judge`.

    Raises:
        ConfigError: the output folder is in use, or the run resumed has another configuration.
        DataError: no label is left to learn from, or training and evaluation share problems.
        CheckpointError: the model to start from cannot be opened.
        JudgeError: training diverged.
    """
    inputs = [*config.data, *config.weak, *([config.eval_data] if config.eval_data else [])]
    run = Run(output, config, inputs=inputs, resume=resume)
    if run.finished:
        return output / JUDGE
    refuse_one_kind(list(read_labelled(config.data, config.n_max)), "steps", purpose="a judge")
    tokenizer = load_tokenizer(config.model)
    convention = make_convention(
        tokenizer,
        separator=config.separator,
        problem_separator=config.problem_separator,
        max_tokens=config.max_judged_tokens,
    )
    encode = partial(
        build_rows,
        tokenizer=tokenizer,
        convention=convention,
        max_tokens=config.max_tokens,
        overlong=config.overlong,
    )
    data = encode(read_labelled(config.data, config.n_max))
    check_rows(data, tokenizer)
    weak = [row for path in config.weak for row in read_records(path, WeaklyLabelledSolution)]
    add_weak_rows(data, weak, tokenizer, convention, max_tokens=config.max_tokens)
    warn_of_few_steps(config, n_rows=len(data.rows))
    eval_solutions = list(read_labelled([config.eval_data], config.n_eval_max)) if config.eval_data else []
    trained = ProblemList(frozenset(data.problems))
    refuse_overlap(trained, eval_solutions)
    eval_rows = encode(eval_solutions).rows
    set_seed(config.seed)
    model = load_classifier(config.model, dtype="float32", n_labels=2, dropout=config.dropout)
    check_sizes(model, tokenizer)
    model.config.id2label, model.config.label2id = {ERROR: "error", OK: "ok"}, {"error": ERROR, "ok": OK}
    trainer = _make_trainer(model, config, run, data.rows, eval_rows, pad_id=tokenizer.pad_token_id or 0)
    train(trainer, run, report_to=config.report_to)
    if not all(parameter.isfinite().all() for parameter in model.parameters()):
        raise JudgeError(
            f"training ended in non-finite weights, at lr={config.lr:g}: nothing is saved. Start again with a lower "
            "lr, or a longer warmup"
        )
    card = JudgeCard(
        judge_id=config.judge_id or output.resolve().name,
        base_model=config.model,
        base_revision=getattr(model.config, "_commit_hash", None),
        spec=StepClassifierSpec(
            head=HEAD if isinstance(model, HeadedModel) else None, input=convention, ok_labels=(OK,)
        ),
        decision=ThresholdRule(threshold=0.5),
        training={
            "config": config.model_dump(mode="json"),
            "counts": dict(data.counts),
            "packages": package_versions(),
        },
    )
    judge = StepClassifierJudge(card, model.eval(), tokenizer)
    known = list(read_labelled(config.data, config.n_max)) if eval_solutions else []
    metrics = evaluate_judge(judge, eval_solutions, trained=known)
    card = card.model_copy(update={"metrics": metrics, "golden": measure_golden(judge)})
    save_judge(output / JUDGE, card, model, tokenizer, trained)
    run.finish({"counts": dict(data.counts), "metrics": card.metrics})
    return output / JUDGE


def build_rows(
    solutions: Iterator[LabelledSolution] | Sequence[LabelledSolution],
    tokenizer: Any,
    convention: InputConvention,
    *,
    max_tokens: int,
    overlong: Literal["drop", "keep_leading_steps"],
) -> TrainingRows:
    """Encode labelled solutions for the Trainer, chunk by chunk; see `ClassifierConfig` for the two limits."""
    data = TrainingRows([], set(), Counter())
    stream = iter(solutions)
    while chunk := list(islice(stream, CHUNK)):
        for solution, encoded in zip(chunk, encode_solutions(tokenizer, chunk, convention), strict=True):
            data.counts["solutions"] += 1
            positions_S = [position for position in encoded.positions_S if position < max_tokens]
            if len(encoded.input_ids) > max_tokens:
                if overlong == "drop" or not positions_S:
                    data.counts["overlong_dropped"] += 1
                    continue
                data.counts["overlong_cut"] += 1
            input_ids = encoded.input_ids[: positions_S[-1] + 1]
            labels = [IGNORED] * len(input_ids)
            # Steps behind the first error are outside "earlier steps ok", so their labels are not learned.
            end = len(positions_S) if solution.first_error is None else solution.first_error + 1
            for step, position in enumerate(positions_S[:end]):
                labels[position] = ERROR if step == solution.first_error else OK
                data.counts["steps_error" if step == solution.first_error else "steps_ok"] += 1
            data.counts["tokens"] += len(input_ids)
            data.rows.append({"input_ids": input_ids, "labels": labels})
            data.problems.add(names_of(solution))
    return data


def add_weak_rows(
    data: TrainingRows,
    solutions: Sequence[WeaklyLabelledSolution],
    tokenizer: Any,
    convention: InputConvention,
    *,
    max_tokens: int,
) -> None:
    """Encode weakly labelled solutions, each step with the label of the whole; counts of rollouts are not read.

    A longer solution is left out whatever `overlong` says: the error may be in what would be cut off.
    """
    for solution, encoded in zip(solutions, encode_solutions(tokenizer, solutions, convention), strict=True):
        data.counts["weak_solutions"] += 1
        label = {WeakLabel.SOME_ERROR: SOME_ERROR, WeakLabel.NO_ERROR: NO_ERROR}.get(solution.known)
        if label is None and solution.final_answer_correct:
            label = RIGHT
        if label is None or len(encoded.input_ids) > max_tokens:
            data.counts["weak_silent" if label is None else "weak_overlong_dropped"] += 1
            continue
        input_ids = encoded.input_ids[: encoded.positions_S[-1] + 1]
        labels = [IGNORED] * len(input_ids)
        for position in encoded.positions_S:
            labels[position] = label
        data.counts["tokens"] += len(input_ids)
        data.rows.append({"input_ids": input_ids, "labels": labels})
        data.problems.add(names_of(solution))


def check_rows(data: TrainingRows, tokenizer: Any) -> None:
    """Refuse a run that could learn nothing, and log one decoded example.

    Raises:
        DataError: every solution was dropped, or the labels are all of one kind.
    """
    if not data.rows:
        raise DataError(
            f"no solution is left to train on: {data.counts['overlong_dropped']} of {data.counts['solutions']} are "
            "longer than max_tokens; raise it, or set overlong=keep_leading_steps"
        )
    if not data.counts["steps_ok"] or not data.counts["steps_error"]:
        raise DataError(
            f"the labels that count are all of one kind ({data.counts['steps_ok']} ok, {data.counts['steps_error']} "
            "error): a judge needs both kinds, so add data"
        )
    first = data.rows[0]
    positions_S = [i for i, label in enumerate(first["labels"]) if label != IGNORED]
    shown = show_encoded(tokenizer, Encoded(first["input_ids"], positions_S))
    logger.info("first example, ⟦k⟧ where step k is read and learned:\n%s", shown)
    logger.info("training data: %s", dict(data.counts))


def _make_trainer(
    model: Any, config: ClassifierConfig, run: Run, rows: list[Any], eval_rows: list[Any], *, pad_id: int
) -> Trainer:
    callbacks: list[Any] = [MetricsCallback(run, "train")]
    options: dict[str, Any] = {}
    if eval_rows:
        options |= {"eval_strategy": "steps", "eval_steps": config.eval_every}
    if eval_rows and config.patience is not None:
        callbacks.append(EarlyStoppingCallback(early_stopping_patience=config.patience))
        options |= {"load_best_model_at_end": True, "save_strategy": "steps", "save_steps": config.eval_every}
        options["restore_callback_states_from_checkpoint"] = True  # a resumed run keeps counting its patience
    return Trainer(
        model=model,
        args=loop_arguments(config, run.output, **options),
        train_dataset=rows,
        eval_dataset=eval_rows or None,
        data_collator=Collator(pad_id=pad_id),
        compute_loss_func=partial(
            step_loss, weak_weight=config.weak_weight, right_despite_error=config.right_despite_error
        ),
        callbacks=callbacks,
    )


def step_loss(
    outputs: Any,
    labels: torch.Tensor,
    num_items_in_batch: torch.Tensor | int | None = None,
    *,
    weak_weight: float = 1.0,
    right_despite_error: float = 1.0,
) -> torch.Tensor:
    """Return the mean loss of labelled steps, nats; each step counts the same across accumulation and ranks.

    Cross-entropy where the step's own label is known; for a weakly labelled solution `weak_loss`, once.

    Args:
        outputs: Model output with `logits`. Shape (B, T, 2).
        labels: 0 error, 1 ok, 2 to 4 at all steps of a weakly labelled solution, -100 ignored. Shape (B, T).
        num_items_in_batch: Labelled steps of the whole optimiser step; `None` takes this batch's.
        weak_weight: What a weakly labelled solution counts.
        right_despite_error: See `weak_loss`.
    """
    logits, n_items = outputs.logits.float(), (labels != IGNORED).sum().clamp(min=1)
    exact = labels.where(labels <= OK, IGNORED).flatten()
    total = torch.nn.functional.cross_entropy(logits.flatten(0, 1), exact, ignore_index=IGNORED, reduction="sum")
    is_weak_B = (labels > OK).any(dim=1)
    if is_weak_B.any():
        logit_B_T = logits[is_weak_B, :, OK] - logits[is_weak_B, :, ERROR]
        lost_B = weak_loss(logit_B_T, labels[is_weak_B], right_despite_error=right_despite_error)
        total = total + weak_weight * lost_B.sum()
    return total / (num_items_in_batch if num_items_in_batch is not None else n_items)


def weak_loss(logit_B_T: torch.Tensor, labels_B_T: torch.Tensor, *, right_despite_error: float) -> torch.Tensor:
    """Return -log P(what is known of the whole solution), the place of its first error summed out, nats. Shape (B,).

    `SOME_ERROR`: 1 - P(none). `NO_ERROR`: P(none). `RIGHT`: P(none) + r (1 - P(none)), with r the rate at which a
    solution with an error has a correct answer. 1 - P(none) is summed in log space over the steps that may be the first
    wrong one: where P(none) is 1 to the last bit, the difference would be 0 and its logarithm minus infinity.

    Args:
        logit_B_T: logit P(step ok | earlier steps ok) at each token.
        labels_B_T: One of the three at each step's token, the same at all of a solution; else -100.
        right_despite_error: r, in [0, 1].
    """
    is_step_B_T = labels_B_T > OK
    log_ok_B_T = torch.nn.functional.logsigmoid(logit_B_T).where(is_step_B_T, 0.0)
    log_none_B = log_ok_B_T.sum(dim=1)
    log_error_B_T = torch.nn.functional.logsigmoid(-logit_B_T) + log_ok_B_T.cumsum(dim=1) - log_ok_B_T
    log_some_B = log_error_B_T.masked_fill(~is_step_B_T, -torch.inf).logsumexp(dim=1)
    label_B = labels_B_T.amax(dim=1)
    log_known_B = torch.where(label_B == SOME_ERROR, log_some_B, log_none_B)
    if right_despite_error > 0:
        either_B = torch.logaddexp(log_none_B, log_some_B + math.log(right_despite_error))
        log_known_B = torch.where(label_B == RIGHT, either_B, log_known_B)
    return -log_known_B
