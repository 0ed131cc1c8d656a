"""What the online trainer relies on, checked before it does: TRL's methods, and that the outcome is one."""

from __future__ import annotations

import inspect
import logging

import torch
import trl
from trl import GRPOTrainer

from judgekit.errors import ConfigError
from sgpo.rewards import is_correct

logger = logging.getLogger(__name__)

_CONTRACT = {
    "_calculate_rewards": ["self", "inputs", "prompts", "completions", "completion_ids_list"],
    "_compute_loss": ["self", "model", "inputs"],
    "_generate_and_score_completions": ["self", "inputs"],
    "_log_metric": ["self", "name", "value"],
    "_tokenize_prompts": ["self", "prompts"],
}


def check_trl_contract(trainer_type: type = GRPOTrainer) -> None:
    """Check that the installed TRL has the methods that SGPO extends.

    Raises:
        ConfigError: one is missing or takes other arguments.
    """
    for name, wanted in _CONTRACT.items():
        method = getattr(trainer_type, name, None)
        found = list(inspect.signature(method).parameters) if callable(method) else None
        if found != wanted:
            state = f"has {name}({', '.join(found)})" if found else f"has no {name}"
            raise ConfigError(
                f"{trainer_type.__name__} of trl {trl.__version__} {state}, where SGPO needs "
                f"{name}({', '.join(wanted)}): install trl>=1.16,<1.17"
            )


def check_outcomes(outcomes_N: torch.Tensor, *, name: str) -> bool:
    """Check that rewards are outcomes; returns whether they were suspicious, which is then logged.

    Which group is all wrong is decided on them, so a format reward in their place would switch guidance off silently.

    Args:
        outcomes_N: Rewards of the function that is taken for the outcome, NaN where unknown. Shape (N,).
        name: Its name.

    Raises:
        ConfigError: one lies outside [0, 1].
    """
    outside_N = (outcomes_N < 0) | (outcomes_N > 1)
    if outside_N.any():
        raise ConfigError(
            f"the reward function {name} gave {outcomes_N[outside_N][0].item():g}, and an outcome lies in 0..1 (1 is "
            "right). Name the function that checks the answer with outcome=NAME, or map its values"
        )
    partly_N = (outcomes_N > 0) & ~is_correct(outcomes_N)
    if partly_N.any():
        logger.warning(
            "the outcome %s gave %g, which counts as wrong, as all up to 0.5 does: map what is right to 1",
            name,
            outcomes_N[partly_N].max().item(),
        )
    return bool(partly_N.any())
