"""Exact bounds on rates, and which of several settings keep one: the basis of a cascade's guarantees.

Source:
    Learn then Test (2110.01052): a bound on a rate is guaranteed for settings whose hypothesis "the rate is above the
    bound" is rejected by a valid test, with control over all tests together; fixed-sequence testing with an order found
    on other data is known as split fixed-sequence testing. The bound is that of Clopper and Pearson 1934, The use of
    confidence or fiducial limits illustrated in the case of the binomial.
"""

from __future__ import annotations

from collections.abc import Sequence

from scipy.special import bdtr, betaincinv


def share_p_value(n_hit: int, n: int, *, at_most: float) -> float:
    """Return the probability of so few hits in n independent draws, were the share just above `at_most`.

    Exact: a p-value of the hypothesis that the share is above the bound. 1 without draws, which show nothing.

    Example:
        >>> round(share_p_value(0, 22, at_most=0.1), 4)  # 0.9 ** 22
        0.0985
    """
    return float(bdtr(n_hit, n, at_most)) if n else 1.0


def share_upper_bound(n_hit: int, n: int, *, delta: float) -> float:
    """Return the share that is not exceeded with probability at least 1 - delta over n independent draws.

    The smallest bound that `share_p_value` rejects at level delta (Clopper and Pearson). 1 without draws.

    Example:
        >>> round(share_upper_bound(0, 22, delta=0.1), 4)  # 1 - 0.1 ** (1 / 22)
        0.0994
    """
    return 1.0 if n_hit >= n else float(betaincinv(n_hit + 1, n - n_hit, 1 - delta))


def fixed_sequence(p_values: Sequence[float], *, delta: float) -> int:
    """Return how many hypotheses are rejected: those before the first p-value above delta.

    With an order that does not depend on the data tested, some true hypothesis is among them with probability at most
    delta, though each is tested at the whole of it: the first true one must be rejected for that.

    Source:
        Fixed-sequence testing, in Learn then Test (2110.01052).

    Example:
        >>> fixed_sequence([0.01, 0.05, 0.2, 0.01], delta=0.1)
        2
    """
    return next((i for i, p_value in enumerate(p_values) if p_value > delta), len(p_values))
