"""A generative critic: a language model is shown a solution, writes a critique, and its verdict is read from it.

Whole-solution critics name the first wrong step; they are asked several times, and the votes become the posterior.
Step-wise critics give P(step ok | earlier ok) by the next token behind their critique, averaged over several critiques.
Nothing that a critic writes is ever run.

Axis suffixes: `_S` step, `_N` samples.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self, TypeVar

from judgekit.engines.generation import (
    ChoiceScores,
    Completion,
    Generator,
    TransformersGeneration,
    build_generator,
)
from judgekit.errors import ConfigError
from judgekit.judges.card import JudgeCard
from judgekit.judges.checkpoint import locate_model
from judgekit.judges.critic_answer import (
    BoxedIndex,
    BoxedVerdicts,
    ChoiceIndex,
    NextToken,
    parse_boxed_index,
    parse_boxed_verdicts,
    parse_index,
)
from judgekit.judges.critic_card import CriticCard
from judgekit.judges.critic_prompt import CHAT_MARKUP, CriticPrompt, load_prompt
from judgekit.judges.critic_sheet import Sheet
from judgekit.judges.critic_votes import Vote, count_outcomes, is_decided, n_next_votes
from judgekit.neutralise import Reserved
from judgekit.prompts import Message, Prompt
from judgekit.types import ArgmaxRule, Judgement, NoVerdictReason, Precision, Solution, ThresholdRule, Verdict

_SEED_STRIDE = 1_000_003
"""Distance between the seeds of a solution's first judging and its next; more than the votes of one."""
T = TypeVar("T")
K = TypeVar("K")


