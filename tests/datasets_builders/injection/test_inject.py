"""Injection, against a checker of its own that reads the texts in another way and knows the right solution."""

from __future__ import annotations

import ast
import itertools
import json
import operator
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydantic import ValidationError

from judgekit.io import read_json, read_records
from judgekit.rejections import REJECTED
from judgekit.text.arithmetic.calculations import parse_step
from judgekit.types import LabelledSolution, LabelMethod, StepLabel
from judgekit_datasets.build import build
from judgekit_datasets.injection.error_types import COMPUTATIONAL, FALSE_ARITHMETIC, ErrorType, elide, slip
from judgekit_datasets.injection.harmless import HarmlessEdit
from judgekit_datasets.injection.inject import HARMLESS, UNEDITED, InjectionConfig, convert
from judgekit_datasets.source import RowRejected

# The checker: finds equations with regular expressions and Python's own parser, and compares with the right solution.

OPERATIONS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
NUMBER = r"\d[\d,]*\.?\d*|\.\d+"


class Stated(NamedTuple):
    """One equation as the checker reads it."""

    operands: tuple[Fraction, ...]
    value: Fraction
    result: Fraction
    has_brackets: bool


def number(text: str) -> Fraction:
    return Fraction(text.replace(",", "").rstrip(".") or "0")


def numbers(text: str) -> set[Fraction]:
    return {number(found) for found in re.findall(NUMBER, text)}


def evaluate(node: ast.expr) -> Fraction:
    if isinstance(node, ast.BinOp):
        return OPERATIONS[type(node.op)](evaluate(node.left), evaluate(node.right))
    if isinstance(node, ast.Constant):
        return Fraction(str(node.value))
    raise SyntaxError("no arithmetic")


def arithmetic(text: str) -> str:
    """Leave nothing but numbers, operations and brackets."""
    for spelling, symbol in (("\u00d7", "*"), ("\u2212", "-"), ("\u2013", "-"), ("$", ""), ("%", "/100")):
        text = text.replace(spelling, symbol)
    text = re.sub(r"(?<=\d) of (?=[\d.])", "*", text)
    text = re.sub(r"(?<=[\d)/ ])[xX](?=[ \d(.$])", "*", text)
    text = re.sub(r"[-/]?[^\W\d_]['\u2019\w]*", " ", text)
    return re.sub(r"(?<=\d),(?=\d{3})", "", text)


def sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.!?;])\s+", text)


def equations(sentence: str) -> Iterator[Stated]:
    """Yield what stands before each sign of equality, as far back as it makes an expression, and the number after."""
    pieces = sentence.split("=")
    for left, right in itertools.pairwise(pieces):
        found = re.match(rf"\s*\$?({NUMBER})(%?)(?![^=.]*(?:[-+*/\u00d7\u2212\u2013]|(?<=[\d ])x)\s*[\d($])", right)
        plain = re.split(r"[,:] ", arithmetic(left))[-1]
        for start in [match.start() for match in re.finditer(r"(?<![\d.])[\d.(]", plain)]:
            tree = parsed(plain[start:].strip())
            if tree is None:
                continue
            if found and isinstance(tree, ast.BinOp):
                operands = [Fraction(str(n.value)) for n in ast.walk(tree) if isinstance(n, ast.Constant)]
                result = number(found[1]) / (100 if found[2] else 1)
                yield Stated(tuple(sorted(operands)), evaluate(tree), result, "(" in plain[start:])
            break


def parsed(expression: str) -> ast.expr | None:
    try:
        tree = ast.parse(re.sub(r"(?<![\d.])0+(?=\d)", "", expression), mode="eval").body
        evaluate(tree)
    except (SyntaxError, ZeroDivisionError, ValueError, KeyError):
        return None
    return tree


def words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]+", text.lower())) - {
        "so",
        "then",
        "thus",
        "therefore",
        "hence",
        "next",
        "now",
        "x",
    }


class Sentence(NamedTuple):
    """A sentence of the right solution."""

    words: set[str]
    numbers: set[Fraction]
    stated: list[Stated]


