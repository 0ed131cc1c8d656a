"""Critics that judge one step at a time: P(step ok | earlier ok) from the next token after their critique.

Axis suffix: `_N` samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from judgekit.engines.generation.base import ChoiceScores, Completion, Generator
from judgekit.judges.critics.answer import NextToken
from judgekit.judges.critics.card import CriticSpec
from judgekit.judges.critics.prompt import CriticPrompt, continued
from judgekit.judges.critics.record import Record, grouped
from judgekit.text.prompts import Message
from judgekit.types import NoVerdictReason


class StepwiseCritic:
    """Collects step probabilities, each the mean over several critiques.

    Args:
        generator: The engine that writes the critiques and tells probabilities.
        critic: How it is asked.
        prompt: What it is shown; its answers are read at the next token.
    """

    def __init__(self, generator: Generator, critic: CriticSpec, prompt: CriticPrompt) -> None:
        assert isinstance(prompt.answer, NextToken)
        self.generator = generator
        self.critic = critic
        self.prompt = prompt
        self.answer = prompt.answer

    def ask(self, records: Sequence[Record]) -> None:
        """Ask about every step: all at once, or one after the other where the critic sees its earlier answers."""
        if self.prompt.layout == "step":
            self._ask_wave([(record, step) for record in records for step in range(len(record.solution.steps))])
            return
        for step in range(max((len(record.solution.steps) for record in records), default=0)):
            going = [record for record in records if record.reason is None and step < len(record.solution.steps)]
            self._ask_wave([(record, step) for record in going])

    def _ask_wave(self, wave: Sequence[tuple[Record, int]]) -> None:
        """Have critiques of some steps written, then read the verdict behind each of them."""
        for seed, group in grouped(wave, lambda item: item[0].seed):
            prompts = [self.prompt.messages(record.solution, step=step, earlier=record.turns) for record, step in group]
            answers = self.generator.generate(list(prompts), self.critic.sampling, n=self.critic.votes, seed=seed)
            questions = [
                self._question(prompt, completion, step)
                for (_, step), prompt, completions in zip(group, prompts, answers, strict=True)
                for completion in completions
                if completion.finish_reason != "failed"
            ]
            choices = (self.answer.ok, self.answer.error)
            scores = self.generator.choice_logprobs(list(questions), choices=choices)
            asked = zip(questions, scores, strict=True)
            for (record, step), completions in zip(group, answers, strict=True):
                record.count(completions)
                self._read_step(record, step, completions, asked)

    def _question(self, prompt: Sequence[Message], completion: Completion, step: int) -> list[Message]:
        """Return the conversation up to the token that is the verdict."""
        text, is_finished = self.prompt.finished(completion.text)
        unfinished = self.answer.ask_unfinished
        ask = self.answer.ask if is_finished or unfinished is None else unfinished
        return continued(prompt, text + self.prompt.fill(ask, step))

    def _read_step(
        self,
        record: Record,
        step: int,
        completions: Sequence[Completion],
        asked: Iterator[tuple[list[Message], ChoiceScores]],
    ) -> None:
        """Add one step's probability to its record; every critique that did not fail takes the next of the scores."""
        p_ok_N: list[float | NoVerdictReason] = []
        turns: list[str] = []
        for completion in completions:
            if completion.finish_reason == "failed":
                p_ok_N.append(completion.failure_reason or NoVerdictReason.TIMED_OUT)
                continue
            question, score = next(asked)
            record.count([score])
            if score.logprobs is None:
                p_ok_N.append(score.failure_reason or NoVerdictReason.UNPARSABLE)
                continue
            p_ok = _share(*score.logprobs)
            if math.isnan(p_ok):
                p_ok_N.append(NoVerdictReason.NON_FINITE)
                continue
            p_ok_N.append(p_ok)
            said = self.answer.ok if score.logprobs[0] >= score.logprobs[1] else self.answer.error
            turns.append(question[-1]["content"] + said + self.answer.close)
        record.add_step(step, p_ok_N, [completion.text or completion.failure or "" for completion in completions])
        record.turns += turns[:1]


def _share(logprob_ok: float, logprob_error: float) -> float:
    """Return P(ok) / (P(ok) + P(error)) of two log-probabilities, nats; NaN if they are none, or both -infinity."""
    if math.inf in (logprob_ok, logprob_error):
        return math.nan
    difference = logprob_error - logprob_ok
    return 1 / (1 + math.exp(difference)) if difference < 0 else math.exp(-difference) / (1 + math.exp(-difference))
