"""Checks what the online trainer relies on: TRL's methods, the needs of an algorithm, and the outcome."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Sequence

import torch
import trl
from trl import GRPOTrainer

from judgekit.errors import ConfigError
from judgekit.judges.base import Judge
from sgpo.algorithms.base import Algorithm, Need
from sgpo.algorithms.judged import Judged, certified_survival
from sgpo.config import GIVEN, ONLINE_ALONE

logger = logging.getLogger(__name__)

_OF_TOKENS: frozenset[Need] = frozenset(
    {"spans", "old_logprobs", "seq_logps", "entropy", "divergence", "influence", "drafts"}
)
_CONTRACT = {
    "_calculate_rewards": ["self", "inputs", "prompts", "completions", "completion_ids_list"],
    "_compute_loss": ["self", "model", "inputs"],
    "_generate": ["self", "prompts"],
    "_generate_and_score_completions": ["self", "inputs"],
    "_log_metric": ["self", "name", "value"],
    "_tokenize_prompts": ["self", "prompts"],
}


def check_trl_contract(trainer_type: type = GRPOTrainer) -> None:
    """Check that the installed TRL has the methods that SGPO extends.

    Raises:
        ConfigError: one is missing, or takes other arguments.
    """
    for name, wanted in _CONTRACT.items():
        method = getattr(trainer_type, name, None)
        found = list(inspect.signature(method).parameters) if callable(method) else None
        if found != wanted:
            state = f"has {name}({', '.join(found)})" if found else f"has no method {name}"
            raise ConfigError(
                f"{trainer_type.__name__} of trl {trl.__version__} {state}, but SGPO needs "
                f"{name}({', '.join(wanted)}): install trl>=1.16,<1.17"
            )


def check_algorithm(
    algorithm: Algorithm,
    *,
    judge: Judge | None,
    n_rewards: int,
    columns: Sequence[str] | None,
    importance_sampling_level: str,
    text_alone: bool,
) -> None:
    """Check that a trainer has what an algorithm needs, before anything is sampled.

    Args:
        algorithm: The algorithm.
        judge: The judge, if any.
        n_rewards: Number of reward functions.
        columns: Columns of the training data, `None` if a stream does not say.
        importance_sampling_level: TRL's option.
        text_alone: Whether responses are plain text, without images, tools or environments.

    Raises:
        ConfigError: something is missing, or the judge certifies nothing although certified prefixes are requested.
    """
    name, needs = algorithm.type, algorithm.needs
    if "judge" in needs and judge is None:
        raise ConfigError(f"the algorithm {name} needs a judge: give one, or use GRPO()")
    if "objectives" in needs and n_rewards < 2:
        raise ConfigError(f"the algorithm {name} needs reward functions besides the outcome: add one to reward_funcs")
    if "domain" in needs and columns is not None and "source" not in columns:
        raise ConfigError(
            f"the training data have no column 'source' for the domain of a problem, only {columns}: add it"
        )
    if lacking := needs - GIVEN[algorithm.when] - {"judge", "objectives"} - ONLINE_ALONE.keys():
        raise ConfigError(
            f"the algorithm {name} needs {', '.join(sorted(lacking))}, which online training does not provide at its "
            f"moment ({algorithm.when})"
        )
    if needs & _OF_TOKENS and not text_alone:
        raise ConfigError(
            f"the algorithm {name} needs {', '.join(sorted(needs & _OF_TOKENS))}, which responses with images, tools "
            "or environments do not have"
        )
    if algorithm.loss_rule is not None and importance_sampling_level != "token":
        raise ConfigError(
            f"the algorithm {name} defines how the losses of tokens are averaged and clipped, but "
            f"importance_sampling_level={importance_sampling_level} uses one ratio per response: set it to token"
        )
    if judge is not None and isinstance(algorithm, Judged) and algorithm.rts.type == "certified":
        certified_survival(judge)


def find_outcome(names: Sequence[str], outcome: object, *, is_required: bool) -> int | None:
    """Return the position of the outcome among the reward functions; `None` if none is named and none is needed.

    Args:
        names: Names of the reward functions.
        outcome: The outcome, by name or position; `None`: the only reward function.
        is_required: Whether anything depends on it.

    Raises:
        ConfigError: there are several and none is named, or the name fits none or several.
    """
    if outcome is None and len(names) == 1:
        return 0
    if outcome is None and not is_required:
        return None
    known = f"reward functions: {', '.join(f'{name} ({index})' for index, name in enumerate(names))}"
    if outcome is None:
        raise ConfigError(f"which reward function is the outcome (1 for a correct answer)? Set outcome=NAME. {known}")
    if isinstance(outcome, int) and not isinstance(outcome, bool) and 0 <= outcome < len(names):
        return outcome
    if isinstance(outcome, str) and names.count(outcome) == 1:
        return names.index(outcome)
    raise ConfigError(f"outcome={outcome!r} does not name exactly one reward function. {known}")


def check_outcomes(outcomes_N: torch.Tensor, *, name: str, correct_above: float) -> bool:
    """Check that rewards are outcomes; returns whether they were suspicious, which is then logged.

    All-wrong groups are found from them, so a format reward in their place would silently switch guidance off.

    Args:
        outcomes_N: Values of the reward function that is the outcome, NaN if unknown. Shape (N,).
        name: Its name.
        correct_above: Outcomes above this are correct.

    Raises:
        ConfigError: one is outside [0, 1].
    """
    outside_N = (outcomes_N < 0) | (outcomes_N > 1)
    if outside_N.any():
        raise ConfigError(
            f"the reward function {name} gave {outcomes_N[outside_N][0].item():g}, but an outcome must be in 0..1 (1 "
            "is correct). Name the function that checks the answer with outcome=NAME, or rescale its values"
        )
    partly_N = (outcomes_N > 0) & (outcomes_N <= correct_above)
    if partly_N.any():
        logger.warning(
            "the outcome %s gave %g, which counts as wrong, like everything up to %g: map correct answers to 1, or "
            "lower correct_above",
            name,
            outcomes_N[partly_N].max().item(),
            correct_above,
        )
    return bool(partly_N.any())
