"""Completes prompts with transformers: length-sorted batches, padded on the left, with a key-value cache.

Sampling is our own, by inverting the distribution function at a stored random number: every completion has its own
random stream, fixed by seed, prompt and sample index. So a completion does not depend on the rest of its batch, except
for the rounding of the logits; the same call on the same machine gives the same completions. A completion constrained
to choices walks down a trie of their tokens: at each step only the tokens that continue a choice are sampled from.

Axis suffixes: `_P` prompt, `_B` row of a batch (one completion), `_T` token, `_V` vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any, Self

import numpy as np
import torch

from judgekit.engines.generation.base import (
    ChoiceScores,
    Completion,
    LocalGenerator,
    completion_of,
    first_token_ids,
    prompt_seed,
)
from judgekit.engines.generation.config import SamplingConfig, TransformersGeneration
from judgekit.engines.generation.token_trie import TokenTrie
from judgekit.engines.scoring.load import (
    check_sizes,
    load_language_model,
    load_tokenizer,
    opening,
    to_fastest_device,
)
from judgekit.errors import CheckpointError, JudgeError
from judgekit.text.prompts import CHAT_DATE, Prompt
from judgekit.types import NoVerdictReason

NON_FINITE = Completion(
    "",
    "failed",
    failure="the model's logits are not finite",
    failure_reason=NoVerdictReason.NON_FINITE,
)
"""What stands for a completion whose tokens cannot be sampled."""


class TransformersGenerator(LocalGenerator):
    """See `judgekit.engines.generation.base.Generator`.

    Args:
        model: A causal language model, in evaluation mode; one in training may be lent between two steps.
        tokenizer: Its tokenizer.
        generator_id: Name of the model.
        batch_size: Completions sampled at once.
        chat_date: The day that a chat template is told where it asks for today's.

    Raises:
        CheckpointError: there is no end-of-text token.
    """

    def __init__(
        self, model: Any, tokenizer: Any, *, generator_id: str, batch_size: int, chat_date: date = CHAT_DATE
    ) -> None:
        n_context = int(getattr(model.config, "max_position_embeddings", 2**31))
        super().__init__(tokenizer, generator_id=generator_id, n_context=n_context, chat_date=chat_date)
        self.model = model
        self.batch_size = batch_size
        self.revision = getattr(model.config, "_commit_hash", None)
        self.device = str(model.device)
        ends = model.generation_config.eos_token_id
        ends = tokenizer.eos_token_id if ends is None else ends
        self.end_ids: set[int] = set() if ends is None else set(ends if isinstance(ends, list) else [ends])
        if not self.end_ids:
            raise CheckpointError(
                f"{generator_id} has no end-of-text token, so completions would never end: set eos_token_id in its "
                "config.json"
            )

    @classmethod
    def open(cls, config: TransformersGeneration, *, chat_date: date = CHAT_DATE) -> Self:
        """Open the model of a configuration on the fastest device.

        Raises:
            CheckpointError: model or tokenizer cannot be opened or cannot run, or there is no end-of-text token.
        """
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        tokenizer = load_tokenizer(config.model)
        model = to_fastest_device(load_language_model(config.model, dtype=config.dtype))
        check_sizes(model, tokenizer)
        self = cls(model, tokenizer, generator_id=config.model, batch_size=config.batch_size, chat_date=chat_date)
        with opening(config.model), torch.no_grad():
            self._prefill([sorted(self.end_ids)])  # what cannot run is told now, not behind the first prompt
        return self

    def generate(
        self,
        prompts: Sequence[Prompt],
        sampling: SamplingConfig,
        *,
        n: int = 1,
        seed: int = 0,
        choices_P: Sequence[Sequence[str]] | None = None,
    ) -> list[list[Completion]]:
        """See `Generator.generate`. A prompt that fills the model's context fails; a long one gets fewer tokens."""
        tries_P: list[TokenTrie | None] = [None] * len(prompts)
        if choices_P is not None:
            made = {tuple(choices): TokenTrie(self.tokenizer, choices, self.end_ids) for choices in choices_P}
            tries_P = [made[tuple(choices)] for _, choices in zip(prompts, choices_P, strict=True)]
        ids_P = self.encode(prompts)
        seeds_P = [prompt_seed(self.render(prompt), seed=seed) for prompt in prompts]
        rooms_P = [min(sampling.max_tokens, self.n_context - len(ids)) for ids in ids_P]
        rows = [(prompt, sample) for prompt in range(len(prompts)) if rooms_P[prompt] > 0 for sample in range(n)]
        rows.sort(key=lambda row: -len(ids_P[row[0]]))
        found = [[self.no_room] * n for _ in prompts]
        for start in range(0, len(rows), self.batch_size):
            batch = rows[start : start + self.batch_size]
            draws_B_T = np.stack([_draws(seeds_P[prompt], sample, sampling.max_tokens) for prompt, sample in batch])
            try:
                sampled_B = self._decode(
                    [ids_P[prompt] for prompt, _ in batch],
                    draws_B_T=torch.from_numpy(draws_B_T),
                    limits_B=[rooms_P[prompt] for prompt, _ in batch],
                    tries_B=[tries_P[prompt] for prompt, _ in batch],
                    sampling=sampling,
                )
            except torch.OutOfMemoryError as error:
                raise JudgeError(f"out of memory on {len(batch)} completions at once: lower batch_size") from error
            for (prompt, sample), sampled in zip(batch, sampled_B, strict=True):
                if not sampled:
                    found[prompt][sample] = NON_FINITE
                    continue
                tokens = [token for token, _ in sampled]
                completion = completion_of(self.tokenizer, ids_P[prompt], tokens, end_ids=self.end_ids)
                completion = replace(completion, token_ids=tuple(tokens), logprobs=tuple(value for _, value in sampled))
                trie = tries_P[prompt]
                choice = None if trie is None else trie.choice(tokens)
                if choice is not None:  # as it was given: some tokenizers put a space in front of a text
                    completion = replace(completion, text=choice, finish_reason="stop")
                found[prompt][sample] = completion
        return found

    def choice_logprobs(self, prompts: Sequence[Prompt], *, choices: Sequence[str]) -> list[ChoiceScores]:
        """See `Generator.choice_logprobs`. Every distinct prompt is read once; only its last logits are made."""
        choice_ids = first_token_ids(self.tokenizer, choices)
        ids_P = self.encode(prompts)
        found = [self.no_room_scores] * len(prompts)
        fitting = sorted(
            (row for row in range(len(prompts)) if len(ids_P[row]) <= self.n_context), key=lambda row: -len(ids_P[row])
        )
        for start in range(0, len(fitting), self.batch_size):
            batch = fitting[start : start + self.batch_size]
            for row, logprobs in zip(
                batch, self._next_logprobs([ids_P[row] for row in batch], choice_ids), strict=True
            ):
                is_number = np.isfinite(logprobs).all()
                found[row] = ChoiceScores(
                    tuple(logprobs) if is_number else None,
                    failure=None if is_number else NON_FINITE.failure,
                    failure_reason=None if is_number else NON_FINITE.failure_reason,
                    n_prompt_tokens=len(ids_P[row]),
                )
        return found

    @torch.no_grad()
    def _next_logprobs(self, ids_B: Sequence[list[int]], choice_ids: Sequence[int]) -> list[list[float]]:
        """Log-probability of some next tokens, nats. Shape (B, n_choices)."""
        try:
            logits = self._prefill(ids_B)[0].float()
        except torch.OutOfMemoryError as error:
            raise JudgeError(f"out of memory on {len(ids_B)} prompts at once: lower batch_size") from error
        logprobs: list[list[float]] = (logits[:, choice_ids] - logits.logsumexp(dim=-1, keepdim=True)).tolist()
        return logprobs

    @torch.no_grad()  # no inference mode: a model in training would keep what it computes of its positions here
    def _decode(
        self,
        ids_B: Sequence[list[int]],
        *,
        draws_B_T: torch.Tensor,
        limits_B: Sequence[int],
        tries_B: Sequence[TokenTrie | None],
        sampling: SamplingConfig,
    ) -> list[list[tuple[int, float]]]:
        """Return the sampled tokens of each row with their log-probabilities under the model, nats.

        That of the end is included; there is none if logits are not numbers.
        """
        device = self.model.device
        logits, cache, mask = self._prefill(ids_B)
        positions = mask.sum(dim=1)
        alive = list(range(len(ids_B)))
        tokens_B: list[list[int]] = [[] for _ in ids_B]
        logprobs_B: list[list[float]] = [[] for _ in ids_B]
        for step in range(max(limits_B)):
            free_logits = logits
            logits = hold_to_choices(logits, [(tries_B[row], tokens_B[row]) for row in alive])
            is_number_B = logits.amax(dim=-1).isfinite().tolist()  # -infinity rules a token out, which is fair
            draws_B = draws_B_T[alive, step].to(device)
            tokens = sample_tokens(logits, draws_B, temperature=sampling.temperature, top_p=sampling.top_p)
            taken = free_logits.gather(-1, tokens[:, None])[:, 0].float() - free_logits.float().logsumexp(dim=-1)
            for row, token, logprob, is_number in zip(alive, tokens.tolist(), taken.tolist(), is_number_B, strict=True):
                tokens_B[row].append(token) if is_number else tokens_B[row].clear()
                logprobs_B[row].append(min(logprob, 0.0))  # which rounding may lift above
            going = [
                index
                for index, row in enumerate(alive)
                if 0 < len(tokens_B[row]) < limits_B[row]
                and tokens_B[row][-1] not in self.end_ids
                and ((trie := tries_B[row]) is None or trie.allowed(tokens_B[row]))
            ]
            if not going:
                break
            if len(going) < len(alive):
                kept = torch.tensor(going, device=device)
                cache.reorder_cache(kept)  # of all kinds of layers: linear attention has no other way to select
                mask, positions, tokens = mask[kept], positions[kept], tokens[kept]
                alive = [alive[index] for index in going]
            mask = torch.cat([mask, mask.new_ones(len(alive), 1)], dim=1)
            output = self.model(
                input_ids=tokens[:, None],
                attention_mask=mask,
                position_ids=positions[:, None],
                past_key_values=cache,
                use_cache=True,
            )
            logits, positions = output.logits[:, -1], positions + 1
        return [list(zip(tokens, logprobs_B[row], strict=False)) for row, tokens in enumerate(tokens_B)]

    def _prefill(self, ids_B: Sequence[list[int]]) -> tuple[torch.Tensor, Any, torch.Tensor]:
        """Read every distinct prompt once; return last logits (B, V), cache and attention mask (B, T) for all rows."""
        distinct = {tuple(ids): index for index, ids in enumerate(dict.fromkeys(map(tuple, ids_B)))}
        width = max(map(len, distinct))
        ids = torch.full((len(distinct), width), next(iter(self.end_ids)))
        mask = torch.zeros_like(ids)
        for prompt, index in distinct.items():
            ids[index, width - len(prompt) :] = torch.tensor(prompt)
            mask[index, width - len(prompt) :] = 1
        ids, mask = ids.to(self.model.device), mask.to(self.model.device)
        output = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(dim=1) - 1).clamp_min(0),
            use_cache=True,
            logits_to_keep=1,
        )
        rows = torch.tensor([distinct[tuple(row)] for row in ids_B], device=self.model.device)
        cache = getattr(output, "past_key_values", None)
        if cache is None or not hasattr(cache, "reorder_cache"):
            raise CheckpointError(
                f"{self.generator_id} (model_type {self.model.config.model_type}) has no cache from which rows can be "
                "selected, which this engine needs: use the engine vllm, a server (openai), or another architecture"
            )
        cache.reorder_cache(rows)
        return output.logits[rows, -1], cache, mask[rows]


