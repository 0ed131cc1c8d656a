"""Makes a cascade: decides when its cheap members are sure, for a guaranteed error or cost."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from itertools import compress, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from judgekit.calibration.conformal import fresh_problems
from judgekit.calibration.decision import fit_decision
from judgekit.calibration.fingerprint import fingerprint_of
from judgekit.errors import ConfigError, DataError
from judgekit.judges.card import CARDLESS, JudgeCard
from judgekit.judges.cascade import CascadeSpec, Promise
from judgekit.judges.probe.spec import ProbeSpec
from judgekit.judges.problem_lists import (
    CALIBRATION_PROBLEMS,
    TRAIN_PROBLEMS,
    ProblemList,
    calibration_problems,
    join_lists,
    refuse_trained_problems,
    train_problems,
    write_problems,
)
from judgekit.judges.recognise import find_card
from judgekit.judges.stored import verdict_key
from judgekit.judges.trust import write_own_card
from judgekit.metrics.localization import compute_localization
from judgekit.run import refuse_foreign
from judgekit.text.identity import group_problems
from judgekit.training.cascade_thresholds import (
    Chosen,
    Claims,
    Flags,
    answering_N,
    choose_for_cost,
    choose_for_error,
    keep_claims,
)
from judgekit.training.config import CascadeConfig
from judgekit.training.judge_files import (
    JUDGEMENTS,
    ask_once,
    member_folders,
    read_labelled,
    refuse_one_kind,
    relative_members,
)
from judgekit.types import Judgement, LabelledSolution

_log = logging.getLogger(__name__)


def build_cascade(members: Sequence[str], data: Path, output: Path, config: CascadeConfig) -> JudgeCard:
    """Choose a cascade's thresholds on a labelled data set and write its judge directory; returns the card.

    Every member judges the whole data set once. Its judgements are kept in the folder `judgements`: called again, after
    a kill or a failure, this does not ask for them again. Problems that a member was calibrated on may propose
    thresholds and never test them. Members that are paths are stored relative to the directory.

    Raises:
        ConfigError: fewer than two members, not one cost a member, or the output folder is in use.
        DataError: a member was trained on one of the problems, there are no problems to test on or none of both kinds
            to choose from, no cost is known, or no thresholds keep the promised cost.
        CheckpointError: a member cannot be opened.
        JudgeError: a member failed, or no service answers; says which. What is finished is kept.
    """
    from judgekit.judges import declare_judge, load_judge

    if len(members) < 2:
        raise ConfigError(f"a cascade needs at least two members, not {len(members)}: give --member once for each")
    if config.costs is not None and len(config.costs) != len(members):
        raise ConfigError(f"{len(config.costs)} costs for {len(members)} members: give one for each, in order")
    refuse_foreign(output, own=(TRAIN_PROBLEMS, CALIBRATION_PROBLEMS, JUDGEMENTS))
    solutions = list(read_labelled([data], config.n_max))
    folders = member_folders(members)
    trained = {name: train_problems(folder) for name, folder in folders.items()}
    for name, problems in trained.items():
        refuse_trained_problems(problems, solutions, judge=name)
    calibrated = join_lists(map(calibration_problems, folders.values()))
    split = Split.of(solutions, unfit=calibrated, test_frac=config.test_frac)
    refuse_one_kind(list(compress(solutions, split.choosing_N)), "solutions", purpose="choosing thresholds")
    infos_M = [declare_judge(name, dtype=config.dtype) for name in members]  # all, before any works for hours
    if config.costs is None and config.cost_unit == "seconds":
        for name in members:
            spec = None if name.startswith(CARDLESS) else find_card(name).card.spec
            if isinstance(spec, ProbeSpec) and spec.feature_cache is not None:
                raise ConfigError(
                    f"{name} takes features from the cache {spec.feature_cache}, so its seconds are not those of "
                    "reading: name the judge directory itself, or give cost_unit=tokens or costs=[...]"
                )
    judgements_M = []
    for m, name in enumerate(members):  # one after another, for two large models rarely fit at once
        judge = load_judge(name, dtype=config.dtype)
        key = verdict_key(name, dtype=config.dtype, info=judge.info, calibrated=True)
        folder = output / JUDGEMENTS / f"member{m}"
        judgements_M.append(
            ask_once(judge, solutions, key=key, data=data, folder=folder, chunk_size=config.chunk_size).judgements
        )
    verdicts_M = [[judgement.verdict for judgement in judgements] for judgements in judgements_M]
    gold_N = [solution.first_error for solution in solutions]
    costs_M = config.costs or tuple(mean_cost(item, unit=config.cost_unit) for item in judgements_M)
    claims_M = [Claims.of(verdicts, gold_N=gold_N) for verdicts in verdicts_M[:-1]]
    chosen = _choose(claims_M, costs_M, split, config)
    warnings = [
        f"{after} costs less than {before} before it: give the members in order of cost"
        for (before, cheap), (after, costly) in pairwise(zip(members, costs_M, strict=True))
        if costly < cheap
    ]
    if config.max_error is not None and chosen.shown is None:
        needed = int(np.ceil(np.log(config.delta) / np.log1p(-config.max_error)))
        warnings.append(
            f"no thresholds keep an error of {config.max_error:g} with probability {1 - config.delta:g}, so every "
            f"solution goes to the last member. {int(split.tested_N.sum())} problems were tested, and at least "
            f"{needed} sure claims, all of them correct, are needed: add problems, calibrate the members, or allow more"
        )
    for sentence in warnings:
        _log.warning("%s", sentence)
    answering = answering_N(claims_M, chosen.stages)
    mixed_N = [verdicts_M[member][i] for i, member in enumerate(answering)]
    decision = fit_decision(
        infos_M[-1].decision.kind,
        list(compress(mixed_N, split.choosing_N)),
        gold_N=list(compress(gold_N, split.choosing_N)),
        origin=data.name,
    )
    if config.max_error is not None and chosen.n_sure:
        decision = keep_claims(decision, chosen.stages)
    relative = sum(cost * float((answering[split.tested_N] >= m).mean()) for m, cost in enumerate(costs_M))
    spec = CascadeSpec(
        members=relative_members(members, output),
        stages=chosen.stages,
        promise=Promise(
            about="cost" if config.max_error is None else "error",
            at_most=config.max_error or config.max_cost or 0.0,
            delta=config.delta,
            shown=chosen.shown,
            n_tested=int(split.tested_N.sum()),
            n_sure=chosen.n_sure,
            n_wrong=chosen.n_wrong,
        ),
        relative_cost=relative / costs_M[-1] if costs_M[-1] else None,
        fingerprint=fingerprint_of(data, solutions),
    )
    # Of problems that nothing was chosen on all solutions, not only those that the promise was tested on.
    rest_N = ~split.choosing_N
    metrics: dict[str, float | int | None] = {"n": int(rest_N.sum()), "relative_cost": spec.relative_cost}
    rules = [*((info.judge_id, info.decision) for info in infos_M), ("", decision)]
    for (judge_id, rule), verdicts_N in zip(rules, [*verdicts_M, mixed_N], strict=True):
        predicted_N = [verdict and verdict.decide(rule) for verdict in compress(verdicts_N, rest_N)]
        judged_N = [verdict is not None for verdict in compress(verdicts_N, rest_N)]
        localized = compute_localization(list(compress(gold_N, rest_N)), predicted_N, judged_N=judged_N)
        metrics[f"f1/{judge_id}" if judge_id else "f1"] = localized.f1
    metrics |= {f"answered/{info.judge_id}": float((answering[rest_N] == m).mean()) for m, info in enumerate(infos_M)}
    card = JudgeCard(
        judge_id=config.judge_id or output.resolve().name,
        spec=spec,
        decision=decision,
        training={"config": config.model_dump(mode="json"), "costs": costs_M, "warnings": warnings},
        metrics=metrics,
    )
    write_problems(output / TRAIN_PROBLEMS, join_lists(trained.values()))
    write_problems(output / CALIBRATION_PROBLEMS, ProblemList.of(solutions) | calibrated)
    write_own_card(output, card)  # the user named the members: one that asks a server is opened without a question
    return card


class Split(NamedTuple):
    """Which solutions choose and which test: problems are never parted. Shape (N,) each."""

    choosing_N: Flags
    """Solutions of the problems that propose thresholds."""
    tested_N: Flags
    """Of each other problem one solution, drawn by a hash: draws that are independent."""

    @classmethod
    def of(cls, solutions: Sequence[LabelledSolution], *, unfit: ProblemList, test_frac: float) -> Split:
        """Draw the problems to test on from those that are not `unfit` for it.

        Raises:
            DataError: all are unfit, or there are too few.
        """
        problem_N = group_problems(solutions)
        free = set(problem_N) - set(compress(problem_N, unfit.seen(solutions)))
        share = min(1.0, test_frac * len(set(problem_N)) / len(free)) if free else 0.0
        tested = fresh_problems(free, frac=share)
        if not tested:
            raise DataError(
                f"none of {len(set(problem_N))} problems can test a guarantee: {len(set(problem_N)) - len(free)} of "
                "them were used to calibrate a member; give problems that no member has seen"
            )
        drawn: dict[str, tuple[str, int]] = {}
        for row, (problem, solution) in enumerate(zip(problem_N, solutions, strict=True)):
            if problem in tested:
                ticket = (hashlib.sha256(solution.id.encode()).hexdigest(), row)
                drawn[problem] = min(ticket, drawn.get(problem, ticket))
        tested_N = np.zeros(len(solutions), dtype=bool)
        tested_N[[row for _, row in drawn.values()]] = True
        return cls(np.array([problem not in tested for problem in problem_N]), tested_N)


def mean_cost(judgements: Sequence[Judgement], *, unit: str) -> float:
    """Return what a judgement took on average.

    Raises:
        DataError: dollars are requested, and some judgement has no price.
    """
    if unit != "usd":
        return float(np.mean([item.seconds if unit == "seconds" else item.n_tokens for item in judgements]))
    prices = [item.cost_usd for item in judgements if item.cost_usd is not None]
    if len(prices) < len(judgements):
        raise DataError(
            f"{judgements[0].judge_id} has no price for {len(judgements) - len(prices)} of {len(judgements)} "
            "judgements: set its prices, or give costs=[...], one for each member"
        )
    return float(np.mean(prices))


def _choose(claims_M: Sequence[Claims], costs_M: Sequence[float], split: Split, config: CascadeConfig) -> Chosen:
    """Choose the thresholds.

    Raises:
        DataError: a cost is promised, and the last member's is not known, or no thresholds keep it.
    """
    if config.max_error is not None:
        return choose_for_error(claims_M, **split._asdict(), at_most=config.max_error, delta=config.delta)
    assert config.max_cost is not None
    if not costs_M[-1] > 0:
        raise DataError(
            f"the judgements of the last member report no {config.cost_unit}: give costs=[...], one for each"
        )
    chosen, least = choose_for_cost(
        claims_M, costs_M=costs_M, **split._asdict(), at_most=config.max_cost, delta=config.delta
    )
    if chosen.shown is None:
        raise DataError(
            f"no thresholds keep the mean cost below {config.max_cost:g} of the last member's with probability "
            f"{1 - config.delta:g}: {least:.3f} is the lowest that {int(split.tested_N.sum())} tested problems allow, "
            f"with costs of {', '.join(f'{cost:.3g}' for cost in costs_M)}; allow that much, or add problems"
        )
    return chosen
