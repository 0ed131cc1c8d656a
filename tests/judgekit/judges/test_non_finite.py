"""Scores that are no finite numbers: no verdict there, with a reason, and nothing else changes."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from judgekit.cli import main
from judgekit.engines.generation.base import ChoiceScores
from judgekit.engines.generation.config import SamplingConfig, TransformersGeneration
from judgekit.engines.generation.door import build_generator
from judgekit.errors import JudgeError
from judgekit.io import write_records
from judgekit.judges import load_judge
from judgekit.judges.base import JudgeInfo
from judgekit.judges.card import JudgeCard, write_card
from judgekit.judges.doctor import examine
from judgekit.judges.ensemble import EnsembleSpec
from judgekit.judges.steps.by_step import StepLogitJudge
from judgekit.judges.steps.encoding import make_convention
from judgekit.judges.steps.layout import InputConvention
from judgekit.judges.steps.specs import LikelihoodCard, LikelihoodSpec
from judgekit.types import LabelledSolution, NoVerdictReason, Solution, ThresholdRule
from tests.judgekit.judges.critics.scripted_critic import ScriptedCritic, said
from tests.judgekit.judges.critics.test_critic import critic_judge
from tests.judgekit.samples import labelled_solutions

PROBLEM = "Subtract 3 from both sides, 2x = 4, and find the value of x. " * 2
GOOD = [Solution(problem=PROBLEM, steps=("2x = 4", f"x = {n}", "The answer is: 18")[: n + 1]) for n in range(3)]
BAD = [Solution(problem=PROBLEM, steps=("2x = 4", "x ~ 2")), Solution(problem="~", steps=("2x = 4",))]
MIXED = [GOOD[0], BAD[0], GOOD[1], BAD[1], GOOD[2]]


def poison(folder: Path, tokenizer: Callable[..., object], value: float, *, text: str = "~") -> None:
    """Make the embedding of a character's token no finite number."""
    [token] = tokenizer(text, add_special_tokens=False)["input_ids"]  # type: ignore[index]
    tensors = load_file(folder / "model.safetensors")
    [name] = [name for name in tensors if name.endswith("embed_tokens.weight")]
    tensors[name][token] = value
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def poisoned(source: Path, target: Path, value: float) -> Path:
    """Copy what `load_judge` opens, a directory or a card beside its model, and poison its model."""
    judge = load_judge(source, dtype="float32")
    assert isinstance(judge, StepLogitJudge)
    copied = shutil.copytree(source if source.is_dir() else source.parent, target / source.name)
    name = copied if source.is_dir() else copied / source.name
    model = copied / judge.spec.model if not source.is_dir() else copied
    tokenizer, [token] = judge.tokenizer, judge.tokenizer(" ~", add_special_tokens=False).input_ids[-1:]
    poison(model, lambda *_, **__: {"input_ids": [token]}, value)
    assert tokenizer.decode([token]).strip() == "~"
    return name


@pytest.mark.parametrize("name", ["pure", "skywork-prm", "rlhflow", "eurusprm", "llemma-prm"])
def test_a_solution_with_a_score_that_is_no_number_has_no_verdict_and_its_neighbours_keep_theirs(
    name: str, miniature: Callable[[str], Path], tmp_path: Path
) -> None:
    plain = load_judge(miniature(name), dtype="float32")
    for value in (math.nan, math.inf):
        judge = load_judge(poisoned(miniature(name), tmp_path / str(value), value), dtype="float32")
        assert isinstance(judge, StepLogitJudge)
        for token_budget in (1, 8192):
            judge.token_budget = token_budget
            for solution, found, expected in zip(MIXED, judge.judge(MIXED), plain.judge(MIXED), strict=True):
                if solution in BAD:
                    assert (found.verdict, found.no_verdict) == (None, NoVerdictReason.NON_FINITE)
                else:
                    assert found.verdict is not None and expected.verdict is not None
                    assert found.verdict.posterior == pytest.approx(expected.verdict.posterior, abs=1e-5)


