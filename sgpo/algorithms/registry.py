"""All algorithms by name, and the configuration field that holds one of them."""

from __future__ import annotations

import logging
from typing import Annotated, Any

from pydantic import BeforeValidator, SerializeAsAny

from judgekit.config import BaseConfig, OneOf, parse_config
from judgekit.errors import ConfigError, shorten
from judgekit.extensions import Registry
from sgpo.algorithms.base import Algorithm

logger = logging.getLogger(__name__)

ALGORITHMS: Registry[type[Algorithm]] = Registry(
    "sgpo.algorithms",
    noun="algorithm",
    of=Algorithm,
    own={
        "grpo": "sgpo.algorithms.grpo:GRPO",
        "sgpo": "sgpo.algorithms.sgpo:SGPO",
        "random_rts": "sgpo.algorithms.random_rts:RandomRTS",
        "vppo": "sgpo.algorithms.vppo:VPPO",
        "dr_grpo": "sgpo.algorithms.dr_grpo:DrGRPO",
        "dapo": "sgpo.algorithms.dapo:DAPO",
        "srpo": "sgpo.algorithms.srpo:SRPO",
        "tw_grpo": "sgpo.algorithms.tw_grpo:TWGRPO",
        "nthr": "sgpo.algorithms.nthr:NTHR",
        "igrpo": "sgpo.algorithms.igrpo:IGRPO",
        "group_robust": "sgpo.algorithms.group_robust:GroupRobust",
        "gpg": "sgpo.algorithms.gpg:GPG",
        "raft": "sgpo.algorithms.raft:RAFT",
        "reinforce_rej": "sgpo.algorithms.raft:ReinforceRej",
        "ngrpo": "sgpo.algorithms.ngrpo:NGRPO",
        "rl_zvp": "sgpo.algorithms.rl_zvp:RLZVP",
        "unlikeliness": "sgpo.algorithms.unlikeliness:Unlikeliness",
        "disco_scaling": "sgpo.algorithms.disco_scaling:DISCOScaling",
        "disco": "sgpo.algorithms.disco:DisCO",
        "rebel": "sgpo.algorithms.rebel:REBEL",
        "multi_objective": "sgpo.algorithms.objectives:MultiObjective",
        "gdpo": "sgpo.algorithms.objectives:GDPO",
    },
)
"""Algorithms by `type`; packages add theirs with entry points `sgpo.algorithms`."""


def parse_algorithm(value: Any) -> Any:
    """Return the algorithm that `{type: NAME, ...}` describes.

    Raises:
        ConfigError: there is no algorithm of that name, or it has no such option; the message names the nearest.
    """
    if isinstance(value, Algorithm) or not isinstance(value, dict):
        return value
    if not isinstance(value.get("type"), str):
        raise ConfigError(
            f"an algorithm is given as {{type: NAME, ...}}, not {shorten(value)}: {', '.join(ALGORITHMS.names())}"
        )
    return parse_config(ALGORITHMS.load(value["type"]), value, where="algorithm")


def _choices() -> list[type[BaseConfig]]:
    found = ALGORITHMS.load_all().values()
    for error in (item for item in found if isinstance(item, ConfigError)):
        logger.warning("%s", error)  # and help of the others goes on
    return [item for item in found if not isinstance(item, ConfigError)]


AlgorithmConfig = Annotated[SerializeAsAny[Algorithm], BeforeValidator(parse_algorithm), OneOf(_choices)]
"""One of the algorithms, by `type`."""
