"""Policy evaluation: avg@k and unbiased pass@k on problems with checkable answers.

Writes `results.json` and `policy.md`; every sampled answer is stored in `samples/`, chunk by chunk, so that a killed
run continues where it stopped. Rates are in percent, with intervals from a bootstrap over problems, per benchmark.

An answer that was truncated, could not be checked or was not returned by the engine is not correct, but may not be
wrong either. Both conventions are reported: `counted_wrong` counts it as wrong, `left_out` leaves it out, and then a
problem with fewer than k other answers has no pass@k. The number of such answers is reported, too.

Source:
    pass@k: Chen et al. (2107.03374), equation 1. avg@k is the mean accuracy of k samples, which is pass@1.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from judgekit.answers import build_outcome
from judgekit.answers.sample_and_check import Asked, sample_and_check
from judgekit.engines.generation.base import FinishReason, Generator
from judgekit.engines.generation.door import build_generator
from judgekit.errors import DataError, describe_validation_error
from judgekit.groups import is_right
from judgekit.io import checkpoint_files, read_json, write_json
from judgekit.metrics.bootstrap import cluster_bootstrap, percentile_interval
from judgekit.metrics.sampling import pass_at_k
from judgekit.progress import track
from judgekit.run import Run, package_versions
from judgekit.store import Store
from judgekit.text.prompts import PLACEHOLDER
from judgekit.types import Problem
from judgekit_eval.choice import evenly_spaced
from judgekit_eval.policy.config import PolicyConfig
from judgekit_eval.policy.schema import BenchmarkScores, By, Described, PolicyResults, Score
from judgekit_eval.policy.table import policy_markdown
from judgekit_eval.results import Bootstrap
from judgekit_eval.runner import Runner

TABLE = "policy.md"
SAMPLE_DIR = "samples"
ENGINE = "engine.json"
"""What is known of the model once it is open, so that a resumed run need not open it for that."""
CONVENTIONS = ("counted_wrong", "left_out")
"""What becomes of answers that were cut off, could not be checked or were not given."""


class Answer(BaseModel):
    """One sampled answer, as it is stored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    problem_id: str
    """The problem it answers."""
    sample: int
    """Its index among the answers to the problem."""
    text: str
    """The whole text; empty if the engine gave none."""
    outcome: float | None
    """1.0 for correct, 0.0 for wrong; `None` if it could not be checked or the engine gave none."""
    finish_reason: FinishReason
    """How it ended."""
    n_tokens: int
    """Tokens sampled."""
    failure: str | None = None
    """Why the engine gave none."""

    @property
    def key(self) -> str:
        """What tells it from the other answers of a benchmark."""
        return f"{self.problem_id}/{self.sample}"

    @property
    def is_counted(self) -> bool:
        """Whether it ended by itself and could be checked, so that both conventions agree on it."""
        return self.outcome is not None and self.finish_reason == "stop"

    @property
    def is_right(self) -> bool:
        """Whether it is correct in both conventions."""
        return self.outcome is not None and self.is_counted and is_right(self.outcome)


def evaluate_policy(
    problems: Iterable[Problem],
    *,
    output: Path,
    config: PolicyConfig,
    inputs: Sequence[Path] = (),
    resume: bool = False,
) -> PolicyResults:
    """Sample and check answers to all problems and write results and table.

    Args:
        problems: Problems of one or more benchmarks, distinguished by their `source`.
        output: Folder of the run.
        config: How.
        inputs: Files the problems come from; their hashes go into the manifest, with those of a local model.
        resume: Continue a run that was cut off: stored answers are read, not sampled again.

    Returns:
        What `results.json` holds.

    Raises:
        DataError: no problems, one problem twice in a benchmark, or a resumed run's inputs or chunks do not fit.
        ConfigError: the folder is in use, or the resumed run has another configuration.
        CheckpointError: the policy cannot be opened.
        JudgeError: the engine failed.
    """
    benchmarks = choose_problems(problems, config.n_problems)
    run = Run(output, config, inputs=[*inputs, *checkpoint_files(config.generation.model)], resume=resume)
    runner = Runner(run)
    # Before anything is opened: a finished run is read where its model is gone.
    if stored := runner.stored(PolicyResults):
        return stored
    answers = _sample_answers(benchmarks, output=output, config=config)
    path = output / ENGINE
    try:
        policy = Described.model_validate(read_json(path))
    except ValidationError as error:
        raise DataError(f"{path} is damaged: {describe_validation_error(error)}. Use another folder") from error
    results = PolicyResults(
        schema_version=1,
        unit="percent",
        policy=policy,
        settings=config.model_dump(mode="json", exclude={"n_resamples", "chunk_size"}),
        by=By(benchmark={name: compute_scores(found, config) for name, found in answers.items()}),
        bootstrap=Bootstrap(clustered_by="problem", level=0.95, n_resamples=config.n_resamples, seed=config.seed),
        packages=package_versions(),
    )
    rows = [
        {"benchmark": name}
        | {f"policy/{score}": metric.value for score, metric in found.scores["counted_wrong"].items()}
        for name, found in results.by.benchmark.items()
    ]
    runner.write(results, {TABLE: policy_markdown(results)}, rows=rows, summary={"benchmarks": list(benchmarks)})
    return results


