"""YAML whose aliases stand for more values than memory holds is refused before anything copies or prints it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judgekit.config import load_config
from judgekit.engines.generation.config import SamplingConfig
from judgekit.errors import CheckpointError, ConfigError, describe_validation_error, shorten
from judgekit.judges import load_judge
from judgekit.judges.critics.prompt import load_prompt
from judgekit.reading.safe_yaml import MAX_VALUES, load_yaml


def laughs(key: str, *, in_key: bool = False) -> str:
    """A document of 10 lines that stands for 10**9 values."""
    lines = ["a0: &a0 lol"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    last = f"? {{{key}: *a9}}\n: 1" if in_key else f"{key}: *a9"
    return "\n".join([*lines, last]) + "\n"


MERGED = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 9))
BOMBS = {
    "lists": laughs("family"),
    "model": laughs("model"),
    "training": "kind: ensemble\n" + laughs("training"),
    "maps": "\n".join(
        ["a0: &a0 x", *(f"a{n}: &a{n} {{k: *a{n - 1}, l: *a{n - 1}, m: *a{n - 1}}}" for n in range(1, 25))]
    ),
    "merged": MERGED,
    "itself": "a: &a [*a]",
    "itself below": "a: &a {b: {c: [*a]}}",
    "in a key": laughs("x", in_key=True),
    "deep": "[" * 3_000,
    "deep blocks": "".join(" " * n + "- \n" for n in range(2000)),
    "long number": f"family: {'9' * 5000}",
    "no date": "family: 2001-13-45",
}
READERS: dict[str, Callable[[Path], object]] = {
    "card": load_judge,
    "prompt": lambda path: load_prompt(path.name, directory=path.parent),
    "configuration": lambda path: load_config(SamplingConfig, path),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_document_that_would_not_end_is_refused_in_one_line(bomb: str, reader: str, tmp_path: Path) -> None:
    path = tmp_path / "card.yaml"
    path.write_text(BOMBS[bomb])
    with pytest.raises((CheckpointError, ConfigError), match=r"card\.yaml") as error:
        READERS[reader](path)
    assert len(str(error.value)) < 2000 and "\n" not in str(error.value)


def test_aliases_that_a_person_writes_are_read(tmp_path: Path) -> None:
    text = "base: &base {max_tokens: 5, top_p: 0.5}\nother:\n  <<: *base\n  max_tokens: 6\nlist: [*base, *base]\n"
    read = load_yaml(text)
    assert read["other"] == {"max_tokens": 6, "top_p": 0.5} and read["list"] == [read["base"]] * 2
    (tmp_path / "x.yaml").write_text("max_tokens: &n 5\ntemperature: 1e-1\n")
    assert load_config(SamplingConfig, tmp_path / "x.yaml").temperature == 0.1
    assert load_yaml("") is None and load_yaml("# nothing") is None


def test_as_many_values_as_the_bound_are_read() -> None:
    n = MAX_VALUES // 2 - 10
    assert len(load_yaml(f"a: &a [{'1, ' * 100}]\nb: [{'*a, ' * (n // 101)}]")["b"]) == n // 101
    with pytest.raises(ValueError, match="aliases stand for more"):
        load_yaml(f"a: &a [{'1, ' * 1000}]\nb: [{'*a, ' * 200}]")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.text(), inner, max_size=30),
    max_leaves=200,
)


@settings(max_examples=25)
@given(value=VALUES)
def test_what_an_error_shows_of_a_value_is_short(value: object) -> None:
    assert len(shorten(value)) <= 120 and "\n" not in shorten(value)


def test_an_error_names_a_long_key_and_value_in_one_short_line() -> None:
    from pydantic import ValidationError

    huge: object = "x"
    for _ in range(40):
        huge = [huge] * 9
    for values in (
        {"max_tokens": huge},
        {"y" * 100_000: huge},
        {"max_tokens": [10**6000]},
        {"temperature": "z" * 10**6},
    ):
        with pytest.raises(ValidationError) as error:
            SamplingConfig.model_validate(values)
        assert len(describe_validation_error(error.value)) < 500
