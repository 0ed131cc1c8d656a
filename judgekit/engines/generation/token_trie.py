"""The token sequences of some texts as a trie, which constrains a completion to one of them. Imports no torch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from judgekit.errors import ConfigError


class TokenTrie:
    """Choices, each as the tokens that the tokenizer gives it by itself.

    Args:
        tokenizer: The model's tokenizer.
        choices: Texts to choose from.
        end_ids: Tokens that end a text: a choice that begins another one is ended by one of them.

    Raises:
        ConfigError: there are no choices, or a choice is empty.
    """

    def __init__(self, tokenizer: Any, choices: Sequence[str], end_ids: Collection[int]) -> None:
        if not choices or not all(choices):
            raise ConfigError(f"choices {list(choices)} of a completion: give at least one, and no empty text")
        ids = tokenizer(list(choices), add_special_tokens=False, split_special_tokens=True).input_ids
        self._choices = {tuple(tokens): choice for tokens, choice in zip(ids, choices, strict=True)}
        self._end_ids = frozenset(end_ids)
        self._next: dict[tuple[int, ...], set[int]] = {}
        for tokens in self._choices:
            for end in range(len(tokens)):
                self._next.setdefault(tokens[:end], set()).add(tokens[end])

    def allowed(self, tokens: Sequence[int]) -> set[int]:
        """Return the tokens that lead on from here; none if a choice is complete and begins no other."""
        here = tuple(tokens)
        further = self._next.get(here, set())
        return further | self._end_ids if further and here in self._choices else further

    def choice(self, tokens: Sequence[int]) -> str | None:
        """Return the choice that the tokens spell; `None` if they are cut off.

        Without an end token behind it a choice counts only where it begins no other.
        """
        here = tuple(tokens)
        if here and here[-1] in self._end_ids:
            return self._choices.get(here[:-1])
        return None if here in self._next else self._choices.get(here)
