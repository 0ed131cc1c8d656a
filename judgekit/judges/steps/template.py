"""The template layout: from solutions to token ids, with score positions found by the marks."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from judgekit.engines.scoring.encoded import Encoded
from judgekit.errors import CheckpointError
from judgekit.judges.steps.layout import ChatTurns, TemplateInput
from judgekit.text.neutralise import Reserved, reserved_tokens
from judgekit.text.prompts import CHAT_DATE, Message, apply_chat_template
from judgekit.types import Solution


@dataclass(frozen=True)
class _Piece:
    """A stretch of the text that a judge reads."""

    text: str
    role: Literal["begin", "frame", "step", "mark", "splitter"]
    """`begin` holds the problem, `step` and `mark` alternate, `frame` is what stands around them; a `splitter` is taken
    out after encoding."""


class TemplateEncoder:
    """Encodes solutions by a template layout.

    Args:
        tokenizer: A fast tokenizer, with a chat template where the layout is a conversation.
        layout: The convention.
        neutralise: Break up reserved strings in candidates; off only to measure what that prevents.
        chat_date: The day that the chat template is told where it asks.
    """

    def __init__(
        self, tokenizer: Any, layout: TemplateInput, *, neutralise: bool = True, chat_date: date = CHAT_DATE
    ) -> None:
        self.tokenizer = tokenizer
        self.chat_date = chat_date
        self.layout = layout
        own = (*layout.reserved, layout.mark.strip())
        self._reserved = Reserved((*reserved_tokens(tokenizer), *own) if neutralise else ())
        self._frames_of: dict[int, list[str]] = {}

    def check_mark(self) -> None:
        """Compare the token at which steps are read with the one that the layout names.

        Raises:
            CheckpointError: this tokenizer makes another token of the mark.
        """
        if self.layout.mark_id is None:
            return
        at_mark = self.layout.model_copy(update={"read_at": "mark", "read_shift": 0})
        [encoded] = TemplateEncoder(self.tokenizer, at_mark).encode([Solution(problem="1+1?", steps=("1+1=2",))])
        found = encoded.input_ids[encoded.positions_S[0]]
        if found != self.layout.mark_id:
            raise CheckpointError(
                f"the tokenizer {self.tokenizer.name_or_path} reads steps at token {found} "
                f"({self.tokenizer.convert_ids_to_tokens(found)!r}), but the card names {self.layout.mark_id} for "
                f"the mark {self.layout.mark!r}: use the tokenizer that the judge was trained with"
            )

    def encode(self, solutions: Sequence[Solution]) -> list[Encoded]:
        """Encode solutions; n steps in gives n positions out, whatever the text holds."""
        if not solutions:
            return []
        if self.layout.tokenise == "pieces":
            return self._encode_apart([self._pieces(solution) for solution in solutions])
        pieces_N = [self._pieces(solution) for solution in solutions]
        texts = ["".join(piece.text for piece in pieces) for pieces in pieces_N]
        batch = self.tokenizer(
            texts,
            add_special_tokens=self.layout.add_special_tokens,
            return_offsets_mapping=True,
            return_attention_mask=False,
            verbose=False,
        )
        rows = zip(pieces_N, batch["input_ids"], batch["offset_mapping"], strict=True)
        return [self._locate(pieces, ids, offsets) for pieces, ids, offsets in rows]

    def _pieces(self, solution: Solution) -> list[_Piece]:
        """Return the solution's text in pieces. An empty piece may stand where a template leaves nothing."""
        layout, clean = self.layout, self._reserved.neutralise
        begin = _fill(layout.begin, problem=clean(solution.problem), **self._tokens)
        said = [step.strip() if layout.strip else step for step in solution.steps]
        steps = [_fill(layout.step, number=str(number), step=clean(step)) for number, step in enumerate(said, 1)]
        if layout.chat and layout.chat.turns == "step":
            return self._step_turns(begin, steps, layout.chat)
        body = [*[piece for step in steps for piece in self._marked(step)][1:], _Piece(layout.end, "frame")]
        if layout.chat is not None:
            before, between, after = self._frames(2, layout.chat)
            problem = [_Piece(before, "frame"), _Piece(self._as_content(begin), "begin"), _Piece(between, "frame")]
            return [*problem, *self._trimmed(body), _Piece(after.rstrip(), "frame")]
        return [_Piece(begin, "begin"), self._splitter, *body]

    def _marked(self, step: str) -> list[_Piece]:
        between, mark = _Piece(self.layout.between, "frame"), _Piece(self.layout.mark, "mark")
        return [between, _Piece(step, "step"), mark, self._splitter]

    @functools.cached_property
    def _splitter(self) -> _Piece:
        return _Piece(_fill(self.layout.splitter, **self._tokens), "splitter")

    @functools.cached_property
    def _tokens(self) -> dict[str, str]:
        """The tokenizer's tokens that the template names."""
        found = {"bos?": self.tokenizer.bos_token or ""}
        for name, token in (("bos", self.tokenizer.bos_token), ("pad", self.tokenizer.pad_token)):
            if "{" + name + "}" in self.layout.begin + self.layout.splitter:
                if token is None:
                    raise CheckpointError(
                        f"the layout names {{{name}}}, but the tokenizer {self.tokenizer.name_or_path} has no "
                        f"{name}_token: write the token itself into the card's input.begin or input.splitter"
                    )
                found[name] = token
        return found

    def _step_turns(self, begin: str, steps: list[str], chat: ChatTurns) -> list[_Piece]:
        frames = iter(self._frames(2 * len(steps), chat))
        pieces = []
        for number, step in enumerate(steps):
            said = self._as_content(begin + step if number == 0 else step)
            pieces += [_Piece(next(frames), "frame"), _Piece(said, "step")]
            pieces += [_Piece(next(frames), "frame"), _Piece(self.layout.mark, "mark")]
        return [*pieces, _Piece(next(frames, ""), "frame")]

    def _frames(self, n_turns: int, chat: ChatTurns) -> list[str]:
        """Return what the chat template writes before, between and after the contents of alternating turns."""
        if n_turns not in self._frames_of:
            self._frames_of[n_turns] = self._split_rendered(n_turns, chat) if n_turns else []
        return self._frames_of[n_turns]

    def _split_rendered(self, n_turns: int, chat: ChatTurns) -> list[str]:
        names = [f"\ue000{turn}\ue001" for turn in range(n_turns)]
        roles = itertools.cycle(["user", "assistant"])
        rendered = self._render(chat, [{"role": next(roles), "content": name} for name in names])
        frames, start = [], 0
        for name in names:
            found = rendered.find(name, start)
            if found < 0:
                raise CheckpointError(
                    f"the chat template of {self.tokenizer.name_or_path} leaves out or reorders a turn, so the judge "
                    "cannot be read by turns: check the tokenizer, or write the layout as plain text"
                )
            frames.append(rendered[start:found])
            start = found + len(name)
        return [*frames, rendered[start:]]

    def _render(self, chat: ChatTurns, messages: list[Message]) -> str:
        system = [] if chat.system is None else [{"role": "system", "content": chat.system}]
        return apply_chat_template(
            self.tokenizer, [*system, *messages], add_generation_prompt=False, chat_date=self.chat_date
        )

    def _as_content(self, text: str) -> str:
        return text.strip() if self._trims else text

    def _trimmed(self, body: list[_Piece]) -> list[_Piece]:
        """Strip the assistant's turn at both ends where the chat template does so, across its pieces."""
        if not self._trims:
            return body
        texts = [piece.text for piece in body]
        for order, strip in ((range(len(texts)), str.lstrip), (range(len(texts) - 1, -1, -1), str.rstrip)):
            for index in order:
                texts[index] = strip(texts[index])
                if texts[index]:
                    break
        return [_Piece(text, piece.role) for text, piece in zip(texts, body, strict=True)]

    @functools.cached_property
    def _trims(self) -> bool:
        """Whether the chat template strips white space around what is said."""
        chat = self.layout.chat
        assert chat is not None
        plain, spaced = ([{"role": "user", "content": said}] for said in ("\ue000", " \ue000 "))
        return self._render(chat, plain) == self._render(chat, spaced)

    def _locate(self, pieces: Sequence[_Piece], ids: list[int], offsets: Sequence[tuple[int, int]]) -> Encoded:
        """Find the tokens at which the steps are read, by the characters that they cover."""
        starts_T = _rising_starts(offsets)
        ends, first_step, char = [], None, 0
        kept_T = np.ones(len(ids), dtype=bool)
        for piece in pieces:
            if piece.role == "splitter" and piece.text:
                kept_T[np.searchsorted(starts_T, char, "left") : np.searchsorted(starts_T, char + len(piece.text))] = 0
            if piece.role == "step" and first_step is None:
                first_step = char
            if piece.role == "mark":
                ends.append(char if self.layout.read_at == "before_mark" else char + len(piece.text))
            char += len(piece.text)
        ids, starts_T = [token for token, kept in zip(ids, kept_T, strict=True) if kept], starts_T[kept_T]
        positions = np.searchsorted(starts_T, ends, side="left") - 1
        n_problem = 0 if first_step is None else int(np.searchsorted(starts_T, first_step, side="left"))
        return Encoded(ids, self._shifted(positions, len(ids)), n_problem)

    def _shifted(self, positions: ArrayLike, n_tokens: int) -> list[int]:
        """Move positions by the layout's shift within the text; -1 stays where nothing stands before a mark."""
        moved = np.asarray(positions, dtype=np.int64) + self.layout.read_shift
        first = 0 if self.layout.read_shift else -1
        return [int(position) for position in np.clip(moved, first, max(n_tokens - 1, 0))]

    def _encode_apart(self, pieces_N: Sequence[list[_Piece]]) -> list[Encoded]:
        texts = [piece.text for pieces in pieces_N for piece in pieces]
        found = iter(self.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"])
        first = self.tokenizer("")["input_ids"] if self.layout.add_special_tokens else []
        return [self._join(pieces, [next(found) for _ in pieces], first) for pieces in pieces_N]

    def _join(self, pieces: Sequence[_Piece], ids_of_pieces: list[list[int]], first: list[int]) -> Encoded:
        input_ids, positions, n_problem = [*first], [], 0
        for piece, ids in zip(pieces, ids_of_pieces, strict=True):
            before = len(input_ids)
            input_ids += ids
            if piece.role == "begin":
                n_problem = len(input_ids)
            if piece.role == "mark":
                positions.append((before if self.layout.read_at == "before_mark" else len(input_ids)) - 1)
        return Encoded(input_ids, self._shifted(positions, len(input_ids)), n_problem)


def _fill(template: str, **values: str) -> str:
    """Replace `{name}`s in one pass, so that nothing inside a value is replaced again."""
    parts, rest = [], template
    while rest:
        found = {name: rest.find("{" + name + "}") for name in values}
        present = {name: at for name, at in found.items() if at >= 0}
        if not present:
            break
        name = min(present, key=present.__getitem__)
        parts += [rest[: present[name]], values[name]]
        rest = rest[present[name] + len(name) + 2 :]
    return "".join([*parts, rest])


def _rising_starts(offsets: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return where each token begins, in characters, never falling; a token without text begins where the last ended.

    Shape (n_tokens,).
    """
    spans = np.asarray(offsets, dtype=np.int64).reshape(-1, 2)
    if not len(spans):
        return spans[:, 0]
    ends = np.maximum.accumulate(spans[:, 1])
    starts = np.where(spans[:, 1] > spans[:, 0], spans[:, 0], np.concatenate([[0], ends[:-1]]))
    return np.maximum.accumulate(starts)
