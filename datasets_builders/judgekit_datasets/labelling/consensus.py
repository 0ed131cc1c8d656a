"""Keeps the solutions on whose first error Monte-Carlo labels and a judge's labels agree.

Rollouts place an error too late if the policy repairs it, and too early if the policy fails by itself; a judge errs in
other ways. A label on which both agree is correct more often, at the price of the solutions they disagree on.

Source:
    The Lessons of Developing Process Reward Models (2501.07301): its consensus filter keeps the solutions for which
    Monte-Carlo estimation and an annotating model agree on where the error is.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from judgekit.errors import DataError
from judgekit.io import ShardWriter, input_hashes, read_json, read_records, write_json
from judgekit.rejections import Rejections
from judgekit.run import Run, git_state, package_versions
from judgekit.text.identity import content_id
from judgekit.types import LabelledSolution, LabelMethod
from judgekit_datasets.labelling.agreement import AgreementReport, Labelled, build_agreement_report, classify_agreement
from judgekit_datasets.labelling.config import ConsensusConfig

AGREEMENT = "agreement.json"
"""Name of the file with the report."""


def filter_consensus(config: ConsensusConfig, output: Path, *, resume: bool = False) -> AgreementReport:
    """Write the solutions on which both agree to the data set folder `output`, the others to its `rejected.jsonl`.

    Raises:
        ConfigError: the folder is in use, or a resumed run has other options.
        DataError: an input is missing, damaged, changed or labelled in another way, no solution is in both, or none is
            kept.
    """
    folders = {"monte_carlo": config.monte_carlo, "judge": config.judge, "gold": config.gold}
    inputs = {name: input_hashes(path) for name, path in folders.items() if path is not None}
    settings = {"config": config, "inputs": inputs}
    run = Run(output, settings, resume=resume, data_set=True)
    if run.finished:
        return AgreementReport.model_validate(read_json(output / AGREEMENT))
    judged = _first_errors(config.judge)
    gold = {} if config.gold is None else _first_errors(config.gold)
    seen: set[str] = set()
    unmatched: Counter[str] = Counter()
    labels: list[Labelled] = []
    with_truth: list[tuple[Labelled, int | None]] = []
    with ShardWriter(output, LabelledSolution, resume=True) as writer:
        with Rejections(output, "consensus") as rejected:

            def leave(record: LabelledSolution, reason: str) -> None:
                unmatched[reason] += 1
                rejected.add(reason, id=record.id, raw=record)

            for record in read_records(config.monte_carlo, LabelledSolution):
                if record.label_method is not LabelMethod.MONTE_CARLO:
                    raise DataError(
                        f"{config.monte_carlo}, solution {record.id}: labelled by {record.label_method}, not by "
                        "rollouts. Give Monte-Carlo labels as monte_carlo and the others as judge"
                    )
                key = _key(record)
                if key in seen:
                    leave(record, "duplicate")
                    continue
                seen.add(key)
                if key not in judged:
                    leave(record, "not labelled by the judge")
                    continue
                pair = Labelled(record.first_error, judged[key])
                labels.append(pair)
                if key in gold:
                    with_truth.append((pair, gold[key]))
                agreement = classify_agreement(*pair)
                if agreement.kept:
                    writer.write(record.model_copy(update={"label_method": LabelMethod.CONSENSUS}))
                else:
                    detail = f"Monte-Carlo: {pair.monte_carlo}, judge: {pair.judge}"
                    rejected.add(agreement.value, detail, id=record.id, raw=record)
            for record in read_records(config.judge, LabelledSolution):
                if _key(record) not in seen:
                    leave(record, "not labelled by rollouts")
            if not labels:
                raise DataError(
                    "no solution is labelled both by rollouts and by the judge: give two labellings of one set"
                )
            report = build_agreement_report(labels, gold=with_truth, unmatched=unmatched)
        write_json(output / AGREEMENT, report.model_dump(mode="json"))
        if not writer.n_rows:
            raise DataError(
                f"nothing is kept for {output}, the two never agree: counts are in {output / AGREEMENT}, "
                f"and every solution with the reason in {rejected.path}"
            )
        writer.info = run.config | {"packages": package_versions(), "git": git_state()}
    return report


def _first_errors(path: Path) -> dict[str, int | None]:
    """Return the first error of every solution of a data set; of equal solutions, that of the first one."""
    first_errors: dict[str, int | None] = {}
    for record in read_records(path, LabelledSolution):
        first_errors.setdefault(_key(record), record.first_error)
    return first_errors


def _key(solution: LabelledSolution) -> str:
    # Not the id: two labellings of one solution may come from files that gave it different ones.
    return content_id(problem=solution.problem, steps=list(solution.steps))
