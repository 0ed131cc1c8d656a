"""How a solution becomes the text or token ids that a judge reads, as defined in `judge.json` or a YAML card.

Two layouts: the ids layout of our own judges, in which nothing is ever joined as text, and the template layout, which
can express every published convention.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InputConvention(_Part):
    """The ids layout: how a solution becomes token ids, and where it is read.

    ids = [bos] + ids(problem) + problem_separator_ids, then ids(step) + separator_ids for each step; a step is read at
    the last token of its separator. Separators are ids, never text, so they cannot merge with their neighbours, and
    reserved tokens in a candidate are encoded as plain text.

    Source:
        Layout of token-classification process reward models of the TRL lineage, with a separator after the problem.
    """

    layout: Literal["ids"] = "ids"
    """Selects this kind."""
    separator: str = "\n"
    """Text of the separator, for people; `separator_ids` is what counts."""
    separator_ids: tuple[int, ...] = Field(min_length=1)
    """Token ids put after every step; the last one is the score position."""
    problem_separator_ids: tuple[int, ...]
    """Token ids put after the problem."""
    bos_id: int | None = None
    """Token id put first; `null` for none."""
    max_tokens: int = Field(ge=1)
    """Longest input; a longer one is not judged, with the reason `too_long`."""


class ChatTurns(_Part):
    """A conversation in the checkpoint's own chat template; no generation prompt is added."""

    turns: Literal["one", "step"] = "one"
    """`one`: the user's turn is `begin`, the assistant's all steps with their marks. `step`: every step is a turn of
    the user, the first one behind `begin`, and its mark is the assistant's turn."""
    system: str | None = None
    """System message; `null` leaves it to the chat template."""


class TemplateInput(_Part):
    """The template layout: begin, then each step with its mark, then end.

    `{problem}`, `{step}` and `{number}` (of the step, from 1) are replaced, and in `begin` and `splitter` `{bos}`,
    `{pad}` and `{bos?}` by the tokenizer's tokens, the last one by nothing if there is none; nothing else in a
    template is special. Problem and steps are neutralised first (`judgekit.text.neutralise`), so only what the template
    itself says is markup. Score positions are found by where the marks stand, not by looking for their ids: n steps in,
    n scores out.
    """

    layout: Literal["template"]
    """Selects this kind."""
    begin: str = "{problem}"
    """What comes before the first step."""
    step: str = "{step}"
    """How a step is written."""
    mark: str = ""
    """What comes right after every step: a tag, a separator, or nothing."""
    between: str = ""
    """What comes between a step's mark and the next step."""
    end: str = ""
    """What comes after the last mark."""
    splitter: str = ""
    """A token of its own put behind `begin` and behind every step while the text is encoded, and taken out again: it
    keeps words from running into one token there, as some published scripts do. Empty for none."""
    strip: bool = False
    """Take white space off both ends of every step first."""
    chat: ChatTurns | None = None
    """Put all this into a conversation; `null` is plain text."""
    tokenise: Literal["whole", "pieces"] = "whole"
    """`whole`: the text is encoded at once. `pieces`: begin, every step and every mark are encoded apart from each
    other, so that nothing merges across."""
    add_special_tokens: bool = False
    """Let the tokenizer put its own tokens (begin of text) around the text, or before the first piece."""
    read_at: Literal["mark", "before_mark"] = "mark"
    """Where a step is read: at the last token of its mark (of the step where the mark is empty), or at the token before
    the mark, whose logits predict it."""
    read_shift: int = 0
    """Tokens by which the published script reads further on, or, negative, earlier; stays within the text."""
    mark_id: int | None = Field(default=None, ge=0)
    """Token id of the mark's last token; a tokenizer that gives another one is refused when the judge is opened.
    `null` does not check."""
    reserved: tuple[str, ...] = ()
    """The judge's own tags and verdicts, broken up in candidates besides the tokenizer's reserved tokens."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Longest input, a longer one is not judged; `null` takes the model's context."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if "{problem}" not in self.begin:
            raise ValueError("input.begin has no {problem}: the judge would never see the problem")
        if "{step}" not in self.step:
            raise ValueError("input.step has no {step}: the judge would never see the steps")
        if not self.mark and (self.read_at == "before_mark" or (self.chat and self.chat.turns == "step")):
            raise ValueError(
                "an empty input.mark fits neither read_at 'before_mark' nor turns of single steps: set a mark"
            )
        if self.chat and self.tokenise == "pieces":
            raise ValueError("a conversation is encoded at once: tokenise 'pieces' does not go with input.chat")
        if self.splitter and (self.chat or self.tokenise == "pieces"):
            raise ValueError("input.splitter needs plain text that is encoded at once")
        if self.mark_id is not None and not self.mark:
            raise ValueError("input.mark_id names the token of a mark, but input.mark is empty")
        return self


def _with_layout(value: Any) -> Any:
    """Cards written before there were two layouts have the ids layout."""
    return {"layout": "ids"} | value if isinstance(value, dict) else value


JudgeInput = Annotated[InputConvention | TemplateInput, Field(discriminator="layout"), BeforeValidator(_with_layout)]
"""How a judge reads a solution."""
