"""Labels by a judge: the majority of its votes, with the counts, and no label without one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from judgekit.errors import CheckpointError, ConfigError
from judgekit.io import read_json, read_records, write_records
from judgekit.judges import load_judge
from judgekit.types import Judgement, LabelledSolution, LabelMethod, NoVerdictReason, Solution, StepLabel, Verdict
from judgekit_datasets.labelling.config import JudgeLabelsConfig
from judgekit_datasets.labelling.judge_labels import JudgeLabeller, count_votes, label_with_judge, majority
from judgekit_datasets.source import RowRejected
from tests.fakes import FakeJudge

TRUE = LabelledSolution(
    problem="2+3-1?", steps=("2+3=6", "6-1=5", "So 5."), reference="4", labels=(StepLabel.ERROR,) * 3, source="sums",
    generator="somebody", final_answer_correct=False, label_method=LabelMethod.HUMAN, licence="MIT",
)  # fmt: skip
BARE = Solution(problem="1+1?", steps=("1+1=2", "So 2."))


class VotingJudge(FakeJudge):
    """Answers with scripted first errors in turn, or with no verdict where the script has a reason."""

    def __init__(self, script: Sequence[int | NoVerdictReason | None]) -> None:
        super().__init__({}, judge_id="voting")
        self.script = iter(script)

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        self.seen += solutions
        return [self._vote(solution, next(self.script)) for solution in solutions]

    def _vote(self, solution: Solution, vote: int | NoVerdictReason | None) -> Judgement:
        if isinstance(vote, NoVerdictReason):
            return Judgement(solution_id=solution.id, judge_id=self.info.judge_id, no_verdict=vote)
        verdict = Verdict.from_votes([vote], n_steps=len(solution.steps), smoothing=0.01)
        return Judgement(solution_id=solution.id, judge_id=self.info.judge_id, verdict=verdict)


def label(judge: FakeJudge, item: Solution, *, votes: int) -> LabelledSolution | RowRejected:
    answer = JudgeLabeller(judge, votes=votes, show_reference=False, source="mine").label([item])
    assert len(answer) == 1
    return answer[0] if isinstance(answer[0], RowRejected) else answer[0][0]  # type: ignore[return-value]


def test_the_label_is_the_majority_of_the_votes_and_their_counts_are_kept() -> None:
    labelled = label(VotingJudge([1, None, 1, 0, 1]), TRUE, votes=5)
    assert isinstance(labelled, LabelledSolution)
    assert [str(step) for step in labelled.labels] == ["ok", "error", "unlabelled"]
    assert (labelled.n_success, labelled.n_rollouts) == ((4, 1, 1), (5, 4, 1))
    assert labelled.label_method is LabelMethod.LLM
    kept = ("problem_id", "reference", "source", "generator", "final_answer_correct", "licence")
    assert all(getattr(labelled, name) == getattr(TRUE, name) for name in kept)
    assert labelled.id not in ("", TRUE.id)


def test_the_judge_sees_neither_labels_nor_reference() -> None:
    judge = VotingJudge([None, None, None])
    label(judge, TRUE, votes=3)
    assert [type(seen) for seen in judge.seen] == [Solution] * 3
    assert {seen.reference for seen in judge.seen} == {None}


def test_one_vote_keeps_no_counts_and_a_bare_solution_gets_a_source() -> None:
    labelled = label(VotingJudge([None]), BARE, votes=1)
    assert isinstance(labelled, LabelledSolution)
    assert (labelled.first_error, labelled.n_success, labelled.n_rollouts) == (None, None, None)
    assert labelled.source == "mine"


@pytest.mark.parametrize(
    ("script", "reason", "detail"),
    [
        ([0, 0, None, None], "no majority", "votes [0, 0, None, None], 0 without a verdict"),
        ([1, 1, NoVerdictReason.UNPARSABLE, 0], "no majority", "votes [1, 1, 0], 1 without a verdict"),
        ([NoVerdictReason.TOO_LONG] * 4, "no verdict: too_long", "of 4 votes"),
    ],
)
def test_votes_without_a_majority_give_no_label(script: list[object], reason: str, detail: str) -> None:
    rejected = label(VotingJudge(script), BARE, votes=4)  # type: ignore[arg-type]
    assert isinstance(rejected, RowRejected)
    assert (rejected.reason, rejected.detail) == (reason, detail)


def test_a_majority_is_more_than_half_of_all_votes() -> None:
    assert majority([None, None, 2], n_asked=3) is None
    with pytest.raises(RowRejected, match="1 without a verdict"):
        majority([0, 0, 1], n_asked=4)


def test_votes_are_counted_by_step_as_conditional_shares() -> None:
    n_pass, n_reached = count_votes([None, 2, 2, 0], n_steps=3)
    assert (n_pass, n_reached) == ((3, 3, 1), (4, 3, 3))


def test_several_votes_of_a_judge_that_always_answers_alike_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="set votes=1"):
        JudgeLabeller(load_judge("builtin:first-step"), votes=3, show_reference=False, source="mine")


def test_a_file_is_labelled_into_a_data_set_with_what_has_no_verdict_in_rejected(tmp_path: Path) -> None:
    data = tmp_path / "mine.jsonl"
    empty = Solution(problem="?", steps=())
    data.write_text("".join(solution.model_dump_json() + "\n" for solution in (BARE, empty)))
    config = JudgeLabelsConfig(data=data, judge="builtin:first-step")
    report = label_with_judge(config, tmp_path / "out")
    [labelled] = read_records(tmp_path / "out", LabelledSolution)
    assert (labelled.first_error, labelled.source) == (0, "mine")
    [rejected] = [json.loads(line) for line in (tmp_path / "out/rejected.jsonl").read_text().splitlines()]
    assert (rejected["row"], rejected["id"], rejected["reason"]) == (2, empty.id, "no verdict: empty")
    assert report.rejected == {"no verdict: empty": 1}
    assert list(read_json(tmp_path / "out/manifest.json")["inputs"]) == ["mine.jsonl"]
    with pytest.raises(ConfigError, match=r"config\.judge: 'builtin:first-step' -> 'builtin:random'"):
        label_with_judge(config.model_copy(update={"judge": "builtin:random"}), tmp_path / "out", resume=True)


def test_a_judge_that_is_not_there_leaves_the_folder_free(tmp_path: Path) -> None:
    write_records(tmp_path / "data", [TRUE], record_type=LabelledSolution)
    config = JudgeLabelsConfig(data=tmp_path / "data", judge=str(tmp_path / "nowhere"))
    with pytest.raises(CheckpointError, match="nowhere"):
        label_with_judge(config, tmp_path / "out")
    assert label_with_judge(config.model_copy(update={"judge": "builtin:no-error"}), tmp_path / "out").n_records == 1
