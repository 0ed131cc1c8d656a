"""Runs the attack suite on a judge: every attack on every erroneous solution, next to the original solution.

Correct solutions show whether the judge reads: see `judgekit_eval.attacks.reading`.

Writes `results.json`, `attacks.md` and `report.html`. Judgements are stored chunk by chunk, in one folder per attack.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from judgekit.errors import DataError
from judgekit.judges.base import Judge
from judgekit.judging.run import as_seen
from judgekit.metrics.bootstrap import Resamples
from judgekit.run import Run
from judgekit.text.identity import group_problems
from judgekit.text.neutralise import Reserved
from judgekit.types import Judgement, LabelledSolution, Solution
from judgekit_eval.attacks.attacks import Attack, Manipulation
from judgekit_eval.attacks.config import AttackConfig
from judgekit_eval.attacks.effects import AttackedPair, compute_effects, expected_rts, find_worst, hard_rts
from judgekit_eval.attacks.reading_effects import measure_reading, reading_score
from judgekit_eval.attacks.report import attacks_html, attacks_markdown
from judgekit_eval.attacks.schema import AttackEffects, AttackResults, Reading, ReadingTestResults, Unattacked
from judgekit_eval.choice import evenly_spaced
from judgekit_eval.judges.intervals import Estimate
from judgekit_eval.results import Bootstrap
from judgekit_eval.runner import JUDGEMENT_DIR, REPORT, Runner

TABLE = "attacks.md"
UNATTACKED = "unattacked"
"""Folder of the judgements on the solutions as they were."""
RIGHT = "right"
"""Folder of the judgements on correct solutions as they were."""


def attack_judges(
    judges: Mapping[str, Judge],
    solutions: Iterable[LabelledSolution],
    *,
    output: Path,
    config: AttackConfig,
    inputs: Sequence[Path] = (),
    resume: bool = False,
) -> AttackResults:
    """Attack one judge, or several variants of it side by side, and write results, table and report.

    Args:
        judges: Variants of the judge by the name that the results give them; the first one names the reserved tokens.
        solutions: Labelled solutions; those with an error are attacked, the others tell whether the judge reads.
        output: Folder of the run.
        config: How.
        inputs: Files the solutions come from; their hashes go into the manifest.
        resume: Continue a run that was cut off: stored judgements are read, not made again.

    Returns:
        What `results.json` holds.

    Raises:
        DataError: no solution has an error, or none is correct and nothing but tests of reading was asked for; or a
            resumed run's inputs or chunks do not fit.
        ConfigError: the folder is in use, or the resumed run has another configuration or judge.
        JudgeError: the judge failed.
    """
    solutions = list(solutions)
    originals = choose_erroneous(solutions, config.n_max) if config.chosen else []
    is_right = [solution for solution in solutions if solution.first_error is None and not solution.is_blank]
    right = evenly_spaced(is_right, config.n_max)
    if not config.chosen and not right:
        raise DataError("no correct solution to test reading on: give a labelled data set that has some")
    run = Run(output, config, inputs=inputs, resume=resume)
    runner = Runner(run, chunk_size=config.chunk_size, show_reference=config.show_reference)
    # All variants read the same attacks, or their effects could not stand side by side.
    first = next(iter(judges.values()))
    reserved = reserved_strings(first)
    folder = output / JUDGEMENT_DIR
    before = {name: runner.judge(judge, originals, folder / name / UNATTACKED) for name, judge in judges.items()}
    attacks: dict[str, AttackEffects] = {}
    for attack in config.chosen:
        made = manipulate(attack, originals, seed=config.seed, reserved=reserved)
        attacked = [
            Solution(
                # A judgement is found by its solution's id: each attack needs one of its own.
                id=f"{originals[row].id}:{attack.name}",
                problem_id=originals[row].problem_id,
                problem=originals[row].problem,
                steps=item.steps,
                reference=originals[row].reference,
            )
            for row, item in made.items()
        ]
        effects, worst = {}, {}
        for name, judge in judges.items():
            after = runner.judge(judge, attacked, folder / name / attack.name)
            pairs = [
                AttackedPair(originals[row], item, before[name][row], judgement)
                for (row, item), judgement in zip(made.items(), after, strict=True)
            ]
            rule = judge.info.decision
            effects[name] = compute_effects(pairs, rule=rule, n_resamples=config.n_resamples, seed=config.seed)
            worst[name] = find_worst(pairs, rule=rule, n_worst=config.n_worst)
        attacks[attack.name] = AttackEffects(
            family=str(attack.family),
            description=attack.description,
            claim=attack.claim,
            source=attack.source,
            n_impossible=len(originals) - len(made),
            judges=effects,
            worst=worst,
        )
    reading = None
    if right and config.reading:
        data = inputs[0] if inputs else Path("solutions")
        reading = _test_reading(judges, right, runner=runner, config=config, data=data)
    results = AttackResults(
        schema_version=1,
        judge_id=first.info.judge_id,
        unit="p_none, rts, hard_rts: 0 to 1, differences attacked minus original; flips: 0 to 1, a share",
        decision=first.info.decision,
        reserved=list(reserved),
        n=len(originals),
        n_problems=len(set(group_problems(originals))),
        unattacked={name: _unattacked(judges[name], judgements) for name, judgements in before.items()},
        attacks=attacks,
        **({} if reading is None else {"reading": reading}),
        bootstrap=Bootstrap(clustered_by="problem_id", level=0.95, n_resamples=config.n_resamples),
        seed=config.seed,
    )
    rows = [
        {
            "attack": attack,
            "judge": name,
            "attack/p_none": effects.p_none.value,
            "attack/rts": effects.rts.value,
            "attack/flips": effects.flips.value,
        }
        for attack, of_attack in attacks.items()
        for name, effects in of_attack.judges.items()
    ]
    summary = {"n": results.n, "unattacked": results.model_dump(include={"unattacked"})["unattacked"]}
    shown = {TABLE: attacks_markdown(results), REPORT: attacks_html(results)}
    runner.write(results, shown, rows=rows, summary=summary)
    return results


def choose_erroneous(solutions: Iterable[LabelledSolution], n_max: int | None) -> list[LabelledSolution]:
    """Return the solutions with an error, evenly spaced ones where there are more than `n_max`.

    Raises:
        DataError: none has an error.
    """
    wrong = [solution for solution in solutions if solution.first_error is not None]
    if not wrong:
        raise DataError("no solution with an error to attack: give a labelled data set that has some")
    return list(evenly_spaced(wrong, n_max))


def manipulate(
    attack: Attack, originals: Sequence[LabelledSolution], *, seed: int, reserved: Sequence[str]
) -> dict[int, Manipulation]:
    """Attack every solution; return the manipulations by the solution's index, without those that are impossible."""
    made = {row: attack.apply(solution, seed=seed, reserved=reserved) for row, solution in enumerate(originals)}
    return {row: item for row, item in made.items() if item is not None}


