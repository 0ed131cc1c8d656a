"""Online training: SGPO, or plain GRPO, while the policy samples. One run folder, resumable after a kill."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from datasets import Dataset
from trl import GRPOConfig

from judgekit.answers import OutcomeCheck, build_outcome
from judgekit.calibration.fingerprint import Origin
from judgekit.errors import ConfigError
from judgekit.judges import load_judge
from judgekit.judges.card import LentModel
from judgekit.judges.golden import measure_golden
from judgekit.judges.unfamiliar import warn_unfamiliar
from judgekit.run import METRICS, Run
from judgekit.text.prompts import ChatPrompt, completion_text
from judgekit.training.loop import MetricsCallback, save_policy, train, training_arguments
from judgekit.training.lora import language_model
from judgekit.training.sharding import start_process
from judgekit.types import Problem
from sgpo.held_out import Evaluator, HeldOut, read_problems
from sgpo.objectives import Objective
from sgpo.online.ahead import AheadJudge
from sgpo.online.config import OnlineConfig
from sgpo.online.totals import SAMPLED, summarise_metrics
from sgpo.online.trainer import SGPOTrainer
from sgpo.online.vllm_rollouts import VllmRollouts, check_vllm
from sgpo.policy import load_policy

POLICY = "policy"
"""Folder of the trained policy, inside the run's output folder."""


