"""Labelling on a local Ray of two CPUs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from judgekit.errors import ConfigError, JudgeError
from tests.datasets_builders.labelling_run import counted_solutions, files, run


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning")
def test_ray_writes_what_one_process_writes_also_after_a_failure(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray", reason="needs the extra ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        with pytest.raises(JudgeError, match="the server is gone"):
            run(tmp_path / "out", counted_solutions(30), workers=2, engine="ray", labeller={"fail_at": 25})
        done = len(list((tmp_path / "out/chunks").glob("*.jsonl")))
        report = run(tmp_path / "out", counted_solutions(30), workers=2, engine="ray", resume=True)
    finally:
        ray.shutdown()
    assert 0 < done < 8
    assert report.n_records == 27
    run(tmp_path / "straight", counted_solutions(30))
    assert files(tmp_path / "out") == files(tmp_path / "straight")


def test_ray_that_is_not_installed_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'judgekit\[ray\]'"):
        run(tmp_path / "out", counted_solutions(3), engine="ray")
