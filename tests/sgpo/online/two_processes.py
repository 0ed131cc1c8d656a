"""One rank of the two-process test: trains, then writes what it saw. Run by torchrun: POLICY OUTPUT."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from sgpo.algorithms.sgpo import SGPO
from sgpo.guards import GuardsConfig
from tests.sgpo.samples import SEGMENTATION, HashJudge, make_trainer

UNSCORED_EVERY = 5


def main(policy: Path, output: Path) -> None:
    judge = HashJudge(unscored_every=UNSCORED_EVERY)
    trainer = make_trainer(
        policy,
        output / "run",
        judge=judge,
        algorithm=SGPO(truncated="judge"),
        segmentation=SEGMENTATION,
        guards=GuardsConfig(judge_auc=None),
        args_per_device_train_batch_size=2,
        args_gradient_accumulation_steps=3,
        args_ddp_backend="gloo",
    )
    trainer.train()
    rank = trainer.accelerator.process_index
    weights = [parameter.sum().item() for parameter in trainer.accelerator.unwrap_model(trainer.model).parameters()]
    seen = [[solution.problem, *solution.steps] for solution in judge.seen]
    found = {"batches": trainer.batches, "judged": seen, "weights": weights, "log": trainer.state.log_history}
    (output / f"rank{rank}.json").write_text(json.dumps(found))
    os._exit(0)  # threads of the process group can bring the interpreter down while it ends, and all is written


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
