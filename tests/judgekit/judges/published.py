"""Scores of the public judge families, worked out plainly from the published convention: for tests to compare with.

One solution at a time, transformers called as the published scripts do it, logits over the whole vocabulary, loops.
Nothing here uses judgekit's encoders, engines or cards. Sources: the header of each family's card.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForTokenClassification, AutoTokenizer

from judgekit.types import Solution

Published = Callable[[Path, Solution], list[float]]
"""From a checkpoint directory and a solution to P(step ok) of every step."""


@functools.cache
def _tokenizer(folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(folder)


@functools.cache
def _language_model(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder).eval()


@functools.cache
def _classifier(folder: Path) -> Any:
    return AutoModelForTokenClassification.from_pretrained(folder).eval()


@functools.cache
def _body(folder: Path) -> Any:
    return AutoModel.from_pretrained(folder).eval()


def _chat_ids(tokenizer: Any, messages: list[dict[str, str]]) -> list[int]:
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=False)
    return tokenizer.encode(text, add_special_tokens=False)


def _ids(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


@torch.no_grad()
def _logits(model: Any, ids: list[int]) -> torch.Tensor:
    return model(input_ids=torch.tensor([ids])).logits[0]


@torch.no_grad()
def _hidden(folder: Path, ids: list[int]) -> torch.Tensor:
    return _body(folder)(input_ids=torch.tensor([ids])).last_hidden_state[0]


def qwen_math_prm(folder: Path, solution: Solution) -> list[float]:
    tokenizer = _tokenizer(folder)
    system = "Please reason step by step, and put your final answer within \\boxed{}."
    ids = _chat_ids(
        tokenizer,
        [
            {"role": "system", "content": system},
            {"role": "user", "content": solution.problem},
            {"role": "assistant", "content": "<extra_0>".join(solution.steps) + "<extra_0>"},
        ],
    )
    tensors = load_file(folder / "model.safetensors")
    hidden = torch.relu(_hidden(folder, ids) @ tensors["score.0.weight"].T + tensors["score.0.bias"])
    probs = (hidden @ tensors["score.2.weight"].T + tensors["score.2.bias"]).softmax(dim=-1)
    return [probs[position, 1].item() for position, token in enumerate(ids) if token == 151651]


def rlhflow(folder: Path, solution: Solution) -> list[float]:
    """One forward pass a step, read at the third token from the end."""
    tokenizer, model = _tokenizer(folder), _language_model(folder)
    candidates = [tokenizer.encode("+")[-1], tokenizer.encode("-")[-1]]
    conversation, probs = [], []
    for number, step in enumerate(solution.steps):
        said = step.strip() if number else solution.problem + " " + step.strip()
        conversation += [{"role": "user", "content": said}, {"role": "assistant", "content": "+"}]
        logits = _logits(model, _chat_ids(tokenizer, conversation))
        probs.append(logits[-3, candidates].softmax(dim=-1)[0].item())
    return probs


def math_shepherd(folder: Path, solution: Solution) -> list[float]:
    tokenizer, model = _tokenizer(folder), _language_model(folder)
    candidates = tokenizer.encode("+ -")[1:]
    tag = tokenizer.encode("ки")[-1]
    assert (candidates, tag) == ([648, 387], 12902)
    lines = [f"Step {number}: {step.strip()} ки" for number, step in enumerate(solution.steps, 1)]
    ids = tokenizer.encode(solution.problem + " " + "\n".join(lines))
    probs = _logits(model, ids)[:, candidates].softmax(dim=-1)[:, 0]
    return [probs[position].item() for position, token in enumerate(ids) if token == tag]


def skywork(folder: Path, solution: Solution) -> list[float]:
    tokenizer = _tokenizer(folder)
    ids = tokenizer.encode(tokenizer.bos_token + solution.problem + "\n")
    positions = []
    for step in solution.steps:
        ids = ids + tokenizer.encode(step) + [tokenizer.encode("\n")[-1]]
        positions.append(len(ids) - 1)
    model = _language_model(folder)
    with torch.no_grad():
        hidden = model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states[-1][0]
    tensors = load_file(folder / "model.safetensors")
    values = hidden @ tensors["v_head.summary.weight"].T + tensors["v_head.summary.bias"]
    return [torch.sigmoid(values[position, 0]).item() for position in positions]


def trl(folder: Path, solution: Solution) -> list[float]:
    """Also PURE, whose tokenizer has no begin-of-text token."""
    tokenizer = _tokenizer(folder)
    begin = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    ids, positions = begin + _ids(tokenizer, solution.problem), []
    for step in solution.steps:
        ids = ids + _ids(tokenizer, step) + _ids(tokenizer, "\n")
        positions.append(len(ids) - 1)
    model = _classifier(folder)
    probs = _logits(model, ids).softmax(dim=-1)
    return [probs[position, 1].item() for position in positions]


def implicit(folder: Path, solution: Solution) -> list[float]:
    """The model card's script: positions come from encoding every beginning of the solution anew."""
    tokenizer = _tokenizer(folder)
    steps = [f"Step {number}: {step}" for number, step in enumerate(solution.steps, 1)]

    def conversation(n_steps: int) -> list[dict[str, str]]:
        said = "\n\n".join(steps[:n_steps])
        return [{"role": "user", "content": solution.problem}, {"role": "assistant", "content": said}]

    ids = _chat_ids(tokenizer, conversation(len(steps)))
    last_tokens = []
    for n_steps in range(len(steps) + 1):
        text = tokenizer.apply_chat_template(conversation(n_steps), tokenize=False, add_generation_prompt=False).strip()
        text += "\n\n" if 0 < n_steps < len(steps) else ""
        last_tokens.append(len(tokenizer.encode(text, add_special_tokens=False)) - 2)
    counts = torch.tensor([float(token >= last_tokens[0]) for token in range(1, len(ids))])
    ratio = _token_logprobs(folder, ids) - _token_logprobs(folder.parent / "reference", ids)
    rewards = (0.001 * ratio * counts).cumsum(dim=0)
    return [torch.sigmoid(rewards[position]).item() for position in last_tokens[1:]]


