"""Options of every kind of training. Imports no torch, so that a mistake in a configuration is reported at once."""

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
    """Says what is trained, so that no command accepts a file that was written for another one."""

    @model_validator(mode="before")
    @classmethod
    def _is_for_this_command(cls, data: Any) -> Any:
        own = cls.model_fields["kind"].default
        given = data.get("kind", own) if isinstance(data, dict) else own
        if given != own and given in _KINDS:
            raise ValueError(
                f"this configuration is of kind {given}, but this command makes kind {own}: use `judgekit train`, "
                f"which reads the kind from the file, or write kind: {own}"
            )
        return data


class TinyConfig(BaseConfig):
    """Size of the tiny model; the defaults make about one million parameters."""

    vocab_size: int = Field(default=384, ge=260)
    """Vocabulary size: 256 bytes, 3 special tokens, and learned merges."""
    hidden_size: int = Field(default=160, ge=8)
    """Width of the residual stream."""
    n_layers: int = Field(default=3, ge=1)
    """Transformer layers."""
    n_heads: int = Field(default=5, ge=1)
    """Attention heads; must divide the width."""
    max_tokens: int = Field(default=512, ge=16)
    """Longest input, tokens."""
    seed: int = 0
    """Seed of the weights."""


class LoopConfig(OptimConfig, KindConfig):
    """Options of the training loop of a model of steps or of text."""

    lr: float = Field(default=2e-5, gt=0)
    """Peak learning rate of AdamW."""
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    """Shape of the learning rate after the warm-up."""
    warmup: float = Field(default=0.05, ge=0)
    """Optimiser steps over which the learning rate rises from 0; below 1, a fraction of all steps."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Decoupled weight decay."""
    log_every: int = Field(default=10, ge=1)
    """Optimiser steps between rows of `metrics.jsonl`; one is also written before every checkpoint and at the end."""
    save_every: int | None = Field(default=200, ge=1)
    """Optimiser steps between checkpoints, of which the last two are kept; with `null` a killed run starts over."""
    epochs: float = Field(default=1.0, gt=0)
    """Passes over the training data; `max_steps` may end training earlier."""
    batch_size: int = Field(default=16, ge=1)
    """Solutions per optimiser step; if one process has several GPUs, per GPU."""
    micro_batch: int | None = Field(default=None, ge=1)
    """Solutions per forward and backward pass of one device; `null` takes all of a step at once."""

    @model_validator(mode="before")
    @classmethod
    def _upgrade_batch(cls, data: Any) -> Any:
        """Take `grad_accumulation` of earlier releases, whose `batch_size` was that of one pass."""
        if not isinstance(data, dict) or "grad_accumulation" not in data:
            return data
        data = dict(data)
        passes, batch_size = data.pop("grad_accumulation"), data.get("batch_size", 16)
        if "micro_batch" in data or type(passes) is not int or type(batch_size) is not int:
            raise ValueError("grad_accumulation was removed: give batch_size, per optimiser step, and micro_batch")
        return data if passes == 1 else data | {"batch_size": passes * batch_size, "micro_batch": batch_size}


class LanguageModelConfig(LoopConfig):
    """Options of `judgekit train kind=language_model`."""

    kind: Literal["language_model"] = "language_model"
    """What is trained."""
    data: Path
    """Data set of labelled solutions; labels are ignored."""
    model: str | None = None
    """Checkpoint to start from: a directory or a Hub id; `null` builds the `tiny` preset."""
    preset: TinyConfig = TinyConfig()
    """Size of the `tiny` model if it is built; its `max_tokens` is the longest input in any case."""
    only_correct: bool = False
    """Use only solutions without an error."""
    separator: str = Field(default="\n", min_length=1)
    """Text between problem and steps."""


