"""Linear equations: bare ones and the stories behind them."""

from __future__ import annotations

from judgekit_datasets.procedural.families.task import Draw, Level, Step, Story, Task


def one_sided(draw: Draw) -> Task:
    """`ax + b = c`, bare or as a story."""
    x, a, b = draw.whole(2), draw.whole(2, 9), draw.whole(2)
    problem = draw.phrase(
        "Solve for x: {a}x + {b} = {c}.",
        "{who} thinks of a number x. {a} times x, and {b} more, makes {c}. What is x?",
        "A taxi costs {b} dollars plus {a} dollars for every mile. {who} pays {c} dollars for x miles. What is x?",
        "A plumber charges {b} dollars for the visit and {a} dollars an hour. The bill for x hours is {c} dollars. "
        "Find x.",
    )
    steps = (
        Step("rest", "c - b", draw.phrase("With x there is {a}x = {eq}.", "So {a}x = {eq}.", "For {a}x that is {eq}.")),
        Step("x", "rest / a", draw.phrase("Therefore x = {eq}.", "Then x = {eq}.", "The unknown is {eq}.")),
    )  # fmt: skip
    return Task(problem, {"a": a, "b": b, "c": a * x + b}, steps, x, draw.people())


def times_as_old(draw: Draw) -> Task:
    """Two ages of which one is a multiple of the other, and their sum."""
    younger, factor = draw.whole(3), draw.whole(2, 7)
    problem = draw.phrase(
        "{who} is {k} times as old as {other}. Together they are {total} years old. How old is {who}?",
        "{who} has {k} times as many books as {other}, and both together have {total}. How many does {who} have?",
        "{total} coins are shared so that {who} gets {k} times as many as {other}. How many coins does {who} get?",
    )
    steps = (
        Step("parts", "k + 1", draw.phrase("Counted in equal parts there are {eq}.", "Number of parts: {eq}.")),
        Step("part", "total / parts", draw.phrase("For {other} that makes {eq}.", "One part: {eq}.")),
        Step("larger", "part * k", draw.phrase("For {who} it is {eq}.", "{who}: {eq}.", "The answer is {eq}.")),
    )
    return Task(problem, {"k": factor, "total": (factor + 1) * younger}, steps, factor * younger, draw.people())


def two_sided(draw: Draw) -> Task:
    """`ax + b = cx + d`, bare or as two prices."""
    x, c = draw.whole(2), draw.whole(2, 12)
    a, b = c + draw.whole(2, 9), draw.whole(2)
    d = (a - c) * x + b
    problem = draw.phrase(
        "Solve for x: {a}x + {b} = {c}x + {d}.",
        "Find the x for which {a}x + {b} and {c}x + {d} are the same number.",
        "Gym A costs {b} dollars to join and {a} dollars a visit. Gym B costs {d} dollars to join and {c} dollars a "
        "visit. For how many visits x do both cost the same?",
        "{who} has {b} dollars and saves {a} a week. {other} has {d} dollars and saves {c} a week. After how many "
        "weeks x do they have the same?",
    )
    steps = (
        Step("slope", "a - c", draw.phrase("Terms with x: {eq}.", "For each x the two sides differ by {eq}.")),
        Step("gap", "d - b", draw.phrase("Plain numbers: {eq}.", "The numbers without x come to {eq}.")),
        Step("x", "gap / slope", draw.phrase("Hence x = {eq}.", "So x = {eq}.", "Solving {slope}x = {gap}: {eq}.")),
    )
    return Task(problem, {"a": a, "b": b, "c": c, "d": d}, steps, x, draw.people())


def negative_solution(draw: Draw) -> Task:
    """`a(x - b) = c`, where x may be negative."""
    x, a, b = draw.whole(-draw.top), draw.other_than(0, -9, 9), draw.whole(1)
    problem = draw.phrase(
        "Solve for x, which may be negative: {a} * (x - {b}) = {c}.",
        "When {b} is taken from x and the difference is multiplied by {a}, the product is {c}. Find x.",
        "The product of {a} and (x - {b}) is {c}. Which number is x?",
    )
    steps = (
        Step("bracket", "c / a", draw.phrase("The bracket is {eq}.", "The difference has the value {eq}.")),
        Step("x", "bracket + b", draw.phrase("With that, x = {eq}.", "Finally x = {eq}.")),
        Step("double", "x * 2", draw.phrase("And twice x is {eq}.", "Doubled: {eq}.")),
    )
    problem += draw.phrase(" Give twice its value.", " State 2x as the answer.")
    return Task(problem, {"a": a, "b": b, "c": a * (x - b)}, steps, 2 * x, signed=True)