def _test_reading(
    judges: Mapping[str, Judge],
    right: Sequence[LabelledSolution],
    *,
    runner: Runner,
    config: AttackConfig,
    data: Path,
) -> Reading:
    """Judge correct solutions in their original form and when no longer correct; never with their reference."""
    folder = runner.run.output / JUDGEMENT_DIR
    plain = [as_seen(solution, show_reference=False) for solution in right]
    own = {name: runner.judge(judge, plain, folder / name / RIGHT) for name, judge in judges.items()}
    problems = group_problems(right)
    # one set of draws for all, so that the score averages tests resample by resample
    resamples = Resamples.of(problems, n_resamples=config.n_resamples, seed=config.seed)
    tests: dict[str, ReadingTestResults] = {}
    aucs: dict[str, dict[str, Estimate]] = {name: {} for name in judges}
    for test in config.reading:
        made = test.apply(right, seed=config.seed)
        effects = {}
        for name, judge in judges.items():
            said = runner.judge(judge, list(made.values()), folder / name / test.name) if made else []
            changed = dict(zip(made, said, strict=True))
            effects[name], aucs[name][test.name] = measure_reading(
                own[name], changed, rule=judge.info.decision, resamples=resamples
            )
        tests[test.name] = ReadingTestResults(
            description=test.description,
            expected=test.expected,
            source=test.source,
            n_impossible=len(right) - len(made),
            judges=effects,
        )
    scores = {name: reading_score(of_judge, right, data=data) for name, of_judge in aucs.items()}
    return Reading(n=len(right), n_problems=len(set(problems)), tests=tests, scores=scores)


def reserved_strings(judge: Judge) -> tuple[str, ...]:
    """Return what a judge keeps for itself: its tokenizer's reserved tokens, its tags and verdicts; often nothing."""
    return Reserved(judge.info.reserved or ()).strings


def _unattacked(judge: Judge, judgements: Sequence[Judgement]) -> Unattacked:
    """Means over the judged solutions before any attack; `null` if none was judged."""
    verdicts = [judgement.verdict for judgement in judgements if judgement.verdict is not None]
    no_error = [verdict.decide(judge.info.decision) is None for verdict in verdicts]
    return Unattacked(
        n_no_verdict=len(judgements) - len(verdicts),
        p_none=_mean([verdict.p_none for verdict in verdicts]),
        rts=_mean([expected_rts(verdict) for verdict in verdicts]),
        hard_rts=_mean([hard_rts(verdict, judge.info.decision) for verdict in verdicts]),
        no_error=_mean([float(value) for value in no_error]),
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