class ClassifierConfig(LoopConfig):
    """Options of `judgekit train`, for a step classifier."""

    kind: Literal["step_classifier"] = "step_classifier"
    """What is trained."""
    model: str
    """Checkpoint to start from: a directory or a Hub id of any causal decoder, with or without a head."""
    data: tuple[Path, ...] = Field(min_length=1)
    """Data sets of labelled solutions."""
    weak: tuple[Path, ...] = ()
    """Data sets of weakly labelled solutions (`judgekit build relabel`) to learn from as well."""
    weak_weight: float = Field(default=0.3, ge=0, le=1)
    """Weight of a weakly labelled solution, in labelled steps. Compare runs with and without to see whether it
    helps."""
    right_despite_error: float = Field(default=0.1, ge=0, le=1)
    """Rate at which wrong steps still lead to a correct answer. At 1, correct answers say nothing, which teaches a
    judge to accuse; at 0 they count as proof."""
    eval_data: Path | None = None
    """Data set for evaluation and early stopping, on other problems; `null` does neither."""
    judge_id: str | None = None
    """Name in results; `null` uses the output folder's name."""
    separator: str = Field(default="\n", min_length=1)
    """Separator put after every step, as token ids; the step is read at its last token."""
    problem_separator: str = "\n"
    """Separator put after the problem, as token ids."""
    max_tokens: int = Field(default=2048, ge=8)
    """Longest input in training, tokens."""
    max_judged_tokens: int = Field(default=4096, ge=8)
    """Longest input in judging, tokens; a longer solution gets no verdict, with the reason `too_long`."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on the last hidden state before the head, in training."""
    overlong: Literal["drop", "keep_leading_steps"] = "drop"
    """What to do with a longer solution. `drop`: leave it out; `keep_leading_steps`: keep its leading whole steps.
    Counted."""
    n_max: int | None = Field(default=None, ge=1)
    """Maximum solutions to train on, from the start of the data; `null` uses all."""
    n_eval_max: int | None = Field(default=2000, ge=1)
    """Maximum solutions to evaluate on; `null` uses all."""
    eval_every: int = Field(default=200, ge=1)
    """Optimiser steps between evaluations."""
    patience: int | None = Field(default=None, ge=1)
    """Evaluations without a lower loss before training stops; the best weights are kept. `null` trains to the end."""


class LikelihoodConfig(KindConfig):
    """Options of `judgekit train kind=likelihood`."""

    kind: Literal["likelihood"] = "likelihood"
    """What is trained."""
    model: str
    """Causal language model: a directory or a Hub id. Its weights are copied into the judge directory."""
    data: tuple[Path, ...] = Field(min_length=1)
    """Data sets of labelled solutions."""
    eval_data: Path | None = None
    """Data set for the metrics in `judge.json`, on other problems; `null` leaves them out."""
    judge_id: str | None = None
    """Name in results; `null` uses the output folder's name."""
    separator: str = Field(default="\n", min_length=1)
    """Separator put after every step, as token ids; its own surprisal is ignored."""
    problem_separator: str = Field(default="\n", min_length=1)
    """Separator put after the problem, as token ids."""
    max_tokens: int = Field(default=4096, ge=8)
    """Longest input, tokens; a longer solution is left out in fitting and gets no verdict in judging."""
    n_max: int | None = Field(default=5000, ge=1)
    """Maximum solutions to fit on; `null` uses all. Three numbers need few."""
    n_eval_max: int | None = Field(default=2000, ge=1)
    """Maximum solutions to evaluate on; `null` uses all."""
    dtype: Precision = "float32"
    """Precision of the model, also of its weights in the judge directory."""


HeadKind = Literal["linear", "trees", "mean"]
"""Logistic regression, gradient-boosted trees that are monotone where evidence has a direction, or the mean of both."""


