"""Where a judge's files lie, and what their headers say."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
import pytest

from judgekit.engines.checkpoint import locate_model, tensor_names
from judgekit.errors import CheckpointError


def test_where_a_card_says_the_model_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "judge").mkdir()
    (tmp_path / "model").mkdir()
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, **_: f"/cache/{name}")
    assert locate_model(tmp_path / "judge", ".") == tmp_path / "judge"
    assert locate_model(tmp_path / "judge", "../model") == tmp_path / "model"
    assert locate_model(tmp_path / "judge", str(tmp_path / "model")) == tmp_path / "model"
    assert locate_model(tmp_path / "judge", "owner/name") == Path("/cache/owner/name")
    for gone in ("../gone", str(tmp_path / "gone"), "gone", "./a/b"):
        with pytest.raises(CheckpointError, match=r"names the model .* does not exist"):
            locate_model(tmp_path / "judge", gone)


def test_names_of_tensors_come_from_the_headers(tiny_judge: Path, tmp_path: Path) -> None:
    [(path, names)] = tensor_names(tiny_judge).items()
    assert path.name == "model.safetensors" and "score.weight" in names
    (tmp_path / "model.safetensors").write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        tensor_names(tmp_path)
