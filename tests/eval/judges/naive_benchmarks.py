"""ProcessBench and PRMBench scored a second time, from stored predictions alone and as plainly as possible.

Written after the papers, with loops and if's, sharing nothing with `judgekit.metrics`: what both agree on is not an
accident of sums, arrays or columns. Rows are those of a predictions file.
"""

from __future__ import annotations

from typing import Any

DIMENSIONS = {
    "simplicity": ["redundency", "circular"],
    "soundness": ["counterfactual", "step_contradiction", "domain_inconsistency", "confidence"],
    "sensitivity": ["missing_condition", "deception", "multi_solutions"],
}


def processbench(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Both accuracies and F1, in percent, averaged over subsets; an unjudged row is wrong."""
    subsets: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        subsets.setdefault(row["subset"], []).append(row)
    totals = {"error_accuracy": 0.0, "correct_accuracy": 0.0, "f1": 0.0}
    for subset in subsets.values():
        hits = {"error": 0, "correct": 0}
        counts = {"error": 0, "correct": 0}
        for row in subset:
            kind = "correct" if row["gold"] is None else "error"
            counts[kind] += 1
            if row["no_verdict"] is None and row["predicted"] == row["gold"]:
                hits[kind] += 1
        error = 100 * hits["error"] / counts["error"]
        correct = 100 * hits["correct"] / counts["correct"]
        totals["error_accuracy"] += error
        totals["correct_accuracy"] += correct
        totals["f1"] += 0.0 if error + correct == 0 else 2 * error * correct / (error + correct)
    return {name: total / len(subsets) for name, total in totals.items()}


def prmbench(rows: list[dict[str, Any]], *, unjudged: str) -> dict[str, float]:
    """PRMScore over all steps, of each class and of each dimension, in percent.

    `unjudged` is `wrong` (all their steps are called wrongly) or `out` (left out, as in the published code).
    """
    everything: list[tuple[bool, bool]] = []
    by_class: dict[str, list[tuple[bool, bool]]] = {}
    for row in rows:
        if row["no_verdict"] is not None:
            if unjudged == "out":
                continue
            pairs = [(label == "ok", label != "ok") for label in row["labels"]]
        else:
            pairs = [(label == "ok", call) for label, call in zip(row["labels"], _calls(row), strict=True)]
        everything.extend(pairs)
        by_class.setdefault(row["subset"], []).extend(pairs)
    scores = {"prm_score": (_f1(everything, True) + _f1(everything, False)) / 2}
    for name, pairs in by_class.items():
        if name == "multi_solutions":
            scores[name] = _f1(pairs, True)
        else:
            scores[name] = (_f1(pairs, True) + _f1(pairs, False)) / 2
    for name, classes in DIMENSIONS.items():
        scores[name] = sum(scores[name] for name in classes) / len(classes)
    return scores


def _calls(row: dict[str, Any]) -> list[bool]:
    """Call each step right or wrong from the posterior alone: what is left at a step is what lies at it or behind."""
    posterior, calls = row["posterior"], []
    for step in range(len(posterior) - 1):
        left = sum(reversed(posterior[step:]))
        p_ok = 1.0 if left == 0 else sum(reversed(posterior[step + 1 :])) / left
        if row["threshold"] is not None:
            calls.append(p_ok >= row["threshold"])
        else:
            calls.append(step != row["predicted"] and p_ok >= 0.5)
    return calls


def _f1(pairs: list[tuple[bool, bool]], positive: bool) -> float:
    found = len([1 for label, call in pairs if label == positive and call == positive])
    called = len([1 for _, call in pairs if call == positive])
    there = len([1 for label, _ in pairs if label == positive])
    if found == 0:
        return 0.0
    precision, recall = found / called, found / there
    return 100 * 2 * precision * recall / (precision + recall)
