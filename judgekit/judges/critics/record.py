"""A critic's output on one solution so far: votes or step probabilities, texts, tokens and cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from judgekit.engines.generation.base import ChoiceScores, Completion
from judgekit.judges.critics.votes import Vote, most_common_reason, parsed_votes
from judgekit.ties import rounded
from judgekit.types import NoVerdictReason, Solution, Verdict

T = TypeVar("T")
K = TypeVar("K")


@dataclass
class Record:
    """The record of one solution while it is judged."""

    solution: Solution
    """What the critic is shown, neutralised."""
    seed: int
    """Seed of its first votes."""
    reason: NoVerdictReason | None = None
    """Why it gets no verdict; set before anything is asked, or by a step without an answer."""
    votes: list[Vote] = field(default_factory=list)
    """Whole-solution critics: the votes so far."""
    p_ok_S: list[float] = field(default_factory=list)
    """Step-wise critics: P(step ok | earlier ok) so far."""
    turns: list[str] = field(default_factory=list)
    """Step-wise critics that see them: the earlier answers."""
    texts: list[str] = field(default_factory=list)
    """What the critic wrote, each with a headline."""
    n_tokens: int = 0
    """Tokens read and written."""
    cost_usd: float | None = None
    """US dollars; `None` if the engine knows no price."""

    def count(self, answers: Sequence[Completion] | Sequence[ChoiceScores]) -> None:
        """Add tokens and cost of the answers to one prompt, which is read once."""
        self.n_tokens += max(answer.n_prompt_tokens for answer in answers)
        for answer in answers:
            self.n_tokens += answer.n_tokens if isinstance(answer, Completion) else 0
            if answer.cost_usd is not None:
                self.cost_usd = (self.cost_usd or 0.0) + answer.cost_usd

    def add_vote(self, vote: Vote, text: str) -> None:
        """Add a vote with the answer it was read from."""
        self.votes.append(vote)
        self.texts.append(f"--- answer {len(self.votes)}: {_spoken(vote)}\n{text}")

    def add_step(self, step: int, p_ok_N: Sequence[float | NoVerdictReason], texts_N: Sequence[str]) -> None:
        """Add a step's probability, the mean over the answers that could be read; without any the record is closed."""
        for sample, (p_ok, text) in enumerate(zip(p_ok_N, texts_N, strict=True), start=1):
            said = str(p_ok) if isinstance(p_ok, NoVerdictReason) else f"P(ok) {p_ok:.4f}"
            self.texts.append(f"--- step {step}, answer {sample}: {said}\n{text}")
        read = [p_ok for p_ok in p_ok_N if not isinstance(p_ok, NoVerdictReason)]
        if read:
            self.p_ok_S.append(rounded(sum(read) / len(read)))  # whatever the order of the answers
        elif self.reason is None:
            self.reason = most_common_reason([p_ok for p_ok in p_ok_N if isinstance(p_ok, NoVerdictReason)])

    def verdict(self, *, smoothing: float) -> Verdict | NoVerdictReason:
        """Return the posterior: of the step probabilities, or of the votes that could be read; or why there is none."""
        if self.reason is not None:
            return self.reason
        if self.p_ok_S:
            return Verdict.from_step_probs(self.p_ok_S)
        parsed = parsed_votes(self.votes)
        if not parsed:
            return most_common_reason(self.votes)
        return Verdict.from_votes(parsed, n_steps=len(self.solution.steps), smoothing=smoothing)

    @property
    def raw(self) -> str | None:
        """All texts of the critic, below one line with the counts of its votes; `None` if nothing was asked."""
        if not self.texts:
            return None
        counts = Counter(map(_spoken, self.votes))
        said = "; ".join(f"{count} x {outcome}" for outcome, count in counts.most_common())
        return "\n".join([*([f"{len(self.votes)} votes: {said}"] if counts else []), *self.texts])


def grouped(items: Sequence[T], key: Callable[[T], K]) -> list[tuple[K, list[T]]]:
    """Put items with one key together, in the order in which keys first appear."""
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.items())


def _spoken(vote: Vote) -> str:
    if isinstance(vote, NoVerdictReason):
        return f"no verdict ({vote})"
    return "no error" if vote is None else f"first error at step {vote}"