class ProbeConfig(KindConfig):
    """Options of `judgekit train kind=probe`."""

    kind: Literal["probe"] = "probe"
    """What is trained."""
    model: str
    """Frozen causal language model: a directory or a Hub id, such as the policy. Copied into the judge directory."""
    data: tuple[Path, ...] = Field(min_length=1)
    """Data sets of labelled solutions; a few hundred, sampled from the policy to be judged, are worth most."""
    weak: tuple[Path, ...] = ()
    """Data sets of weakly labelled solutions (`judgekit build relabel`) to learn from as well; metrics ignore them."""
    weak_weights: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.1, 0.3)
    """Candidate weights of a weakly labelled solution relative to an exactly labelled one; held-out log loss chooses
    one of these, or 0, for each source."""
    right_despite_error: float = Field(default=0.1, ge=0, le=1)
    """Rate at which wrong steps still lead to a correct answer. At 1, correct answers say nothing, which teaches a
    judge to accuse; at 0 they count as proof."""
    eval_data: Path | None = None
    """Data set for the metrics in `judge.json`, on other problems; `null` gives only the cross-fitted ones."""
    judge_id: str | None = None
    """Name in results; `null` uses the output folder's name."""
    features: tuple[FeatureGroup, ...] = ("position", "length", "wording", "numbers", "symbolic", "surprisal", "hidden")
    """Groups of features for the head. `contrast` costs a second pass of the model and has not helped so far."""
    layers: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.5, 0.7, 0.9)
    """Layers whose hidden states are averaged over each step, as fractions of the depth."""
    heads: tuple[HeadKind, ...] = Field(default=("linear", "mean"), min_length=1)
    """Kinds of head to choose from by the cross-validated log loss of the true first error."""
    decision: DecisionKind = "argmax"
    """`argmax`: the most probable outcome under a fitted weight of "no error", which is better within a domain;
    `threshold`: the first step below a fitted threshold, which is better in a domain without labels."""
    n_folds: int = Field(default=5, ge=2)
    """Folds over problems, to choose head and threshold and, around that, for the metrics."""
    seed: int = 0
    """Seed of the folds."""
    ablation: bool = True
    """Report the value of each group of features, by leaving it out."""
    separator: str = Field(default="\n\n", min_length=1)
    """Separator put after every step, as token ids; its own tokens are ignored. With a `prompt`, text between steps."""
    problem_separator: str = Field(default="\n\n", min_length=1)
    """Separator put after the problem, as token ids; not used with a `prompt`."""
    prompt: PromptConfig | None = None
    """Read solutions as the policy writes them, as one text after this prompt, so that in online training the judge
    finds its features in the trainer's own forward pass; `null` uses separators, as ids."""
    max_tokens: int = Field(default=4096, ge=8)
    """Longest input, tokens; a longer solution is left out in fitting and gets no verdict in judging."""
    n_max: int | None = Field(default=None, ge=1)
    """Maximum solutions to fit on, from the start of the data; `null` uses all."""
    n_eval_max: int | None = Field(default=2000, ge=1)
    """Maximum solutions to evaluate on; `null` uses all."""
    dtype: Precision = "float32"
    """Precision of the model, also of its weights in the judge directory."""
    feature_cache: Path | None = None
    """Folder that stores the frozen model's output on every text, for other runs and for judges whose card names it;
    `null` stores it in this run only."""


class AdaptConfig(BaseConfig):
    """Options of `judgekit adapt`."""

    judge_id: str | None = None
    """Name in results; `null` uses the output folder's name."""
    n_max: int | None = Field(default=500, ge=1)
    """Maximum solutions to read, from the start of the data; about 50 are enough. `null` reads all."""
    dtype: Precision = "float32"
    """Precision of the model, also of its weights in the new judge directory."""


CalibratorChoice = Literal[
    "auto", "identity", "temperature", "platt", "position", "length", "beta", "posterior", "isotonic"
]


