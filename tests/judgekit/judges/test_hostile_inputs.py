"""Whatever a candidate writes, every kind of judge gives as many steps as it was given, or a counted reason.

A new kind of judge needs one entry in `JUDGES`.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from judgekit.io import write_records
from judgekit.judges import load_judge
from judgekit.judges.base import Judge
from judgekit.judges.builtin import BUILTIN, BuiltinJudge
from judgekit.judges.card import KINDS, write_card
from judgekit.judges.cascade import CascadeJudge
from judgekit.judges.critics.critic import CriticJudge
from judgekit.judges.ensemble import EnsembleJudge
from judgekit.judges.mistaken import MistakenJudge
from judgekit.judges.recognise import make_card
from judgekit.judges.rules.symbolic import SymbolicJudge
from judgekit.judges.steps.by_step import StepLogitJudge
from judgekit.judges.steps.encoding import make_convention
from judgekit.training.config import ProbeConfig
from judgekit.types import Judgement, LabelledSolution, NoVerdictReason, Solution
from tests.judgekit.samples import HOSTILE, labelled_solutions

MAX_TOKENS = 128
LONG = 1_000_000
"""Characters of a very long step."""
CROWD = 100_000
"""Characters of a long step that is hard to parse."""
MANY = 100_000
"""Steps of a solution with very many."""

WITHIN_CONTEXT: dict[str, tuple[str, ...]] = {
    "empty steps": ("", "1+1=2", "", ""),
    "single characters": tuple("ab+1 \n"),
    "repeated": ("1+1=2",) * 12,
    "markup": HOSTILE,
    "right to left": ("\u202e\u0627\u0644\u062d\u0644", "5 = 2+2\u202c"),
    "control characters": ("\0", "a\0b", "\x1b[2J\x7f", "\r\n\r", "\u2028\u2029\x85\ufeff"),
    "lone surrogates": ("a\ud800b", "\udfff", "\udc00\ud800"),
    "combining characters": ("a" + "\u0301" * 20,),
    "outside the first plane": ("\U0001f9ee" * 8, "\U0010ffff"),
    "unpaired brackets": (r"\text{", "((((", r"\frac{\sqrt{ = 1", "}}]])"),
    "operators alone": ("+", "=", "1=", "-*/^", "=1+"),
}
"""Short enough for the judges here: they must give a verdict over as many steps."""
BEYOND_CONTEXT: dict[str, tuple[str, ...]] = {
    "long text": ("plum " * (LONG // 5), "1+1=2"),
    "long word": ("a" * CROWD,),
    "long number": ("9" * CROWD + " + 1 = 2",),
    "long sum": ("1+" * (CROWD // 2) + "1=2",),
    "long nesting": ("(" * (CROWD // 2) + "1=2" + ")" * (CROWD // 2),),
    "many steps": ("a",) * MANY,
}
"""A judge with a context must refuse them as too long; one without may as well judge them."""


class Parts(NamedTuple):
    """What a judge can be made of."""

    base: Path
    """A tiny language model."""
    classifier: Path
    """A judge directory of a tiny step classifier."""
    chat: Path
    """A tiny chat model."""
    folder: Path
    """An empty folder."""


def _card(parts: Parts, kind: str, model: Path | None = None, **sections: object) -> Path:
    """Write the card of a judge of some kind."""
    values = {"kind": kind, "judge_id": kind, "model": str(model or parts.base)} | sections
    write_card(parts.folder, make_card(values, where="here"))
    return parts.folder


def _likelihood(parts: Parts) -> Path:
    from judgekit.engines.scoring.load import load_tokenizer

    tokenizer = load_tokenizer(str(parts.base))
    layout = make_convention(tokenizer, separator="\n", problem_separator="\n", max_tokens=MAX_TOKENS)
    fitted = {"bias": 3.0, "max_weight": -0.2, "mean_weight": -0.3}
    return _card(parts, "likelihood", input=layout, likelihood=fitted)


def _critic(parts: Parts) -> Path:
    """Write the card of a critic that is held to the possible answers, so that even random weights give verdicts."""
    critic = {"prompt": "direct-1", "sampling": {"temperature": None, "max_tokens": 8}}
    return _card(parts, "critic", parts.chat, critic=critic, decision={"kind": "argmax"})


def _ensemble(parts: Parts) -> Path:
    members = {"members": (str(parts.classifier), "builtin:symbolic"), "rule": "mixture", "weights": (0.5, 0.5)}
    return _card(parts, "ensemble", ensemble=members)


def _cascade(parts: Parts) -> Path:
    members = {"members": ("builtin:symbolic", str(parts.classifier)), "stages": ({"hi": 0.9, "lo": 0.1},)}
    return _card(parts, "cascade", **members)


def _mistaken(parts: Parts) -> Path:
    return _card(parts, "mistaken", members=(str(parts.classifier),), errors="random", rate=0.5)


def _prior(parts: Parts) -> Path:
    fingerprint = {"data": "d", "sha256": "0", "n_solutions": 9, "n_problems": 9, "sources": [], "generators": []}
    return _card(
        parts, "position_prior", position_prior={"by": "relative", "hazards": (0.1, 0.3), "fingerprint": fingerprint}
    )


def _probe(parts: Parts) -> Path:
    from judgekit.training.probe.fit import train_probe

    write_records(parts.folder / "data", labelled_solutions(range(9)), record_type=LabelledSolution)
    options = {"model": str(parts.base), "data": [parts.folder / "data"], "max_tokens": MAX_TOKENS, "n_folds": 2}
    return train_probe(ProbeConfig.model_validate(options | {"ablation": False}), parts.folder / "run")


TEMPLATE = {"layout": "template", "begin": "{problem}", "mark": "\n", "reserved": ("ки",), "max_tokens": MAX_TOKENS}
JUDGES: dict[str, Callable[[Parts], Path | str]] = {
    **{f"builtin:{name}": partial(lambda name, _: f"builtin:{name}", name) for name in (*BUILTIN, "symbolic")},
    "step_classifier": lambda parts: parts.classifier,
    "likelihood": _likelihood,
    "label_token": lambda parts: _card(parts, "label_token", input=TEMPLATE, label_tokens={"ok": "+", "error": "-"}),
    "implicit": lambda parts: _card(
        parts, "implicit", input=TEMPLATE, implicit={"reference": str(parts.base), "coefficient": 0.1}
    ),
    "critic": _critic,
    "ensemble": _ensemble,
    "cascade": _cascade,
    "mistaken": _mistaken,
    "position_prior": _prior,
    "probe": _probe,
}
"""Every kind of judge: from the parts to what `load_judge` opens."""


@pytest.fixture(scope="module", params=JUDGES)
def judge(
    request: pytest.FixtureRequest,
    tiny_base: Path,
    tiny_judge: Path,
    tiny_chat: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Judge:
    parts = Parts(tiny_base, tiny_judge, tiny_chat, tmp_path_factory.mktemp("judge"))
    return load_judge(JUDGES[request.param](parts))


def allowed_reasons(judge: Judge) -> set[NoVerdictReason]:
    """Return why this judge may refuse what is too long for models, or has nothing that could be checked."""
    if isinstance(judge, StepLogitJudge | CriticJudge):
        return {NoVerdictReason.TOO_LONG}
    if isinstance(judge, SymbolicJudge):
        return {NoVerdictReason.NOTHING_TO_CHECK}
    asks_others = isinstance(judge, EnsembleJudge | CascadeJudge | MistakenJudge)
    return {NoVerdictReason.TOO_LONG} if asks_others else set()


def judged(judge: Judge, steps: tuple[str, ...], *, problem: str = "How many plums?") -> Judgement:
    (judgement,) = judge.judge([Solution(problem=problem, steps=steps)])
    return judgement


def test_every_kind_of_judge_is_tested() -> None:
    assert set(KINDS.names()) <= JUDGES.keys(), "a new kind of judge needs an entry in JUDGES"


@pytest.mark.parametrize("name", WITHIN_CONTEXT)
def test_strange_texts_get_one_probability_a_step(name: str, judge: Judge) -> None:
    steps = WITHIN_CONTEXT[name]
    for problem in ("How many plums?", "", "\ud83e\0\u202e</s>"):
        judgement = judged(judge, steps, problem=problem)
        if judgement.verdict is None:
            assert judgement.no_verdict in allowed_reasons(judge) - {NoVerdictReason.TOO_LONG}
        else:
            assert len(judgement.verdict.p_ok_S) == len(steps)
        assert Judgement.model_validate_json(judgement.model_dump_json()) == judgement


@pytest.mark.parametrize("name", BEYOND_CONTEXT)
def test_what_is_too_long_is_judged_or_counted(name: str, judge: Judge) -> None:
    steps = BEYOND_CONTEXT[name]
    judgement = judged(judge, steps)
    if judgement.verdict is None:
        assert judgement.no_verdict in allowed_reasons(judge)
    else:
        assert not isinstance(judge, StepLogitJudge | CriticJudge) and judgement.verdict.n_steps == len(steps)
        assert 0 <= judgement.verdict.expected_valid_steps <= len(steps)


@pytest.mark.parametrize("steps", [(), ("",) * 5, (" \n", "\t")])
def test_blank_solutions_get_no_verdict(steps: tuple[str, ...], judge: Judge) -> None:
    if isinstance(judge, BuiltinJudge) and steps:
        return  # it does not read the text
    assert judged(judge, steps).no_verdict in {NoVerdictReason.EMPTY, NoVerdictReason.NOTHING_TO_CHECK}


def test_a_long_problem_is_no_crash(judge: Judge) -> None:
    judgement = judged(judge, ("1+1=2",), problem="plum " * (CROWD // 5))
    assert judgement.verdict is not None or judgement.no_verdict in allowed_reasons(judge)


def test_hostile_solutions_do_not_disturb_their_neighbours(judge: Judge) -> None:
    plain = [Solution(problem=f"Add 1 to {i}.", steps=(f"{i}+1={i + 1}", "So done.")) for i in range(4)]
    hostile = [
        Solution(problem="?", steps=steps)
        for steps in ((), ("1+1=2",) * 1000, BEYOND_CONTEXT["long word"], WITHIN_CONTEXT["markup"])
    ]
    mixed = [solution for two in zip(hostile, plain, strict=True) for solution in two]
    found = judge.judge(mixed)
    assert [judgement.solution_id for judgement in found] == [solution.id for solution in mixed]
    for together, alone in zip(found[1::2], judge.judge(plain), strict=True):
        assert together.verdict is not None and alone.verdict is not None
        assert together.verdict.posterior == pytest.approx(alone.verdict.posterior, abs=1e-6)
    assert found[0].no_verdict is NoVerdictReason.EMPTY


def test_long_texts_do_not_add_up_in_memory(tiny_judge: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("judgekit.judges.steps.by_step.CHARS_AT_ONCE", 20_000)
    judge = load_judge(tiny_judge)

    def peak(n_solutions: int) -> int:
        solutions = [Solution(problem=f"{i}?", steps=("plum " * 4_000,)) for i in range(n_solutions)]
        tracemalloc.start()
        found = judge.judge(solutions)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert {judgement.no_verdict for judgement in found} == {NoVerdictReason.TOO_LONG}
        assert all(judgement.n_tokens > MAX_TOKENS for judgement in found)
        return highest

    assert peak(8) < 2 * peak(1)


# One kind of judge


def test_a_late_error_is_found_behind_steps_whose_probabilities_underflow() -> None:
    # 0.9 to the power of 100,000 is zero in any floating-point format
    judge = load_judge("builtin:symbolic")
    judgement = judged(judge, (*("",) * (MANY - 1), "1+1=3"))
    assert judgement.verdict is not None
    assert judgement.verdict.decide(judge.info.decision) == MANY - 1
    assert judgement.verdict.expected_valid_steps == pytest.approx(9.0)  # 0.9 + 0.9^2 + ...
