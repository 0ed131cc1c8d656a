"""Everything that a configuration may contain, read from its class: for help on the terminal, and for reference pages.

`describe_options` walks a class and its nested classes; the sentence under a field is its help.
"""

from __future__ import annotations

import inspect
import itertools
import json
import re
import shutil
import textwrap
import types
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from judgekit.config import BaseConfig, OneOf

_WORDS = {bool: "true | false", int: "integer", float: "number", str: "text", Path: "path", Any: "anything"}
_NESTED = "the keys below"


class Option(NamedTuple):
    """One thing that a configuration may hold."""

    key: str
    """Where it stands, as it is written on the command line: `sampling.temperature`; `parts[].source` in a list."""
    value: str
    """What it may be, its range included."""
    default: str | None
    """What it is where it is not given, as YAML; `None`: it must be given; empty: see the options below it."""
    description: str
    """The sentence under the field."""
    depth: int
    """How many choices by `type` it depends on; the nearest option of less depth above it is that choice."""


def describe_options(
    config: type[BaseModel], *, defaults: BaseModel | None = None, prefix: str = "", depth: int = 0
) -> Iterator[Option]:
    """Yield all options of a configuration in the order of its class; nested ones follow theirs, with its key in front.

    Where one of several models is chosen by a key such as `type`, an option `type=...` opens the options of each that
    none before it has.

    Args:
        config: The class.
        defaults: An instance that stands where nothing is given; `None` for the defaults of the class.
        prefix: What stands in front of every key.
        depth: That of its own options.
    """
    for name, field in config.model_fields.items():
        key = prefix + name
        default = getattr(defaults, name) if defaults else field.get_default(call_default_factory=True)
        is_required = field.is_required() and not defaults
        models = models_in(field.annotation, field.metadata)
        # What tells several models apart: a key that each has, with a value of its own.
        tags = [
            tag
            for tag in (models[0].model_fields if len(models) > 1 else ())
            if all(tag in m.model_fields and get_origin(m.model_fields[tag].annotation) is Literal for m in models)
            and len({m.model_fields[tag].get_default() for m in models}) == len(models)
        ]
        shown = "" if models and isinstance(default, BaseModel) else _yaml(default)
        if tags and isinstance(default, BaseModel):
            shown = f"{tags[0]}: {_yaml(getattr(default, tags[0]))}"
        value = value_in_words(field.annotation, field.metadata)
        yield Option(key, value, None if is_required else shown, field.description or "", depth)
        inside = key + ("[]." if value.startswith("list of ") else ".")
        told: list[list[Option]] = []
        for model in models:
            nested = describe_options(
                model,
                defaults=default if isinstance(default, model) else None,
                prefix=inside,
                depth=depth + len(tags[:1]),
            )
            rest = (option for option in nested if option.key not in {f"{inside}{tag}" for tag in tags[:1]})
            by_field = itertools.groupby(rest, key=lambda option: re.split(r"[.\[]", option.key[len(inside) :])[0])
            blocks = {field_name: [*options] for field_name, options in by_field}
            if tags:
                choice = f"{inside}{tags[0]}={_yaml(model.model_fields[tags[0]].get_default())}"
                about = inspect.cleandoc(model.__doc__ or "").partition("\n\n")[0]
                # What choices share is told with the first that has it: twenty algorithms have a window.
                if known := [field_name for field_name, options in blocks.items() if options in told]:
                    about = f"{about} Takes, as above: {', '.join(known)}."
                yield Option(choice, "", "", about, depth)
            yield from (option for options in blocks.values() if options not in told for option in options)
            told += blocks.values()


def models_in(annotation: Any, metadata: Sequence[Any] = ()) -> list[type[BaseModel]]:
    """Return the configurations that a type holds, in a list of them or next to others."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:  # as it stands next to null; a field that is nothing else has the marks in its metadata
        return models_in(args[0], args[1:])
    if (named := next((mark for mark in metadata if isinstance(mark, OneOf)), None)) is not None:
        return [*named.models()]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for arg in args for model in models_in(arg)]


def value_in_words(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """Say in words what values a type has, within the bounds that its metadata set."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return value_in_words(args[0], [*metadata, *args[1:]])
    if origin in (Union, types.UnionType):  # bounds are about whatever is not null
        kinds = [value_in_words(arg, metadata) for arg in args if arg is not type(None)]
        if len(kinds) > 1 and {*kinds} == {_NESTED}:
            kinds = ["one of these"]
        return " | ".join([*kinds, "null"] if type(None) in args else kinds)
    if origin is Literal:
        words = " | ".join(_yaml(arg) for arg in args)
    elif origin in (tuple, list):
        is_pair = origin is tuple and args[-1] is not Ellipsis
        words = f"[{', '.join(map(value_in_words, args))}]" if is_pair else f"list of {value_in_words(args[0])}"
    elif origin is dict:
        words = f"mapping of {value_in_words(args[0])} to {value_in_words(args[1])}"
    elif isinstance(annotation, type) and issubclass(annotation, Enum):
        words = " | ".join(str(member.value) for member in annotation)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        words = "one of these" if any(isinstance(mark, OneOf) for mark in metadata) else _NESTED
    else:
        words = _WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))
    bounds = [*_bounds(metadata)]
    numeric = " and ".join(bound for bound in bounds if bound[0] in "<>")
    return ", ".join([f"{words} {numeric}" if numeric else words, *(bound for bound in bounds if bound[0] not in "<>")])


def _bounds(metadata: Sequence[Any]) -> Iterator[str]:
    for bound in metadata:
        match bound:
            case FieldInfo():
                yield from _bounds(bound.metadata)
            case annotated_types.Ge():
                yield f">= {bound.ge}"
            case annotated_types.Gt():
                yield f"> {bound.gt}"
            case annotated_types.Le():
                yield f"<= {bound.le}"
            case annotated_types.Lt():
                yield f"< {bound.lt}"
            case annotated_types.MinLen():
                yield "not empty" if bound.min_length == 1 else f"at least {bound.min_length} long"


def _yaml(value: Any) -> str:
    """Write a default as it would be given."""
    match value:
        case BaseModel():
            return _yaml(value.model_dump(mode="json"))
        case Mapping():
            return "{" + ", ".join(f"{key}: {_yaml(item)}" for key, item in value.items()) + "}"
        case tuple() | list():
            return f"[{', '.join(map(_yaml, value))}]"
        case bool() | None:
            return json.dumps(value)
        case Enum():
            return str(value.value)
        case str():
            return value if value and value.isprintable() and value == value.strip() else json.dumps(value)
    return str(value)


def render_options(config: type[BaseConfig], *, kind: str = "") -> str:
    """Return the options as a block of text as wide as the terminal, for help.

    Args:
        config: The class.
        kind: What a file says to get this configuration, where there are several; stands in the head.
    """
    width = shutil.get_terminal_size().columns - 2
    options = [*describe_options(config)]
    needed = ", ".join(f"{option.key}=" for option in options if option.default is None and "." not in option.key)
    lines = [f"settings{f' of kind={kind}' if kind else ''}{f' ({needed} must be given)' if needed else ''}:"]

    def add(text: str, first: str, rest: str) -> None:
        lines.extend(textwrap.wrap(text, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False))

    for option in options:
        if kind and option.key == "kind":  # the head says it
            continue
        indent, inner = "  " * (1 + option.depth), "  " * (3 + option.depth)
        default = "; required" if option.default is None else f"; default {option.default}" if option.default else ""
        add(option.key + (f": {option.value}{default}" if option.value else ""), indent, inner)
        add(" ".join(option.description.split()), inner, inner)
    return "\n".join(lines) + "\n"
