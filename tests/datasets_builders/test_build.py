"""The build runner: counts, manifest, resuming after SIGKILL, a full disk, and what reads the result."""

from __future__ import annotations

import contextlib
import io
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import datasets
import polars as pl
import pytest
from rich.console import Console

from judgekit.errors import ConfigError, DataError
from judgekit.io import read_json, read_records
from judgekit.rejections import REJECTED
from judgekit.types import LabelledSolution
from judgekit_datasets.build import build
from judgekit_datasets.build_report import BuildReport, render_report
from judgekit_datasets.source import GeneratorSource
from tests.datasets_builders.fake_source import COUNTING, CountingConfig, count

SCRIPT = """
import sys
from pathlib import Path
from judgekit_datasets.build import build
build("stepwise-supervision", input=sys.argv[1], output=Path(sys.argv[2]), resume=True, rows_per_shard=50)
"""


def write_rows(path: Path, n: int, *, clean: bool = False) -> None:
    """Unless they are to be clean, every tenth row is malformed and every seventh repeats the one before."""
    with path.open("w") as file:
        for i in range(n):
            number = i - 1 if i % 7 == 6 and not clean else i
            labels = [True, number % 2 == 0]
            row = {"prompt": f"Count to {number}.", "completions": ["I begin.", "Done."], "labels": labels}
            file.write((json.dumps(row) if i % 10 != 9 or clean else "{") + "\n")


def built_ids(folder: Path) -> list[str]:
    return [record.id for record in read_records(folder, LabelledSolution)]


def test_counts_and_manifest(tmp_path: Path) -> None:
    write_rows(tmp_path / "in.jsonl", 20)
    report = build("stepwise-supervision", input=tmp_path / "in.jsonl", output=tmp_path / "built")
    # Rows 10 and 20 are malformed; rows 7 and 14 repeat the rows before them.
    assert (report.rows_read, report.rows_accepted, report.n_records, report.duplicates) == (20, 16, 16, 0)
    assert report.rejected == {"malformed JSON": 2, "duplicate": 2}
    assert report.rows_rejected == 4
    assert report.first_errors == {"none": 9, "1": 7}
    assert report.n_errors == 7
    manifest = read_json(tmp_path / "built" / "manifest.json")
    assert BuildReport.model_validate(manifest["report"]) == report
    assert manifest["source"] == "stepwise-supervision"
    assert manifest["options"]["label_method"] is None
    assert list(manifest["inputs"]) == ["in.jsonl"]
    assert manifest["packages"]["polars"] == pl.__version__
    assert manifest["n_rows"] == 16
    lines = [json.loads(line) for line in (tmp_path / "built" / REJECTED).read_text().splitlines()]
    assert [(line["row"], line["reason"]) for line in lines] == [
        (7, "duplicate"),
        (10, "malformed JSON"),
        (14, "duplicate"),
        (20, "malformed JSON"),
    ]
    assert lines[0]["detail"] == "duplicate of row 6 of in.jsonl"
    assert lines[0]["raw"]["prompt"] == "Count to 5."


def test_the_report_is_shown_as_tables(tmp_path: Path) -> None:
    write_rows(tmp_path / "in.jsonl", 20)
    report = build("stepwise-supervision", input=tmp_path / "in.jsonl", output=tmp_path / "built")
    written = io.StringIO()
    Console(width=100, file=written).print(render_report(report))
    for words in ("malformed JSON", "duplicate", "first error: 7 of 16 solutions have one", "█" * 40):
        assert words in written.getvalue()


def test_polars_and_datasets_read_the_folder(tmp_path: Path) -> None:
    build(COUNTING, output=tmp_path / "built", options=CountingConfig(n=25), rows_per_shard=10)
    expected = built_ids(tmp_path / "built")
    assert len(expected) == 25
    assert pl.scan_parquet(tmp_path / "built/data/*.parquet").collect()["id"].to_list() == expected
    loaded = datasets.load_dataset(
        "parquet", data_dir=str(tmp_path / "built/data"), cache_dir=str(tmp_path / "cache"), split="train"
    )
    assert loaded["id"][:] == expected
    assert loaded[0]["labels"] == ["ok", "error"]


def test_a_generator_source_takes_the_same_path(tmp_path: Path) -> None:
    report = build(COUNTING, output=tmp_path / "built", options=CountingConfig(n=12))
    assert (report.rows_read, report.n_records, report.first_errors) == (12, 12, {"none": 8, "1": 4})
    assert read_json(tmp_path / "built" / "manifest.json")["options"]["n"] == 12


def test_input_and_source_must_fit(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="leave out the input"):
        build(COUNTING, input="x.jsonl", output=tmp_path / "built")
    with pytest.raises(ConfigError, match="processbench needs an input"):
        build("processbench", output=tmp_path / "built")


def test_nothing_made_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no records"):
        build(COUNTING, output=tmp_path / "built", options=CountingConfig(n=0))


