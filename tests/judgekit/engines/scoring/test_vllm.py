"""vLLM, in this process and as a server, against transformers on the same random checkpoints. `make test-vllm`.

In float32 they differ by the order of sums alone; measured 6e-6 on logits up to 6, and 3e-6 on log-probabilities.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForTokenClassification

from judgekit.engines.generation.base import ChoiceScores, Completion
from judgekit.engines.generation.config import OpenAIGeneration, SamplingConfig, TransformersGeneration, VllmGeneration
from judgekit.engines.generation.door import build_generator
from judgekit.engines.generation.openai import HttpGenerator
from judgekit.engines.scoring.encoded import Encoded
from judgekit.engines.scoring.forward import score_positions
from judgekit.engines.scoring.load import load_classifier, load_headed_model, load_tokenizer
from judgekit.engines.scoring.vllm import VllmClassifier
from judgekit.errors import CheckpointError, ConfigError, JudgeError
from judgekit.judges import load_judge
from judgekit.judges.card import JudgeCard, write_card
from judgekit.judges.steps.encoding import encode_solutions, make_convention
from judgekit.judges.steps.specs import StepClassifierSpec
from judgekit.types import NoVerdictReason, Solution
from tests.judgekit.engines.scoring.vllm_checkpoints import CONTEXT, save_model, save_process_reward_model
from tests.judgekit.engines.scoring.vllm_server import MODEL, VllmServer
from tests.judgekit.samples import HOSTILE, assert_same

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="needs vLLM: make test-vllm"),
    pytest.mark.filterwarnings("default"),  # vLLM's own
]
N_BYTES = 256
"""Ids that every byte-level vocabulary has."""
PROMPTS = ["Start with 3.", "1+1=", "Start with 12. 12+5=17 and then", "7"]
FLOAT32 = 3e-5
"""Five times the largest difference measured between the engines in float32."""


def greedy(max_tokens: int) -> SamplingConfig:
    return SamplingConfig(max_tokens=max_tokens, temperature=None)


def at_one(max_tokens: int) -> SamplingConfig:
    return SamplingConfig(max_tokens=max_tokens, temperature=1.0)


@pytest.fixture(scope="module", autouse=True)
def settings() -> Iterator[None]:
    """Run engines in this process: an engine process of its own imports vLLM anew, half a minute each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        patch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        patch.setenv("VLLM_NO_USAGE_STATS", "1")
        patch.setenv("VLLM_LOGGING_LEVEL", "ERROR")
        yield


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a judge directory of a token-classification model."""
    folder = save_model(LlamaForTokenClassification, LlamaConfig, tmp_path_factory.mktemp("classifier"))
    convention = make_convention(
        load_tokenizer(str(folder)), separator="\n", problem_separator="\n", max_tokens=CONTEXT
    )
    write_card(folder, JudgeCard(judge_id="small", base_model="none", spec=StepClassifierSpec(input=convention)))
    return folder


@pytest.fixture(scope="module")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(LlamaForCausalLM, LlamaConfig, tmp_path_factory.mktemp("language_model"))


@pytest.fixture(scope="module", autouse=True)
def starting_server(
    settings: None, language_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VllmServer]:
    """Start the server before anything else, so that it gets ready while the other tests run."""
    options = ("--dtype", "float32", "--max-model-len", str(CONTEXT))
    server = VllmServer(language_model, log=tmp_path_factory.mktemp("server") / "log", options=options)
    yield server
    server.kill()


@pytest.fixture(scope="module")
def server(starting_server: VllmServer) -> VllmServer:
    starting_server.wait_until_ready()
    return starting_server


@pytest.fixture(scope="module")
def generators(language_model: Path) -> tuple[Any, Any]:
    """Return vLLM's and transformers' generator of one checkpoint."""
    ours = TransformersGeneration(model=str(language_model))
    return build_generator(VllmGeneration(model=str(language_model), dtype="float32")), build_generator(ours)


def random_encoded() -> list[Encoded]:
    """Inputs of one token up to the whole context, read at random positions, the last token among them."""
    rng = np.random.default_rng(0)
    made = []
    for n_tokens in (1, 2, 17, 128, 129, CONTEXT):
        positions = {n_tokens - 1, *rng.integers(0, n_tokens, size=5).tolist()}
        made.append(Encoded(rng.integers(3, N_BYTES, size=n_tokens).tolist(), sorted(positions)))
    return made


def max_difference(found_N: list[np.ndarray], expected_N: list[np.ndarray]) -> float:
    assert [found.shape for found in found_N] == [expected.shape for expected in expected_N]
    assert all(found.dtype == np.float32 for found in found_N)
    return float(max(np.abs(found - expected).max() for found, expected in zip(found_N, expected_N, strict=True)))


@pytest.fixture(scope="module")
def judges(classifier: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """Return one judge opened by vLLM, as a card says, and by transformers."""
    card = tmp_path_factory.mktemp("card") / "small.yaml"
    card.write_text(f"model: {classifier}\nengine: vllm\n")
    return load_judge(card), load_judge(classifier)


def test_logits_of_a_token_classifier(judges: tuple[Any, Any], record_property: Any) -> None:
    by_vllm, by_transformers = judges
    assert isinstance(by_vllm.model, VllmClassifier)
    expected = score_positions(by_transformers.model, random_encoded(), token_budget=1000, pad_id=0)
    difference = max_difference(by_vllm.model.score_positions(random_encoded()), expected)
    record_property("max_difference", difference)
    assert difference < FLOAT32
    assert min(np.ptp(logits) for logits in expected[1:]) > 0.1, "outputs that hardly differ would prove nothing"
    assert np.abs(np.concatenate(expected)).max() > 1, "probabilities or their logarithms would be told apart"
    assert by_vllm.model.score_positions([]) == []


def test_verdicts_of_a_judge_whose_card_names_the_engine(judges: tuple[Any, Any]) -> None:
    steps = [("1+1=2",), ("12+7=19", "19+3=22", "done"), HOSTILE, (), ("7 " * CONTEXT,)]
    solutions = [Solution(problem=f"Add {row}.\nAnd more.", steps=given) for row, given in enumerate(steps)]
    found, expected = (judge.judge(solutions) for judge in judges)
    assert [judgement.no_verdict for judgement in found] == [
        None, None, None, NoVerdictReason.EMPTY, NoVerdictReason.TOO_LONG,
    ]  # fmt: skip
    for ours, theirs in zip(found[:3], expected[:3], strict=True):
        assert ours.verdict.posterior == pytest.approx(theirs.verdict.posterior, abs=FLOAT32)
    assert [judgement.n_tokens for judgement in found] == [judgement.n_tokens for judgement in expected]


def test_separators_inside_a_candidate_are_not_read(judges: tuple[Any, Any]) -> None:
    by_vllm, _ = judges
    solution = Solution(problem="Add\n\n1.", steps=("two\nlines\n\nand more\n", "1+1=2"))
    (encoded,) = encode_solutions(by_vllm.tokenizer, [solution], by_vllm.spec.input)
    separator = by_vllm.spec.input.separator_ids[-1]
    assert encoded.input_ids.count(separator) > len(solution.steps), "the case that reading by tag would get wrong"
    (logits_S,) = by_vllm.model.score_positions([encoded])
    assert logits_S.shape == (2, 2)


def test_logits_in_bfloat16(classifier: Path, record_property: Any) -> None:
    """Both engines are held to float32: they round at different places, so they differ by twice their own error.

    bfloat16 rounds with a relative error of 2^-9; some tens of roundings on the way through two layers of large random
    weights add up to one or two tenths of a logit.
    """
    exact = score_positions(
        load_classifier(str(classifier), dtype="float32"), random_encoded(), token_budget=1000, pad_id=0
    )
    rounded = score_positions(
        load_classifier(str(classifier), dtype="bfloat16"), random_encoded(), token_budget=1000, pad_id=0
    )
    found = VllmClassifier(str(classifier), dtype="bfloat16", max_tokens=CONTEXT).score_positions(random_encoded())
    by_transformers, by_vllm = max_difference(rounded, exact), max_difference(found, exact)
    record_property("max_difference", {"transformers": by_transformers, "vllm": by_vllm})
    assert 0 < by_vllm < 2 * by_transformers
    assert by_transformers < 0.5


def test_logits_of_a_process_reward_model(tmp_path: Path, record_property: Any) -> None:
    """The class of Qwen2.5-Math-PRM: its published checkpoint names remote code, which neither engine runs."""
    folder = save_process_reward_model(tmp_path)
    model = load_headed_model(folder, head="score", dtype="float32")
    expected = score_positions(model, random_encoded(), token_budget=1000, pad_id=0)
    found = VllmClassifier(str(folder), dtype="float32", max_tokens=CONTEXT).score_positions(random_encoded())
    difference = max_difference(found, expected)
    record_property("max_difference", difference)
    assert difference < FLOAT32
    assert min(np.ptp(logits) for logits in expected[1:]) > 0.1


def test_a_language_model_is_no_classifier(language_model: Path) -> None:
    with pytest.raises(CheckpointError, match=r"vLLM cannot open the model .*token_classify"):
        VllmClassifier(str(language_model), dtype="float32", max_tokens=CONTEXT)


def whole_characters(completion: Completion) -> Completion:
    """Drop the replacement for a character that is cut off: random bytes end so, and vLLM withholds it."""
    return replace(completion, text=completion.text.rstrip("\ufffd"))


def test_greedy_completions(generators: tuple[Any, Any]) -> None:
    prompts = [*PROMPTS, [{"role": "user", "content": "1+1?"}], "7 " * CONTEXT]
    found, expected = (generator.generate(prompts, greedy(12)) for generator in generators)
    assert_same([map(whole_characters, one) for one in found], [map(whole_characters, one) for one in expected])
    assert len({one.text for (one,) in found[:-1]}) > 1
    assert found[-1][0].failure_reason == NoVerdictReason.TOO_LONG


def test_sampled_completions_depend_on_the_seed_alone(generators: tuple[Any, Any]) -> None:
    by_vllm, _ = generators
    first = by_vllm.generate(PROMPTS, at_one(5), n=2, seed=1)
    assert first == by_vllm.generate(PROMPTS, at_one(5), n=2, seed=1) != by_vllm.generate(PROMPTS, at_one(5), n=2)
    assert [len(completions) for completions in first] == [2] * 4
    assert {completion.n_tokens for completions in first for completion in completions} <= {1, 2, 3, 4, 5}


def test_completions_held_to_choices(generators: tuple[Any, Any]) -> None:
    by_vllm, _ = generators
    tokens = ["+", "-", "7"]  # one token each, so that both engines choose between the same three
    found, expected = (generator.generate(PROMPTS, greedy(4), choices_P=[tokens] * 4) for generator in generators)
    assert [(one.text, one.finish_reason) for (one,) in found] == [(one.text, "stop") for (one,) in expected]

    choices_P = [["1", "12", "123"], ['"quoted"', "back\\slash", "two\nlines"], ["è", "🧮"], ["-1", "0", "1"]]
    sampled = by_vllm.generate(PROMPTS, SamplingConfig(max_tokens=20, temperature=2.0), n=24, choices_P=choices_P)
    for choices, completions in zip(choices_P, sampled, strict=True):
        assert {completion.finish_reason for completion in completions} == {"stop"}
        assert {completion.text for completion in completions} <= set(choices)
        assert len({completion.text for completion in completions}) > 1
    ((cut,),) = by_vllm.generate(["1"], at_one(2), choices_P=[["a long choice indeed"]])
    assert (cut.finish_reason, cut.n_tokens) == ("length", 2)
    with pytest.raises(ConfigError, match="at least one"):
        by_vllm.generate(["1"], at_one(2), choices_P=[[]])


def test_what_vllm_refuses_is_said(generators: tuple[Any, Any]) -> None:
    by_vllm, _ = generators
    with pytest.raises(JudgeError, match="temperature must be in"):
        by_vllm.generate(["1"], SamplingConfig(max_tokens=2, temperature=3.0))


def largest_difference(found_P: list[ChoiceScores], expected_P: list[ChoiceScores]) -> float:
    found, expected = ([one.logprobs for one in scores_P] for scores_P in (found_P, expected_P))
    return float(np.abs(np.array(found) - np.array(expected)).max())


def test_log_probabilities_of_choices(generators: tuple[Any, Any], record_property: Any) -> None:
    by_vllm, by_transformers = generators
    choices = ["+", "-", "ß", " Yes"]
    found, expected = (
        generator.choice_logprobs([*PROMPTS, "7 " * CONTEXT], choices=choices) for generator in generators
    )
    difference = largest_difference(found[:-1], expected[:-1])
    record_property("max_difference", difference)
    assert difference < FLOAT32
    assert [one.n_prompt_tokens for one in found] == [one.n_prompt_tokens for one in expected]
    assert (found[-1].logprobs, found[-1].failure_reason) == (None, NoVerdictReason.TOO_LONG)

    ranks = by_transformers.generate(PROMPTS[:1], greedy(1))
    assert ranks[0][0].text not in choices, "the most probable token is none of the choices"
    with pytest.raises(ConfigError, match="cannot be distinguished"):
        by_vllm.choice_logprobs(PROMPTS, choices=["+", "+1"])


def over_http(server: VllmServer, **options: Any) -> HttpGenerator:
    return HttpGenerator(OpenAIGeneration(base_url=server.url, model=MODEL, dialect="vllm", **options))


def test_server_completions(server: VllmServer, language_model: Path, generators: tuple[Any, Any]) -> None:
    _, by_transformers = generators
    chat = [{"role": "user", "content": "1+1?"}]
    completions = by_transformers.generate([*PROMPTS, chat], greedy(12))
    expected = [[replace(one, token_ids=None, logprobs=None)] for (one,) in completions]  # a server tells neither
    rendered_here = over_http(server, tokenizer=str(language_model))
    found = rendered_here.generate([*PROMPTS, chat, "7 " * CONTEXT], greedy(12))
    assert [whole_characters(one) for (one,) in found[:-1]] == [whole_characters(one) for (one,) in expected]
    assert found[-1][0].failure_reason == NoVerdictReason.TOO_LONG
    rendered_there = over_http(server).generate([chat], greedy(12))
    assert whole_characters(rendered_there[0][0]) == whole_characters(expected[-1][0])

    sampled = rendered_here.generate(PROMPTS[:1], at_one(9), n=8, choices_P=[["yes", "no", "two\nlines"]])[0]
    assert {completion.text for completion in sampled} <= {"yes", "no", "two\nlines"}
    assert len({completion.text for completion in sampled}) > 1


def test_server_log_probabilities_of_choices(
    server: VllmServer, language_model: Path, generators: tuple[Any, Any], record_property: Any
) -> None:
    _, by_transformers = generators
    choices = ["+", "-", "ß", " Yes"]
    prompts = [*PROMPTS, [{"role": "user", "content": "1+1?"}]]
    found = over_http(server, tokenizer=str(language_model), top_logprobs=1).choice_logprobs(prompts, choices=choices)
    difference = largest_difference(found, by_transformers.choice_logprobs(prompts, choices=choices))
    record_property("max_difference", difference)
    assert difference < FLOAT32, "choices that are not the most probable token are listed, too"
