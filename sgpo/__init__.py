"""SGPO training with any judge: offline on stored groups, online while sampling, alongside its baselines.

`SGPOTrainer` is TRL's `GRPOTrainer` with a judge. `SGPOMixin` adds the same to a trainer of your own. An algorithm,
such as `SGPO`, turns outcomes and judgements into advantages. Each name is imported when it is first used.
"""

from typing import TYPE_CHECKING

from judgekit.extensions import lazily
from judgekit.version import VERSION

__version__ = VERSION
_EXPORTS = {
    "DAPO": "sgpo.algorithms.dapo:DAPO",
    "DISCOScaling": "sgpo.algorithms.disco_scaling:DISCOScaling",
    "DisCO": "sgpo.algorithms.disco:DisCO",
    "DrGRPO": "sgpo.algorithms.dr_grpo:DrGRPO",
    "GDPO": "sgpo.algorithms.objectives:GDPO",
    "GPG": "sgpo.algorithms.gpg:GPG",
    "GRPO": "sgpo.algorithms.grpo:GRPO",
    "GroupRobust": "sgpo.algorithms.group_robust:GroupRobust",
    "GuardsConfig": "sgpo.guards:GuardsConfig",
    "IGRPO": "sgpo.algorithms.igrpo:IGRPO",
    "MultiObjective": "sgpo.algorithms.objectives:MultiObjective",
    "NGRPO": "sgpo.algorithms.ngrpo:NGRPO",
    "NTHR": "sgpo.algorithms.nthr:NTHR",
    "RAFT": "sgpo.algorithms.raft:RAFT",
    "REBEL": "sgpo.algorithms.rebel:REBEL",
    "RLZVP": "sgpo.algorithms.rl_zvp:RLZVP",
    "RandomRTS": "sgpo.algorithms.random_rts:RandomRTS",
    "ReinforceRej": "sgpo.algorithms.raft:ReinforceRej",
    "SGPO": "sgpo.algorithms.sgpo:SGPO",
    "SGPOMixin": "sgpo.online.trainer:SGPOMixin",
    "SGPOTrainer": "sgpo.online.trainer:SGPOTrainer",
    "SRPO": "sgpo.algorithms.srpo:SRPO",
    "TWGRPO": "sgpo.algorithms.tw_grpo:TWGRPO",
    "Unlikeliness": "sgpo.algorithms.unlikeliness:Unlikeliness",
    "VPPO": "sgpo.algorithms.vppo:VPPO",
}
__all__ = [*_EXPORTS]

if TYPE_CHECKING:
    from sgpo.algorithms.dapo import DAPO as DAPO
    from sgpo.algorithms.disco import DisCO as DisCO
    from sgpo.algorithms.disco_scaling import DISCOScaling as DISCOScaling
    from sgpo.algorithms.dr_grpo import DrGRPO as DrGRPO
    from sgpo.algorithms.gpg import GPG as GPG
    from sgpo.algorithms.group_robust import GroupRobust as GroupRobust
    from sgpo.algorithms.grpo import GRPO as GRPO
    from sgpo.algorithms.igrpo import IGRPO as IGRPO
    from sgpo.algorithms.ngrpo import NGRPO as NGRPO
    from sgpo.algorithms.nthr import NTHR as NTHR
    from sgpo.algorithms.objectives import GDPO as GDPO
    from sgpo.algorithms.objectives import MultiObjective as MultiObjective
    from sgpo.algorithms.raft import RAFT as RAFT
    from sgpo.algorithms.raft import ReinforceRej as ReinforceRej
    from sgpo.algorithms.random_rts import RandomRTS as RandomRTS
    from sgpo.algorithms.rebel import REBEL as REBEL
    from sgpo.algorithms.rl_zvp import RLZVP as RLZVP
    from sgpo.algorithms.sgpo import SGPO as SGPO
    from sgpo.algorithms.srpo import SRPO as SRPO
    from sgpo.algorithms.tw_grpo import TWGRPO as TWGRPO
    from sgpo.algorithms.unlikeliness import Unlikeliness as Unlikeliness
    from sgpo.algorithms.vppo import VPPO as VPPO
    from sgpo.guards import GuardsConfig as GuardsConfig
    from sgpo.online.trainer import SGPOMixin as SGPOMixin
    from sgpo.online.trainer import SGPOTrainer as SGPOTrainer
else:
    __getattr__ = lazily(__name__, _EXPORTS)
