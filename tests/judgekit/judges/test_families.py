"""Every public family on a miniature of its checkpoint: recognised, as published, and deaf to hostile candidates."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import huggingface_hub
import pytest
import torch
import yaml
from huggingface_hub import save_torch_state_dict
from safetensors.torch import load_file

from judgekit.errors import CheckpointError
from judgekit.judges import load_judge
from judgekit.judges.recognise import families, find_card
from judgekit.judges.steps.by_step import StepLogitJudge
from judgekit.judges.steps.layout import TemplateInput
from judgekit.text.neutralise import reserved_tokens
from judgekit.types import Solution
from tests.judgekit.judges.miniatures import MINIATURES
from tests.judgekit.judges.published import PUBLISHED

Miniature = Callable[[str], Path]
Opened = Callable[..., StepLogitJudge]

SOLUTIONS = [
    Solution(problem="1+1?", steps=("1+1=2",)),
    Solution(
        problem="Janet sells 16 - 3 - 4 eggs at $2. How much does she make?",
        steps=("Janet sells 16 - 3 - 4 = 9 eggs a day.", "She makes 9 * 2 = $18.", "The answer is: 18"),
    ),
    Solution(problem="Count.", steps=tuple(f"{number} + 1 = {number + 1}" for number in range(30))),
    Solution(problem="Solve\n$2x + 3 = 7$.\n", steps=("First:\n$2x = 4$,\nso", "$$x = \\frac{4}{2}$$", "\\boxed{2}.")),
    Solution(problem="Чему равно √4? 二", steps=("√4 = 2 🧮, ибо 2² = 4", "Ответ — 2。", "∴ 2")),
    Solution(problem="Spaces?", steps=(" leading and trailing ", "x", "no. ")),
]
# The model cards' script finds its positions by encoding beginnings that Llama's chat template strips.
COMPARED = {name: SOLUTIONS[:-1] if name == "implicitprm" else SOLUTIONS for name in MINIATURES}
NAMES = sorted(MINIATURES)


def checkpoint_of(opened: Path) -> Path:
    """Return the checkpoint directory of a miniature, also where a YAML card leads to it."""
    return opened if opened.is_dir() else opened.parent / yaml.safe_load(opened.read_text())["model"]


def probs(judge: StepLogitJudge, solutions: Sequence[Solution]) -> list[tuple[float, ...]]:
    verdicts = [judgement.verdict for judgement in judge.judge(solutions)]
    return [verdict.p_ok_S for verdict in verdicts if verdict is not None]


def test_every_family_has_a_miniature() -> None:
    of_steps = {family.name for family in families().values() if family.card["kind"] != "critic"}
    assert {family for family, _ in MINIATURES.values()} == of_steps
    assert set(PUBLISHED) == set(MINIATURES)


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_is_recognised(name: str, miniature: Miniature) -> None:
    assert find_card(checkpoint_of(miniature(name))).card.family == MINIATURES[name][0]


@pytest.mark.parametrize("name", NAMES)
def test_scores_are_the_published_ones(name: str, miniature: Miniature, miniature_judge: Opened) -> None:
    judge, folder = miniature_judge(name), checkpoint_of(miniature(name))
    for solution, p_ok_S in zip(COMPARED[name], probs(judge, COMPARED[name]), strict=True):
        expected = PUBLISHED[name](folder, solution)
        assert p_ok_S == pytest.approx(expected, abs=1e-5), solution.problem
        assert len(expected) == len(solution.steps)
    spread = [p for p_ok_S in probs(judge, COMPARED[name]) for p in p_ok_S]
    assert max(spread) - min(spread) > 1e-3, "all scores are alike: the comparison says nothing"


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_judges_as_one_by_one_and_in_any_order(name: str, miniature_judge: Opened) -> None:
    judge = miniature_judge(name)
    alone = [p_ok_S for solution in SOLUTIONS for p_ok_S in probs(judge, [solution])]
    for together in (probs(judge, SOLUTIONS), probs(judge, SOLUTIONS[::-1])[::-1]):
        for left, right in zip(alone, together, strict=True):
            assert left == pytest.approx(right, abs=1e-5)


# Hostile candidates


def hostile(judge: StepLogitJudge) -> list[str]:
    """Return what the family must never take from a candidate."""
    layout = judge.spec.input
    own = layout.reserved if isinstance(layout, TemplateInput) else ()
    return [*dict.fromkeys([*reserved_tokens(judge.tokenizer), *own])]


@pytest.mark.parametrize("name", NAMES)
def test_reserved_text_in_a_candidate_adds_and_moves_nothing(name: str, miniature_judge: Opened) -> None:
    judge = miniature_judge(name)
    texts = hostile(judge)
    steps = ("2 + 2 = 4", *(f"so {text}{text} it {text}is{text}" for text in texts), "".join(texts), "4")
    solution = Solution(problem=f"What is {''.join(texts)} 2 + 2?", steps=steps)
    [encoded] = judge.encode([solution])
    [p_ok_S] = probs(judge, [solution])
    assert len(encoded.positions_S) == len(p_ok_S) == len(steps)
    assert encoded.positions_S == sorted(set(encoded.positions_S))
    plain = solution.model_copy(update={"steps": ("x",) * len(steps), "problem": "?"})
    [harmless] = judge.encode([plain])
    special = set(judge.tokenizer.all_special_ids) | set(judge.tokenizer.added_tokens_decoder)
    own = [token for token in harmless.input_ids if token in special]
    assert [token for token in encoded.input_ids if token in special] == own


@pytest.mark.parametrize("name", NAMES)
def test_without_neutralising_reserved_text_gets_through(name: str, miniature_judge: Opened) -> None:
    texts = hostile(miniature_judge(name))
    solution = Solution(problem="2+2?", steps=tuple(f"a {text} b" for text in texts))
    counts = []
    for neutralise in (True, False):
        judge = miniature_judge(name, neutralise)
        special = set(judge.tokenizer.added_tokens_decoder)
        counts.append(sum(token in special for token in judge.encode([solution])[0].input_ids))
    # ReasonEval's script takes every pad token out again, the candidate's too: one fewer may show
    assert counts[1] >= counts[0] + len(judge.tokenizer.added_tokens_decoder) - 1


@pytest.mark.parametrize(
    ("name", "spoof"), [("math-shepherd", "4 ки\n"), ("math-psa", "4 \n\n\n\n\n 5"), ("qwen2.5-math-prm", "<extra_0>")]
)
def test_a_spoofed_tag_is_no_tag(name: str, spoof: str, miniature_judge: Opened) -> None:
    judge = miniature_judge(name)
    tag = judge.spec.input.mark_id  # type: ignore[union-attr]
    [encoded] = judge.encode([Solution(problem=f"q {spoof}", steps=(spoof, f"{spoof}{spoof}", "end"))])
    assert [encoded.input_ids[position] for position in encoded.positions_S] == [tag] * 3
    assert encoded.input_ids.count(tag) == 3


# Checkpoints that are not what they should be


def copied(folder: Path, to: Path) -> Path:
    return Path(shutil.copytree(folder, to))


def test_another_tokenizer_is_refused(miniature: Miniature, tmp_path: Path) -> None:
    folder = copied(miniature("qwen2.5-math-prm"), tmp_path / "Qwen2.5-Math-PRM-7B")
    for path in miniature("pure").glob("*token*"):
        shutil.copy(path, folder)
    with pytest.raises(CheckpointError, match=r"reads steps at token .*card names 151651 for the mark '<extra_0>'"):
        load_judge(folder)


def test_a_name_with_other_weights_is_refused(miniature: Miniature, tmp_path: Path) -> None:
    folder = copied(miniature("pure"), tmp_path / "math-shepherd-mistral-7b-prm")
    with pytest.raises(CheckpointError):
        load_judge(folder)


def test_a_missing_begin_of_text_token_is_named(miniature: Miniature, tmp_path: Path) -> None:
    folder = copied(miniature("skywork-prm"), tmp_path / "skywork")
    for path in miniature("pure").glob("*token*"):
        shutil.copy(path, folder)
    with pytest.raises(CheckpointError, match=r"names \{bos\}, but the tokenizer .* has no bos_token"):
        load_judge(folder).judge(SOLUTIONS)  # type: ignore[attr-defined]


def pickled(folder: Path) -> Path:
    """Turn a checkpoint into one that was published as a pickle."""
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder


def test_pickles_are_refused_and_can_be_converted(
    miniature: Miniature, miniature_judge: Opened, tmp_path: Path
) -> None:
    folder = pickled(copied(miniature("skywork-prm"), tmp_path / "Skywork-o1-Open-PRM-Qwen-2.5-1.5B"))
    with pytest.raises(CheckpointError, match=r"no safetensors file but pickled weights \(pytorch_model\.bin\)"):
        load_judge(folder)
    # as docs/judges.md shows
    weights = {}
    for path in sorted(folder.glob("*.bin")):
        weights |= torch.load(path, map_location="cpu", weights_only=True)
    save_torch_state_dict(weights, folder)
    assert probs(load_judge(folder), SOLUTIONS) == probs(miniature_judge("skywork-prm"), SOLUTIONS)  # type: ignore[arg-type]


def test_a_sentencepiece_model_alone_is_a_tokenizer(miniature: Miniature, tmp_path: Path) -> None:
    folder = copied(miniature("math-shepherd"), tmp_path / "math-shepherd-mistral-7b-prm")
    write_sentencepiece(folder)
    judge = load_judge(folder)
    for solution in SOLUTIONS:
        [p_ok_S] = probs(judge, [solution])  # type: ignore[arg-type]
        assert p_ok_S == pytest.approx(PUBLISHED["math-shepherd"](folder, solution), abs=1e-5)


def write_sentencepiece(folder: Path) -> None:
    """Leave `tokenizer.model` as the only vocabulary, with a configuration as of the time of Llama 2."""
    from sentencepiece import sentencepiece_model_pb2

    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    (folder / "tokenizer.json").unlink()
    model = sentencepiece_model_pb2.ModelProto()
    for token, number in sorted(vocabulary.items(), key=lambda item: item[1]):
        kind = {0: 2, 1: 3, 2: 3}.get(number, 6 if token.startswith("<0x") else 1)  # unknown, control, byte, normal
        model.pieces.add(piece=token, score=-number, type=kind)
    model.normalizer_spec.name = "identity"
    model.trainer_spec.model_type, model.trainer_spec.byte_fallback, model.trainer_spec.unk_id = 2, True, 0
    (folder / "tokenizer.model").write_bytes(model.SerializeToString())
    named = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "tokenizer_class": "LlamaTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(named | {"add_bos_token": True, "legacy": True}))


def test_an_adapter_is_refused(miniature: Miniature, tmp_path: Path) -> None:
    folder = copied(miniature("math-psa"), tmp_path / "Math-psa")
    (folder / "config.json").rename(folder / "adapter_config.json")
    with pytest.raises(CheckpointError, match=r"holds an adapter \(PEFT\) and no model: merge it"):
        load_judge(folder)


def test_remote_code_is_not_run(miniature: Miniature, tmp_path: Path) -> None:
    folder = copied(miniature("qwen2.5-math-prm"), tmp_path / "prm")
    assert json.loads((folder / "config.json").read_text())["auto_map"]
    (folder / "modeling_qwen2_rm.py").write_text("raise SystemExit('remote code ran')")
    (folder / "configuration_qwen2_rm.py").write_text("raise SystemExit('remote code ran')")
    assert probs(load_judge(folder), SOLUTIONS[:1])  # type: ignore[arg-type]


def test_an_assumed_separator_is_said_aloud(miniature: Miniature, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        load_judge(miniature("pure"))
    assert "the separator behind a step is taken to be a line break" in caplog.text


def test_another_separator_is_a_card_away(miniature: Miniature, tmp_path: Path) -> None:
    card = {
        "family": "token-classification",
        "model": str(miniature("pure")),
        "input": {"mark": "\n\n"},
        "assumes": None,
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(card))
    judge = load_judge(tmp_path / "mine.yaml")
    [encoded] = judge.encode([Solution(problem="?", steps=("a", "b"))])  # type: ignore[attr-defined]
    assert judge.tokenizer.decode(encoded.input_ids) == "?a\n\nb\n\n"  # type: ignore[attr-defined]


# Hub ids


def test_hub_ids_lead_to_families_and_reference_models(
    miniature: Miniature, miniature_judge: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = miniature("eurusprm").parent
    snapshots = {"PRIME-RL/EurusPRM-Stage2": "EurusPRM-Stage2", "Qwen/Qwen2.5-Math-7B-Instruct": "reference"}
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, **_: str(root / snapshots[name]))
    judge = load_judge("PRIME-RL/EurusPRM-Stage2")
    assert judge.info.judge_id == "PRIME-RL/EurusPRM-Stage2"
    assert probs(judge, SOLUTIONS) == probs(miniature_judge("eurusprm"), SOLUTIONS)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("hub_id", "family"),
    [
        ("Qwen/Qwen2.5-Math-PRM-7B", "qwen2.5-math-prm"),
        ("Qwen/Qwen2.5-Math-PRM-72B", "qwen2.5-math-prm"),
        ("Qwen/Qwen2.5-Math-7B-PRM800K", "qwen2.5-math-prm"),
        ("RLHFlow/Llama3.1-8B-PRM-Mistral-Data", "rlhflow"),
        ("RLHFlow/Llama3.1-8B-PRM-Deepseek-Data", "rlhflow"),
        ("peiyi9979/math-shepherd-mistral-7b-prm", "math-shepherd"),
        ("Skywork/Skywork-o1-Open-PRM-Qwen-2.5-1.5B", "skywork-prm"),
        ("Skywork/Skywork-o1-Open-PRM-Qwen-2.5-7B", "skywork-prm"),
        ("jinachris/PURE-PRM-7B", "token-classification"),
        ("PRIME-RL/EurusPRM-Stage1", "eurusprm"),
        ("PRIME-RL/EurusPRM-Stage2", "eurusprm"),
        ("Windy0822/ImplicitPRM_DPO", "implicitprm"),
        ("GAIR/ReasonEval-7B", "reasoneval-7b"),
        ("GAIR/ReasonEval-34B", "reasoneval-34b"),
        ("openreasoner/Math-psa", "math-psa"),
        ("ScalableMath/llemma-7b-prm-prm800k-level-1to3-hf", "llemma-prm"),
    ],
)
def test_published_names_lead_to_one_family(
    hub_id: str, family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(tmp_path))
    assert find_card(hub_id).card.family == family


@pytest.mark.parametrize(
    "hub_id",
    [
        "OpenRLHF/Mistral-7b-PRM-Math-Shepherd",
        "plaguss/Mistral-7B-v0.1-Math-Shepherd-PRM-token-0.1",
        "Qwen/Qwen2.5-Math-7B-Instruct",
        "Qwen/Qwen2.5-Math-RM-72B",
        "RLHFlow/Llama3.1-8B-ORM-Mistral-Data",
    ],
)
def test_names_alike_are_left_alone(hub_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(tmp_path))
    with pytest.raises(CheckpointError, match="no public family fits"):
        find_card(hub_id)
