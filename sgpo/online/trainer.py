"""Any algorithm on TRL's GRPOTrainer: it steps in between the outcome rewards and the advantages.

TRL gathers the rewards of all processes before it computes advantages, so groups are whole there even if they span
processes or micro-batches. Credit at every optimiser step is also computed from a whole generation batch, which TRL
shuffles and splits into micro-batches. `sgpo.online.contract` checks the TRL methods that are extended. With plain
GRPO, or outside the algorithm's window, nothing is changed, so training is bit-identical to GRPO.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather, gather_object
from transformers import TrainerCallback
from trl import GRPOTrainer

from judgekit.answers.checks import CORRECT_ABOVE
from judgekit.config import parse_config
from judgekit.errors import ConfigError, DataError, JudgeError, JudgekitError, boundary, shorten
from judgekit.judges import load_judge
from judgekit.judges.base import Judge
from judgekit.judges.golden import golden_difference
from judgekit.text.prompts import completion_text, encode_prompt, with_fixed_clock
from judgekit.text.segmentation import PARAGRAPHS, SegmentationConfig, StepSpan, segment
from judgekit.types import Solution
from sgpo.algorithms.base import Algorithm, GroupBatch, LossRule, Response, Scale, Scored, Shaped, TokenSum
from sgpo.algorithms.grpo import GRPO
from sgpo.algorithms.registry import parse_algorithm
from sgpo.algorithms.sgpo import SGPO
from sgpo.credit import (
    StepCredit,
    give_credit,
    mean_advantage,
    mix_advantages,
    plain_advantages,
    put_back,
    shape_groups,
    step_lengths,
    sum_rewards,
    token_spans,
    without_judge,
)
from sgpo.guards import GuardsConfig
from sgpo.online.ahead import AheadJudge, JudgingAhead
from sgpo.online.contract import check_algorithm, check_outcomes, check_trl_contract, find_outcome
from sgpo.online.drafts import Drafting
from sgpo.online.lending import Lending
from sgpo.online.passes import PolicyPasses
from sgpo.online.prompts import Prompts, PromptsCallback, fill_up, join_rows, shown_text
from sgpo.online.sampled import Sampled
from sgpo.rewards import group_std, std_floor_factor
from sgpo.watch import GuardCallback, Guards, observe

logger = logging.getLogger(__name__)

PLAIN = GRPO()
"""The algorithm outside an algorithm's window."""
_row = itemgetter(0)
_TRL_LOSS: dict[TokenSum, str] = {
    "seq_token_mean": "grpo",
    "token_mean": "dapo",
    "fixed": "dr_grpo",  # the length is max_completion_length
    "seq_sum": "luspo",
}


def _problem_id(row: Mapping[str, Any]) -> str:
    """Return the id of a problem."""
    return str(row.get("problem_id") or row.get("problem") or row["prompt"])


