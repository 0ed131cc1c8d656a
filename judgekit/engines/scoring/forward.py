"""Runs a model's body over encoded solutions and reads a few positions, without logits of the whole vocabulary.

Solutions are concatenated in packs under a token budget, and each shared prefix is computed once. Model types whose
attention cannot separate them run in length-sorted, padded batches under the same budget. Axes: `_N` solutions of a
call, `_T` tokens of one, `_P` positions of a pack or a flattened batch, `_S` steps, `_V` vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Unpack

import numpy as np
import torch

from judgekit.engines.scoring.encoded import Encoded, PassOptions
from judgekit.engines.scoring.heads import OutputHead, head_blocks
from judgekit.engines.scoring.packed_attention import PACKABLE, PACKED, PackLayout
from judgekit.engines.scoring.packing import Pack, PaddedBatch, plan_packs, plan_padded
from judgekit.errors import CheckpointError, JudgeError
from judgekit.progress import Progress

Read = Callable[[torch.Tensor, np.ndarray, Encoded], np.ndarray]
"""From all hidden states of a batch, shape (P, n_hidden), and where the tokens of one solution lie, to its values."""


def score_positions(
    model: Any,
    encoded_N: Sequence[Encoded],
    **options: Unpack[PassOptions],
) -> list[np.ndarray]:
    """Return the head's logits at every step position.

    Args:
        model: Token-classification model with a body and a head called `score` or `classifier`.
        encoded_N: Solutions, each with at least one step.
        options: How they are assigned to forward passes.

    Returns:
        One array per solution, float32. Shape (n_steps, n_labels).

    Raises:
        JudgeError: the model runs out of memory, with the option to lower.
    """
    head = next((getattr(model, name) for name in ("score", "classifier") if hasattr(model, name)), None)
    if head is None:
        raise CheckpointError(
            f"{type(model).__name__} has no head called score or classifier: name it as `head` in the card"
        )

    def read(hidden_P: torch.Tensor, index_T: np.ndarray, encoded: Encoded) -> np.ndarray:
        return _numbers(head(hidden_P[index_T[encoded.positions_S]]))

    return read_hidden(model, encoded_N, read, **options)


def token_choice_logits(
    model: Any,
    encoded_N: Sequence[Encoded],
    *,
    token_ids: Sequence[int],
    **options: Unpack[PassOptions],
) -> list[np.ndarray]:
    """Return the logits of a few tokens as the next one, at every step position, as the full vocabulary's would be.

    Args:
        model: Causal language model.
        encoded_N: Solutions; the token behind each position is requested.
        token_ids: The tokens asked about. Shape (n_choices,).
        options: How they are assigned to forward passes.

    Returns:
        One array per solution, float32. Shape (n_steps, n_choices).

    Raises:
        CheckpointError: the model computes its logits in a way that is not known here.
        JudgeError: see `score_positions`.
    """
    head = OutputHead.of(model)

    def read(hidden_P: torch.Tensor, index_T: np.ndarray, encoded: Encoded) -> np.ndarray:
        return _numbers(head.logits(hidden_P[index_T[encoded.positions_S]], token_ids=token_ids))

    return read_hidden(model, encoded_N, read, **options)


def token_logprobs(
    model: Any,
    encoded_N: Sequence[Encoded],
    **options: Unpack[PassOptions],
) -> list[np.ndarray]:
    """Return the log-probability of every token behind the problem, given all tokens before it, in nats.

    The first token of all, where there is no problem, has 0: nothing stands before it that could predict it.

    Args:
        model: Causal language model.
        encoded_N: Solutions, each with a problem and at least one step.
        options: How they are assigned to forward passes.

    Returns:
        One array per solution, float32. Shape (n_tokens - n_problem_tokens,).

    Raises:
        CheckpointError: see `token_choice_logits`.
        JudgeError: see `score_positions`.
    """
    head = OutputHead.of(model)

    def read(hidden_P: torch.Tensor, index_T: np.ndarray, encoded: Encoded) -> np.ndarray:
        first = max(encoded.n_problem_tokens, 1)
        before_T = index_T[first - 1 : -1]
        ids_T = torch.tensor(encoded.input_ids[first:], dtype=torch.long, device=hidden_P.device)
        logprobs_T = np.empty(len(before_T), dtype=np.float32)
        for block in head_blocks(len(before_T), hidden_P.device):
            logprobs = head.logits(hidden_P[before_T[block]]).float().log_softmax(dim=-1)
            logprobs_T[block] = _numbers(logprobs.gather(1, ids_T[block, None])[:, 0])
        return np.pad(logprobs_T, (first - encoded.n_problem_tokens, 0))

    return read_hidden(model, encoded_N, read, **options)


@torch.inference_mode()
def read_hidden(
    model: Any,
    encoded_N: Sequence[Encoded],
    read: Read,
    *,
    token_budget: int,
    pad_id: int,
    share: bool = True,
    progress: bool = False,
) -> list[np.ndarray]:
    """Run the body over all solutions in batches and read each one's last hidden states. Keeps the order."""
    body, found = model.base_model, [np.empty(0, dtype=np.float32)] * len(encoded_N)
    ids_N = [encoded.input_ids for encoded in encoded_N]
    batches = list(_plan_batches(body.config, ids_N, token_budget=token_budget, share=share))
    with Progress("judging", len(encoded_N), disable=not progress) as shown:
        for batch in batches:
            try:
                hidden_P = _run_body(body, batch, pad_id=pad_id)
                for row, index_T in zip(batch.rows, batch.index_T, strict=True):
                    found[row] = read(hidden_P, index_T, encoded_N[row])
            except torch.OutOfMemoryError as error:
                raise JudgeError(f"out of memory on a batch of {len(batch)} tokens: lower token_budget") from error
            if len(batch.rows) > 1:
                # A mask weighs what a token may not see with 0, and 0 times NaN is NaN: behind a mask, one solution's
                # NaN reaches tokens that others share with it, and the padding's reaches all. Alone it cannot.
                for row in batch.rows:
                    if not np.isfinite(found[row]).all():
                        [alone] = _plan_batches(body.config, [ids_N[row]], token_budget=token_budget, share=False)
                        [index_T] = alone.index_T
                        found[row] = read(_run_body(body, alone, pad_id=pad_id), index_T, encoded_N[row])
            shown.advance(len(batch.rows))
    return found


