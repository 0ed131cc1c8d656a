"""Turns a problem into a prompt: plain text that a model continues, or a conversation. Imports no torch.

A conversation that ends with an assistant message is continued there: that is how a partial solution is completed.
"""

from __future__ import annotations

import functools
import random
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from judgekit.config import BaseConfig
from judgekit.errors import CheckpointError, boundary, one_line
from judgekit.text.neutralise import Reserved, reserved_tokens

PLACEHOLDER = "{problem}"
"""Stands for the problem's text in a prompt template; nothing else in a template is special."""

CHAT_DATE = date(2024, 7, 26)
"""The day that chat templates are told where nothing else is stated: the one that Llama 3.1's names by itself."""

Message = dict[str, str]
"""`role` (system, user or assistant) and `content`."""
Prompt = str | list[Message]
"""Plain text, or the messages of a conversation."""


def completion_text(completion: str | Sequence[Mapping[str, Any]]) -> str:
    """Return the text of what was said: a string as it is, of messages the text, of several parts those that are text.

    Calls of tools, their results and images are not a text of the policy's.

    Example:
        >>> completion_text([{"role": "assistant", "content": [{"type": "text", "text": "4"}]}])
        '4'
    """
    if isinstance(completion, str):
        return completion
    contents = [message.get("content") for message in completion if message.get("role") != "tool"]
    return "".join(
        content if isinstance(content, str) else "".join(part.get("text") or "" for part in content or ())
        for content in contents
    )


class _Prompt(BaseConfig):
    template: str
    """Text with `{problem}` in place of the problem."""

    @model_validator(mode="after")
    def _has_placeholder(self) -> _Prompt:
        if PLACEHOLDER not in self.template:
            raise ValueError(f"the prompt template has no {PLACEHOLDER}: the policy would never see the problem")
        return self

    def render(self, problem: str) -> str:
        """Put the problem into the template."""
        return self.template.replace(PLACEHOLDER, problem)


class RawPrompt(_Prompt):
    """The prompt is plain text that the policy continues."""

    type: Literal["raw"] = "raw"
    """Selects this kind."""
    template: str = PLACEHOLDER + "\n"
    """Text in which `{problem}` stands for the problem."""

    def build(self, problem: str, *, prefix: str = "") -> Prompt:
        """Return the prompt that asks for a solution, or for the rest of one that begins with `prefix`."""
        return self.render(problem) + prefix


class ChatPrompt(_Prompt):
    """The prompt is a conversation in the policy's chat template."""

    type: Literal["chat"] = "chat"
    """Selects this kind."""
    template: str = PLACEHOLDER
    """The user's message, in which `{problem}` stands for the problem."""
    system: str | None = None
    """System message; `null` leaves it to the chat template."""

    def build(self, problem: str, *, prefix: str = "") -> Prompt:
        """Return the conversation that asks for a solution, or for the rest of one that begins with `prefix`."""
        system = [] if self.system is None else [{"role": "system", "content": self.system}]
        begun = [{"role": "assistant", "content": prefix}] if prefix else []
        return [*system, {"role": "user", "content": self.render(problem)}, *begun]


PromptConfig = Annotated[RawPrompt | ChatPrompt, Field(discriminator="type")]
"""How a problem becomes a prompt."""


def render_text(tokenizer: Any, prompt: Prompt, *, chat_date: date = CHAT_DATE) -> str:
    """Return the text that the model continues.

    A conversation goes through the tokenizer's chat template up to where the assistant's turn begins; what the
    assistant has written already follows as it is, and its turn stays open. Reserved tokens in the messages become
    plain characters, so that no problem and no solution can end a turn.

    Raises:
        CheckpointError: a conversation is given, and the tokenizer has no chat template or one that refuses it.
    """
    if isinstance(prompt, str):
        return prompt
    reserved = Reserved(reserved_tokens(tokenizer))
    messages = [message | {"content": reserved.neutralise(message["content"])} for message in prompt]
    begun = messages.pop()["content"] if messages[-1]["role"] == "assistant" else ""
    return apply_chat_template(tokenizer, messages, add_generation_prompt=True, chat_date=chat_date) + begun


