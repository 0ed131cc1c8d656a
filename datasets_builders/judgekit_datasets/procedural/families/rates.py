"""Rates: speed, work, price and wages."""

from __future__ import annotations

from fractions import Fraction

from judgekit_datasets.procedural.families.task import Draw, Level, Number, Step, Story, Style, Task, exact


def journey(draw: Draw) -> Task:
    """A speed and a time; what is left of the way?"""
    speed, hours, rest = draw.whole(8, 90), draw.whole(2, 9), draw.whole(5, 90)
    problem = draw.phrase(
        "A train has {way} miles to go and runs at {v} miles an hour. How many miles are left after {t} hours?",
        "{who} drives {v} miles an hour on a trip of {way} miles. How far is it still after {t} hours?",
        "A pipeline of {way} miles is inspected at {v} miles a day. How many miles remain after {t} days?",
    )
    steps = (
        Step("done", "v * t", draw.phrase("Covered so far: {eq} miles.", "The distance behind is {eq}.")),
        Step("rest", "way - done", draw.phrase("Still ahead: {eq} miles.", "The answer is {eq} miles.")),
    )
    return Task(problem, {"way": speed * hours + rest, "v": speed, "t": hours}, steps, rest, draw.people())


def unit_price(draw: Draw) -> Task:
    """The price of some, from the price of others."""
    (thing,) = draw.things(1)
    number, price = draw.whole(2), draw.whole(2)
    wanted = draw.other_than(number, 2, draw.top)
    problem = draw.phrase(
        "{k} {thing} cost {c} dollars. How much do {n} {thing} cost at the same price?",
        "{who} paid {c} dollars for {k} {thing}. {other} wants {n} {thing} of the same sort. What must {other} pay?",
        "A worker packs {c} {thing} in {k} minutes. How many {thing} are packed in {n} minutes?",
    )
    steps = (
        Step("one", "c / k", draw.phrase("For one it is {eq}.", "The rate is {eq}.")),
        Step("all", "one * n", draw.phrase("For {n} it is {eq}.", "So the answer is {eq}.")),
    )
    given = {"k": number, "c": number * price, "n": wanted}
    return Task(problem, given, steps, wanted * price, draw.people() | {"thing": thing})


