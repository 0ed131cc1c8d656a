"""The table of a policy evaluation in Markdown."""

from __future__ import annotations

from judgekit.report.markdown import markdown_table
from judgekit_eval.policy.schema import PolicyResults, Score

CONVENTION_NAMES = {"counted_wrong": "counted wrong", "left_out": "left out"}
COUNTS = {
    "n_truncated": "cut off",
    "n_truncated_right": "of them correct",
    "n_empty": "empty",
    "n_uncheckable": "uncheckable",
    "n_failed": "failed",
}
"""Counts next to the scores, and their headings."""


def policy_markdown(results: PolicyResults) -> str:
    """Return settings and one table, two rows per benchmark; see `judgekit_eval.policy.evaluate.evaluate_policy`."""
    benchmarks = results.by.benchmark
    scores = list(next(iter(benchmarks.values())).scores["counted_wrong"])
    header = ["benchmark", "problems", "truncated, uncheckable, failed", *scores, *COUNTS.values(), "tokens per answer"]
    rows = []
    for name, benchmark in benchmarks.items():
        found = benchmark.model_dump(include=set(COUNTS))
        for convention, values in benchmark.scores.items():
            cells = [_interval(values[score], n_problems=benchmark.n_problems) for score in scores]
            counts = [str(found[count]) for count in COUNTS]
            n_problems, tokens = str(benchmark.n_problems), f"{benchmark.mean_tokens:.0f}"
            rows.append([name, n_problems, CONVENTION_NAMES[convention], *cells, *counts, tokens])
    facts = "\n".join(f"- {fact}" for fact in _facts(results))
    return f"# Policy {results.policy.model}\n\n{facts}\n\n{markdown_table(header, rows)}\n"


def _facts(results: PolicyResults) -> list[str]:
    policy, settings = results.policy, results.settings
    sampling = settings["sampling"]
    temperature = "greedy" if sampling["temperature"] is None else f"temperature {sampling['temperature']}"
    packages = ", ".join(f"{name} {version}" for name, version in results.packages.items())
    return [
        f"Engine {policy.engine}, revision {policy.revision or 'unknown'}, dtype {policy.dtype or 'unknown'}, "
        f"device {policy.device or 'unknown'}; {packages}.",
        f"{settings['n_samples']} answers per problem: {temperature}, top_p {sampling['top_p']}, at most "
        f"{sampling['max_tokens']} tokens, seed {settings['seed']}; checked by {settings['outcome']['type']}.",
        f"Prompt as the model reads it: `{policy.prompt_rendered!r}`.",
        "Percent, with 95 % intervals (bootstrap over problems). pass@k is the unbiased estimate from all answers to a "
        "problem. Left out: a problem with fewer than k other answers has no pass@k; in brackets how many have one.",
    ]


def _interval(interval: Score, *, n_problems: int) -> str:
    if interval.value is None:
        return "none"
    of = "" if interval.n_problems == n_problems else f" ({interval.n_problems})"
    ends = "" if interval.lo is None else f" [{interval.lo:.1f}, {interval.hi:.1f}]"  # a single problem has none
    return f"{interval.value:.1f}{ends}{of}"
