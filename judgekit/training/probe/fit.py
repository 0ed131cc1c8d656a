"""Fits a probe judge: features of a frozen language model and of the text, a head, and unbiased metrics of both."""

from __future__ import annotations

import logging
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict
from safetensors.numpy import save_file

from judgekit.engines.scoring.identity import model_id
from judgekit.engines.scoring.load import check_sizes, load_scorer, load_tokenizer
from judgekit.errors import DataError
from judgekit.io import atomic_path, read_records
from judgekit.judges.card import JudgeCard
from judgekit.judges.golden import measure_golden
from judgekit.judges.probe.heads import Floats
from judgekit.judges.probe.judge import ProbeJudge, Seen
from judgekit.judges.probe.spec import HEAD_FILE, ProbeSpec
from judgekit.judges.problem_lists import CALIBRATION_PROBLEMS, ProblemList, write_problems
from judgekit.judges.steps.encoding import make_convention
from judgekit.judges.steps.layout import ChatTurns, JudgeInput, TemplateInput
from judgekit.metrics.bootstrap import Interval, Resamples, percentile_interval
from judgekit.metrics.localization import count_hits, localization_rates
from judgekit.progress import Progress, track
from judgekit.run import Run, package_versions
from judgekit.store import Store
from judgekit.text.identity import group_problems
from judgekit.text.prompts import ChatPrompt
from judgekit.training.config import HeadKind, ProbeConfig
from judgekit.training.floors import FLOORS, cross_fit_floor
from judgekit.training.judge_files import (
    JUDGE,
    evaluate_judge,
    read_labelled,
    refuse_one_kind,
    refuse_overlap,
    save_judge,
)
from judgekit.training.probe.evidence import Reading, Weak
from judgekit.training.probe.heads import Honest, Labelled, cross_fit, fit_probe, folds, log_losses, nested
from judgekit.types import LabelledSolution, Solution, WeakLabel, WeaklyLabelledSolution

logger = logging.getLogger(__name__)

FEATURES_AT_ONCE = 32
"""Solutions whose features are computed, and kept in case of a kill, at a time."""
N_RESAMPLES = 2000
"""Resamples of problems behind an interval."""
AGAINST = ("symbolic/fault", "surprisal/largest surprisal of digits", "surprisal/share beyond tenth choice")
"""Features, or what stands before their colon, that can only speak against a step. Trees are held to that."""


AnySolution = TypeVar("AnySolution", bound=Solution)


