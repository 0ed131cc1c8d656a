"""All sources by name. A source's module is imported when it is asked for."""

from __future__ import annotations

import difflib

from datasets_builders.source import AnySource
from judgekit.errors import ConfigError
from judgekit.extensions import Registry

IMPORTERS = {
    "bigbench-mistake": "datasets_builders.importers.bigbench_mistake:SOURCE",
    "groups": "datasets_builders.importers.groups:SOURCE",
    "gsm8k": "datasets_builders.importers.gsm8k:SOURCE",
    "injection": "datasets_builders.injection.inject:SOURCE",
    "labelled": "datasets_builders.importers.labelled:SOURCE",
    "math-shepherd": "datasets_builders.importers.math_shepherd:SOURCE",
    "mr-gsm8k": "datasets_builders.importers.mr_gsm8k:SOURCE",
    "policy-benchmarks": "datasets_builders.importers.policy_benchmarks:SOURCE",
    "prm800k": "datasets_builders.importers.prm800k:SOURCE",
    "prmbench": "datasets_builders.importers.prmbench:SOURCE",
    "processbench": "datasets_builders.importers.processbench:SOURCE",
    "relabel": "datasets_builders.labelling.relabel:SOURCE",
    "stepwise-supervision": "datasets_builders.importers.stepwise_supervision:SOURCE",
}
"""Importers that come with the project: name -> where the source stands."""

GENERATORS = {
    "pairs": "datasets_builders.labelling.pairs:SOURCE",
    "procedural": "datasets_builders.procedural.chains:SOLUTIONS",
    "procedural-problems": "datasets_builders.procedural.chains:PROBLEMS",
    "procedural-word": "datasets_builders.procedural.word_problems:SOLUTIONS",
    "procedural-word-problems": "datasets_builders.procedural.word_problems:PROBLEMS",
    "reasoning-gym": "datasets_builders.procedural.reasoning_gym:PROBLEMS",
    "reasoning-gym-solutions": "datasets_builders.procedural.reasoning_gym:SOLUTIONS",
}
"""Generators that come with the project: name -> where the source stands."""

SOURCES: Registry[AnySource] = Registry("judgekit.sources", noun="source", own=IMPORTERS | GENERATORS)
"""All sources by name; packages add theirs by entry points `judgekit.sources`, in small letters with hyphens."""


def source_names() -> list[str]:
    """Return the names of all sources."""
    return sorted(SOURCES.names())


def is_source(name: str) -> bool:
    """Tell whether there is a source of that name; underscores and hyphens count alike."""
    return name.replace("_", "-").lower() in SOURCES


def load_source(name: str) -> AnySource:
    """Return the source of that name; underscores and hyphens count alike.

    Raises:
        ConfigError: there is none; names the nearest. Or the package that adds it cannot be imported.
    """
    key = name.replace("_", "-").lower()
    if key in SOURCES:
        return SOURCES.load(key)
    # a name is more often mistyped beyond likeness than made up: always name the nearest, and the way for own rows
    nearest = difflib.get_close_matches(key, source_names(), n=1, cutoff=0.0)[0]
    known = f"{', '.join(source_names())}; rows of your own are read by 'labelled'"
    raise ConfigError(f"unknown source {name!r}; did you mean {nearest!r}? (known: {known})")
