"""Sequences: arithmetic, geometric, and those where each term is made from the one before."""

from __future__ import annotations

from judgekit_datasets.procedural.families.task import Draw, Level, Number, Step, Story, Task

_ORDINALS = {3: "third", 4: "fourth", 5: "fifth"}
_WORDS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five"}


def next_term(draw: Draw) -> Task:
    """The difference of an arithmetic sequence, and its next term but one."""
    first, difference = draw.whole(2), draw.whole(2)
    terms = {"a": first, "b": first + difference, "c": first + 2 * difference}
    problem = draw.phrase(
        "An arithmetic sequence begins {a}, {b}, {c}. What is its fifth term?",
        "{who} saves {a} dollars in the first month, {b} in the second and {c} in the third, always rising alike. How "
        "much in the fifth?",
        "The numbers {a}, {b}, {c} go on with equal steps. Which number comes two places after {c}?",
    )
    steps = (
        Step("d", "b - a", draw.phrase("From term to term it is {eq}.", "The step is {eq}.")),
        Step("fourth", "c + d", draw.phrase("Fourth: {eq}.", "The next term is {eq}.")),
        Step("fifth", "fourth + d", draw.phrase("Fifth: {eq}.", "After that comes {eq}.")),
    )
    return Task(problem, terms, steps, first + 4 * difference, draw.people())


def nth_term(draw: Draw) -> Task:
    """A term far along an arithmetic sequence."""
    first, difference, n = draw.whole(2), draw.whole(2), draw.whole(8, 40)
    problem = draw.phrase(
        "An arithmetic sequence begins {a}, {b}. What is its term number {n}?",
        "The first row of a theatre has {a} seats, the second {b}, and each row has as many more than the one before. "
        "How many seats has row {n}?",
        "{who} runs {a} minutes on day 1 and {b} minutes on day 2, adding the same every day. How many minutes on day "
        "{n}?",
    )
    steps = (
        Step("d", "b - a", draw.phrase("From one to the next it is {eq}.", "The common difference is {eq}.")),
        Step("times", "n - 1", draw.phrase("It is added {eq} times.", "Number of steps: {eq}.")),
        Step("growth", "times * d", draw.phrase("In all that comes to {eq}.", "The whole change is {eq}.")),
        Step("term", "a + growth", draw.phrase("The term is {eq}.", "The answer is {eq}.")),
    )
    answer = list(range(first, first + n * difference, difference))[-1]
    return Task(problem, {"a": first, "b": first + difference, "n": n}, steps, answer, draw.people())


def geometric(draw: Draw) -> Task:
    """A term of a geometric sequence, one multiplication at a time."""
    first, ratio = draw.whole(2, 9), draw.whole(2, 4)
    last = draw.whole(4, 5)
    problem = draw.phrase(
        "A geometric sequence begins {a}, {b}. What is its {ordinal} term?",
        "A culture has {a} cells at the first count and {b} at the second, and it grows by the same factor each time. "
        "How many cells are there at the {ordinal} count?",
        "{who} folds {a} cranes in week one and {b} in week two, each week the same multiple of the week before. How "
        "many in the {ordinal} week?",
    )
    text = draw.phrase("{ORDINAL}: {eq}.", "The {ordinal} is {eq}.", "Then comes {eq}.")
    steps = [Step("q", "b / a", draw.phrase("From one to the next: {eq}.", "The factor is {eq}."))]
    for number in range(3, last + 1):
        before = "b" if number == 3 else f"term_{number - 1}"
        name = _ORDINALS[number]
        sentence = text.replace("{ORDINAL}", name.capitalize()).replace("{ordinal}", name)
        steps.append(Step(f"term_{number}", f"{before} * q", sentence))
    words = draw.people() | {"ordinal": _ORDINALS[last]}
    return Task(problem, {"a": first, "b": first * ratio}, tuple(steps), first * ratio ** (last - 1), words)


