"""Best-of-N: how well a judge chooses one of N sampled responses.

Reranks stored groups of responses by a judge and writes `results.json`, `best_of_n.md` and `report.html`. Accuracies
are in percent there. A curve gives the expected accuracy of the chosen response for N = 1, 2, 4, ... as an exact mean
over all subsets of size N of each group, so it does not depend on the order of the responses.

Source:
    Cobbe et al. (2110.14168) rerank by a verifier; Lightman et al. (2305.20050) compare the product and the minimum of
    the steps' probabilities; the last step's is that of Snell et al. (2408.03314).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from judgekit.answers import MathVerifyCheck
from judgekit.errors import DataError
from judgekit.groups import RolloutGroup, count_groups
from judgekit.io import read_json, write_json
from judgekit.judges.base import Judge
from judgekit.progress import track
from judgekit.run import Run
from judgekit.text.identity import content_id, problem_id
from judgekit.types import Judgement
from judgekit_eval.best_of_n.answer_groups import AnswerGroups, group_answers
from judgekit_eval.best_of_n.config import BestOfNConfig
from judgekit_eval.best_of_n.curves import REFERENCES, SCORES, VOTE, Answered, Curves, estimate_curves
from judgekit_eval.best_of_n.report import best_of_n_html, best_of_n_markdown
from judgekit_eval.best_of_n.schema import BestOfNResults, JudgeCurves
from judgekit_eval.choice import evenly_spaced
from judgekit_eval.results import Bootstrap, Cost
from judgekit_eval.runner import JUDGEMENT_DIR, REPORT, Runner

TABLE = "best_of_n.md"
ANSWERS = "answers.json"
"""Which responses give the same answer, so that a resumed run need not compare them again."""


def evaluate_best_of_n(
    judges: Mapping[str, Callable[[], Judge]],
    groups: Sequence[RolloutGroup],
    *,
    output: Path,
    config: BestOfNConfig,
    inputs: Sequence[Path] = (),
    resume: bool = False,
) -> BestOfNResults:
    """Rerank groups by one judge or several and write results, table and page.

    Args:
        judges: What opens each judge, by the name that the results give it; one is open at a time.
        groups: Responses with outcomes, see `judgekit.groups.load_groups`; groups of one may be among them.
        output: Folder of the run.
        config: How.
        inputs: Files the responses come from; their hashes go into the manifest.
        resume: Continue a run that was cut off: stored judgements are read, not made again.

    Returns:
        What `results.json` holds. A judge that failed is named in `failures` and takes no other with it; the run is
        not finished then, and asks it again when it is resumed.

    Raises:
        DataError: no group has enough responses, or a resumed run's inputs or chunks do not fit.
        ConfigError: the folder is in use, or the resumed run has another configuration or judge.
        JudgeError: every judge failed.
    """
    chosen = choose_groups(groups, config)
    run = Run(output, config, inputs=inputs, resume=resume)
    runner = Runner(run, chunk_size=config.chunk_size, show_reference=config.show_reference)
    if stored := runner.stored(BestOfNResults):
        return stored
    responses = [rollout for group in chosen for rollout in group.rollouts]
    judgements: dict[str, list[Judgement]] = {}
    for name, open_judge in judges.items():
        # A path or Hub id is not a name of a folder; the hash keeps apart what the replacement makes alike.
        slug = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[-60:]
        folder = output / JUDGEMENT_DIR / f"{slug}-{content_id(name=name)[:6]}"
        # Whole rollouts, for these say who wrote them, which tells whether the judge was calibrated on such data.
        judged = runner.try_judge(name, open_judge, responses, folder)
        if judged is not None:
            judgements[name] = judged
    if not judgements:
        runner.raise_failures()
    path = output / ANSWERS
    if path.is_file():
        answers = [AnswerGroups(tuple(answer_G), n_uncheckable) for answer_G, n_uncheckable in read_json(path)]
    else:
        # In blocks, so that there is progress to show.
        blocks = [chosen[start : start + config.chunk_size] for start in range(0, len(chosen), config.chunk_size)]
        with closing(MathVerifyCheck(timeout_s=config.timeout_s, workers=config.workers)) as check:
            answers = [
                found
                for block in track(blocks, "comparing answers")
                for found in group_answers([[item.response for item in group.rollouts] for group in block], check)
            ]
        write_json(path, answers)
    answered = [Answered(*pair) for pair in zip(chosen, answers, strict=True)]
    results = compute_results(answered, judgements, config, failures=[failure.line for failure in runner.failures])
    # Logged is the largest N, where judges differ most.
    size = max(results.n_groups_by_size, key=int)
    methods = dict(results.references)
    for name, of_judge in results.judges.items():
        methods |= {f"{name}/{score}": metrics for score, metrics in of_judge.scores.items()}
    at_largest = {name: metrics.accuracy.get(size) for name, metrics in methods.items()}
    summary = {"n": int(size)} | {
        f"best_of_n/{name}": None if metric is None else metric.value for name, metric in at_largest.items()
    }
    shown = {TABLE: best_of_n_markdown(results), REPORT: best_of_n_html(results)}
    runner.write(results, shown, rows=[summary], summary=summary)
    return results


def choose_groups(groups: Sequence[RolloutGroup], config: BestOfNConfig) -> Sequence[RolloutGroup]:
    """Return the groups, or evenly spaced ones where there are more than wanted.

    Raises:
        DataError: none has enough responses.
    """
    if not any(len(group) >= min(config.sizes) for group in groups):
        raise DataError(f"no group has {min(config.sizes)} responses: lower sizes, or give a groups data set")
    return evenly_spaced(groups, config.n_groups)


def compute_results(
    groups: Sequence[Answered],
    judgements: Mapping[str, Sequence[Judgement]],
    config: BestOfNConfig,
    *,
    failures: Sequence[str] = (),
) -> BestOfNResults:
    """Compute everything that `results.json` holds from judgements that are there already.

    Args:
        groups: The groups.
        judgements: Of each judge, in the order of groups and responses.
        config: How.
        failures: Judges that failed, a line each.
    """
    curves = Curves(groups, sizes=config.sizes, max_subsets=config.max_subsets, seed=config.seed)
    found = curves.references()
    for name, judged in judgements.items():
        # Judgements come in one row for all groups; the groups' sizes cut it up again.
        verdicts = iter(judgement.verdict for judgement in judged)
        by_group = [[next(verdicts) for _ in answered.group.rollouts] for answered in groups]
        found |= {f"{name}/{score}": curve for score, curve in curves.judged(by_group).items()}
    # An answer that was right in one response and wrong in another: outcomes were checked in another way than here.
    n_mixed = 0
    for group, answers in groups:
        outcomes: dict[int, set[float]] = {}
        for answer, outcome in zip(answers.answer_G, group.outcome_G, strict=True):
            if answer is not None:
                outcomes.setdefault(answer, set()).add(outcome)
        n_mixed += sum(len(values) > 1 for values in outcomes.values())
    # Whether votes were counted in every subset, or in random ones of the large groups.
    exact = all(math.comb(len(group), n) <= config.max_subsets for group, _ in groups for n in config.sizes)
    metrics = estimate_curves(
        found,
        cluster_P=[problem_id(answered.group.problem) for answered in groups],
        n_resamples=config.n_resamples,
        seed=config.seed,
    )
    counts = count_groups(group for group, _ in groups)
    return BestOfNResults(
        schema_version=1,
        unit="percent; differences in percentage points",
        n_groups=counts.groups,
        n_responses=counts.responses,
        n_problems=len({problem_id(group.problem) for group, _ in groups}),
        generators=dict(Counter(item.generator or "unknown" for group, _ in groups for item in group.rollouts)),
        n_all_wrong=counts.all_negative,
        n_all_right=counts.all_positive,
        n_without_answer=sum(answer is None for _, answers in groups for answer in answers.answer_G),
        n_uncheckable_pairs=sum(answers.n_uncheckable for _, answers in groups),
        n_mixed_answers=n_mixed,
        n_groups_by_size={str(n): len(curve) for n, curve in found["random"].items()},
        votes="all subsets" if exact else f"{config.max_subsets} random subsets of a group",
        reference_shown=config.show_reference,
        references={name: metrics[name] for name in REFERENCES},
        judges={
            name: JudgeCurves(
                judge_id=judged[0].judge_id,
                n_no_verdict=sum(judgement.verdict is None for judgement in judged),
                no_verdict=dict(Counter(str(item.no_verdict) for item in judged if item.no_verdict).most_common()),
                cost=Cost.of(judged),
                scores={score: metrics[f"{name}/{score}"] for score in (*SCORES, VOTE)},
            )
            for name, judged in judgements.items()
        },
        scores=SCORES | {VOTE: "the majority in which each response weighs its P(no error)"},
        bootstrap=Bootstrap(clustered_by="problem", level=0.95, n_resamples=config.n_resamples, seed=config.seed),
        failures=list(failures),
    )
