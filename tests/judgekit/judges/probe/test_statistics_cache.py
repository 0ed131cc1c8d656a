"""What a frozen model made of a text is kept: no text goes through it twice, and no other model finds it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from judgekit.engines.scoring.encoded import Encoded
from judgekit.engines.scoring.identity import model_id
from judgekit.engines.scoring.load import load_scorer
from judgekit.engines.scoring.token_statistics import TokenStatistics
from judgekit.errors import CheckpointError
from judgekit.io import read_json, write_json
from judgekit.judges import load_judge
from judgekit.judges.probe import judge as probe_judge
from judgekit.judges.probe.statistics_cache import AT_ONCE, StatisticsCache
from judgekit.judges.stored import verdict_key
from judgekit.training.config import ProbeConfig
from judgekit.training.probe.fit import train_probe
from tests.judgekit.samples import addition


@pytest.fixture
def run_texts(monkeypatch: pytest.MonkeyPatch) -> list[Encoded]:
    """Return the list that every text is appended to that goes through a model."""
    seen, real = list[Encoded](), probe_judge.token_statistics

    def counted(model: Any, encoded_N: Sequence[Encoded], **options: Any) -> list[TokenStatistics]:
        seen.extend(encoded_N)
        return real(model, encoded_N, **options)

    monkeypatch.setattr(probe_judge, "token_statistics", counted)
    return seen


def test_no_text_goes_through_the_model_twice(
    labelled_data: Path, tiny_base: Path, tmp_path: Path, run_texts: list[Encoded]
) -> None:
    cache = tmp_path / "cache"
    options = {"data": (labelled_data,), "n_folds": 2, "ablation": False, "heads": ("linear",), "feature_cache": cache}
    config = ProbeConfig.model_validate({"model": str(tiny_base)} | options)
    folder = train_probe(config, tmp_path / "one")
    n_fit = len({tuple(item.input_ids) for item in run_texts})
    assert len(run_texts) == n_fit > 40  # golden solutions, too
    again = config.model_copy(update={"model": str(folder), "features": ("surprisal", "hidden"), "seed": 1})
    train_probe(again, tmp_path / "two")  # another head on the copy of the weights that lies in the judge directory
    assert len(run_texts) == n_fit

    card = tmp_path / "cached.yaml"
    card.write_text(f"model: {folder}\nfeature_cache: {cache}\n")
    solutions = [addition(k, first_error=k % 2) for k in range(100, 103)]
    plain, cached = load_judge(folder), load_judge(card)
    first, expected = cached.judge([*solutions, solutions[0]]), plain.judge(solutions)
    assert len(run_texts) == n_fit + 6
    second = load_judge(card).judge(solutions)
    assert len(run_texts) == n_fit + 6
    for one, two, own in zip(first[:3], second, expected, strict=True):
        assert one.verdict == two.verdict
        np.testing.assert_allclose(two.verdict.p_ok_S, own.verdict.p_ok_S, atol=1e-5)
    assert verdict_key(card, dtype="float32") == verdict_key(folder, dtype="float32")

    values = read_json(folder / "judge.json")
    assert values["spec"]["feature_cache"] is None
    write_json(folder / "judge.json", values | {"spec": values["spec"] | {"feature_cache": "elsewhere"}})
    with pytest.raises(CheckpointError, match="names the folder 'elsewhere' to write"):
        load_judge(folder)


def test_a_killed_judge_keeps_what_its_model_has_read(tiny_base: Path, tmp_path: Path) -> None:
    model, n_run = load_scorer(str(tiny_base), dtype="float32"), 0
    texts = [Encoded([1, 2, 3 + k], [2], 1) for k in range(AT_ONCE + 5)]
    numbers = TokenStatistics(*np.arange(6, dtype=np.float32).reshape(3, 2), np.ones((1, 4), np.float32))

    def run(encoded_N: Sequence[Encoded]) -> list[TokenStatistics]:
        nonlocal n_run
        if n_run == AT_ONCE and not (tmp_path / "again").exists():
            raise KeyboardInterrupt
        n_run += len(encoded_N)
        return [numbers] * len(encoded_N)

    with pytest.raises(KeyboardInterrupt):
        StatisticsCache(tmp_path / "cache", model).through(texts, (0.5,), run)
    (tmp_path / "again").touch()
    found = StatisticsCache(tmp_path / "cache", model).through(texts, (0.5,), run)
    assert n_run == len(texts)
    assert all((item.flat() == numbers.flat()).all() and item.hidden_S.shape == (1, 4) for item in found)
    StatisticsCache(tmp_path / "cache", model).through(texts[:1], (), run)  # other layers are other numbers
    assert n_run == len(texts) + 1


def test_a_model_is_known_by_what_it_computes(tiny_base: Path, tmp_path: Path) -> None:
    model = load_scorer(str(tiny_base), dtype="float32")
    own = model_id(model)
    model.save_pretrained(tmp_path / "copy")
    halved = load_scorer(str(tiny_base), dtype="bfloat16")
    assert model_id(load_scorer(str(tmp_path / "copy"), dtype="float32")) == own != model_id(halved)
    assert model_id(halved.float()) == model_id(load_scorer(str(tiny_base), dtype="bfloat16"))  # held exactly
    model.config.rope_parameters["rope_theta"] *= 2
    assert model_id(model) != own
    model.config.rope_parameters["rope_theta"] /= 2
    with torch.no_grad():
        next(model.parameters())[0, 0] += 1e-6
    assert model_id(model) != own