class Gold:
    """What the right solution says."""

    def __init__(self, row: dict[str, Any]) -> None:
        steps, answer = gold(row)
        self.answer = number(answer)
        texts = [text for step in steps for text in sentences(step)]
        self.sentences = [Sentence(words(text), numbers(text), list(equations(text))) for text in texts]
        self.known = {(found.operands, found.result) for sentence in self.sentences for found in sentence.stated}
        self.results = {result for _, result in self.known}
        self.numbers = numbers(row["question"]).union(*map(numbers, steps))

    def first_error(self, steps: tuple[str, ...]) -> int | None:
        """Return the first step that is false, or states what the right solution does not."""
        for i, text in enumerate(steps):
            is_last = i == len(steps) - 1
            if not all(self.is_right(sentence, is_last=is_last) for sentence in sentences(text)):
                return i
        last = [number(found) for found in re.findall(NUMBER, steps[-1])]
        return None if last and last[-1] == self.answer else len(steps) - 1

    def is_right(self, sentence: str, *, is_last: bool) -> bool:
        stated = list(equations(sentence))
        for found in stated:
            is_known = (found.operands, found.result) in self.known
            is_inlined = found.has_brackets and found.result in self.results
            if found.value != found.result or not (is_known or is_inlined):
                return False
        if numbers(sentence) - self.numbers:
            return False
        if stated or is_last:
            return True
        return any(self._says_as_much(numbers(sentence), other) for other in self._sources(words(sentence)))

    def _sources(self, own: set[str]) -> list[Sentence]:
        """Return the right solution's sentences in about the words of this one."""
        likeness = [len(own & other.words) / max(len(own | other.words), 1) for other in self.sentences]
        return [other for other, alike in zip(self.sentences, likeness, strict=True) if alike > max(likeness) - 0.2]

    def _says_as_much(self, stated: set[Fraction], other: Sentence) -> bool:
        """A sentence whose calculation was left out must state its result, and one without any the same numbers."""
        results = {found.result * scale for found in other.stated for scale in (1, 100)}
        return bool(results & stated) if results else stated == other.numbers


def gold(row: dict[str, Any]) -> tuple[list[str], str]:
    body, _, answer = row["answer"].rpartition("####")
    return re.sub(r"<<.*?>>", "", body).strip().split("\n"), answer.strip()


def checked(row: dict[str, Any], solution: LabelledSolution) -> int | None:
    return Gold(row).first_error(solution.steps)


@pytest.fixture
def rows(fixture_rows: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (fixture_rows / "worked_solutions.jsonl").read_text().splitlines()]


def made(rows: list[dict[str, Any]], **options: Any) -> list[tuple[dict[str, Any], LabelledSolution]]:
    """Return (row, solution) for the five rows of the fixture that can be used."""
    return [(row, solution) for row in rows[:5] for solution in convert(row, InjectionConfig(**options), "train")]


# What the records say


@pytest.mark.parametrize("seed", range(4))
def test_the_first_error_is_where_a_recomputation_finds_it(rows: list[dict[str, Any]], seed: int) -> None:
    for row, solution in made(rows, seed=seed, n_errors=26):
        if solution.subset in COMPUTATIONAL or solution.first_error is None:
            assert checked(row, solution) == solution.first_error, solution


def test_every_type_comes_about_and_changes_what_it_should(rows: list[dict[str, Any]]) -> None:
    found: Counter[str | None] = Counter()
    for row, solution in made(rows, n_errors=39):
        if solution.first_error is None:
            continue
        found[solution.subset] += 1
        assert solution.final_answer_correct is (number(gold(row)[1]) == final(solution))
        assert not solution.final_answer_correct or solution.subset == ErrorType.UNIT
        false = [i for i, text in enumerate(solution.steps) if any(e.value != e.result for e in equations(text))]
        assert false == ([solution.first_error] if solution.subset in FALSE_ARITHMETIC else [])
    assert set(found) == set(ErrorType)


def final(solution: LabelledSolution) -> Fraction:
    return number(re.findall(NUMBER, solution.steps[-1])[-1])


