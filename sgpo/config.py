"""What the configurations of online and offline training have in common: policy, judge, algorithm, guards. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from judgekit.answers.checks import CORRECT_ABOVE
from judgekit.config import BaseConfig, parse_config
from judgekit.engines.precision import AUTO, ChosenPrecision
from judgekit.errors import ConfigError
from judgekit.training.lora import LoraOptions
from judgekit.training.optim import OptimConfig
from sgpo.algorithms.base import Algorithm, Moment, Need
from sgpo.algorithms.grpo import GRPO
from sgpo.algorithms.registry import AlgorithmConfig, parse_algorithm
from sgpo.algorithms.sgpo import SGPO
from sgpo.assumed import AssumedConfig
from sgpo.guards import EARLIER, GuardsConfig
from sgpo.objectives import Objective

if TYPE_CHECKING:
    from judgekit.judges.base import JudgeInfo  # brings polars

GIVEN: Mapping[Moment, frozenset[Need]] = {
    "rollout": frozenset({"spans", "old_logprobs", "entropy", "divergence", "influence", "domain"}),
    "step": frozenset({"spans", "old_logprobs", "seq_logps", "entropy", "divergence", "influence", "domain"}),
}
"""What trainers give algorithms at each moment, besides the judge and the objectives."""
ONLINE_ALONE: Mapping[Need, str] = {
    "history": (
        "the memory of earlier batches changes with the policy, but stored responses do not: groups that are all "
        "correct teach GRPO nothing anyway, so use grpo"
    ),
    "drafts": (
        "stored responses belong to the prompts that they were sampled from: store responses to prompts that contain a "
        "draft, and train on them with grpo"
    ),
}
"""What training on stored responses cannot provide, and why."""


class PeriodicEvalConfig(BaseConfig):
    """Evaluation of the policy on held-out problems, before the first update, every few updates and at the end."""

    problems: Path
    """Problem data set that training never sees."""
    every: int = Field(default=10, ge=1)
    """Optimiser steps between evaluations."""
    n_problems: int | None = Field(default=128, ge=1)
    """How many problems to use, starting with the first; `null` uses all."""
    n_samples: int = Field(default=1, ge=1)
    """Responses sampled per problem; more than 1 needs a temperature."""
    temperature: float | None = Field(default=None, gt=0)
    """Sampling temperature; `null` decodes greedily."""
    batch_size: int = Field(default=128, ge=1)
    """Responses that one process generates at once."""

    @model_validator(mode="after")
    def _samples_differ(self) -> PeriodicEvalConfig:
        if self.n_samples > 1 and self.temperature is None:
            raise ValueError(
                f"n_samples={self.n_samples} greedy samples are all the same: set a temperature, or n_samples=1"
            )
        return self


class PolicyTrainingConfig(OptimConfig):
    """Options that online and offline training of a policy have in common."""

    policy: str = Field(min_length=1)
    """Checkpoint directory or Hub id of the policy: safetensors, no remote code."""
    dtype: ChosenPrecision = "float32"
    """Precision in which the policy's weights are trained and written. `bfloat16` takes half the memory, but loses
    updates that are small compared with the weight, as most are below lr=1e-4; such a run warns. For bfloat16 passes
    over float32 weights use `bf16`; with `lora`, whose adapters are float32, use `lora.dtype`."""
    judge: str | None = None
    """Judge directory, Hub id, URL of a service or `builtin:NAME`; `null` for algorithms without a judge."""
    judge_dtype: ChosenPrecision = AUTO
    """Precision in which the judge runs; `auto`: bfloat16 if the hardware supports it, else float32."""
    judge_votes: int | None = Field(default=None, ge=1)
    """Answers sampled from a critic per response, whose votes form the posterior; `null`: as many as its card says.
    Refused for judges that do not sample or that decode greedily."""
    show_reference: bool = True
    """Whether the judge may see the reference answer. Judges that need it are refused without it. A judge that was
    calibrated with the reference gives other probabilities without it."""
    algorithm: AlgorithmConfig | None = None
    """How outcomes, and a judge if the algorithm uses one, become rewards and advantages; `null`: `sgpo` with a judge,
    `grpo` without."""
    correct_above: float = Field(default=CORRECT_ABOVE, ge=0, lt=1)
    """Outcomes (0..1) above this count as correct, in training, guards, statistics and evaluation."""
    objectives: dict[str, Objective] = Field(default_factory=dict)
    """Rewards besides the outcome, by name: functions of a response's text, summed with their weights."""
    guards: GuardsConfig = GuardsConfig()
    """Guards: what warns, switches the judge off or stops a run when the judge does not help."""
    lora: LoraOptions | None = None
    """Train low-rank adapters instead of all weights, and merge them into the weights at the end; `null` trains all."""
    assume: AssumedConfig = AssumedConfig()
    """Assumptions of `--dry-run`; training ignores them."""

    @model_validator(mode="before")
    @classmethod
    def _read_guidance(cls, data: Any) -> Any:
        """Read `guidance`, which held the options of SGPO and of the guards before there were other algorithms.

        Such a configuration without a judge trained plain GRPO, whatever its guidance said.
        """
        if not isinstance(data, dict):
            return data
        data, judged = dict(data), data.get("judge") is not None
        if "guidance" in data:
            if data.get("algorithm") is not None:
                raise ValueError(
                    "guidance and algorithm are both given; write guidance.KEY as algorithm.KEY (algorithm.type=sgpo), "
                    f"and {', '.join(EARLIER)} as guards.KEY"
                )
            algorithm, guards = upgrade_guidance(data.pop("guidance"))
            data["guards"] = dict(data.get("guards") or {}) | guards
            data["algorithm"] = algorithm if judged else None
        # One spelling for one thing, so that a run resumes whichever way its configuration is written.
        if parse_algorithm(data.get("algorithm")) == (SGPO() if judged else GRPO()):
            data["algorithm"] = None
        return data

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        algorithm = self.resolved_algorithm
        if self.judge_votes is not None and self.judge is None:
            raise ValueError(f"judge_votes={self.judge_votes} needs a judge, and there is none: give judge=...")
        given = {"judge": self.judge is not None, "objectives": bool(self.objectives)}
        lacking = sorted(algorithm.needs - self._gives() - {name for name, is_given in given.items() if is_given})
        if lacking == ["judge"]:
            raise ValueError(
                f"the algorithm {algorithm.type} needs a judge: give judge=..., or set algorithm.type=grpo"
            )
        if lacking == ["objectives"]:
            raise ValueError(
                f"the algorithm {algorithm.type} needs objectives besides the outcome: give objectives=..."
            )
        for name in self.objectives:
            if not name.isidentifier() or name == "outcome":
                raise ValueError(
                    f"objectives: {name!r} names a reward in the log: use letters, digits and underscores, and not "
                    "'outcome'"
                )
        if lacking:
            why = "".join(f"; {ONLINE_ALONE[need]}" for need in lacking if need in ONLINE_ALONE)
            raise ValueError(
                f"the algorithm {algorithm.type} needs {', '.join(lacking)}, which this trainer does not provide at "
                f"the algorithm's moment ({algorithm.when}) as it is configured{why}"
            )
        return self

    @model_validator(mode="after")
    def _precision_is_said_once(self) -> Self:
        if self.lora is not None and self.dtype != "float32":
            raise ValueError(f"dtype={self.dtype} applies when all weights are trained: with adapters, set lora.dtype")
        return self

    def _gives(self) -> frozenset[Need]:
        """Return what an algorithm may need from this trainer, besides the judge and the objectives."""
        return GIVEN[self.resolved_algorithm.when]

    def check_judge(self, info: JudgeInfo) -> None:
        """Check that the opened judge can do what the configuration asks of it.

        Raises:
            ConfigError: it needs the reference, and must not see it.
        """
        if info.needs_reference and not self.show_reference:
            raise ConfigError(
                f"show_reference=false, but the judge {info.judge_id} gives no verdict without a reference: use a "
                "critic whose prompt needs none, or show_reference=true"
            )

    @property
    def resolved_algorithm(self) -> Algorithm:
        """The algorithm: the one given, else SGPO with a judge and GRPO without."""
        return self.algorithm or (GRPO() if self.judge is None else SGPO())


def upgrade_guidance(guidance: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options in a mapping `guidance` of earlier releases, as options of `algorithm` and of `guards`."""
    if not isinstance(guidance, Mapping):
        raise ValueError("guidance must be a mapping of options; it is now called algorithm")
    guards = {key: value for key, value in guidance.items() if key in EARLIER}
    options = {key: value for key, value in guidance.items() if key not in guards}
    changed = [
        {key: value for key, value in given.items() if value != defaults[key]}
        for given, defaults in (
            (parse_config(SGPO, options, where="guidance").model_dump(mode="json"), SGPO().model_dump(mode="json")),
            (parse_config(GuardsConfig, guards, where="guidance").model_dump(), GuardsConfig().model_dump()),
        )
    ]
    return {"type": "sgpo"} | changed[0], changed[1]
