"""Critics that name the first wrong step of a whole solution: sampled several times, each answer is a vote."""

from __future__ import annotations

from collections.abc import Sequence

from judgekit.engines.generation.base import Completion, Generator
from judgekit.engines.generation.config import SamplingConfig
from judgekit.judges.critics.answer import (
    BoxedIndex,
    BoxedVerdicts,
    ChoiceIndex,
    parse_boxed_index,
    parse_boxed_verdicts,
    parse_index,
)
from judgekit.judges.critics.card import CriticSpec
from judgekit.judges.critics.prompt import CriticPrompt, continued
from judgekit.judges.critics.record import Record, grouped
from judgekit.judges.critics.votes import Vote, count_outcomes, is_decided, n_next_votes
from judgekit.text.prompts import Message, Prompt
from judgekit.types import NoVerdictReason

_FORCED = SamplingConfig(max_tokens=16, temperature=None)
"""A verdict that an answer is led to: the most probable of its choices, each a number and a bracket."""


class VotingCritic:
    """Collects votes on whole solutions.

    Args:
        generator: The engine that writes the answers.
        critic: How it is asked.
        prompt: What it is shown.
    """

    def __init__(self, generator: Generator, critic: CriticSpec, prompt: CriticPrompt) -> None:
        self.generator = generator
        self.critic = critic
        self.prompt = prompt

    def ask(self, records: Sequence[Record]) -> None:
        """Ask about whole solutions, in rounds where votes may stop early."""
        open_records = list(records)
        while open_records:
            # One call of the engine serves all that need as many votes from the same seed on.
            rounds = grouped(open_records, lambda record: (self._n_next(record), record.seed + len(record.votes)))
            for (n, seed), group in rounds:
                prompts = [self.prompt.messages(record.solution) for record in group]
                constrained = isinstance(self.prompt.answer, ChoiceIndex)
                choices_P = [self._indices(record) for record in group] if constrained else None
                sampling = self.critic.sampling
                answers = self.generator.generate(list(prompts), sampling, n=n, seed=seed, choices_P=choices_P)
                if self.critic.force_answer:
                    answers = self._forced(group, prompts, answers)
                for record, completions in zip(group, answers, strict=True):
                    record.count(completions)
                    for completion in completions:
                        record.add_vote(self._vote(record, completion), completion.text or completion.failure or "")
            open_records = [record for record in open_records if self._n_next(record)]

    def _n_next(self, record: Record) -> int:
        """Return how many votes to ask for next; 0 if the answer stands."""
        n_left = self.critic.votes - len(record.votes)
        if not self.critic.early_stop or n_left == 0:
            return n_left
        counts = count_outcomes(record.votes, n_steps=len(record.solution.steps))
        return 0 if is_decided(counts, n_left=n_left) else n_next_votes(counts, n_left=n_left)

    def _indices(self, record: Record, *, end: str = "") -> list[str]:
        """Return the verdicts that a critic may choose from."""
        first = self.prompt.first_index
        return [f"{index}{end}" for index in (-1, *range(first, first + len(record.solution.steps)))]

    def _vote(self, record: Record, completion: Completion) -> Vote:
        """Read one answer."""
        if completion.finish_reason == "failed":
            return completion.failure_reason or NoVerdictReason.TIMED_OUT
        answer, n_steps, first = self.prompt.answer, len(record.solution.steps), self.prompt.first_index
        text, is_finished = self.prompt.finished(completion.text)
        truncated = completion.finish_reason == "length" and not is_finished
        if isinstance(answer, BoxedVerdicts):
            return parse_boxed_verdicts(text, answer, truncated=truncated, n_steps=n_steps)
        if isinstance(answer, ChoiceIndex):
            return NoVerdictReason.TRUNCATED if truncated else parse_index(text, n_steps=n_steps, first_index=first)
        return parse_boxed_index(text, truncated=truncated, n_steps=n_steps, first_index=first)

    def _forced(
        self, records: Sequence[Record], prompts: Sequence[list[Message]], answers: Sequence[list[Completion]]
    ) -> list[list[Completion]]:
        """Lead answers that were cut off into their box, and let the critic choose what stands there.

        An answer whose choice fails stays as it was, cut off.
        """
        assert isinstance(self.prompt.answer, BoxedIndex)
        force = self.prompt.answer.force
        cut = [
            (row, sample)
            for row, completions in enumerate(answers)
            for sample, completion in enumerate(completions)
            if completion.finish_reason == "length"
        ]
        begun: list[Prompt] = [continued(prompts[row], answers[row][sample].text + force) for row, sample in cut]
        choices_P = [self._indices(records[row], end="}") for row, _ in cut]
        chosen = self.generator.generate(begun, _FORCED, choices_P=choices_P) if cut else []
        found = [list(completions) for completions in answers]
        for (row, sample), [choice] in zip(cut, chosen, strict=True):
            if choice.finish_reason == "stop":
                found[row][sample] = _joined(answers[row][sample], force, choice)
        return found


def _joined(cut: Completion, force: str, choice: Completion) -> Completion:
    """Return an answer that was cut off with what it was led to, the second reading of its prompt counted in."""
    costs = [cost for cost in (cut.cost_usd, choice.cost_usd) if cost is not None]
    return Completion(
        cut.text + force + choice.text,
        "stop",
        n_tokens=cut.n_tokens + choice.n_prompt_tokens + choice.n_tokens,
        n_prompt_tokens=cut.n_prompt_tokens,
        cost_usd=sum(costs) if costs else None,
    )
