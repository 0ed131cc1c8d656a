"""What a card says of a calibrator, and the calibrator that comes back from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from judgekit.calibration.calibrators import CALIBRATORS, make_calibrator_card, open_calibrator
from judgekit.calibration.card import Fingerprint, describe_calibrator
from judgekit.errors import CheckpointError
from judgekit.judges.card import read_card, write_card
from tests.judgekit.calibration.samples import make_up

FINGERPRINT = Fingerprint(data="d", sha256="0", n_solutions=2, n_problems=1, sources=("s",), generators=("g",))


@pytest.mark.parametrize("kind", CALIBRATORS)
def test_a_calibrator_comes_back_from_its_card_to_the_bit(kind: str, judge_copy: Callable[..., Path]) -> None:
    folder = judge_copy()
    made = make_up(lambda logits: 1.9 * logits + 0.3, n=80)
    fitted = CALIBRATORS[kind]().fit_split(made.split)
    card = read_card(folder).model_copy(update={"calibrator": make_calibrator_card(fitted, FINGERPRINT)})
    write_card(folder, card)
    stored = read_card(folder).calibrator
    assert stored == card.calibrator
    assert stored is not None
    opened = open_calibrator(stored)
    assert (opened.kind, vars(opened)) == (kind, vars(fitted))
    assert all(opened.calibrate(verdict) == fitted.calibrate(verdict) for verdict in made.verdicts)
    assert describe_calibrator(stored).startswith(kind)


def test_a_card_of_before_still_opens(judge_copy: Callable[..., Path]) -> None:
    """As `judgekit calibrate` wrote them when temperature was the only calibrator."""
    fingerprint = {"data": "d", "sha256": "0", "n_solutions": 9, "n_problems": 3, "sources": ["s"], "generators": ["g"]}
    folder = judge_copy(
        calibrator={"kind": "temperature", "temperature": 1.25, "fingerprint": fingerprint},
        calibration={
            "before": {"ece": 0.1, "brier": 0.2, "nll": 0.3},
            "after": {"ece": 0.1, "brier": 0.2, "nll": 0.3},
            "bins_before": [],
            "bins_after": [],
            "n_steps": 4,
        },
    )
    stored = read_card(folder)
    assert stored.calibrator is not None and stored.calibration is not None
    assert vars(open_calibrator(stored.calibrator)) == {"temperature_": 1.25}
    assert (stored.calibrator.fingerprint.max_steps, stored.calibration.candidates) == (None, ())


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"kind": "spline"}, "'spline'"),
        ({"kind": "platt", "slope": -1.0, "offset": 0.0}, "slope"),
        ({"kind": "platt", "slope": 1.0}, "offset"),
        ({"kind": "beta", "a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0}, "'calibrator.beta.d'"),
        ({"kind": "isotonic", "knot_probs": [0.1, 0.9], "knot_values": [0.0, 0.5]}, "knot_values"),
        ({"kind": "isotonic", "knot_probs": [0.9, 0.1], "knot_values": [0.2, 0.5]}, "must rise"),
        ({"kind": "isotonic", "knot_probs": [0.1, 0.9], "knot_values": [0.2]}, "1 values for 2 knots"),
    ],
)
def test_a_calibrator_that_is_none_is_refused(
    fields: dict[str, object], complaint: str, judge_copy: Callable[..., Path]
) -> None:
    folder = judge_copy(calibrator=fields | {"fingerprint": json.loads(FINGERPRINT.model_dump_json())})
    with pytest.raises(CheckpointError, match=complaint):
        read_card(folder)
