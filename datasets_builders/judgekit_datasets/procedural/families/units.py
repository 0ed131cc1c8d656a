"""Conversion of units: down and up a chain of units, and stories that mix two of them."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from judgekit_datasets.procedural.families.task import Draw, Level, Step, Story, Style, Task, exact


class Chain(NamedTuple):
    """Three units of one kind."""

    large: str
    """The largest."""
    middle: str
    """The one between."""
    small: str
    """The smallest."""
    upper: int
    """Middle units in a large one."""
    lower: int
    """Small units in a middle one."""


CHAINS = (
    Chain("hours", "minutes", "seconds", 60, 60),
    Chain("days", "hours", "minutes", 24, 60),
    Chain("weeks", "days", "hours", 7, 24),
    Chain("yards", "feet", "inches", 3, 12),
    Chain("metres", "centimetres", "millimetres", 100, 10),
    Chain("kilometres", "metres", "centimetres", 1000, 100),
    Chain("tonnes", "kilograms", "grams", 1000, 1000),
    Chain("gallons", "quarts", "pints", 4, 2),
    Chain("years", "months", "half-months", 12, 2),
)
"""Chains of units with whole factors."""


def down_the_chain(draw: Draw) -> Task:
    """An amount in two units, written in the smaller one."""
    chain = draw.choose(*CHAINS)
    large, small = draw.whole(2), draw.whole(2, max(3, min(chain.upper - 1, 40)))
    problem = draw.phrase(
        "How many {middle} are {a} {large} and {b} {middle}?",
        "Write {a} {large} {b} {middle} in {middle}.",
        "{who} notes {a} {large} and {b} {middle}. What is that in {middle} alone?",
    )
    steps = (
        Step("converted", f"a * {chain.upper}", draw.phrase("The {large} are {eq} {middle}.", "In {middle}: {eq}.")),
        Step("all", "converted + b", draw.phrase("Altogether: {eq} {middle}.", "With the others, {eq}.")),
    )
    words = draw.people() | {"large": chain.large, "middle": chain.middle}
    return Task(problem, {"a": large, "b": small}, steps, large * chain.upper + small, words)


def pieces(draw: Draw) -> Task:
    """A length in metres is cut into pieces given in centimetres."""
    piece, number = 5 * draw.whole(2, 16), draw.whole(2)
    problem = draw.phrase(
        "A rope of {length} metres is cut into pieces of {piece} centimetres. How many pieces are there?",
        "{who} lays {piece} centimetre tiles along a path of {length} metres. How many tiles does the path take?",
        "A ribbon is {length} metres long. How many bows of {piece} centimetres each can be made of it?",
    )
    steps = (
        Step("all", "length * 100", draw.phrase("In centimetres: {eq}.", "The whole length is {eq} centimetres.")),
        Step("number", "all / piece", draw.phrase("The number is {eq}.", "That gives {eq}.")),
    )
    return Task(problem, {"length": piece // 5 * number, "piece": piece}, steps, 20 * number, draw.people())


def whole_chain(draw: Draw) -> Task:
    """An amount in three units, written in the smallest."""
    chain = draw.choose(*CHAINS)
    a, b, c = draw.whole(2), draw.whole(2, max(3, min(chain.upper - 1, 40))), draw.whole(2, 9)
    problem = draw.phrase(
        "How many {small} are {a} {large}, {b} {middle} and {c} {small}?",
        "Write {a} {large} {b} {middle} {c} {small} in {small}.",
        "{who} measures {a} {large}, {b} {middle} and {c} {small}. Express that in {small}.",
    )
    steps = (
        Step("first", f"a * {chain.upper}", draw.phrase("The {large} are {eq} {middle}.", "In {middle}: {eq}.")),
        Step("middles", "first + b", draw.phrase("All {middle}: {eq}.", "With the other {middle}, {eq}.")),
        Step("second", f"middles * {chain.lower}", draw.phrase("In {small} they are {eq}.", "As {small}: {eq}.")),
        Step("all", "second + c", draw.phrase("Altogether {eq} {small}.", "The answer is {eq}.")),
    )
    words = draw.people() | {"large": chain.large, "middle": chain.middle, "small": chain.small}
    answer = a * (chain.upper * chain.lower) + b * chain.lower + c
    return Task(problem, {"a": a, "b": b, "c": c}, steps, answer, words)


def daily_amount(draw: Draw) -> Task:
    """A small amount several times a day, in the larger unit after some days."""
    amount, times, days = 50 * draw.whole(1, 12), draw.whole(2, 6), draw.choose(5, 10, 15, 20, 30)
    problem = draw.phrase(
        "{who} drinks {amount} millilitres of water {times} times a day. How many litres is that in {days} days?",
        "A machine uses {amount} grams of powder {times} times a day. How many kilograms does it use in {days} days?",
        "{who} walks a path of {amount} metres {times} times a day. How many kilometres is that in {days} days?",
    )
    steps = (
        Step("daily", "amount * times", draw.phrase("In a day it is {eq}.", "Each day: {eq}.")),
        Step("all", "daily * days", draw.phrase("In all the days: {eq}.", "In {days} days that makes {eq}.")),
        Step("large", "all / 1000", draw.phrase("In the larger unit: {eq}.", "Converted, it is {eq}.")),
    )
    answer = Fraction(amount, 1000) * (times * days)
    given = {"amount": amount, "times": times, "days": days}
    return Task(problem, given, steps, exact(answer), draw.people(), Style.DECIMAL)


def speed(draw: Draw) -> Task:
    """A speed in kilometres an hour, a time in minutes, a distance in metres."""
    speed_kmh, minutes = 6 * draw.whole(2, 18), draw.whole(2)
    problem = draw.phrase(
        "A bus drives at {v} kilometres an hour. How many metres does it go in {t} minutes?",
        "{who} cycles at {v} kilometres an hour for {t} minutes. How many metres is that?",
        "A boat makes {v} kilometres an hour. What distance in metres does it cover in {t} minutes?",
    )
    steps = (
        Step("hourly", "v * 1000", draw.phrase("In metres an hour: {eq}.", "An hour takes it {eq} metres.")),
        Step("minutely", "hourly / 60", draw.phrase("In metres a minute: {eq}.", "A minute takes it {eq} metres.")),
        Step("distance", "minutely * t", draw.phrase("The distance is {eq} metres.", "In {t} minutes: {eq}.")),
    )
    return Task(problem, {"v": speed_kmh, "t": minutes}, steps, speed_kmh // 6 * 100 * minutes, draw.people())


def bakery(draw: Draw) -> Task:
    """Pounds and ounces of flour become loaves, and loaves become dollars."""
    ounces, loaves, cents = draw.whole(4, 15), 2 * draw.whole(4, 40), 10 * draw.whole(12, 60)
    pounds, rest = divmod(ounces * loaves, 16)
    if not pounds or not rest:
        return bakery(draw)  # drawn again until the numbers come out well
    problem = draw.phrase(
        "A bakery has {lb} pounds and {oz} ounces of flour. A loaf takes {each} ounces and sells at {cents} cents. "
        "How many dollars do all loaves bring?",
        "{who} bakes with {lb} pounds {oz} ounces of flour, {each} ounces a cake, and sells each at {cents} cents. "
        "What does {who} take in, in dollars?",
        "{lb} pounds and {oz} ounces of clay are made into cups of {each} ounces, which are sold at {cents} cents "
        "apiece. How many dollars do they bring?",
    )
    steps = (
        Step("converted", "lb * 16", draw.phrase("The pounds are {eq} ounces.", "In ounces: {eq}.")),
        Step("all", "converted + oz", draw.phrase("Altogether {eq} ounces.", "With the other ounces, {eq}.")),
        Step("number", "all / each", draw.phrase("Number of pieces: {eq}.", "That is enough for {eq}.")),
        Step("income", "number * cents", draw.phrase("They bring {eq} cents.", "In cents: {eq}.")),
        Step("dollars", "income / 100", draw.phrase("In dollars: {eq}.", "That makes {eq} dollars.")),
    )
    given = {"lb": pounds, "oz": rest, "each": ounces, "cents": cents}
    return Task(problem, given, steps, exact(Fraction(cents, 100) * loaves), draw.people(), Style.DECIMAL)


def tank(draw: Draw) -> Task:
    """Litres, millilitres a second, and a time in minutes with a break."""
    millilitres, minutes, pause, before = 50 * draw.whole(2, 12), draw.whole(3), draw.whole(2, 30), draw.whole(2)
    litres = 3 * millilitres * minutes // 50
    problem = draw.phrase(
        "A tank holds {before} litres and has room for {all} litres. Water flows in at {flow} millilitres a second, "
        "and there is one pause of {pause} minutes. After how many minutes is the tank full?",
        "A pool for {all} litres already holds {before} litres. {who} fills it with {flow} millilitres a second and "
        "rests {pause} minutes in between. How many minutes does it take?",
        "{who} pumps {flow} millilitres a second into a barrel of {all} litres that holds {before} litres at first. "
        "With a break of {pause} minutes, after how many minutes is the barrel full?",
    )
    steps = (
        Step("missing", "all - before", draw.phrase("Litres to come: {eq}.", "There is room for {eq} litres.")),
        Step("small", "missing * 1000", draw.phrase("In millilitres: {eq}.", "That is {eq} millilitres.")),
        Step("seconds", "small / flow", draw.phrase("Seconds of flow: {eq}.", "Water flows for {eq} seconds.")),
        Step("minutes", "seconds / 60", draw.phrase("In minutes: {eq}.", "That is {eq} minutes.")),
        Step("total", "minutes + pause", draw.phrase("In all, {eq} minutes.", "The whole time is {eq}.")),
    )
    given = {"all": litres + before, "before": before, "flow": millilitres, "pause": pause}
    return Task(problem, given, steps, minutes + pause, draw.people())


STORIES: dict[Level, tuple[Story, ...]] = {
    Level.EASY: (down_the_chain, pieces),
    Level.MEDIUM: (whole_chain, daily_amount, speed),
    Level.HARD: (bakery, tank),
}
"""Which stories a level has."""
