"""Statistics of a frozen model on disk: heads, features and attacks change, but the model runs once per text.

It stores the model's numbers for token ids, not the features computed from them, so a release with other features
cannot find stale ones. Each model has a separate folder for each precision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from judgekit.engines.scoring.encoded import Encoded
from judgekit.engines.scoring.identity import model_id
from judgekit.engines.scoring.token_statistics import TokenStatistics
from judgekit.store import Store
from judgekit.text.identity import content_id

FORMAT = 1
"""Goes up when `token_statistics` gives other numbers for the same text; older ones are then left alone."""
AT_ONCE = 64
"""Texts that go through the model, and are kept in case of a kill, at a time."""


class KeptText(BaseModel):
    """The numbers of one text."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")

    key: str
    """Id of token ids, steps and layers."""
    numbers: bytes
    """`TokenStatistics.flat`: float32, little-endian."""


class StatisticsCache:
    """Asks the model only about texts that the folder does not have.

    All texts of its model are held in memory: with three layers of a model of 135M about 50 kB a solution.

    Args:
        root: Folder of the caches of all models.
        model: The frozen model.

    Raises:
        DataError: the cache is damaged.
    """

    def __init__(self, root: Path, model: Any) -> None:
        key = content_id(format=FORMAT, model=model_id(model), dtype=str(model.dtype))
        self._store = Store(root / f"{model.config.model_type}-{key}", KeptText, key=lambda item: item.key)

    def through(
        self,
        encoded_N: Sequence[Encoded],
        layers: Sequence[float],
        run: Callable[[Sequence[Encoded]], Sequence[TokenStatistics]],
    ) -> list[TokenStatistics]:
        """Return the statistics of texts, in order; `run` computes the missing ones, each once.

        Args:
            encoded_N: The texts.
            layers: The layers whose hidden states `run` gives.
            run: Runs the model.

        Raises:
            DataError: the disk is full or the folder cannot be written.
        """
        key_N = [
            content_id(ids=item.input_ids, steps=item.positions_S, problem=item.n_problem_tokens, layers=list(layers))
            for item in encoded_N
        ]
        missing = {key: item for key, item in zip(key_N, encoded_N, strict=True) if key not in self._store}
        keys = list(missing)
        for start in range(0, len(keys), AT_ONCE):
            part = keys[start : start + AT_ONCE]
            found = run([missing[key] for key in part])
            self._store.add(
                [
                    KeptText(key=key, numbers=item.flat().astype("<f4").tobytes())
                    for key, item in zip(part, found, strict=True)
                ]
            )
        return [
            TokenStatistics.read(np.frombuffer(self._store[key].numbers, dtype="<f4"), item)
            for key, item in zip(key_N, encoded_N, strict=True)
        ]
