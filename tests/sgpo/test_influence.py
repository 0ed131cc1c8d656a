"""How much tokens move the right responses of their group, against the sum over all pairs of tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from sgpo.influence import group_influences, prediction_errors, token_influences
from tests.sgpo.samples import write_policy


def test_by_hand() -> None:
    """Two tokens of a vocabulary of three appear, both drawn from (1/2, 1/4, 1/4); one token a response."""
    logits = torch.tensor([[0.5, 0.25, 0.25]]).log()
    vocabulary = torch.tensor([0, 2])
    right, wrong = (prediction_errors(logits, token_ids_T=torch.tensor([i]), vocabulary_U=vocabulary) for i in (0, 2))
    assert right.tolist() == [[0.5, -0.25]] and wrong.tolist() == [[-0.5, 0.75]]
    hidden = [torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -1.0]])]
    of_right, of_wrong = token_influences([right, wrong], hidden, is_right_G=[True, False])
    assert of_right.item() == pytest.approx((0.25 + 0.0625) * 5)
    assert of_wrong.item() == pytest.approx((-0.25 - 0.1875) * 1)


def test_of_a_policy(tmp_path: Path) -> None:
    """Hidden states and distributions are those that predict each token; every pair of tokens is summed over."""
    model = AutoModelForCausalLM.from_pretrained(write_policy(tmp_path)).eval()
    prompt, completions, is_right = [5, 6, 7], [[8, 9, 10], [9, 8], [11, 9, 9, 8]], [True, False, True]
    found = group_influences(model, prompt_ids=prompt, completions_G=completions, is_right_G=is_right, temperature=0.7)
    errors, hidden = [], []
    for ids in completions:
        with torch.no_grad():
            out = model(torch.tensor([prompt + ids]), output_hidden_states=True)
        probs = (out.logits[0, 2:-1] / 0.7).softmax(-1)
        errors.append((torch.nn.functional.one_hot(torch.tensor(ids), probs.size(1)) - probs)[:, 8:12])
        hidden.append(out.hidden_states[-1][0, 2:-1])
    for row in range(3):
        expected = [
            sum(
                (e @ error) * (h @ state) for other in (0, 2) for e, h in zip(errors[other], hidden[other], strict=True)
            ).item()
            for error, state in zip(errors[row], hidden[row], strict=True)
        ]
        assert found[row].tolist() == pytest.approx(expected, rel=1e-4, abs=1e-6)