class CalibrationConfig(BaseConfig):
    """Options of `judgekit calibrate`."""

    calibrator: CalibratorChoice = "auto"
    """`auto` chooses by cross-validated log loss of the true first error; a name uses that one unless it does harm."""
    n_folds: int = Field(default=5, ge=2)
    """Folds over problems, to choose a calibrator and for the metrics after calibration."""
    n_bins: int = Field(default=15, ge=1)
    """Equal-width bins of the expected calibration error."""
    n_max: int | None = Field(default=None, ge=1)
    """Maximum solutions to use; `null` uses all."""
    dtype: ChosenPrecision = AUTO
    """Precision in which the judge runs; `auto`: bfloat16 if the hardware supports it, else float32."""
    chunk_size: int = Field(default=64, ge=1)
    """Solutions that are judged at once, and stored so that a killed run can resume."""
    conformal_alpha: float = Field(default=0.1, gt=0, lt=1)
    """Probability with which a conformal guarantee may fail: at 0.1, index sets contain the first error 9 times in
    10."""
    conformal_frac: float | None = Field(default=0.5, gt=0, lt=1)
    """Fraction of the problems that is reserved for the conformal thresholds and not used for calibrator and decision;
    `null` leaves the section out of the card."""


EnsembleRule = Literal["product", "mixture"]


class EnsembleConfig(BaseConfig):
    """Options of `judgekit ensemble`."""

    rule: EnsembleRule = "product"
    """`product` multiplies powers of the posteriors; `mixture` takes their weighted mean."""
    judge_id: str | None = None
    """Name in results; `null` uses the output folder's name."""
    n_max: int | None = Field(default=None, ge=1)
    """Maximum solutions to use; `null` uses all."""
    dtype: ChosenPrecision = AUTO
    """Precision in which the members run; `auto`: bfloat16 if the hardware supports it, else float32."""


class CascadeConfig(BaseConfig):
    """Options of `judgekit cascade`: exactly one of `max_error` and `max_cost` says what is guaranteed."""

    max_error: float | None = Field(default=None, gt=0, lt=1)
    """Of the solutions that a member before the last answers, at most this fraction is decided wrongly: with another
    first error than the true one. `null` guarantees no error."""
    max_cost: float | None = Field(default=None, gt=0)
    """Maximum mean cost of a solution, relative to calling the last member on all; `null` guarantees no cost."""
    delta: float = Field(default=0.1, gt=0, lt=1)
    """Probability, over the draw of the problems, with which the guarantee may be violated."""
    test_frac: float = Field(default=0.5, gt=0, lt=1)
    """Fraction of the problems on which the guarantee is tested; the others propose thresholds."""
    cost_unit: Literal["seconds", "tokens", "usd"] = "seconds"
    """Unit of a member's cost, as its judgements report it, averaged over the data."""
    costs: tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...] | None = None
    """Cost of calling each member on one solution, in any unit; `null` uses the measured cost."""
    judge_id: str | None = None
    """Name in results; `null` uses the output folder's name."""
    n_max: int | None = Field(default=None, ge=1)
    """Maximum solutions to use; `null` uses all."""
    dtype: ChosenPrecision = AUTO
    """Precision in which the members run; `auto`: bfloat16 if the hardware supports it, else float32."""
    chunk_size: int = Field(default=64, ge=1)
    """Solutions that a member judges at once, stored so that a killed run can resume."""

    @model_validator(mode="after")
    def _one_promise(self) -> Self:
        if (self.max_error is None) == (self.max_cost is None):
            raise ValueError("give exactly one of max_error and max_cost: it says what is guaranteed")
        return self


class PriorConfig(BaseConfig):
    """Options of `judgekit prior`."""

    by: Literal["position", "relative"] = "position"
    """`position`: the step's index, with all later ones in the last bin; `relative`: equal parts of the solution."""
    n_bins: int = Field(default=16, ge=1)
    """Number of bins."""
    smoothing: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Pseudo-steps added to each bin, wrong at the overall rate."""
    judge_id: str | None = None
    """Name in results; `null` uses the output folder's name."""
    n_folds: int = Field(default=5, ge=2)
    """Folds over problems, to choose the decision rule."""
    n_max: int | None = Field(default=None, ge=1)
    """Maximum solutions to use; `null` uses all."""
