import json

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from judgekit.config import load_config
from judgekit.errors import ConfigError, DataError
from judgekit.io import MANIFEST, parquet_schema, read_records, write_records
from judgekit.text.identity import exact_problem_id
from judgekit.types import LabelledSolution, labels_from_first_error
from judgekit_datasets.curation import batches as curation_batches
from judgekit_datasets.curation import curate as curation
from judgekit_datasets.curation.config import (
    BalanceConfig,
    ContaminationConfig,
    CurationConfig,
    DuplicatesConfig,
    QualityConfig,
)
from judgekit_datasets.curation.curate import REMOVED, curate

WORDS = [
    "red",
    "green",
    "blue",
    "small",
    "large",
    "round",
    "flat",
    "old",
    "new",
    "warm",
    "cold",
    "fast",
    "slow",
    "loud",
]


def solution(number, *, first_error=None, problem=None, steps=None, **fields):
    problem = problem or f"Problem {number}: how many {WORDS[number % 14]} boxes does {WORDS[number // 14]} Ann have?"
    steps = steps or (
        f"She had {number} boxes.",
        f"Then she got {number + 1} more.",
        f"The answer is {2 * number + 1}.",
    )
    labels = labels_from_first_error(first_error, n_steps=len(steps))
    fields = {"source": "test", "label_method": "human", "licence": "MIT"} | fields
    return LabelledSolution(problem=problem, steps=steps, labels=labels, **fields)


def write(folder, solutions, name="data"):
    write_records(folder / name, solutions, record_type=LabelledSolution)
    return folder / name


def run(folder, solutions, name="curated", **options):
    data = write(folder, solutions, f"{name}-data")
    return curate(CurationConfig(data=(data,), workers=1, **options), folder / name)


def removed_rows(folder):
    return pl.read_parquet(folder / REMOVED / "*.parquet")


def ids(path):
    return [row.id for row in read_records(path, LabelledSolution)]


def test_a_sound_set_comes_through_unchanged(tmp_path):
    solutions = [solution(i, first_error=i % 3 or None) for i in range(8)]
    report = run(tmp_path, solutions)
    assert list(read_records(tmp_path / "curated", LabelledSolution)) == solutions
    assert (report.rows_read, report.rows_kept) == (8, 8)
    assert not (tmp_path / "curated" / REMOVED).exists()


def test_the_manifest_names_no_folder_of_this_machine(tmp_path):
    benchmark = tmp_path / "bench.jsonl"
    benchmark.write_text('{"problem": "What is one and one?"}\n')
    run(tmp_path, [solution(1)], contamination={"benchmarks": {"bench": benchmark}})
    manifest = (tmp_path / "curated" / MANIFEST).read_text()
    assert "curated-data/data/part-00000.parquet" in manifest
    assert str(tmp_path.parent) not in manifest and tmp_path.parent.name + "/" not in manifest


