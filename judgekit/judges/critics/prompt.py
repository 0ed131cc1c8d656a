"""Prompts of critics: versioned YAML files with what a critic is shown, how it answers, and the source.

A judge stores the hash of the prompt it was measured with, and a file with another hash is refused. A changed wording
is a new file with the next number; the old one stays.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from judgekit.errors import CheckpointError, describe_validation_error, one_line, shorten
from judgekit.judges.critics.answer import AnswerFormat, NextToken
from judgekit.reading.safe_yaml import load_yaml
from judgekit.reading.texts import read_text
from judgekit.text.prompts import Message
from judgekit.types import Solution

BUILTIN_PROMPTS = Path(__file__).parent / "prompts"
CHAT_MARKUP = (
    "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>",
    "<|begin_of_text|>", "<|end_of_text|>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<s>", "</s>",
    "<start_of_turn>", "<end_of_turn>", "<think>", "</think>", "<|user|>", "<|assistant|>", "<|system|>",
    "<\uff5cUser\uff5c>", "<\uff5cAssistant\uff5c>", "<\uff5cend\u2581of\u2581sentence\uff5c>",
)  # fmt: skip
"""Turns and reserved tokens of widespread chat templates: a server does not tell which one it uses."""
_PLACEHOLDER = re.compile(r"\{(problem|reference|solution|previous|step|index)\}")


class CriticPrompt(BaseModel):
    """Contents of a prompt file.

    In `user`, `later_user` and `step`, placeholders are replaced: `{problem}`, `{reference}`, `{solution}` (all steps),
    `{previous}` (the steps before), `{step}` and `{index}` (its number); nothing else is special, and what is put in is
    not looked at again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(min_length=1)
    """Where layout and wording come from, and in what they differ from it."""
    layout: Literal["solution", "step", "turns"]
    """`solution`: one prompt shows the whole solution. `step`: one prompt a step. `turns`: one conversation, in which
    each step is a turn of the user and the critic sees its earlier answers."""
    system: str | None = None
    """System message; `null` leaves it to the chat template."""
    user: str
    """The user's message."""
    later_user: str | None = None
    """Layout `turns`: the user's message from the second step on."""
    step: str = "{step}"
    """How a step is written in `{solution}` and `{previous}`."""
    join: str = "\n"
    """What stands between steps."""
    no_previous: str = ""
    """What `{previous}` is for the first step."""
    first_index: Literal[0, 1] = 0
    """Number of the first step."""
    drop: str | None = None
    """Regular expression: what it matches is taken out of every step, and white space around the step as well."""
    begin: str = ""
    """How the critic's answer begins; may have `{index}`."""
    stop: tuple[str, ...] = ()
    """An answer ends before the first of these."""
    answer: AnswerFormat
    """How the answer is read."""
    reserved: tuple[str, ...] = ()
    """The prompt's tags and verdicts, broken up in candidates besides chat markup."""

    @model_validator(mode="after")
    def _fits_its_layout(self) -> Self:
        needed = {"solution": "{solution}", "step": "{step}", "turns": "{step}"}[self.layout]
        for placeholder in ("{problem}", needed):
            if placeholder not in self.user:
                raise ValueError(f"user has no {placeholder}: the critic would never see it")
        if (self.layout == "solution") == isinstance(self.answer, NextToken):
            raise ValueError(f"an answer of type {self.answer.type!r} does not fit the layout {self.layout!r}")
        if self.drop is not None:
            _compiled(self.drop)
        if (self.layout == "turns") != (self.later_user is not None):
            raise ValueError("later_user is for the layout 'turns', which needs it")
        return self

    @property
    def needs_reference(self) -> bool:
        """Whether the critic is shown the reference."""
        return "{reference}" in self.user

    def messages(self, solution: Solution, *, step: int = 0, earlier: Sequence[str] = ()) -> list[Message]:
        """Return the conversation in which the critic answers next.

        Args:
            solution: What is judged, neutralised.
            step: Layouts `step` and `turns`: the step asked about, 0-based.
            earlier: Layout `turns`: the critic's answers on the steps before.
        """
        system = [] if self.system is None else [{"role": "system", "content": self.system}]
        first = step if self.layout == "step" else 0
        turns: list[Message] = [{"role": "user", "content": self._user(self.user, solution, first)}]
        for index, answer in enumerate(earlier):
            assert self.later_user is not None
            turns.append({"role": "assistant", "content": answer})
            turns.append({"role": "user", "content": self._user(self.later_user, solution, index + 1)})
        begin = self.fill(self.begin, step)
        return [*system, *turns, *([{"role": "assistant", "content": begin}] if begin else [])]

    def fill(self, template: str, step: int) -> str:
        """Put the number of a step into a template."""
        return _filled(template, index=str(step + self.first_index))

    def finished(self, text: str) -> tuple[str, bool]:
        """Return an answer up to the first of the stop texts, and whether there was one."""
        ends = [end for end in (text.find(stop) for stop in self.stop) if end >= 0]
        return (text[: min(ends)], True) if ends else (text, False)

    def n_chars(self, solution: Solution) -> int:
        """Return the characters of all prompts for a solution, tags left out."""
        lengths = [len(step) + len(self.step) for step in solution.steps]
        if self.layout == "solution":
            return len(solution.problem) + len(solution.reference or "") + sum(lengths)
        n_steps = len(lengths)
        return len(solution.problem) * n_steps + sum((n_steps - index) * length for index, length in enumerate(lengths))

    def _user(self, template: str, solution: Solution, step: int) -> str:
        steps = [self._plain_step(text) for text in solution.steps] if "{solution}" in template else []
        before = solution.steps[:step] if "{previous}" in template else ()
        return _filled(
            template,
            problem=solution.problem,
            reference=solution.reference or "",
            solution=self._listed(steps),
            previous=self._listed([self._plain_step(text) for text in before]) if before else self.no_previous,
            step=self._plain_step(solution.steps[step]),
            index=str(step + self.first_index),
        )

    def _plain_step(self, text: str) -> str:
        if self.drop is None:
            return text
        pattern = _compiled(self.drop)
        dropped = pattern.sub("", text).strip()
        return pattern.sub(lambda match: f"{match[0][:1]} {match[0][1:]}", dropped)  # made by what was dropped

    def _listed(self, steps: Sequence[str]) -> str:
        return self.join.join(
            _filled(self.step, step=step, index=str(index)) for index, step in enumerate(steps, start=self.first_index)
        )


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"drop {shorten(pattern)} is not a regular expression: {error}") from error


