"""Configurations: frozen pydantic models, read from YAML and changed on the command line (`key.sub=value`).

YAML and overrides are merged by OmegaConf; pydantic checks them. An unknown key is an error that names the nearest
known one. A `null` switches something off, and the field's description says what that means.
"""

from __future__ import annotations

import difflib
import hashlib
import io
import json
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from yaml import YAMLError

from judgekit.errors import ConfigError, DataError, describe_validation_error, one_line, shorten
from judgekit.reading.safe_yaml import check_yaml
from judgekit.reading.texts import read_text

ConfigT = TypeVar("ConfigT", bound="BaseConfig")

_MAX_KEY = 100
"""Characters of an unknown key that are compared with the known ones: a key may be as long as a file."""


class BaseConfig(BaseModel):
    """Base class of all configurations: frozen, no unknown keys, defaults are checked like given values.

    The sentence under a field is its description, which `--help` shows.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True)

    def digest(self) -> str:
        """Return a short hash of all values, by which a resumed run is recognised."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class OneOf:
    """Marks a field that holds one of several configurations, known to a registry and selected by `type`."""

    models: Callable[[], Sequence[type[BaseConfig]]]
    """Imports and returns the classes, for help."""


def load_config(
    config_type: type[ConfigT],
    path: Path | None = None,
    *,
    overrides: Sequence[str] = (),
    fixed: Mapping[str, object] | None = None,
) -> ConfigT:
    """Read a YAML file, put the overrides on top and check the result.

    Args:
        config_type: The configuration's class.
        path: YAML file; `None` starts from the defaults.
        overrides: `key=value` or `key.sub=value` each, the value in YAML (`lr=1e-5`, `data.n_max=null`).
        fixed: Values of top-level keys that win over both, taken as they are: a path is a path, not YAML.

    Raises:
        ConfigError: the file is missing or not YAML, a key is unknown (names the nearest known one), a value
            is refused.
    """
    values = read_settings(path, overrides=overrides)
    return parse_config(config_type, values | dict(fixed or {}), where=_where(path))


def read_settings(path: Path | None, *, overrides: Sequence[str] = ()) -> dict[Any, Any]:
    """Read a YAML file and put the overrides on top, see `load_config`; nothing is checked against a class.

    Raises:
        ConfigError: the file is missing or not YAML, or an override is none.
    """
    from omegaconf import OmegaConf  # longer to import than pydantic, and help needs none
    from omegaconf.errors import OmegaConfBaseException

    where = _where(path)
    try:
        text = read_text(path) if path else "{}"
        check_yaml(text)  # OmegaConf writes out what aliases stand for
        base = OmegaConf.load(io.StringIO(text))
        if not OmegaConf.is_dict(base):
            raise ConfigError(f"{where} must hold keys and values, not a list")
        for override in overrides:  # OmegaConf takes `key` alone for `key=null`
            key, equals, _ = override.partition("=")
            if not equals or not key:
                raise ConfigError(
                    f"{shorten(override)} is not an override: write key=value, for example learning_rate=1e-5"
                )
        changes = OmegaConf.from_dotlist(list(overrides))
        # `${key}` is computed at last, so that it sees what the overrides say, and they what the file says.
        merged = merge_settings(OmegaConf.to_container(base), OmegaConf.to_container(changes))
        values = OmegaConf.to_container(OmegaConf.create(merged), resolve=True)
    except DataError as error:
        said = str(error).replace("cannot read ", "cannot read the configuration ", 1)
        is_ours = path is not None and not path.exists() and path.parts[:1] == ("configs",)
        hint = "; those below configs/ lie in the repository, an installed package has none" if is_ours else ""
        raise ConfigError(said + hint) from error
    except ConfigError:
        raise
    except (YAMLError, OmegaConfBaseException, RecursionError, ValueError) as error:
        raise ConfigError(f"{where} is not a valid configuration: {one_line(error)}") from error
    assert isinstance(values, dict)
    return values


def merge_settings(base: Any, changes: Any) -> Any:
    """Return settings with changes on top, key by key.

    What names another `type` replaces what was there, whose other keys belong to the old type.

    Example:
        >>> merge_settings({"a": {"type": "x", "b": 1}, "c": 2}, {"a": {"type": "y"}, "d": 3})
        {'a': {'type': 'y'}, 'c': 2, 'd': 3}
    """
    if not isinstance(base, dict) or not isinstance(changes, dict):
        return changes
    if "type" in base and changes.get("type", base["type"]) != base["type"]:
        return changes
    return base | {key: merge_settings(base[key], value) if key in base else value for key, value in changes.items()}


def _where(path: Path | None) -> str:
    return str(path) if path else "command line"


def parse_config(config_type: type[ConfigT], values: dict[Any, Any], *, where: str) -> ConfigT:
    """Check plain values against a configuration class.

    Raises:
        ConfigError: see `load_config`.
    """
    try:
        return config_type.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_explain(error, config_type)}") from error


def differing_keys(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """Return `key: old -> new` for every leaf in which two configurations differ."""
    lines: list[str] = []
    for key in sorted(old.keys() | new.keys()):
        before, after, name = old.get(key), new.get(key), f"{prefix}{key}"
        if isinstance(before, dict) and isinstance(after, dict):
            lines += differing_keys(before, after, prefix=f"{name}.")
        elif before != after:
            lines.append(f"{name}: {before!r} -> {after!r}")
    return lines


def _explain(error: ValidationError, config_type: type[BaseConfig]) -> str:
    unknown = next((item for item in error.errors() if item["type"] == "extra_forbidden"), None)
    missing = [".".join(map(str, item["loc"])) for item in error.errors() if item["type"] == "missing"]
    if unknown is None and len(missing) > 1:
        return f"fields {', '.join(map(repr, missing))} are missing"
    if unknown is None:
        return describe_validation_error(error)
    *parents, key = [str(part) for part in unknown["loc"]]
    # Walk down to the model that refused the key; a union's tag (its `kind` or `type`) picks the branch.
    models: list[type[BaseModel]] = [config_type]
    for part in parents:
        fields = [model.model_fields[part].annotation for model in models if part in model.model_fields]
        tagged = [
            model
            for model in models
            if part in {str(model.model_fields[tag].default) for tag in {"kind", "type"} & model.model_fields.keys()}
        ]
        models = [model for field in fields for model in _models_in(field)] or tagged or models
    known = sorted({name for model in models for name in model.model_fields})
    nearest = difflib.get_close_matches(key[:_MAX_KEY], known, n=1, cutoff=0.0)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return f"unknown key {shorten('.'.join([*parents, key]))}{hint} (known here: {', '.join(sorted(known))})"


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for arg in typing.get_args(annotation) for model in _models_in(arg)]