def test_each_row_is_removed_by_the_first_stage_that_applies(tmp_path):
    base = solution(1)
    copy = solution(1, problem=base.problem.upper(), generator="b")
    contrary = solution(1, first_error=2, generator="c")
    near = solution(1, steps=(*base.steps[:2], "Thus the answer is 3."), generator="d")
    same_as_near = solution(1, steps=near.steps, first_error=0, generator="e")
    other_place = solution(1, steps=(*base.steps[:2], "So the answer is 3."), first_error=0)
    known, blank = solution(5), solution(6, steps=("x", " "))
    bench = tmp_path / "bench.jsonl"
    bench.write_text(json.dumps({"question": known.problem}) + "\n")
    twice = known.model_copy(update={"id": "twice"})
    data = [base, copy, contrary, near, same_as_near, other_place, known, twice, blank, solution(7)]
    contamination, duplicates = ContaminationConfig(benchmarks={"bench": bench}), DuplicatesConfig(near=0.7)
    report = run(tmp_path, data, contamination=contamination, duplicates=duplicates)
    gone = {row["id"]: row for row in removed_rows(tmp_path / "curated").iter_rows(named=True)}
    assert {key: row["reason"] for key, row in gone.items()} == {
        copy.id: "exact duplicate",
        contrary.id: "exact duplicate, other label",
        near.id: "near-duplicate",
        same_as_near.id: "exact duplicate, other label",
        known.id: "contaminated problem",
        "twice": "contaminated problem",
        blank.id: "step too short",
    }
    assert gone[copy.id]["kept_id"] == gone[contrary.id]["kept_id"] == gone[near.id]["kept_id"] == base.id
    assert gone[same_as_near.id]["kept_id"] == base.id
    assert gone[contrary.id]["detail"] == "first error 2, of the kept row none"
    assert (gone[known.id]["benchmark"], gone[known.id]["benchmark_row"]) == ("bench", "bench.jsonl row 1")
    assert ids(tmp_path / "curated") == [base.id, other_place.id, data[-1].id]
    assert [(stage.name, sum(stage.reasons.values()), stage.left) for stage in report.funnel] == [
        ("quality", 1, 9),
        ("contamination", 2, 7),
        ("exact duplicates", 3, 4),
        ("near-duplicates", 1, 3),
        ("balance", 0, 3),
    ]


def test_constructed_counterparts_are_no_near_duplicates(tmp_path):
    base = solution(1)
    steps = [(*base.steps[:2], f"{word} the answer is 3.") for word in ("So", "Thus", "Hence")]
    injected = [solution(1, steps=given, label_method="injected") for given in steps]
    assert run(tmp_path, [base, *injected], "spared", duplicates=DuplicatesConfig(near=0.7)).rows_kept == 4
    everything = DuplicatesConfig(near=0.7, near_spares=())
    assert run(tmp_path, [base, *injected], "all", duplicates=everything).rows_kept == 1


def test_a_removed_row_makes_no_other_go(tmp_path):
    poor = solution(1, steps=("same", " "))
    fine = solution(1, steps=("same", "end"))
    run(tmp_path, [poor, poor.model_copy(update={"id": "again"}), fine])
    assert removed_rows(tmp_path / "curated")["reason"].to_list() == ["step too short"] * 2


def test_problems_that_differ_in_a_number_are_all_kept(tmp_path):
    text = "A long problem about trains that leave the same station at {} and meet after a while on the way to town."
    data = [solution(1, problem=text.format(i)) for i in range(5)] + [solution(2, problem=text.format("noon"))]
    assert run(tmp_path, data).rows_kept == 6


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_kept_and_removed_are_what_was_read(tmp_path_factory, data):
    number, step = st.integers(0, 4), st.sampled_from(["a", "b c d", " ", "a\x00", "1 + 1 = 2"])
    rows = data.draw(st.lists(st.tuples(number, st.lists(step, min_size=1, max_size=3), st.integers(0, 2)), min_size=1))
    solutions = [
        solution(number, steps=tuple(steps), first_error=error if error < len(steps) else None, source_id=str(i))
        for i, (number, steps, error) in enumerate(rows)
    ]
    options = {
        "quality": QualityConfig(max_steps=data.draw(st.sampled_from([None, 2]))),
        "duplicates": DuplicatesConfig(exact=data.draw(st.booleans()), near=data.draw(st.sampled_from([None, 0.5]))),
        "balance": BalanceConfig(caps=data.draw(st.sampled_from([{}, {"problem_id": 2}, {"n_steps": 1}]))),
        "rows_per_shard": data.draw(st.sampled_from([1, 2, 100])),
    }
    folder = tmp_path_factory.mktemp("run")
    try:
        report = run(folder, solutions, **options)
    except DataError as error:
        assert "nothing is left" in str(error)
        return
    kept = list(read_records(folder / "curated", LabelledSolution))
    gone = removed_rows(folder / "curated")["id"].to_list() if report.rows_removed else []
    assert sorted([*(row.id for row in kept), *gone]) == sorted(row.id for row in solutions)
    assert set(kept) <= set(solutions)
    assert report.rows_read == len(solutions) and report.rows_kept == len(kept)
    assert sum(share.kept for share in report.first_errors.values()) == len(kept)


