"""Options of every kind of training. Imports no torch, so that a slip in a configuration is refused at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from judgekit.config import BaseConfig
from judgekit.engines.precision import AUTO, ChosenPrecision
from judgekit.text.prompts import PromptConfig
from judgekit.training.optim import OptimConfig
from judgekit.types import DecisionKind, FeatureGroup, Precision

_KINDS = ("step_classifier", "likelihood", "probe", "language_model")


class KindConfig(BaseConfig):
    """Says what is trained, so that no command takes a file that was written for another one."""

    @model_validator(mode="before")
    @classmethod
    def _is_for_this_command(cls, data: Any) -> Any:
        own = cls.model_fields["kind"].default
        given = data.get("kind", own) if isinstance(data, dict) else own
        if given != own and given in _KINDS:
            raise ValueError(
                f"this configuration is of kind {given}, and this command makes kind {own}: use `judgekit train`, "
                f"which makes what the file says, or write kind: {own}"
            )
        return data


class TinyConfig(BaseConfig):
    """Size of the tiny model; the defaults make about one million parameters."""

    vocab_size: int = Field(default=384, ge=260)
    """Tokens: 256 bytes, 3 special tokens, the rest learned merges."""
    hidden_size: int = Field(default=160, ge=8)
    """Width of the residual stream."""
    n_layers: int = Field(default=3, ge=1)
    """Transformer layers."""
    n_heads: int = Field(default=5, ge=1)
    """Attention heads; must divide the width."""
    max_tokens: int = Field(default=512, ge=16)
    """Longest input in tokens."""
    seed: int = 0
    """Seed of the weights."""


class LoopConfig(OptimConfig, KindConfig):
    """Options of the training loop of a model of steps or of text."""

    lr: float = Field(default=2e-5, gt=0)
    """Peak learning rate of AdamW."""
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    """Shape of the learning rate after the warm-up."""
    warmup: float = Field(default=0.05, ge=0)
    """Optimiser steps over which the learning rate rises from 0; below 1 a share of all steps."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Decoupled weight decay."""
    log_every: int = Field(default=10, ge=1)
    """Optimiser steps between rows of `metrics.jsonl`; one is written before every checkpoint and at the end, too."""
    save_every: int | None = Field(default=200, ge=1)
    """Optimiser steps between checkpoints, the last two are kept; `null` keeps none, and a killed run starts over."""
    epochs: float = Field(default=1.0, gt=0)
    """Passes over the training data; `max_steps` cuts them short."""
    batch_size: int = Field(default=16, ge=1)
    """Solutions an optimiser step; where one process has several GPUs, as many for each."""
    micro_batch: int | None = Field(default=None, ge=1)
    """Solutions in one forward and backward pass of one device; `null` takes all of a step at once."""

    @model_validator(mode="before")
    @classmethod
    def _upgrade_batch(cls, data: Any) -> Any:
        """Take `grad_accumulation` of earlier releases, whose `batch_size` was that of one pass."""
        if not isinstance(data, dict) or "grad_accumulation" not in data:
            return data
        data = dict(data)
        passes, batch_size = data.pop("grad_accumulation"), data.get("batch_size", 16)
        if "micro_batch" in data or type(passes) is not int or type(batch_size) is not int:
            raise ValueError("grad_accumulation is gone: give batch_size, of an optimiser step, and micro_batch")
        return data if passes == 1 else data | {"batch_size": passes * batch_size, "micro_batch": batch_size}


class LanguageModelConfig(LoopConfig):
    """Options of `judgekit train kind=language_model`."""

    kind: Literal["language_model"] = "language_model"
    """What is made."""
    data: Path
    """Data set of labelled solutions; labels are not read."""
    model: str | None = None
    """Checkpoint to start from: a directory or a hub id; `null` builds the `tiny` preset."""
    preset: TinyConfig = TinyConfig()
    """Size of the `tiny` model where it is built; its `max_tokens` is the longest input either way."""
    only_correct: bool = False
    """Use only solutions without an error."""
    separator: str = Field(default="\n", min_length=1)
    """Text between problem and steps."""


