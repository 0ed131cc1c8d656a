"""Reads the input of offline training: our own groups, or plain rows of prompt, response and reward.

Plain rows come from other tools: TRL (`prompt`, `completion`, also as conversations), verl (`prompt` as messages,
`response`, `score`, `uid`) or stored output of vLLM (`prompt`, `responses` and `rewards` as lists, `finish_reason`,
`token_ids`, `logprobs`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from transformers import PreTrainedTokenizerBase

from judgekit.errors import DataError, boundary, shorten
from judgekit.groups import RolloutGroup, build_groups
from judgekit.io import parse_record, shard_paths
from judgekit.reading.rows import read_rows
from judgekit.text.identity import content_id
from judgekit.text.prompts import completion_text, render_text
from judgekit.text.segmentation import segment
from judgekit.types import Rollout
from sgpo.offline.config import COLUMNS, Column, OfflineConfig


class GroupsFile(NamedTuple):
    """The groups of a file, and what was left out."""

    groups: list[RolloutGroup]
    """Groups of at least two responses, in the order of their first row."""
    left_out: dict[str, int]
    """`no_outcome`: responses with an unknown outcome; `single`: groups with only one response left."""


def load_offline_groups(config: OfflineConfig, tokenizer: PreTrainedTokenizerBase | None) -> GroupsFile:
    """Read the groups file of a configuration. Our own rows have steps; plain ones are split by `segmentation`.

    Args:
        config: The configuration.
        tokenizer: Renders prompts that are conversations; `None` joins their messages with line breaks.

    Raises:
        DataError: a row is not valid, the rows of a group differ in problem or prompt, or no group is left.
    """
    rollouts, n_unknown = [], 0
    counts: Counter[str] = Counter()  # responses so far, by group id
    for file in shard_paths(config.groups):
        for number, row in read_rows(file):
            where = f"{file}, row {number}"
            if isinstance(row, str):
                raise DataError(f"{where}: {row}")
            with boundary(DataError, where):  # columns may hold anything
                found = [row] if "step_start" in row else [*_as_rollouts(row, config, tokenizer, counts, where=where)]
            for values in found:
                if not config.show_reference:
                    values = values | {"answer": None}
                if values.get("outcome") is None:
                    n_unknown += 1
                else:
                    rollouts.append(parse_record(values, Rollout, where=where))
    groups = build_groups(rollouts, where=str(config.groups), min_size=1, correct_above=config.correct_above)
    kept = [group for group in groups if len(group) > 1]
    if not kept:
        raise DataError(
            f"{config.groups} has no group of two responses with a known outcome ({len(groups)} of one response, "
            f"{n_unknown} responses without outcome), and a single response cannot be compared. Sample more "
            "responses per prompt, and give them the same group_id"
        )
    return GroupsFile(kept, {"no_outcome": n_unknown, "single": len(groups) - len(kept)})


def _as_rollouts(
    row: Mapping[str, Any],
    config: OfflineConfig,
    tokenizer: PreTrainedTokenizerBase | None,
    counts: Counter[str],
    *,
    where: str,
) -> Iterator[dict[str, Any]]:
    """Yield the fields of a `Rollout` for each response of a plain row."""

    def value(column: Column) -> Any:
        names = [config.columns[column]] if column in config.columns else COLUMNS[column]
        return next((row[name] for name in names if row.get(name) is not None), None)

    def required(column: Column) -> Any:
        if (found := value(column)) is None:
            names = config.columns.get(column) or " or ".join(COLUMNS[column])
            raise DataError(
                f"{where} has no {column} (column {names}), only {shorten(sorted(row))}. Name it with "
                f"columns.{column}=NAME"
            )
        return found

    prompt, responses = required("prompt"), required("response")
    if isinstance(prompt, str):
        text = prompt
    else:
        turns = [_message(turn) for turn in prompt]
        text = "\n".join(turn["content"] for turn in turns) if tokenizer is None else render_text(tokenizer, turns)
    problem = value("problem")
    if problem is None:  # the user's last message
        said = [turn for turn in ([] if isinstance(prompt, str) else prompt) if turn["role"] == "user"]
        problem = completion_text(said[-1:]) or text
    group = value("group")
    group = content_id(prompt=text) if group is None else str(group)
    rewards = value("reward")
    many = isinstance(responses, list) and not all(isinstance(item, Mapping) for item in responses)
    columns: tuple[Column, ...] = ("truncated", "token_ids", "logprobs")
    truncated, ids, logprobs = (value(column) for column in columns)
    if many and (not isinstance(rewards, list) or len(responses) != len(rewards)):
        raise DataError(f"{where}: {len(responses)} responses and rewards {shorten(rewards)}: give one for each")
    for index, response in enumerate(responses if many else [responses]):
        reward = rewards[index] if many else rewards
        if reward is not None and (not isinstance(reward, int | float) or not 0 <= reward <= 1):
            if isinstance(reward, float) and math.isnan(reward):
                reward = None
            else:
                raise DataError(
                    f"{where}: the reward is {reward!r}, but an outcome must be in 0..1 (1 is correct): rescale it"
                )
        own_truncated, own_ids, own_logprobs = (
            item[index] if many and isinstance(item, list) else item for item in (truncated, ids, logprobs)
        )
        response = completion_text(response)
        spans = segment(response, config.segmentation)
        yield {
            "group_id": group,
            "sample": counts[group],
            "problem": problem,
            "prompt": text,
            "response": response,
            "steps": tuple(span.text for span in spans),
            "step_start": tuple(span.start for span in spans),
            "step_end": tuple(span.end for span in spans),
            "outcome": None if reward is None else float(reward),
            "answer": None if (answer := value("answer")) is None else str(answer),
            "truncated": own_truncated if own_truncated is None else own_truncated in (True, "length"),
            "behaviour_token_ids": own_ids,
            "behaviour_logprobs": own_logprobs,
            "source": str(value("source") or config.groups.stem),
        }
        counts[group] += 1


def _message(turn: Mapping[str, Any]) -> dict[str, str]:
    return {"role": turn["role"], "content": completion_text([turn])}
