"""What `auto` means: bfloat16 where the hardware computes in it, settled when a configuration is read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from judgekit.cli import main
from judgekit.config import parse_config
from judgekit.engines import precision
from judgekit.engines.generation.config import TransformersGeneration
from judgekit.errors import ConfigError
from judgekit.judging.config import JudgingConfig
from judgekit.training.config import ClassifierConfig

NATIVE = "judgekit.engines.precision.has_fast_bfloat16"


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the hardware, which other tests do not."""
    monkeypatch.delenv("JUDGEKIT_DTYPE")


def test_the_environment_says_it_for_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NATIVE, lambda: True)
    monkeypatch.setenv("JUDGEKIT_DTYPE", "float32")
    assert precision.settle_precision("auto") == "float32" and precision.settle_bf16("auto") is False
    assert precision.settle_precision("bfloat16") == "bfloat16" and precision.settle_bf16(True) is True
    monkeypatch.setenv("JUDGEKIT_DTYPE", "float8")
    with pytest.raises(ConfigError, match="JUDGEKIT_DTYPE='float8' is not a precision: use float32 or bfloat16"):
        parse_config(JudgingConfig, {"judge": "j", "data": "d"}, where="test")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("processor : 0\nflags\t\t: fpu avx512f avx512_bf16 sse\n", True),
        ("flags : fpu amx_bf16 amx_tile\n", True),
        ("Features : fp asimd bf16 sve\n", True),
        ("flags : fpu avx512f avx2\n", False),
        ("model name : a chip with avx512_bf16\nflags : fpu\n", False),
        ("", False),
    ],
)
def test_the_processor_is_asked_by_its_flags(
    flags: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(flags)
    monkeypatch.setattr(precision, "Path", lambda path: tmp_path / Path(path).name)
    assert precision._cpu_has_bfloat16.__wrapped__() is expected


def test_a_machine_that_does_not_say_is_taken_to_have_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "Path", lambda path: tmp_path / "gone")
    assert precision._cpu_has_bfloat16.__wrapped__() is False


@pytest.mark.parametrize(("native", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_auto_is_settled_when_a_configuration_is_read(
    native: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NATIVE, lambda: native)
    values = {"judge": "builtin:random", "data": "data"}
    assert parse_config(JudgingConfig, values, where="test").dtype == expected
    assert parse_config(JudgingConfig, values | {"dtype": "auto"}, where="test").dtype == expected
    assert TransformersGeneration(model="m").model_dump()["dtype"] == expected
    assert ClassifierConfig(model="m", data=(Path("d"),)).bf16 is native
    for given in ("float32", "bfloat16"):
        assert parse_config(JudgingConfig, values | {"dtype": given}, where="test").dtype == given
    assert ClassifierConfig(model="m", data=(Path("d"),), bf16=not native).bf16 is not native
    with pytest.raises(ConfigError, match="dtype"):
        parse_config(JudgingConfig, values | {"dtype": "float16"}, where="test")


def test_a_run_states_what_auto_was_and_is_not_resumed_in_another_precision(
    tiny_judge: Path, labelled_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    command = ["judge", "--judge", str(tiny_judge), "--input", str(labelled_data), "--show", "0"]
    monkeypatch.setattr(NATIVE, lambda: True)
    assert main([*command, "--output", str(tmp_path / "run")]) == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text())["dtype"] == "bfloat16"
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["results"]["dtype"] == "bfloat16"
    monkeypatch.setattr(NATIVE, lambda: False)
    assert main([*command, "--output", str(tmp_path / "run"), "--resume"]) != 0
    assert "dtype" in capsys.readouterr().err
    assert main([*command, "--output", str(tmp_path / "run"), "--resume", "dtype=bfloat16"]) == 0


def test_settling_needs_no_torch_without_a_gpu() -> None:
    if any(Path(driver).exists() for driver in precision._GPU_DRIVERS):
        pytest.skip("a GPU is asked through torch")
    program = "import sys; from judgekit.engines import precision; precision.has_fast_bfloat16(); "
    program += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=120).returncode == 0


def test_training_in_bfloat16_keeps_float32_weights(tiny_base: Path, labelled_data: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    from judgekit.training.classifier import train_classifier

    values = {"batch_size": 8, "max_steps": 2, "lr": 1e-3, "threads": 1, "save_every": None, "bf16": True}
    folder = train_classifier(
        ClassifierConfig.model_validate(values | {"model": str(tiny_base), "data": (labelled_data,)}),
        tmp_path / "run",
    )
    assert {str(tensor.dtype) for tensor in load_file(folder / "model.safetensors").values()} == {"torch.float32"}
