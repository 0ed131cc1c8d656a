"""Forward passes: packed, sharing and padded numbers are those of one solution at a time through the whole model."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForTokenClassification

from judgekit.engines.scoring import forward, heads, packed_attention
from judgekit.engines.scoring.encoded import Encoded
from judgekit.engines.scoring.forward import score_positions, token_choice_logits, token_logprobs
from judgekit.engines.scoring.load import load_classifier
from judgekit.engines.scoring.packed_attention import PACKABLE
from judgekit.engines.scoring.packing import PaddedBatch, plan_packs
from judgekit.errors import CheckpointError, JudgeError

SIZES = {
    "vocab_size": 80, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 512, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2,
}  # fmt: skip
OPTIONS: dict[str, dict[str, Any]] = {
    "granite": {"logits_scaling": 8.0},
    "cohere": {"logit_scale": 0.25},
    "cohere2": {"logit_scale": 0.25, "sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"]},
    "gemma2": {"sliding_window": 16, "query_pre_attn_scalar": 8},
    "gemma3_text": {"sliding_window": 16, "final_logit_softcapping": 3.0, "query_pre_attn_scalar": 8},
    "qwen2-window": {"use_sliding_window": True, "sliding_window": 16, "max_window_layers": 1},
    "mistral-window": {"sliding_window": 16},
    "mistral": {"sliding_window": None},
    "mixtral": {"num_local_experts": 4},
    "phi": {"partial_rotary_factor": 0.5},
    "phi3": {"sliding_window": 16},
    "starcoder2": {"sliding_window": 16},
    "llama-longrope": {
        "rope_parameters": {
            "rope_type": "longrope", "rope_theta": 10000.0, "original_max_position_embeddings": 60, "factor": 4.0,
            "short_factor": [1.0] * 4, "long_factor": [1.0, 1.5, 2.0, 3.0],
        }
    },
    "llama-dynamic": {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0}},
}  # fmt: skip
FALLBACKS = ["gemma2", "gemma3_text", "llama-longrope"]
"""Types that are run on padded batches, or alone."""
ARCHITECTURES = sorted({*PACKABLE, "qwen2-window", "mistral-window", "llama-dynamic", *FALLBACKS})


def make_model(name: str, auto: Any = AutoModelForCausalLM, **fields: Any) -> Any:
    """A tiny model with large random weights, so that its numbers differ."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(name.partition("-")[0], **(SIZES | OPTIONS.get(name, {}) | fields))
    model = auto.from_config(config).eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return model


def group(n_problem: int, n_steps: int, *, seed: int, size: int = 4) -> list[Encoded]:
    """Responses to one problem; the last two share their first step, and one is there twice."""
    rng = random.Random(seed)
    problem = [rng.randrange(3, 80) for _ in range(n_problem)]
    found = []
    for _ in range(size):
        ids, positions = list(problem), []
        for _ in range(n_steps):
            ids += [rng.randrange(3, 80) for _ in range(rng.randrange(3, 30))]
            positions.append(len(ids) - 1)
        found.append(Encoded(ids, positions, n_problem))
    first = found[-1].positions_S[0] + 1
    twin = [*found[-1].input_ids[:first], 5, 6, 7, 8]
    return [*found, Encoded(twin, [first - 1, len(twin) - 1], n_problem), found[0]]


def samples() -> list[Encoded]:
    """Two groups, long and short problems, and solutions that share nothing, in mixed order."""
    made = [*group(40, 3, seed=1), *group(70, 2, seed=2), Encoded([9], [0], 1), *group(1, 4, seed=3, size=2)]
    return random.Random(0).sample(made, len(made))


def one_at_a_time(model: Any, encoded: Encoded) -> torch.Tensor:
    """All logits of one solution by the model's own forward pass. Shape (n_tokens, n_outputs)."""
    with torch.inference_mode():
        return model(input_ids=torch.tensor([encoded.input_ids])).logits[0]


@pytest.mark.parametrize(
    ("name", "token_budget"), [*((name, 4096) for name in ARCHITECTURES), ("llama", 150), ("qwen2-window", 150)]
)
def test_numbers_are_those_of_one_solution_at_a_time(name: str, token_budget: int) -> None:
    model, encoded_N, options = make_model(name), samples(), {"token_budget": token_budget, "pad_id": 3}
    choices = token_choice_logits(model, encoded_N, token_ids=[70, 4, 11], **options)
    logprobs = token_logprobs(model, encoded_N, **options)
    for encoded, choice_S, logprobs_T in zip(encoded_N, choices, logprobs, strict=True):
        logits = one_at_a_time(model, encoded)
        np.testing.assert_allclose(
            choice_S, logits[encoded.positions_S][:, [70, 4, 11]], atol=1e-5 * logits.abs().max()
        )
        ids = torch.tensor(encoded.input_ids)[encoded.n_problem_tokens :, None]
        expected = logits.log_softmax(-1)[encoded.n_problem_tokens - 1 : -1].gather(1, ids)[:, 0]
        np.testing.assert_allclose(logprobs_T, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["llama", "qwen2", "mistral", "qwen2-window", "mistral-window"])
@pytest.mark.parametrize("query_block", [5, 512])
def test_a_classifier_on_packs(name: str, query_block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_attention, "QUERY_BLOCK", query_block)
    model, encoded_N = make_model(name, AutoModelForTokenClassification, num_labels=2), samples()
    found = score_positions(model, encoded_N, token_budget=1000, pad_id=0)
    for encoded, logits_S in zip(encoded_N, found, strict=True):
        expected = one_at_a_time(model, encoded)[encoded.positions_S]
        np.testing.assert_allclose(logits_S, expected, atol=1e-5 * max(1.0, float(expected.abs().max())))