def test_what_a_neighbour_shares_is_not_spoilt_behind_a_mask(tiny_judge: Path, tmp_path: Path) -> None:
    # The first solution holds the tokens that the others share, and its own last token is poisoned. In the mask of the
    # attention 0 times NaN is NaN, so it would reach them.
    folder = shutil.copytree(tiny_judge, tmp_path / "judge")
    judge = load_judge(folder, dtype="float32")
    assert isinstance(judge, StepLogitJudge)
    begin = Solution(problem="Start with 12 and add 7 to it, and then add 3.", steps=("12+7=19", "19+3=22"))
    rows = [begin.model_copy(update={"id": f"{k}", "steps": (*begin.steps, end)}) for k, end in enumerate("~19")]
    expected = judge.judge(rows)
    assert judge.judge(rows[:1])[0].verdict is not None
    poison(folder, judge.tokenizer, math.nan)
    bad, *good = load_judge(folder, dtype="float32").judge(rows)
    assert bad.no_verdict is NoVerdictReason.NON_FINITE
    for found, before in zip(good, expected[1:], strict=True):
        assert found.verdict is not None and before.verdict is not None
        assert found.verdict.posterior == pytest.approx(before.verdict.posterior, abs=1e-5)


def test_a_padding_token_that_is_no_number_reaches_nobody(tiny_judge: Path, tmp_path: Path) -> None:
    from judgekit.engines.scoring.forward import PACKABLE

    folder = shutil.copytree(tiny_judge, tmp_path / "judge")
    plain = load_judge(folder, dtype="float32")
    assert isinstance(plain, StepLogitJudge)
    poison(folder, plain.tokenizer, math.nan, text=plain.tokenizer.pad_token)
    judge = load_judge(folder, dtype="float32")
    with pytest.MonkeyPatch.context() as patch:  # padded batches, as of a model type that no pack is known to fit
        patch.setattr("judgekit.engines.scoring.forward.PACKABLE", PACKABLE - {"llama"})
        rows = [Solution(problem="?", steps=("1+1=2", "2+2=4")[:n]) for n in (1, 2)]
        for found, before in zip(judge.judge(rows), plain.judge(rows), strict=True):
            assert found.verdict is not None and before.verdict is not None
            assert found.verdict.posterior == pytest.approx(before.verdict.posterior, abs=1e-5)


@pytest.fixture
def likelihood(miniature: Callable[[str], Path], tmp_path: Path) -> Path:
    """Return a likelihood judge whose model knows no `~`."""
    model = poisoned(miniature("rlhflow"), tmp_path / "model", math.nan)
    judge = load_judge(model, dtype="float32")
    assert isinstance(judge, StepLogitJudge)
    card = JudgeCard(
        judge_id="likely",
        spec=LikelihoodSpec(
            model=str(model),
            input=make_convention(judge.tokenizer, separator="\n", problem_separator="\n", max_tokens=500),
            fitted=LikelihoodCard(bias=3.0, max_weight=-0.2, mean_weight=0.0),
        ),
    )
    (tmp_path / "likelihood").mkdir()
    write_card(tmp_path / "likelihood", card)
    return tmp_path / "likelihood"


def test_likelihood_and_an_ensemble_that_leaves_the_member_out(
    likelihood: Path, tiny_judge: Path, tmp_path: Path
) -> None:
    reasons = [judgement.no_verdict for judgement in load_judge(likelihood, dtype="float32").judge(MIXED)]
    non_finite = NoVerdictReason.NON_FINITE
    assert reasons == [None, non_finite, None, non_finite, None]
    (tmp_path / "ensemble").mkdir()
    members = (str(likelihood), "builtin:first-step")
    section = EnsembleSpec(members=members, rule="mixture", weights=(0.75, 0.25))
    write_card(tmp_path / "ensemble", JudgeCard(judge_id="both", spec=section))
    ensemble = load_judge(tmp_path / "ensemble", dtype="float32")
    first = load_judge("builtin:first-step").judge(BAD)
    for found, alone in zip(ensemble.judge(BAD), first, strict=True):
        assert found.verdict is not None and alone.verdict is not None
        assert found.verdict.posterior == pytest.approx(alone.verdict.posterior)
        assert found.raw is not None and "no verdict, non_finite" in found.raw


@pytest.mark.parametrize("logprobs", [(math.nan, -1.0), (-math.inf, -math.inf), (math.inf, -1.0), (-1.0, math.nan)])
def test_a_critic_whose_probabilities_are_no_numbers(logprobs: tuple[float, float]) -> None:
    critic = ScriptedCritic(lambda _: said("Yes?"), logprobs=lambda _: ChoiceScores(logprobs, n_prompt_tokens=1))
    [judgement] = critic_judge(critic, "genprm", votes=1).judge([GOOD[1]])
    assert (judgement.verdict, judgement.no_verdict) == (None, NoVerdictReason.NON_FINITE)