def apply_chat_template(
    tokenizer: Any, messages: list[Message], *, add_generation_prompt: bool, chat_date: date = CHAT_DATE
) -> str:
    """Return a conversation as the tokenizer's chat template writes it, on a day that is given and not today.

    Args:
        tokenizer: Tokenizer with a chat template.
        messages: The conversation.
        add_generation_prompt: Whether the assistant's turn is begun at the end.
        chat_date: The day that the template is told where it asks, so that a text does not change with the calendar.

    Raises:
        CheckpointError: there is no chat template, or it refuses the conversation.
    """
    if tokenizer.chat_template is None:
        raise CheckpointError(f"{tokenizer.name_or_path} has no chat template: use a prompt of type raw")
    roles = ", ".join(message["role"] for message in messages)
    with (
        boundary(  # a template is a program of the checkpoint's author
            CheckpointError,
            f"the chat template of {tokenizer.name_or_path} refuses a conversation of {roles}",
            explain=lambda error: f"{one_line(error)}. Leave out prompt.system, or use a prompt of type raw",
        ),
        _fixed_chance(),
    ):
        return str(
            tokenizer.apply_chat_template(
                messages,
                chat_template=with_fixed_clock(tokenizer.get_chat_template(), chat_date),
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
            )
        )


@contextmanager
def _fixed_chance() -> Iterator[None]:
    """Let chat templates draw the same every time: Jinja's `random` and `lipsum` ask Python's own generator."""
    state = random.getstate()
    random.seed(0)
    try:
        yield
    finally:
        random.setstate(state)


_DIRECTIVES = tuple(
    flag + letter for flag in ("", "-", "_", "0", "^", "#") for letter in string.ascii_letters if letter != "s"
)
"""What may stand behind `%` in C and glibc: a letter, with a flag before it or not. `%s`, seconds since 1970, is left
as it is: it depends on where the machine stands."""


@functools.lru_cache(maxsize=64)
def with_fixed_clock(chat_template: str, chat_date: date = CHAT_DATE) -> str:
    """Return a chat template to whose `strftime_now` it is the begin of a given day; one that never asks is as it was.

    transformers gives a template a clock of its own and takes no other, but a template may define what it calls: a
    macro before its first line, which replaces one directive after another.

    Example:
        >>> with_fixed_clock("{{ messages }}")
        '{{ messages }}'
    """
    if "strftime_now" not in chat_template:
        return chat_template
    at = datetime.combine(chat_date, time())
    said = {f"%{directive}": at.strftime(f"%{directive}") for directive in _DIRECTIVES}
    # What this system does not know comes back as it was.
    pairs = [(asked, value) for asked, value in said.items() if "%" not in value]
    # `%%` is put aside meanwhile, so that the letter behind it is not a directive. The line break at the end belongs to
    # the tag before it, so what follows begins a line, as it did.
    return (
        "{% macro strftime_now(format) %}{% set said = namespace(text=format.replace('%%', '\\x00')) %}"
        f"{{% for asked, value in {pairs!r} %}}"
        "{% set said.text = said.text.replace(asked, value) %}{% endfor %}"
        "{{ said.text.replace('\\x00', '%') }}{% endmacro %}\n"
        f"{chat_template}"
    )


def asks_for_the_day(render: Callable[[date], Sequence[object]]) -> bool:
    """Whether something that is rendered changes with the day: rendered on days that differ in year, month and day."""
    return render(CHAT_DATE) != render(date(2001, 11, 3))


def encode_prompt(tokenizer: Any, prompt: Prompt, *, chat_date: date = CHAT_DATE) -> list[int]:
    """Return the token ids that the model continues; reserved tokens in plain text are plain characters, too.

    Raises:
        CheckpointError: see `render_text`.
    """
    text, is_plain = render_text(tokenizer, prompt, chat_date=chat_date), isinstance(prompt, str)
    ids: list[int] = tokenizer(
        text, add_special_tokens=is_plain, split_special_tokens=is_plain, verbose=False
    ).input_ids
    return ids
