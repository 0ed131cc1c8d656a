from pathlib import Path

import pytest

from tests.sgpo.samples import write_policy


@pytest.fixture(scope="session")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint directory of a causal language model with random weights."""
    return write_policy(tmp_path_factory.mktemp("policy"))
