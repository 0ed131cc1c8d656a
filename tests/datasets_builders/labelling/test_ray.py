"""Labelling on a local Ray of two CPUs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from judgekit.errors import ConfigError, JudgeError
from tests.datasets_builders.labelling.labelling_run import counted_solutions, files, run

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"
)


@pytest.fixture
def local_ray() -> Iterator[None]:
    ray = pytest.importorskip("ray", reason="needs the extra ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.usefixtures("local_ray")
def test_ray_continues_a_run_and_writes_what_one_process_writes(tmp_path: Path) -> None:
    with pytest.raises(JudgeError):
        run(tmp_path / "out", counted_solutions(30), labeller={"fail_at": 13})
    report = run(tmp_path / "out", counted_solutions(30), workers=2, engine="ray", resume=True)
    assert report.n_records == 27
    run(tmp_path / "straight", counted_solutions(30))
    assert files(tmp_path / "out") == files(tmp_path / "straight")


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_a_labeller_that_fails_on_ray_stops_the_run_with_its_own_error(tmp_path: Path) -> None:
    with pytest.raises(JudgeError, match="the server is gone"):
        run(tmp_path / "out", counted_solutions(30), workers=2, engine="ray", labeller={"fail_at": 25})
    assert 0 < len(list((tmp_path / "out/chunks").glob("*.jsonl"))) < 8


def test_ray_that_is_not_installed_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'sgpo\[ray\]'"):
        run(tmp_path / "out", counted_solutions(3), engine="ray")


def test_a_cluster_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="needs the extra ray")
    monkeypatch.setenv("RAY_ADDRESS", "not an address")
    with pytest.raises(ConfigError, match="no Ray cluster at RAY_ADDRESS='not an address'"):
        run(tmp_path / "out", counted_solutions(3), engine="ray")
