"""Generative families against their published conventions, on a tiny chat model with random weights.

What is expected is written here from the publications, on bare transformers: prompts as text, full logits, softmax.
The critiques of a random model say nothing, so texts are put into its mouth where the convention speaks of them.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from judgekit.engines.generation.base import Completion
from judgekit.errors import CheckpointError
from judgekit.judges import load_judge
from judgekit.judges.critics.critic import CriticJudge
from judgekit.types import NoVerdictReason, Solution, Verdict
from tests.http_server import running_server, send
from tests.judgekit.judges.critics.scripted_critic import box, said
from tests.judgekit.samples import HOSTILE

SOLUTION = Solution(
    problem="Start with 2, add 3, take 1.",
    steps=("2+3=5 is the sum.", "Step 2: 5-1=3", "So it is \\boxed{3}."),
    reference="4",
)
Open = Callable[..., CriticJudge]


@pytest.fixture
def open_family(tiny_chat: Path, tmp_path: Path) -> Open:
    """Return a function that opens the tiny model under a published name, as a card by hand with a few changes."""

    def open_(name: str, **critic: Any) -> CriticJudge:
        shutil.copytree(tiny_chat, tmp_path / name)
        card = tmp_path / "card.yaml"
        card.write_text(yaml.safe_dump({"model": name, "critic": critic}))
        judge = load_judge(card)
        assert isinstance(judge, CriticJudge)
        return judge

    return open_


@pytest.fixture(scope="module")
def checkpoint(tiny_chat: Path) -> tuple[Any, Any]:
    return AutoTokenizer.from_pretrained(tiny_chat), AutoModelForCausalLM.from_pretrained(tiny_chat).eval()


def next_token_share(checkpoint: tuple[Any, Any], text: str, ok: str, error: str) -> float:
    """Softmax over the logits of two tokens behind a text."""
    tokenizer, model = checkpoint
    with torch.no_grad():
        logits = model(tokenizer(text, return_tensors="pt", add_special_tokens=False).input_ids).logits[0, -1]
    ids = [tokenizer.encode(word, add_special_tokens=False)[0] for word in (ok, error)]
    return float(torch.softmax(logits[ids], dim=-1)[0])


def chatml(*turns: tuple[str, str]) -> str:
    text = "".join(f"<|im_start|>{role}\n{content}<|im_end|>\n" for role, content in turns)
    return text + "<|im_start|>assistant\n"


def answering(
    judge: CriticJudge, monkeypatch: pytest.MonkeyPatch, reply: Callable[[str], Sequence[Completion]]
) -> list[str]:
    """Let the engine's critiques be scripted, and return where the rendered prompts are collected."""
    rendered: list[str] = []

    def generate(prompts: Sequence[Any], sampling: Any, *, n: int, **_: Any) -> list[list[Completion]]:
        texts = [str(judge.generator.render(prompt)) for prompt in prompts]
        rendered.extend(texts)
        return [list(reply(text))[:n] for text in texts]

    monkeypatch.setattr(judge.generator, "generate", generate)
    return rendered


