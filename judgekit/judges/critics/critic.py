"""A generative critic: a language model is shown a solution, writes a critique, and its verdict is read from it.

Whole-solution critics name the first wrong step; they are asked several times, and the votes become the posterior.
Step-wise critics give P(step ok | earlier ok) by the next token after their critique, averaged over several critiques.
Nothing that a critic writes is ever executed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Self

from judgekit.engines.checkpoint import locate_model
from judgekit.engines.generation.base import Generator
from judgekit.engines.generation.config import OpenAIGeneration, TransformersGeneration
from judgekit.engines.generation.door import build_generator
from judgekit.errors import ConfigError
from judgekit.judges.card import JudgeCard, Opening
from judgekit.judges.critics.answer import BoxedIndex, NextToken
from judgekit.judges.critics.by_step import StepwiseCritic
from judgekit.judges.critics.by_vote import VotingCritic
from judgekit.judges.critics.card import CriticSpec
from judgekit.judges.critics.prompt import CHAT_MARKUP, CriticPrompt, load_prompt
from judgekit.judges.critics.record import Record
from judgekit.text.neutralise import Reserved
from judgekit.types import ArgmaxRule, Judgement, NoVerdictReason, Solution, ThresholdRule, Verdict

_SEED_STRIDE = 1_000_003
"""Distance between the seeds of a solution's first judging and its next; more than the votes of one."""


class CriticJudge:
    """Judges by asking a generator.

    Args:
        card: The judge's card, of kind `critic`.
        prompt: Its prompt.
        generator: The engine that writes the answers.
        neutralise: Break up markup, tags and verdicts in candidates; off only to measure attacks.

    Raises:
        ConfigError: votes are to be decided by a threshold that nobody fitted, or stopped early without the argmax
            rule, or forced although the prompt's answers cannot be.
    """

    def __init__(self, card: JudgeCard, prompt: CriticPrompt, generator: Generator, *, neutralise: bool = True) -> None:
        self.card = card
        self.critic = card.spec_as(CriticSpec)
        self.prompt = prompt
        self.generator = generator
        self._reserved = Reserved([*CHAT_MARKUP, *prompt.reserved] if neutralise else [])
        self._n_judged: Counter[str] = Counter()
        _check(self.critic, prompt, card.decision)
        declared = card.declare(dtype="float32")  # a critic says nothing of its engine's precision
        reserved = tuple(dict.fromkeys(prompt.reserved))
        self.info = replace(declared, reserved=reserved, needs_reference=prompt.needs_reference)

    @classmethod
    def open(cls, opening: Opening) -> Self:
        """Open prompt and engine of a card.

        Raises:
            CheckpointError: the prompt or the model cannot be opened, or the prompt has changed.
            ConfigError: see the class, and `build_generator`.
        """
        directory, card = opening.directory, opening.card
        critic = card.spec_as(CriticSpec)
        prompt, sha256 = load_prompt(critic.prompt, directory=directory, sha256=critic.prompt_sha256)
        card = card.model_copy(update={"spec": critic.model_copy(update={"prompt_sha256": sha256})})
        _check(critic, prompt, card.decision)
        engine = critic.engine
        if engine is None:
            location = locate_model(directory, critic.model, revision=critic.revision, hub_only=opening.hub_only)
            engine = TransformersGeneration(model=str(location), dtype=opening.dtype)
        elif opening.hub_only and not isinstance(engine, OpenAIGeneration):
            # Engines take paths from where the command runs: what the Hub names is looked for there alone.
            location = locate_model(directory, engine.model, hub_only=True)
            engine = engine.model_copy(update={"model": str(location)})
        return cls(card, prompt, build_generator(engine, chat_date=critic.chat_date), neutralise=opening.neutralise)

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        """Judge a batch; what cannot be asked, and what was not answered readably, gets a reason."""
        start = time.perf_counter()
        records = [self._begin(solution) for solution in solutions]
        asked = [record for record in records if record.reason is None]
        by_step = isinstance(self.prompt.answer, NextToken)
        (StepwiseCritic if by_step else VotingCritic)(self.generator, self.critic, self.prompt).ask(asked)
        seconds = (time.perf_counter() - start) / max(len(solutions), 1)
        return [self._judgement(record, seconds) for record in records]

    def _begin(self, solution: Solution) -> Record:
        seed = self.critic.seed
        if not self.info.deterministic:
            # Who asks about a solution again wants other votes, and the same ones in a run that is repeated.
            seed += self._n_judged[solution.id] * _SEED_STRIDE
            self._n_judged[solution.id] += 1
        if solution.is_blank:
            return Record(solution, seed, reason=NoVerdictReason.EMPTY)
        if self.prompt.n_chars(solution) > self.critic.max_chars:
            return Record(solution, seed, reason=NoVerdictReason.TOO_LONG)
        if self.prompt.needs_reference and not solution.reference:
            return Record(solution, seed, reason=NoVerdictReason.NO_REFERENCE)
        # Every text is the candidate's or the data's: none may speak as the chat template or as a verdict.
        neutral = self._reserved.neutralise
        update = {
            "problem": neutral(solution.problem),
            "steps": tuple(map(neutral, solution.steps)),
            "reference": None if solution.reference is None else neutral(solution.reference),
        }
        return Record(solution.model_copy(update=update), seed)

    def _judgement(self, record: Record, seconds: float) -> Judgement:
        found = record.verdict(smoothing=self.critic.smoothing)
        return Judgement(
            solution_id=record.solution.id,
            judge_id=self.info.judge_id,
            verdict=found if isinstance(found, Verdict) else None,
            no_verdict=None if isinstance(found, Verdict) else found,
            raw=record.raw,
            n_tokens=record.n_tokens,
            seconds=seconds,
            cost_usd=record.cost_usd,
        )


def _check(critic: CriticSpec, prompt: CriticPrompt, decision: ThresholdRule | ArgmaxRule) -> None:
    """Refuse settings that contradict each other."""
    votes_decide = not isinstance(prompt.answer, NextToken)
    is_argmax = isinstance(decision, ArgmaxRule)
    if votes_decide and not is_argmax and decision.origin == "default":
        raise ConfigError(
            "the votes of this critic name a step, and a threshold that was not fitted would miss most of them: put "
            "'decision: {kind: argmax}' into the judge's card"
        )
    if critic.early_stop and not (votes_decide and is_argmax):
        raise ConfigError("critic.early_stop needs votes that name a step, and 'decision: {kind: argmax}'")
    if critic.force_answer and not isinstance(prompt.answer, BoxedIndex):
        raise ConfigError(
            f"critic.force_answer needs a prompt with answers of type 'boxed_index', but {critic.prompt} has "
            f"{prompt.answer.type!r}"
        )
