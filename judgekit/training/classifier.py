"""Trains a step-classifier judge: a token-classification head read at step ends, from any causal decoder.

A step is trained on only if every step before it is right, because P(step ok | earlier steps ok) is what the head
means: labels after the first error are ignored even where the data has them.
"""

from __future__ import annotations

import logging
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
from judgekit.types import LabelledSolution, ThresholdRule

logger = logging.getLogger(__name__)

ERROR, OK = 0, 1
"""Labels of the head."""
CHUNK = 1000


class TrainingRows(NamedTuple):
    """What a data set gives to the Trainer."""

    rows: list[TokenRow]
    """One a solution."""
    problems: set[tuple[str, str]]
    """Problems among them, under both names; see `judgekit.judges.problem_lists`."""
    counts: Counter[str]
    """`solutions`, `overlong_dropped`, `overlong_cut`, `steps_ok`, `steps_error`, `tokens`."""


def train_classifier(config: ClassifierConfig, output: Path, *, resume: bool = False) -> Path:
    """Train a judge and return its directory, `output/judge`.

    Raises:
        ConfigError: the output folder is in use, or the run resumed has another configuration.
        DataError: no label is left to learn from, or training and evaluation share problems.
        CheckpointError: the model to start from cannot be opened.
        JudgeError: training diverged.
    """
    inputs = [*config.data, *([config.eval_data] if config.eval_data else [])]
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
            f"training ended in weights that are no finite numbers, at lr={config.lr:g}: nothing is saved. Start anew "
            "with a lower lr, or a longer warmup"
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
            # Steps behind the first error lie outside "earlier steps ok", so their labels are not learned.
            end = len(positions_S) if solution.first_error is None else solution.first_error + 1
            for step, position in enumerate(positions_S[:end]):
                labels[position] = ERROR if step == solution.first_error else OK
                data.counts["steps_error" if step == solution.first_error else "steps_ok"] += 1
            data.counts["tokens"] += len(input_ids)
            data.rows.append({"input_ids": input_ids, "labels": labels})
            data.problems.add(names_of(solution))
    return data


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
            "error): a judge needs both"
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
        compute_loss_func=step_loss,
        callbacks=callbacks,
    )


def step_loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None) -> torch.Tensor:
    """Return the mean cross-entropy over labelled steps, nats; each step counts the same across accumulation and ranks.

    Args:
        outputs: Model output with `logits`. Shape (B, T, 2).
        labels: 0 error, 1 ok, -100 ignored. Shape (B, T).
        num_items_in_batch: Labelled steps of the whole optimiser step; `None` takes this batch's.
    """
    flat = labels.flatten()
    total = torch.nn.functional.cross_entropy(
        outputs.logits.flatten(0, 1).float(), flat, ignore_index=IGNORED, reduction="sum"
    )
    return total / (num_items_in_batch if num_items_in_batch is not None else (flat != IGNORED).sum().clamp(min=1))
