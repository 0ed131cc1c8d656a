"""Group-robust weights: domains in which the policy does worst weigh more, and increasingly so.

Source:
    Group Robust Preference Optimization (2405.20304): the weights of groups of data are updated by exponentiated
    gradient, q <- q exp(eta loss), and normalised. The paper uses a preference loss; we use the fraction of wrong
    responses of a domain in a batch, with GRPO's advantages times the weight, whose mean over domains is 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from sgpo.algorithms.base import Algorithm, GroupBatch, Need, Scale

if TYPE_CHECKING:
    import torch


class GroupRobust(Algorithm):
    """GRPO times a weight for the domain, which follows its fraction of wrong responses."""

    type: Literal["group_robust"] = "group_robust"
    """Name of the algorithm."""
    eta: float = Field(default=0.1, gt=0)
    """Step size of the weights: a domain that is all wrong gains this much, in log weight, on one that is all
    correct."""

    needs: ClassVar[frozenset[Need]] = frozenset({"domain", "history"})

    def remember(self, memory: Mapping[str, float], batch: GroupBatch) -> dict[str, float]:
        """Return the weights after a batch, by domain, with mean 1; a new domain starts at 1."""
        assert batch.domains_N is not None
        weights = dict(memory)
        outcomes = zip(batch.domains_N, batch.outcomes_N.tolist(), batch.right_N.tolist(), strict=True)
        wrong: dict[str, list[bool]] = {}
        for domain, outcome, right in outcomes:
            if not math.isnan(outcome):
                wrong.setdefault(domain, []).append(not right)
        for domain, found in wrong.items():
            weights[domain] = weights.get(domain, 1.0) * math.exp(self.eta * sum(found) / len(found))
        mean = sum(weights.values()) / max(len(weights), 1)
        return {domain: weight / mean for domain, weight in weights.items()}

    def credit(
        self, rewards_N: torch.Tensor, *, batch: GroupBatch, std_floor_N: torch.Tensor, scale: Scale
    ) -> torch.Tensor:
        """Return GRPO's advantages times the weights. Shape (N,)."""
        from sgpo.rewards import compute_advantages  # needs torch

        assert batch.domains_N is not None
        weights_N = rewards_N.new_tensor([batch.memory.get(domain, 1.0) for domain in batch.domains_N])
        return weights_N * compute_advantages(rewards_N, group_ids_N=batch.group_ids_N, scale=scale)
