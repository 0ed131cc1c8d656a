"""The probe judge: features of each step through a small fitted head."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from judgekit.engines.scoring.encoded import Encoded
from judgekit.engines.scoring.identity import model_id
from judgekit.engines.scoring.load import load_scorer
from judgekit.engines.scoring.token_statistics import TokenStatistics, token_statistics
from judgekit.errors import CheckpointError, ConfigError, boundary
from judgekit.judges.card import JudgeCard, LentModel, Opening
from judgekit.judges.probe.features import GROUPS, Columns
from judgekit.judges.probe.heads import Floats, Head, head_from_arrays
from judgekit.judges.probe.model_features import contrast, surprisal
from judgekit.judges.probe.spec import HEAD_FILE, READS_TEXT, ProbeSpec
from judgekit.judges.probe.statistics_cache import StatisticsCache
from judgekit.judges.steps.by_step import StepLogitJudge
from judgekit.judges.steps.layout import InputConvention
from judgekit.types import Precision, Solution


@dataclass(frozen=True)
class ProbedText(Encoded):
    """Token ids of a solution, and what can be seen of its steps without a model."""

    text: Columns | None = None
    """Features that need no model, by name. Shape (S,) each."""


@dataclass(frozen=True)
class Seen:
    """What the head is given of one solution."""

    columns: Columns
    """Features by `group/name`. Shape (S,) each."""
    hidden_S: Floats | None
    """Hidden states, where the group `hidden` is requested. Shape (S, n_layers * n_hidden)."""

    def stacked(self) -> Floats:
        """Return features and, behind them, hidden states in one array. Shape (S, F)."""
        plain = np.stack(list(self.columns.values()), axis=1)
        return plain if self.hidden_S is None else np.concatenate([plain, self.hidden_S], axis=1)


class ProbeJudge(StepLogitJudge):
    """Asks a head about features of each step; see `judgekit.judges.probe.features` and `.model_features`."""

    spec: ProbeSpec
    head: Head | None = None
    """The fitted head; `None` while its features are computed for fitting."""
    lent: LentModel | None = None
    """Where its model is somebody else's."""

    @classmethod
    def open(cls, opening: Opening) -> Self:
        """Load model, tokenizer and head.

        Raises:
            CheckpointError: one is missing or damaged, or they do not fit each other.
        """
        judge = super().open(opening)
        if opening.lent is not None and judge.model is opening.lent.model:
            judge.lent = opening.lent
            judge.lent.layers = judge.layers
        path = opening.directory / HEAD_FILE
        with boundary(CheckpointError, f"cannot read the probe head {path}"):
            arrays = load_file(path)
        n_hidden = len(judge.spec.layers) * judge.model.config.get_text_config().hidden_size
        judge.head = head_from_arrays(arrays, n_features=len(judge.spec.names) + n_hidden)
        return judge

    @classmethod
    def borrow(cls, opening: Opening) -> Any | None:
        """Return the model that is lent where it is what the head was fitted on.

        Raises:
            ConfigError: it is, and the card names a feature cache, which could not tell when the model changes.
        """
        lent, spec = opening.lent, opening.card.spec_as(ProbeSpec)
        if lent is None or spec.frozen_model is None or spec.frozen_model != model_id(lent.model):
            return None
        if spec.feature_cache is not None:
            raise ConfigError(
                f"{opening.card.judge_id} would run on the policy's model, which trains, but its card names the "
                f"feature cache {spec.feature_cache}: leave feature_cache out of the card"
            )
        lent.taken_by.append(opening.card.judge_id)
        return lent.model

    @staticmethod
    def load_model(location: Path, card: JudgeCard, *, dtype: Precision) -> Any:
        """Open the language model; see `load_scorer`."""
        return load_scorer(str(location), dtype=dtype)

    def encode(self, solutions: Sequence[Solution]) -> list[ProbedText]:  # type: ignore[override]  # tells more of each
        """Return token ids and score positions, with the features of the text."""
        groups = [group for group in self.spec.features if group in READS_TEXT]
        return [
            ProbedText(
                encoded.input_ids[: encoded.positions_S[-1] + 1],  # what a conversation has behind the last step
                encoded.positions_S,
                encoded.n_problem_tokens,
                {
                    f"{group}/{name}": column_S
                    for group in groups
                    for name, column_S in GROUPS[group](solution.problem, solution.steps).items()
                },
            )
            for solution, encoded in zip(solutions, super().encode(solutions), strict=True)
        ]

    def features(self, encoded_N: Sequence[ProbedText]) -> list[Seen]:
        """Return all that the head may be given of each solution, in the order of the card's groups."""
        spec, columns_N = self.spec, [dict(encoded.text or {}) for encoded in encoded_N]
        if not set(spec.features) - set(READS_TEXT) or not encoded_N:
            return [Seen(columns, None) for columns in columns_N]
        layers, layout = self.layers, spec.input
        n_separator = len(layout.separator_ids) if isinstance(layout, InputConvention) else 0
        with_N = self._statistics(encoded_N, layers=layers)
        if "surprisal" in spec.features:
            for columns, encoded, with_T in zip(columns_N, encoded_N, with_N, strict=True):
                is_digit_T = self._digit_tokens[encoded.input_ids[encoded.n_problem_tokens :]]
                found = surprisal(encoded, with_T, n_separator=n_separator, is_digit_T=is_digit_T)
                columns |= {f"surprisal/{name}": column_S for name, column_S in found.items()}
        if "contrast" in spec.features:
            without_N = self._statistics([self._without_problem(item) for item in encoded_N], layers=())
            for columns, encoded, with_T, without_T in zip(columns_N, encoded_N, with_N, without_N, strict=True):
                found = contrast(encoded, with_T, without_T, n_separator=n_separator)
                columns |= {f"contrast/{name}": column_S for name, column_S in found.items()}
        hidden_N = [with_T.hidden_S.astype(np.float64) if layers else None for with_T in with_N]
        return [Seen(columns, hidden_S) for columns, hidden_S in zip(columns_N, hidden_N, strict=True)]

    def step_logits(self, encoded_N: Sequence[Encoded]) -> list[np.ndarray]:
        """Return the head's logits. Shape (n_steps,) each.

        Raises:
            CheckpointError: the head was fitted on other features than this release computes.
        """
        assert self.head is not None, "a probe judge is opened with its head"
        probed_N = [item for item in encoded_N if isinstance(item, ProbedText)]
        assert len(probed_N) == len(encoded_N), "they come from this judge's own encode"
        logits = []
        for seen in self.features(probed_N):
            if tuple(seen.columns) != self.spec.names:
                odd = sorted(set(seen.columns).symmetric_difference(self.spec.names)) or ["their order"]
                raise CheckpointError(
                    f"{self.card.judge_id} was fitted on other features than this release computes, for example "
                    f"{odd[0]!r}: fit it again with `judgekit train kind=probe`"
                )
            logits.append(self.head.logits(seen.stacked()))
        return logits

    @property
    def layers(self) -> tuple[float, ...]:
        """Layers whose hidden states the head is given."""
        return self.spec.layers if "hidden" in self.spec.features else ()

    def _statistics(self, encoded_N: Sequence[Encoded], *, layers: Sequence[float]) -> list[TokenStatistics]:
        """Return what the model made of each text, now or, where the card names a cache, at any time before."""

        def run(encoded_N: Sequence[Encoded]) -> list[TokenStatistics]:
            at_work = self.lent.at_work if self.lent else None
            with at_work() if at_work else nullcontext(self.model) as model:
                return token_statistics(model, encoded_N, layers=layers, **self.engine_options(len(encoded_N)))

        if self._cache is not None:
            return self._cache.through(encoded_N, layers, run)
        # the pass without the problem, for `contrast`, is nobody else's
        seen = self.lent.seen if self.lent and layers == self.layers else None
        found_N = [None if seen is None else seen(encoded) for encoded in encoded_N]
        missing = [encoded for encoded, found in zip(encoded_N, found_N, strict=True) if found is None]
        own = iter(run(missing) if missing else ())
        return [next(own) if found is None else found for found in found_N]

    @functools.cached_property
    def _cache(self) -> StatisticsCache | None:
        folder = self.spec.feature_cache
        return None if folder is None else StatisticsCache(folder, self.model)

    @functools.cached_property
    def _digit_tokens(self) -> NDArray[np.bool_]:
        """Whether each token of the vocabulary holds a digit. Shape (V,)."""
        texts = self.tokenizer.batch_decode([[i] for i in range(len(self.tokenizer))])
        return np.array([any(char.isdigit() for char in text) for text in texts])

    def _without_problem(self, encoded: Encoded) -> Encoded:
        """Return the steps behind one token that says nothing: the first of all, else the last before the steps."""
        layout = self.spec.input
        before = encoded.input_ids[: encoded.n_problem_tokens][-1:]
        if isinstance(layout, InputConvention):
            before = [layout.separator_ids[-1] if layout.bos_id is None else layout.bos_id]
        shift = encoded.n_problem_tokens - len(before)
        ids = [*before, *encoded.input_ids[encoded.n_problem_tokens :]]
        return Encoded(ids, [position - shift for position in encoded.positions_S], len(before))
