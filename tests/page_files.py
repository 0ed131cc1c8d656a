"""Small files under the names that the commands of the pages expect: each name, and what makes it.

A Hub id is a folder of that name here: what is here goes first.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

import judgekit
from judgekit.io import write_records
from judgekit.training.config import TinyConfig
from judgekit.training.tiny import build_tiny
from judgekit.types import LabelledSolution, Problem, Rollout
from tests.judgekit.judges.miniatures import make_miniature
from tests.judgekit.samples import addition, labelled_solutions

CHAT = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"
Maker = Callable[[Path], None]
SOURCE = "SOURCE"
"""The source that the rows name, as the pages call it."""


def model(path: Path) -> None:
    build_tiny(
        path, ["1 + 1 = 2\n"], TinyConfig(vocab_size=270, hidden_size=16, n_layers=2, n_heads=2, max_tokens=1024)
    )
    (path / "chat_template.jinja").write_text(CHAT)


def judge(path: Path) -> None:
    """A probe judge, calibrated."""
    beside = path.parent / f"{path.name} of"
    model(beside / "model")
    for name, numbers in (("data", range(5000, 5030)), ("calibration", range(5030, 5050))):
        write_records(beside / name, labelled_solutions(numbers), record_type=LabelledSolution)
    judgekit.train(
        "probe", output=beside / "run", model=str(beside / "model"), data=[str(beside / "data")], heads=["linear"],
        features=["position", "length", "numbers", "symbolic"],
    )  # fmt: skip
    judgekit.calibrate(beside / "run/judge", beside / "calibration")
    shutil.copytree(beside / "run/judge", path)


def prm(path: Path) -> None:
    shutil.copytree(make_miniature("qwen2.5-math-prm", path.parent / "prm"), path)


def pickled(path: Path) -> None:
    """A checkpoint as it was published before safetensors."""
    from safetensors.torch import load_file

    shutil.copytree(made := make_miniature("skywork-prm", path.parent / "skywork"), path)
    torch.save(load_file(made / "model.safetensors"), path / "pytorch_model.bin")
    (path / "model.safetensors").unlink()


def critic(path: Path) -> None:
    """Somebody's judge that asks a server."""
    path.mkdir(parents=True)
    engine = {"type": "openai", "base_url": "http://127.0.0.1:9/v1", "model": "m", "api_key_env": "KEY"}
    card = {"kind": "critic", "judge_id": "theirs", "prompt": "generic-1", "engine": engine}
    (path / "judge.json").write_text(json.dumps(card))


def labelled(start: int, *, n: int = 40, source: str = SOURCE, method: str | None = None) -> Maker:
    """Additions to numbers from a start on, each once right and once wrong."""

    def make(path: Path) -> None:
        rows = [
            LabelledSolution.model_validate(
                row.model_dump() | {"source": source, "id": "", "generator": f"m{i // 2 % 2}", "label_method": method}
            )
            for i, row in enumerate(labelled_solutions(range(start, start + n)))
        ]
        if path.suffix == ".jsonl":
            path.write_text("".join(row.model_dump_json() + "\n" for row in rows))
        else:
            write_records(path, rows, record_type=LabelledSolution)

    return make


def problems(path: Path) -> None:
    rows = [Problem(problem_id=f"p{i}", problem=f"{i}+{i}?", answer=str(2 * i), source="own") for i in range(8)]
    write_records(path, rows, record_type=Problem)


def groups(path: Path) -> None:
    """Two responses to each of some problems; in every third group both are wrong."""
    rows = []
    for number in range(2000, 2060):
        for sample, wrong in enumerate([0, 2] if number % 3 == 0 else [None, number % 2]):
            solution = addition(number, first_error=wrong)
            ends = [*itertools.accumulate(map(len, solution.steps), initial=0)]
            rows.append(
                {"group_id": f"g{number}", "sample": sample, "problem": solution.problem, "prompt": solution.problem}
                | {"steps": solution.steps, "response": "".join(solution.steps), "step_start": ends[:-1]}
                | {"step_end": ends[1:], "source": SOURCE, "answer": str(number + 6), "generator": "m"}
                | {"outcome": float(wrong is None)}
            )
    write_records(path, map(Rollout.model_validate, rows), record_type=Rollout)


