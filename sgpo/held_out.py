"""Held-out evaluation of the policy: before the first update, every few updates while it trains, and at the end."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from accelerate.utils import gather_object
from transformers import PreTrainedTokenizerBase, Trainer, TrainerCallback
from trl.models import unwrap_model_for_generation

from judgekit.answers import OutcomeCheck
from judgekit.answers.sample_and_check import Asked, sample_and_check
from judgekit.engines.generation.base import Generator
from judgekit.engines.generation.config import SamplingConfig
from judgekit.engines.generation.transformers import TransformersGenerator
from judgekit.engines.scoring.forward import attention
from judgekit.groups import is_right
from judgekit.io import read_records
from judgekit.run import Run
from judgekit.text.prompts import PromptConfig
from judgekit.training.lora import language_model
from judgekit.training.sharding import whole_weights
from judgekit.types import Problem
from sgpo.config import PeriodicEvalConfig, PolicyTrainingConfig


def read_problems(path: Path, *, n_max: int | None) -> list[Problem]:
    """Read a problem data set, or its first rows."""
    return list(islice(read_records(path, Problem), n_max))


@dataclass(frozen=True)
class HeldOut:
    """The evaluation problems, and how answers to them are sampled and checked."""

    problems: Sequence[Problem]
    """Problems that training never sees."""
    options: PeriodicEvalConfig
    """How often, and how many samples."""
    prompt: PromptConfig
    """How a problem becomes a prompt."""
    max_tokens: int
    """Longest response, tokens."""
    check: OutcomeCheck
    """Checks whether a final answer is correct."""


class Evaluator(TrainerCallback):
    """Evaluates the policy on held-out problems and logs `eval/accuracy`, `eval/n`, `eval/n_unknown`, `eval/seconds`.

    Args:
        trainer: The trainer of the policy.
        run: The run folder that rows are written to.
        held_out: The problems and their checks.
        config: Configuration of the run, for `policy`, `seed` and `correct_above`.
        tokenizer: The policy's tokenizer.
        generator: The engine that rollouts come from, called by all processes together; `None` runs the policy itself.
    """

    def __init__(
        self,
        trainer: Trainer,
        run: Run,
        held_out: HeldOut,
        *,
        config: PolicyTrainingConfig,
        tokenizer: PreTrainedTokenizerBase,
        generator: Generator | None = None,
    ) -> None:
        self.trainer = trainer
        self.run = run
        self.held_out = held_out
        self.config = config
        self.tokenizer = tokenizer
        self.generator = generator
        # Offline, the policy trains with an attention that separates packed responses and cannot generate.
        self._attention: str = language_model(trainer.model).config._attn_implementation

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Evaluate the policy before the first update; a resumed run has already done so."""
        if state.global_step == 0:
            self._evaluate(state)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Evaluate the policy every few updates and at the end."""
        if state.global_step % self.held_out.options.every == 0 or state.global_step == state.max_steps:
            self._evaluate(state)

    def _evaluate(self, state: Any) -> None:
        start = time.perf_counter()
        accelerator = self.trainer.accelerator
        local = self.held_out.problems[accelerator.process_index :: accelerator.num_processes]
        outcomes = [outcome for share in gather_object([self._outcomes(local)]) for outcome in share]
        right = [is_right(outcome, above=self.config.correct_above) for outcome in outcomes if outcome is not None]
        if state.is_world_process_zero:
            self.run.log(
                {
                    "step": state.global_step,
                    "eval/accuracy": sum(right) / len(right) if right else None,
                    "eval/n": len(right),
                    "eval/n_unknown": len(outcomes) - len(right),
                    "eval/seconds": time.perf_counter() - start,
                }
            )

    def _outcomes(self, problems: Sequence[Problem]) -> list[float | None]:
        """Sample responses and check them; the mode of the model and torch's random generators stay as they were."""
        if self.generator is not None:
            return self._check(problems, self.generator)
        trained: Any = self.trainer.model
        was_training, options, accelerator = trained.training, self.held_out.options, self.trainer.accelerator
        with warnings.catch_warnings():
            # TRL sets it itself.
            warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`", category=FutureWarning)
            with (
                unwrap_model_for_generation(self.trainer.model_wrapped, accelerator) as model,
                attention(language_model(model), self._attention),
                whole_weights(model, accelerator),  # the responses of the processes differ in length
            ):
                model.eval()
                generator = TransformersGenerator(
                    model, self.tokenizer, generator_id=self.config.policy, batch_size=options.batch_size
                )
                outcomes = self._check(problems, generator)
                model.train(was_training)
        return outcomes

    def _check(self, problems: Sequence[Problem], generator: Generator) -> list[float | None]:
        options = self.held_out.options
        found = sample_and_check(
            [Asked(problem.problem, problem.answer) for problem in problems],
            generator=generator,
            check=self.held_out.check,
            prompt=self.held_out.prompt,
            sampling=SamplingConfig(max_tokens=self.held_out.max_tokens, temperature=options.temperature),
            n=options.n_samples,
            seed=self.config.seed,
        )
        return [sample.outcome for samples in found for sample in samples]