def _token_logprobs(folder: Path, ids: list[int]) -> torch.Tensor:
    logprobs = _logits(_language_model(folder), ids).double().log_softmax(dim=-1)
    return torch.stack([logprobs[place, token] for place, token in enumerate(ids[1:])])


def reasoneval_7b(folder: Path, solution: Solution) -> list[float]:
    ids, positions = _reasoneval_ids(folder, solution)
    # begin of text and pad are one token here: it was taken out with the separators, and comes back in front
    return _reasoneval_probs(folder, [1, *ids], positions[2:])


def reasoneval_34b(folder: Path, solution: Solution) -> list[float]:
    ids, positions = _reasoneval_ids(folder, solution)
    return _reasoneval_probs(folder, ids, positions[1:])


def _reasoneval_ids(folder: Path, solution: Solution) -> tuple[list[int], list[int]]:
    tokenizer = _tokenizer(folder)
    separator = tokenizer.pad_token
    prompt = f"Question:\n{solution.problem}\nAnswer:\nLet's think step by step.\n"
    text = prompt + separator + "".join(step + separator for step in solution.steps)
    separator_id = tokenizer(separator)["input_ids"][-1]
    ids, positions = [], []
    for place, token in enumerate(tokenizer(text)["input_ids"]):
        if token == separator_id:
            positions.append(place - 1 - len(positions))
        else:
            ids.append(token)
    return ids, positions


def _reasoneval_probs(folder: Path, ids: list[int], positions: list[int]) -> list[float]:
    head = load_file(folder / "model.safetensors")["score_head.weight"]
    probs = (_hidden(folder, ids) @ head.T).softmax(dim=-1)
    return [(probs[position, 1] + probs[position, 2]).item() for position in positions]


def math_psa(folder: Path, solution: Solution) -> list[float]:
    tokenizer, model = _tokenizer(folder), _language_model(folder)
    tag = "\n\n\n\n\n"
    candidates, [tag_id] = tokenizer.encode(" + -"), tokenizer.encode(f" {tag}")
    assert (candidates, tag_id) == ([488, 481], 76325)
    answer = f" {tag} ".join(step.strip() for step in solution.steps) + f" {tag} "
    ids = tokenizer.encode(f"{solution.problem} {answer}")
    probs = _logits(model, ids)[:, candidates].softmax(dim=-1)[:, 0]
    return [probs[position].item() for position, token in enumerate(ids) if token == tag_id]


def llemma(folder: Path, solution: Solution) -> list[float]:
    """Positions of the two line breaks are searched for, so steps must not hold any themselves."""
    tokenizer = _tokenizer(folder.parent / "llemma_7b")
    model = _language_model(folder)
    text = f"# Question\n\n{solution.problem}\n\n# Solution\n\n" + "".join(
        f"{step.strip()}\n\n" for step in solution.steps
    )
    ids = tokenizer.encode(text)
    begin = tokenizer.encode("\n\n# Solution", add_special_tokens=False)[1:]
    breaks = tokenizer.encode("\n\n", add_special_tokens=False)[1:]
    assert len(breaks) == 2
    begun, positions = False, []
    for place in range(len(ids)):
        begun = begun or ids[place : place + len(begin)] == begin
        if begun and ids[place : place + 2] == breaks:
            positions.append(place)
    scores = _logits(model, ids).mean(dim=-1)
    heading, solution_begin, *step_ends = positions
    assert heading < solution_begin
    return [torch.sigmoid(scores[position]).item() for position in step_ends]


PUBLISHED: dict[str, Published] = {
    "qwen2.5-math-prm": qwen_math_prm,
    "rlhflow": rlhflow,
    "math-shepherd": math_shepherd,
    "skywork-prm": skywork,
    "pure": trl,
    "trl": trl,
    "eurusprm": implicit,
    "implicitprm": implicit,
    "reasoneval-7b": reasoneval_7b,
    "reasoneval-34b": reasoneval_34b,
    "math-psa": math_psa,
    "llemma-prm": llemma,
}
"""By the names of the miniatures."""
