"""A probe judge that was fitted on the policy runs on the trainer's own models: the same verdicts, and no copy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model

from judgekit.errors import ConfigError, JudgeError
from judgekit.io import write_records
from judgekit.judges import load_judge
from judgekit.judges.card import LentModel
from judgekit.judges.probe import judge as probe_judge
from judgekit.text.prompts import RawPrompt
from judgekit.training.config import ProbeConfig
from judgekit.training.lora import LoraOptions
from judgekit.training.probe.fit import train_probe
from judgekit.types import LabelledSolution
from sgpo.guards import GuardsConfig
from sgpo.online.config import OnlineConfig
from sgpo.online.run import run_online
from sgpo.policy import load_policy
from tests.judgekit.samples import addition
from tests.sgpo.samples import SEGMENTATION, make_trainer, write_problems

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labels") / "data"
    rows = [addition(k, first_error=wrong, n_steps=2) for k in range(10) for wrong in (None, k % 2)]
    write_records(folder, rows, record_type=LabelledSolution)
    return folder


def fitted(model: Path, labels: Path, output: Path, **fields: Any) -> Path:
    options = {"features": ("length", "surprisal", "contrast", "hidden"), "heads": ("linear",), "n_folds": 2}
    config = {"model": str(model), "data": (labels,), "ablation": False, "max_tokens": 256} | options | fields
    return train_probe(ProbeConfig.model_validate(config), output)


@pytest.fixture(scope="module")
def judge(policy: Path, labels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fitted(policy, labels, tmp_path_factory.mktemp("probe") / "run")


@pytest.fixture
def config(policy: Path, judge: Path, tmp_path: Path) -> OnlineConfig:
    return OnlineConfig(
        policy=str(policy),
        problems=write_problems(tmp_path / "problems", n=4),
        judge=str(judge),
        algorithm={"type": "sgpo", "truncated": "judge"},
        segmentation=SEGMENTATION,
        beta_kl=0.01,
        group_size=4,
        prompts_per_step=2,
        max_steps=3,
        max_completion_length=12,
        lr=1e-3,
        device="cpu",
        threads=1,
    )


def rows_of(folder: Path) -> list[dict[str, Any]]:
    rows = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [row for row in rows if "sgpo/judge_on" in row]


def test_a_judge_on_the_reference_model_says_the_same_and_loads_no_copy(
    config: OnlineConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(name: str, **update: Any) -> tuple[list[dict[str, Any]], int]:
        loaded.clear()
        run_online(config.model_copy(update=update), tmp_path / name)
        return rows_of(tmp_path / name), len(loaded)

    loaded, real = list[str](), probe_judge.load_scorer
    monkeypatch.setattr(probe_judge, "load_scorer", lambda name, **kwargs: loaded.append(name) or real(name, **kwargs))
    own, n_own = run("own")
    lent, n_lent = run("reference", judge_model="reference")
    adapted, n_adapted = run("lora", judge_model="reference", lora=LoraOptions(rank=2), beta_kl=0.0)
    assert (n_own, n_lent, n_adapted) == (1, 0, 0)
    assert [row["sgpo/judge_drift"] for row in adapted] == [0.0] * 3 and adapted[0]["train/grad_norm"] > 0
    assert [row["sgpo/judge_drift"] for row in lent] == [0.0] * 3 and "sgpo/judge_drift" not in own[0]
    for one, other in zip(own, lent, strict=True):
        assert one["sgpo/judge_calls"] == other["sgpo/judge_calls"] > 0
        for name in ("sgpo/rts_mean", "train/reward", "train/grad_norm"):
            assert one[name] == pytest.approx(other[name], abs=1e-5)


def test_a_judge_on_the_policy_drifts_with_it_until_the_guard_stops_the_run(
    config: OnlineConfig, tmp_path: Path
) -> None:
    config = config.model_copy(update={"judge_model": "policy", "beta_kl": 0.0})
    run_online(config, tmp_path / "slow")
    drift = [row["sgpo/judge_drift"] for row in rows_of(tmp_path / "slow")]
    assert drift[0] == 0.0 < drift[1] < 0.1
    guards = GuardsConfig.model_validate({"judge_drift": {"bound": drift[1] / 2}})
    with pytest.raises(JudgeError, match="has moved by 0"):
        run_online(config.model_copy(update={"guards": guards}), tmp_path / "fast")


def test_adapters_are_off_while_a_judge_runs_on_the_start_of_the_policy(
    policy: Path, judge: Path, tmp_path: Path
) -> None:
    opened = load_policy(str(policy))
    model = get_peft_model(opened.model, LoraConfig(target_modules=["q_proj", "v_proj"], init_lora_weights=False))
    solutions = [addition(k, first_error=0, n_steps=2) for k in range(3)]
    expected = [item.verdict.p_ok_S for item in load_judge(judge).judge(solutions)]

    trainer = make_trainer(policy, tmp_path, policy_model=model)
    lent = LentModel(model.get_base_model(), trainer.lend_reference)
    on_reference = load_judge(judge, lent=lent)
    assert lent.taken_by == ["run"]
    model.train()
    for one, other in zip(expected, on_reference.judge(solutions), strict=True):
        assert other.verdict.p_ok_S == pytest.approx(one, abs=1e-6)
    assert model.training and model.get_base_model().config._attn_implementation == "sdpa"
    lent.at_work = trainer.lend_policy
    assert on_reference.judge(solutions)[0].verdict.p_ok_S != pytest.approx(expected[0], abs=1e-6)


def test_a_model_that_the_judge_was_not_fitted_on_is_not_lent(
    config: OnlineConfig, labels: Path, tmp_path: Path
) -> None:
    model, tokenizer = load_policy(config.policy)
    torch.nn.init.normal_(model.get_output_embeddings().weight, std=0.3)
    model.save_pretrained(tmp_path / "other")
    tokenizer.save_pretrained(tmp_path / "other")
    other = fitted(tmp_path / "other", labels, tmp_path / "probe")
    for name, judge in (("other", str(other)), ("random", "builtin:random")):
        with pytest.raises(ConfigError, match="has another or none: fit one with `judgekit train kind=probe model="):
            run_online(config.model_copy(update={"judge": judge, "judge_model": "reference"}), tmp_path / f"run-{name}")
    cached = tmp_path / "cached.yaml"
    cached.write_text(f"model: {config.judge}\nfeature_cache: {tmp_path / 'cache'}\n")
    with pytest.raises(ConfigError, match="leave feature_cache out of the card"):
        run_online(config.model_copy(update={"judge": str(cached), "judge_model": "reference"}), tmp_path / "cached")
    given = config.model_dump(mode="json") | {"judge_model": "reference"}
    with pytest.raises(ValueError, match="judge_model=reference needs beta_kl above 0"):
        OnlineConfig.model_validate(given | {"beta_kl": 0.0})
    with pytest.raises(ValueError, match="judge_model=reference needs a judge"):
        OnlineConfig.model_validate(given | {"judge": None, "algorithm": None})


def test_features_come_from_the_pass_of_the_trainer_where_it_read_the_same_tokens(
    policy: Path, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fitted(policy, labels, tmp_path / "probe", prompt={"type": "raw"}, separator="\n")
    trainer = make_trainer(policy, tmp_path / "run", args_beta=0.1)
    lent = LentModel(trainer.model)
    judge, alone = load_judge(folder, lent=lent), load_judge(folder)
    trainer.lend(lent)
    trainer.model.train()
    solutions = [addition(k, first_error=k % 2, n_steps=2) for k in range(4)]
    completions = [judge.tokenizer("\n".join(item.steps) + "\n").input_ids for item in solutions]
    completions[3] = judge.tokenizer("\n\n".join(solutions[3].steps)).input_ids  # not as the judge would write it
    laid = trainer._lay_out([RawPrompt().build(item.problem) for item in solutions], completions)
    ids = torch.cat([laid["prompt_ids"], laid["completion_ids"]], dim=1)
    mask = torch.cat([laid["prompt_mask"], laid["completion_mask"]], dim=1)

    run, real = list[Any](), probe_judge.token_statistics
    monkeypatch.setattr(probe_judge, "token_statistics", lambda m, e, **kw: run.extend(e) or real(m, e, **kw))
    encoded = judge.encode(solutions)
    expected = alone.features(encoded)
    with torch.no_grad():
        trainer._get_per_token_logps_and_entropies(trainer.ref_model, ids, mask, laid["completion_ids"].size(1), 2)
    assert len(trainer._seen) == 2  # micro-batches
    run.clear()
    found = judge.features(encoded)
    # of the fourth, and of all without their problem
    assert [item.input_ids for item in run] == [
        encoded[3].input_ids,
        *(alone._without_problem(item).input_ids for item in encoded),
    ]
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(one.stacked(), other.stacked(), atol=1e-5)
    assert trainer._n_reused == 3
    with torch.no_grad():  # the policy is not what was lent, and what is trained is not looked at
        trainer._get_per_token_logps_and_entropies(trainer.model, ids, mask, laid["completion_ids"].size(1), 2)
    trainer._get_per_token_logps_and_entropies(trainer.ref_model, ids, mask, laid["completion_ids"].size(1), 2)
    assert len(trainer._seen) == 2
    rounded = make_trainer(policy, tmp_path / "bf16", args_beta=0.1, args_bf16=True)
    rounded.lend(lent)
    with torch.no_grad():
        rounded._get_per_token_logps_and_entropies(rounded.ref_model, ids, mask, laid["completion_ids"].size(1), 2)
    assert not rounded._seen  # a pass in a lower precision than the judge's own
    for one, other in zip(expected, judge.features(encoded), strict=True):
        np.testing.assert_allclose(one.stacked(), other.stacked(), atol=1e-5)
