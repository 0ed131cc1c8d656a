"""Sampling by hand, and what the completions of a real tiny model may and may not depend on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from judgekit.config import BaseConfig, parse_config
from judgekit.engines.generation.base import Completion
from judgekit.engines.generation.config import GenerationConfig, SamplingConfig, TransformersGeneration, VllmGeneration
from judgekit.engines.generation.door import build_generator
from judgekit.engines.generation.token_trie import TokenTrie
from judgekit.engines.generation.transformers import TransformersGenerator, sample_tokens
from judgekit.errors import CheckpointError, ConfigError, JudgeError
from judgekit.types import NoVerdictReason
from tests.judgekit.samples import assert_same

PROMPTS = ["Start with 3.", "1+1=", "Start with 12. 12+5=17 and then", "7"]


def greedy(max_tokens: int) -> SamplingConfig:
    return SamplingConfig(max_tokens=max_tokens, temperature=None)


def at_one(max_tokens: int) -> SamplingConfig:
    return SamplingConfig(max_tokens=max_tokens, temperature=1.0)


class Engines(BaseConfig):
    generation: GenerationConfig


@pytest.fixture(scope="module")
def generator(tiny_base: Path) -> TransformersGenerator:
    return TransformersGenerator.open(TransformersGeneration(model=str(tiny_base), batch_size=3))


def test_sampling_by_hand() -> None:
    # probabilities 0.5, 0.25, 0.125, 0.125; cumulated 0.5, 0.75, 0.875, 1
    logits = torch.tensor([[4.0, 2.0, 1.0, 1.0]]).log().repeat(5, 1)
    draws = torch.tensor([0.0, 0.49, 0.51, 0.76, 0.999], dtype=torch.float64)
    assert sample_tokens(logits, draws, temperature=1.0, top_p=1.0).tolist() == [0, 0, 1, 2, 3]
    # squared and normed: 16, 4, 1, 1 of 22, cumulated 0.727, 0.909
    assert sample_tokens(logits, draws, temperature=0.5, top_p=1.0).tolist() == [0, 0, 0, 1, 3]
    # the first two reach 0.7; normed anew: 2/3, 1/3
    assert sample_tokens(logits, draws, temperature=1.0, top_p=0.7).tolist() == [0, 0, 0, 1, 1]
    assert sample_tokens(logits, draws, temperature=None, top_p=1.0).tolist() == [0] * 5


def test_frequencies_follow_the_probabilities() -> None:
    logits = torch.tensor([[1.0, 3.0, 4.0]]).log().repeat(8000, 1)
    draws = torch.rand(8000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    counts = sample_tokens(logits, draws, temperature=1.0, top_p=1.0).bincount(minlength=3) / 8000
    torch.testing.assert_close(counts, torch.tensor([0.125, 0.375, 0.5]), atol=0.02, rtol=0)


@given(draw=st.floats(0, 1, exclude_max=True), top_p=st.floats(0.01, 1), seed=st.integers(0, 99))
def test_only_the_most_probable_tokens_are_drawn(draw: float, top_p: float, seed: int) -> None:
    logits = torch.randn(1, 20, generator=torch.Generator().manual_seed(seed))
    token = int(sample_tokens(logits, torch.tensor([draw], dtype=torch.float64), temperature=1.0, top_p=top_p))
    probs = logits[0].double().softmax(dim=0)
    assert probs[probs > probs[token]].sum() < top_p


def test_greedy_equals_transformers(generator: TransformersGenerator) -> None:
    found = generator.generate(PROMPTS, greedy(12))
    for prompt, (completion,) in zip(PROMPTS, found, strict=True):
        batch = generator.tokenizer(prompt, return_tensors="pt")
        output = generator.model.generate(**batch, max_new_tokens=12, do_sample=False, pad_token_id=0)
        expected = output[0, batch["input_ids"].shape[1] :]
        assert completion.text == generator.tokenizer.decode(expected, skip_special_tokens=True)
        assert completion.n_tokens == len(expected)
        assert completion.n_prompt_tokens == batch["input_ids"].shape[1]


def test_a_completion_depends_on_its_prompt_sample_and_seed_alone(tiny_base: Path) -> None:
    sampling = at_one(10)
    small, large = (build_generator(TransformersGeneration(model=str(tiny_base), batch_size=size)) for size in (1, 16))
    together = large.generate(PROMPTS, sampling, n=4, seed=3)
    assert large.generate(PROMPTS, sampling, n=4, seed=3) == together
    for prompt, completions in zip(PROMPTS, together, strict=True):
        assert_same(small.generate([prompt], sampling, n=4, seed=3), [completions])
        assert_same(large.generate([prompt], sampling, n=2, seed=3), [completions[:2]])  # more samples keep the first
    assert len({completion.text for completion in together[0]}) == 4
    assert large.generate(PROMPTS, sampling, n=4, seed=4) != together


def test_the_end_of_text_stops_a_completion(tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = TransformersGenerator.open(TransformersGeneration(model=str(tiny_base)))
    usual = generator.generate(["1+1="], at_one(6), n=8, seed=1)[0]
    assert {(completion.finish_reason, completion.n_tokens) for completion in usual} == {("length", 6)}

    sampled = [completion.token_ids or () for completion in usual]
    end = sampled[0][2]
    assert end not in sampled[0][:2]
    monkeypatch.setattr(generator, "end_ids", {end})
    stopped = generator.generate(["1+1="], at_one(6), n=8, seed=1)[0]
    expected = [tokens[: tokens.index(end) + 1] if end in tokens else tokens for tokens in sampled]
    assert [completion.token_ids for completion in stopped] == expected, "the other rows go on as before"
    assert (stopped[0].finish_reason, stopped[0].n_tokens) == ("stop", 3)


def test_the_context_limits_a_completion(generator: TransformersGenerator) -> None:
    context = generator.model.config.max_position_embeddings
    long, full = "7 " * (context // 2 - 2), "7 " * context
    (short,), (failed,) = generator.generate([long, full], at_one(50))
    assert short.n_tokens == context - short.n_prompt_tokens < 50
    assert short.finish_reason == "length"
    assert failed == Completion("", "failed", failure=failed.failure, failure_reason=NoVerdictReason.TOO_LONG)
    assert f"no room in the model's context of {context}" in str(failed.failure)


def test_running_out_of_memory_names_the_option(
    generator: TransformersGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(generator, "_prefill", full)
    with pytest.raises(JudgeError, match="2 completions at once: lower batch_size"):
        generator.generate(["1"], at_one(3), n=2)


def test_a_model_without_an_end_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_base, tmp_path / "endless")
    for name in ("generation_config.json", "config.json", "tokenizer_config.json"):
        path = tmp_path / "endless" / name
        path.write_text(path.read_text().replace("eos_token", "other_token"))
    with pytest.raises(CheckpointError, match="has no end-of-text token"):
        build_generator(TransformersGeneration(model=str(tmp_path / "endless")))


def test_engines_are_told_apart_by_their_type() -> None:
    parsed = parse_config(Engines, {"generation": {"type": "vllm", "model": "m"}}, where="here")
    assert parsed.generation == VllmGeneration(model="m")
    with pytest.raises(ConfigError, match=r"unknown key 'generation\.vllm\.batch_size'"):
        parse_config(Engines, {"generation": {"type": "vllm", "model": "m", "batch_size": 3}}, where="here")
    with pytest.raises(ConfigError, match="base_url"):
        parse_config(Engines, {"generation": {"type": "openai", "model": "m", "base_url": "here"}}, where="here")


def test_vllm_is_asked_for_by_name_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "vllm", None)
    with pytest.raises(ConfigError, match=r"pip install 'sgpo\[vllm\]'"):
        build_generator(VllmGeneration(model="m"))


NUMBERS = ["-1", "0", "1", "2", "10", "12", "12+5"]


def test_a_trie_leads_to_its_choices_and_nowhere_else(generator: TransformersGenerator) -> None:
    ends = generator.end_ids
    trie = TokenTrie(generator.tokenizer, NUMBERS, ends)
    walks, found = [[]], {}
    while walks:
        walk = walks.pop()
        if trie.choice(walk) is not None:
            found[tuple(walk)] = trie.choice(walk)
        walks += [[*walk, token] for token in trie.allowed(walk) if not (walk and walk[-1] in ends)]
    assert set(found.values()) == set(NUMBERS)
    for walk, choice in found.items():
        assert generator.tokenizer.decode([token for token in walk if token not in ends]) == choice
    twelve = generator.tokenizer("12", add_special_tokens=False).input_ids
    assert trie.allowed(twelve) == {*generator.tokenizer("+").input_ids, *ends}, "12 ends here, or goes on to 12+5"
    assert trie.choice([*twelve, next(iter(ends))]) == "12"
    assert trie.choice(twelve) is None, "it may have been cut off on the way to 12+5"
    assert trie.allowed(generator.tokenizer("12+5").input_ids) == trie.allowed([999]) == set()
    assert trie.choice(twelve[:0]) is None
    with pytest.raises(ConfigError, match="at least one"):
        TokenTrie(generator.tokenizer, [], ends)


def test_completions_are_held_to_their_choices(generator: TransformersGenerator) -> None:
    choices_P = [NUMBERS, ["yes", "no"], ["17"], ["1", "12"]]
    held = generator.generate(PROMPTS, at_one(8), n=6, seed=2, choices_P=choices_P)
    for completions, choices in zip(held, choices_P, strict=True):
        assert {completion.text for completion in completions} <= set(choices)
        assert {completion.finish_reason for completion in completions} == {"stop"}
    assert len({completion.text for completion in held[0]}) > 1
    assert generator.generate(PROMPTS, at_one(8), n=6, seed=2, choices_P=choices_P) == held
    for prompt, choices, completions in zip(PROMPTS, choices_P, held, strict=True):
        assert generator.generate([prompt], at_one(8), n=6, seed=2, choices_P=[choices]) == [completions]
    (cut,) = generator.generate(PROMPTS[:1], at_one(1), choices_P=[["yes"]])
    assert (cut[0].text, cut[0].finish_reason) == ("y", "length")


def test_greedy_choices_follow_the_logits(generator: TransformersGenerator) -> None:
    """Walk by hand: at each token the most probable one of those that lead on to a choice."""
    tokenizer = generator.tokenizer
    sequences = {tuple(tokenizer(choice).input_ids): choice for choice in ["97", "35", "38"]}
    found = generator.generate(PROMPTS, greedy(8), choices_P=[["97", "35", "38"]] * len(PROMPTS))
    for prompt, (completion,) in zip(PROMPTS, found, strict=True):
        walk: tuple[int, ...] = ()
        while walk not in sequences:
            logits = generator.model(torch.tensor([[*tokenizer(prompt).input_ids, *walk]])).logits[0, -1].tolist()
            on = {ids[len(walk)] for ids in sequences if ids[: len(walk)] == walk}
            walk = (*walk, max(on, key=logits.__getitem__))
        assert completion.text == sequences[walk]


def test_log_probabilities_of_choices_are_those_of_the_full_logits(generator: TransformersGenerator) -> None:
    choices = [" Yes", "No", "12"]
    first = [generator.tokenizer(choice).input_ids[0] for choice in choices]
    found = generator.choice_logprobs([*PROMPTS, PROMPTS[0]], choices=choices)
    for prompt, scores in zip([*PROMPTS, PROMPTS[0]], found, strict=True):
        ids = generator.tokenizer(prompt, return_tensors="pt").input_ids
        expected = generator.model(ids).logits[0, -1].log_softmax(dim=-1)[first]
        assert scores.logprobs == pytest.approx(expected.tolist(), abs=1e-5)
        assert (scores.failure, scores.n_prompt_tokens) == (None, ids.shape[1])
    (failed,) = generator.choice_logprobs(["7 " * generator.model.config.max_position_embeddings], choices=choices)
    assert (failed.logprobs, failed.failure_reason) == (None, NoVerdictReason.TOO_LONG)
    for alike in (["Yes", "Yea"], ["", "No"]):
        with pytest.raises(ConfigError, match="cannot be distinguished"):
            generator.choice_logprobs(PROMPTS, choices=alike)
