"""Drafts go into the prompts of their own group, count as rollouts, and leave TRL's log to the second sampling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from trl import GRPOTrainer

from sgpo.algorithms.igrpo import IGRPO
from sgpo.online.drafts import behind_draft, best_rows
from tests.sgpo.samples import GROUP, make_trainer, mixed, text_number

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


def test_the_best_draft_of_a_group() -> None:
    """Sums 1, 0.5, nothing known, 2; then all alike; then one known, and bad; then none known."""
    nan = torch.nan
    rewards = [[1, 0], [0, 1], [nan, nan], [2, nan], *[[1, 1]] * 4, [nan, nan], [-3, 0], *[[nan, nan]] * 6]
    best = best_rows(torch.tensor(rewards), weights_F=torch.tensor([1.0, 0.5]), group_size=4)
    assert best.tolist() == [3, 4, 9, 12]


def test_where_the_draft_goes() -> None:
    algorithm = IGRPO(template="\n[{draft}]\n")
    assert behind_draft("1+1?", "{x} 2", algorithm=algorithm) == "1+1?\n[{x} 2]\n"
    turns = [{"role": "system", "content": "s"}, {"role": "user", "content": "1+1?"}]
    assert behind_draft(turns, "2", algorithm=algorithm) == [turns[0], {"role": "user", "content": "1+1?\n[2]\n"}]
    assert turns[1]["content"] == "1+1?"
    parts = [{"role": "user", "content": [{"type": "text", "text": "1+1?"}]}, {"role": "assistant", "content": "It"}]
    assert behind_draft(parts, "2", algorithm=algorithm) == [
        {"role": "user", "content": [*parts[0]["content"], {"type": "text", "text": "\n[2]\n"}]},
        parts[1],
    ]
    for template in ("no place", "{draft}{draft}"):
        with pytest.raises(ValueError, match=r"must contain \{draft\} exactly once"):
            IGRPO(template=template)
    with pytest.raises(ValueError, match="igrpo cannot fade, because it changes the prompts"):
        IGRPO(window={"fade": "linear"})  # type: ignore[arg-type]


def test_a_batch_is_sampled_behind_its_drafts(policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of three steps, the third outside the window; what is logged of lengths is one sampling's."""
    window = {"unit": "steps", "stop": 2}
    algorithm = IGRPO(template="\n{draft}\n", window=window)  # type: ignore[arg-type]
    trainer = make_trainer(policy, tmp_path, reward=mixed, algorithm=algorithm, args_max_steps=3)
    generate, asked = GRPOTrainer._generate, list[tuple[list[str], list[str]]]()

    def watched(self: GRPOTrainer, prompts: list[Any]) -> Any:
        found = generate(self, prompts)
        asked.append((list(prompts), list(found[3])))
        return found

    monkeypatch.setattr(GRPOTrainer, "_generate", watched)
    trainer.train()
    assert [prompts[0].count("\n") == 0 for prompts, _ in asked] == [True, False, True, False, True]
    chosen_right = []
    for (prompts, drafts), (longer, _) in zip(asked[0:4:2], asked[1:4:2], strict=True):
        answers = [str(2 * int(prompt.split("+")[0])) for prompt in prompts]
        right = mixed(drafts, answers)
        for start in range(0, 12, GROUP):
            best = max(range(start, start + GROUP), key=lambda row: right[row])
            assert longer[start : start + GROUP] == [f"{prompts[start]}\n{drafts[best]}\n"] * GROUP
            chosen_right.append(right[best])
    assert trainer.n_rollouts == 2 * 24 + 12 and trainer.n_batches == 3
    rows = [row for row in trainer.state.log_history if "sgpo/best_drafts_right" in row]
    assert [row["sgpo/best_drafts_right"] for row in rows] == pytest.approx(
        [sum(chosen_right[:3]) / 3, sum(chosen_right[3:]) / 3]
    )
    assert any(chosen_right) and not all(chosen_right)
    batch = trainer.batches[0]
    assert [text_number(text) for text in batch["texts"]] == [text_number(text) for text in asked[1][1]]
    assert batch["outcomes"] == mixed(batch["texts"], [str(2 * int(p[0])) for p in batch["problems"]])
