"""The tiny judge of the tests of judges serves here, too."""

from tests.judgekit.conftest import tiny_base, tiny_judge

__all__ = ["tiny_base", "tiny_judge"]
