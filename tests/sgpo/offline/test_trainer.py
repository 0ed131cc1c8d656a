"""The packed loss and its gradient against single rows and the closed form, on a tiny random model."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, LlamaConfig, LlamaForCausalLM, TrainingArguments, set_seed

from judgekit.engines.scoring import heads
from sgpo.algorithms.base import LossRule, TokenSum
from sgpo.offline.packing import OfflineRow, PackedSteps, StepSize, build_bin, pack_rows
from sgpo.offline.trainer import OfflineTrainer, can_pack, compute_row_values, packed_policy, token_values

CLIP_LOW, CLIP_HIGH = 0.1, 0.2
MAX_TOKENS = 24
BUDGET = 40


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    set_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2
    )
    return LlamaForCausalLM(config)


def _rows(*, spread: float | None) -> list[OfflineRow]:
    """11 random rows; `spread` is how far old log-probabilities lie from the model's mean, `None` leaves them out."""
    draw = random.Random(1)
    rows = []
    for index in range(11):
        prompt_ids = tuple(draw.randrange(64) for _ in range(draw.randint(1, 6)))
        completion_ids = tuple(draw.randrange(64) for _ in range(draw.randint(1, 12)))
        old = None if spread is None else tuple(-math.log(64) + draw.uniform(-spread, spread) for _ in completion_ids)
        rows.append(OfflineRow((f"g{index}", 0), prompt_ids, completion_ids, draw.uniform(-2, 2), old))
    return rows


def _single_logprobs(model: torch.nn.Module, row: OfflineRow) -> torch.Tensor:
    """One row through the model on its own, all logits, no packing."""
    ids = torch.tensor([row.prompt_ids + row.completion_ids])
    logprobs = torch.log_softmax(model(input_ids=ids).logits[0].double(), dim=-1)
    first = len(row.prompt_ids) - 1
    return torch.stack([logprobs[first + t, token] for t, token in enumerate(row.completion_ids)])


def _closed_form(model: torch.nn.Module, rows: Sequence[OfflineRow], tokens: TokenSum) -> list[torch.Tensor]:
    """Gradient of the step's loss: sum over tokens of d loss / d logprob, by formula, times grad logprob."""
    n_tokens = 50 + sum(len(row.completion_ids) for row in rows)
    n_responses = 3 + len(rows)
    total = torch.zeros((), dtype=torch.float64)
    for row in rows:
        logprobs_T = _single_logprobs(model, row)
        for t, logprob in enumerate(logprobs_T):
            slope = -row.advantage
            if row.old_logprobs_T is not None:
                ratio = math.exp(logprob.item() - row.old_logprobs_T[t])
                clipped = ratio > 1 + CLIP_HIGH if row.advantage > 0 else ratio < 1 - CLIP_LOW
                slope *= 0.0 if clipped else ratio
            share = {
                "seq_token_mean": 1 / len(row.completion_ids) / n_responses,
                "token_mean": 1 / n_tokens,
                "fixed": 1 / MAX_TOKENS / n_responses,
                "seq_sum": 1 / n_responses,
            }[tokens]
            total = total + slope * share * logprob
    return list(torch.autograd.grad(total, list(model.parameters())))


def _trainer(model: torch.nn.Module, steps: PackedSteps, output: Path) -> OfflineTrainer:
    arguments = TrainingArguments(output_dir=str(output), use_cpu=True, report_to="none", remove_unused_columns=False)
    return OfflineTrainer(model=model, args=arguments, train_dataset=steps)


@pytest.mark.parametrize("spread", [None, 0.3])
@pytest.mark.parametrize("tokens", get_args(TokenSum))
def test_packed_gradient_is_the_closed_form(
    tokens: TokenSum, spread: float | None, model: LlamaForCausalLM, tmp_path: Path
) -> None:
    rows = _rows(spread=spread)
    bins = pack_rows(rows, token_budget=BUDGET)
    assert 1 < len(bins) < len(rows)
    # Three responses of 50 tokens have no advantage: they are not run, and count in the means as in TRL.
    size = StepSize.of(rows) + StepSize(3, 50)
    rules = [LossRule(tokens, (CLIP_LOW, CLIP_HIGH))]
    steps = PackedSteps([[*bins, ()]], sizes=[size], rules=rules, max_tokens=MAX_TOKENS)
    trainer = _trainer(model, steps, tmp_path)
    model.zero_grad()
    with packed_policy(model, longest=BUDGET):
        for index in range(len(steps)):
            trainer.compute_loss(model, steps[index]).backward()
    for parameter, expected in zip(model.parameters(), _closed_form(model, rows, tokens), strict=True):
        torch.testing.assert_close(parameter.grad, expected, rtol=0, atol=1e-6)
    model.zero_grad()


@pytest.mark.parametrize("checkpointing", [False, True])
def test_packed_logprobs_are_those_of_single_rows(
    checkpointing: bool, model: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "HEAD_ROWS_CPU", 7)  # several blocks of the vocabulary's logits, the last one short
    rows = _rows(spread=None)
    if checkpointing:
        model.activation_checkpointing_enable()
    with packed_policy(model, longest=BUDGET):
        packed_T = token_values(model, build_bin(tuple(rows), tokens="token_mean", max_tokens=1).inputs())
        gradient = torch.autograd.grad(packed_T.sum(), list(model.parameters()))
    model.activation_checkpointing_disable()
    assert model.config._attn_implementation == "sdpa"
    single_T = torch.cat([_single_logprobs(model, row) for row in rows])
    torch.testing.assert_close(packed_T.double(), single_T, rtol=0, atol=2e-6)
    for found, expected in zip(gradient, torch.autograd.grad(single_T.sum(), list(model.parameters())), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    by_row = compute_row_values(model, rows, token_budget=BUDGET)
    assert [len(values) for values in by_row] == [len(row.completion_ids) for row in rows]
    assert [value for values in by_row for value in values] == pytest.approx(single_T.tolist(), abs=2e-6)
    assert model.training


def test_a_policy_that_cannot_keep_responses_apart_gets_one_a_bin() -> None:
    """GPT-NeoX is no type that the packed attention is known to serve: its responses are run one by one."""
    set_seed(0)
    config = GPTNeoXConfig(
        vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2
    )
    model = GPTNeoXForCausalLM(config).eval()
    rows = _rows(spread=None)
    assert not can_pack(model, longest=BUDGET)
    assert [len(packed) for packed in pack_rows(rows, token_budget=BUDGET, alone=True)] == [1] * len(rows)
    with packed_policy(model, longest=BUDGET), pytest.raises(AssertionError, match="packed_policy"):
        token_values(model, build_bin(tuple(rows), tokens="token_mean", max_tokens=1).inputs())
    for row, values in zip(rows, compute_row_values(model, rows, token_budget=BUDGET), strict=True):
        assert values == pytest.approx(_single_logprobs(model, row).tolist(), abs=2e-6)


def test_a_neighbour_in_the_bin_changes_nothing(model: LlamaForCausalLM) -> None:
    row, other = _rows(spread=None)[:2]
    longer = replace(other, prompt_ids=(7, 7, 7, *other.prompt_ids))
    with packed_policy(model, longest=BUDGET):
        first, second = (
            token_values(model, build_bin((neighbour, row), tokens="token_mean", max_tokens=1).inputs())
            for neighbour in (other, longer)
        )
    n_tokens = len(row.completion_ids)
    torch.testing.assert_close(first[-n_tokens:], second[-n_tokens:], rtol=0, atol=1e-6)