def test_no_problem_on_two_sides(tmp_path):
    data = [solution(i // 2, generator=str(i), steps=(f"step {i}", "end")) for i in range(60)]
    similar = "A rather long problem that says nothing but is written so that its shingles are many, {} is all."
    data += [solution(0, problem=similar.format(word), steps=(f"{word} x", "y")) for word in WORDS]
    report = run(tmp_path, data, splits={"train": 0.5, "test": 0.5}, duplicates=DuplicatesConfig(near=0.7))
    sides = {name: list(read_records(tmp_path / "curated" / name, LabelledSolution)) for name in ("train", "test")}
    problems = {name: {row.problem_id for row in rows} for name, rows in sides.items()}
    assert problems["train"] and problems["test"] and not problems["train"] & problems["test"]
    assert {name: side.problems for name, side in report.splits.items()} == {k: len(v) for k, v in problems.items()}
    similar_sides = {name for name, rows in sides.items() for row in rows if row.problem.startswith("A rather")}
    assert len(similar_sides) == 1
    assert len(ids(tmp_path / "curated")) == report.rows_kept


def test_result_does_not_depend_on_batches_or_processes(tmp_path, monkeypatch):
    data = [solution(i % 40, first_error=i % 2 or None, generator=str(i)) for i in range(120)]
    whole = run(tmp_path, data, "whole")
    monkeypatch.setattr(curation_batches, "_ROWS_PER_BATCH", 30)
    config = CurationConfig(data=(tmp_path / "whole-data",), workers=2)
    assert curate(config, tmp_path / "parts") == whole
    for part in ("data/part-00000.parquet", f"{REMOVED}/part-00000.parquet"):
        assert (tmp_path / "whole" / part).read_bytes() == (tmp_path / "parts" / part).read_bytes()


@pytest.mark.parametrize("stage", ["second batch", "manifest"])
def test_a_run_that_was_cut_off_continues(tmp_path, monkeypatch, stage):
    monkeypatch.setattr(curation_batches, "_ROWS_PER_BATCH", 5)
    data = [solution(i % 9, generator=str(i)) for i in range(12)]
    expected = run(tmp_path, data, "straight", splits={"train": 0.5, "test": 0.5})
    config = CurationConfig(data=(tmp_path / "straight-data",), workers=1, splits={"train": 0.5, "test": 0.5})
    output = tmp_path / "cut"

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if stage == "second batch":
            make = curation_batches._make_files
            patch.setattr(curation_batches, "_make_files", lambda b, *a: stop() if b.number == 1 else make(b, *a))
        else:
            patch.setattr(curation, "write_manifest", lambda folder, *a: stop() if folder == output else None)
        with pytest.raises(KeyboardInterrupt):
            curate(config, output)
    assert not (output / MANIFEST).exists()
    with pytest.raises(ConfigError, match="add --resume"):
        curate(config, output)
    made = []
    make = curation_batches._make_files
    monkeypatch.setattr(curation_batches, "_make_files", lambda b, *a: (made.append(b.number), make(b, *a)))
    assert curate(config, output, resume=True) == expected
    assert made == {"second batch": [1, 2], "manifest": [0, 1, 2]}[stage]
    assert not (output / ".work").exists()
    for side in ("train", "test"):
        assert ids(output / side) == ids(tmp_path / "straight" / side)


def test_resuming_a_finished_run_returns_its_counts(tmp_path):
    report = run(tmp_path, [solution(1), solution(2)])
    config = CurationConfig(data=(tmp_path / "curated-data",), workers=2)
    assert curate(config, tmp_path / "curated", resume=True) == report
    with pytest.raises(ConfigError, match=r"differs in config.seed: 0 -> 1"):
        curate(config.model_copy(update={"seed": 1}), tmp_path / "curated", resume=True)


def test_bad_inputs_are_named(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        curate(CurationConfig(data=(tmp_path / "none",)), tmp_path / "out")
    file = tmp_path / "other.parquet"
    pl.DataFrame({"text": ["x"]}).write_parquet(file)
    with pytest.raises(DataError, match="no column 'problem'"):
        curate(CurationConfig(data=(file,), workers=1), tmp_path / "out1")
    file.write_bytes(b"no parquet")
    with pytest.raises(DataError, match="not a readable parquet file"):
        curate(CurationConfig(data=(file,), workers=1), tmp_path / "out2")
    write(tmp_path, [solution(1)])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes").touch()
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "config.json").write_text('{"source": "prmbench"}')
    with pytest.raises(ConfigError, match="holds files of something else"):
        curate(CurationConfig(data=(tmp_path / "data",)), tmp_path / "build")
    with pytest.raises(ConfigError, match="holds files of something else"):
        curate(CurationConfig(data=(tmp_path / "data",)), tmp_path / "full")


def test_a_run_that_failed_at_once_is_begun_anew(tmp_path):
    bench = tmp_path / "bench.jsonl"
    bench.write_text(json.dumps({"text": "?"}) + "\n")
    with pytest.raises(DataError, match=r"set contamination.problem_fields"):
        run(tmp_path, [solution(1)], contamination=ContaminationConfig(benchmarks={"bench": bench}))
    right = ContaminationConfig(benchmarks={"bench": bench}, problem_fields=("text",))
    config = CurationConfig(data=(tmp_path / "curated-data",), contamination=right)
    assert curate(config, tmp_path / "curated").rows_kept == 1


def test_nothing_left_and_too_few_problems_are_errors(tmp_path):
    with pytest.raises(DataError, match="nothing is left of the 1 rows"):
        run(tmp_path, [solution(1)], quality=QualityConfig(min_steps=9))
    with pytest.raises(DataError, match="would be empty: 1 problems are too few"):
        run(tmp_path, [solution(1)], "second", splits={"a": 0.5, "b": 0.5})


def test_configuration_is_checked():
    with pytest.raises(ConfigError, match="did you mean 'near'"):
        load_config(CurationConfig, overrides=["data=[x]", "duplicates.nea=0.5"])
    for override in ("splits={a: 0.5}", "splits={data: 1.0}", "balance.caps={source: 0}", "contamination.min_words=14"):
        with pytest.raises(ConfigError):
            load_config(CurationConfig, overrides=["data=[x]", override])


def test_real_sets_against_real_benchmarks(tmp_path, real_data):
    from judgekit_datasets.build import build

    for source, folder in (("processbench", "processbench/gsm8k.jsonl"), ("prmbench", "prmbench")):
        build(source, input=real_data / folder, output=tmp_path / source)
    config = CurationConfig(
        data=(tmp_path / "processbench", tmp_path / "prmbench"),
        workers=1,
        contamination=ContaminationConfig(benchmarks={"models": real_data / "gsm8k/example_model_solutions.jsonl"}),
    )
    report = curate(config, tmp_path / "out")
    problems = next(row for row in report.contamination if row.part == "problem")
    assert problems.rows["exact"] == 400 and problems.texts_found == 375
    assert report.sources["processbench"].kept == 0
    # every row of the part of PRMBench given here was made from PRM800K test files, none from train files
    files = {name: share.read for name, share in report.prm800k_files["prmbench"].items()}
    assert files == {"phase1_test": 729, "phase2_test": 48}


def test_exact_duplicates_are_the_same_by_identity_and_signs_make_a_difference(tmp_path):
    first = solution(0, problem="Find $x^2$, if x < 5.", steps=("Let $x=4$.", "So 16."))
    same = solution(1, problem="find x\u00b2, if $x<5$", steps=("let x = 4", "so 16."))
    others = [
        solution(2, problem="Find $x^2$, if x > 5.", steps=first.steps),
        solution(3, problem="Find x2, if x < 5.", steps=first.steps),
        solution(4, problem=first.problem, steps=("Let $x=-4$.", "So 16.")),
        solution(5, problem=first.problem, steps=("Let $x=4$. So 16.",)),
    ]
    report = run(tmp_path, [first, same, *others], duplicates=DuplicatesConfig(near=None))
    assert removed_rows(tmp_path / "curated")["id"].to_list() == [same.id]
    assert ids(tmp_path / "curated") == [row.id for row in (first, *others)]
    assert report.rows_kept == 5


def test_one_problem_is_in_one_split_however_it_is_spelled_and_whatever_ids_it_has(tmp_path):
    solutions = []
    for i in range(30):
        texts = (f"Find $x$, if x = {i}.", f"find  x, if $x={i}$", f"The number {i} is meant")
        names = (None, f"p{i}", f"p{i}")
        solutions += [
            solution(i, problem=text, steps=(f"step {i} {k}",), **({"problem_id": name} if name else {}))
            for k, (text, name) in enumerate(zip(texts, names, strict=True))
        ]
    options = {"splits": {"train": 0.5, "test": 0.5}, "duplicates": DuplicatesConfig(near=None)}
    report = run(tmp_path, solutions, balance=BalanceConfig(caps={"problem_id": 2}), **options)
    sides = [
        {row.steps[0].split()[1] for row in read_records(tmp_path / "curated" / name, LabelledSolution)}
        for name in ("train", "test")
    ]
    assert not sides[0] & sides[1] and report.rows_kept == 60
    assert sum(side.problems for side in report.splits.values()) == 30


def test_old_ids_of_problems_are_replaced(tmp_path, caplog):
    rows = [
        row.model_dump(mode="json") | {"problem_id": exact_problem_id(row.problem)} for row in map(solution, range(3))
    ]
    data = write(tmp_path, [solution(i) for i in range(3)])
    pl.DataFrame(rows, schema=parquet_schema(LabelledSolution)).write_parquet(data / "data/part-00000.parquet")
    curate(CurationConfig(data=(data,), workers=1), tmp_path / "curated")
    assert [row.problem_id for row in read_records(tmp_path / "curated", LabelledSolution)] == [
        solution(i).problem_id for i in range(3)
    ]
    assert sum("3 of 3 rows identify their problem by its exact text" in message for message in caplog.messages) == 1


def test_a_folder_that_an_earlier_release_began_is_refused(tmp_path):
    data = write(tmp_path, [solution(0)])
    config = CurationConfig(data=(data,), workers=1)
    curate(config, tmp_path / "curated")
    (tmp_path / "curated" / MANIFEST).unlink()
    facts = tmp_path / "curated/.work/facts/part-00000.parquet"
    facts.parent.mkdir(parents=True)
    pl.DataFrame({"row": [0]}).write_parquet(facts)
    with pytest.raises(DataError, match="was started by an earlier release"):
        curate(config, tmp_path / "curated", resume=True)


def test_another_solution_under_an_id_is_removed_with_both_rows_named(tmp_path):
    first, equal = (solution(0, id="a", steps=("She has 0.",)) for _ in range(2))
    run(
        tmp_path,
        [first, solution(1, id="b"), solution(0, id="a", steps=("She has -0.",)), equal],
        duplicates=DuplicatesConfig(near=None),
    )
    gone = removed_rows(tmp_path / "curated").select("reason", "detail").rows()
    clash = ("id of another solution", "row 3 of part-00000.parquet has the id of row 1 of part-00000.parquet")
    assert gone == [clash, ("exact duplicate", None)]
    assert ids(tmp_path / "curated") == ["a", "b"]
