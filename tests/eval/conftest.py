"""The tiny judge of the tests of judges serves here, too."""

from tests.judgekit.conftest import labelled_data, tiny_base, tiny_judge

__all__ = ["labelled_data", "tiny_base", "tiny_judge"]
