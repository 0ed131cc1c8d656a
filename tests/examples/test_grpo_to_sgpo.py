"""The script that turns GRPO into SGPO, run on a policy of random weights."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from judgekit.training.calibrate import wrap_builtin
from tests.sgpo.samples import write_policy

SCRIPT = Path(__file__).parents[2] / "examples" / "grpo_to_sgpo.py"
CHAT = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")  # TRL's own use of transformers
def test_the_script_trains_on_what_a_judge_says(tmp_path: Path) -> None:
    policy, judge = write_policy(tmp_path / "policy"), wrap_builtin("builtin:random", tmp_path / "judge")
    (policy / "chat_template.jinja").write_text(CHAT)
    rows = [{"problem": f"{i}+{i}?", "answer": 2 * i + 1000} for i in range(8)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    small = {
        "policy": policy, "judge": judge, "problems": tmp_path / "train.jsonl", "output_dir": tmp_path / "run",
        "max_steps": 2, "num_generations": 4, "per_device_train_batch_size": 8, "max_completion_length": 12,
        "learning_rate": 0.01, "logging_steps": 1, "use_cpu": True, "bf16": False, "report_to": "none",
        "save_strategy": "steps", "save_steps": 2,
    }  # fmt: skip
    runpy.run_path(str(SCRIPT))["main"]([word for name, value in small.items() for word in (f"--{name}", str(value))])
    state = json.loads((tmp_path / "run/checkpoint-2/trainer_state.json").read_text())
    first = state["log_history"][0]
    assert first["sgpo/frac_all_negative"] == 1.0 and first["rewards/brief/mean"] == pytest.approx(0.1, abs=0.002)
    assert (tmp_path / "run/model.safetensors").is_file()