class CriticJudge:
    """Judges by asking a generator.

    Args:
        card: The judge's card, with a section `critic`.
        prompt: Its prompt.
        generator: The engine that writes the answers.
        neutralise: Break up markup, tags and verdicts in candidates; off only to measure attacks.

    Raises:
        ConfigError: votes are to be decided by a threshold that nobody fitted, or stopped early without the argmax
            rule, or forced although the prompt's answers cannot be.
    """

    def __init__(self, card: JudgeCard, prompt: CriticPrompt, generator: Generator, *, neutralise: bool = True) -> None:
        assert card.critic is not None
        self.card = card
        self.critic: CriticCard = card.critic
        self.prompt = prompt
        self.generator = generator
        self._reserved = Reserved([*CHAT_MARKUP, *prompt.reserved] if neutralise else [])
        self._n_judged: Counter[str] = Counter()
        _check(self.critic, prompt, card.decision)

    @classmethod
    def open(cls, directory: Path, card: JudgeCard, *, dtype: Precision = "float32", neutralise: bool = True) -> Self:
        """Open prompt and engine of a card.

        Args:
            directory: Where the card lies.
            card: The card.
            dtype: Precision of the card's model, where no engine is stated.
            neutralise: See the class.

        Raises:
            CheckpointError: the prompt or the model cannot be opened, or the prompt has changed.
            ConfigError: see the class, and `build_generator`.
        """
        assert card.critic is not None
        critic = card.critic
        prompt, sha256 = load_prompt(critic.prompt, directory=directory, sha256=critic.prompt_sha256)
        card = card.model_copy(update={"critic": critic.model_copy(update={"prompt_sha256": sha256})})
        _check(critic, prompt, card.decision)
        engine = critic.engine or TransformersGeneration(model=str(locate_model(directory, card.model)), dtype=dtype)
        return cls(card, prompt, build_generator(engine), neutralise=neutralise)

    @property
    def judge_id(self) -> str:
        """Name in results."""
        return self.card.judge_id

    @property
    def deterministic(self) -> bool:
        """Whether the same solution always gets the same verdict: greedy decoding, one vote."""
        return self.critic.sampling.temperature is None and self.critic.votes == 1

    @property
    def decision(self) -> ThresholdRule | ArgmaxRule:
        """Rule stored in the card."""
        return self.card.decision

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        """Judge a batch; what cannot be asked, and what was not answered readably, gets a reason."""
        start = time.perf_counter()
        sheets = [self._sheet(solution) for solution in solutions]
        asked = [sheet for sheet in sheets if sheet.reason is None]
        (self._ask_steps if isinstance(self.prompt.answer, NextToken) else self._ask_votes)(asked)
        seconds = (time.perf_counter() - start) / max(len(solutions), 1)
        return [self._judgement(sheet, seconds) for sheet in sheets]

    def _sheet(self, solution: Solution) -> Sheet:
        seed = self.critic.seed
        if not self.deterministic:
            seed += self._n_judged[solution.id] * _SEED_STRIDE
            self._n_judged[solution.id] += 1
        return Sheet(self._neutral(solution), seed, reason=self._refusal(solution))

    def _refusal(self, solution: Solution) -> NoVerdictReason | None:
        if not solution.steps:
            return NoVerdictReason.EMPTY
        if self.prompt.n_chars(solution) > self.critic.max_chars:
            return NoVerdictReason.TOO_LONG
        no_reference = self.prompt.needs_reference and not solution.reference
        return NoVerdictReason.NO_REFERENCE if no_reference else None

    def _neutral(self, solution: Solution) -> Solution:
        neutral = self._reserved.neutralise
        return solution.model_copy(
            update={
                "problem": neutral(solution.problem),
                "steps": tuple(map(neutral, solution.steps)),
                "reference": None if solution.reference is None else neutral(solution.reference),
            }
        )

    def _judgement(self, sheet: Sheet, seconds: float) -> Judgement:
        found = sheet.verdict(smoothing=self.critic.smoothing)
        return Judgement(
            solution_id=sheet.solution.id,
            judge_id=self.judge_id,
            verdict=found if isinstance(found, Verdict) else None,
            no_verdict=None if isinstance(found, Verdict) else found,
            raw=sheet.raw,
            n_tokens=sheet.n_tokens,
            seconds=seconds,
            cost_usd=sheet.cost_usd,
        )

    def _ask_votes(self, sheets: Sequence[Sheet]) -> None:
        """Ask about whole solutions, in rounds where votes may stop early."""
        open_sheets = list(sheets)
        while open_sheets:
            rounds = _grouped(open_sheets, lambda sheet: (self._n_next(sheet), sheet.seed + len(sheet.votes)))
            for (n, seed), group in rounds:
                self._ask_round(group, n=n, seed=seed)
            open_sheets = [sheet for sheet in open_sheets if self._n_next(sheet)]

    def _ask_round(self, sheets: Sequence[Sheet], *, n: int, seed: int) -> None:
        """Ask for n votes on each solution."""
        prompts = [self.prompt.messages(sheet.solution) for sheet in sheets]
        constrained = isinstance(self.prompt.answer, ChoiceIndex)
        choices_P = [self._indices(sheet) for sheet in sheets] if constrained else None
        answers = self._generate(prompts, n=n, seed=seed, choices_P=choices_P)
        if self.critic.force_answer:
            answers = self._forced(sheets, prompts, answers)
        for sheet, completions in zip(sheets, answers, strict=True):
            sheet.count(completions)
            for completion in completions:
                sheet.add_vote(self._vote(sheet, completion), completion.text or completion.failure or "")

    def _n_next(self, sheet: Sheet) -> int:
        """Return how many votes to ask for next; 0 where the answer stands."""
        n_left = self.critic.votes - len(sheet.votes)
        if not self.critic.early_stop or n_left == 0:
            return n_left
        counts = count_outcomes(sheet.votes, n_steps=len(sheet.solution.steps))
        return 0 if is_decided(counts, n_left=n_left) else n_next_votes(counts, n_left=n_left)

    def _indices(self, sheet: Sheet, *, end: str = "") -> list[str]:
        """Return the verdicts that a critic may choose from."""
        first = self.prompt.first_index
        return [f"{index}{end}" for index in (-1, *range(first, first + len(sheet.solution.steps)))]

    def _vote(self, sheet: Sheet, completion: Completion) -> Vote:
        """Read one answer."""
        if completion.finish_reason == "failed":
            return completion.failure_reason or NoVerdictReason.TIMED_OUT
        answer, n_steps, first = self.prompt.answer, len(sheet.solution.steps), self.prompt.first_index
        text, is_finished = self.prompt.finished(completion.text)
        truncated = completion.finish_reason == "length" and not is_finished
        if isinstance(answer, BoxedVerdicts):
            return parse_boxed_verdicts(text, answer, truncated=truncated, n_steps=n_steps)
        if isinstance(answer, ChoiceIndex):
            return NoVerdictReason.TRUNCATED if truncated else parse_index(text, n_steps=n_steps, first_index=first)
        return parse_boxed_index(text, truncated=truncated, n_steps=n_steps, first_index=first)

    def _forced(
        self, sheets: Sequence[Sheet], prompts: Sequence[list[Message]], answers: Sequence[list[Completion]]
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
        begun: list[Prompt] = [_continued(prompts[row], answers[row][sample].text + force) for row, sample in cut]
        choices_P = [self._indices(sheets[row], end="}") for row, _ in cut]
        chosen = self.generator.generate(begun, max_tokens=16, temperature=None, choices_P=choices_P) if cut else []
        found = [list(completions) for completions in answers]
        for (row, sample), [choice] in zip(cut, chosen, strict=True):
            if choice.finish_reason == "stop":
                found[row][sample] = _joined(answers[row][sample], force, choice)
        return found

    def _ask_steps(self, sheets: Sequence[Sheet]) -> None:
        """Ask about every step: all at once, or one after the other where the critic sees its earlier answers."""
        if self.prompt.layout == "step":
            self._ask_wave([(sheet, step) for sheet in sheets for step in range(len(sheet.solution.steps))])
            return
        for step in range(max((len(sheet.solution.steps) for sheet in sheets), default=0)):
            going = [sheet for sheet in sheets if sheet.reason is None and step < len(sheet.solution.steps)]
            self._ask_wave([(sheet, step) for sheet in going])

    def _ask_wave(self, wave: Sequence[tuple[Sheet, int]]) -> None:
        """Have critiques of some steps written, then read the verdict behind each of them."""
        for seed, group in _grouped(wave, lambda item: item[0].seed):
            prompts = [self.prompt.messages(sheet.solution, step=step, earlier=sheet.turns) for sheet, step in group]
            answers = self._generate(prompts, n=self.critic.votes, seed=seed)
            questions = [
                self._question(prompt, completion, step)
                for (_, step), prompt, completions in zip(group, prompts, answers, strict=True)
                for completion in completions
                if completion.finish_reason != "failed"
            ]
            scores = iter(self._choice_logprobs(questions))
            for (sheet, _), prompt, completions in zip(group, prompts, answers, strict=True):
                sheet.count(completions)
                self._read_step(sheet, prompt, completions, scores)

    def _question(self, prompt: Sequence[Message], completion: Completion, step: int) -> list[Message]:
        """Return the conversation up to the token that is the verdict."""
        assert isinstance(self.prompt.answer, NextToken)
        text, is_finished = self.prompt.finished(completion.text)
        unfinished = self.prompt.answer.ask_unfinished
        ask = self.prompt.answer.ask if is_finished or unfinished is None else unfinished
        return _continued(prompt, text + self.prompt.fill(ask, step))

    def _read_step(
        self,
        sheet: Sheet,
        prompt: Sequence[Message],
        completions: Sequence[Completion],
        scores: Iterator[tuple[list[Message], ChoiceScores]],
    ) -> None:
        """Add one step's probability to its sheet."""
        answer = self.prompt.answer
        assert isinstance(answer, NextToken)
        p_ok_N: list[float | NoVerdictReason] = []
        turns: list[str] = []
        for completion in completions:
            if completion.finish_reason == "failed":
                p_ok_N.append(completion.failure_reason or NoVerdictReason.TIMED_OUT)
                continue
            question, score = next(scores)
            sheet.count([score])
            if score.logprobs is None:
                p_ok_N.append(score.failure_reason or NoVerdictReason.UNPARSABLE)
                continue
            p_ok_N.append(_share(*score.logprobs))
            said = answer.ok if score.logprobs[0] >= score.logprobs[1] else answer.error
            turns.append(question[-1]["content"] + said + answer.close)
        sheet.add_step(p_ok_N, [completion.text or completion.failure or "" for completion in completions])
        sheet.turns += turns[:1]

    def _generate(
        self, prompts: Sequence[list[Message]], *, n: int, seed: int, choices_P: Sequence[Sequence[str]] | None = None
    ) -> list[list[Completion]]:
        sampling = self.critic.sampling
        return self.generator.generate(
            list(prompts),
            n=n,
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            seed=seed,
            choices_P=choices_P,
        )

    def _choice_logprobs(self, questions: Sequence[list[Message]]) -> list[tuple[list[Message], ChoiceScores]]:
        assert isinstance(self.prompt.answer, NextToken)
        choices = (self.prompt.answer.ok, self.prompt.answer.error)
        scores = self.generator.choice_logprobs(list(questions), choices=choices)
        return list(zip(questions, scores, strict=True))


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


def _continued(prompt: Sequence[Message], text: str) -> list[Message]:
    """Return a conversation in which the assistant has written a text, behind what it had begun with."""
    begun = prompt[-1]["content"] if prompt[-1]["role"] == "assistant" else ""
    before = prompt[:-1] if prompt[-1]["role"] == "assistant" else prompt
    return [*before, {"role": "assistant", "content": begun + text}]


def _share(logprob_ok: float, logprob_error: float) -> float:
    """Return P(ok) / (P(ok) + P(error)) of two log-probabilities, nats."""
    difference = logprob_error - logprob_ok
    return 1 / (1 + math.exp(difference)) if difference < 0 else math.exp(-difference) / (1 + math.exp(-difference))


def _grouped(items: Sequence[T], key: Callable[[T], K]) -> list[tuple[K, list[T]]]:
    """Put items with one key together, in the order in which keys first appear."""
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.items())


def _check(critic: CriticCard, prompt: CriticPrompt, decision: ThresholdRule | ArgmaxRule) -> None:
    """Refuse settings that contradict each other."""
    votes_decide = not isinstance(prompt.answer, NextToken)
    is_argmax = isinstance(decision, ArgmaxRule)
    if votes_decide and not is_argmax and decision.origin == "default":
        raise ConfigError(
            "the votes of this critic name a step, and a threshold that nobody fitted would overlook most of them: "
            "put 'decision: {kind: argmax}' into the judge's card"
        )
    if critic.early_stop and not (votes_decide and is_argmax):
        raise ConfigError("critic.early_stop needs votes that name a step, and 'decision: {kind: argmax}'")
    if critic.force_answer and not isinstance(prompt.answer, BoxedIndex):
        raise ConfigError(
            f"critic.force_answer needs a prompt with answers of type 'boxed_index': {critic.prompt} has "
            f"{prompt.answer.type!r}"
        )


__all__ = ["CriticJudge"]