def _filled(template: str, **values: str) -> str:
    return _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), template)


def continued(prompt: Sequence[Message], text: str) -> list[Message]:
    """Return a conversation in which the assistant has written a text, behind what it had begun with."""
    begun = prompt[-1]["content"] if prompt[-1]["role"] == "assistant" else ""
    before = prompt[:-1] if prompt[-1]["role"] == "assistant" else prompt
    return [*before, {"role": "assistant", "content": begun + text}]


class LoadedPrompt(NamedTuple):
    """A prompt and the hash of its file."""

    prompt: CriticPrompt
    sha256: str


def load_prompt(name: str, *, directory: Path, sha256: str | None = None) -> LoadedPrompt:
    """Open a prompt that comes with judgekit, or a file.

    Args:
        name: A name such as `generic-1`, or a path relative to the directory, or an absolute one.
        directory: Where the judge's card lies.
        sha256: The hash that the card states; `None` takes any.

    Raises:
        CheckpointError: there is no such prompt, the file is not a valid prompt, or it has changed; says the way out.
    """
    path = next((path for path in (directory / name, BUILTIN_PROMPTS / f"{name}.yaml") if os.path.isfile(path)), None)
    if path is None:
        names = ", ".join(sorted(path.stem for path in BUILTIN_PROMPTS.glob("*.yaml")))
        raise CheckpointError(
            f"unknown critic prompt {shorten(name)}: it is not a file in {directory} and not one of {names}"
        )
    try:
        text = read_text(path)
        prompt = CriticPrompt.model_validate(load_yaml(text))
    except ValidationError as error:
        raise CheckpointError(f"{path}: {describe_validation_error(error)}") from error
    except ValueError as error:  # DataError among them
        raise CheckpointError(f"cannot read the critic prompt {path}: {one_line(error)}") from error
    found = hashlib.sha256(text.encode()).hexdigest()
    if sha256 not in (None, found):
        raise CheckpointError(
            f"the critic prompt {name!r} has changed: {path} has the sha256 {found}, but the judge was made with "
            f"{sha256}. Its results do not hold for another wording: restore the file, or put the new hash into "
            "critic.prompt_sha256 (null accepts any) and calibrate and evaluate the judge again"
        )
    return LoadedPrompt(prompt, found)
