"""What a probe judge sees of a step through a frozen language model: how surprised the model is, and where.

The model reads problem and steps as any judge does, once with the problem and, for the group `contrast`, once without
it: a step that the problem makes no likelier was not derived from it. Surprisal is -log p of a token given all earlier
tokens, entropy that of the model's prediction there, both in nats. Axes: `_S` steps of one solution, `_T` tokens after
the problem, `_F` features, `_L` layers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from judgekit.engines.scoring.encoded import Encoded
from judgekit.engines.scoring.token_statistics import TokenStatistics
from judgekit.judges.probe.features import Columns

_TOP = 3
"""Tokens whose surprisal is averaged: one odd token is often a name."""
_FAR = 10
"""Rank from which a token is one that the model would hardly have written."""
_STATISTICS = (
    "mean surprisal", "largest surprisal", "largest three surprisals", "root of summed surprisal", "mean entropy",
    "largest entropy", "share not first choice", "share beyond tenth choice", "surprisal above entropy",
    "largest surprisal above entropy", "surprisal of first three",
)  # fmt: skip
_OF_NUMBERS = ("mean surprisal of digits", "largest surprisal of digits", "mean entropy of digits")


def surprisal(
    encoded: Encoded, tokens_T: TokenStatistics, *, n_separator: int, is_digit_T: NDArray[np.bool_]
) -> Columns:
    """Return how the model took each step, next to the mean of the solution and the most surprising later step.

    Args:
        encoded: Token ids with one score position a step.
        tokens_T: Of each token behind the problem.
        n_separator: Tokens of the separator behind each step; left out.
        is_digit_T: Whether a token behind the problem holds a digit.

    Returns:
        Columns of shape (S,). A step without tokens has zeros.
    """
    rows, digit_rows, start = [], [], 0
    for score_position in encoded.positions_S:
        end = score_position + 1 - encoded.n_problem_tokens
        span = slice(start, end - n_separator)
        rows.append(_of_step(tokens_T.take(span)))
        digit_rows.append(_of_digits(tokens_T.take(span), is_digit_T[span]))
        start = end
    stats_S_F = np.array(rows)
    mean_F = stats_S_F.mean(axis=0)
    # The last step has none behind it and is compared with itself.
    later_S_F = np.array([stats_S_F[min(k + 1, len(rows) - 1) :].max(axis=0) for k in range(len(rows))])
    columns = {name: stats_S_F[:, f] for f, name in enumerate(_STATISTICS)}
    columns |= {name: np.array(digit_rows)[:, f] for f, name in enumerate(_OF_NUMBERS)}
    columns |= {f"{name}, to the mean": stats_S_F[:, f] - mean_F[f] for f, name in enumerate(_STATISTICS)}
    columns |= {f"{name}, of the solution": np.full(len(rows), mean_F[f]) for f, name in enumerate(_STATISTICS)}
    columns |= {f"{name}, later": later_S_F[:, f] - stats_S_F[:, f] for f, name in enumerate(_STATISTICS)}
    return columns


def _of_step(tokens_T: TokenStatistics) -> list[float]:
    if not len(tokens_T.surprisal_T):
        return [0.0] * len(_STATISTICS)
    surprisal_T, entropy_T, rank_T = (
        x.astype(np.float64) for x in (tokens_T.surprisal_T, tokens_T.entropy_T, tokens_T.rank_T)
    )
    return [
        surprisal_T.mean(),
        surprisal_T.max(),
        np.sort(surprisal_T)[-_TOP:].mean(),
        np.sqrt(surprisal_T.sum()),
        entropy_T.mean(),
        entropy_T.max(),
        (rank_T > 0).mean(),
        (rank_T >= _FAR).mean(),
        (surprisal_T - entropy_T).mean(),
        (surprisal_T - entropy_T).max(),
        surprisal_T[:_TOP].mean(),
    ]


def _of_digits(tokens_T: TokenStatistics, is_digit_T: NDArray[np.bool_]) -> list[float]:
    if not is_digit_T.any():
        return [0.0] * len(_OF_NUMBERS)
    surprisal_T, entropy_T = tokens_T.surprisal_T[is_digit_T], tokens_T.entropy_T[is_digit_T]
    return [float(surprisal_T.mean()), float(surprisal_T.max()), float(entropy_T.mean())]


def contrast(encoded: Encoded, with_T: TokenStatistics, without_T: TokenStatistics, *, n_separator: int) -> Columns:
    """Return what reading the problem changed: nats that it saved on each step, in all, a token, and at most.

    Args:
        encoded: Token ids with one score position a step.
        with_T: Of the tokens behind the problem, after it.
        without_T: Of the same tokens, with nothing before them.
        n_separator: Tokens of the separator behind each step; left out.

    Returns:
        Columns of shape (S,). A step without tokens has zeros.
    """
    saved_T = without_T.surprisal_T.astype(np.float64) - with_T.surprisal_T
    rows, start = [], 0
    for score_position in encoded.positions_S:
        end = score_position + 1 - encoded.n_problem_tokens
        saved = saved_T[start : end - n_separator]
        rows.append((saved.sum(), saved.mean(), saved.max()) if len(saved) else (0.0, 0.0, 0.0))
        start = end
    saved_S_F = np.array(rows)
    names = ("nats saved by the problem", "nats saved a token", "most nats saved at a token")
    columns = {name: saved_S_F[:, f] for f, name in enumerate(names)}
    columns["nats saved a token, to the mean"] = saved_S_F[:, 1] - saved_S_F[:, 1].mean()
    return columns