def shopping(draw: Draw) -> Task:
    """Two or three kinds of things, paid with a note."""
    kinds = 3 if draw.level is Level.HARD else 2
    things, letters = draw.things(kinds), "abc"[:kinds]
    counts, prices = [draw.whole(2, 12) for _ in things], [draw.whole(2) for _ in things]
    total = sum(count * price for count, price in zip(counts, prices, strict=True))
    note = -(-(total + 1) // 50) * 50
    wares = [f"{{n_{x}}} {thing} at {{p_{x}}} dollars each" for x, thing in zip(letters, things, strict=True)]
    bought = f"{', '.join(wares[:-1])} and {wares[-1]}"
    problem = draw.phrase(
        f"{{who}} buys {bought}, and pays with {{note}} dollars. How many dollars come back?",
        f"A class with {{note}} dollars orders {bought}. How many dollars are left?",
        f"From {{note}} dollars {{who}} takes the money for {bought}. What remains?",
    )
    costs = draw.phrase("The {thing} cost {eq} dollars.", "For the {thing} it is {eq}.", "{thing}: {eq}.")
    steps = [
        Step(f"cost_{x}", f"n_{x} * p_{x}", costs.replace("{thing}", thing))
        for x, thing in zip(letters, things, strict=True)
    ]
    steps.append(Step("sum_b", "cost_a + cost_b", draw.phrase("The first two together: {eq}.", "Sum of both: {eq}.")))
    if kinds == 3:
        steps.append(Step("sum_c", "sum_b + cost_c", draw.phrase("All together: {eq}.", "With the third: {eq}.")))
    steps.append(Step("back", f"note - sum_{letters[-1]}", draw.phrase("What is left: {eq}.", "The answer is {eq}.")))
    given: dict[str, Number] = {"note": note}
    for letter, count, price in zip(letters, counts, prices, strict=True):
        given |= {f"n_{letter}": count, f"p_{letter}": price}
    return Task(problem, given, tuple(steps), note - total, draw.people())


def meeting(draw: Draw) -> Task:
    """Two travellers towards each other; where do they meet?"""
    v, w, hours = draw.whole(3, 60), draw.whole(3, 60), draw.whole(2, 9)
    problem = draw.phrase(
        "Two towns are {way} miles apart. A car leaves one at {v} miles an hour, a van the other at {w} miles an hour, "
        "towards each other. How far does the car get before they meet?",
        "{who} and {other} start {way} miles apart and ride towards each other at {v} and {w} miles an hour. How many "
        "miles has {who} ridden when they meet?",
        "Two crews build a road of {way} yards from both ends, one {v} yards a day, one {w}. How many yards does the "
        "first crew build?",
    )
    steps = (
        Step("both", "v + w", draw.phrase("The two rates make {eq}.", "As one rate: {eq}.")),
        Step("time", "way / both", draw.phrase("The time is {eq}.", "They need {eq}.")),
        Step("first", "v * time", draw.phrase("In that time the first does {eq}.", "The answer is {eq}.")),
    )
    return Task(problem, {"way": (v + w) * hours, "v": v, "w": w}, steps, v * hours, draw.people())


def wages(draw: Draw) -> Task:
    """Hours at two wages, and a deduction."""
    hours, extra, wage = draw.whole(5, 40), draw.whole(2, 12), draw.whole(8, 30)
    more = wage + draw.whole(2, 15)
    tax = draw.whole(5, (hours * wage + extra * more) // 3)
    problem = draw.phrase(
        "{who} works {h} hours at {w} dollars an hour and {x} hours of overtime at {m} dollars an hour. {tax} dollars "
        "go to taxes. How much does {who} keep?",
        "A studio is let for {h} hours at {w} dollars and for {x} evening hours at {m} dollars an hour. Cleaning costs "
        "{tax} dollars. What is the profit?",
        "A pump runs {h} hours at {w} gallons an hour and {x} hours at {m} gallons an hour; {tax} gallons leak. How "
        "many gallons arrive?",
    )
    steps = (
        Step("normal", "h * w", draw.phrase("The {h} hours bring {eq}.", "At the first rate: {eq}.")),
        Step("special", "x * m", draw.phrase("The {x} hours bring {eq}.", "At the second rate: {eq}.")),
        Step("gross", "normal + special", draw.phrase("All hours: {eq}.", "Both amounts make {eq}.")),
        Step("net", "gross - tax", draw.phrase("What remains is {eq}.", "The answer is {eq}.")),
    )
    given = {"h": hours, "w": wage, "x": extra, "m": more, "tax": tax}
    return Task(problem, given, steps, hours * wage + extra * more - tax, draw.people())


def average_speed(draw: Draw) -> Task:
    """Two stretches at two speeds, and the average speed."""
    v, w, t, u = 5 * draw.whole(2, 12), 5 * draw.whole(2, 12), draw.whole(2, 6), draw.whole(2, 6)
    average = Fraction(v * t + w * u, t + u)
    if v == w or 100 % average.denominator:
        return average_speed(draw)  # drawn again until the numbers come out well
    problem = draw.phrase(
        "A ship sails {t} hours at {v} miles an hour and then {u} hours at {w} miles an hour. What is its average "
        "speed in miles an hour?",
        "{who} rides {t} hours at {v} miles an hour and {u} hours at {w} miles an hour. How many miles an hour is that "
        "on average?",
        "A printer makes {v} pages a minute for {t} minutes and {w} pages a minute for {u} minutes. How many pages a "
        "minute does it make on average?",
    )
    steps = (
        Step("first", "v * t", draw.phrase("In the first part: {eq}.", "The first stretch is {eq}.")),
        Step("second", "w * u", draw.phrase("In the second part: {eq}.", "The second stretch is {eq}.")),
        Step("way", "first + second", draw.phrase("Together {eq}.", "The whole is {eq}.")),
        Step("time", "t + u", draw.phrase("Time in all: {eq}.", "That takes {eq}.")),
        Step("average", "way / time", draw.phrase("The average is {eq}.", "On average: {eq}.")),
    )
    given = {"v": v, "w": w, "t": t, "u": u}
    return Task(problem, given, steps, exact(average), draw.people(), Style.DECIMAL)


def two_machines(draw: Draw) -> Task:
    """One machine begins alone, a second joins; how long does it take in all?"""
    p, q, alone, together = draw.whole(3), draw.whole(3), draw.whole(2, 9), draw.whole(2, 12)
    problem = draw.phrase(
        "A factory must make {n} parts. Machine A makes {p} parts an hour and works {k} hours alone. Then machine B "
        "joins it with {q} parts an hour. How many hours does the work take in all?",
        "{who} types {p} lines a minute and has {n} lines to type. After {k} minutes {other} helps with {q} lines a "
        "minute. How many minutes does it take from the beginning?",
        "A cistern of {n} gallons is filled by a pipe of {p} gallons a minute. After {k} minutes a pipe of {q} gallons "
        "a minute is opened too. How many minutes does the filling take?",
    )
    steps = (
        Step("done", "p * k", draw.phrase("At first there are made {eq}.", "The first stage does {eq}.")),
        Step("rest", "n - done", draw.phrase("Still to do: {eq}.", "For the second stage: {eq}.")),
        Step("both", "p + q", draw.phrase("The two rates make {eq}.", "The joint rate: {eq}.")),
        Step("time", "rest / both", draw.phrase("The second stage takes {eq}.", "Time for it: {eq}.")),
        Step("all", "time + k", draw.phrase("Time in all: {eq}.", "The answer is {eq}.")),
    )
    given = {"n": p * alone + (p + q) * together, "p": p, "k": alone, "q": q}
    return Task(problem, given, steps, alone + together, draw.people())


def joint_work(draw: Draw) -> Task:
    """Two who do a work alone in a and b hours; how much is done together in some hours?"""
    a, b = draw.whole(4, 12), draw.whole(4, 12)
    hours, size = draw.whole(2, 3), 12 * draw.whole(2, 20)
    left = size - Fraction(size * hours, a) - Fraction(size * hours, b)
    if left <= 0 or left.denominator > 12:
        return joint_work(draw)  # drawn again until the numbers come out well
    problem = draw.phrase(
        "{who} can pick a field of {size} rows in {a} hours, {other} in {b} hours. They work together for {t} hours. "
        "How many rows are left?",
        "One pipe fills a tank of {size} gallons in {a} hours, another in {b} hours. Both are open for {t} hours. How "
        "many gallons are still missing?",
        "A printer needs {a} hours for {size} leaflets, a faster or slower one {b} hours. Both run for {t} hours. How "
        "many leaflets are left?",
    )
    steps = (
        Step("rate_a", "1 / a", draw.phrase("Share of the first in an hour: {eq}.", "The first does {eq} an hour.")),
        Step("rate_b", "1 / b", draw.phrase("Share of the second in an hour: {eq}.", "The second does {eq} an hour.")),
        Step("rate", "rate_a + rate_b", draw.phrase("Both in an hour: {eq}.", "Their joint share is {eq}.")),
        Step("done", "rate * t", draw.phrase("In {t} hours: {eq}.", "Share done: {eq}.")),
        Step("open", "1 - done", draw.phrase("Share open: {eq}.", "As a share there remains {eq}.")),
        Step("left", "open * size", draw.phrase("That is {eq}.", "The answer is {eq}.")),
    )
    given = {"a": a, "b": b, "t": hours, "size": size}
    return Task(problem, given, steps, exact(left), draw.people(), Style.FRACTION)


STORIES: dict[Level, tuple[Story, ...]] = {
    Level.EASY: (journey, unit_price),
    Level.MEDIUM: (shopping, meeting, wages, average_speed),
    Level.HARD: (shopping, two_machines, joint_work),
}
"""Which stories a level has."""
