"""After how many updates the guards switch off the quick start's random judge, and whether they spare its trained one.

Needs the folder that `make quickstart` leaves, up to its policy. For every seed the quick start's SGPO run with the
trained judge begins anew; the random judge is asked about the same responses, and guards of its own look at what it
says, so that one run serves both. What the trained judge trains is therefore what both are measured on.

    python benchmarks/guards_quickstart.py runs/quickstart --seeds 10 --updates 12
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from judgekit.answers import build_outcome
from judgekit.config import load_config
from judgekit.judges import load_judge
from sgpo.algorithms.base import Response, Scored
from sgpo.compare.config import CompareConfig
from sgpo.guards import Firing, JudgeAUC, Known, Observation
from sgpo.online import run as online_run
from sgpo.online.config import OnlineConfig
from sgpo.online.trainer import SGPOTrainer
from sgpo.watch import Guards

CONFIG = Path(__file__).parents[1] / "configs" / "quickstart" / "compare.yaml"


class Overheard(SGPOTrainer):
    """Asks a second judge what the first one is asked, and lets guards look at its answers, which train nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.second = load_judge("builtin:random")
        self.second_guards = Guards(self.guards.config, asks_judge=True, seed=self.guards.seed)
        self.seen: list[tuple[Observation, Observation]] = []

    def _score_pooled(self, local: list[tuple[int, Response]]) -> list[Scored]:
        self._said = self.algorithm.score([response for _, response in local], judge=self.second)
        return super()._score_pooled(local)

    def _calculate_rewards(self, *args: Any) -> torch.Tensor:
        rewards_NF: torch.Tensor = super()._calculate_rewards(*args)
        first = self.guards.latest
        said = [scored for scored in self._said if scored.judged and scored.p_no_error is not None]
        known = tuple(
            Known(item.group, item.right, scored.p_no_error or 0.0, scored.flawless)
            for item, scored in zip(first.known, said, strict=True)
        )
        second = Observation(step=first.step, n_judged=first.n_judged, known=known)
        self.second_guards.look(second)
        self.seen.append((first, second))
        return rewards_NF


def watch(config: OnlineConfig, folder: Path) -> list[dict[str, Any]]:
    """Run one seed and return what both judges' guards read after each update, and which fired."""
    check = build_outcome(config.outcome)
    online_run.SGPOTrainer = Overheard  # type: ignore[misc]
    trainer = online_run.build_trainer(config, folder, check=check)
    assert isinstance(trainer, Overheard)
    fired: dict[str, list[Firing]] = {"trained": [], "random": []}
    trainer.guards.listeners.append(fired["trained"].append)
    trainer.second_guards.listeners.append(fired["random"].append)
    trainer.train()
    check.close()
    rows = []
    for judge, column in zip(fired, zip(*trainer.seen, strict=True), strict=True):
        reading = JudgeAUC(window=config.max_steps).read(column)
        off = [firing.step for firing in fired[judge] if firing.guard == "judge_auc"]
        rows.append(
            {
                "seed": config.seed,
                "judge": judge,
                "off_at": off[0] if off else None,
                "fired": [str(firing) for firing in fired[judge]],
                "at_the_end": reading and reading.what,
                "asked": sum(item.n_judged for item in column),
                "right_asked": sum(known.right for item in column for known in item.known),
            }
        )
    return rows


def main() -> None:
    """Print a line a seed and judge, and at the end how many were switched off and when."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("quickstart", type=Path, help="the quick start's folder")
    parser.add_argument("--seeds", type=int, default=10, help="how many runs")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--updates", type=int, default=12, help="updates of each run")
    args = parser.parse_args()
    arm = load_config(CompareConfig, CONFIG).arm_config("sgpo", seed=0).model_dump(mode="json")
    arm = json.loads(json.dumps(arm).replace("runs/quickstart", str(args.quickstart)))
    found = []
    for seed in range(args.first, args.first + args.seeds):
        # A warning, not switched off: training goes on with the trained judge, so that both are asked all along.
        changes: dict[str, Any] = {"guards": {"judge_auc": {"action": "warn"}}}
        changes |= {"seed": seed, "max_steps": args.updates, "eval": None, "save_every": None, "threads": 1}
        config = OnlineConfig.model_validate(arm | changes)
        rows = watch(config, args.quickstart / "guards" / str(seed))
        found += rows
        for row in rows:
            print(json.dumps(row), flush=True)
    for judge in ("trained", "random"):
        off = [row["off_at"] for row in found if row["judge"] == judge]
        at = sorted(step for step in off if step is not None)
        print(f"{judge}: switched off in {len(at)} of {len(off)} runs, after updates {at}")


if __name__ == "__main__":
    main()
