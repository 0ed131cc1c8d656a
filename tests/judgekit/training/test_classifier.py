"""Training a judge on the tiny preset: rows, loss, the whole run, and a run that is killed."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from transformers import AutoModelForTokenClassification, AutoTokenizer, TrainerCallback

import judgekit.training.classifier as judge_training
from judgekit.errors import CheckpointError, ConfigError, DataError, JudgeError
from judgekit.io import write_records
from judgekit.judges import load_judge
from judgekit.judges.card import read_card
from judgekit.judges.golden import golden_difference
from judgekit.judges.problem_lists import train_problems
from judgekit.judges.steps.encoding import encode_solutions, make_convention
from judgekit.judges.steps.specs import StepClassifierSpec
from judgekit.training.classifier import (
    NO_ERROR,
    RIGHT,
    SOME_ERROR,
    TrainingRows,
    build_rows,
    check_rows,
    step_loss,
    train_classifier,
    weak_loss,
)
from judgekit.training.config import ClassifierConfig
from judgekit.training.language_model import IGNORED
from judgekit.training.loop import last_checkpoint, mean_loss, warn_of_few_steps
from judgekit.types import LabelledSolution, StepLabel, WeakLabel, WeaklyLabelledSolution
from tests.judgekit.samples import addition, labelled_solutions, with_labels

OK, NEUTRAL, ERROR, UNLABELLED = StepLabel.OK, StepLabel.NEUTRAL, StepLabel.ERROR, StepLabel.UNLABELLED
DIES_AFTER_A_CHECKPOINT = """
import os, signal, sys
from pathlib import Path
from transformers import TrainerCallback
import judgekit.training.classifier as judge
from judgekit.config import load_config

class Dying(TrainerCallback):
    def on_step_end(self, args, state, control, **_):
        if state.global_step == 5:
            os.kill(os.getpid(), signal.SIGKILL)

make = judge._make_trainer
def make_dying(*args, **options):
    trainer = make(*args, **options)
    trainer.add_callback(Dying())
    return trainer
