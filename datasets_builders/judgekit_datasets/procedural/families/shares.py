"""Fractions and percentages: parts of amounts, discounts, rises, and sums of fractions."""

from __future__ import annotations

from fractions import Fraction

from judgekit_datasets.procedural.families.task import Draw, Level, Step, Story, Style, Task, exact


def part_and_rest(draw: Draw) -> Task:
    """A fraction of an amount is gone; what remains?"""
    parts = draw.whole(3, 9)
    taken, one = draw.whole(2, parts - 1), draw.whole(2)
    (thing,) = draw.things(1)
    problem = draw.phrase(
        "{who} has {total} {thing} and gives {taken}/{parts} of them to {other}. How many are left?",
        "Of {total} {thing} in a shop, {taken}/{parts} are sold. How many {thing} remain?",
        "{taken}/{parts} of the {total} {thing} in a box belong to {who}, the others to {other}. How many belong to "
        "{other}?",
    )
    steps = (
        Step("part", "total / parts", draw.phrase("One of the equal parts: {eq} {thing}.", "One part is {eq}.")),
        Step("gone", "part * taken", draw.phrase("The fraction named is {eq} {thing}.", "The share comes to {eq}.")),
        Step("rest", "total - gone", draw.phrase("The others: {eq} {thing}.", "What is asked for: {eq}.")),
    )
    given = {"total": parts * one, "taken": taken, "parts": parts}
    return Task(problem, given, steps, (parts - taken) * one, draw.people() | {"thing": thing})


def discount(draw: Draw) -> Task:
    """A price after a discount in percent."""
    percent, hundreds = 5 * draw.whole(1, 15), draw.whole(2)
    price = hundreds * 20
    problem = draw.phrase(
        "A coat costs {price} dollars. In the sale it is {percent}% cheaper. What does it cost then?",
        "{who} wants a bicycle for {price} dollars and gets {percent}% off. How much does {who} pay?",
        "A village had {price} inhabitants, and {percent}% of them moved away. How many stayed?",
    )
    steps = (
        Step("off", "price * percent / 100", draw.phrase("The percentage is {eq}.", "{percent}% of it: {eq}.")),
        Step("pays", "price - off", draw.phrase("The result is {eq}.", "So the answer is {eq}.")),
    )
    answer = hundreds * (100 - percent) // 5
    return Task(problem, {"price": price, "percent": percent}, steps, answer, draw.people())


def before_discount(draw: Draw) -> Task:
    """The price before a discount, and the saving."""
    percent, one = draw.choose(5, 10, 15, 20, 25, 30, 35, 40, 45, 60, 70, 75), draw.whole(2)
    problem = draw.phrase(
        "After a discount of {percent}% a table costs {paid} dollars. How many dollars does a buyer save?",
        "{who} pays {paid} dollars for a tent that was marked down by {percent}%. How much is saved?",
        "A tank that lost {percent}% of its water still holds {paid} litres. How many litres were lost?",
    )
    steps = (
        Step("left", "100 - percent", draw.phrase("In percent there remain {eq}.", "The rest in percent: {eq}.")),
        Step("whole", "paid * 100 / left", draw.phrase("The whole was {eq}.", "At first it was {eq}.")),
        Step("saved", "whole - paid", draw.phrase("The difference is {eq}.", "So the answer is {eq}.")),
    )
    given = {"percent": percent, "paid": (100 - percent) * one}
    return Task(problem, given, steps, percent * one, draw.people())


def two_changes(draw: Draw) -> Task:
    """A rise in percent, then a fall."""
    up, down, price = 5 * draw.whole(1, 10), 10 * draw.whole(1, 7), 20 * draw.whole(2)
    problem = draw.phrase(
        "A share is worth {price} dollars. It gains {up}% and then loses {down}% of its new value. What is it worth?",
        "The rent of {price} dollars goes up by {up}%; later the new rent is cut by {down}%. What is it in the end?",
        "A shop raises a price of {price} dollars by {up}% and afterwards takes {down}% off. What is the last price?",
    )
    steps = (
        Step("gain", "price * up / 100", draw.phrase("The first change is {eq}.", "{up}% at first: {eq}.")),
        Step("high", "price + gain", draw.phrase("That leads to {eq}.", "Now it is {eq}.")),
        Step("loss", "high * down / 100", draw.phrase("The second change is {eq}.", "{down}% of that: {eq}.")),
        Step("final", "high - loss", draw.phrase("In the end: {eq}.", "Afterwards it is {eq} dollars.")),
    )
    answer = exact(Fraction(price * (100 + up) * (100 - down), 10_000))
    return Task(problem, {"price": price, "up": up, "down": down}, steps, answer, style=Style.DECIMAL)


