"""Judges of a run: known before they are opened, opened only where they are needed, asked once."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import pytest

from judgekit.errors import CheckpointError, ConfigError, DataError
from judgekit.io import read_records
from judgekit.judges import load_judge
from judgekit.judges.base import LazyJudge
from judgekit.judges.builtin import BuiltinJudge
from judgekit.judges.card import JudgeCard, read_card, write_card
from judgekit.judges.cascade import CascadeSpec, Stage
from judgekit.judges.ensemble import EnsembleSpec
from judgekit.judges.exposure import NOTHING_FITTED, SAYS_NOTHING, find_exposure
from judgekit.judges.steps.by_step import StepLogitJudge
from judgekit.judging.run import as_seen
from judgekit.types import Judgement, LabelledSolution, Solution
from judgekit_eval.evaluate import Evaluation, run_evaluation
from judgekit_eval.judges.candidates import Candidate, candidate_key, find_candidates, lazily, tell_apart
from judgekit_eval.judges.config import EvalConfig
from judgekit_eval.judges.schema import EvalResults
from judgekit_eval.results import read_results


def ensemble(folder: Path, *members: str, judge_id: str = "both") -> Path:
    section = EnsembleSpec(members=members, rule="mixture", weights=(1 / len(members),) * len(members))
    write_card(folder, JudgeCard(judge_id=judge_id, spec=section))
    return folder


def run(names: Sequence[str], data: Path, output: Path, *, resume: bool = False) -> Evaluation:
    """Evaluate judges by name on additions."""
    config = EvalConfig(
        judges=names, benchmarks={"additions": [str(data)]}, chunk_size=8, n_resamples=100, n_splits=2, alphas=(0.2,)
    )
    candidates = find_candidates(names, dtype="float32")
    return run_evaluation(
        candidates,
        (lazily(candidate)() for candidate in candidates if not candidate.members),
        {"additions": list(read_records(data, LabelledSolution))},
        output=output,
        config=config,
        inputs={"additions": [data]},
        resume=resume,
    )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many solutions each judge was asked about, by its name."""
    counts: Counter[str] = Counter()
    for judge_type in (BuiltinJudge, StepLogitJudge):

        def counted(self, solutions: Sequence[Solution], judge=judge_type.judge) -> list[Judgement]:
            counts[self.info.judge_id] += len(solutions)
            return judge(self, solutions)

        monkeypatch.setattr(judge_type, "judge", counted)
    return counts


def test_what_is_known_before_a_judge_is_opened(tiny_judge: Path, tmp_path: Path) -> None:
    both = ensemble(tmp_path / "both", str(tiny_judge), "builtin:random")
    found = find_candidates([str(both), "builtin:random"], dtype="float32")
    assert [candidate.info.judge_id for candidate in found] == ["tiny", "builtin:random", "both"]
    assert [candidate.listed for candidate in found] == [False, True, True]
    assert found[2].members == (candidate_key(str(tiny_judge)), "builtin:random")
    tiny, random, _ = found
    assert (tiny.exposure.unsaid != (), random.exposure) == (True, NOTHING_FITTED)
    for candidate in found:
        opened = load_judge(candidate.name)
        assert find_exposure(candidate.name) == candidate.exposure
        about = candidate.about()
        assert about.judge_id == opened.info.judge_id
        assert candidate.info == replace(opened.info, reserved=candidate.info.reserved)
        assert (about.deterministic, about.dtype) == (candidate.info.deterministic, candidate.info.dtype)


def test_members_judge_once_and_the_ensemble_pools_what_they_said(
    tiny_judge: Path, labelled_data: Path, tmp_path: Path, asked: Counter[str]
) -> None:
    both = ensemble(tmp_path / "both", str(tiny_judge), "builtin:first-step")
    outer = ensemble(tmp_path / "outer", "../both", "builtin:random", judge_id="outer")
    names = [str(outer), str(both), "builtin:first-step"]
    runs = run(names, labelled_data, tmp_path / "run").runs
    assert asked == {"tiny": 40, "builtin:first-step": 40, "builtin:random": 40}
    assert [item.results.judge.judge_id for item in runs] == ["outer", "both", "builtin:first-step"]
    assert not (tmp_path / "run/judges/tiny/additions/results.json").exists(), "a member was not asked for"
    seen = [as_seen(row.solution, show_reference=False) for row in runs[0].rows]
    for name, item in zip(names, runs, strict=True):
        alone = load_judge(name).judge(seen)
        for row, judgement in zip(item.rows, alone, strict=True):
            assert row.judgement.verdict is not None and judgement.verdict is not None
            assert row.judgement.verdict.posterior == pytest.approx(judgement.verdict.posterior, abs=1e-5)
            assert row.judgement.n_tokens == judgement.n_tokens