def hold_to_choices(logits_B_V: torch.Tensor, walks_B: Sequence[tuple[TokenTrie | None, list[int]]]) -> torch.Tensor:
    """Return the logits with every token ruled out that leads to no choice.

    Args:
        logits_B_V: Logits. Shape (B, V).
        walks_B: Each row's trie, `None` if it is free, and the tokens it has so far.

    Returns:
        Shape (B, V); minus infinity where a token is ruled out.
    """
    if all(trie is None for trie, _ in walks_B):
        return logits_B_V
    held = logits_B_V.clone()
    for row, (trie, tokens) in enumerate(walks_B):
        if trie is not None:
            allowed = sorted(trie.allowed(tokens))
            held[row] = float("-inf")
            held[row, allowed] = logits_B_V[row, allowed]
    return held


def sample_tokens(
    logits_B_V: torch.Tensor, draws_B: torch.Tensor, *, temperature: float | None, top_p: float
) -> torch.Tensor:
    """Return one token id a row: the first whose cumulated probability exceeds the row's draw.

    Args:
        logits_B_V: Logits. Shape (B, V).
        draws_B: Uniform numbers in [0, 1). Shape (B,).
        temperature: Above 0; `None` takes the most probable token.
        top_p: The most probable tokens are kept until their sum reaches this share.

    Returns:
        Token ids. Shape (B,).

    Example:
        >>> sample_tokens(torch.zeros(1, 4), torch.tensor([0.6]), temperature=1.0, top_p=1.0).tolist()
        [2]
    """
    if temperature is None:
        return logits_B_V.argmax(dim=-1)
    probs = torch.softmax(logits_B_V.double() / temperature, dim=-1)
    if top_p < 1:
        ranked, order = probs.sort(dim=-1, descending=True, stable=True)
        before = ranked.cumsum(dim=-1) - ranked
        probs = torch.zeros_like(probs).scatter(-1, order, ranked * (before < top_p))
    cumulated = probs.cumsum(dim=-1)
    drawn = torch.searchsorted(cumulated, draws_B[:, None] * cumulated[:, -1:], right=True)
    return drawn[:, 0].clamp_max(probs.shape[-1] - 1)


def _draws(prompt_seed: int, sample: int, n: int) -> np.ndarray:
    """Uniform numbers of one completion. Shape (n,)."""
    return np.random.Generator(np.random.Philox(key=np.array([prompt_seed, sample], dtype=np.uint64))).random(n)
