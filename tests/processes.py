"""Scripts on two processes that share a group, as `torchrun` starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]


def run_on_two(
    script: str | Path | None, *arguments: str | Path, timeout: int = 300, accelerate: Path | None = None
) -> None:
    """Run a script in the repository on two processes with a thread each, and show what it said where it failed.

    With a configuration of `accelerate` it is started by `accelerate launch`.
    """
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    if accelerate is not None:
        launch = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(accelerate)]
    done = subprocess.run(
        [*launch, str(script), *map(str, arguments)],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stderr[-4000:]