def test_labels_and_provenance(rows: list[dict[str, Any]]) -> None:
    for row, solution in made(rows):
        assert solution.problem == row["question"] and solution.source == "injection" and solution.licence == "MIT"
        assert solution.label_method is LabelMethod.INJECTED
        assert solution.generator == f"injection-{solution.subset}"
        assert number(solution.reference or "") == number(gold(row)[1])
        assert not any("<<" in step for step in solution.steps)
        wrong = solution.first_error
        if wrong is None:
            assert solution.subset in (HARMLESS, UNEDITED) and solution.final_answer_correct
            assert set(solution.labels) == {StepLabel.OK}
        else:
            assert solution.subset in set(ErrorType)
            assert set(solution.labels[:wrong]) <= {StepLabel.OK}
            assert set(solution.labels[wrong + 1 :]) <= {StepLabel.UNLABELLED}


def test_right_solutions_come_in_the_number_of_the_erroneous_ones(rows: list[dict[str, Any]]) -> None:
    for share in (1.0, 0.5, 0.0):
        for row in rows[:5]:
            subsets = [s.subset for s in convert(row, InjectionConfig(n_errors=8, harmless_per_error=share), "train")]
            n_wrong = sum(subset in set(ErrorType) for subset in subsets)
            assert (n_wrong, subsets.count(HARMLESS), subsets.count(UNEDITED)) == (8, 8 * share, 1)
    assert UNEDITED not in {solution.subset for _, solution in made(rows, with_unedited=False)}


def test_no_two_solutions_are_alike(rows: list[dict[str, Any]]) -> None:
    solutions = [solution for _, solution in made(rows, n_errors=26, harmless_per_error=2)]
    assert len({(s.problem, s.steps) for s in solutions}) == len(solutions)


def test_a_row_alone_decides_what_is_made_of_it(rows: list[dict[str, Any]]) -> None:
    config = InjectionConfig(seed=3)
    alone = convert(rows[2], config, "train")
    assert alone == convert(dict(reversed(rows[2].items())), config, "other")
    assert [s.steps for s in alone] != [s.steps for s in convert(rows[2], InjectionConfig(seed=4), "train")]


@pytest.mark.parametrize("kind", ErrorType)
def test_a_single_type_can_be_asked_for(rows: list[dict[str, Any]], kind: ErrorType) -> None:
    wrong = []
    for row in rows[:5]:
        try:
            wrong += [
                s for s in convert(row, InjectionConfig(error_types=(kind,)), "train") if s.first_error is not None
            ]
        except RowRejected as rejection:
            assert rejection.reason == "no place for an error"
    assert wrong and {s.subset for s in wrong} == {kind}


# Single errors, with everything else left alone


def alone(row: dict[str, Any], kind: ErrorType) -> Iterator[list[str]]:
    """Yield the steps of erroneous solutions with no other edit than another wording of the answer."""
    for seed in range(6):
        config = InjectionConfig(seed=seed, error_types=(kind,), harmless_edits=(HarmlessEdit.ANSWER,), n_errors=9)
        for solution in convert(row, config, "train"):
            if solution.subset == kind:
                yield list(solution.steps[:-1])


def test_a_slip_is_carried_through_all_that_depends_on_it(rows: list[dict[str, Any]]) -> None:
    carried = 0
    for steps in alone(rows[2], ErrorType.NUMBER_SLIP):
        in_an_hour, in_a_day, in_all = (next(equations(text)) for text in steps)
        if in_an_hour.value == in_an_hour.result:
            continue
        carried += 1
        assert in_a_day.operands == (3, in_an_hour.result) and in_a_day.value == in_a_day.result
        assert in_all.operands == (4, in_a_day.result) and in_all.value == in_all.result
    assert carried


