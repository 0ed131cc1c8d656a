"""The `sgpo` command with FSDP on CPUs: accelerate shards on accelerators alone, and is told that these are some."""

from __future__ import annotations

from typing import Any

from accelerate import PartialState
from accelerate.utils import DistributedType, parse_flag_from_env

from sgpo.cli import main

begin = PartialState.__init__


def begin_sharded(self: PartialState, *args: Any, **options: Any) -> None:
    begin(self, *args, **options)
    if self.distributed_type == DistributedType.MULTI_CPU and parse_flag_from_env("ACCELERATE_USE_FSDP"):
        PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU


PartialState.__init__ = begin_sharded  # type: ignore[method-assign]

if __name__ == "__main__":
    raise SystemExit(main())
