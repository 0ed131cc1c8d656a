"""`sgpo theory`: computes the studies of a configuration; writes `theory.json`, `theory.md` and a figure for each."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from judgekit.io import write_json, write_text
from judgekit.run import Run
from sgpo.theory.config import BatchesStudy, CasesStudy, DynamicsConfig, StartsStudy, Study, TheoryConfig
from sgpo.theory.dynamics import (
    Array,
    class_probs,
    enumerate_groups,
    expected_credit,
    gradient,
    gradient_variance,
    integrate,
    named_steps,
)
from sgpo.theory.figures import draw_study, study_table
from sgpo.theory.results import (
    Arm,
    BatchesResult,
    Case,
    CasesResult,
    Sampled,
    StartsResult,
    StudyResult,
    TheoryResults,
)
from sgpo.theory.simulate import simulate

RESULTS, TABLES = "theory.json", "theory.md"


def run_theory(config: TheoryConfig, output: Path, *, resume: bool = False) -> TheoryResults:
    """Compute all studies, write the results, their tables and their figures, and return the results.

    Raises:
        ConfigError: the folder is in use, another configuration is resumed, or groups are too large to be enumerated.
    """
    run = Run(output, config, resume=resume)
    if run.finished:
        return TheoryResults.model_validate_json((output / RESULTS).read_text(encoding="utf-8"))
    studies = {name: compute(study, seed=config.seed) for name, study in config.studies.items()}
    results = TheoryResults(studies=studies)
    write_json(output / RESULTS, results.model_dump(mode="json"))
    parts = [f"## {result.title}\n\n{study_table(result)}\n" for result in studies.values()]
    write_text(output / TABLES, "\n".join(parts))
    for name, result in studies.items():
        draw_study(output / f"{name}.png", result)
    run.finish({"studies": len(studies)})
    return results


def compute(study: Study, *, seed: int) -> StudyResult:
    """Return the results of a study; the seed is that of sampled batches."""
    if isinstance(study, CasesStudy):
        return compute_cases(study)
    return compute_starts(study) if isinstance(study, StartsStudy) else compute_batches(study, seed=seed)


def compute_cases(study: CasesStudy) -> CasesResult:
    """Train every case with and without the judge."""
    cases = []
    for changes, config in study.cases():
        plain = config.model_copy(update={"judge": None})
        success = {arm: integrate(of).success_T for arm, of in (("sgpo", config), ("grpo", plain))}
        difference_T = success["sgpo"] - success["grpo"]
        all_negative = (1 - class_probs(np.array(config.start_S))[-1]) ** config.group_size
        arms = {
            arm: Arm(
                success_T=tuple(success[arm].tolist()),
                updates_to_level=updates_to(success[arm], study.level),
                groups_for_signal=groups_for_signal(of),
            )
            for arm, of in (("sgpo", config), ("grpo", plain))
        }
        cases.append(
            Case(
                changes=changes,
                all_negative=float(all_negative),
                **arms,
                most=float(difference_T.max()),
                most_at=int(difference_T.argmax()),
                least=float(difference_T.min()),
                least_at=int(difference_T.argmin()),
            )
        )
    return CasesResult(title=study.title, level=study.level, cases=tuple(cases))


def updates_to(success_T: Array, level: float) -> int | None:
    """Return the first batch after which a probability reaches a level, 0 for the start; `None` if it never does."""
    reached = np.flatnonzero(success_T >= level)
    return int(reached[0]) if len(reached) else None


def groups_for_signal(config: DynamicsConfig) -> float | None:
    """Return how many groups make the standard error of a batch's gradient, at the start, as large as its mean.

    Both are lengths of vectors over the steps. `None` if the mean is 0.
    """
    p_S, groups, named = np.array(config.start_S), enumerate_groups(config), named_steps(config)
    credit = expected_credit(p_S, groups=groups, named_W_W=named)
    mean_S = gradient(credit, old_S=p_S, new_S=p_S)
    if not mean_S.any():
        return None
    return float(gradient_variance(p_S, groups=groups, named_W_W=named).sum() / (mean_S @ mean_S))


def compute_starts(study: StartsStudy) -> StartsResult:
    """Train from every pair of probabilities with and without the judge."""
    shape = (len(study.chances), len(study.chances))
    first, most, least = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for i, p in enumerate(study.chances):
        for j, q in enumerate(study.chances):
            config = study.changed({"start": (p, q), "start_success": None})
            plain = config.model_copy(update={"judge": None})
            difference_T = integrate(config).success_T - integrate(plain).success_T
            first[i, j], most[i, j], least[i, j] = difference_T[1], difference_T.max(), difference_T.min()
    return StartsResult(
        title=study.title, chances=study.chances, first=first.tolist(), most=most.tolist(), least=least.tolist()
    )


def compute_batches(study: BatchesStudy, *, seed: int) -> BatchesResult:
    """Sample the training runs with every judge and batch size; the same seed for all."""
    trainings = []
    for n_groups in study.n_groups:
        for name, judge in study.judges.items():
            config = study.base.model_copy(update={"judge": judge})
            success_N_T = simulate(config, n_groups=n_groups, n_runs=study.n_runs, seed=seed)
            needed = [updates_to(success_T, study.level) for success_T in success_N_T]
            median = float(np.median([np.inf if n is None else n for n in needed]))
            lo_T, hi_T = np.quantile(success_N_T, (0.1, 0.9), axis=0)
            trainings.append(
                Sampled(
                    judge=name,
                    n_groups=n_groups,
                    mean_T=tuple(success_N_T.mean(axis=0).tolist()),
                    lo_T=tuple(lo_T.tolist()),
                    hi_T=tuple(hi_T.tolist()),
                    frac_at_level=float((success_N_T[:, -1] >= study.level).mean()),
                    median_updates=None if np.isinf(median) else median,
                )
            )
    return BatchesResult(title=study.title, level=study.level, n_runs=study.n_runs, trainings=tuple(trainings))