def test_the_samples_do_share() -> None:
    encoded_N = samples()
    packs = [plan_packs([item.input_ids for item in encoded_N], token_budget=4096, share=on) for on in (True, False)]
    shared, unshared = (sum(map(len, plan)) for plan in packs)
    assert shared < unshared - 5 * 40 - 5 * 70


def test_order_and_company_change_nothing_but_rounding() -> None:
    model, encoded_N = make_model("qwen2-window", AutoModelForTokenClassification, num_labels=2), samples()
    options = {"token_budget": 300, "pad_id": 0}
    straight = score_positions(model, encoded_N, **options)
    backward = score_positions(model, encoded_N[::-1], **options)[::-1]
    few = score_positions(model, encoded_N[:3], **options)
    for one, other in [*zip(straight, backward, strict=True), *zip(straight[:3], few, strict=True)]:
        np.testing.assert_allclose(one, other, atol=1e-5 * np.abs(one).max())


@pytest.mark.parametrize("name", FALLBACKS)
def test_what_cannot_be_packed_is_padded_by_its_configuration(name: str) -> None:
    config = make_model(name).base_model.config
    batches = forward._plan_batches(config, [[1, 2], [1], [3] * 61], token_budget=1000, share=True)
    assert all(isinstance(batch, PaddedBatch) for batch in batches)
    assert len(batches) == (3 if name == "llama-longrope" else 1)
    in_context = forward._plan_batches(config, [[1, 2], [1], [3] * 60], token_budget=1000, share=True)
    assert isinstance(in_context[0], PaddedBatch) == (name != "llama-longrope") and len(in_context) == 1


def test_positions_that_depend_on_the_past_are_refused_beyond_the_context() -> None:
    model = make_model("llama-dynamic", max_position_embeddings=40)
    with pytest.raises(JudgeError, match=r"a solution has 41 tokens: beyond 40, .* set input.max_tokens"):
        token_logprobs(model, [Encoded([5] * 41, [40], 1)], token_budget=100, pad_id=0)


def test_the_model_attends_as_before_afterwards() -> None:
    model = make_model("llama")
    before = model.config._attn_implementation
    token_logprobs(model, samples(), token_budget=100, pad_id=0)
    assert (
        model.config._attn_implementation == model.base_model.config._attn_implementation == before != "judgekit_packed"
    )


def test_bfloat16_stays_near_float32() -> None:
    model, encoded_N = make_model("llama", AutoModelForTokenClassification, num_labels=2), samples()
    wide = score_positions(model, encoded_N, token_budget=1000, pad_id=0)
    narrow = score_positions(model.to(torch.bfloat16), encoded_N, token_budget=1000, pad_id=0)
    for one, other in zip(wide, narrow, strict=True):
        assert other.dtype == np.float32
        np.testing.assert_allclose(one, other, atol=0.2 * np.abs(one).max())
    assert any(not np.array_equal(one, other) for one, other in zip(wide, narrow, strict=True))


def test_logits_that_are_changed_in_an_unknown_way_are_refused() -> None:
    model = make_model("hyperclovax", logits_scaling=2.0)  # multiplies where Granite divides
    with pytest.raises(CheckpointError, match=r"HyperCLOVAXForCausalLM .* changes its logits .* in an unknown way"):
        token_choice_logits(model, samples(), token_ids=[3], token_budget=100, pad_id=0)


def test_an_output_embedding_that_is_no_linear_layer_is_refused() -> None:
    model = make_model("llama")
    model.lm_head = torch.nn.Sequential(model.lm_head)
    with pytest.raises(CheckpointError, match="has a Sequential as output embedding"):
        token_choice_logits(model, samples(), token_ids=[3], token_budget=100, pad_id=0)


def test_the_bias_of_an_output_embedding_counts() -> None:
    model = make_model("phi")
    assert model.lm_head.bias is not None and model.lm_head.bias.abs().max() > 0.1


def test_memory_of_the_vocabulary_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    model, encoded_N, sizes = make_model("llama"), samples(), []
    linear = torch.nn.functional.linear

    def watched(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        if weight.shape[0] == SIZES["vocab_size"]:
            sizes.append(states.numel() // states.shape[-1])
        return linear(states, weight, bias)

    whole = token_logprobs(model, encoded_N, token_budget=4096, pad_id=0)
    monkeypatch.setattr(torch.nn.functional, "linear", watched)
    monkeypatch.setattr(heads, "HEAD_ROWS_CPU", 7)
    blocks = token_logprobs(model, encoded_N, token_budget=4096, pad_id=0)
    assert sizes and max(sizes) == 7
    for one, other in zip(whole, blocks, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("name", ["llama", "mistral-window"])
def test_a_solution_far_beyond_the_budget(name: str) -> None:
    model = make_model(name, AutoModelForTokenClassification, num_labels=2, num_hidden_layers=1)
    long = Encoded([5 + i % 70 for i in range(4000)], list(range(0, 4000, 2)), 1)
    alone, short = score_positions(model, [long, Encoded([5, 6], [1], 1)], token_budget=64, pad_id=0)
    assert alone.shape == (2000, 2) and short.shape == (1, 2)
    np.testing.assert_allclose(alone, one_at_a_time(model, long)[long.positions_S], atol=1e-4)


def test_running_out_of_memory_names_the_option(tiny_judge: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_classifier(str(tiny_judge), dtype="float32")

    def full(**_: Any) -> None:
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(model.base_model, "forward", full)
    with pytest.raises(JudgeError, match="out of memory on a batch of 3 tokens: lower token_budget"):
        score_positions(model, [Encoded([5, 6, 7], [2])], token_budget=100, pad_id=0)
