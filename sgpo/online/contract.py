"""What of TRL the online trainer extends, checked before it does."""

from __future__ import annotations

import inspect

import trl
from trl import GRPOTrainer

from judgekit.errors import ConfigError

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