def brackets(draw: Draw) -> Task:
    """`a(x + b) + c = dx + e`."""
    x, d = draw.whole(2), draw.whole(2, 9)
    a, b, c = d + draw.whole(2, 7), draw.whole(2, 15), draw.whole(2, 30)
    e = a * (x + b) + c - d * x
    problem = draw.phrase(
        "Solve for x: {a} * (x + {b}) + {c} = {d}x + {e}.",
        "For which number x do {a} * (x + {b}) + {c} and {d}x + {e} agree?",
        "Take a number x, add {b}, multiply by {a} and add {c}: the result is the same as {d} times x, and {e} more. "
        "What is x?",
    )
    steps = (
        Step("opened", "a * b", draw.phrase("Opening the bracket gives the number {eq}.", "The bracket adds {eq}.")),
        Step("plain", "opened + c", draw.phrase("Numbers on the left: {eq}.", "On the left we collect {eq}.")),
        Step("gap", "e - plain", draw.phrase("Numbers on one side: {eq}.", "Brought to the right they make {eq}.")),
        Step("slope", "a - d", draw.phrase("Terms with x on the other: {eq}.", "The factor of x is {eq}.")),
        Step("x", "gap / slope", draw.phrase("So x = {eq}.", "Thus {slope}x = {gap} and x = {eq}.")),
    )
    return Task(problem, {"a": a, "b": b, "c": c, "d": d, "e": e}, steps, x)


def two_unknowns(draw: Draw) -> Task:
    """Two purchases that differ in the number of one article."""
    first, second = draw.things(2)
    price, other = draw.whole(2), draw.whole(2)
    p, q, more = draw.whole(2, 6), draw.whole(2, 7), draw.whole(2, 5)
    given = {"p": p, "q": q, "r": p + more, "small": p * price + q * other, "big": (p + more) * price + q * other}
    problem = draw.phrase(
        "{p} {first} and {q} {second} cost {small} dollars; {r} {first} and {q} {second} cost {big} dollars. "
        "How much do one of the {first} and one of the {second} cost together?",
        "{who} pays {small} dollars for {p} {first} and {q} {second}. {other} pays {big} dollars for {r} {first} and "
        "{q} {second}. What is the price of one of each?",
        "A box with {p} {first} and {q} {second} is sold at {small} dollars, one with {r} {first} and {q} {second} at "
        "{big} dollars. What would a box with one of each cost?",
    )
    steps = (
        Step("more", "r - p", draw.phrase("Difference in {first}: {eq}.", "The numbers of {first} differ by {eq}.")),
        Step("dearer", "big - small", draw.phrase("Difference in price: {eq} dollars.", "The bills differ by {eq}.")),
        Step("price", "dearer / more", draw.phrase("One of the {first} costs {eq}.", "Price of the first: {eq}.")),
        Step("part", "p * price", draw.phrase("In the smaller purchase the {first} cost {eq}.", "{first}: {eq}.")),
        Step("rest", "small - part", draw.phrase("For the {second} remain {eq} dollars.", "The {second} cost {eq}.")),
        Step("other_price", "rest / q", draw.phrase("One of the {second} costs {eq}.", "Price of the second: {eq}.")),
        Step("both", "price + other_price", draw.phrase("Together that is {eq} dollars.", "One of each: {eq}.")),
    )
    return Task(problem, given, steps, price + other, draw.people() | {"first": first, "second": second})


STORIES: dict[Level, tuple[Story, ...]] = {
    Level.EASY: (one_sided, times_as_old),
    Level.MEDIUM: (times_as_old, two_sided, negative_solution),
    Level.HARD: (brackets, two_unknowns),
}
"""Which stories a level has."""
