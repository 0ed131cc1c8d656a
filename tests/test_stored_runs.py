"""Folders that an earlier release left, finished or half made, are resumed by this one.

The fixture holds, for every stage, the folder that the release made of the inputs of `tests.stages`, and one of the
moment of a kill, without weights. Its inputs are written anew: their hashes are put in where those of another version
of a library, whose files are not the same byte for byte, stand.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import polars as pl
import pytest

from judgekit.io import MANIFEST, read_json
from judgekit.rejections import REJECTED, Rejection
from tests.stages import STAGES, run_stage, write_inputs

STORED = Path(__file__).parent / "fixtures" / "present_release" / "runs.zip"
LATER = {"cascade", "compare", "label"}
"""Stages that the fixture lacks."""
REFUSED: dict[tuple[str, str], str] = {}
"""Folders that are refused, and the way out that the message names."""


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stored")
    write_inputs(root)
    with zipfile.ZipFile(STORED) as archive:
        archive.extractall(root)
    before: dict[str, str] = read_json(root / "inputs.json")
    now = {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in before}
    for path in root.glob("*/*/**/*.json"):
        text = path.read_text()
        for name, digest in before.items():
            text = text.replace(digest, now[name])
        path.write_text(text)
    return root


@pytest.fixture
def folder(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(stored / "in", tmp_path / "in")
    monkeypatch.chdir(tmp_path)
    return stored


@pytest.mark.parametrize("state", ["half", "finished"])
@pytest.mark.parametrize("name", [name for name in STAGES if name not in LATER])
def test_a_stored_folder_is_resumed_or_refused_with_the_way_out(
    name: str, state: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder / state / name, "out")
    finished = folder / "finished" / name
    if name in ("calibrate", "ensemble", "prior"):  # have nothing to resume; a finished one may be calibrated again
        is_refused = state == "finished" and name != "calibrate"
        assert run_stage(name) == (2 if is_refused else 0)
        assert is_refused == ("choose another --output" in capsys.readouterr().err)
        return
    status, said = run_stage(name, "--resume"), capsys.readouterr().err
    if (name, state) in REFUSED:
        assert status == 2 and REFUSED[name, state] in said
        return
    assert status == 0, said
    for path in finished.rglob("*.parquet"):
        if path.parts[-2] in ("data", "removed"):
            now, then = pl.read_parquet(Path("out") / path.relative_to(finished)), pl.read_parquet(path)
            # What the earlier release did not know of a rollout is known of those that are sampled now.
            unknown = [name for name in ("behaviour_token_ids", "behaviour_logprobs") if name in then.columns]
            assert now.drop(unknown).equals(then.drop(unknown)), path
    for manifest in finished.rglob(MANIFEST):
        rows = json.loads(manifest.read_text()).get("n_rows")
        assert json.loads((Path("out") / manifest.relative_to(finished)).read_text()).get("n_rows") == rows


def test_rejected_rows_that_an_earlier_release_wrote_are_read(stored: Path) -> None:
    files = list(stored.rglob(REJECTED))
    rows = [Rejection.model_validate_json(line) for file in files for line in file.read_text().splitlines()]
    assert {row.stage for row in rows} == {None} and {"duplicate", "not labelled by rollouts"} <= {
        row.reason for row in rows
    }
