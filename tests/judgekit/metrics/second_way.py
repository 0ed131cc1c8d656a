"""Every metric a second time: exact fractions, loops over pairs, subsets and stretches, nothing of the library's.

What is written here follows the definitions in the docstrings, not the code: no sorting into ties, no cumulative sums,
no arrays. Probabilities are `Fraction`s, so equal means equal. `None` stands for a figure that does not exist.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import combinations, pairwise
from typing import NamedTuple

F = Fraction
CLIP = F(1, 10**7)


class Step(NamedTuple):
    """One step that counts: up to the first error."""

    p: Fraction
    ok: bool
    solution: int
    index: int
    n_steps: int


def share(part: Fraction | int, whole: Fraction | int) -> Fraction | None:
    return F(part) / F(whole) if whole else None


def mean(values: Sequence[Fraction | int]) -> Fraction | None:
    return share(sum(values), len(values))


def half_points(first: Fraction, second: Fraction) -> Fraction:
    """1 where the first is higher, 1/2 where they are equal, else 0."""
    return F(1) if first > second else F(1, 2) if first == second else F(0)


def harmonic(a: Fraction | None, b: Fraction | None) -> Fraction | None:
    if a is None or b is None:
        return None
    return 2 * a * b / (a + b) if a + b else F(0)


# Ranking


def auroc(steps: Sequence[Step]) -> Fraction | None:
    pairs = [half_points(a.p, b.p) for a in steps for b in steps if a.ok and not b.ok]
    return mean(pairs)


def pairs_within_position(steps: Sequence[Step]) -> list[Fraction]:
    return [
        half_points(a.p, b.p)
        for a in steps
        for b in steps
        if a.ok and not b.ok and (a.index, a.n_steps) == (b.index, b.n_steps)
    ]


def average_precision_of_errors(steps: Sequence[Step]) -> Fraction | None:
    n_wrong = sum(not step.ok for step in steps)
    total = F(0)
    for level in {step.p for step in steps}:
        found = [step for step in steps if step.p <= level]
        gained = sum(step.p == level and not step.ok for step in steps)
        total += F(gained, max(n_wrong, 1)) * F(sum(not step.ok for step in found), len(found))
    return total if n_wrong else None


# Bins


def equal_width(n_bins: int) -> list[Fraction]:
    return [F(k, n_bins) for k in range(n_bins + 1)]


def equal_mass(probs: Sequence[Fraction], n_bins: int) -> list[Fraction]:
    ascending = sorted(probs)
    n_bins = max(1, min(n_bins, len(ascending) // 2))
    inner = {ascending[k * len(ascending) // n_bins] for k in range(1, n_bins)}
    return [F(0), *sorted(edge for edge in inner if edge > ascending[0]), F(1)]


def bin_of(prob: Fraction, edges: Sequence[Fraction]) -> int:
    return sum(edge <= prob for edge in edges[1:-1])


def in_bins(steps: Sequence[Step], edges: Sequence[Fraction]) -> list[list[Step]]:
    return [[step for step in steps if bin_of(step.p, edges) == b] for b in range(len(edges) - 1)]


def gap(held: Sequence[Step]) -> Fraction:
    """Mean probability less share right of a bin that is not empty."""
    return F(sum(step.p - step.ok for step in held)) / len(held)


def ece(bins: Sequence[Sequence[Step]]) -> Fraction | None:
    n_steps = sum(map(len, bins))
    return share(sum(len(held) * abs(gap(held)) for held in bins if held), n_steps)


def squared_error_debiased(bins: Sequence[Sequence[Step]]) -> Fraction | None:
    counted, total = 0, F(0)
    for held in bins:
        if len(held) >= 2:
            right = F(sum(step.ok for step in held), len(held))
            total += len(held) * (gap(held) ** 2 - right * (1 - right) / (len(held) - 1))
            counted += len(held)
    return share(total, counted)


def brier(steps: Sequence[Step]) -> Fraction | None:
    return mean([(step.p - step.ok) ** 2 for step in steps])


def brier_parts(bins: Sequence[Sequence[Step]]) -> list[Fraction]:
    """Brier score, reliability, resolution, uncertainty, and what the bins do not see, which is what is left."""
    steps = [step for held in bins for step in held]
    base, n = F(sum(step.ok for step in steps), len(steps)), len(steps)
    reliability = sum((len(held) * gap(held) ** 2 for held in bins if held), F(0)) / n
    resolution = F(0)
    for held in bins:
        if held:
            resolution += F(len(held), n) * (F(sum(step.ok for step in held), len(held)) - base) ** 2
    uncertainty = base * (1 - base)
    score = brier(steps)
    assert score is not None
    return [score, reliability, resolution, uncertainty, score - reliability + resolution - uncertainty]


def variance(probs: Sequence[Fraction]) -> Fraction:
    """Half the mean squared distance of all pairs."""
    return sum(((a - b) ** 2 for a in probs for b in probs), F(0)) / (2 * len(probs) ** 2)


def nll(step: Step) -> float:
    p_true = step.p if step.ok else 1 - step.p
    return -math.log(min(max(p_true, CLIP), 1 - CLIP))


# First errors


def posterior(p_ok_S: Sequence[Fraction]) -> list[Fraction]:
    n_steps = len(p_ok_S)
    before = [math.prod(p_ok_S[:k], start=F(1)) for k in range(n_steps + 1)]
    return [before[k] * (1 - p_ok_S[k]) for k in range(n_steps)] + [before[-1]]


def decide_by_threshold(p_ok_S: Sequence[Fraction], threshold: Fraction) -> int | None:
    flagged = [k for k, p_ok in enumerate(p_ok_S) if p_ok < threshold]
    return min(flagged, default=None)


def decide_by_argmax(probs: Sequence[Fraction]) -> int | None:
    best = next(k for k, prob in enumerate(probs) if all(prob >= other for other in probs))
    return None if best == len(probs) - 1 else best


class Localized(NamedTuple):
    gold: int | None
    predicted: int | None
    judged: bool


def localization(rows: Sequence[Localized], *, judged_only: bool = False) -> list[Fraction | None]:
    """Error accuracy, correct accuracy, F1."""
    kept = [row for row in rows if row.judged or not judged_only]
    hits = {
        kind: mean([row.judged and row.gold == row.predicted for row in kept if (row.gold is None) == kind])
        for kind in (False, True)
    }
    return [hits[False], hits[True], harmonic(hits[False], hits[True])]


def offsets(rows: Sequence[Localized]) -> list[Fraction | None]:
    wrong = [row for row in rows if row.gold is not None]
    right = [row for row in rows if row.gold is None]
    of_wrong: list[Callable[[Localized], bool]] = [
        lambda row: row.judged and row.predicted == row.gold,
        lambda row: row.judged and row.predicted is not None and row.predicted < row.gold,
        lambda row: row.judged and row.predicted is not None and row.predicted > row.gold,
        lambda row: row.judged and row.predicted is None,
        lambda row: not row.judged,
    ]
    of_right: list[Callable[[Localized], bool]] = [
        lambda row: row.judged and row.predicted is None,
        lambda row: row.judged and row.predicted is not None,
        lambda row: not row.judged,
    ]
    shares = [mean([holds(row) for row in wrong]) for holds in of_wrong]
    return shares + [mean([holds(row) for row in right]) for holds in of_right]


def accuracy(rows: Sequence[Localized]) -> Fraction | None:
    return mean([row.judged and row.gold == row.predicted for row in rows])


def correlation(rows: Sequence[Localized]) -> float | None:
    """Correlation of "is right" with "is called right"; an unjudged solution is called what it is not."""
    true = [int(row.gold is None) for row in rows]
    called = [int(row.predicted is None) if row.judged else int(row.gold is not None) for row in rows]
    if not 0 < sum(true) < len(true):
        return None
    n, mean_true, mean_called = len(true), F(sum(true), len(true)), F(sum(called), len(called))
    covariance = sum((F(a) - mean_true) * (F(b) - mean_called) for a, b in zip(true, called, strict=True)) / n
    spread = variance([F(a) for a in true]) * variance([F(b) for b in called])
    return float(covariance) / math.sqrt(spread) if spread else 0.0


def mr_gsm8k(rows: Sequence[Localized], *, judged_only: bool = False) -> list[float | None]:
    kept = [row for row in rows if row.judged or not judged_only]
    mcc, located = correlation(kept), localization(rows, judged_only=judged_only)[0]
    part = None if mcc is None or located is None else 0.2 * max(0.0, mcc) + 0.3 * float(located)
    return [mcc, None if located is None else float(located), part]


def best_threshold(p_ok_N_S: Sequence[Sequence[Fraction] | None], gold_N: Sequence[int | None]) -> list[Fraction]:
    """Best F1, and the widest stretch of thresholds that has it: every stretch between two probabilities is tried."""
    cuts = sorted({F(0), F(1), *(p for p_ok_S in p_ok_N_S if p_ok_S is not None for p in p_ok_S)})

    def f1_at(threshold: Fraction) -> Fraction:
        rows = [
            Localized(gold, None if p_ok_S is None else decide_by_threshold(p_ok_S, threshold), p_ok_S is not None)
            for p_ok_S, gold in zip(p_ok_N_S, gold_N, strict=True)
        ]
        f1 = localization(rows)[2]
        assert f1 is not None
        return f1

    values = [f1_at(hi) for hi in cuts[1:]]
    best = max(values)
    stretches: list[tuple[Fraction, Fraction]] = []
    for (lo, hi), value in zip(pairwise(cuts), values, strict=True):
        if value == best:
            joined = stretches and stretches[-1][1] == lo
            stretches = [*stretches[:-1], (stretches[-1][0], hi)] if joined else [*stretches, (lo, hi)]
    widest = max(hi - lo for lo, hi in stretches)
    lo, hi = next((lo, hi) for lo, hi in stretches if hi - lo == widest)
    return [best, lo, hi]


def best_no_error_weight(posterior_N_O: Sequence[Sequence[Fraction] | None], gold_N: Sequence[int | None]) -> Fraction:
    """Share t = w / (1 + w) in the middle of the widest stretch with the best F1: every stretch is tried."""

    def end(posterior_O: Sequence[Fraction]) -> Fraction:
        return max(posterior_O[:-1]) / (max(posterior_O[:-1]) + posterior_O[-1])

    cuts = sorted({F(0), F(1), *(end(posterior_O) for posterior_O in posterior_N_O if posterior_O is not None)})

    def f1_at(share: Fraction) -> Fraction:
        rows = []
        for posterior_O, gold in zip(posterior_N_O, gold_N, strict=True):
            if posterior_O is None:
                rows.append(Localized(gold, None, judged=False))
                continue
            *steps, none = posterior_O
            is_none = share * none > (1 - share) * max(steps)
            rows.append(Localized(gold, None if is_none else steps.index(max(steps)), judged=True))
        f1 = localization(rows)[2]
        assert f1 is not None
        return f1

    values = [f1_at(hi) for hi in cuts[1:]]
    stretches: list[tuple[Fraction, Fraction]] = []
    for (lo, hi), value in zip(pairwise(cuts), values, strict=True):
        if value == max(values):
            joined = stretches and stretches[-1][1] == lo
            stretches = [*stretches[:-1], (stretches[-1][0], hi)] if joined else [*stretches, (lo, hi)]
    lo, hi = max(stretches, key=lambda stretch: (stretch[1] - stretch[0], -stretch[0]))
    return (lo + hi) / 2


class FirstError(NamedTuple):
    log_loss: float
    n_above: int
    n_tied: int
    distance: Fraction
    rts: Fraction
    true_rts: Fraction


def first_error(probs: Sequence[Fraction], gold: int | None) -> FirstError:
    n_steps = len(probs) - 1
    true = n_steps if gold is None else gold
    return FirstError(
        log_loss=-math.log(min(max(probs[true], CLIP), 1 - CLIP)),
        n_above=sum(prob > probs[true] for prob in probs),
        n_tied=sum(prob == probs[true] for prob in probs),
        distance=sum((prob * abs(place - true) for place, prob in enumerate(probs)), F(0)),
        rts=sum((prob * F(place, n_steps) for place, prob in enumerate(probs)), F(0)),
        true_rts=F(true, n_steps),
    )


# PRMBench


def f1_of(pairs: Sequence[tuple[bool, bool]], positive: bool) -> Fraction | None:
    """F1 of one label from (label, call) pairs; `None` where the label does not occur."""
    if not any(label == positive for label, _ in pairs):
        return None
    hits = sum(label == call == positive for label, call in pairs)
    precision = share(hits, sum(call == positive for _, call in pairs)) or F(0)
    recall = share(hits, sum(label == positive for label, _ in pairs)) or F(0)
    return harmonic(precision, recall)


def prm_scores(
    labels_N: Sequence[Sequence[bool]], calls_N: Sequence[Sequence[bool] | None], *, judged_only: bool = False
) -> list[Fraction | None]:
    pairs: list[tuple[bool, bool]] = []
    for labels, calls in zip(labels_N, calls_N, strict=True):
        if calls is not None:
            pairs += zip(labels, calls, strict=True)
        elif not judged_only:
            pairs += [(label, not label) for label in labels]
    right, wrong = f1_of(pairs, True), f1_of(pairs, False)
    return [right, wrong, right if wrong is None else None if right is None else (right + wrong) / 2]


# Abstention


def risks_by_rank(confidence: Sequence[Fraction], wrong: Sequence[bool]) -> list[Fraction]:
    """Expected number wrong among the k most sure, k = 1..N, over k: equally sure ones in a random order."""
    n = len(confidence)
    expected = []
    for k in range(1, n + 1):
        errors = F(0)
        for mine, is_wrong in zip(confidence, wrong, strict=True):
            n_surer = sum(other > mine for other in confidence)
            n_equal = sum(other == mine for other in confidence)
            chance = min(max(F(k - n_surer, n_equal), F(0)), F(1))  # that this one is among the k
            errors += chance * is_wrong
        expected.append(errors / k)
    return expected


def risk_at(coverage: Fraction, confidence: Sequence[Fraction], wrong: Sequence[bool]) -> Fraction:
    """Between whole numbers of solutions the next one counts in part."""
    risks, wanted = risks_by_rank(confidence, wrong), coverage * len(wrong)
    whole = math.floor(wanted)
    errors = [F(0), *(k * risk for k, risk in enumerate(risks, start=1))]
    part = (wanted - whole) * (errors[whole + 1] - errors[whole]) if whole < len(wrong) else F(0)
    return (errors[whole] + part) / wanted


# Samples of a problem


def expected_best(scores: Sequence[Fraction], outcomes: Sequence[int], n_drawn: int) -> Fraction:
    values = []
    for subset in combinations(range(len(scores)), n_drawn):
        best = max(scores[member] for member in subset)
        values.append(mean([outcomes[member] for member in subset if scores[member] == best]))
    found = mean([value for value in values if value is not None])
    assert found is not None
    return found


def expected_vote(
    answers: Sequence[int | None], weights: Sequence[Fraction], outcomes: Sequence[int], n_drawn: int
) -> Fraction:
    values = []
    for subset in combinations(range(len(answers)), n_drawn):
        total = {
            answer: sum((weights[member] for member in subset if answers[member] == answer), F(0))
            for answer in {answers[member] for member in subset} - {None}
        }
        most = max(total.values(), default=F(0))
        winners = [answer for answer, weight in total.items() if weight == most and most > 0]
        each = [[outcomes[m] for m in subset if answers[m] == winner] for winner in winners]
        values.append(mean([mean(won) or F(0) for won in each]) if each else mean([outcomes[m] for m in subset]))
    found = mean([value or F(0) for value in values])
    assert found is not None
    return found


# Conformal sets


def mass_above(probs: Sequence[Fraction]) -> list[Fraction]:
    """Mass of the outcomes that are more probable, and of the equally probable ones that come before."""
    return [
        sum((p for k, p in enumerate(probs) if p > mine or (p == mine and k < place)), F(0))
        for place, mine in enumerate(probs)
    ]


def conformal_threshold(scores: Sequence[Fraction], problems: Sequence[str], alpha: Fraction) -> Fraction:
    """The smallest of the scores, 0 and 1 at which (sum of the problems' losses + 1) / (n + 1) <= alpha."""
    names = set(problems)
    for threshold in sorted({F(0), F(1), *scores}):
        losses = []
        for name in names:
            own = [score for score, problem in zip(scores, problems, strict=True) if problem == name]
            losses.append(F(sum(score > threshold for score in own), len(own)))
        if (sum(losses, F(0)) + 1) / (len(names) + 1) <= alpha:
            return threshold
    return F(1)
