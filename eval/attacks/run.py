"""Runs the attack suite on a judge: every attack on every erroneous solution, beside the solution as it was.

Writes `results.json`, `attacks.md` and `report.html`. Judgements are kept chunk by chunk, a folder an attack.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from eval.attacks.attacks import Attack, Manipulation
from eval.attacks.config import AttackConfig
from eval.attacks.effects import AttackedPair, compute_effects, expected_rts, find_worst, hard_rts
from eval.attacks.report import attacks_html, attacks_markdown
from eval.attacks.schema import AttackEffects, AttackResults, Unattacked
from eval.choice import evenly_spaced
from eval.results import Bootstrap
from eval.runner import JUDGEMENT_DIR, REPORT, Runner
from judgekit.errors import DataError
from judgekit.judges.base import Judge
from judgekit.run import Run
from judgekit.text.identity import group_problems
from judgekit.text.neutralise import Reserved
from judgekit.types import Judgement, LabelledSolution, Solution

TABLE = "attacks.md"
UNATTACKED = "unattacked"
"""Folder of the judgements on the solutions as they were."""


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
        solutions: Labelled solutions; those without an error are left out.
        output: Folder of the run.
        config: How.
        inputs: Files the solutions come from; their hashes go into the manifest.
        resume: Continue a run that was cut off: stored judgements are read, not made again.

    Returns:
        What `results.json` holds.

    Raises:
        DataError: no solution has an error, or a resumed run's inputs or chunks do not fit.
        ConfigError: the folder is in use, or the resumed run has another configuration or judge.
        JudgeError: the judge failed.
    """
    originals = choose_erroneous(solutions, config.n_max)
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
    results = AttackResults(
        schema_version=1,
        judge_id=first.info.judge_id,
        unit="p_none, rts, hard_rts: 0 to 1, differences attacked less unattacked; flips: 0 to 1, a share",
        decision=first.info.decision,
        reserved=list(reserved),
        n=len(originals),
        n_problems=len(set(group_problems(originals))),
        unattacked={name: _unattacked(judges[name], judgements) for name, judgements in before.items()},
        attacks=attacks,
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
        raise DataError("no solution with an error to attack: give a labelled data set that holds erroneous solutions")
    return list(evenly_spaced(wrong, n_max))


def manipulate(
    attack: Attack, originals: Sequence[LabelledSolution], *, seed: int, reserved: Sequence[str]
) -> dict[int, Manipulation]:
    """Attack every solution; return the manipulations by the solution's index, without those that are impossible."""
    made = {row: attack.apply(solution, seed=seed, reserved=reserved) for row, solution in enumerate(originals)}
    return {row: item for row, item in made.items() if item is not None}


def reserved_strings(judge: Judge) -> tuple[str, ...]:
    """Return what a judge keeps for itself: its tokenizer's reserved tokens, its tags and verdicts; often nothing."""
    return Reserved(judge.info.reserved or ()).strings


def _unattacked(judge: Judge, judgements: Sequence[Judgement]) -> Unattacked:
    """Means over the judged solutions before any attack; `null` where none was judged."""
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
