"""The consensus filter: what is kept and why, the agreement table, and labels measured against the truth."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from judgekit.errors import ConfigError, DataError
from judgekit.io import read_json, read_records, write_records
from judgekit.types import LabelledSolution, LabelMethod, labels_from_first_error
from judgekit_datasets.labelling.agreement import (
    Agreement,
    Labelled,
    build_agreement_report,
    classify_agreement,
    compute_kappa,
    render_agreement,
)
from judgekit_datasets.labelling.config import ConsensusConfig
from judgekit_datasets.labelling.consensus import filter_consensus

ROLLOUTS: dict[str, int | None] = {"a": None, "b": 0, "c": 1, "d": 2, "e": None, "f": 1}
JUDGE: dict[str, int | None] = {"a": None, "b": 0, "c": 2, "d": None, "e": 1, "g": 0}
TRUTH: dict[str, int | None] = {"a": None, "b": 1, "c": 1, "d": 2, "e": 1, "f": 1, "g": 0}


def write(folder: Path, first_errors: Mapping[str, int | None], method: LabelMethod) -> Path:
    records = [
        LabelledSolution(
            problem=problem,
            steps=("one", "two", "three"),
            labels=labels_from_first_error(first_error, n_steps=3),
            source="made",
            label_method=method,
            n_success=(3, 2, 1) if method is LabelMethod.MONTE_CARLO else None,
            n_rollouts=(4, 4, 4) if method is LabelMethod.MONTE_CARLO else None,
        )
        for problem, first_error in first_errors.items()
    ]
    write_records(folder, records, record_type=LabelledSolution)
    return folder


@pytest.fixture
def config(tmp_path: Path) -> ConsensusConfig:
    return ConsensusConfig(
        monte_carlo=write(tmp_path / "rollouts", ROLLOUTS, LabelMethod.MONTE_CARLO),
        judge=write(tmp_path / "judge", JUDGE, LabelMethod.LLM),
        gold=write(tmp_path / "gold", TRUTH, LabelMethod.HUMAN),
    )


def test_what_both_label_alike_is_kept_with_the_counts(config: ConsensusConfig, tmp_path: Path) -> None:
    filter_consensus(config, tmp_path / "out")
    kept = list(read_records(tmp_path / "out", LabelledSolution))
    assert [(record.problem, record.first_error, str(record.label_method)) for record in kept] == [
        ("a", None, "consensus"), ("b", 0, "consensus"),
    ]  # fmt: skip
    assert (kept[0].n_success, kept[0].n_rollouts) == ((3, 2, 1), (4, 4, 4))


def test_everything_else_is_written_down_with_the_reason(config: ConsensusConfig, tmp_path: Path) -> None:
    filter_consensus(config, tmp_path / "out")
    rows = [json.loads(line) for line in (tmp_path / "out/rejected.jsonl").read_text().splitlines()]
    assert [(row["raw"]["problem"], row["reason"], row["detail"]) for row in rows] == [
        ("c", "different steps", "Monte-Carlo: 1, judge: 2"),
        ("d", "an error by Monte-Carlo labels alone", "Monte-Carlo: 2, judge: None"),
        ("e", "an error by the judge alone", "Monte-Carlo: None, judge: 1"),
        ("f", "not labelled by the judge", ""),
        ("g", "not labelled by rollouts", ""),
    ]


def test_the_report_counts_agreement_positions_and_rightness(config: ConsensusConfig, tmp_path: Path) -> None:
    report = filter_consensus(config, tmp_path / "out")
    assert (report.n_labelled_by_both, report.n_kept, report.share_kept.value) == (5, 2, 0.4)
    assert list(report.agreement.values()) == [1, 1, 1, 1, 1]
    assert report.unmatched == {"not labelled by the judge": 1, "not labelled by rollouts": 1}
    assert report.positions == {"none": {"none": 1, "1": 1}, "0": {"0": 1}, "1": {"2": 1}, "2": {"none": 1}}
    assert report.kappa == pytest.approx((2 / 5 - 7 / 25) / (1 - 7 / 25))  # by chance 2*2 + 1 + 1 + 1 of 25
    rollouts, judge, consensus = (report.quality[name] for name in ("Monte-Carlo", "judge", "consensus"))
    # Of a to e, rollouts are right on a, c, d; the judge on a, e. Of a and b, a is kept rightly.
    assert [(row.exact.hits, row.exact.n) for row in (rollouts, judge, consensus)] == [(3, 5), (2, 5), (1, 2)]
    assert [(row.error_precision.hits, row.error_precision.n) for row in (rollouts, judge, consensus)] == [
        (2, 3), (1, 3), (0, 1),
    ]  # fmt: skip
    assert [(row.correct_precision.hits, row.correct_precision.n) for row in (rollouts, judge, consensus)] == [
        (1, 2), (1, 2), (1, 1),
    ]  # fmt: skip
    assert [row.n_true_errors for row in (rollouts, judge, consensus)] == [4, 4, 1]
    assert read_json(tmp_path / "out/agreement.json") == report.model_dump(mode="json")


def test_the_report_can_be_read_in_a_terminal(config: ConsensusConfig, tmp_path: Path) -> None:
    console = Console(width=120, file=io.StringIO())
    console.print(render_agreement(filter_consensus(config, tmp_path / "out")))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "2 of 5 (40.0 % [11.8, 76.9])" in text
    assert "labelled with an error" in text


def test_true_labels_are_optional(config: ConsensusConfig, tmp_path: Path) -> None:
    report = filter_consensus(config.model_copy(update={"gold": None}), tmp_path / "out")
    assert report.quality == {}


def test_a_finished_filter_is_left_and_other_settings_are_named(config: ConsensusConfig, tmp_path: Path) -> None:
    report = filter_consensus(config, tmp_path / "out")
    assert filter_consensus(config, tmp_path / "out", resume=True) == report
    with pytest.raises(ConfigError, match="add --resume"):
        filter_consensus(config, tmp_path / "out")
    with pytest.raises(ConfigError, match=r"config\.gold"):
        filter_consensus(config.model_copy(update={"gold": None}), tmp_path / "out", resume=True)


def test_labels_in_the_wrong_place_and_sets_without_a_common_solution_are_refused(
    config: ConsensusConfig, tmp_path: Path
) -> None:
    swapped = ConsensusConfig(monte_carlo=config.judge, judge=config.monte_carlo)
    with pytest.raises(DataError, match="labelled by llm, not by rollouts"):
        filter_consensus(swapped, tmp_path / "swapped")
    assert filter_consensus(config, tmp_path / "swapped").n_kept == 2, "what failed at once is begun anew"
    other = write(tmp_path / "other", {"z": None}, LabelMethod.LLM)
    with pytest.raises(DataError, match="no solution is labelled both"):
        filter_consensus(config.model_copy(update={"judge": other}), tmp_path / "none")
    differing = write(tmp_path / "differing", {"a": 0}, LabelMethod.LLM)
    with pytest.raises(DataError, match="nothing is kept"):
        filter_consensus(config.model_copy(update={"judge": differing}), tmp_path / "nothing")
    assert len((tmp_path / "nothing/rejected.jsonl").read_text().splitlines()) == 6


PLACES = st.one_of(st.none(), st.integers(0, 4))


@given(st.lists(st.tuples(PLACES, PLACES), min_size=1, max_size=30))
def test_every_solution_is_counted_once(pairs: list[tuple[int | None, int | None]]) -> None:
    labels = [Labelled(*pair) for pair in pairs]
    report = build_agreement_report(labels, gold=[], unmatched=Counter())
    assert sum(report.agreement.values()) == len(pairs)
    assert sum(sum(row.values()) for row in report.positions.values()) == len(pairs)
    assert report.n_kept == sum(a == b for a, b in pairs)
    assert report.kappa is None or report.kappa <= 1
    swapped = compute_kappa([Labelled(judge, rollouts) for rollouts, judge in pairs])
    assert swapped == pytest.approx(report.kappa)


def test_agreement_of_every_kind() -> None:
    kinds = [classify_agreement(*pair) for pair in [(None, None), (1, 1), (1, 2), (1, None), (None, 1)]]
    assert kinds == list(Agreement)
    assert [kind.kept for kind in kinds] == [True, True, False, False, False]
    assert compute_kappa([Labelled(None, None)] * 3) is None
    assert compute_kappa([Labelled(None, None), Labelled(0, 0)]) == 1.0
