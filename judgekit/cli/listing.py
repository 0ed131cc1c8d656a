"""`judgekit list` and `sgpo list`: what can be asked for by name, with a sentence on each."""

from __future__ import annotations

import argparse
import importlib
import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import Any, cast

from judgekit.cli.command import Argument, Command
from judgekit.errors import ConfigError
from judgekit.extensions import Registry, resolve

Names = Mapping[str, str]
"""What can be named -> what it is, in a sentence."""


def listing(lists: Mapping[str, Callable[[], Names]], *, prog: str) -> Command:
    """Return a command that prints lists of names.

    Args:
        lists: What is listed, by what it is called -> the names. Called when the command runs.
        prog: Program that it is a command of.
    """

    def show(args: argparse.Namespace) -> None:
        for what in [args.what] if args.what else lists:
            print(f"{what}:")
            for name, sentence in lists[what]().items():
                line = f"{name:<24} {sentence}"
                print(textwrap.fill(line, 118, initial_indent="  ", subsequent_indent=" " * 27, break_long_words=False))

    return Command(
        summary=f"List what can be asked for by name: {', '.join(lists)}.",
        example=f"{prog} list {next(iter(lists))}",
        run=show,
        arguments=(Argument("what", nargs="?", choices=[*lists], help="one of the lists; without it all"),),
    )


def described(registry: Registry[Any]) -> Names:
    """Return the names of a registry of classes, each with the first sentence of its docstring."""
    return {
        name: f"error: {found}" if isinstance(found, ConfigError) else _first_sentence(inspect.getdoc(found))
        for name, found in registry.load_all().items()
    }


def _first_sentence(docstring: str | None) -> str:
    return " ".join((docstring or "").partition("\n\n")[0].split())


def _judges() -> Names:
    from judgekit.judges.builtin import BUILTIN_NAMES

    return {f"builtin:{name}": sentence for name, sentence in BUILTIN_NAMES.items()}


def _kinds() -> Names:
    from judgekit.judges.card import KINDS

    return described(KINDS)


def _families() -> Names:
    from judgekit.judges.recognise import families

    return {
        name: f"{family.card['kind']}; " + (", ".join(family.recognise.names) or "known by its tensors or as family=")
        for name, family in families().items()
    }


def _sources() -> Names:
    # By name: nothing in judgekit may import the packages that build on it.
    sources = cast(Registry[Any], resolve("judgekit_datasets.registry:SOURCES"))
    targets = sources.targets()
    return {
        name: f"error: {found}"
        if isinstance(found, ConfigError)
        else _first_sentence(importlib.import_module(targets[name].partition(":")[0]).__doc__)
        for name, found in sorted(sources.load_all().items())
        if name in targets
    }


def _benchmarks() -> Names:
    benchmarks = cast(Registry[Any], resolve("judgekit_eval.judges.benchmarks:BENCHMARKS"))
    return {
        name: f"error: {item}"
        if isinstance(item, ConfigError)
        else "; ".join(filter(None, (f"{item.title}: {item.headline}", item.hub_id, item.paper)))
        for name, item in benchmarks.load_all().items()
    }


LIST = listing(
    {"judges": _judges, "kinds": _kinds, "families": _families, "sources": _sources, "benchmarks": _benchmarks},
    prog="judgekit",
)
