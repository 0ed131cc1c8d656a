"""Problems whose order depends on results: what an algorithm remembers, what comes next, and batches that are refilled.

TRL's sampler lays its order down beforehand. Where the algorithm drops problems or samples more of them, the trainer's
data loader is only the clock, and `Prompts` says which problems a batch is made of, the same on every process. Its
state is saved with the checkpoint.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from accelerate.utils import gather, gather_object
from torch.nn.utils.rnn import pad_sequence
from transformers import TrainerCallback

from judgekit.text.prompts import completion_text
from sgpo.algorithms.base import Algorithm

STATE = "sgpo_prompts"
"""Where a checkpoint's `trainer_state.json` keeps it, among `stateful_callbacks`."""


def shown_text(value: Any) -> str | None:
    """Return what a judge is shown of a column: a text or number as text, of a conversation what its user says.

    Example:
        >>> shown_text([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+3?"}])
        '2+3?'
    """
    if isinstance(value, list):
        return completion_text([message for message in value if message.get("role") == "user"])
    return None if value is None else str(value)


class Prompts:
    """One seeded permutation of the problems after another, less those that the algorithm does not want.

    Args:
        problem_ids: Id of each problem.
        algorithm: Says what is remembered of a batch, and which problems are wanted by that.
        seed: Another seed is another order.
    """

    def __init__(self, problem_ids: Sequence[str], *, algorithm: Algorithm, seed: int) -> None:
        self.problem_ids = problem_ids
        self.algorithm = algorithm
        self.seed = seed
        self.memory: dict[str, float] = {}
        """What the algorithm remembers."""
        self._left: list[int] = []
        self._n_passes = 0

    @property
    def in_charge(self) -> bool:
        """Whether they take the place of the data loader's order."""
        return self.algorithm.n_refills > 0 or type(self.algorithm).wants is not Algorithm.wants

    def take(self, n: int) -> list[int]:
        """Return the next problems by index. When nothing is wanted any more, everything is. Shape (n,)."""
        taken: list[int] = []
        while len(taken) < n:
            if not self._left:
                everything = range(len(self.problem_ids))
                wanted = [i for i in everything if self.algorithm.wants(self.memory, self.problem_ids[i])]
                order = wanted or list(everything)
                self._left = random.Random(f"{self.seed}:{self._n_passes}").sample(order, len(order))
                self._n_passes += 1
            taken.append(self._left.pop(0))
        return taken

    def state(self) -> dict[str, Any]:
        """Return what a resumed run has to know, for JSON."""
        return {"memory": self.memory, "left": self._left, "n_passes": self._n_passes}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.memory, self._left, self._n_passes = dict(state["memory"]), list(state["left"]), state["n_passes"]


class PromptsCallback(TrainerCallback):
    """Keeps the state of `Prompts` where checkpoints hold it."""

    def __init__(self, prompts: Prompts) -> None:
        self.prompts = prompts

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Go on from a checkpoint."""
        if STATE in state.stateful_callbacks:
            self.prompts.restore(state.stateful_callbacks[STATE]["attributes"])

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Put down what a checkpoint of this step has to hold."""
        state.stateful_callbacks[STATE] = {"args": {}, "attributes": self.prompts.state()}


def split_rows(output: Mapping[str, Any]) -> list[dict[str, torch.Tensor]]:
    """Return the rows of a batch as TRL lays it out, each without its padding, on the CPU."""
    n_rows = len(output["advantages"])
    by_row = {name: value for name, value in output.items() if torch.is_tensor(value) and value.dim() and n_rows}
    rows = []
    for index in range(n_rows):
        row = {}
        for name, value in by_row.items():
            mask = output["prompt_mask" if name.startswith("prompt") else "completion_mask"]
            item, n_tokens = value[index].cpu(), int(mask[index].sum())
            if value.dim() > 1 and value.size(1) == mask.size(1):
                item = item[len(item) - n_tokens :] if name.startswith("prompt") else item[:n_tokens]
            row[name] = item
        rows.append(row)
    return rows


def fill_up(
    output: Mapping[str, Any],
    *,
    sample: Callable[[], Mapping[str, Any]],
    n_groups: int,
    group_size: int,
    n_refills: int,
) -> tuple[list[dict[str, torch.Tensor]], int]:
    """Return the rows of a batch of all processes in which groups without any advantage gave way, and the samplings.

    Args:
        output: The batch as it was sampled, this process's rows.
        sample: Samples another one.
        n_groups: Groups of the batch. What is lacking in the end is filled with groups without an advantage.
        group_size: Responses of a group; they are neighbours over all processes.
        n_refills: How often it is sampled at most.
    """
    live: list[list[dict[str, torch.Tensor]]] = []
    dead: list[list[dict[str, torch.Tensor]]] = []
    n_rounds = 0
    while True:
        rows = gather_object(split_rows(output))
        for start in range(0, len(rows), group_size):
            group = rows[start : start + group_size]
            (live if any(row["advantages"].any() for row in group) else dead).append(group)
        if len(live) >= n_groups or n_rounds == n_refills:
            return [row for group in (live + dead)[:n_groups] for row in group], n_rounds
        n_rounds, output = n_rounds + 1, sample()


def join_rows(rows: Sequence[Mapping[str, torch.Tensor]], output: Mapping[str, Any], *, pad_id: int) -> dict[str, Any]:
    """Return a batch of rows as TRL lays it out; what is of no row stays as it is in `output`."""
    joined = dict(output)
    for name in rows[0]:
        items = [row[name] for row in rows]
        if items[0].dim():
            side = "left" if name.startswith("prompt") else "right"
            padding = pad_id if name.endswith("_ids") else 0
            value = pad_sequence(items, batch_first=True, padding_value=padding, padding_side=side)
        else:
            value = torch.stack(items)
        joined[name] = value.to(output[name].device)
    joined["num_items_in_batch"] = gather(joined["completion_mask"].sum()).sum()
    return joined