def choose_problems(problems: Iterable[Problem], n_problems: int | None) -> dict[str, list[Problem]]:
    """Return the problems of each benchmark, evenly spaced ones where there are more than wanted.

    Raises:
        DataError: there are none, or a benchmark holds one twice.
    """
    found: dict[str, list[Problem]] = {}
    for problem in problems:
        found.setdefault(problem.source, []).append(problem)
    if not found:
        raise DataError("no problems to answer: give a data set of problems with answers")
    for name, rows in found.items():
        (key, count), *_ = Counter(row.problem_id for row in rows).most_common(1)
        if count > 1:
            raise DataError(f"benchmark {name} holds the problem {key} {count} times: give each input once")
    return {name: list(evenly_spaced(rows, n_problems)) for name, rows in found.items()}


def _sample_answers(
    benchmarks: Mapping[str, Sequence[Problem]], *, output: Path, config: PolicyConfig
) -> dict[str, list[list[Answer]]]:
    """Return the answers to each problem, sampling those that are not stored."""
    answers: dict[str, list[list[Answer]]] = {}
    generator: Generator | None = None
    with closing(build_outcome(config.outcome)) as check:
        for name, problems in benchmarks.items():
            store = Store(output / SAMPLE_DIR / name, Answer, key=lambda item: item.key)
            keys = [[f"{problem.problem_id}/{sample}" for sample in range(config.n_samples)] for problem in problems]
            for start in track(range(0, len(problems), config.chunk_size), f"answering {name}"):
                chunk = range(start, min(start + config.chunk_size, len(problems)))
                missing = [problems[row] for row in chunk if not all(key in store for key in keys[row])]
                if not missing:
                    continue
                if generator is None:  # opened late: where everything is stored, the model may be gone
                    generator = build_generator(config.generation)
                    write_json(output / ENGINE, _describe(generator, config).model_dump())
                found = sample_and_check(
                    [Asked(problem.problem, problem.answer) for problem in missing],
                    generator=generator,
                    check=check,
                    prompt=config.prompt,
                    sampling=config.sampling,
                    n=config.n_samples,
                    seed=config.seed,
                )
                store.add(
                    [
                        Answer(
                            problem_id=problem.problem_id,
                            sample=sample,
                            text=completion.text,
                            outcome=outcome,
                            finish_reason=completion.finish_reason,
                            n_tokens=completion.n_tokens,
                            failure=completion.failure,
                        )
                        for problem, samples in zip(missing, found, strict=True)
                        for sample, (completion, outcome) in enumerate(samples)
                    ]
                )
            answers[name] = [[store[key] for key in row] for row in keys]
    return answers


def _describe(generator: Generator, config: PolicyConfig) -> Described:
    template = None if generator.tokenizer is None else generator.tokenizer.chat_template
    return Described(
        engine=config.generation.type,
        model=generator.generator_id,
        revision=generator.revision,
        dtype=getattr(config.generation, "dtype", None),
        device=generator.device,
        prompt_rendered=generator.render(config.prompt.build(PLACEHOLDER)),
        # A tokenizer may have several templates by name; which one a server takes is its own matter.
        chat_template_sha256=hashlib.sha256(template.encode()).hexdigest() if isinstance(template, str) else None,
    )


def compute_scores(answers: Sequence[Sequence[Answer]], config: PolicyConfig) -> BenchmarkScores:
    """Return counts and, under both conventions, avg@k and pass@k of one benchmark.

    Args:
        answers: The answers to each problem.
        config: The k of pass@k, and the bootstrap.
    """
    every = [answer for row in answers for answer in row]
    # Right, wrong, cut off, uncheckable and failed answers are all of them.
    cut = [answer for answer in every if answer.finish_reason == "length"]
    ended = [answer for answer in every if answer.finish_reason == "stop"]
    k_values = {f"avg@{config.n_samples}": 1} | {f"pass@{k}": k for k in config.k_values if k > 1}
    n_right = [sum(answer.is_right for answer in row) for row in answers]
    n_answers = {
        "counted_wrong": [len(row) for row in answers],
        "left_out": [sum(answer.is_counted for answer in row) for row in answers],
    }
    return BenchmarkScores(
        n_problems=len(answers),
        n_samples=len(every),
        n_right=sum(n_right),
        n_wrong=sum(answer.outcome is not None and not is_right(answer.outcome) for answer in ended),
        n_truncated=len(cut),
        n_uncheckable=sum(answer.outcome is None for answer in ended),
        n_failed=sum(answer.finish_reason == "failed" for answer in every),
        n_empty=sum(not answer.text.strip() for answer in ended),
        n_truncated_right=sum(answer.outcome is not None and is_right(answer.outcome) for answer in cut),
        n_tokens=sum(answer.n_tokens for answer in every),
        mean_tokens=sum(answer.n_tokens for answer in every) / len(every),
        scores={
            convention: {
                score: _estimate(list(zip(n_answers[convention], n_right, strict=True)), k, config)
                for score, k in k_values.items()
            }
            for convention in CONVENTIONS
        },
    )


def _estimate(counts: Sequence[tuple[int, int]], k: int, config: PolicyConfig) -> Score:
    """Return the mean of pass@k over the problems that have k answers, with its interval; `None` if none has.

    Args:
        counts: Answers, and correct ones, of each problem.
        k: Answers that are drawn.
        config: The bootstrap.
    """
    values = [pass_at_k(n, n_right, k=k) for n, n_right in counts if n >= k]
    if not values:
        return Score(value=None, lo=None, hi=None, n_problems=0)
    means_R = cluster_bootstrap(
        np.column_stack([np.ones(len(values)), values]),
        cluster_N=range(len(values)),
        statistic=lambda sums_R: sums_R[:, 1:] / sums_R[:, :1],
        n_resamples=config.n_resamples,
        seed=config.seed,
    )
    interval = percentile_interval(100 * sum(values) / len(values), 100 * means_R[:, 0])
    return Score(**interval._asdict(), n_problems=len(values))
