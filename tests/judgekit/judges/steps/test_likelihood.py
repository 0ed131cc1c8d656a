"""The likelihood judge against the bare language model, one solution at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from judgekit.engines.scoring.encoded import Encoded
from judgekit.engines.scoring.forward import token_logprobs
from judgekit.engines.scoring.load import load_language_model, load_tokenizer
from judgekit.errors import CheckpointError
from judgekit.judges import load_judge
from judgekit.judges.card import JudgeCard, write_card
from judgekit.judges.steps.encoding import make_convention
from judgekit.judges.steps.likelihood import LikelihoodJudge, step_surprisal
from judgekit.judges.steps.specs import LikelihoodCard, LikelihoodSpec
from judgekit.types import NoVerdictReason, Solution
from tests.judgekit.samples import HOSTILE

MAP = LikelihoodCard(bias=3.0, max_weight=-0.2, mean_weight=-0.3)


@pytest.fixture
def folder(tiny_base: Path, tmp_path: Path) -> Path:
    convention = make_convention(load_tokenizer(str(tiny_base)), separator="\n", problem_separator="\n", max_tokens=200)
    card = JudgeCard(
        judge_id="tiny",
        base_model="b",
        spec=LikelihoodSpec(model=str(tiny_base), input=convention, fitted=MAP),
    )
    write_card(tmp_path, card)
    return tmp_path


def step_surprisals(base: Path, solution: Solution) -> list[list[float]]:
    """Return -log p of every token of every step through the whole model, separators left out."""
    tokenizer, model = AutoTokenizer.from_pretrained(base), AutoModelForCausalLM.from_pretrained(base).eval()
    newline = tokenizer.convert_tokens_to_ids("Ċ")
    ids, spans = [*tokenizer.encode(solution.problem, add_special_tokens=False), newline], []
    for step in solution.steps:
        step_ids = tokenizer.encode(step, add_special_tokens=False)
        spans.append(range(len(ids), len(ids) + len(step_ids)))
        ids += [*step_ids, newline]
    with torch.no_grad():
        logprobs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    return [[-float(logprobs[place - 1, ids[place]]) for place in span] for span in spans]


def test_surprisal_by_hand() -> None:
    # Problem of 2 tokens; steps of 2, 0 and 1 tokens with a separator of one token behind each.
    encoded = Encoded([1, 2, 3, 4, 9, 9, 5, 9], [4, 5, 7], 2)
    surprisal_T = np.array([1.0, 4.0, 100.0, 100.0, 0.5, 100.0])
    assert step_surprisal(encoded, surprisal_T, 1).tolist() == [[4.0, 2.5], [0.0, 0.0], [0.5, 0.5]]


def test_probabilities_equal_one_at_a_time(folder: Path, tiny_base: Path, solutions: list[Solution]) -> None:
    judge = load_judge(folder)
    assert isinstance(judge, LikelihoodJudge)
    made = [*solutions, Solution(problem="?", steps=("", "a"))]
    for token_budget in (1, 150):
        judge.token_budget = token_budget
        for solution, judgement in zip(made, judge.judge(made), strict=True):
            assert judgement.solution_id == solution.id and judgement.verdict is not None
            tokens = step_surprisals(tiny_base, solution)
            logits = [3.0 - 0.2 * max(s, default=0.0) - 0.3 * sum(s) / max(len(s), 1) for s in tokens]
            assert judgement.verdict.p_ok_S == pytest.approx([1 / (1 + np.exp(-x)) for x in logits], abs=1e-5)


def test_log_probabilities_begin_behind_the_problem(tiny_base: Path) -> None:
    model = load_language_model(str(tiny_base)).eval()
    encoded = [Encoded([5, 6, 7, 8], [3], 2), Encoded(list(range(10, 30)), [19], 1)]
    for item, found in zip(encoded, token_logprobs(model, encoded, token_budget=100, pad_id=0), strict=True):
        assert len(found) == len(item.input_ids) - item.n_problem_tokens
        with torch.no_grad():
            logprobs = model(torch.tensor([item.input_ids])).logits[0].log_softmax(-1)
        places = range(item.n_problem_tokens, len(item.input_ids))
        assert found == pytest.approx([float(logprobs[i - 1, item.input_ids[i]]) for i in places], abs=1e-5)


def test_hostile_text_and_reasons(folder: Path) -> None:
    made = [Solution(problem=text, steps=HOSTILE) for text in HOSTILE]
    for judgement in load_judge(folder).judge(made):
        assert judgement.verdict is not None and judgement.verdict.n_steps == len(HOSTILE)
    empty, long = load_judge(folder).judge([Solution(problem="?", steps=()), Solution(problem="?", steps=("z" * 200,))])
    assert (empty.no_verdict, long.no_verdict) == (NoVerdictReason.EMPTY, NoVerdictReason.TOO_LONG)
    assert load_judge(folder).judge([]) == []


def test_a_card_needs_its_map(folder: Path) -> None:
    text = (folder / "judge.json").read_text()
    (folder / "judge.json").write_text(text.replace('"kind": "likelihood"', '"kind": "step_classifier"'))
    with pytest.raises(CheckpointError, match=r"not permitted .*'fitted'"):
        load_judge(folder)


def test_the_first_token_of_all_is_predicted_by_nothing(tiny_base: Path) -> None:
    model = load_language_model(str(tiny_base), dtype="float32")
    ids = [5, 6, 7, 8]
    bare, behind_one = token_logprobs(model, [Encoded(ids, [3], 0), Encoded(ids, [3], 1)], token_budget=100, pad_id=0)
    assert bare.tolist() == [0.0, *behind_one.tolist()]
    assert len(token_logprobs(model, [Encoded([5], [0], 0)], token_budget=100, pad_id=0)[0]) == 1