class SGPOMixin(Lending, PolicyPasses, JudgingAhead, Drafting):
    """Adds any algorithm to a `GRPOTrainer`; list it before the trainer among the base classes.

    One reward function is the outcome: 1 for correct, 0 for wrong, `None` for unknown; TRL adds further ones as usual.
    Judges see the problem of a row, and those that read a reference also see its answer.

    Args:
        args: Positional arguments of the trainer.
        judge: The judge, or anything that `load_judge` opens; `None` for algorithms without a judge.
        outcome: The reward function that is the outcome: the function itself, its name, or its position (0 is the
            first); `None` if there is only one. Plain GRPO works without an outcome, but then logs no accuracy.
        problem_column: Column of the data set with the problem: a text, a number, or a conversation, of which judges
            see the user's messages. `None` uses `problem`, or `prompt` if there is no such column, and logs that.
        answer_column: Column with the correct answer, which may be missing; `None` hides it from judges.
        reference_column: Column with the text that judges with a reference see; `None` is the answer.
        correct_above: Outcomes above this are correct.
        algorithm: How outcomes and judgements become advantages, and when; unused in evaluation. Also accepts a name,
            or a mapping of options with the name as `type`. `None` is SGPO with a judge and plain GRPO without, which
            still logs the group statistics.
        guards: What warns, switches the judge off or stops the run when the judge does not help; `None` uses the
            defaults of the configuration. To be notified when a guard fires, add to `guards.listeners`.
        segmentation: How a response is split into steps: a mode, or a mapping of options.
        steps_per_epoch: Optimiser steps in one pass over the problems, for a window in epochs; `None` reads the
            trainer's own count.
        kwargs: Keyword arguments of the trainer.

    Raises:
        ConfigError: the installed TRL does not fit; rewards are normalised separately before they are summed although
            the algorithm is not plain GRPO; the data have no such column; or certified prefixes are requested from a
            judge that certifies none.
    """

    args: Any
    train_dataset: Any
    state: Any
    processing_class: Any
    num_generations: int
    scale_rewards: Scale
    loss_type: str
    epsilon_low: float
    epsilon_high: float
    importance_sampling_level: str
    reward_weights: torch.Tensor
    reward_funcs: list[Callable[..., Any]]
    reward_func_names: list[str]
    eos_token_ids: list[int]
    multi_objective_aggregation: str
    chat_template: str | None
    chat_template_kwargs: dict[str, Any]
    tools: list[Any] | None
    environment_factories: Any
    _is_vlm: bool
    _buffered_inputs: Any
    _log_metric: Callable[[str, float], None]
    _logs: dict[str, deque[Any]]
    _metrics: dict[str, dict[str, list[float]]]
    add_callback: Callable[[TrainerCallback], None]

    def __init__(
        self,
        *args: Any,
        judge: Judge | str | Path | None = None,
        algorithm: Algorithm | Mapping[str, Any] | str | None = None,
        guards: GuardsConfig | Mapping[str, Any] | None = None,
        segmentation: SegmentationConfig | Mapping[str, Any] | str = PARAGRAPHS,
        steps_per_epoch: float | None = None,
        outcome: str | int | Callable[..., Any] | None = None,
        problem_column: str | None = None,
        answer_column: str | None = "answer",
        reference_column: str | None = None,
        correct_above: float = CORRECT_ABOVE,
        **kwargs: Any,
    ) -> None:
        check_trl_contract()
        if not isinstance(self, GRPOTrainer):
            raise ConfigError(f"{type(self).__name__} is not a GRPOTrainer of TRL, the only trainer that SGPO extends")
        if "guidance" in kwargs:
            raise ConfigError('guidance is now called algorithm: give algorithm={"type": "sgpo", ...}')
        judge = load_judge(judge) if isinstance(judge, str | Path) else judge
        if judge is not None and not isinstance(judge, Judge):
            raise ConfigError(f"{shorten(judge)} is no judge: it needs `info` and `judge`, as load_judge gives it")
        algorithm = {"type": algorithm} if isinstance(algorithm, str) else algorithm
        algorithm = parse_algorithm(dict(algorithm)) if isinstance(algorithm, Mapping) else algorithm
        if isinstance(guards, Mapping):
            guards = parse_config(GuardsConfig, dict(guards), where="guards")
        if not isinstance(segmentation, SegmentationConfig):
            options = {"mode": segmentation} if isinstance(segmentation, str) else dict(segmentation)
            segmentation = parse_config(SegmentationConfig, options, where="segmentation")
        super().__init__(*args, **kwargs)
        template = self.chat_template or getattr(self.processing_class, "chat_template", None)
        if isinstance(template, str) and with_fixed_clock(template) != template:
            # the date in a prompt stays the same after midnight, and in a resumed run
            self.chat_template = with_fixed_clock(template)
        columns = self.train_dataset.column_names
        self.judge = judge
        self.algorithm: Algorithm = algorithm or (PLAIN if judge is None else SGPO())
        self._aggregation = self.multi_objective_aggregation
        if self._aggregation != PLAIN.aggregation and type(self.algorithm) is not GRPO:
            raise ConfigError(
                f"multi_objective_aggregation={self._aggregation} rescales guided rewards separately, so a wrong "
                "answer may earn as much as a correct one: use sum_then_normalize, or the algorithm gdpo"
            )
        scores = type(self.algorithm).score is not Algorithm.score
        shown = columns or (list(next(iter(self.train_dataset), ())) if scores else [])  # a stream: by its first row
        if problem_column is None:
            problem_column = "problem" if "problem" in shown or "prompt" not in shown else "prompt"
            if scores and problem_column == "prompt" and self.accelerator.is_main_process:
                logger.warning(
                    "the data have no column 'problem', so judges see 'prompt'; set problem_column=NAME to change that"
                )
        if scores and problem_column not in shown:
            raise ConfigError(
                f"the training data have no column {problem_column!r} to show to the judge, only {shown}: name one "
                "with problem_column, for example prompt"
            )
        self._columns = problem_column, reference_column or answer_column
        self.correct_above = correct_above
        if callable(outcome) and outcome in self.reward_funcs:
            outcome = self.reward_funcs.index(outcome)
        is_required = type(self.algorithm) is not GRPO
        self._outcome = find_outcome(list(self.reward_func_names), outcome, is_required=is_required)
        # Here the outcome comes first; TRL keeps its own order.
        self._order = sorted(range(len(self.reward_weights)), key=lambda index: index != self._outcome)
        self._warned_of_outcome = False
        self.n_batches = self.n_rollouts = 0
        """Batches, and responses in them, sampled in training so far; resampled ones count, and for responses also
        drafts."""
        check_algorithm(
            self.algorithm,
            judge=judge,
            n_rewards=len(self.reward_weights),
            columns=columns,
            importance_sampling_level=self.importance_sampling_level,
            text_alone=not (self._is_vlm or self.tools or self.environment_factories),
        )
        self.segmentation = segmentation
        self.steps_per_epoch = steps_per_epoch
        self.sampled: Sampled | None = None
        """The latest training batch of this process."""
        self.guards = Guards(guards or GuardsConfig(), asks_judge="judge" in self.algorithm.needs, seed=self.args.seed)
        if self.accelerator.is_main_process:
            self.guards.listeners.append(lambda firing: logger.warning("%s", firing))
        self.add_callback(GuardCallback(self.guards))
        self._advantage_factor_N: torch.Tensor | None = None
        self._advantages: torch.Tensor | list[torch.Tensor] | None = None
        self._step_credit: StepCredit | None = None
        self._domains = Counter(self.train_dataset["source"]) if "domain" in self.algorithm.needs else Counter[str]()
        self._credit_step = -1
        problems: dict[str, int] = {}
        if self.algorithm.n_refills or "history" in self.algorithm.needs:
            if columns is None or self._is_vlm:
                raise ConfigError(
                    f"the algorithm {self.algorithm.type} chooses problems, so it needs a data set that is not a "
                    "stream, and plain texts"
                )
            for row, problem in enumerate(self.train_dataset):
                problems.setdefault(_problem_id(problem), row)
        self._problem_rows = list(problems.values())
        self._prompts = Prompts(list(problems), algorithm=self.algorithm, seed=self.args.seed)
        if problems:
            self.add_callback(PromptsCallback(self._prompts))
        self._rule: LossRule | None = None

    def _tokenize_prompts(self, prompts: list[Any]) -> tuple[list[list[int]], Any, dict[str, Any]]:
        """Let the policy read in training what it reads in evaluation: reserved tokens in a problem are plain text.

        Prompts with tools, images, chat-template options or a started answer are left to TRL.
        """
        plain = all(
            isinstance(prompt, str)
            or (prompt[-1]["role"] != "assistant" and all(isinstance(turn.get("content"), str) for turn in prompt))
            for prompt in prompts
        )
        if not plain or self.tools or self._is_vlm or self.environment_factories or self.chat_template_kwargs:
            return super()._tokenize_prompts(prompts)
        return [encode_prompt(self.processing_class, prompt) for prompt in prompts], None, {}

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """Let the algorithm choose the problems, if it does, and refill a batch whose groups have no signal."""
        if not (self._prompts.in_charge and self.model.training and self._weight()):
            return self._sample(inputs)
        n_local, world = len(inputs), self.accelerator.num_processes
        n_groups = n_local * world // self.num_generations
        output = self._sample(self._next_inputs(n_groups, n_local))
        if self.algorithm.n_refills == 0:
            return output
        filled, n_rounds = fill_up(
            output,
            sample=lambda: self._sample(self._next_inputs(n_groups, n_local)),
            n_groups=n_groups,
            group_size=self.num_generations,
            n_refills=self.algorithm.n_refills,
        )
        self._metrics["train"]["sgpo/refill_rounds"].append(float(n_rounds))
        if n_rounds == 0:
            return output
        mine = filled[self._local_rows(n_local)]
        return join_rows(mine, output, pad_id=self.processing_class.pad_token_id)

    def _next_inputs(self, n_groups: int, n_local: int) -> list[dict[str, Any]]:
        """Return this process's rows of the next batch of problems."""
        chosen = [index for index in self._prompts.take(n_groups) for _ in range(self.num_generations)]
        return [self.train_dataset[self._problem_rows[index]] for index in chosen[self._local_rows(n_local)]]

    def _sample(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """Let TRL sample, and replace its advantages by the algorithm's."""
        self._advantage_factor_N = self._advantages = self._step_credit = None
        if self.model.training and self._weight():
            self.multi_objective_aggregation = self.algorithm.aggregation
            if "drafts" in self.algorithm.needs:
                inputs = self._with_best_drafts(inputs)
        self._n_reused = 0
        try:
            output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        finally:
            self._seen.clear()  # the hidden states of a whole batch
            self.multi_objective_aggregation = self._aggregation
        local, log = self._local_rows(len(inputs)), self._logs["advantages"]
        if self._step_credit is not None:
            # The policy has not trained on them yet, so it is its own old policy: this is the credit of the first step.
            output["row_N"] = torch.arange(local.start, local.stop, device=output["completion_ids"].device)
            self._give_step_credit(self._old_seq_logprobs_N)
        if self._advantage_factor_N is not None:
            factor_N = self._advantage_factor_N
            output["advantages"] = output["advantages"] * factor_N[local]
            used_N = [
                given * factor for given, factor in zip(list(log)[-len(factor_N) :], factor_N.tolist(), strict=True)
            ]
        elif isinstance(self._advantages, torch.Tensor):
            output["advantages"] = self._advantages[local].to(output["advantages"])
            used_N = self._advantages.tolist()
        elif self._advantages is not None:
            advantages_N_T = output["advantages"].new_zeros(output["completion_ids"].shape)
            for row, advantages_T in enumerate(self._advantages[local]):
                advantages_N_T[row, : len(advantages_T)] = advantages_T
            output["advantages"] = advantages_N_T
            used_N = [mean_advantage(advantages_T) for advantages_T in self._advantages]
        else:
            return output
        for _ in used_N:  # the log of completions shows the advantages in use, not those that TRL computed
            log.pop()
        log.extend(used_N)
        return output

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        """Set the credit of this optimiser step, and the algorithm's rule for averaging and clipping token losses."""
        if not self.model.training:
            loss: torch.Tensor = super()._compute_loss(model, inputs)  # type: ignore[misc]
            return loss
        if self._step_credit is not None:
            if self._credit_step != self.state.global_step:
                self._give_step_credit(self._run_policy(self._buffered_inputs).seq_logprobs_N)
            assert isinstance(self._advantages, torch.Tensor)
            inputs = inputs | {"advantages": self._advantages[inputs["row_N"]].to(inputs["advantages"])}
        configured = self.loss_type, self.epsilon_low, self.epsilon_high
        try:
            if self._rule is not None:
                self.loss_type = _TRL_LOSS[self._rule.tokens]
                if self._rule.clip is None:  # without them TRL uses the policy's own, detached: the ratio is 1
                    inputs = {name: value for name, value in inputs.items() if name != "old_per_token_logps"}
                else:
                    self.epsilon_low, self.epsilon_high = self._rule.clip
            loss = super()._compute_loss(model, inputs)  # type: ignore[misc]
        finally:
            self.loss_type, self.epsilon_low, self.epsilon_high = configured
        return loss

    def _give_step_credit(self, seq_logprobs_N: torch.Tensor) -> None:
        assert self._step_credit is not None
        self._advantages = self._step_credit.at(seq_logprobs_N, old_seq_logprobs_N=self._old_seq_logprobs_N)
        self._credit_step = self.state.global_step

    def _calculate_rewards(
        self,
        inputs: list[dict[str, Any]],
        prompts: list[Any],
        completions: list[Any],
        completion_ids_list: list[list[int]],
    ) -> torch.Tensor:
        """Return the gathered rewards with guided outcomes. Shape (N over all processes, reward functions).

        Logs `sgpo/<name>` for every statistic of `credit_stats`, `steps_per_response`, `judge_on`, `weight` if the
        algorithm fades, and `guard_<name>` for every guard: 1 while its bound is passed. For a judge that runs on a
        model of this trainer, also `judge_drift` and `judge_reused`, the number of texts whose features came from a
        pass of the trainer.
        """
        rewards_NF: torch.Tensor = super()._calculate_rewards(  # type: ignore[misc]
            inputs, prompts, completions, completion_ids_list
        )
        if not self.model.training:
            return rewards_NF
        texts_N = [completion_text(completion) for completion in completions]
        spans_N = [segment(text, self.segmentation) for text in texts_N]
        ours_NF, device = rewards_NF[:, self._order], rewards_NF.device
        self.n_batches += 1
        self.n_rollouts += len(rewards_NF)
        if self._outcome is not None and not self._warned_of_outcome:
            name = self.reward_func_names[self._outcome]
            try:
                self._warned_of_outcome = check_outcomes(ours_NF[:, 0], name=name, correct_above=self.correct_above)
            except ConfigError as error:
                if type(self.algorithm) is not GRPO:
                    raise
                logger.warning("%s; until then, no accuracy is logged", error)
                self._outcome = None
        outcomes_N = ours_NF[:, 0] if self._outcome is not None else torch.full_like(ours_NF[:, 0], torch.nan)
        batch = GroupBatch(
            outcomes_N,
            correct_above=self.correct_above,
            rewards_NF=ours_NF if ours_NF.size(1) > 1 else None,
            reward_weights_F=tuple(self.reward_weights[self._order].tolist()),
            group_ids_N=torch.arange(len(outcomes_N), device=device) // self.num_generations,
            truncated_N=gather(torch.tensor([self._is_truncated(ids) for ids in completion_ids_list], device=device)),
            n_tokens_N=gather(torch.tensor([len(ids) for ids in completion_ids_list], device=device)),
        )
        n_steps_N = gather(torch.tensor([len(spans) for spans in spans_N], device=device))
        weight = self._weight()
        is_on = weight > 0
        self._rule = self.algorithm.loss_rule if is_on else None
        needs = self.algorithm.needs if is_on else frozenset()
        batch = self._ask_policy(
            batch,
            needs=needs,
            of_step=is_on and self.algorithm.when == "step",
            prompts=prompts,
            completion_ids_N=completion_ids_list,
        )
        if "domain" in needs:
            domains_N = gather_object([row["source"] for row in inputs])
            shares = {name: count / len(self.train_dataset) for name, count in self._domains.items()}
            shares_N = torch.tensor([shares[domain] for domain in domains_N], device=device)
            batch = replace(batch, domains_N=tuple(domains_N), domain_shares_N=shares_N)
        if "history" in needs:
            problem_ids_N = tuple(gather_object([_problem_id(row) for row in inputs]))
            batch = replace(batch, problem_ids_N=problem_ids_N)
            self._prompts.memory = self.algorithm.remember(self._prompts.memory, batch)
            batch = replace(batch, memory=self._prompts.memory)
        if "spans" in needs:
            # as TRL makes the texts
            decode = partial(self.processing_class.decode, skip_special_tokens=True)
            own_spans = [
                token_spans(ids, [(span.start, span.end) for span in spans], text=text, decode=decode)
                for ids, spans, text in zip(completion_ids_list, spans_N, texts_N, strict=True)
            ]
            n_prompt_N = torch.tensor([len(ids) for ids in self._tokenize_prompts(prompts)[0]], device=device)
            batch = replace(batch, spans_N=tuple(gather_object(own_spans)), n_prompt_tokens_N=gather(n_prompt_N))

        def score_rows(rows_M: torch.Tensor) -> list[Scored]:
            return self._score_pooled(self._local_requests(rows_M, inputs, spans_N)) if is_on else []

        update = self.state.global_step + 1
        ask_more = partial(self.guards.rows_to_ask, batch, step=update) if is_on else None
        credit = shape_groups(batch, self.algorithm if is_on else PLAIN, score_rows, ask_more=ask_more)
        scores = type(self.algorithm).score is not Algorithm.score
        own = {"steps_per_response": n_steps_N.float().mean().item()}
        if is_on and self._lent is not None:
            own["judge_reused"] = gather(torch.tensor([self._n_reused], device=device)).sum().item()
        seen = observe(
            batch,
            step=update,
            rows_M=credit.rows_M if is_on and scores else None,
            scored=credit.scored,
            n_steps_N=n_steps_N.tolist(),
        )
        if is_on and self.golden:
            assert self.judge is not None
            with self.lent_whole():
                seen = seen.model_copy(update={"judge_drift": golden_difference(self.judge, self.golden)})
        self.guards.look(seen)
        if is_on and self.guards.judge_off:  # because of this batch, which is not trained on with the judge either
            credit, is_on, self._rule = without_judge(credit), False, None
        own["judge_on"] = float(is_on)
        if self.algorithm.window.fade != "none":
            own["weight"] = weight if is_on else 0.0
        if seen.judge_drift is not None:
            own["judge_drift"] = seen.judge_drift
        own |= {f"guard_{name}": float(name in self.guards.ringing) for name in self.guards.config.on}
        for name, value in {**credit.stats, **own}.items():
            self._log_metric(f"sgpo/{name}", value)
        local = self._local_rows(len(texts_N))
        self.sampled = Sampled(
            prompts_N=prompts,
            texts_N=texts_N,
            outcomes_N=outcomes_N[local].tolist(),
            rewards_N=credit.shaped.rewards_N[local].tolist(),
            rts_N=credit.rts_N[local],
            scored_N=[credit.scored.get(row) for row in range(local.start, local.stop)],
        )
        if is_on:
            rewards_NF = rewards_NF.clone()
            rewards_NF[:, self._order] = self._put_back(credit.shaped, credit.batch, weight)
        return rewards_NF

    def _weight(self) -> float:
        """The weight of the algorithm; 0 for plain GRPO, which TRL does itself, and if the judge is off."""
        step = self.state.global_step
        epoch = step / self.steps_per_epoch if self.steps_per_epoch else self.state.epoch or 0.0
        if self.guards.judge_off or type(self.algorithm) is GRPO:  # subclasses of GRPO change something
            return 0.0
        return self.algorithm.window.weight(step=step, n_steps=self.state.max_steps, epoch=epoch)

    def _is_truncated(self, completion_ids: Sequence[int]) -> bool:
        """As TRL defines it: the last token is neither an end token nor padding."""
        return completion_ids[-1] not in {*self.eos_token_ids, self.processing_class.pad_token_id}

    def _local_requests(
        self, rows_M: torch.Tensor, inputs: Sequence[Mapping[str, Any]], spans_N: Sequence[Sequence[StepSpan]]
    ) -> list[tuple[int, Response]]:
        """The selected responses of this process, by their row in the gathered batch."""
        local = self._local_rows(len(inputs))
        rows = [row for row in rows_M.tolist() if local.start <= row < local.stop]
        encode = partial(self.processing_class, add_special_tokens=False)
        requests = []
        for row in rows:
            shown, steps = inputs[row - local.start], tuple(span.text for span in spans_N[row - local.start])
            problem, reference = (None if name is None else shown_text(shown.get(name)) for name in self._columns)
            if not problem:
                raise DataError(
                    f"a row of the training data has an empty {self._columns[0]!r}, so there is nothing to show to the "
                    f"judge: {shorten(dict(shown))}. Name the column with problem_column, or leave such rows out"
                )
            problem_id = shown_text(shown.get("problem_id")) or ""
            solution = Solution(problem_id=problem_id, problem=problem, steps=steps, reference=reference)
            lengths_S = step_lengths(
                steps, unit=self.algorithm.unit, count_tokens=lambda text: len(encode(text=text)["input_ids"])
            )
            requests.append((row, Response(solution, lengths_S, key=f"{self.state.global_step}:{row}")))
        return requests

    def _score_pooled(self, local: list[tuple[int, Response]]) -> list[Scored]:
        """Score the requests of all processes, distributed evenly; every process returns all scores, by row.

        All-negative groups are contiguous and would pile up on one process.
        """
        pool = sorted(gather_object(local), key=_row)
        is_ahead = isinstance(self.judge, AheadJudge)  # asked by the process that holds the response
        mine = local if is_ahead else pool[self.accelerator.process_index :: self.accelerator.num_processes]
        answers: list[tuple[int, Scored]] = []
        failure: JudgekitError | None = None
        try:
            with self.lent_whole(), boundary(JudgeError, f"scoring by {self.algorithm.type} failed"):
                scored = self.algorithm.score([response for _, response in mine], judge=self.judge)
            answers = [(row, score) for (row, _), score in zip(mine, scored, strict=True)]
        except JudgekitError as error:
            failure = error  # raised below on every process, so that none is left waiting
        shares = gather_object([(failure, answers)])
        for failed, _ in shares:
            if failed is not None:
                raise failed
        return [score for _, score in sorted((answer for _, share in shares for answer in share), key=_row)]

    def _put_back(self, shaped: Shaped, batch: GroupBatch, weight: float) -> torch.Tensor:
        """Replace the outcomes by the shaped rewards and prepare the advantages.

        TRL computes GRPO's advantages from them; a floor of the standard deviation becomes a factor on these. An
        algorithm with its own credit replaces them.
        """
        rewards_NF = put_back(shaped.rewards_N, batch)
        total_N = sum_rewards(rewards_NF, batch)
        if self.algorithm.aggregation == "normalize_then_sum":
            return rewards_NF  # TRL's own computation is used
        if self.algorithm.when == "step":
            self._step_credit = StepCredit(
                batch, Shaped(total_N, shaped.std_floor_N), self.algorithm, self.scale_rewards
            )
            return rewards_NF
        if self.algorithm.has_own_credit or weight < 1:
            given = give_credit(
                total_N,
                batch=batch,
                algorithm=self.algorithm,
                std_floor_N=shaped.std_floor_N,
                scale=self.scale_rewards,
            )
            if weight < 1:
                plain_N = plain_advantages(batch, scale=self.scale_rewards)
                mixed = [mix_advantages(own, plain, weight=weight) for own, plain in zip(given, plain_N, strict=True)]
                given = torch.stack(mixed) if isinstance(given, torch.Tensor) else mixed
            self._advantages = given
            return rewards_NF
        std_N = group_std(total_N, group_ids_N=batch.group_ids_N)
        factor_N = torch.ones_like(std_N)
        if self.scale_rewards == "group":
            factor_N = std_floor_factor(std_N, floor_N=shaped.std_floor_N)
        keep_N = self.algorithm.keep(batch, total_N)
        self._advantage_factor_N = torch.where(keep_N & (std_N != 0), factor_N, 0.0)
        return rewards_NF


class SGPOTrainer(SGPOMixin, GRPOTrainer):
    """TRL's `GRPOTrainer` with any algorithm; see `SGPOMixin` for the added arguments."""
