"""Problems whose order depends on results: the algorithm's memory, the next problems, and refilled batches.

TRL's sampler fixes its order in advance. If the algorithm drops or resamples problems, the trainer's data loader only
sets the pace, and `Prompts` decides which problems a batch consists of, the same on every process. Its state is saved
with the checkpoint.
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
"""Key in a checkpoint's `trainer_state.json`, among `stateful_callbacks`."""


def shown_text(value: Any) -> str | None:
    r"""Return what a judge sees of a column: a text or number as text, a conversation as its user's messages.

    Example:
        >>> shown_text([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+3?"}])
        '2+3?'
        >>> shown_text([{"role": "user", "content": "2+3?"}, {"role": "user", "content": "And 4?"}])
        '2+3?\n\nAnd 4?'
        >>> shown_text([5, "five"])  # answers that are all correct
        '5, five'
    """
    if isinstance(value, list) and all(isinstance(message, Mapping) for message in value):
        said = [completion_text([message]) for message in value if message.get("role") == "user"]
        return "\n\n".join(filter(None, said))
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return None if value is None else str(value)


class Prompts:
    """One seeded permutation of the problems after another, without those that the algorithm does not want.

    Args:
        problem_ids: Id of each problem.
        algorithm: Decides what to remember of a batch, and which problems are still wanted.
        seed: Seed of the order.
    """

    def __init__(self, problem_ids: Sequence[str], *, algorithm: Algorithm, seed: int) -> None:
        self.problem_ids = problem_ids
        self.algorithm = algorithm
        self.seed = seed
        self.memory: dict[str, float] = {}
        """The algorithm's memory."""
        self._left: list[int] = []
        self._n_passes = 0

    @property
    def in_charge(self) -> bool:
        """Whether they replace the data loader's order."""
        return self.algorithm.n_refills > 0 or type(self.algorithm).wants is not Algorithm.wants

    def take(self, n: int) -> list[int]:
        """Return the indices of the next problems. If none is wanted any more, all are. Shape (n,)."""
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
        """Return the state that a resumed run needs, for JSON."""
        return {"memory": self.memory, "left": self._left, "n_passes": self._n_passes}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a state."""
        self.memory, self._left, self._n_passes = dict(state["memory"]), list(state["left"]), state["n_passes"]


class PromptsCallback(TrainerCallback):
    """Keeps the state of `Prompts` in the checkpoints."""

    def __init__(self, prompts: Prompts) -> None:
        self.prompts = prompts

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Continue from a checkpoint."""
        if STATE in state.stateful_callbacks:
            self.prompts.restore(state.stateful_callbacks[STATE]["attributes"])

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Store what a checkpoint of this step must hold."""
        state.stateful_callbacks[STATE] = {"args": {}, "attributes": self.prompts.state()}


def split_rows(output: Mapping[str, Any]) -> list[dict[str, torch.Tensor]]:
    """Return the rows of a batch in TRL's layout, each without its padding, on the CPU."""
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
    """Return a batch of all processes whose groups without any advantage were replaced, and the number of samplings.

    Args:
        output: The sampled batch, this process's rows.
        sample: Samples another one.
        n_groups: Groups per batch. Remaining places are filled with groups without an advantage.
        group_size: Responses per group, contiguous over all processes.
        n_refills: Maximum number of further samplings.
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
    """Return a batch of rows in TRL's layout; entries of `output` that have no rows are kept."""
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
