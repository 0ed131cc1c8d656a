"""What the card claims about a set."""

from __future__ import annotations

from pathlib import Path

import pytest

from judgekit.io import write_records
from judgekit.types import LabelledSolution, LabelMethod, StepLabel
from judgekit_datasets.curation.card import CARD
from judgekit_datasets.curation.config import CurationConfig, DuplicatesConfig
from judgekit_datasets.curation.curate import curate


@pytest.mark.parametrize("near", [0.8, None])
def test_the_card_speaks_of_near_duplicates_across_splits_only_where_they_were_looked_for(
    near: float | None, tmp_path: Path
) -> None:
    solutions = [
        LabelledSolution(
            problem=f"What is {i} plus one?",
            steps=(f"{i} + 1 = {i + 1}",),
            labels=(StepLabel.OK,),
            source="made",
            label_method=LabelMethod.PROCEDURAL,
        )
        for i in range(20)
    ]
    write_records(tmp_path / "data", solutions, record_type=LabelledSolution)
    duplicates, splits = DuplicatesConfig(near=near), {"train": 0.5, "test": 0.5}
    config = CurationConfig(data=(tmp_path / "data",), duplicates=duplicates, splits=splits, workers=1)
    curate(config, tmp_path / "curated")
    card = (tmp_path / "curated" / CARD).read_text()
    claim = next(line for line in card.splitlines() if line.startswith("No problem is in two splits"))
    assert ("near-duplicates" in claim) is (near is not None)
    assert ("Near-duplicates were not looked for." in card) is (near is None)