judge._make_trainer = make_dying
judge.train_classifier(load_config(judge.ClassifierConfig, Path(sys.argv[1])), Path(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def eval_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("eval") / "others"
    write_records(folder, labelled_solutions(range(50, 55)), record_type=LabelledSolution)
    return folder


@pytest.fixture(scope="module")
def tokenizer(tiny_base: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_base)


def config(tiny_base: Path, *data: Path, **fields: Any) -> ClassifierConfig:
    values = {"model": str(tiny_base), "data": data, "batch_size": 8, "lr": 1e-3, "log_every": 1, "threads": 1}
    return ClassifierConfig.model_validate(values | fields)


def rows_of(
    solutions: list[LabelledSolution], tokenizer: Any, *, max_tokens: int = 1000, overlong: Any = "drop"
) -> TrainingRows:
    convention = make_convention(tokenizer, separator="\n", problem_separator="\n", max_tokens=1000)
    return build_rows(solutions, tokenizer, convention, max_tokens=max_tokens, overlong=overlong)


def metrics(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def step_labels(row: dict[str, Any]) -> list[int]:
    return [label for label in row["labels"] if label != IGNORED]


# Rows


@pytest.mark.parametrize(
    ("labels", "learned"),
    [
        ((OK, OK, OK), [1, 1, 1]),
        ((OK, NEUTRAL, ERROR), [1, 1, 0]),
        ((NEUTRAL, ERROR, OK, ERROR), [1, 0]),
        ((ERROR, UNLABELLED, UNLABELLED), [0]),
    ],
)
def test_labels_are_learned_up_to_the_first_error(
    labels: tuple[StepLabel, ...], learned: list[int], tokenizer: Any
) -> None:
    data = rows_of([with_labels(*labels)], tokenizer)
    assert step_labels(data.rows[0]) == learned
    assert (data.counts["steps_ok"], data.counts["steps_error"]) == (learned.count(1), learned.count(0))


def test_labels_stand_at_the_judges_score_positions(tokenizer: Any) -> None:
    solution = addition(8, first_error=2)
    convention = make_convention(tokenizer, separator="\n", problem_separator="\n", max_tokens=1000)
    (encoded,) = encode_solutions(tokenizer, [solution], convention)
    (row,) = rows_of([solution], tokenizer).rows
    assert row["input_ids"] == encoded.input_ids
    assert [place for place, label in enumerate(row["labels"]) if label != IGNORED] == encoded.positions_S


def test_overlong_solutions_follow_the_policy_and_are_counted(tokenizer: Any) -> None:
    solutions = [addition(2, first_error=2), addition(3)]
    convention = make_convention(tokenizer, separator="\n", problem_separator="\n", max_tokens=1000)
    encoded_N = encode_solutions(tokenizer, solutions, convention)
    # One token less than the first solution: its last step, the error, does not fit any more.
    lengths = [len(encoded.input_ids) for encoded in encoded_N]
    limit = min(lengths) - 1
    dropped = rows_of(solutions, tokenizer, max_tokens=limit)
    assert not dropped.rows and not dropped.problems
    assert (dropped.counts["solutions"], dropped.counts["overlong_dropped"]) == (2, 2)
    cut = rows_of(solutions, tokenizer, max_tokens=limit, overlong="keep_leading_steps")
    assert (cut.counts["overlong_cut"], cut.counts["overlong_dropped"]) == (2, 0)
    assert [step_labels(row) for row in cut.rows] == [[1, 1], [1, 1]]
    for row, encoded in zip(cut.rows, encoded_N, strict=True):
        assert row["input_ids"] == encoded.input_ids[: encoded.positions_S[1] + 1], "whole steps only"
    exact = rows_of(solutions, tokenizer, max_tokens=max(lengths))
    assert len(exact.rows) == 2 and not exact.counts["overlong_dropped"]
    no_step_fits = rows_of(solutions, tokenizer, max_tokens=encoded_N[0].positions_S[0], overlong="keep_leading_steps")
    assert not no_step_fits.rows and no_step_fits.counts["overlong_dropped"] == 2


def test_rows_that_teach_nothing_are_refused(tokenizer: Any) -> None:
    with pytest.raises(DataError, match=r"no solution is left to train on: 1 of 1 .* max_tokens; raise it"):
        check_rows(rows_of([addition(1)], tokenizer, max_tokens=8), tokenizer)
    with pytest.raises(DataError, match=r"all of one kind \(3 ok, 0 error\): a judge needs both"):
        check_rows(rows_of([addition(1)], tokenizer), tokenizer)
    with pytest.raises(DataError, match=r"\(0 ok, 1 error\)"):
        check_rows(rows_of([addition(1, first_error=0)], tokenizer), tokenizer)


def test_an_example_is_shown_before_training(tokenizer: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        check_rows(rows_of([addition(4, first_error=1)], tokenizer), tokenizer)
    assert "add 1 to 3.\n4+1=5\n⟦0⟧5+2=8\n⟦1⟧8+3=11\n" in caplog.text


# Loss


def outputs(*logits: list[list[float]]) -> Any:
    return SimpleNamespace(logits=torch.tensor(logits))


def test_loss_by_hand() -> None:
    # log softmax of (0, ln 3) is (ln 1/4, ln 3/4); of (0, 0) twice ln 1/2.
    ln3 = float(torch.log(torch.tensor(3.0)))
    logits = outputs([[0.0, ln3], [9.0, 9.0], [0.0, ln3]], [[0.0, 0.0], [5.0, 1.0], [1.0, 2.0]])
    labels = torch.tensor([[1, IGNORED, 0], [0, IGNORED, IGNORED]])
    total = -(torch.log(torch.tensor(3 / 4)) + torch.log(torch.tensor(1 / 4)) + torch.log(torch.tensor(1 / 2)))
    assert step_loss(logits, labels).item() == pytest.approx(float(total) / 3)
    assert step_loss(logits, labels, num_items_in_batch=torch.tensor(6)).item() == pytest.approx(float(total) / 6)
    assert step_loss(logits, torch.full((2, 3), IGNORED)).item() == 0.0


def test_weak_loss_by_hand() -> None:
    """Steps right with 0.8 and 0.5: P(none) 0.4; one step right with 0.9, two tokens later."""
    logits = torch.logit(torch.tensor([[0.8, 0.3, 0.5], [0.3, 0.3, 0.9]]))

    def known(label: int, rate: float) -> list[float]:
        labels = torch.tensor([[label, IGNORED, label], [IGNORED, IGNORED, label]])
        return weak_loss(logits, labels, right_despite_error=rate).neg().exp().tolist()

    assert known(SOME_ERROR, 0.25) == pytest.approx([0.6, 0.1])
    assert known(NO_ERROR, 0.25) == pytest.approx([0.4, 0.9])
    assert known(RIGHT, 0.25) == pytest.approx([0.4 + 0.25 * 0.6, 0.9 + 0.25 * 0.1])
    assert known(RIGHT, 1.0) == pytest.approx([1.0, 1.0]) and known(RIGHT, 0.0) == pytest.approx([0.4, 0.9])
    both = torch.stack([torch.zeros(2, 3), logits], dim=-1)  # logits of error and ok
    mixed = torch.tensor([[SOME_ERROR, IGNORED, SOME_ERROR], [IGNORED, IGNORED, 1]])
    loss = step_loss(SimpleNamespace(logits=both), mixed, weak_weight=0.5, right_despite_error=0.1)
    assert loss.item() == pytest.approx((-0.5 * math.log(0.6) - math.log(0.9)) / 3)


def test_weak_loss_where_subtraction_would_give_infinity() -> None:
    logits = torch.tensor([[200.0, 150.0]], requires_grad=True)
    loss = weak_loss(logits, torch.full((1, 2), SOME_ERROR), right_despite_error=0.1)
    loss.sum().backward()
    assert loss.item() == pytest.approx(150.0)
    assert logits.grad is not None and logits.grad[0].tolist() == pytest.approx(
        [0.0, 1.0]
    )  # the likelier place gives way


def test_outcomes_are_learned_from(labelled_data: Path, tiny_base: Path, tmp_path: Path) -> None:
    def weak(a: int, *, right: bool | None, n_steps: int = 2) -> WeaklyLabelledSolution:
        known = WeakLabel.SOME_ERROR if right is False else WeakLabel.UNLABELLED
        steps = addition(a).steps * (n_steps // 2)
        problem = addition(a).problem
        return WeaklyLabelledSolution(
            problem=problem, steps=steps, known=known, final_answer_correct=right, source="own"
        )

    rows = [weak(60, right=True), weak(61, right=False), weak(62, right=None), weak(63, right=False, n_steps=400)]
    write_records(tmp_path / "weak", rows, record_type=WeaklyLabelledSolution)
    fields = {"model": str(tiny_base), "data": [labelled_data], "weak": [tmp_path / "weak"], "max_tokens": 256}
    config = ClassifierConfig.model_validate(
        fields | {"max_steps": 1, "batch_size": 4, "overlong": "keep_leading_steps"}
    )
    directory = train_classifier(config, tmp_path / "run")
    counts = read_card(directory).training["counts"]
    assert {name: count for name, count in counts.items() if name.startswith("weak")} == {
        "weak_solutions": 4, "weak_silent": 1, "weak_overlong_dropped": 1,
    }  # fmt: skip
    assert train_problems(directory).seen(rows) == [True, True, False, False]


def test_steps_count_alike_across_accumulation(labelled_data: Path, tiny_base: Path, tmp_path: Path) -> None:
    """Four forward passes with different numbers of steps have the gradient of one pass over all of them."""
    base = shutil.copytree(tiny_base, tmp_path / "base")
    model_config = json.loads((base / "config.json").read_text()) | {"classifier_dropout": 0.0}
    (base / "config.json").write_text(json.dumps(model_config))
    first_rows = []
    for micro_batch in (None, 4):
        output = tmp_path / f"{micro_batch}"
        options = {"batch_size": 16, "micro_batch": micro_batch, "n_max": 16, "save_every": None}
        train_classifier(config(base, labelled_data, epochs=1, **options), output)
        first_rows.append(metrics(output)[0])
    assert [row["step"] for row in first_rows] == [1, 1]
    for name in ("train/loss", "train/grad_norm"):
        assert first_rows[0][name] == pytest.approx(first_rows[1][name], rel=1e-4)


# The whole run


def test_two_steps_move_the_parameters_and_make_a_judge(
    labelled_data: Path, eval_data: Path, tiny_base: Path, tmp_path: Path
) -> None:
    values = {"eval_data": eval_data, "max_steps": 2, "eval_every": 1, "warmup": 0.0, "report_to": ["tensorboard"]}
    options = config(tiny_base, labelled_data, **values)
    folder = train_classifier(options, tmp_path / "my-judge")
    assert list((tmp_path / "my-judge" / "tensorboard").iterdir())
    model = AutoModelForTokenClassification.from_pretrained(folder)
    before = AutoModelForTokenClassification.from_pretrained(tiny_base, num_labels=2).base_model.state_dict()
    after = model.base_model.state_dict()
    assert all(not torch.equal(before[name], after[name]) for name in before if name.endswith("weight"))
    rows = metrics(tmp_path / "my-judge")
    assert [row["step"] for row in rows if "train/loss" in row] == [1, 2]
    assert [row["step"] for row in rows if "train/eval_loss" in row] == [1, 2]
    card = read_card(folder)
    assert (card.judge_id, card.base_model, card.spec_as(StepClassifierSpec).ok_labels) == (
        "my-judge",
        str(tiny_base),
        (1,),
    )
    assert card.training["counts"] == {
        # Solutions i=0..19, right and wrong at step i % 3: 3 ok steps each, and i % 3 ok steps and one error each.
        "solutions": 40,
        "steps_ok": 20 * 3 + 7 * 0 + 7 * 1 + 6 * 2,
        "steps_error": 20,
        "tokens": card.training["counts"]["tokens"],
    }
    assert card.metrics["n"] == 10 and card.metrics["n_no_verdict"] == 0
    assert card.golden and golden_difference(load_judge(folder), card.golden) <= 1e-5
    assert len(train_problems(folder)) == 20
    judge = load_judge(folder)
    (judgement,) = judge.judge([addition(60)])
    assert judgement.verdict is not None and judgement.verdict.n_steps == 3
    assert train_classifier(options, tmp_path / "my-judge", resume=True) == folder
    with pytest.raises(ConfigError, match="already holds a run"):
        train_classifier(options, tmp_path / "my-judge")


def test_a_judge_learns_what_it_is_shown(tiny_base: Path, tmp_path: Path) -> None:
    """Wrong steps say so; after a few steps the judge tells them apart, which also fixes the sign of the labels."""
    solutions = [
        with_labels(*labels).model_copy(
            update={"steps": tuple("bad" if x is ERROR else "fine" for x in labels), "id": str(i)}
        )
        for i, labels in enumerate([(OK, OK, ERROR), (ERROR, UNLABELLED), (OK, OK), (OK, ERROR)] * 4)
    ]
    write_records(tmp_path / "data", solutions, record_type=LabelledSolution)
    options = {"lr": 1e-2, "max_steps": 25, "batch_size": 16, "save_every": None}
    folder = train_classifier(config(tiny_base, tmp_path / "data", **options), tmp_path / "run")
    for judgement in load_judge(folder).judge(solutions[:1]):
        assert judgement.verdict is not None
        ok, also_ok, bad = judgement.verdict.p_ok_S
        assert min(ok, also_ok) > 0.9 > 0.1 > bad


def test_early_stopping_keeps_the_best_weights(
    labelled_data: Path, eval_data: Path, tiny_base: Path, tmp_path: Path
) -> None:
    """With a learning rate this high the loss on other problems rises at once, and training stops before its end."""
    options = {"eval_data": eval_data, "max_steps": 30, "eval_every": 1, "patience": 2, "lr": 0.3, "warmup": 0.0}
    train_classifier(config(tiny_base, labelled_data, batch_size=16, **options), tmp_path / "run")
    losses = {row["step"]: row["train/eval_loss"] for row in metrics(tmp_path / "run") if "train/eval_loss" in row}
    best = min(losses, key=lambda step: losses[step])
    assert max(losses) < 30 and max(losses) == best + 2
    judge_nll = read_card(tmp_path / "run" / "judge").metrics["nll"]
    assert judge_nll == pytest.approx(losses[best], abs=1e-3), "the loss over reached steps of the best weights"


def test_evaluation_on_training_problems_is_refused(labelled_data: Path, tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="40 of 40 evaluation solutions belong to training problems"):
        train_classifier(config(tiny_base, labelled_data, eval_data=labelled_data), tmp_path / "run")


def test_a_model_that_is_not_there_is_refused(labelled_data: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist and is not a Hub id"):
        train_classifier(config(tmp_path / "gone", labelled_data), tmp_path / "run")


# Killed and resumed


def test_a_killed_run_resumes_to_the_same_bits(labelled_data: Path, tiny_base: Path, tmp_path: Path) -> None:
    options = config(tiny_base, labelled_data, max_steps=8, save_every=2)
    straight = train_classifier(options, tmp_path / "straight")
    (tmp_path / "c.yaml").write_text(options.model_dump_json())
    command = [sys.executable, "-c", DIES_AFTER_A_CHECKPOINT, str(tmp_path / "c.yaml"), str(tmp_path / "killed")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    newest = last_checkpoint(tmp_path / "killed")
    assert newest is not None and newest.name == "checkpoint-4"
    assert not (tmp_path / "killed" / "judge").exists()
    half = newest.with_name("checkpoint-6")
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half")  # a kill while a checkpoint was written
    torn = shutil.copytree(newest, newest.with_name("checkpoint-7"))  # a disk that lost the end of the weights
    whole = (torn / "model.safetensors").read_bytes()
    (torn / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    resumed = train_classifier(options, tmp_path / "killed", resume=True)
    for name in ("model.safetensors", "train_problem_ids.txt"):
        assert (resumed / name).read_bytes() == (straight / name).read_bytes()
    losses = ("train/loss", "train/train_loss")
    logs = [[(row["step"], *map(row.get, losses)) for row in metrics(folder.parent)] for folder in (straight, resumed)]
    assert logs[0][-1][-1] is not None
    assert logs[0] == logs[1], "no row is lost or double"


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.pt", "trainer_state.json", "rng_state.pth"])
def test_a_checkpoint_with_a_damaged_file_is_passed_over(
    name: str, labelled_data: Path, tiny_base: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train_classifier(config(tiny_base, labelled_data, max_steps=2, save_every=1), tmp_path)
    newest = last_checkpoint(tmp_path)
    assert newest is not None and newest.name == "checkpoint-2"
    whole = (newest / name).read_bytes()
    (newest / name).write_bytes(whole[: len(whole) // 2])
    before = last_checkpoint(tmp_path)
    assert before is not None and before.name == "checkpoint-1"
    assert "checkpoint-2 is incomplete" in caplog.text


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return pytest.fail, ("a pickle was run",)


def plant_pickle(name: str) -> Callable[[Path], object]:
    return lambda checkpoint: torch.save(Evil(), checkpoint / name)


def plant_weights(checkpoint: Path) -> None:
    """Leave pickled weights alone where the Trainer would open them."""
    (checkpoint / "model.safetensors").rename(checkpoint / "other.safetensors")
    torch.save(Evil(), checkpoint / "pytorch_model.bin")


def plant_index(checkpoint: Path) -> None:
    tensors = load_file(checkpoint / "model.safetensors")
    (checkpoint / "model.safetensors").rename(checkpoint / "other.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(tensors, "weights.bin")}
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps(index))
    torch.save(Evil(), checkpoint / "weights.bin")


PLANTED: dict[str, tuple[Callable[[Path], object], str]] = {
    "pickled weights": (plant_weights, "no file named model.safetensors"),
    "pickled shards": (plant_index, r"names the shard 'weights\.bin'"),
    "optimiser": (plant_pickle("optimizer.pt"), r"cannot resume from .*checkpoint-1.*Remove it and resume"),
    "schedule": (plant_pickle("scheduler.pt"), "cannot resume from"),
    "random numbers": (plant_pickle("rng_state.pth"), "cannot resume from"),
    "weights of another model": (
        lambda checkpoint: save_file(
            {"x": torch.zeros(1)}, checkpoint / "model.safetensors", metadata={"format": "pt"}
        ),
        r"is not a checkpoint of the model in training \(tensor ",
    ),
}


@pytest.fixture(scope="module")
def begun(labelled_data: Path, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run that was killed behind its first checkpoint."""
    folder = tmp_path_factory.mktemp("begun") / "run"
    train_classifier(config(tiny_base, labelled_data, max_steps=2, save_every=1), folder)
    shutil.rmtree(folder / "judge")
    shutil.rmtree(folder / "checkpoints" / "checkpoint-2")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({k: v for k, v in manifest.items() if k != "finished"}))
    return folder


@pytest.mark.parametrize("what", PLANTED)
def test_what_somebody_put_into_a_checkpoint_is_not_run_and_not_taken_for_weights(
    what: str, begun: Path, labelled_data: Path, tiny_base: Path, tmp_path: Path
) -> None:
    plant, complaint = PLANTED[what]
    folder = Path(shutil.copytree(begun, tmp_path / "run"))
    plant(folder / "checkpoints" / "checkpoint-1")
    with pytest.raises(CheckpointError, match=complaint) as error:
        train_classifier(config(tiny_base, labelled_data, max_steps=2, save_every=1), folder, resume=True)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"global_step": 1000},
        {"global_step": "1"},
        {"log_history": [{"loss": "x", "step": 1}]},
        {"stateful_callbacks": {}},
        None,
    ],
)
def test_a_checkpoint_whose_state_is_not_of_its_step_is_passed_over(
    fields: dict[str, Any] | None, begun: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A step beyond the last one would end the training at once."""
    folder = Path(shutil.copytree(begun, tmp_path / "run"))
    (folder / "checkpoints" / "checkpoint-last").mkdir()
    path = folder / "checkpoints" / "checkpoint-1" / "trainer_state.json"
    state = json.loads(path.read_text())
    path.write_text(json.dumps([] if fields is None else state | fields))
    assert last_checkpoint(folder) is None
    assert "checkpoint-1 is incomplete" in caplog.text
    path.write_text(json.dumps(state))
    assert last_checkpoint(folder) == path.parent


@pytest.mark.parametrize("limit_bytes", [20_000, 400_000])
def test_a_full_disk_while_training_saves_is_one_line(
    limit_bytes: int, labelled_data: Path, tiny_base: Path, tmp_path: Path
) -> None:
    """No file can grow beyond the limit, as on a full disk: the weights of a checkpoint, or the optimiser's state."""
    weights = (tiny_base / "model.safetensors").stat().st_size
    limit_bytes = min(limit_bytes, int(weights * 1.5))
    command = [
        sys.executable, "-c",
        "import resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit_bytes}, {limit_bytes}))\n"
        "from judgekit.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n",
        "train", f"model={tiny_base}", f"data=[{labelled_data}]", "max_steps=2", "save_every=1", "batch_size=4",
        "--output", str(tmp_path / "run"),
    ]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "error: cannot write" in done.stderr and "Free the space, then resume" in done.stderr
    assert not (tmp_path / "run" / "judge" / "judge.json").exists()


def test_the_mean_loss_counts_every_step_once() -> None:
    """Ten steps of 3.0 and five of 1.5 have the mean 2.5, whatever else is logged between."""
    assert mean_loss([{"step": 10, "loss": 3.0}, {"step": 12, "eval_loss": 9.0}, {"step": 15, "loss": 1.5}]) == 2.5
    assert mean_loss([{"step": 3, "eval_loss": 9.0}]) is None


def test_a_row_comes_before_a_checkpoint_and_at_the_end(labelled_data: Path, tiny_base: Path, tmp_path: Path) -> None:
    train_classifier(config(tiny_base, labelled_data, max_steps=5, save_every=2, log_every=3), tmp_path)
    assert [row["step"] for row in metrics(tmp_path) if "train/loss" in row] == [2, 3, 4, 5]


@pytest.mark.parametrize(
    ("fields", "warned"), [({"batch_size": 16}, True), ({"max_steps": 3, "batch_size": 16}, False)]
)
def test_a_run_of_few_steps_says_so(fields: dict[str, Any], warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    options = config(Path("base"), Path("data"), **fields)
    warn_of_few_steps(options, n_rows=20)
    assert ("20 solutions make only 2 optimiser steps" in caplog.text) is warned


def test_a_configuration_for_another_training_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"of kind likelihood, .* use `judgekit train`"):
        ClassifierConfig.model_validate({"kind": "likelihood", "model": "m", "data": ["d"]})
    with pytest.raises(ValidationError, match="'step_classifier'"):
        ClassifierConfig.model_validate({"kind": "no such kind", "model": "m", "data": ["d"]})


def test_a_resumed_run_stops_as_early_as_a_straight_one(
    labelled_data: Path, eval_data: Path, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interruption falls between two evaluations without a lower loss, and the first one still counts."""
    stopping = {"eval_data": eval_data, "max_steps": 30, "eval_every": 1, "patience": 2, "lr": 0.3, "warmup": 0.0}
    options = config(tiny_base, labelled_data, **stopping)
    straight = train_classifier(options, tmp_path / "straight")
    last = metrics(tmp_path / "straight")[-1]["step"]

    class Interrupt(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == last:
                raise KeyboardInterrupt

    make = judge_training._make_trainer

    def make_interrupted(*args: Any, **kwargs: Any) -> Any:
        trainer = make(*args, **kwargs)
        trainer.add_callback(Interrupt())
        return trainer

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(judge_training, "_make_trainer", make_interrupted)
        train_classifier(options, tmp_path / "cut")
    resumed = train_classifier(options, tmp_path / "cut", resume=True)
    assert metrics(tmp_path / "cut")[-1]["step"] == last
    assert (resumed / "model.safetensors").read_bytes() == (straight / "model.safetensors").read_bytes()


def test_training_that_diverges_saves_no_judge(tiny_base: Path, labelled_data: Path, tmp_path: Path) -> None:
    wild = config(tiny_base, labelled_data, lr=1e38, max_steps=3, warmup=0.0, save_every=None)
    with pytest.raises(JudgeError, match=r"non-finite weights, at lr=1e\+38: nothing is saved"):
        train_classifier(wild, tmp_path / "run")
    assert not (tmp_path / "run" / "judge").exists()
