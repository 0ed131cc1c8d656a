"""Training on packed responses: a thin layer over transformers' Trainer, which handles sharding and checkpoints.

One item of the data set is one packed bin, and a bin is one forward pass, so no custom sampler is needed. Axes as in
`sgpo.offline.packing`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import torch
from torch.distributed.fsdp import FSDPModule
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel, Trainer

from judgekit.engines.scoring.forward import attention, is_packable
from judgekit.engines.scoring.heads import OutputHead, head_blocks
from judgekit.engines.scoring.packed_attention import PACKED, PackLayout
from judgekit.engines.scoring.packing import Pack
from judgekit.errors import ConfigError
from judgekit.training.lora import language_model
from sgpo.credit import StepCredit
from sgpo.offline.losses import policy_loss
from sgpo.offline.packing import OfflineRow, PackedSteps, assign_bins, build_bin


@contextmanager
def packed_policy(model: PreTrainedModel, *, longest: int) -> Iterator[None]:
    """Let a policy run on bins for a while: the engine's attention separates their responses.

    Training as a whole stays inside, because gradient checkpointing runs the layers again in the backward pass. A
    policy whose layers cannot separate responses is left unchanged; its bins hold one response each, see `can_pack`.

    Args:
        model: The policy.
        longest: Tokens of the longest response with its prompt.
    """
    model = language_model(model)
    OutputHead.of(model)  # compares its logits with the model's, in the model's own attention
    with attention(model, PACKED) if can_pack(model, longest=longest) else nullcontext():
        yield


def can_pack(model: PreTrainedModel, *, longest: int) -> bool:
    """Whether a bin of this policy may hold several responses."""
    return is_packable(model.config.get_text_config(), longest=longest)


TokenValue = Literal["logprob", "entropy"]
"""Value computed from a token's distribution: the token's log-probability, or the entropy over the vocabulary."""
OldValue = TokenValue | Literal["divergence", "influence"]
"""What algorithms may ask of the policy before training, for each token."""


def token_values(
    model: torch.nn.Module, inputs: Mapping[str, torch.Tensor], *, value: TokenValue = "logprob"
) -> torch.Tensor:
    """Return the log-probability of each trained token of one bin, or the entropy there, nats. Shape (T,), float32.

    Only the positions that predict a trained token go through the output layer, one block at a time, and the backward
    pass recomputes a block's logits: those of a whole bin over the vocabulary would need gigabytes. If FSDP2 shards the
    weights, the logits of a whole bin are in memory at once.

    Args:
        model: The policy, possibly wrapped for several processes, within `packed_policy`.
        inputs: Tensors of a `PackedBin`, by name.
        value: Which of the two.
    """
    policy: Any = language_model(model)
    input_ids_P, position_ids_P = inputs["input_ids_P"], inputs["position_ids_P"]
    starts = (position_ids_P == 0).nonzero()[:, 0].tolist()
    options: dict[str, Any] = {}
    if policy.config._attn_implementation == PACKED:
        pack = Pack()
        for row, (start, stop) in enumerate(pairwise([*starts, len(input_ids_P)])):
            pack.add(row, input_ids_P[start:stop].tolist(), n_shared=0)
        options["layout"] = PackLayout(pack, input_ids_P.device)
    else:
        assert len(starts) == 1, "responses that share a bin need packed_policy"

    def values(logits_TV: torch.Tensor, target_T: torch.Tensor) -> torch.Tensor:
        logits_TV = logits_TV.float()
        if value == "entropy":
            return torch.special.entr(logits_TV.softmax(-1)).sum(-1)
        return logits_TV.gather(-1, target_T[:, None])[:, 0] - logits_TV.logsumexp(-1)

    run = partial(model, input_ids=input_ids_P[None], position_ids=position_ids_P[None], use_cache=False, **options)
    if isinstance(model, FSDPModule):
        # A process has the whole output layer only within the model's own pass.
        return values(run(logits_to_keep=inputs["source_T"]).logits[0], inputs["target_T"])
    # The wrapper's forward must run for gradients to be shared between processes, so the hidden states are caught on
    # their way; only one row of the model's own logits is computed.
    caught: list[torch.Tensor] = []
    handle = policy.base_model.register_forward_hook(lambda module, args, output: caught.append(output[0]))
    try:
        run(logits_to_keep=1)
    finally:
        handle.remove()
    head = OutputHead.of(policy)

    def block_values(hidden_T: torch.Tensor, target_T: torch.Tensor) -> torch.Tensor:
        return values(head.logits(hidden_T), target_T)

    hidden_T, target_T = caught[0][0][inputs["source_T"]], inputs["target_T"]
    blocks = head_blocks(max(1, len(target_T)), target_T.device)
    return torch.cat([checkpoint(block_values, hidden_T[rows], target_T[rows], use_reentrant=False) for rows in blocks])


@torch.no_grad()
def compute_row_values(
    model: PreTrainedModel,
    rows: Sequence[OfflineRow],
    *,
    token_budget: int,
    value: TokenValue = "logprob",
    bf16: bool = False,
    track: Callable[[list[list[int]]], Iterable[list[int]]] = iter,
) -> list[list[float]]:
    """Return one value for each token of every row's completion under the current model, nats, one list per row.

    Args:
        model: The policy; its training mode is restored afterwards.
        rows: The responses.
        token_budget: Tokens per forward pass.
        value: See `token_values`.
        bf16: Run under bfloat16 autocast, as in training.
        track: Wraps the bins, for a progress bar.
    """
    values: list[list[float]] = [[] for _ in rows]
    was_training = model.training
    model.eval()
    lengths_N = [len(row) for row in rows]
    longest = max(lengths_N, default=0)
    bins = assign_bins(lengths_N, capacity=token_budget, alone=not can_pack(model, longest=longest))
    with packed_policy(model, longest=longest):
        for items in track(bins):
            packed = build_bin(tuple(rows[i] for i in items), tokens="token_mean", max_tokens=1)
            inputs = {name: tensor.to(model.device) for name, tensor in packed.inputs().items()}
            with torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=bf16):
                values_T = token_values(model, inputs, value=value).tolist()
            for i in items:
                n_tokens = len(rows[i].completion_ids)
                values[i], values_T = values_T[:n_tokens], values_T[n_tokens:]
    model.train(was_training)
    return values


class OfflineTrainer(Trainer):
    """Trainer over `PackedSteps` with the clipped policy-gradient loss.

    The items carry the divisor of their whole optimiser step, so the sum over micro-batches and processes is exact
    whatever their number. Needs `per_device_train_batch_size=1` and sequential sampling.

    Adds to every row `clip_frac` and `ratio_mean` (over the trained tokens since the last row), `tokens` (their number)
    and `seconds`.

    Args:
        step_credit: Computes the advantages of bins whose tokens carry `batch_row_T` at every optimiser step; such a
            step consists of whole groups. `None` if there are no such bins.
        **kwargs: As for Trainer.
    """

    loss_is_scaled_for_ga = True

    train_dataset: PackedSteps

    def __init__(self, *, step_credit: StepCredit | None = None, **kwargs: Any) -> None:
        super().__init__(data_collator=_only_item, **kwargs)
        self.step_credit = step_credit
        self._step_advantages: tuple[int, torch.Tensor] = (-1, torch.zeros(0))
        self._tally = self._no_tokens()
        self._step_began = time.perf_counter()

    def _no_tokens(self) -> torch.Tensor:
        """Sums over the trained tokens of a step: clipped, ratio, tokens."""
        return torch.zeros(3, device=self.args.device)

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Return this bin's share of its step's loss, times the number of processes that average gradients."""
        advantages_T = inputs["advantages_T"]
        if self.step_credit is not None:
            if self._step_advantages[0] != self.state.global_step:  # the first bin of a step, on every process
                self._step_advantages = self.state.global_step, self._give_step_credit(model, self.step_credit)
            if "batch_row_T" in inputs:
                advantages_T = self._step_advantages[1].to(advantages_T)[inputs["batch_row_T"]]
        token = policy_loss(
            token_values(model, inputs),
            old_logprobs_T=inputs.get("old_logprobs_T"),
            advantages_T=advantages_T,
            clip=self.train_dataset.rules[self.state.global_step].clip,
        )
        n_tokens = torch.tensor(len(token.ratio_T), device=token.ratio_T.device)
        self._tally += torch.stack([token.clipped_T.sum(), token.ratio_T.sum(), n_tokens])
        return (token.loss_T * inputs["weights_T"]).sum() * inputs["scale"] * self.accelerator.num_processes

    @torch.no_grad()
    def _give_step_credit(self, model: torch.nn.Module, step_credit: StepCredit) -> torch.Tensor:
        """Run the policy over all bins of this optimiser step, split over the processes, and compute credit from that.

        Returns:
            Advantage of each response of the file, 0 for those of other steps. Shape (N,).
        """
        n_processes, n_bins = self.accelerator.num_processes, self.args.gradient_accumulation_steps
        first = self.state.global_step * n_bins * n_processes + self.accelerator.process_index
        sums_N = torch.zeros(3, len(step_credit.batch.outcomes_N), dtype=torch.float64)  # new, old, tokens
        for index in range(first, first + n_bins * n_processes, n_processes):
            inputs = {name: value.to(self.args.device) for name, value in self.train_dataset[index].items()}
            with self.compute_loss_context_manager():
                # Empty bins, too: the wrapper for several processes waits for a pass from each of them.
                now_T = token_values(model, inputs).cpu().double()
            if (rows_T := inputs.get("batch_row_T")) is None:
                continue  # padding, or in an epoch of plain GRPO
            old_T = inputs.get("old_logprobs_T", torch.full_like(now_T, torch.nan)).cpu().double()
            sums_N.index_add_(1, rows_T.cpu(), torch.stack([now_T, old_T, torch.ones_like(now_T)]))
        sums_N = self.accelerator.reduce(sums_N.to(self.args.device), reduction="sum").cpu()
        now_N, old_N = (torch.where(sums_N[2] > 0, values_N, torch.nan) for values_N in sums_N[:2])
        return step_credit.at(now_N, old_seq_logprobs_N=old_N)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the step's sums to what Trainer logs, and pass it on.

        Raises:
            ConfigError: the loss or the gradient is not finite.
        """
        if "grad_norm" in logs:
            if not math.isfinite(logs["loss"]) or not math.isfinite(logs["grad_norm"]):
                raise ConfigError(
                    f"step {self.state.global_step}: loss {logs['loss']} and gradient norm {logs['grad_norm']} are not "
                    "finite. Lower lr, or set bf16=false, and start in a new folder"
                )
            n_clipped, ratio_sum, n_tokens = self.accelerator.reduce(self._tally, reduction="sum").tolist()
            logs |= {"clip_frac": n_clipped / n_tokens, "ratio_mean": ratio_sum / n_tokens, "tokens": int(n_tokens)}
            logs["seconds"] = time.perf_counter() - self._step_began
            self._tally, self._step_began = self._no_tokens(), time.perf_counter()
        super().log(logs, start_time)


def _only_item(items: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    (item,) = items
    return item
