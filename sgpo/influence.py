"""How much each token of a response moves the correct responses of its group, by hidden states and prediction errors.

Source:
    NTHR (2505.18830), section 5 and appendix 7.4, read in a text conversion without the displayed equations; the sums
    of its equation 7 are taken from a public implementation note for verl, which agrees with the text. The error of a
    prediction is e_y - pi(. | x, y_<k), restricted to the vocabulary that appears in the group, without rescaling it to
    sum to one.

Axes: `_G` responses of one group, `_T` tokens of one response, `_U` distinct tokens of the group, `_V` the vocabulary,
`_H` hidden size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from judgekit.training.lora import language_model
from sgpo.divergence import POSITIONS


def prediction_errors(
    logits_TV: torch.Tensor, *, token_ids_T: torch.Tensor, vocabulary_U: torch.Tensor
) -> torch.Tensor:
    """Return each token's one-hot vector minus its predicted distribution, on part of the vocabulary. Shape (T, U).

    Args:
        logits_TV: Logits that predict each token. Shape (T, V).
        token_ids_T: The tokens. Shape (T,).
        vocabulary_U: Ids to use, ascending, including all the tokens. Shape (U,).
    """
    blocks = (block.float().softmax(-1)[:, vocabulary_U] for block in logits_TV.split(POSITIONS))
    errors_TU = -torch.cat(list(blocks))
    columns_T = torch.searchsorted(vocabulary_U, token_ids_T)
    errors_TU[torch.arange(len(token_ids_T), device=errors_TU.device), columns_T] += 1
    return errors_TU


def token_influences(
    errors_G_TU: Sequence[torch.Tensor], hidden_G_TH: Sequence[torch.Tensor], *, is_right_G: Sequence[bool]
) -> list[torch.Tensor]:
    """Return the sum over tokens k of all correct responses of <error, error_k> <hidden, hidden_k>. Shapes (T,).

    Pushing down a token with a high value pushes the correct responses down with it. Correct responses have a value,
    too, from each other and from themselves.

    Args:
        errors_G_TU: See `prediction_errors`. Shapes (T, U).
        hidden_G_TH: Hidden states that the output layer reads, at the positions that predict the tokens. Shapes (T, H).
        is_right_G: Which responses are correct. Shape (G,).
    """
    n_columns, n_hidden = errors_G_TU[0].size(1), hidden_G_TH[0].size(1)
    # The sum over k is computed once, as a matrix, instead of a product for every pair of tokens.
    of_right_UH = hidden_G_TH[0].new_zeros(n_columns, n_hidden, dtype=torch.float32)
    for errors_TU, hidden_TH, is_right in zip(errors_G_TU, hidden_G_TH, is_right_G, strict=True):
        if is_right:
            of_right_UH += errors_TU.T @ hidden_TH.float()
    return [
        ((errors_TU @ of_right_UH) * hidden_TH.float()).sum(-1)
        for errors_TU, hidden_TH in zip(errors_G_TU, hidden_G_TH, strict=True)
    ]


@torch.no_grad()
def group_influences(
    model: Any,
    *,
    prompt_ids: Sequence[int],
    completions_G: Sequence[Sequence[int]],
    is_right_G: Sequence[bool],
    temperature: float = 1.0,
) -> list[torch.Tensor]:
    """Run a policy on the responses of one group and return the influence of their tokens, on the CPU. Shapes (T,).

    Holds the logits of one response at a time, and the hidden states and prediction errors of the whole group.

    Args:
        model: A causal language model, possibly wrapped.
        prompt_ids: Tokens of the shared prompt.
        completions_G: Tokens of each response.
        is_right_G: See `token_influences`.
        temperature: Divides the logits, as in sampling.
    """
    device = model.device
    vocabulary_U = torch.tensor(sorted({token for ids in completions_G for token in ids}), device=device)
    errors_G, hidden_G, caught = [], [], list[torch.Tensor]()
    handle = language_model(model).base_model.register_forward_hook(lambda module, args, out: caught.append(out[0]))
    try:
        for ids in completions_G:
            ids_P = torch.tensor([[*prompt_ids, *ids]], device=device)
            logits = model(input_ids=ids_P, use_cache=False, logits_to_keep=len(ids) + 1).logits[0, :-1]
            own_T = torch.tensor(list(ids), device=device)
            errors_G.append(prediction_errors(logits / temperature, token_ids_T=own_T, vocabulary_U=vocabulary_U))
            hidden_G.append(caught.pop()[0, -len(ids) - 1 : -1])
    finally:
        handle.remove()
    return [found_T.cpu() for found_T in token_influences(errors_G, hidden_G, is_right_G=is_right_G)]
