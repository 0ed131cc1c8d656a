"""Judges of any causal decoder: trained, stored, opened again, and read the same alone and in a batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerFast, TrainerCallback

import judgekit.training.classifier as judge_training
from judgekit.engines.generation.config import SamplingConfig, TransformersGeneration
from judgekit.engines.generation.door import build_generator
from judgekit.engines.scoring.load import HeadedModel, load_classifier, load_language_model
from judgekit.errors import CheckpointError
from judgekit.judges import load_judge
from judgekit.judges.card import read_card
from judgekit.judges.doctor import examine
from judgekit.judges.golden import golden_difference
from judgekit.judges.steps.by_step import StepLogitJudge
from judgekit.judges.steps.specs import StepClassifierSpec
from judgekit.training.classifier import train_classifier
from judgekit.training.config import ClassifierConfig, LikelihoodConfig
from judgekit.training.likelihood import fit_likelihood
from judgekit.training.tiny import build_tokenizer
from tests.judgekit.architectures import VOCABULARY, save_architecture
from tests.judgekit.samples import TEXTS, addition, assert_same

OWN_HEAD = ["recurrent_gemma", "gemma3_text", "gemma3", "qwen3_5", "olmo3", "cohere", "opt", "mamba"]
"""Types without a token-classification class in transformers, or wrapped with a model of images."""
KNOWN_HEAD = ["qwen3", "gemma2", "mixtral", "gpt_neox", "gpt2"]
"""Types with one."""


def at_one(max_tokens: int) -> SamplingConfig:
    return SamplingConfig(max_tokens=max_tokens, temperature=1.0)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer(TEXTS, vocab_size=VOCABULARY)


def config(model: Path, data: Path, **fields: Any) -> ClassifierConfig:
    values = {"batch_size": 4, "max_steps": 2, "max_tokens": 200, "max_judged_tokens": 200, "threads": 1, "lr": 1e-2}
    return ClassifierConfig.model_validate(values | {"model": str(model), "data": (data,)} | fields)


@pytest.mark.parametrize("model_type", [*OWN_HEAD, *KNOWN_HEAD])
def test_any_causal_decoder_is_trained_and_judges(
    model_type: str, tokenizer: PreTrainedTokenizerFast, labelled_data: Path, tmp_path: Path
) -> None:
    base = save_architecture(model_type, tmp_path / "base", tokenizer)
    folder = train_classifier(config(base, labelled_data, save_every=None), tmp_path / "run")
    assert read_card(folder).spec_as(StepClassifierSpec).head == ("score" if model_type in OWN_HEAD else None)
    judge = load_judge(folder, dtype="float32")
    assert isinstance(judge, StepLogitJudge) and len(judge.card.golden) == 3
    assert golden_difference(judge, judge.card.golden) < 1e-5
    rows = [addition(number, n_steps=number % 4 + 1) for number in range(6)]
    for row, together in zip(rows, judge.judge(rows), strict=True):
        [alone] = judge.judge([row])
        assert together.verdict is not None and alone.verdict is not None
        assert together.verdict.posterior == pytest.approx(alone.verdict.posterior, abs=1e-5)


def test_training_moves_body_and_head_of_our_own(
    tokenizer: PreTrainedTokenizerFast, labelled_data: Path, tmp_path: Path
) -> None:
    base = save_architecture("gemma3", tmp_path / "base", tokenizer)
    settings = config(base, labelled_data, save_every=None, gradient_checkpointing=True, warmup=0.0)
    folder = train_classifier(settings, tmp_path / "run")
    before = load_classifier(str(base), dtype="float32", n_labels=2)
    after = load_classifier(str(folder), dtype="float32", n_labels=2)  # goes on from our own head
    assert isinstance(before, HeadedModel) and isinstance(after, HeadedModel)
    stored = load_file(folder / "head.safetensors")
    assert torch.equal(after.score.weight, stored["score.weight"])  # type: ignore[union-attr]
    moved = [name for name, tensor in after.state_dict().items() if not torch.equal(tensor, before.state_dict()[name])]
    assert "score.weight" in moved and any("self_attn.q_proj" in name for name in moved)
    assert not any("vision" in name for name in after.state_dict())


class Dies(TrainerCallback):
    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize("model_type", ["olmo3", "mixtral"])
def test_a_killed_training_resumes_to_the_same_weights(
    model_type: str,
    tokenizer: PreTrainedTokenizerFast,
    labelled_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a head of our own, and with experts, which a file names otherwise than the model in memory does."""
    base = save_architecture(model_type, tmp_path / "base", tokenizer)
    settings = config(base, labelled_data, max_steps=4, save_every=1)
    straight = train_classifier(settings, tmp_path / "straight")
    make = judge_training._make_trainer
    with monkeypatch.context() as patch:

        def make_dying(*args: Any, **options: Any) -> Any:
            trainer = make(*args, **options)
            trainer.add_callback(Dies())
            return trainer

        patch.setattr(judge_training, "_make_trainer", make_dying)
        with pytest.raises(KeyboardInterrupt):
            train_classifier(settings, tmp_path / "run")
    resumed = train_classifier(settings, tmp_path / "run", resume=True)
    for path in straight.glob("*.safetensors"):
        one, other = load_file(path), load_file(resumed / path.name)
        assert all(torch.equal(tensor, other[key]) for key, tensor in one.items())


