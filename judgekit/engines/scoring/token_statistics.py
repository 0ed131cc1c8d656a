"""Statistics of a text under a causal language model: the surprise at each token, and hidden states of each step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self, Unpack

import numpy as np
import torch
from numpy.typing import NDArray

from judgekit.engines.scoring.encoded import Encoded, PassOptions
from judgekit.engines.scoring.forward import read_hidden
from judgekit.engines.scoring.heads import OutputHead, head_blocks
from judgekit.errors import CheckpointError


@dataclass(frozen=True)
class TokenStatistics:
    """Of the tokens behind the problem, given all tokens before each."""

    surprisal_T: NDArray[np.float32]
    """-log p of the token, nats. Shape (T,)."""
    entropy_T: NDArray[np.float32]
    """Entropy of the prediction there, nats. Shape (T,)."""
    rank_T: NDArray[np.float32]
    """How many tokens the model found likelier; 0 is its first choice. Shape (T,)."""
    hidden_S: NDArray[np.float32]
    """Mean hidden state over each step's tokens, layer by layer. Shape (S, n_layers * n_hidden)."""

    def take(self, tokens: slice) -> TokenStatistics:
        """Return those of a run of tokens."""
        return TokenStatistics(self.surprisal_T[tokens], self.entropy_T[tokens], self.rank_T[tokens], self.hidden_S)

    def flat(self) -> NDArray[np.float32]:
        """Return all numbers in one row, as `read` takes them."""
        return np.concatenate([self.surprisal_T, self.entropy_T, self.rank_T, self.hidden_S.ravel()])

    @classmethod
    def read(cls, flat: NDArray[np.float32], encoded: Encoded) -> Self:
        """Read the numbers of a text; shape (3 * n_tokens + n_steps * n_layers * n_hidden,)."""
        n_numbers = 3 * (len(encoded.input_ids) - encoded.n_problem_tokens)
        surprisal_T, entropy_T, rank_T = flat[:n_numbers].reshape(3, -1)
        return cls(surprisal_T, entropy_T, rank_T, flat[n_numbers:].reshape(len(encoded.positions_S), -1))


def token_statistics(
    model: Any, encoded_N: Sequence[Encoded], *, layers: Sequence[float] = (), **options: Unpack[PassOptions]
) -> list[TokenStatistics]:
    """Return what the model made of every token behind the problem, and of every step, in one pass over its body.

    The first token of all, where there is no problem, has zeros: nothing stands before it that could predict it.

    Args:
        model: Causal language model.
        encoded_N: Solutions, each with at least one step.
        layers: Layers whose hidden states are averaged over each step, by their share of the depth, in (0, 1].
        options: How they are assigned to forward passes.

    Raises:
        CheckpointError: the model computes its logits in a way that is not known here, or its layers are not found.
        JudgeError: the model runs out of memory, with the option to lower.
    """
    head = OutputHead.of(model)
    with _caught(model, layers) as caught:

        def read(hidden_P: torch.Tensor, index_T: np.ndarray, encoded: Encoded) -> np.ndarray:
            return _look(head, hidden_P, caught, index_T, encoded)

        flat_N = read_hidden(model, encoded_N, read, **options)
    return [TokenStatistics.read(flat, encoded) for flat, encoded in zip(flat_N, encoded_N, strict=True)]


@dataclass(frozen=True)
class SeenPass:
    """A forward pass that somebody else ran over a padded batch, for those who would run the same texts."""

    head: OutputHead
    """Of the model that ran."""
    ids_B: Sequence[list[int]]
    """Token ids of each row, without padding."""
    index_B: Sequence[NDArray[np.int64]]
    """Where they lie among the positions of the flattened batch."""
    hidden_P: torch.Tensor
    """Last hidden states. Shape (P, n_hidden)."""
    layers_P: Sequence[torch.Tensor]
    """Outputs of the layers that were asked for. Shape (P, n_hidden) each."""

    @torch.inference_mode()
    def find(self, encoded: Encoded) -> TokenStatistics | None:
        """Return the statistics of a text that a row begins with, token by token; `None` if none does."""
        n_tokens = len(encoded.input_ids)
        for ids, index_T in zip(self.ids_B, self.index_B, strict=True):
            if ids[:n_tokens] == encoded.input_ids:
                flat = _look(self.head, self.hidden_P, self.layers_P, index_T[:n_tokens], encoded)
                return TokenStatistics.read(flat, encoded)
        return None