def test_a_file_without_an_accepted_row_is_an_error_that_lists_the_rows(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", 5)
    (tmp_path / "b.jsonl").write_text('{"prompt": "P"}\n{"prompt": "P"}\n')
    output = tmp_path.with_name("built")
    with pytest.raises(DataError, match=r"b\.jsonl: no row was accepted \(field 'completions' is missing: 2\)"):
        build("stepwise-supervision", input=tmp_path, output=output)
    assert len((output / REJECTED).read_text().splitlines()) == 2
    assert not (output / "manifest.json").exists()


def test_duplicates_are_found_across_files(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    row = {"prompt": "P", "completions": ["a"], "labels": [True]}
    rows = {"one.jsonl": [row], "two.jsonl": [row | {"labels": [False]}, row]}
    for name, content in rows.items():
        (folder / name).write_text("".join(json.dumps(entry) + "\n" for entry in content))
    # The subset is the file's name here, so the same row in another file is another record ...
    assert build("stepwise-supervision", input=folder, output=tmp_path / "named").duplicates == 0
    # ... and the duplicate of a problem is one whatever its file.
    two, three = (json.dumps({"question": f"What is 1 + {n}?", "answer": f"#### {n + 1}"}) + "\n" for n in (1, 2))
    (folder / "one.jsonl").write_text(two)
    (folder / "two.jsonl").write_text(two + three)
    assert build("gsm8k", input=folder, output=tmp_path / "problems").rejected == {"duplicate": 1}


def test_text_that_is_no_valid_unicode_is_rejected_and_written_down(tmp_path: Path) -> None:
    lines = ['{"prompt": "P", "completions": ["a"], "labels": [true]}']
    lines.append('{"prompt": "\\ud800", "completions": ["a"], "labels": [true]}')
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    report = build("stepwise-supervision", input=tmp_path / "in.jsonl", output=tmp_path / "built")
    assert report.rejected == {"field 'prompt' is not valid Unicode": 1}
    assert json.loads((tmp_path / "built" / REJECTED).read_text())["raw"]["prompt"] == "\ud800"


def test_a_folder_in_use_is_refused_and_a_finished_one_is_not_built_again(tmp_path: Path) -> None:
    options = CountingConfig(n=5)
    report = build(COUNTING, output=tmp_path, options=options)
    before = (tmp_path / "manifest.json").stat().st_mtime_ns
    with pytest.raises(ConfigError, match="already holds a run: add --resume"):
        build(COUNTING, output=tmp_path, options=options)
    assert build(COUNTING, output=tmp_path, options=options, resume=True) == report
    assert (tmp_path / "manifest.json").stat().st_mtime_ns == before


def test_the_folder_of_another_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(ConfigError, match="holds files of something else, for example manifest"):
        build(COUNTING, output=tmp_path, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_kill_and_resume_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """SIGKILL at random moments after a shard appeared, again and again, then one run to the end."""
    write_rows(tmp_path / "in.jsonl", 3000)
    whole = build("stepwise-supervision", input=tmp_path / "in.jsonl", output=tmp_path / "whole", rows_per_shard=50)
    output, rng, n_killed = tmp_path / "killed", random.Random(0), 0
    for _ in range(4):
        n_killed += kill_during_build(tmp_path / "in.jsonl", output, delay_s=rng.uniform(0, 0.05))
        assert n_killed == 0 or not (output / "manifest.json").exists()
        assert all(pl.read_parquet(shard).height == 50 for shard in (output / "data").glob("*.parquet"))
    assert n_killed >= 2, "the builds ended before they could be killed"
    resumed = build("stepwise-supervision", input=tmp_path / "in.jsonl", output=output, resume=True, rows_per_shard=50)
    assert resumed == whole.model_copy(update={"output": "killed"})
    assert built_ids(output) == built_ids(tmp_path / "whole")
    assert (output / REJECTED).read_text() == (tmp_path / "whole" / REJECTED).read_text()
    assert not [path for path in output.rglob(".*") if path.is_file()], "a half file was left behind"


def kill_during_build(rows: Path, output: Path, *, delay_s: float) -> bool:
    """Start a build, kill it `delay_s` after it wrote a further shard, and tell whether that came before its end."""
    before = len(list((output / "data").glob("*.parquet")))
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(rows), str(output)])
    with process:
        while process.poll() is None and len(list((output / "data").glob("*.parquet"))) <= before:
            time.sleep(0.001)
        time.sleep(delay_s)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    return process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("limit_bytes", "clean", "file"), [(2_000, True, "part-00000.parquet"), (20_000, False, "rejected.jsonl")]
)
def test_a_full_disk_is_a_clear_error_and_the_build_can_go_on(
    limit_bytes: int, clean: bool, file: str, tmp_path: Path
) -> None:
    """No file can grow beyond the limit, as on a full disk; then the build goes on without it."""
    write_rows(tmp_path / "in.jsonl", 2000, clean=clean)
    limited = (
        "import resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit_bytes}, {limit_bytes}))\n"
        "from judgekit.errors import DataError\n"
        "try:\n" + "".join(f"    {line}\n" for line in SCRIPT.strip().splitlines()) + "except DataError as error:\n"
        "    sys.exit(f'DataError: {error}')\n"
    )
    output = tmp_path / "built"
    command = [sys.executable, "-c", limited, str(tmp_path / "in.jsonl"), str(output)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 1
    assert "DataError: cannot write" in finished.stderr
    assert file in finished.stderr
    assert "Free the space" in finished.stderr
    assert not (output / "manifest.json").exists()
    report = build("stepwise-supervision", input=tmp_path / "in.jsonl", output=output, resume=True, rows_per_shard=50)
    assert len(built_ids(output)) == report.n_records


def test_another_record_under_an_id_is_no_duplicate(tmp_path: Path) -> None:
    def make(config: CountingConfig) -> Iterator[LabelledSolution]:
        for solution in count(config):
            yield solution.model_copy(update={"id": f"s{len(solution.steps[1]) % 2}"})

    source = GeneratorSource("clashing", LabelledSolution, CountingConfig, make)
    report = build(source, output=tmp_path / "built", options=CountingConfig(n=12))
    assert report.rejected == {"id of another record": 10} and report.n_records == 2
    details = [json.loads(line)["detail"] for line in (tmp_path / "built" / REJECTED).read_text().splitlines()]
    assert details[0] == "id 's0' is that of row 1 of clashing, which differs: give each its own id"