def _plan_batches(
    config: Any, input_ids_N: Sequence[list[int]], *, token_budget: int, share: bool
) -> Sequence[Pack | PaddedBatch]:
    """Choose how the solutions are run, by the configuration of the body.

    Some models scale rotary positions by the longest input that they see: `longrope` by that of the batch, so that a
    solution beyond the original context needs batches of one; `dynamic` by that of all batches so far.
    """
    longest = max(map(len, input_ids_N), default=0)
    rope = getattr(config, "rope_parameters", None) or {}
    if _is_stretched(rope, longest=longest):
        return plan_padded(input_ids_N, token_budget=1)
    if rope.get("rope_type") == "dynamic" and longest > config.max_position_embeddings:
        raise JudgeError(
            f"a solution has {longest} tokens: beyond {config.max_position_embeddings}, the scores of this model "
            "depend on earlier passes (dynamic rotary positions): set input.max_tokens in the judge's card"
        )
    if is_packable(config, longest=longest):
        return plan_packs(input_ids_N, token_budget=token_budget, share=share)
    return plan_padded(input_ids_N, token_budget=token_budget)


def is_packable(config: Any, *, longest: int) -> bool:
    """Whether a model of this configuration runs inputs of up to `longest` tokens end to end, each as if alone."""
    rope = getattr(config, "rope_parameters", None) or {}
    return config.model_type in PACKABLE and not _is_stretched(rope, longest=longest)


def _is_stretched(rope: Mapping[str, Any], *, longest: int) -> bool:
    """Whether the longest input of a batch decides on the rotary positions of all."""
    return rope.get("rope_type") == "longrope" and longest > rope["original_max_position_embeddings"]


def _run_body(body: Any, batch: Pack | PaddedBatch, *, pad_id: int) -> torch.Tensor:
    """Return the last hidden states of a batch. Shape (P, n_hidden)."""
    if isinstance(batch, Pack):
        ids, positions = (torch.tensor([row], device=body.device) for row in (batch.input_ids_P, batch.position_ids_P))
        with attention(body, PACKED):
            layout = PackLayout(batch, body.device)
            return body(input_ids=ids, position_ids=positions, layout=layout, use_cache=False)[0][0]
    ids = torch.full((len(batch.rows), batch.width), pad_id)
    mask = torch.zeros_like(ids)
    for line, row_ids in enumerate(batch.input_ids):
        ids[line, : len(row_ids)] = torch.tensor(row_ids)
        mask[line, : len(row_ids)] = 1
    options = {"use_cache": False} if hasattr(body.config, "use_cache") else {}
    return body(input_ids=ids.to(body.device), attention_mask=mask.to(body.device), **options)[0].flatten(0, 1)


@contextmanager
def attention(body: Any, name: str) -> Iterator[None]:
    """Let a model attend in another way for a while."""
    before = body.config._attn_implementation
    body.set_attn_implementation(name)
    try:
        yield
    finally:
        body.set_attn_implementation(before)


def _numbers(values: torch.Tensor) -> np.ndarray:
    return values.float().cpu().numpy()
