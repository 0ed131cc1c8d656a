"""What a model makes of tokens and steps, against the whole model run on one solution at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from judgekit.engines.scoring.encoded import Encoded
from judgekit.engines.scoring.token_statistics import token_statistics
from tests.judgekit.engines.scoring.test_forward import make_model


@pytest.mark.parametrize("name", ["llama", "gemma2"])  # packed, and padded
def test_they_are_those_of_each_solution_alone(name: str) -> None:
    model = make_model(name)
    random = np.random.default_rng(0)
    encoded_N = []
    for n_problem, ends in ((6, [9, 12, 19]), (1, [4]), (40, [44, 50])):
        encoded_N.append(Encoded(random.integers(3, 80, ends[-1] + 1).tolist(), ends, n_problem))
    found_N = token_statistics(model, encoded_N, layers=(0.5, 1.0), token_budget=64, pad_id=0)
    assert not any(layer._forward_hooks for layer in model.base_model.layers), "nothing is left behind"
    for encoded, found in zip(encoded_N, found_N, strict=True):
        with torch.inference_mode():
            out = model(torch.tensor([encoded.input_ids]), output_hidden_states=True)
        logprobs = out.logits[0, encoded.n_problem_tokens - 1 : -1].float().log_softmax(-1)
        own = logprobs[range(len(logprobs)), encoded.input_ids[encoded.n_problem_tokens :]]
        np.testing.assert_allclose(found.surprisal_T, -own, atol=2e-4)
        np.testing.assert_allclose(found.entropy_T, -(logprobs.exp() * logprobs).sum(-1), atol=2e-4)
        np.testing.assert_array_equal(found.rank_T, (logprobs > own[:, None]).sum(-1))
        starts = [encoded.n_problem_tokens, *(end + 1 for end in encoded.positions_S[:-1])]
        first_layer = torch.stack(
            [out.hidden_states[1][0, a : b + 1].mean(0) for a, b in zip(starts, encoded.positions_S, strict=True)]
        )
        np.testing.assert_allclose(found.hidden_S[:, :32], first_layer, atol=2e-4)
        assert found.hidden_S.shape == (len(encoded.positions_S), 64)