class ClassifierConfig(LoopConfig):
    """Options of `judgekit train`, for a step classifier."""

    kind: Literal["step_classifier"] = "step_classifier"
    """What is made."""
    model: str
    """Checkpoint to start from: a directory or a hub id of any causal decoder, with or without a head."""
    data: tuple[Path, ...] = Field(min_length=1)
    """Data sets of labelled solutions."""
    weak: tuple[Path, ...] = ()
    """Data sets of weakly labelled solutions (`judgekit build relabel`) to learn from, too."""
    weak_weight: float = Field(default=0.3, ge=0, le=1)
    """What a weakly labelled solution counts, in labelled steps. Whether it helps shows in runs with and without."""
    right_despite_error: float = Field(default=0.1, ge=0, le=1)
    """Rate at which wrong steps end in a right answer. 1 lets right answers say nothing, which teaches a judge to
    accuse; 0 takes them for proof."""
    eval_data: Path | None = None
    """Data set for evaluation and early stopping, of other problems; `null` does without both."""
    judge_id: str | None = None
    """Name in results; `null` takes the output folder's name."""
    separator: str = Field(default="\n", min_length=1)
    """Separator put after every step, as token ids; the step is read at its last token."""
    problem_separator: str = "\n"
    """Separator put after the problem, as token ids."""
    max_tokens: int = Field(default=2048, ge=8)
    """Longest input in training, in tokens."""
    max_judged_tokens: int = Field(default=4096, ge=8)
    """Longest input in judging, in tokens; a longer solution gets no verdict, with the reason `too_long`."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the last hidden state that training drops before the head."""
    overlong: Literal["drop", "keep_leading_steps"] = "drop"
    """A longer solution. `drop`: left out; `keep_leading_steps`: its leading whole steps and labels. Counted."""
    n_max: int | None = Field(default=None, ge=1)
    """Solutions to train on at most, from the start of the data; `null` uses all."""
    n_eval_max: int | None = Field(default=2000, ge=1)
    """Solutions to evaluate on at most; `null` uses all."""
    eval_every: int = Field(default=200, ge=1)
    """Optimiser steps between evaluations."""
    patience: int | None = Field(default=None, ge=1)
    """Evaluations without a lower loss before training stops; the best weights are kept. `null` trains to the end."""


class LikelihoodConfig(KindConfig):
    """Options of `judgekit train kind=likelihood`."""

    kind: Literal["likelihood"] = "likelihood"
    """What is made."""
    model: str
    """Causal language model: a directory or a hub id. Its weights are copied into the judge directory."""
    data: tuple[Path, ...] = Field(min_length=1)
    """Data sets of labelled solutions."""
    eval_data: Path | None = None
    """Data set for the figures in `judge.json`, of other problems; `null` does without them."""
    judge_id: str | None = None
    """Name in results; `null` takes the output folder's name."""
    separator: str = Field(default="\n", min_length=1)
    """Separator put after every step, as token ids; its own surprisal is left out."""
    problem_separator: str = Field(default="\n", min_length=1)
    """Separator put after the problem, as token ids."""
    max_tokens: int = Field(default=4096, ge=8)
    """Longest input in tokens; a longer solution is left out in fitting and gets no verdict in judging."""
    n_max: int | None = Field(default=5000, ge=1)
    """Solutions to fit on at most; `null` uses all. Three numbers need few."""
    n_eval_max: int | None = Field(default=2000, ge=1)
    """Solutions to evaluate on at most; `null` uses all."""
    dtype: Precision = "float32"
    """Precision of the model, in which its weights are stored in the judge directory, too."""


HeadKind = Literal["linear", "trees", "mean"]
"""Logistic regression, gradient-boosted trees that are monotone where evidence has a direction, or the mean of both."""