def test_a_generator_says_so_of_a_prompt_and_answers_the_others(
    miniature: Callable[[str], Path], tmp_path: Path
) -> None:
    model = poisoned(miniature("rlhflow"), tmp_path, math.nan)
    generator = build_generator(TransformersGeneration(model=str(model), dtype="float32"))
    prompts = ["2x = 4", "x ~ 4", "x = 2"]
    for temperature in (None, 1.0):
        found = generator.generate(list(prompts), SamplingConfig(max_tokens=3, temperature=temperature), n=2)
        assert [[item.failure_reason for item in row] for row in found] == [
            [None, None], [NoVerdictReason.NON_FINITE] * 2, [None, None]
        ]  # fmt: skip
        assert all(item.n_tokens for row in (found[0], found[2]) for item in row)
    scores = generator.choice_logprobs(list(prompts), choices=("+", "-"))
    assert [score.failure_reason for score in scores] == [None, NoVerdictReason.NON_FINITE, None]
    assert scores[0].logprobs is not None and all(map(math.isfinite, scores[0].logprobs))


def test_judge_and_eval_go_on_and_count_it(tiny_judge: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_judge, tmp_path / "judge")
    judge = load_judge(folder, dtype="float32")
    assert isinstance(judge, StepLogitJudge)
    poison(folder, judge.tokenizer, math.inf)
    rows = [*labelled_solutions(range(4))]
    odd = rows[0].model_copy(update={"id": "odd", "steps": ("~", *rows[0].steps[1:])})
    write_records(tmp_path / "data", [*rows, odd], record_type=LabelledSolution)
    judging = ["judge", "--judge", str(folder), "--input", str(tmp_path / "data")]
    assert main([*judging, "--output", str(tmp_path / "judged"), "--show", "0"]) == 0
    lines = (tmp_path / "judged" / "judgements.jsonl").read_text().splitlines()
    assert [json.loads(line)["no_verdict"] for line in lines] == [None] * 8 + ["non_finite"]
    benchmark = ["--benchmark", "additions", str(tmp_path / "data")]
    assert main(["eval", "--judge", str(folder), *benchmark, "--output", str(tmp_path / "eval")]) == 0
    assert any('"non_finite": 1' in path.read_text() for path in (tmp_path / "eval").rglob("*.json"))


def test_doctor_fails_a_judge_whose_scores_are_no_numbers(
    tiny_judge: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(tiny_judge, tmp_path / "judge")
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"][0] = math.nan
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    [failed] = [finding for finding in examine(str(folder)).failed if finding.check == "finite scores"]
    assert failed.text.startswith("not finite on 6 of 6 solutions")
    assert main(["doctor", str(folder)]) == 2
    assert "finite scores" in capsys.readouterr().out


def test_doctor_passes_a_whole_judge(tiny_judge: Path) -> None:
    assert {"finite scores": True}.items() <= {f.check: f.ok for f in examine(str(tiny_judge)).findings}.items()


def test_an_exception_of_another_library_is_an_error_of_the_judge(tiny_judge: Path) -> None:
    from judgekit.judges import shared

    class Odd:
        info = JudgeInfo("odd", ThresholdRule())

        def judge(self, solutions: list[Solution]) -> None:
            raise RuntimeError("CUDA error:\n device-side assert triggered")

    answered: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.distributed, "get_world_size", lambda: 1)
        patch.setattr(torch.distributed, "get_rank", lambda: 0)
        patch.setattr(torch.distributed, "gather_object", lambda answer, _: answered.append(answer))
        shared._answer(Odd(), GOOD)  # type: ignore[arg-type]
    [error] = answered
    assert isinstance(error, JudgeError)
    assert str(error) == "judge odd failed: CUDA error: device-side assert triggered"


def test_conventions_are_what_the_poison_relies_on(tiny_judge: Path) -> None:
    judge = load_judge(tiny_judge, dtype="float32")
    assert isinstance(judge, StepLogitJudge) and isinstance(judge.spec.input, InputConvention)
    assert len(judge.tokenizer("~", add_special_tokens=False).input_ids) == 1
