"""Passes of the policy over the responses of a batch, for what algorithms need to know about their tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from accelerate.utils import gather, gather_object
from torch.nn.utils.rnn import pad_sequence

from sgpo.algorithms.base import GroupBatch, Need
from sgpo.divergence import group_divergence
from sgpo.influence import group_influences


class PolicyRun(NamedTuple):
    """Values of the policy for the responses of all processes, by row of the gathered batch."""

    seq_logprobs_N: torch.Tensor
    """Summed log-probability of each response, nats. Shape (N,)."""
    entropies_N: tuple[torch.Tensor, ...] | None
    """Entropy at each token, nats, if asked for. One tensor of shape (T,) per response."""


class PolicyPasses:
    """Part of `sgpo.online.trainer.SGPOMixin`: runs the current policy on the sampled responses."""

    model: Any
    accelerator: Any
    args: Any
    processing_class: Any
    num_generations: int
    temperature: float
    _get_per_token_logps_and_entropies: Callable[..., tuple[torch.Tensor, Any, Any]]
    _tokenize_prompts: Callable[[list[Any]], tuple[list[list[int]], Any, dict[str, Any]]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._old_seq_logprobs_N = torch.zeros(0)
        super().__init__(*args, **kwargs)

    def _ask_policy(
        self,
        batch: GroupBatch,
        *,
        needs: Set[Need],
        of_step: bool,
        prompts: list[Any],
        completion_ids_N: Sequence[list[int]],
    ) -> GroupBatch:
        """Return the batch of all processes, with the values of the policy that sampled it, as far as they are needed.

        Args:
            batch: The batch.
            needs: What the algorithm needs.
            of_step: Whether it computes credit at every optimiser step, which compares with the old policy.
            prompts: Prompts of this process.
            completion_ids_N: Tokens of this process's responses.
        """
        if of_step or needs & {"old_logprobs", "entropy"}:
            found = self._run_policy([self._lay_out(prompts, completion_ids_N)], entropies="entropy" in needs)
            self._old_seq_logprobs_N = found.seq_logprobs_N
            batch = replace(batch, old_seq_logprobs_N=found.seq_logprobs_N, entropies_N=found.entropies_N)
        right_by_group = batch.right_N.view(-1, self.num_generations).tolist()
        if "divergence" in needs:

            def divergences(index: int, prompt_ids: list[int], completions_G: list[list[int]]) -> list[torch.Tensor]:
                found_T = group_divergence(
                    self.model, prompt_ids=prompt_ids, completions_G=completions_G, temperature=self.temperature
                )
                return [found_T] * len(completions_G)

            found_N = self._of_groups(prompts, completion_ids_N, divergences, which=range(len(right_by_group)))
            batch = replace(batch, divergences_N=found_N)
        if "influence" in needs:

            def influences(index: int, prompt_ids: list[int], completions_G: list[list[int]]) -> list[torch.Tensor]:
                return group_influences(
                    self.model,
                    prompt_ids=prompt_ids,
                    completions_G=completions_G,
                    is_right_G=right_by_group[index],
                    temperature=self.temperature,
                )

            mixed = [index for index, right_G in enumerate(right_by_group) if any(right_G) and not all(right_G)]
            batch = replace(batch, influences_N=self._of_groups(prompts, completion_ids_N, influences, which=mixed))
        return batch

    def _of_groups(
        self,
        prompts: list[Any],
        completion_ids_N: Sequence[list[int]],
        compute: Callable[[int, list[int], list[list[int]]], list[torch.Tensor]],
        *,
        which: Sequence[int],
    ) -> tuple[torch.Tensor, ...]:
        """Return values computed over whole groups, by row of the batch of all processes; empty for all other groups.

        Groups span processes, so they are distributed. A sharded policy waits for every process: all make as many
        passes.
        """
        pairs = gather_object(list(zip(self._tokenize_prompts(prompts)[0], completion_ids_N, strict=True)))
        size, n_processes, mine = self.num_generations, self.accelerator.num_processes, []
        for turn in range(-(-len(which) // n_processes)):
            index = which[min(turn * n_processes + self.accelerator.process_index, len(which) - 1)]
            members = pairs[index * size : (index + 1) * size]
            mine.append((index, compute(index, members[0][0], [ids for _, ids in members])))
        found = dict(gather_object(mine))
        rows = (found.get(index, [torch.zeros(0)] * size) for index in range(len(pairs) // size))
        return tuple(values_T for values_G in rows for values_T in values_G)

    def _local_rows(self, n_local: int) -> slice:
        start = self.accelerator.process_index * n_local
        return slice(start, start + n_local)

    @torch.no_grad()
    def _run_policy(self, batches: Sequence[Mapping[str, Any]], *, entropies: bool = False) -> PolicyRun:
        """Run the current policy on responses, each process on its own; every process gets all values, by row."""
        rows, sums, own = [], [], list[torch.Tensor]()
        for batch in batches:
            mask = batch["completion_mask"]
            logprobs, entropies_BT, _ = self._get_per_token_logps_and_entropies(
                self.model,
                torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1),
                torch.cat([batch["prompt_mask"], mask], dim=1),
                mask.size(1),
                batch_size=self.args.per_device_train_batch_size,
                compute_entropy=entropies,
            )
            rows.append(batch["row_N"])
            sums.append((logprobs * mask).sum(dim=1).double())
            if entropies:
                own += [values_T[: int(n)].cpu() for values_T, n in zip(entropies_BT, mask.sum(dim=1), strict=True)]
        rows_N, sums_N = gather(torch.cat(rows)), gather(torch.cat(sums))
        by_row = torch.argsort(rows_N)
        all_entropies = gather_object(own) if entropies else []
        return PolicyRun(sums_N[by_row], tuple(all_entropies[row] for row in by_row.tolist()) if entropies else None)

    def _lay_out(self, prompts: list[Any], completion_ids_N: Sequence[list[int]]) -> dict[str, torch.Tensor]:
        """Lay out this process's responses as TRL does once it has their rewards, for the policy to run on them."""
        device, local = self.accelerator.device, self._local_rows(len(prompts))
        laid = {"row_N": torch.arange(local.start, local.stop, device=device)}
        prompt_ids_N = self._tokenize_prompts(prompts)[0]
        for name, ids_N, side in (("prompt", prompt_ids_N, "left"), ("completion", completion_ids_N, "right")):
            rows = [torch.tensor(ids, device=device) for ids in ids_N]
            pad_id = self.processing_class.pad_token_id
            laid[f"{name}_ids"] = pad_sequence(rows, batch_first=True, padding_value=pad_id, padding_side=side)
            laid[f"{name}_mask"] = pad_sequence(list(map(torch.ones_like, rows)), batch_first=True, padding_side=side)
        return laid