class ProbeConfig(KindConfig):
    """Options of `judgekit train kind=probe`."""

    kind: Literal["probe"] = "probe"
    """What is made."""
    model: str
    """Frozen causal language model: a directory or a hub id, such as the policy. Copied into the judge directory."""
    data: tuple[Path, ...] = Field(min_length=1)
    """Data sets of labelled solutions; a few hundred, of the policy that will be judged, are worth most."""
    weak: tuple[Path, ...] = ()
    """Data sets of weakly labelled solutions (`judgekit build relabel`) to learn from, too; no figure is of them."""
    weak_weights: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.1, 0.3)
    """What a weakly labelled solution may count beside an exactly labelled one; held-out log loss chooses one of these,
    or 0, for each source."""
    right_despite_error: float = Field(default=0.1, ge=0, le=1)
    """Rate at which wrong steps end in a right answer. 1 lets right answers say nothing, which teaches a judge to
    accuse; 0 takes them for proof."""
    eval_data: Path | None = None
    """Data set for the figures in `judge.json`, of other problems; `null` has the cross-fitted ones alone."""
    judge_id: str | None = None
    """Name in results; `null` takes the output folder's name."""
    features: tuple[FeatureGroup, ...] = ("position", "length", "wording", "numbers", "symbolic", "surprisal", "hidden")
    """What the head is given. `contrast` costs a second pass of the model and has added nothing so far."""
    layers: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.5, 0.7, 0.9)
    """Layers whose hidden states are averaged over each step, by their share of the depth."""
    heads: tuple[HeadKind, ...] = Field(default=("linear", "mean"), min_length=1)
    """Kinds of head among which the cross-validated log loss of the true first error decides."""
    decision: DecisionKind = "argmax"
    """`argmax`: the most probable outcome under a fitted weight of "no error", the better one within a domain;
    `threshold`: the first step below a fitted threshold, the better one in a domain without labels."""
    n_folds: int = Field(default=5, ge=2)
    """Folds over problems, for the choice of head and threshold and, around that, for the figures."""
    seed: int = 0
    """Seed of the folds."""
    ablation: bool = True
    """Say what each group of features is worth, by leaving it out."""
    separator: str = Field(default="\n\n", min_length=1)
    """Separator put after every step, as token ids; its own tokens are left out. With a `prompt`, text between them."""
    problem_separator: str = Field(default="\n\n", min_length=1)
    """Separator put after the problem, as token ids; not used with a `prompt`."""
    prompt: PromptConfig | None = None
    """Read solutions as the policy writes them, as one text behind this prompt, so that in online training the judge
    finds its features in the trainer's own forward pass; `null` keeps separators apart, as ids."""
    max_tokens: int = Field(default=4096, ge=8)
    """Longest input in tokens; a longer solution is left out in fitting and gets no verdict in judging."""
    n_max: int | None = Field(default=None, ge=1)
    """Solutions to fit on at most, from the start of the data; `null` uses all."""
    n_eval_max: int | None = Field(default=2000, ge=1)
    """Solutions to evaluate on at most; `null` uses all."""
    dtype: Precision = "float32"
    """Precision of the model, in which its weights are stored in the judge directory, too."""
    feature_cache: Path | None = None
    """Folder that keeps what the frozen model made of every text, for other runs and for judges whose card names it,
    too; `null` keeps it in this run alone."""


class AdaptConfig(BaseConfig):
    """Options of `judgekit adapt`."""

    judge_id: str | None = None
    """Name in results; `null` takes the output folder's name."""
    n_max: int | None = Field(default=500, ge=1)
    """Solutions to read at most, from the start of the data; some 50 suffice. `null` reads all."""
    dtype: Precision = "float32"
    """Precision of the model, in which its weights are stored in the new judge directory, too."""


CalibratorChoice = Literal[
    "auto", "identity", "temperature", "platt", "position", "length", "beta", "posterior", "isotonic"
]