def test_a_resumed_run_opens_only_what_is_missing(
    tiny_judge: Path, labelled_data: Path, tmp_path: Path, asked: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    both = ensemble(tmp_path / "both", str(tiny_judge), "builtin:first-step")
    names = [str(both), str(tiny_judge)]
    first = run(names, labelled_data, tmp_path / "run")
    asked.clear()
    sorted((tmp_path / "run/judges/tiny/additions/judgements").glob("part-*"))[1].unlink()
    run(names, labelled_data, tmp_path / "run", resume=True)
    assert asked == {"tiny": 8}, "one chunk of eight"

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("opened a judge of which everything is known")

    monkeypatch.setattr(StepLogitJudge, "open", refuse)
    again = run(names, labelled_data, tmp_path / "run", resume=True)
    for before, after in zip(first.runs, again.runs, strict=True):
        assert before.results.subsets.keys() == after.results.subsets.keys()
        assert before.results.headline == after.results.headline


def test_a_judge_that_has_changed_is_not_resumed(tiny_judge: Path, labelled_data: Path, tmp_path: Path) -> None:
    judge = Path(shutil.copytree(tiny_judge, tmp_path / "judge"))
    run([str(judge)], labelled_data, tmp_path / "run")
    write_card(judge, read_card(judge).model_copy(update={"training": {"n": 1}}))
    with pytest.raises(DataError, match=r"inputs changed: judges/tiny/judge/judge\.json"):
        run([str(judge)], labelled_data, tmp_path / "run", resume=True)


def test_judges_of_one_id_have_names_and_folders_of_their_own(
    tiny_judge: Path, labelled_data: Path, tmp_path: Path
) -> None:
    copies = [Path(shutil.copytree(tiny_judge, tmp_path / name / "judge")) for name in ("a", "b")]
    names = [*map(str, copies), "builtin:random"]
    both = ensemble(tmp_path / "both", *map(str, copies))
    evaluation = run([*names, str(both)], labelled_data, tmp_path / "run")
    titles = [item.results.judge.judge_id for item in evaluation.runs]
    assert titles == ["tiny (a/judge)", "tiny (b/judge)", "builtin:random", "both"]
    assert {pair.a for pair in evaluation.comparisons.benchmarks["additions"].pairs} == set(titles[:3])
    folders = {path.name for path in (tmp_path / "run/judges").iterdir()}
    assert folders == {candidate.slug for candidate in find_candidates([*names, str(both)], dtype="float32")}
    assert len({folder.lower() for folder in folders}) == 4 and "builtin-random" in folders
    text = (tmp_path / "run/leaderboard.md").read_text()
    assert "| tiny (a/judge) |" in text and "| tiny (b/judge) |" in text
    again = run([*names, str(both)], labelled_data, tmp_path / "run", resume=True)
    assert [item.results for item in again.runs] == [item.results for item in evaluation.runs]


@pytest.mark.parametrize(
    ("judges", "titles"),
    [
        ([("x/tiny", "j"), ("y/tiny", "j")], ["j (x/tiny)", "j (y/tiny)"]),
        ([("tiny", "j"), ("y/tiny", "j"), ("tall", "j")], ["j (tiny)", "j (y/tiny)", "j (tall)"]),
        ([("http://one:1", "j"), ("http://two:1", "j")], ["j (one:1)", "j (two:1)"]),
        ([("p", "A b"), ("q", "a/B"), ("r", "c")], ["A b", "a/B", "c"]),
        ([("p", "n" * 120 + "1"), ("q", "n" * 120 + "2")], ["n" * 120 + "1", "n" * 120 + "2"]),
    ],
)
def test_names_tell_judges_apart(judges: list[tuple[str, str]], titles: list[str]) -> None:
    inner = BuiltinJudge("first-step", lambda _: 0)
    given = [Candidate(name=n, info=replace(inner.info, judge_id=i), load=lambda _: inner) for n, i in judges]
    found = tell_apart(given)
    assert [candidate.title for candidate in found] == titles
    assert len({candidate.slug.lower() for candidate in found}) == len(judges)
    assert all(len(candidate.slug) <= 100 for candidate in found)


def test_a_judge_that_cannot_be_opened_is_left_out_with_its_members(tiny_judge: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_judge, tmp_path / "copy"))
    both = ensemble(tmp_path / "both", "builtin:no-error", str(copy))
    (copy / "model.safetensors").unlink()
    failed: dict[str, str] = {}
    found = find_candidates(
        ["builtin:random", str(copy), str(both), "a/b/c"],
        dtype="float32",
        on_failure=lambda name, error: failed.update({name: str(error)}),
    )
    assert [candidate.name for candidate in found] == ["builtin:random"]
    assert list(failed) == [str(copy), str(both), "a/b/c"]
    assert "holds no safetensors file" in failed[str(both)] and "does not exist" in failed["a/b/c"]
    with pytest.raises(ConfigError, match="unknown builtin judge 'best'"):
        find_candidates(["builtin:random", "builtin:best"], dtype="float32", on_failure=lambda *_: None)