def recurrence(draw: Draw) -> Task:
    """Each term is a multiple of the one before, and a number more."""
    first, factor, more = draw.whole(2, 20), draw.whole(2, 3), draw.whole(2)
    n = 3 if draw.level is Level.MEDIUM else 5
    problem = draw.phrase(
        "A sequence starts with {a}. Each further term is {k} times the term before, and {m} more. Which number is "
        "reached after {n} such steps?",
        "{who} has {a} points. In every round the points are multiplied by {k}, and {m} points are added. How many "
        "points are there after {n} rounds?",
        "Start with {a}. Multiply by {k} and add {m}, and do so {n} times. What comes out?",
    )
    text = draw.phrase("Step {i} gives {eq}.", "After round {i} it is {eq}.", "Round {i}: {eq}.")
    steps, before, answer = [], "a", first
    for number in range(1, n + 1):
        steps.append(Step(f"term_{number}", f"k * {before} + m", text.replace("{i}", _WORDS[number])))
        before, answer = f"term_{number}", factor * answer + more
    given: dict[str, Number] = {"a": first, "k": factor, "m": more, "n": n}
    return Task(problem, given, tuple(steps), answer, draw.people())


def sum_of_terms(draw: Draw) -> Task:
    """The sum of an arithmetic sequence."""
    first, difference, n = draw.whole(2), draw.whole(2, 20), draw.whole(6, 30)
    problem = draw.phrase(
        "An arithmetic sequence begins {a}, {b}. What is the sum of its first {n} terms?",
        "A hall has {a} seats in the first row and {b} in the second, each row growing alike. How many seats are in "
        "{n} rows?",
        "{who} reads {a} pages on the first day, {b} on the second, and goes on adding the same number. How many pages "
        "in {n} days?",
    )
    steps = (
        Step("d", "b - a", draw.phrase("From one to the next it is {eq}.", "The common difference is {eq}.")),
        Step("times", "n - 1", draw.phrase("It is added {eq} times.", "Number of steps: {eq}.")),
        Step("growth", "times * d", draw.phrase("In all that comes to {eq}.", "The whole change is {eq}.")),
        Step("last", "a + growth", draw.phrase("The last term is {eq}.", "At the end stands {eq}.")),
        Step("ends", "a + last", draw.phrase("Both ends make {eq}.", "First and last: {eq}.")),
        Step("sum", "ends * n / 2", draw.phrase("The sum is {eq}.", "Therefore the answer is {eq}.")),
    )
    answer = sum(range(first, first + n * difference, difference))
    return Task(problem, {"a": first, "b": first + difference, "n": n}, steps, answer, draw.people())


def between_two_terms(draw: Draw) -> Task:
    """A term of an arithmetic sequence of which two others are known."""
    first, difference, i = draw.whole(2), draw.whole(2, 20), draw.whole(2, 6)
    j, further = i + draw.whole(2, 9), draw.whole(3, 20)
    problem = draw.phrase(
        "Term number {i} of an arithmetic sequence is {p}, term number {j} is {q}. What is term number {k}?",
        "On day {i} a plant measures {p} millimetres, on day {j} {q}. It grows the same every day. How tall is it on "
        "day {k}?",
        "{who} notes a meter that rises evenly: {p} in hour {i} and {q} in hour {j}. What does it show in hour {k}?",
    )
    steps = (
        Step("rise", "q - p", draw.phrase("Between the two it rises by {eq}.", "The known terms differ by {eq}.")),
        Step("gap", "j - i", draw.phrase("In places that is {eq}.", "They lie {eq} apart.")),
        Step("d", "rise / gap", draw.phrase("From one to the next: {eq}.", "Per place it is {eq}.")),
        Step("more", "k - j", draw.phrase("Places to go: {eq}.", "From the later one on: {eq}.")),
        Step("growth", "more * d", draw.phrase("Over these it comes to {eq}.", "The change is {eq}.")),
        Step("term", "q + growth", draw.phrase("The term is {eq}.", "The answer is {eq}.")),
    )
    given = {
        "i": i, "j": j, "k": j + further,
        "p": first + (i - 1) * difference, "q": first + (j - 1) * difference,
    }  # fmt: skip
    answer = first + (j + further - 1) * difference
    return Task(problem, given, steps, answer, draw.people())


STORIES: dict[Level, tuple[Story, ...]] = {
    Level.EASY: (next_term,),
    Level.MEDIUM: (nth_term, geometric, recurrence),
    Level.HARD: (recurrence, sum_of_terms, between_two_terms),
}
"""Which stories a level has."""