@contextmanager
def seen_passes(model: Any, layers: Sequence[float]) -> Iterator[list[SeenPass]]:
    """Yield a list of all forward passes over the body of a causal language model within, whoever runs them.

    Their hidden states are kept as long as the list: those of the last layer and of the `layers`.
    """
    passes, head = list[SeenPass](), OutputHead.of(model)
    with _caught(model, layers) as caught:

        def keep(module: torch.nn.Module, args: Any, kwargs: dict[str, torch.Tensor], output: Any) -> None:
            ids_B, mask_B = kwargs["input_ids"].cpu(), kwargs["attention_mask"].cpu().bool()
            places = np.arange(mask_B.numel()).reshape(mask_B.shape)
            passes.append(
                SeenPass(
                    head,
                    [ids[mask].tolist() for ids, mask in zip(ids_B, mask_B, strict=True)],
                    [row[mask.numpy()] for row, mask in zip(places, mask_B, strict=True)],
                    output[0].flatten(0, 1),
                    tuple(caught),
                )
            )

        handle = model.base_model.register_forward_hook(keep, with_kwargs=True)
        try:
            yield passes
        finally:
            handle.remove()


def _look(
    head: OutputHead, hidden_P: torch.Tensor, layers_P: Sequence[torch.Tensor], index_T: np.ndarray, encoded: Encoded
) -> np.ndarray:
    """Return the statistics of one text in a row, from hidden states among which its tokens lie at `index_T`."""
    first = max(encoded.n_problem_tokens, 1)
    before_T = index_T[first - 1 : -1]
    ids_T = torch.tensor(encoded.input_ids[first:], dtype=torch.long, device=hidden_P.device)
    found = np.zeros((3, len(encoded.input_ids) - encoded.n_problem_tokens), dtype=np.float32)
    for block in head_blocks(len(before_T), hidden_P.device):
        logprobs = head.logits(hidden_P[before_T[block]]).float().log_softmax(dim=-1)
        own = logprobs.gather(1, ids_T[block, None])
        entropy = torch.special.entr(logprobs.exp()).sum(dim=-1)
        rank = (logprobs > own).sum(dim=-1).float()
        at = first - encoded.n_problem_tokens + block.start
        found[:, at : at + len(rank)] = torch.stack([-own[:, 0], entropy, rank]).cpu().numpy()
    starts = [encoded.n_problem_tokens, *(position + 1 for position in encoded.positions_S[:-1])]
    spans = [index_T[start : end + 1] for start, end in zip(starts, encoded.positions_S, strict=True)]
    # a step without tokens has zeros
    means = [hidden[span].float().sum(dim=0) / max(len(span), 1) for span in spans for hidden in layers_P]
    return np.concatenate([found.ravel(), torch.cat(means).cpu().numpy() if means else np.empty(0, np.float32)])


@contextmanager
def _caught(model: Any, layers: Sequence[float]) -> Iterator[list[torch.Tensor]]:
    """Keep the latest outputs of some layers, each of shape (P, n_hidden), in the order in which they are requested."""
    n_layers = model.config.get_text_config().num_hidden_layers
    stacks = (m for m in model.base_model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == n_layers)
    stack = next(stacks, None)
    if stack is None and layers:
        raise CheckpointError(
            f"{type(model).__name__} has no list of {n_layers} layers, so their hidden states cannot be read: fit "
            "without `hidden`"
        )
    caught = [torch.empty(0)] * len(layers)

    def keep(place: int) -> Any:
        def hook(module: torch.nn.Module, args: Any, output: Any) -> None:
            caught[place] = (output[0] if isinstance(output, tuple) else output).flatten(0, 1)

        return hook

    handles = [
        stack[max(round(depth * n_layers), 1) - 1].register_forward_hook(keep(place))
        for place, depth in enumerate(layers)
        if stack is not None
    ]
    try:
        yield caught
    finally:
        for handle in handles:
            handle.remove()
