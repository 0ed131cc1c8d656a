"""Lends a trainer's models to judges: the reference model, or the policy, instead of a second copy of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from accelerate.utils import is_peft_model
from torch.distributed.fsdp import FSDPModule

from judgekit.engines.scoring.encoded import Encoded
from judgekit.engines.scoring.token_statistics import SeenPass, TokenStatistics, seen_passes
from judgekit.errors import ConfigError
from judgekit.judges.card import Golden, LentModel
from judgekit.training.lora import language_model
from judgekit.training.sharding import whole_weights


class Lending:
    """Part of `sgpo.online.trainer.SGPOMixin`: lends the trainer's models, and the features of their passes."""

    model: Any
    ref_model: Any
    accelerator: Any

    golden: Sequence[Golden] = ()
    """What the judge said about a few solutions at the start, if it runs on a model of this trainer; compared with what
    it says about them now, see `sgpo.guards.JudgeDrift`."""
    _lent: LentModel | None = None
    _lent_trains = False
    _n_reused = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._seen: list[SeenPass] = []
        super().__init__(*args, **kwargs)

    def lend(self, lent: LentModel, *, as_it_trains: bool = False) -> None:
        """From now on, let judges run on the initial policy, or on the policy `as_it_trains`.

        If the trainer runs the same model over responses without gradients (the reference model's pass for the KL term,
        the policy's for old log-probabilities), the features come from that pass. This holds for judges that read what
        the policy read and wrote, token by token, and if no precision below that of the weights is used.
        """
        self._lent, self._lent_trains = lent, as_it_trains
        lent.at_work = self.lend_policy if as_it_trains else self.lend_reference
        lent.seen = self._find_seen

    @contextmanager
    def lent_whole(self) -> Iterator[None]:
        """Hold the weights that a judge runs on, whole, on every process; all processes enter, with work or without."""
        with ExitStack() as stack:
            if self._lent is not None:
                lent = self.model if self._lent_trains or self.ref_model is None else self.ref_model
                stack.enter_context(whole_weights(self.accelerator.unwrap_model(lent), self.accelerator))
            yield

    def _find_seen(self, encoded: Encoded) -> TokenStatistics | None:
        found = (seen.find(encoded) for seen in self._seen)
        statistics = next((item for item in found if item is not None), None)
        self._n_reused += statistics is not None
        return statistics

    def _get_per_token_logps_and_entropies(
        self, model: Any, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, Any, Any]:
        """Keep the features of a pass of the model that a judge runs on."""
        run = partial(super()._get_per_token_logps_and_entropies, model, *args, **kwargs)  # type: ignore[misc]
        lent = self.model if self._lent_trains else self.ref_model
        is_spread = isinstance(self.model, FSDPModule)  # the output layer is whole only within the model's own pass
        is_same = (
            not is_spread
            and self.accelerator.mixed_precision == "no"
            and not torch.is_grad_enabled()
            and self.model.training
        )
        # with adapters, the same object runs with them and without
        if self._lent is None or model is not lent or not is_same or is_peft_model(self.model):
            return run()
        with seen_passes(self.accelerator.unwrap_model(model), self._lent.layers) as passes:
            found = run()
        self._seen += passes
        return found

    @contextmanager
    def lend_policy(self) -> Iterator[Any]:
        """Lend the current policy to a judge, in evaluation mode; see `judgekit.judges.card.LentModel`."""
        with self._at_rest(self.model) as policy:
            yield language_model(policy)

    @contextmanager
    def lend_reference(self) -> Iterator[Any]:
        """Lend the initial policy to a judge: the reference model, or the policy without its adapters.

        Raises:
            ConfigError: there is neither.
        """
        if self.ref_model is not None:
            with self._at_rest(self.ref_model) as reference:
                yield reference
            return
        with self._at_rest(self.model) as policy:
            if not is_peft_model(policy):
                raise ConfigError(
                    "there is no reference model to lend to a judge: set beta_kl above 0, or use adapters"
                )
            with policy.disable_adapter():
                yield language_model(policy)

    @contextmanager
    def _at_rest(self, wrapped: Any) -> Iterator[Any]:
        model = self.accelerator.unwrap_model(wrapped)
        was_training = model.training
        model.eval()
        try:
            yield model
        finally:
            model.train(was_training)