@pytest.mark.parametrize("model_type", ["bert", "modernbert", "electra", "t5", "gemma"])
def test_encoders_are_refused_with_the_reason(
    model_type: str, tokenizer: PreTrainedTokenizerFast, labelled_data: Path, tmp_path: Path
) -> None:
    fields = {"use_bidirectional_attention": True} if model_type == "gemma" else {}
    base = save_architecture(model_type, tmp_path / "base", tokenizer, **fields)
    with pytest.raises(CheckpointError, match=r"cannot judge step by step: .*would change an earlier step's score"):
        train_classifier(config(base, labelled_data), tmp_path / "run")


def test_an_encoder_is_refused_where_it_is_read_for_likelihoods_or_opened_as_a_judge(
    tokenizer: PreTrainedTokenizerFast, labelled_data: Path, tmp_path: Path
) -> None:
    base = save_architecture("bert", tmp_path / "base", tokenizer)
    settings = LikelihoodConfig(model=str(base), data=(labelled_data,), max_tokens=200, dtype="float32")
    with pytest.raises(CheckpointError, match="cannot judge step by step: later text changes"):
        fit_likelihood(settings, tmp_path / "fitted")
    card = {"kind": "label_token", "model": str(base), "label_tokens": {"ok": "+", "error": "-"}}
    card |= {"input": {"layout": "template", "begin": "{problem}\n", "mark": "\n"}, "judge_id": "encoder"}
    (tmp_path / "card.yaml").write_text(repr(card))
    for open_it in (load_judge, examine):
        with pytest.raises(CheckpointError, match="cannot judge step by step"):
            open_it(str(tmp_path / "card.yaml"))


def test_a_decoder_of_the_bert_kind_is_told_by_what_it_does(
    tokenizer: PreTrainedTokenizerFast, labelled_data: Path, tmp_path: Path
) -> None:
    base = save_architecture("bert", tmp_path / "base", tokenizer, is_decoder=True)
    trained = train_classifier(config(base, labelled_data), tmp_path / "run")
    assert load_judge(trained, dtype="float32").info.judge_id == "run"


@pytest.mark.parametrize("model_type", ["qwen3_5", "gemma3"])
def test_wrapped_and_hybrid_models_complete_prompts_the_same_alone_and_together(
    model_type: str, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    base = save_architecture(model_type, tmp_path / "base", tokenizer)
    engine = build_generator(TransformersGeneration(model=str(base), dtype="float32"))
    prompts = ["1+1=", "Start with 12.\n12+7=19\n", "9"]
    together = engine.generate(list(prompts), at_one(5), n=2)
    assert_same(together, [engine.generate([prompt], at_one(5), n=2)[0] for prompt in prompts])


def test_a_model_without_a_cache_to_take_rows_from_is_one_line(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    base = save_architecture("mamba", tmp_path / "base", tokenizer)
    with pytest.raises(CheckpointError, match=r"\(model_type mamba\) has no cache .*use the engine vllm"):
        build_generator(TransformersGeneration(model=str(base), dtype="float32"))


def test_dropout_before_the_head_is_an_option_and_off(
    tiny_base: Path, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    own = save_architecture("olmo3", tmp_path / "base", tokenizer)
    for name in (str(tiny_base), str(own)):
        assert load_classifier(name, dtype="float32", n_labels=2).dropout.p == 0.0
        assert load_classifier(name, dtype="float32", n_labels=2, dropout=0.25).dropout.p == 0.25
    assert ClassifierConfig.model_fields["dropout"].default == 0.0
    assert load_language_model(str(own)).training is False
