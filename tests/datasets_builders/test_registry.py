"""Sources by name."""

from __future__ import annotations

import pytest

from judgekit.errors import ConfigError
from judgekit_datasets.registry import GENERATORS, load_source, source_names
from judgekit_datasets.source import GeneratorSource


@pytest.mark.parametrize("name", source_names())
def test_every_source_loads_with_default_options(name: str) -> None:
    source = load_source(name)
    assert source.name == name
    source.config_type()
    assert isinstance(source, GeneratorSource) == (name in GENERATORS)


def test_underscores_count_as_hyphens() -> None:
    assert load_source("Math_Shepherd") is load_source("math-shepherd")


def test_an_unknown_source_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="unknown source 'procesbench'; did you mean 'processbench'"):
        load_source("procesbench")