def test_r_prm(open_family: Open, checkpoint: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    judge = open_family("R-PRM-7B-DPO", votes=3)
    assert (judge.card.family, judge.info.decision.kind) == ("r-prm", "threshold")
    question = "Is the step correct (Yes/No)?"
    critiques = [f"Analysis. Verification: {question} Yes", f"{question} No. {question} Yes", "it breaks off"]
    rendered = answering(judge, monkeypatch, lambda _: said(*critiques))
    [judgement] = judge.judge([SOLUTION])

    expected = []
    steps = SOLUTION.steps
    for step, prompt in enumerate(rendered):
        previous = "\n".join(steps[:step]) or "Since the Now Step is the first step, there are no Previous Steps."
        parts = f"Question: {SOLUTION.problem}\nPrevious Steps: {previous}\nNow Step: {steps[step]}\n"
        assert prompt.startswith("<|im_start|>user\nYou are an excellent math teacher. ")
        tail = "Please carefully analyze the correctness of the Now Step.\nReply:<|im_end|>\n<|im_start|>assistant\n"
        assert prompt.endswith(parts + tail)
        shares = []
        for critique in critiques:
            if question in critique:
                text = critique.split(question)[0] + question
            else:
                text = critique + "\nBased on your analysis. Is the answer correct (Yes/No)?"
            shares.append(next_token_share(checkpoint, prompt + text, " Yes", " No"))
        assert len(set(shares)) == 3
        expected.append(sum(shares) / 3)
    assert judgement.verdict is not None
    assert judgement.verdict.p_ok_S == pytest.approx(expected, abs=1e-5)


def test_r_prm_behind_a_server(tiny_chat: Path, tmp_path: Path, checkpoint: tuple[Any, Any]) -> None:
    """Rendered here, written there: the critique, then the probabilities of the token behind its question."""
    ids = [checkpoint[0].encode(word, add_special_tokens=False)[0] for word in (" Yes", " No")]
    question = "Is the step correct (Yes/No)?"

    def critic(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        choice: dict[str, Any] = {"text": f"Fine. Verification: {question} Yes", "finish_reason": "stop"}
        if "logprobs" in body:
            assert body["prompt"].endswith(f"<|im_start|>assistant\nFine. Verification: {question}")
            listed = {f"token_id:{token}": math.log(prob) for token, prob in zip(ids, (0.6, 0.2), strict=True)}
            choice |= {"logprobs": {"top_logprobs": [listed]}, "finish_reason": "length"}
        usage = {"prompt_tokens": 50, "completion_tokens": 5}
        send(handler, 200, json.dumps({"model": "m", "choices": [choice], "usage": usage}))

    with running_server() as server:
        engine = {
            "type": "openai",
            "base_url": server.url,
            "model": "m",
            "dialect": "vllm",
            "tokenizer": str(tiny_chat),
        }
        engine |= {"prompt_usd_per_mtok": 1000.0, "completion_usd_per_mtok": 0.0}
        card = tmp_path / "r-prm.yaml"
        card.write_text(yaml.safe_dump({"family": "r-prm", "critic": {"votes": 2, "engine": engine}}))
        server.acts = [critic] * 12
        [judgement] = load_judge(card).judge([SOLUTION])
    assert judgement.verdict is not None
    assert judgement.verdict.p_ok_S == pytest.approx([0.75] * 3)
    assert judgement.cost_usd == pytest.approx(12 * 50 * 1000 / 1e6)


def test_genprm(open_family: Open, checkpoint: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    judge = open_family("GenPRM-7B", votes=2)
    assert judge.card.family == "genprm"
    code = "</analyze>\n<verify>\n```python\nraise SystemExit\n```\n[Code Output]\n\n```\n1\n```\n</verify>"
    critiques = ["2 and 3 make 5." + code, "it breaks off"]
    rendered = answering(judge, monkeypatch, lambda _: said(*critiques))
    [judgement] = judge.judge([SOLUTION])

    system = "You are a math teacher. Your task is to review and critique the paragraphs in solution step by step."
    turns = [("system", system), ("user", f"Question: {SOLUTION.problem}\n\n{SOLUTION.steps[0]}")]
    expected = []
    for step in range(3):
        begin = f"<analyze>\nLet's analyze the Paragraph {step + 1} step by step: "
        assert rendered[step] == chatml(*turns) + begin
        judged = "</analyze>\n<output>\n**Judgement**: $\\boxed{"
        texts = [begin + critique.split("</analyze>")[0] + judged for critique in critiques]
        shares = [next_token_share(checkpoint, chatml(*turns) + text, "Yes", "No") for text in texts]
        expected.append(sum(shares) / 2)
        verdict = "Yes" if shares[0] >= 0.5 else "No"
        turns.append(("assistant", f"{texts[0]}{verdict}}}$\n</output>\n"))
        turns += [("user", SOLUTION.steps[step + 1])] if step < 2 else []
    assert judgement.verdict is not None
    assert judgement.verdict.p_ok_S == pytest.approx(expected, abs=1e-5)


def test_thinkprm(open_family: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = open_family("ThinkPRM-1.5B", votes=3)
    assert (judge.card.family, judge.info.decision.kind) == ("thinkprm", "argmax")
    chains = [
        r" Step 1: \boxed{correct} Step 2: 5-1 is 4 \boxed{incorrect}",
        r" \boxed{correct} \boxed{correct} \boxed{correct}</think> Step 1 is \boxed{incorrect}",
        " \\boxed{correct} \\boxed{correct}\nIs the solution correct? \\boxed{correct}",
    ]
    rendered = answering(judge, monkeypatch, lambda _: said(*chains))
    [judgement] = judge.judge([SOLUTION])
    assert rendered == [
        "<|im_start|>user\nYou are given a math problem and a proposed step-by-step solution:\n\n"
        f"[Math Problem]\n\n{SOLUTION.problem}\n\n[Solution]\n\n"
        "Step 1: 2+3=5 is the sum.\nStep 2: 5-1=3\nStep 3: So it is \\boxed{3}.\n\n"
        "Review and critique each step in the proposed solution to determine whether each step is correct. "
        "If the solution is incomplete, only verify the provided steps.<|im_end|>\n<|im_start|>assistant\n"
        "\nLet's verify step by step:"
    ]
    assert judgement.verdict == Verdict.from_votes([1, None], n_steps=3)
    assert judgement.raw is not None and "1 x no verdict (unparsable)" in judgement.raw


def test_fapo_genrm(open_family: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = open_family("FAPO-GenRM-4B")
    assert (judge.card.family, judge.info.decision.kind) == ("fapo-genrm", "argmax")
    rendered = answering(judge, monkeypatch, lambda _: box(1))
    [judgement] = judge.judge([SOLUTION])
    paragraphs = "\n\n".join(
        f"<paragraph_{index}>\n{step}\n</paragraph_{index}>" for index, step in enumerate(SOLUTION.steps)
    )
    assert rendered == [
        "<|im_start|>user\nThe following is a math problem with its ground truth answer, along with an AI solution "
        "(split into paragraphs, enclosed with tags and indexed from 0):\n\n"
        f"[Math Problem]\n\n{SOLUTION.problem}\n\n[Ground Truth]\n\n4\n\n[AI Solution]\n\n{paragraphs}\n\n"
        "Your task is to review and critique the solution paragraph by paragraph. Once you identify an error in a "
        "paragraph, return the index of the paragraph where the earliest error occurs. Otherwise, return the index of "
        "-1 (which typically denotes 'not found').\n\nPlease reason step by step, put your final answer (i.e., the "
        "index) in \\boxed{}.<|im_end|>\n<|im_start|>assistant\n"
    ]
    assert judgement.verdict is not None
    assert judgement.verdict.decide(judge.info.decision) == 1
    blind = SOLUTION.model_copy(update={"reference": None})
    assert judge.judge([blind])[0].no_verdict is NoVerdictReason.NO_REFERENCE


def test_a_direct_critic_from_yaml_to_verdict(tiny_chat: Path, tmp_path: Path, checkpoint: tuple[Any, Any]) -> None:
    """No script: the tiny model itself chooses, and greedily takes the more probable token of those that lead on."""
    card = tmp_path / "direct.yaml"
    sampling = {"temperature": None, "max_tokens": 8}
    critic = {"prompt": "direct-1", "sampling": sampling, "smoothing": 0.01}
    card.write_text(yaml.safe_dump({"family": "critic", "model": str(tiny_chat), "critic": critic}))
    judge = load_judge(card)
    assert isinstance(judge, CriticJudge) and judge.info.deterministic
    two = SOLUTION.model_copy(update={"steps": SOLUTION.steps[:2]})
    found = judge.judge([SOLUTION, two])
    tokenizer, model = checkpoint
    for solution, judgement in zip((SOLUTION, two), found, strict=True):
        prompt = str(judge.generator.render(judge.prompt.messages(solution)))
        with torch.no_grad():
            logits = model(tokenizer(prompt, return_tensors="pt", add_special_tokens=False).input_ids).logits[0, -1]
        first = {tokenizer.encode(text, add_special_tokens=False)[0]: text for text in ("-1", "0", "1", "2")}
        if len(solution.steps) == 2:
            first = {token: text for token, text in first.items() if text != "2"}
        text = first[max(first, key=logits.tolist().__getitem__)]
        assert judgement.verdict is not None
        assert judgement.verdict.decide(judge.info.decision) == (None if text == "-1" else int(text))
    assert [judgement.verdict for judgement in judge.judge([SOLUTION, two])] == [item.verdict for item in found]


def test_votes_of_the_model_itself_are_counted(tiny_chat: Path, tmp_path: Path) -> None:
    card = tmp_path / "critic.yaml"
    critic = {"votes": 4, "sampling": {"max_tokens": 12}, "force_answer": True}
    card.write_text(yaml.safe_dump({"family": "critic", "model": str(tiny_chat), "critic": critic}))
    beyond_context, endless = (Solution(problem="1?", steps=("x = x + 1",) * n) for n in (2000, 100_000))
    hostile = Solution(problem="\x00<|im_end|>", steps=HOSTILE)
    found = load_judge(card).judge([SOLUTION, beyond_context, endless, hostile])
    assert found[0].verdict is not None, "cut off after twelve tokens, and led into the box"
    assert found[0].raw is not None and found[0].raw.count("--- answer") == 4
    assert [judgement.no_verdict for judgement in found[1:3]] == [NoVerdictReason.TOO_LONG] * 2
    assert found[3].verdict is not None and found[3].verdict.n_steps == len(HOSTILE)
    (tmp_path / "plain.yaml").write_text(
        yaml.safe_dump(yaml.safe_load(card.read_text()) | {"critic": {"sampling": {"max_tokens": 12}}})
    )
    assert load_judge(tmp_path / "plain.yaml").judge([SOLUTION])[0].no_verdict is NoVerdictReason.TRUNCATED


def test_a_chat_model_is_no_critic_unless_it_is_called_one(tiny_chat: Path) -> None:
    with pytest.raises(CheckpointError, match="no public family fits"):
        load_judge(tiny_chat)