def test_a_misread_quantity_is_misread_throughout(rows: list[dict[str, Any]]) -> None:
    row = {
        "question": "Ann has 36 red and 17 blue beads. She buys as many red ones again. How many more are red?",
        "answer": "Now 36 * 2 = <<36*2=72>>72 are red.\nBefore there were 36 + 17 = <<36+17=53>>53 beads.\n"
        "That makes 72 - 17 = <<72-17=55>>55 more.\n#### 55",
    }
    misread = set()
    for steps in alone(row, ErrorType.MISREAD_QUANTITY):
        now, before, more = (next(equations(text)) for text in steps)
        assert all(found.value == found.result for found in (now, before, more))
        (red,) = set(now.operands) - {2}
        (blue,) = set(before.operands) - {red}
        assert more.operands == tuple(sorted((now.result, blue)))
        assert (red == 36) != (blue == 17)
        misread.add(red == 36)
    assert misread == {True, False}


def test_premature_ends_and_wrong_targets_state_an_intermediate_result(rows: list[dict[str, Any]]) -> None:
    for row, solution in made(rows, error_types=(ErrorType.PREMATURE_END, ErrorType.WRONG_TARGET)):
        if solution.first_error is None:
            continue
        assert solution.first_error == len(solution.steps) - 1
        assert final(solution) in {e.result for text in gold(row)[0][:-1] for e in equations(text)} - {final_of(row)}


def final_of(row: dict[str, Any]) -> Fraction:
    return number(gold(row)[1])


@pytest.mark.parametrize("value", [1, 9, 24, 100, 4500, Fraction(5, 4)])
def test_a_slip_differs_is_positive_and_no_rounder(value: int | Fraction) -> None:
    rng = random.Random(0)
    for _ in range(50):
        wrong = slip(rng, value)
        assert wrong != value and wrong > 0
        assert (wrong * (1 if value == int(value) else 100)) % 1 == 0
        assert value != 4500 or wrong % 100 == 0


@pytest.mark.parametrize("edit", HarmlessEdit)
def test_harmless_edits_keep_every_equation_and_the_answer(rows: list[dict[str, Any]], edit: HarmlessEdit) -> None:
    n_edited = 0
    for row, solution in made(rows, harmless_edits=(edit,), n_errors=4):
        if solution.subset == HARMLESS:
            n_edited += 1
            assert checked(row, solution) is None, solution.steps
            assert all(step.holds(e) for step in map(parse_step, solution.steps) for e in step.equations)
    assert n_edited


def test_reordering_keeps_the_answer_where_the_last_step_states_no_equation() -> None:
    row = {"question": "Ada has 5 boxes of 40 pens, Bo has 25 boxes of 10. How many has the richer?"}
    row["answer"] = "Ada has 5 * 40 = 200 pens.\nBo has 25 * 10 = 250 pens.\nThe richer is Bo.\n#### 250"
    found = convert(row, InjectionConfig(harmless_edits=(HarmlessEdit.REORDER, HarmlessEdit.ANSWER)), "train")
    assert {final(solution) for solution in found if solution.first_error is None} == {250}
    assert 250 not in {final(s) for s in found if s.first_error is not None and s.subset != ErrorType.UNIT}


def test_the_right_answer_as_a_share_is_no_error() -> None:
    row = {"question": "Of 50 pens 30 are red. What percentage is that?"}
    row["answer"] = "The share of the red ones is 30 / 50 = .6\nThat makes .6 * 100 = 60 percent.\n#### 60"
    options: dict[str, Any] = {"error_types": (ErrorType.WRONG_TARGET, ErrorType.PREMATURE_END)}
    with pytest.raises(RowRejected, match="no place for an error"):
        convert(row, InjectionConfig(**options), "train")


def test_a_wrong_unit_is_not_left_out_with_the_step_that_states_it() -> None:
    row = {"question": "A film lasts 3 parts of 5 hours. How long is it?", "answer": "It is 1 + 2 = 3 parts long.\n"}
    row["answer"] += "So it lasts 3 * 5 = 15 hours in all.\n#### 15"
    options: dict[str, Any] = {"error_types": (ErrorType.UNIT,), "harmless_edits": (HarmlessEdit.CONCLUDE,)}
    found = [s for seed in range(20) for s in convert(row, InjectionConfig(seed=seed, **options), "train")]
    wrong = [solution for solution in found if solution.first_error is not None]
    assert wrong and all(re.search("= 15 (minutes|days)", s.steps[s.first_error or 0]) for s in wrong)


