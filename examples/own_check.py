r"""An outcome check of your own: numbers count as right within one percent, all else as `MathVerifyCheck` has it.

python examples/own_check.py "The speed is \boxed{9.8} m/s" 9.81
"""

import sys
from collections.abc import Sequence

from judgekit.answers import MathVerifyCheck, extract_answer, find_numbers, parse_number


class NearEnough:
    """Physics, where answers are measured. As reward of TRL: `check_many`, where `None` is "nobody can tell"."""

    def __init__(self, share: float = 0.01) -> None:
        self.share, self.exact = share, MathVerifyCheck()

    def check_many(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        """Return 1.0 for a right answer, 0.0 for a wrong one and `None` for neither; pairs of response and answer."""
        outcomes = []
        for (response, answer), exact in zip(pairs, self.exact.check_many(pairs), strict=True):
            right, said = parse_number(answer), find_numbers(extract_answer(response) or "")
            near = right is not None and len(said) == 1 and abs(said[0] - right) <= abs(right) * self.share
            outcomes.append(1.0 if near else exact)
        return outcomes


def main(response: str, answer: str) -> None:
    """Check one response."""
    [outcome] = NearEnough().check_many([(response, answer)])
    print({1.0: "right", 0.0: "wrong", None: "unchecked"}[outcome])


if __name__ == "__main__":
    main(*sys.argv[1:])