def rows(make: Callable[[LabelledSolution], Mapping[str, Any]], *, start: int = 3000, n: int = 15) -> Maker:
    """Additions in the fields of a published set, as a file or a folder of one."""

    def write(path: Path) -> None:
        name = re.sub(r"\W", "_", path.name.rpartition(":")[2])
        file = path if path.suffix == ".jsonl" else path / f"{name}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        given = map(make, labelled_solutions(range(start, start + n)))
        file.write_text("".join(json.dumps(row) + "\n" for row in given))

    return write


def evaluated(judge: str, *, start: int) -> Maker:
    """What `judgekit eval` leaves of one judge on additions."""

    def make(path: Path) -> None:
        labelled(start, n=20)(data := path.parent / f"{path.name} of")
        judgekit.evaluate([judge], {SOURCE: str(data)}, output=path, n_resamples=100)

    return make


_ids: Iterator[int] = itertools.count()
processbench = rows(
    lambda row: {
        "id": f"gsm8k-{next(_ids)}", "generator": "m", "problem": row.problem, "steps": row.steps,
        "final_answer_correct": row.first_error is None, "label": -1 if row.first_error is None else row.first_error,
    }
)  # fmt: skip
prmbench = rows(
    lambda row: {
        "original_question": row.problem, "modified_question": row.problem, "question": row.problem,
        "original_process": addition(int(row.problem.split()[2])).steps, "modified_process": row.steps,
        "error_steps": [] if row.first_error is None else [row.first_error + 1], "modified_steps": [], "reason": "",
        "classification": "multi_solutions" if row.first_error is None else "confidence",
        "idx": f"i{next(_ids)}", "ground_truth": "1", "original_response": "",
    },
    n=40,
)  # fmt: skip
worked = rows(  # each problem twice, which the importer finds
    lambda row: {
        "question": f"Ann has {row.steps[0].split('+')[0]} pears, buys 5 and sells them for 2 dollars each. How much?",
        "answer": f"She has {(a := int(row.steps[0].split('+')[0]))} + 5 = <<{a}+5={a + 5}>>{a + 5} pears.\n"
        f"They bring {a + 5} * 2 = <<{a + 5}*2={2 * (a + 5)}>>{2 * (a + 5)} dollars.\n#### {2 * (a + 5)}",
    },
    n=60,
)  # fmt: skip
answered = rows(lambda row: {"question": row.problem, "answer": "7"}, n=4)
published_groups = rows(
    lambda row: {
        "id": next(_ids), "question": row.problem, "labels": [True, False],
        "steps": [addition(a := int(row.problem.split()[2])).steps, addition(a, first_error=1).steps],
    }
)  # fmt: skip
fields_of_its_own = rows(
    lambda row: {
        "question": row.problem, "chain": row.steps, "model": "a-7b",
        "marks": [int(label == "ok") for label in row.labels],
        "first_wrong": 0 if row.first_error is None else row.first_error + 1,
    }
)  # fmt: skip


def many(maker: Maker, *names: str) -> dict[str, Maker]:
    return dict.fromkeys(names, maker)