@pytest.mark.parametrize("text", ["She left early because 2 * 3 = 6 people came.", "It was late SINCE, $2 + $3 = $5"])
def test_a_calculation_that_is_a_reason_is_not_left_out(text: str) -> None:
    assert elide(text) is None
    assert elide("So, in all, 2 * 3 = 6 people came.") == "So, in all, 6 people came."


# Rows


def test_what_cannot_be_used_is_rejected_by_reason(fixture_rows: Path, tmp_path: Path) -> None:
    report = build("injection", input=fixture_rows / "worked_solutions.jsonl", output=tmp_path / "built")
    assert report.rows_accepted == 5
    assert report.rejected == {
        "algebra": 1, "an equation does not hold": 1, "answer is not the last result": 1, "no equation": 1,
        "answer is not a number": 1,
    }  # fmt: skip
    rejected = [json.loads(line) for line in (tmp_path / "built" / REJECTED).read_text().splitlines()]
    assert [entry["row"] for entry in rejected] == [6, 7, 8, 9, 10]
    assert report.leakage_auroc is not None and 0 <= report.leakage_auroc <= 1
    assert read_json(tmp_path / "built" / "manifest.json")["report"]["leakage_auroc"] == report.leakage_auroc


def test_malformed_rows(fixture_rows: Path, tmp_path: Path) -> None:
    report = build("injection", input=fixture_rows / "gsm8k.jsonl", output=tmp_path / "built")
    # the repeated row makes the same solutions again; two rows have no usable answer, two no usable text, one no JSON
    assert report.rows_accepted == 1 and report.rejected["duplicate"] == 1
    assert report.rows_read == 8 and report.leakage_auroc is None


def test_labelled_solutions_are_read_when_all_steps_are_right(rows: list[dict[str, Any]]) -> None:
    right = next(s for _, s in made(rows) if s.subset == UNEDITED)
    row = right.model_dump(mode="json") | {
        "steps": right.steps[:-1],
        "labels": ["ok"] * (len(right.steps) - 1),
        "id": "",
    }
    made_of_it = convert(row, InjectionConfig(), "train")
    assert {s.problem_id for s in made_of_it} == {right.problem_id} and len(made_of_it) > 10
    assert made_of_it[0].steps == right.steps
    with pytest.raises(RowRejected, match="not a correct solution"):
        convert(row | {"labels": ["ok", "ok", "ok", "error"]}, InjectionConfig(), "train")
    with pytest.raises(RowRejected, match="no reference answer"):
        convert(row | {"reference": None}, InjectionConfig(), "train")


@pytest.mark.parametrize(
    "options", [{"n_errors": 0}, {"error_types": ()}, {"error_types": ("sign", "sign")}, {"harmless_per_error": -1}]
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        InjectionConfig.model_validate(options)


# The real data


def test_200_injected_solutions_of_gsm8k_are_wrong_where_they_say(real_data: Path, tmp_path: Path) -> None:
    lines = (real_data / "gsm8k" / "train.jsonl").read_text(encoding="utf-8").strip().split("\n")
    chosen = random.Random(0).sample(lines, 500)
    (tmp_path / "train.jsonl").write_text("\n".join(chosen), encoding="utf-8")
    report = build("injection", input=tmp_path / "train.jsonl", output=tmp_path / "built")
    by_problem = {row["question"]: row for row in map(json.loads, chosen)}
    built = list(read_records(tmp_path / "built", LabelledSolution))
    wrong = [solution for solution in built if solution.subset in COMPUTATIONAL]
    right = [solution for solution in built if solution.first_error is None]
    for solutions in (wrong, right):
        sample = random.Random(1).sample(solutions, 200)
        agreeing = [s for s in sample if checked(by_problem[s.problem], s) == s.first_error]
        assert len(agreeing) >= 198, f"{len(agreeing)} of 200"
    assert report.rows_accepted > 440
    assert report.leakage_auroc is not None and report.leakage_auroc <= 0.60
    assert 0.45 < report.n_errors / report.n_records < 0.55
