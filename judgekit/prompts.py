"""How a problem becomes a prompt: plain text that a model continues, or a conversation. Imports no torch.

A conversation whose last message is the assistant's is continued there: that is how a partial solution is completed.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from judgekit.config import BaseConfig
from judgekit.errors import CheckpointError
from judgekit.neutralise import Reserved, reserved_tokens

PLACEHOLDER = "{problem}"
"""Stands for the problem's text in a prompt template; nothing else in a template is special."""

Message = dict[str, str]
"""`role` (system, user or assistant) and `content`."""
Prompt = str | list[Message]
"""Plain text, or the messages of a conversation."""


class _Prompt(BaseConfig):
    template: str
    """Text in which `{problem}` stands for the problem."""

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
    """Tells the kinds apart."""
    template: str = PLACEHOLDER + "\n"
    """Text in which `{problem}` stands for the problem."""

    def build(self, problem: str, *, prefix: str = "") -> Prompt:
        """Return the prompt that asks for a solution, or for the rest of one that begins with `prefix`."""
        return self.render(problem) + prefix


class ChatPrompt(_Prompt):
    """The prompt is a conversation in the policy's chat template."""

    type: Literal["chat"] = "chat"
    """Tells the kinds apart."""
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


def render_text(tokenizer: Any, prompt: Prompt) -> str:
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
    return apply_chat_template(tokenizer, messages, add_generation_prompt=True) + begun


def apply_chat_template(tokenizer: Any, messages: list[Message], *, add_generation_prompt: bool) -> str:
    """Return a conversation as the tokenizer's chat template writes it.

    Raises:
        CheckpointError: there is no chat template, or it refuses the conversation.
    """
    import jinja2  # comes with the tokenizer; a configuration does without

    if tokenizer.chat_template is None:
        raise CheckpointError(f"{tokenizer.name_or_path} has no chat template: use a prompt of type raw")
    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=add_generation_prompt))
    except jinja2.TemplateError as error:
        roles = ", ".join(message["role"] for message in messages)
        raise CheckpointError(
            f"the chat template of {tokenizer.name_or_path} refuses a conversation of {roles}: {error}. "
            "Leave out prompt.system, or use a prompt of type raw"
        ) from error


def encode_prompt(tokenizer: Any, prompt: Prompt) -> list[int]:
    """Return the token ids that the model continues; reserved tokens in plain text are plain characters, too.

    Raises:
        CheckpointError: see `render_text`.
    """
    text, is_plain = render_text(tokenizer, prompt), isinstance(prompt, str)
    ids: list[int] = tokenizer(
        text, add_special_tokens=is_plain, split_special_tokens=is_plain, verbose=False
    ).input_ids
    return ids


__all__ = [
    "PLACEHOLDER", "ChatPrompt", "Message", "Prompt", "PromptConfig", "RawPrompt", "apply_chat_template",
    "encode_prompt", "render_text",
]  # fmt: skip