class SolutionFeatures(BaseModel):
    """What a head is given of one solution, as it is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    solution_id: str
    """The solution."""
    columns: dict[str, tuple[float, ...]]
    """Each feature of all steps, by name."""
    hidden: str | None
    """Hidden states: float32 of shape (n_steps, ...), little-endian, base64."""

    @classmethod
    def of(cls, solution_id: str, seen: Seen) -> Self:
        """Keep what a judge saw."""
        hidden = None if seen.hidden_S is None else b64encode(seen.hidden_S.astype("<f4").tobytes()).decode()
        return cls(solution_id=solution_id, columns={k: tuple(v) for k, v in seen.columns.items()}, hidden=hidden)

    def stacked(self) -> Floats:
        """Return features and hidden states in one array. Shape (S, F)."""
        columns = {name: np.array(values) for name, values in self.columns.items()}
        n_steps = len(next(iter(columns.values())))
        flat = None if self.hidden is None else np.frombuffer(b64decode(self.hidden), dtype="<f4")
        return Seen(columns, None if flat is None else flat.reshape(n_steps, -1).astype(np.float64)).stacked()


def train_probe(config: ProbeConfig, output: Path, *, resume: bool = False) -> Path:
    """Fit the judge and return its directory, `output/judge`.

    Features are kept in the run's folder, so that a killed run computes none twice. The card's `metrics` are of the
    evaluation data where there are some; what the judge promises on data like those it was fitted on stands in
    `training.cross_fitted`, what judges that read nothing reach in the same folds under the names of
    `judgekit.training.floors.FLOORS`, and what each group of features is worth in `training.ablation`: see
    `judgekit.training.probe.heads.nested`.

    Raises:
        ConfigError: the output folder is in use, or the run resumed has another configuration.
        DataError: every solution is too long, the solutions are all of one kind, or evaluation shares problems.
        CheckpointError: the model cannot be opened, or gives no finite probabilities.
    """
    inputs = [*config.data, *config.weak, *([config.eval_data] if config.eval_data else [])]
    run = Run(output, config, inputs=inputs, resume=resume)
    if run.finished:
        return output / JUDGE
    solutions = list(read_labelled(config.data, config.n_max))
    refuse_one_kind(solutions, "solutions", purpose="a probe judge")
    tokenizer = load_tokenizer(config.model)
    model = load_scorer(config.model, dtype=config.dtype)
    check_sizes(model, tokenizer)
    eval_solutions = list(read_labelled([config.eval_data], config.n_eval_max)) if config.eval_data else []
    weak_by_source = [list(read_records(path, WeaklyLabelledSolution)) for path in config.weak]
    trained = ProblemList.of([*solutions, *chain(*weak_by_source)])
    refuse_overlap(trained, eval_solutions)
    layout: JudgeInput
    if config.prompt is None:
        layout = make_convention(
            tokenizer,
            separator=config.separator,
            problem_separator=config.problem_separator,
            max_tokens=config.max_tokens,
        )
    else:
        chat = ChatTurns(system=config.prompt.system) if isinstance(config.prompt, ChatPrompt) else None
        layout = TemplateInput(
            layout="template",
            begin=config.prompt.template,
            between=config.separator,
            chat=chat,
            add_special_tokens=chat is None,  # as `encode_prompt` does
            max_tokens=config.max_tokens,
        )
    layers = config.layers if "hidden" in config.features else ()
    spec = ProbeSpec(
        input=layout,
        features=config.features,
        layers=layers,
        names=("not fitted yet",),
        feature_cache=config.feature_cache,
    )
    card = JudgeCard(
        judge_id=config.judge_id or output.resolve().name,
        base_model=config.model,
        base_revision=getattr(model.config, "_commit_hash", None),
        spec=spec,
    )
    judge = ProbeJudge(card, model, tokenizer, progress=False)
    kept, store = keep_features(judge, solutions, output / "features")
    data, names = features_of(kept, store)
    data, weak = weak_features(judge, kept, data, weak_by_source, output / "features")
    readings = [Reading(weight, config.right_despite_error) for weight in config.weak_weights]
    options: Any = {"kinds": config.heads, "decision": config.decision, "n_folds": config.n_folds, "seed": config.seed}
    fitted = fit_probe(data, weak, readings=readings, **options)
    honest = nested(data, weak, readings=readings, **options)
    metrics: dict[str, Any] = {
        "cross_fitted": {name: item._asdict() for name, item in honest_metrics(data, honest).items()}
    }
    for floor in FLOORS:
        # in the very folds of `nested`, so that the difference is what reading is worth
        below = cross_fit_floor(floor, kept, folds(data, n_folds=config.n_folds, seed=config.seed))
        said = Honest([verdict for verdict, _ in below], [verdict.decide(rule) for verdict, rule in below])
        metrics[floor] = {name: item._asdict() for name, item in honest_metrics(data, said).items()}
    if weak is not None:
        with_N = log_losses(honest.verdicts_N, data.gold_N)
        metrics["weak"] = {}
        for source, (path, reading) in enumerate(zip(config.weak, fitted.readings, strict=True)):
            others = weak.take(i for i, of in enumerate(weak.source_N) if of != source)
            without = nested(data, others if len(others) else None, readings=readings, **options)
            metrics["weak"][str(path)] = {
                "solutions": weak.source_N.count(source),
                **reading._asdict(),
                "worth": mean_rise(data, log_losses(without.verdicts_N, data.gold_N) - with_N)._asdict(),
            }
    if config.ablation:
        worth = measure_groups(data, names, kind=fitted.kind, n_folds=config.n_folds, seed=config.seed)
        metrics["ablation"] = {group: interval._asdict() for group, interval in worth.items()}
    counts = {"solutions": len(kept), "left_out": len(solutions) - len(kept), "problems": len(set(data.group_N))}
    training = {
        "config": config.model_dump(mode="json"),
        "counts": counts,
        "head": fitted.kind,
        "packages": package_versions(),
        **metrics,
    }
    spec = spec.model_copy(update={"names": names, "frozen_model": model_id(model)})
    card = card.model_copy(update={"spec": spec, "decision": fitted.rule, "training": training})
    judge = ProbeJudge(card, model, tokenizer)
    judge.head = fitted.head
    card = card.model_copy(update={"metrics": evaluate_judge(judge, eval_solutions, trained=solutions)})
    # golden scores are float32's; `judgekit doctor --store` adds them later to a judge fitted in another precision
    golden = measure_golden(judge) if config.dtype == "float32" else ()
    directory = output / JUDGE
    directory.mkdir(exist_ok=True)
    with atomic_path(directory / HEAD_FILE) as partial:
        save_file(fitted.head.arrays(), partial)
    write_problems(directory / CALIBRATION_PROBLEMS, trained)  # the threshold comes from the same problems
    # a card that names a folder to write would go nowhere else
    spec = spec.model_copy(update={"feature_cache": None})
    save_judge(directory, card.model_copy(update={"golden": golden, "spec": spec}), model, tokenizer, trained)
    run.finish({"counts": counts, "metrics": card.metrics, **metrics})
    return directory


def keep_features(
    judge: ProbeJudge, solutions: Sequence[AnySolution], folder: Path
) -> tuple[list[AnySolution], Store[SolutionFeatures]]:
    """Compute what is not in the folder yet, and return the solutions that the judge can read with all features.

    Raises:
        DataError: no solution can be read; blank and too long ones cannot.
        CheckpointError: the model gives some solution no finite probabilities.
    """
    store = Store(folder, SolutionFeatures, key=lambda item: item.solution_id)
    encoded = dict(zip((s.id for s in solutions), judge.encode(solutions), strict=True))
    readable = [s for s in solutions if not s.is_blank and len(encoded[s.id].input_ids) <= judge.max_tokens]
    if not readable:
        raise DataError(f"none of {len(solutions)} solutions has a text of at most max_tokens={judge.max_tokens}")
    if len(readable) < len(solutions):
        logger.warning("%d of %d solutions are blank or too long", len(solutions) - len(readable), len(solutions))
    todo = [s.id for s in readable if s.id not in store]
    todo.sort(key=lambda key: len(encoded[key].input_ids))  # what runs out of memory does so at the end
    with Progress("features", len(readable), done=len(readable) - len(todo), disable=not todo) as progress:
        for start in range(0, len(todo), FEATURES_AT_ONCE):
            keys = todo[start : start + FEATURES_AT_ONCE]
            seen_N = judge.features([encoded[key] for key in keys])
            store.add([SolutionFeatures.of(key, seen) for key, seen in zip(keys, seen_N, strict=True)])
            progress.advance(len(keys))
    return readable, store


def features_of(
    solutions: Sequence[LabelledSolution], store: Store[SolutionFeatures]
) -> tuple[Labelled, tuple[str, ...]]:
    """Return kept features as a head sees them, and the name of each, `group/name`, hidden states apart."""
    items = [store[solution.id] for solution in solutions]
    names, numbers = tuple(items[0].columns), dict[str, int]()
    data = Labelled(
        [item.stacked() for item in items],
        [solution.first_error for solution in solutions],
        [numbers.setdefault(group, len(numbers)) for group in group_problems(solutions)],
        [-1 if name.partition(":")[0] in AGAINST else 0 for name in names],
    )
    return data, names


def weak_features(
    judge: ProbeJudge,
    solutions: Sequence[LabelledSolution],
    data: Labelled,
    weak_by_source: Sequence[Sequence[WeaklyLabelledSolution]],
    folder: Path,
) -> tuple[Labelled, Weak | None]:
    """Compute features of weakly labelled solutions that say something, and number the problems of all together.

    Args:
        judge: Computes features.
        solutions: The exactly labelled ones.
        data: Their features.
        weak_by_source: The others; a solution that several sources have counts for each.
        folder: Where features are kept.

    Returns:
        The exactly labelled solutions under the common numbers, and the others; `None` if there are none.

    Raises:
        DataError: no weakly labelled solution says anything that can be read.
    """
    rows = [
        (source, row)
        for source, of_source in enumerate(weak_by_source)
        for row in of_source
        if row.known is not WeakLabel.UNLABELLED or row.final_answer_correct or row.n_rollouts is not None
    ]
    if not weak_by_source:
        return data, None
    if not rows:
        raise DataError(
            "no weakly labelled solution is informative: all are unlabelled, without a correct answer or counts"
        )
    unique = {row.id: row for _, row in rows}
    kept, store = keep_features(judge, list(unique.values()), folder)
    readable = {row.id for row in kept}
    rows = [(source, row) for source, row in rows if row.id in readable]
    numbers: dict[str, int] = {}
    problems = group_problems([*solutions, *(row for _, row in rows)])
    group_N = [numbers.setdefault(problem, len(numbers)) for problem in problems]
    weak = Weak.of(
        [row for _, row in rows],
        features_N=[store[row.id].stacked() for _, row in rows],
        group_N=group_N[len(solutions) :],
        source_N=[source for source, _ in rows],
        n_sources=len(weak_by_source),
    )
    return replace(data, group_N=group_N[: len(solutions)]), weak


def honest_metrics(data: Labelled, honest: Honest) -> dict[str, Interval]:
    """Return ProcessBench figures and log loss of nested cross-fitting, with 95 % intervals over problems."""
    judged_N = [True] * len(data.gold_N)
    losses_N = log_losses(honest.verdicts_N, data.gold_N)
    sums_N = np.column_stack([count_hits(data.gold_N, honest.predicted_N, judged_N=judged_N), losses_N])

    def rates(sums_R: Floats) -> Floats:
        return np.column_stack([localization_rates(sums_R[:, :6])[:, :3], sums_R[:, 6] / sums_R[:, :2].sum(axis=1)])

    resampled_R = Resamples.of(data.group_N, n_resamples=N_RESAMPLES, seed=0).of_sums(sums_N, rates)
    values = rates(sums_N.sum(axis=0, keepdims=True))[0]
    names = ("error_accuracy", "correct_accuracy", "f1", "log_loss")
    return {name: percentile_interval(float(values[k]), resampled_R[:, k]) for k, name in enumerate(names)}


def measure_groups(
    data: Labelled, names: Sequence[str], *, kind: HeadKind, n_folds: int, seed: int
) -> dict[str, Interval]:
    """Return by how much the cross-fitted log loss rises where a group is left out, nats, with 95 % intervals.

    Above 0, the group is worth having next to all others; two groups that say the same are each worth little.
    """
    columns: dict[str, list[int]] = {}
    for column in range(data.features_N[0].shape[1]):
        group = names[column].partition("/")[0] if column < data.n_plain else "hidden"
        columns.setdefault(group, []).append(column)
    whole_N = log_losses(cross_fit(data, [kind], n_folds=n_folds, seed=seed)[kind], data.gold_N)
    worth: dict[str, Interval] = {}
    for group in track(columns if len(columns) > 1 else (), "leaving groups out"):
        without = cross_fit(data.without(columns[group]), [kind], n_folds=n_folds, seed=seed)
        without_N = log_losses(without[kind], data.gold_N)
        worth[group] = mean_rise(data, without_N - whole_N)
    return worth


def mean_rise(data: Labelled, rise_N: Floats) -> Interval:
    """Return the mean of paired differences, one per solution, with a 95 % interval over problems."""
    resamples = Resamples.of(data.group_N, n_resamples=N_RESAMPLES, seed=0)
    sums_N = np.column_stack([rise_N, np.ones(len(rise_N))])
    resampled_R = resamples.of_sums(sums_N, lambda sums_R: sums_R[:, :1] / sums_R[:, 1:])
    return percentile_interval(float(rise_N.mean()), resampled_R[:, 0])