class CalibrationConfig(BaseConfig):
    """Options of `judgekit calibrate`."""

    calibrator: CalibratorChoice = "auto"
    """`auto` chooses by cross-validated log loss of the true first error; a name takes this one unless it does harm."""
    n_folds: int = Field(default=5, ge=2)
    """Folds over problems, for the choice of a calibrator and for the figures after calibration."""
    n_bins: int = Field(default=15, ge=1)
    """Equal-width bins of the expected calibration error."""
    n_max: int | None = Field(default=None, ge=1)
    """Solutions to use at most; `null` uses all."""
    dtype: ChosenPrecision = AUTO
    """Precision in which the judge runs; `auto`: bfloat16 where the hardware computes in it, else float32."""
    chunk_size: int = Field(default=64, ge=1)
    """Solutions handed to the judge, and kept in case of a kill, at a time."""
    conformal_alpha: float = Field(default=0.1, gt=0, lt=1)
    """Probability with which a conformal promise may fail: at 0.1 index sets contain the first error 9 times in 10."""
    conformal_frac: float | None = Field(default=0.5, gt=0, lt=1)
    """Share of the problems that is kept for the conformal thresholds and takes no part in calibrator and decision;
    `null` leaves no such section in the card."""


EnsembleRule = Literal["product", "mixture"]


class EnsembleConfig(BaseConfig):
    """Options of `judgekit ensemble`."""

    rule: EnsembleRule = "product"
    """`product`: powers of the posteriors are multiplied; `mixture`: their weighted mean."""
    judge_id: str | None = None
    """Name in results; `null` takes the output folder's name."""
    n_max: int | None = Field(default=None, ge=1)
    """Solutions to use at most; `null` uses all."""
    dtype: ChosenPrecision = AUTO
    """Precision in which the members run; `auto`: bfloat16 where the hardware computes in it, else float32."""


class CascadeConfig(BaseConfig):
    """Options of `judgekit cascade`: exactly one of `max_error` and `max_cost` says what is promised."""

    max_error: float | None = Field(default=None, gt=0, lt=1)
    """Of the solutions that a member before the last answers, at most this share is decided wrongly, which is another
    first error than the true one; `null` promises no error."""
    max_cost: float | None = Field(default=None, gt=0)
    """Mean cost of a solution at most, as a share of asking the last member about all; `null` promises no cost."""
    delta: float = Field(default=0.1, gt=0, lt=1)
    """Probability, over the draw of the problems, with which the promise may be broken."""
    test_frac: float = Field(default=0.5, gt=0, lt=1)
    """Share of the problems on which the promise is tested; the others propose thresholds."""
    cost_unit: Literal["seconds", "tokens", "usd"] = "seconds"
    """What a member costs: what its judgements say that they took, in the mean over the data."""
    costs: tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...] | None = None
    """Cost of asking each member about one solution, in any unit; `null` takes what was measured."""
    judge_id: str | None = None
    """Name in results; `null` takes the output folder's name."""
    n_max: int | None = Field(default=None, ge=1)
    """Solutions to use at most; `null` uses all."""
    dtype: ChosenPrecision = AUTO
    """Precision in which the members run; `auto`: bfloat16 where the hardware computes in it, else float32."""
    chunk_size: int = Field(default=64, ge=1)
    """Solutions handed to a member, and kept in case of a kill, at a time."""

    @model_validator(mode="after")
    def _one_promise(self) -> Self:
        if (self.max_error is None) == (self.max_cost is None):
            raise ValueError("give max_error or max_cost, and one of them alone: it says what is promised")
        return self


class PriorConfig(BaseConfig):
    """Options of `judgekit prior`."""

    by: Literal["position", "relative"] = "position"
    """`position`: the step's index, the last bin has all later ones; `relative`: equal parts of the solution."""
    n_bins: int = Field(default=16, ge=1)
    """Places that are told apart."""
    smoothing: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Steps that are added to each place, of which the share that is wrong everywhere is wrong."""
    judge_id: str | None = None
    """Name in results; `null` takes the output folder's name."""
    n_folds: int = Field(default=5, ge=2)
    """Folds over problems for the choice of the decision rule."""
    n_max: int | None = Field(default=None, ge=1)
    """Solutions to use at most; `null` uses all."""