def run_online(config: OnlineConfig, output: Path, *, resume: bool = False) -> dict[str, Any]:
    """Train a policy and return the results, which the run's manifest also stores.

    The folder gets `config.json`, `manifest.json`, `metrics.jsonl`, `samples.jsonl`, `checkpoints/` and `policy/`, and
    `guards.jsonl` with one line for each guard that fired. Under a launcher such as torchrun, every process calls this
    and the first one writes.

    Raises:
        ConfigError: the folder is in use or belongs to another configuration, or the batch cannot be split as
            configured.
        DataError: a problem data set is missing, damaged or empty.
        CheckpointError: policy or judge cannot be opened.
        JudgeError: the judge failed, or gave too few verdicts.
    """
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    state = start_process(cpu=config.device == "cpu" or not torch.cuda.is_available())
    inputs = [config.problems, *([config.eval.problems] if config.eval else [])]
    with state.main_process_first():
        run = Run(output, config, inputs=inputs, resume=resume or not state.is_main_process)
    if run.finished:
        return run.results
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`", category=FutureWarning)  # TRL's own
        check = build_outcome(config.outcome)
        try:
            trainer = build_trainer(config, run.output, check=check)
            if state.is_main_process:
                trainer.guards.listeners.append(lambda firing: run.log_firings([firing.model_dump(mode="json")]))
            trainer.add_callback(Recorder(trainer, run, n_samples=config.samples_per_log))
            if config.eval is not None:
                held_out = HeldOut(
                    read_problems(config.eval.problems, n_max=config.eval.n_problems),
                    config.eval,
                    prompt=config.prompt,
                    max_tokens=config.max_completion_length,
                    check=check,
                )
                trainer.add_callback(
                    Evaluator(
                        trainer,
                        run,
                        held_out,
                        config=config,
                        tokenizer=trainer.processing_class,
                        generator=VllmRollouts(trainer, generator_id=config.policy) if trainer.use_vllm else None,
                    )
                )
            train(trainer, run, report_to=config.report_to)
        finally:
            check.close()
        reopen = partial(load_policy, config.policy, lora=config.lora, seed=config.seed)
        save_policy(trainer, trainer.processing_class, run.output / POLICY, reopen=lambda: reopen().model)
    if state.is_main_process:
        run.finish(summarise_metrics(output / METRICS))
    state.wait_for_everyone()
    return summarise_metrics(output / METRICS)


def build_trainer(config: OnlineConfig, output: Path, *, check: OutcomeCheck) -> SGPOTrainer:
    """Open policy, judge and problems, and build the trainer."""
    arguments = grpo_arguments(config, output)  # impossible options are reported before anything large is opened
    problems = read_problems(config.problems, n_max=config.n_problems)
    policy = load_policy(config.policy, dtype=config.dtype, lora=config.lora, seed=config.seed, lr=config.lr)
    if isinstance(config.prompt, ChatPrompt) and policy.tokenizer.chat_template is None:
        raise ConfigError(f"the policy {config.policy} has no chat template: set prompt.type=raw")
    lent = None if config.judge_model == "own" else LentModel(language_model(policy.model))
    judge = None
    if config.judge is not None:
        judge = load_judge(config.judge, dtype=config.judge_dtype, votes=config.judge_votes, lent=lent)
        config.check_judge(judge.info)
    if lent is not None and not lent.taken_by:
        raise ConfigError(
            f"judge_model={config.judge_model} is for a probe judge whose frozen model is the policy {config.policy}, "
            f"and {config.judge} has another or none: fit one with `judgekit train kind=probe model={config.policy}`, "
            "or take judge_model=own"
        )
    if judge is not None:
        warn_unfamiliar(judge, [Origin(problem.source, generator=config.policy) for problem in problems])
    trainer = SGPOTrainer(
        model=policy.model,
        reward_funcs=[outcome_reward(check), *(objective_reward(*item) for item in config.objectives.items())],
        args=arguments,
        train_dataset=training_rows(problems, config),
        processing_class=policy.tokenizer,
        judge=AheadJudge(judge) if judge is not None and config.judge_ahead else judge,
        algorithm=config.resolved_algorithm,
        guards=config.guards,
        segmentation=config.segmentation,
        steps_per_epoch=len(problems) / config.prompts_per_step,
        outcome="outcome",
        answer_column="answer" if config.show_reference else None,
        correct_above=config.correct_above,
    )
    if lent is not None and judge is not None:
        trainer.lend(lent, as_it_trains=config.judge_model == "policy")
        with trainer.lent_whole():
            trainer.golden = measure_golden(judge)
    return trainer


def training_rows(problems: Sequence[Problem], config: OnlineConfig) -> Dataset:
    """Return the prompts of the whole run in order of use: one seeded permutation of the problems after another.

    The order is fixed in advance, so that a resumed run continues where it stopped, in whichever pass over the
    problems.
    """
    columns = [
        {"prompt": config.prompt.build(problem.problem), **problem.model_dump(exclude={"schema_version"})}
        for problem in problems
    ]
    generator = random.Random(config.seed)
    order: list[int] = []
    while len(order) < config.max_steps * config.prompts_per_step:
        order += generator.sample(range(len(problems)), len(problems))
    return Dataset.from_list(columns).select(order[: config.max_steps * config.prompts_per_step])


def outcome_reward(check: OutcomeCheck) -> Callable[..., list[float | None]]:
    """Return the outcome check as a TRL reward function; TRL names its column after it."""

    def outcome(completions: Sequence[Any], answer: Sequence[str], **_: Any) -> list[float | None]:
        return check.check_many(list(zip(map(completion_text, completions), answer, strict=True)))

    return outcome


def objective_reward(name: str, objective: Objective) -> Callable[..., list[float]]:
    """Return an objective as a TRL reward function, logged under its name."""

    def reward(completions: Sequence[Any], **_: Any) -> list[float]:
        return [objective.reward(completion_text(completion)) for completion in completions]

    reward.__name__ = name
    return reward


def grpo_arguments(config: OnlineConfig, output: Path) -> GRPOConfig:
    """Translate our options into TRL's; those under `trl` take precedence.

    Raises:
        ConfigError: a step's responses cannot be split over processes and micro-batches, or vLLM cannot be used, see
            `check_vllm`.
    """
    check_vllm(config.trl, cpu=config.device == "cpu" or not torch.cuda.is_available(), policy=config.policy)
    own = {
        "num_generations": config.group_size,
        "shuffle_dataset": False,
        "beta": config.beta_kl,
        "loss_type": config.loss,
        "scale_rewards": config.scale_rewards,
        "temperature": config.temperature,
        "max_completion_length": config.max_completion_length,
        "reward_weights": [1.0, *(objective.weight for objective in config.objectives.values())],
    }
    try:
        return training_arguments(
            GRPOConfig,
            config,
            output,
            n_per_step=config.n_responses,
            micro_batch=config.micro_batch,
            batch="responses per step (prompts_per_step x group_size)",
            n_processes=PartialState().num_processes,
            **(own | config.trl),
        )
    except TypeError as error:
        raise ConfigError(f"trl: {error}") from error


class Recorder(MetricsCallback):
    """Writes TRL's logs to `metrics.jsonl` and some responses to `samples.jsonl`.

    Names: `sgpo/...` from `SGPOMixin`, averaged over the steps of a row; everything else from TRL as `train/...`.
    """

    def __init__(self, trainer: SGPOTrainer, run: Run, *, n_samples: int) -> None:
        # Not `sgpo/judge_on`: with trl.num_iterations above 1 there are steps that sample nothing.
        super().__init__(run, "train", bare=("sgpo/",), needs="loss")
        self.trainer = trainer
        self.n_samples = n_samples
        self._n_batches = 0
        self._n_rollouts = 0

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Write one row and its samples, on the main process."""
        n_batches, self._n_batches = self.trainer.n_batches - self._n_batches, self.trainer.n_batches
        n_rollouts, self._n_rollouts = self.trainer.n_rollouts - self._n_rollouts, self.trainer.n_rollouts
        if logs and SAMPLED in logs:  # the means of a row are over this many batches, whatever steps they served
            logs = logs | {"sgpo/batches": n_batches, "sgpo/rollouts": n_rollouts}
        super().on_log(args, state, control, logs=logs)
        if state.is_world_process_zero and logs and SAMPLED in logs and self.trainer.sampled is not None:
            self.run.log_samples(islice(self.trainer.sampled.rows(step=state.global_step), self.n_samples))