SETS = ("train", "test", "calibration", "others", "promise", "check", "fit", "gsm8k", "olympiadbench", "processbench")
GIVEN: dict[str, Maker] = {
    **many(model, "MODEL", "POLICY", "SMOLLM2", "CHECKPOINT", "HuggingFaceTB/SmolLM2-135M-Instruct"),
    **many(
        model,
        "Qwen/Qwen2.5-1.5B-Instruct",
        "runs/base/model",
        "runs/quickstart/base/model",
        "runs/arithmetic/base/model",
    ),
    **many(model, "runs/quickstart/policy/model", "runs/arithmetic/policy/model", "POLICY_DIR"),
    **many(judge, "runs/judge/judge", "runs/probe/judge", "runs/quickstart/judge/judge", "tiny/judge", "JUDGE"),
    **many(judge, "smollm2/judge", "runs/arithmetic/judge/judge", "runs/other/judge"),
    "Qwen/Qwen2.5-Math-PRM-7B": prm,
    "Skywork/Skywork-o1-Open-PRM-Qwen-2.5-1.5B": pickled,
    "judges/critic": critic,
    **{f"data/{name}": labelled(100 * i) for i, name in enumerate(SETS)},
    **many(labelled(1100), "runs/quickstart/data/test", "runs/arithmetic/data/test"),
    "injection-cal.jsonl": labelled(1200),
    "slice/prmbench": prmbench,
    "slice/bigbench_mistake": labelled(1400, source="bigbench-mistake"),
    "rows.jsonl": labelled(1500, source="mine"),
    **many(groups, "data/rollouts", "runs/groups", "data/groups", "runs/shortest", "runs/quickstart/groups"),
    **many(problems, "runs/arithmetic/data/rl-train", "runs/arithmetic/data/rl-test"),
    **many(problems, "runs/quickstart/data/rl-train", "runs/quickstart/data/rl-test", "data/problems"),
    **many(problems, "data/gsm8k-two", "data/gsm8k-two-held-out"),
    "runs/other-eval": evaluated("builtin:random", start=1700),
    **many(processbench, "gsm8k.jsonl", "olympiadbench.jsonl"),
    **many(processbench, *(f"Qwen/ProcessBench:default:{s}" for s in ("gsm8k", "math", "olympiadbench", "omnimath"))),
    **many(prmbench, "hitsmy/PRMBench_Preview", "FOLDER/prmbench"),
    **many(worked, "openai/gsm8k:main:train", "openai/gsm8k:main:test", "gsm8k/test.jsonl"),
    "FOLDER": lambda path: (worked(path / "gsm8k/train.jsonl"), prmbench(path / "prmbench"))[0],
    **many(answered, "amc23.jsonl", "math500.jsonl"),
    **many(published_groups, "GROUPS.jsonl", "olympiadbench_qwen2.5-7b-instruct_n8.jsonl"),
}
"""What pages name without making it."""
OF_PAGE: dict[str, dict[str, Maker]] = {
    "docs/algorithms.md": {"data/gsm8k": problems},
    "docs/publish.md": {"runs/eval": evaluated("runs/judge/judge", start=1800)},
    "docs/results/leaderboard_slices.md": {"ens": judge, "prior": judge},
    "docs/judges.md": {"runs/judge/judge": prm},
    "docs/weak_labels.md": {"data/olympiadbench": labelled(2030, n=60)},
    "docs/data.md": {"rows.jsonl": fields_of_its_own, "data/mixed": labelled(1600)},
}
"""Names that stand for something else on one page."""
PUT_RIGHT: dict[str, Maker] = {
    "runs/quickstart/groups": groups,
    "data/monte-carlo": labelled(1900, method="monte_carlo"),
    "data/judge-labels": labelled(1900, method="llm"),
}
"""What takes the place of a folder that a command has written: a policy of random weights gets nothing right."""
PRELUDE = {
    "README.md": """
from datasets import Dataset
from trl import GRPOConfig
def brief(completions, **_):
    return [1 / (1 + len(text)) for text in completions]
def correct(completions, **_):
    return [0.0 for _ in completions]
rows = Dataset.from_list([{"prompt": f"{i}+{i}?", "problem": f"{i}+{i}?", "answer": str(2 * i)} for i in range(4)])
args = GRPOConfig(
    output_dir="out", max_steps=1, num_generations=2, per_device_train_batch_size=4, max_completion_length=6,
    report_to="none", bf16=False, use_cpu=True, save_strategy="no", disable_tqdm=True,
)
""",
}
"""What code of a page takes from the reader's own script."""