def wall(draw: Draw) -> Task:
    """Two fractions of a whole, what is left of it, and how much of an amount that is."""
    bottom_a, bottom_b = draw.whole(3, 8), draw.whole(3, 8)
    a, b = Fraction(1, bottom_a), Fraction(draw.whole(1, bottom_b // 2), bottom_b)
    area = bottom_a * bottom_b * draw.whole(1, 6)
    problem = draw.phrase(
        "{who} paints {a} of a wall of {area} square feet, {other} paints {b} of it. How many square feet are left?",
        "Of a road of {area} miles {a} is repaired in May and {b} in June. How many miles remain to be repaired?",
        "{who} spends {a} of {area} dollars on food and {b} of them on rent. How many dollars remain?",
    )
    steps = (
        Step("done", "a + b", draw.phrase("Both fractions make {eq}.", "As a fraction, both are {eq}.")),
        Step("open", "1 - done", draw.phrase("The other fraction is {eq}.", "There remains {eq}.")),
        Step("rest", "open * area", draw.phrase("As an amount: {eq}.", "That fraction of {area} is {eq}.")),
    )
    answer = area - area // bottom_a - b.numerator * (area // b.denominator)
    return Task(problem, {"a": a, "b": b, "area": area}, steps, answer, draw.people(), Style.FRACTION)


def school(draw: Draw) -> Task:
    """Two groups, a fraction of each, and the rest of all."""
    percent, scale = draw.choose(25, 40, 50, 60, 75), draw.whole(1)
    b, d = draw.whole(2, 6), draw.whole(2, 6)
    total = 20 * b * d * scale
    girls = total * percent // 100
    a, c = draw.whole(1, b - 1), draw.whole(1, d - 1)
    problem = draw.phrase(
        "A school has {total} pupils, {percent}% of them girls. {a}/{b} of the girls and {c}/{d} of the boys take the "
        "bus. How many pupils do not take it?",
        "Of {total} visitors {percent}% are children. {a}/{b} of the children and {c}/{d} of the adults buy a drink. "
        "How many visitors buy none?",
        "A farm has {total} trees; {percent}% are apple trees, the others pear trees. {a}/{b} of the apple trees and "
        "{c}/{d} of the pear trees bear fruit. How many trees bear none?",
    )
    steps = (
        Step("girls", "total * percent / 100", draw.phrase("The first group counts {eq}.", "{percent}% are {eq}.")),
        Step("boys", "total - girls", draw.phrase("The second group counts {eq}.", "In the other group: {eq}.")),
        Step("part", "girls * a / b", draw.phrase("Of the first, that is {eq}.", "{a}/{b} of {girls}: {eq}.")),
        Step("other_part", "boys * c / d", draw.phrase("Of the second it is {eq}.", "{c}/{d} of {boys}: {eq}.")),
        Step("both", "part + other_part", draw.phrase("In both groups: {eq}.", "Both numbers make {eq}.")),
        Step("rest", "total - both", draw.phrase("The rest is {eq}.", "Not among them: {eq}.")),
    )
    given = {"total": total, "percent": percent, "a": a, "b": b, "c": c, "d": d}
    answer = girls // b * (b - a) + (total - girls) // d * (d - c)
    return Task(problem, given, steps, answer)


STORIES: dict[Level, tuple[Story, ...]] = {
    Level.EASY: (part_and_rest, discount),
    Level.MEDIUM: (before_discount, two_changes, wall),
    Level.HARD: (school,),
}
"""Which stories a level has."""