def test_judges_that_cannot_be_opened_are_refused(tiny_judge: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_judge, tmp_path / "copy"))
    with pytest.raises(ConfigError, match="given twice"):
        find_candidates([str(copy), f"{copy}/../copy"], dtype="float32")
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        find_candidates(["builtin:random", str(copy)], dtype="float32")
    weights.unlink()
    with pytest.raises(CheckpointError, match="holds no safetensors file"):
        find_candidates(["builtin:random", str(ensemble(tmp_path / "e", str(copy)))], dtype="float32")
    with pytest.raises(ConfigError, match="unknown builtin judge 'best'"):
        find_candidates(["builtin:random", "builtin:best"], dtype="float32")
    own = ensemble(tmp_path / "own", "../own")
    with pytest.raises(CheckpointError, match="member of itself"):
        find_candidates([str(own)], dtype="float32")


@pytest.mark.parametrize(
    ("judge_id", "slug"),
    [
        ("builtin:random", "builtin-random"),
        ("Qwen/Qwen2.5-Math-PRM-7B", "Qwen-Qwen2.5-Math-PRM-7B"),
        ("..", "judge"),
        ("ä/ö", "judge"),
    ],
)
def test_folders_have_plain_names(judge_id: str, slug: str) -> None:
    judge = BuiltinJudge("x", lambda _: None)
    candidate = Candidate(name="x", info=replace(judge.info, judge_id=judge_id), load=lambda _: judge)
    assert candidate.slug == slug
    assert candidate.exposure is SAYS_NOTHING


def test_a_lazy_judge_opens_when_it_is_asked() -> None:
    opened = []

    def load(_: object) -> BuiltinJudge:
        opened.append(1)
        return BuiltinJudge("first-step", lambda _: 0)

    inner = BuiltinJudge("first-step", lambda _: 0)
    judge = LazyJudge(inner.info, lambda: load(None))
    assert (judge.info, opened) == (inner.info, [])
    for _ in range(2):
        judge.judge([Solution(problem="1+1?", steps=("1+1=3",))])
    assert opened == [1]


def test_a_member_on_the_hub_is_not_taken_for_a_folder_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The figures of one would stand for the other."""
    for name, member in (
        ("outer", "evil/inner"),
        ("inner", "builtin:first-step"),
        ("here/evil/inner", "builtin:random"),
    ):
        (tmp_path / name).mkdir(parents=True)
        ensemble(tmp_path / name, member, judge_id=name)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, **_: str(tmp_path / name.split("/")[1]))
    monkeypatch.chdir(tmp_path / "here")
    for names in (["evil/inner", "evil/outer"], ["evil/outer", "evil/inner"], ["evil/outer"]):
        with pytest.raises(CheckpointError, match="something else is called evil/inner here"):
            find_candidates(names, dtype="float32")
    monkeypatch.chdir(tmp_path)
    assert [item.info.judge_id for item in find_candidates(["evil/outer"], dtype="float32")][-2:] == ["inner", "outer"]


def test_a_cascade_asks_its_members_by_itself_unless_they_are_judges_of_the_run(
    tiny_judge: Path, labelled_data: Path, tmp_path: Path, asked: Counter[str]
) -> None:
    spec = CascadeSpec(members=("builtin:first-step", str(tiny_judge)), stages=(Stage(hi=None, lo=None),))
    write_card(tmp_path / "c", JudgeCard(judge_id="c", spec=spec))
    assert [item.name for item in find_candidates([str(tmp_path / "c")], dtype="float32")] == [str(tmp_path / "c")]
    alone = run([str(tmp_path / "c")], labelled_data, tmp_path / "alone")
    assert asked == {"builtin:first-step": 40, "tiny": 40}
    asked.clear()
    together = run([str(tmp_path / "c"), "builtin:first-step", str(tiny_judge)], labelled_data, tmp_path / "together")
    assert asked == {"builtin:first-step": 40, "tiny": 40}, "no judge is asked twice"
    for found in (alone.runs[0].results, together.runs[0].results):
        assert found.cost.asked is not None
        assert [(item.judge_id, item.n_asked, item.n_answered) for item in found.cost.asked] == [
            ("builtin:first-step", 40, 0), ("tiny", 40, 40)
        ]  # fmt: skip
        assert found.cost.n_tokens == found.cost.asked[1].n_tokens > 0
    assert read_results(tmp_path / "alone/judges/c/additions/results.json", EvalResults).cost.asked is not None
    assert together.runs[1].results.cost.asked is None
    assert "| builtin:first-step 0%, tiny 100% |" in (tmp_path / "alone/leaderboard.md").read_text()
    assert "answered by" in (tmp_path / "together/report.html").read_text()
    assert alone.runs[0].results.headline == together.runs[0].results.headline == together.runs[2].results.headline
    copy = Path(shutil.copytree(tiny_judge, tmp_path / "copy"))
    write_card(tmp_path / "c", JudgeCard(judge_id="c", spec=spec.model_copy(update={"members": ("x", str(copy))})))
    with pytest.raises(CheckpointError, match="x"):
        find_candidates([str(tmp_path / "c")], dtype="float32")
