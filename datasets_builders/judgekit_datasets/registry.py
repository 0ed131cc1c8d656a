"""All sources by name. A source's module is imported when it is used."""

from __future__ import annotations

import difflib

from judgekit.errors import ConfigError
from judgekit.extensions import Registry
from judgekit_datasets.source import AnySource, GeneratorSource, Source

IMPORTERS = {
    "bigbench-mistake": "judgekit_datasets.importers.bigbench_mistake:SOURCE",
    "groups": "judgekit_datasets.importers.groups:SOURCE",
    "gsm8k": "judgekit_datasets.importers.gsm8k:SOURCE",
    "injection": "judgekit_datasets.injection.inject:SOURCE",
    "labelled": "judgekit_datasets.importers.labelled:SOURCE",
    "math-shepherd": "judgekit_datasets.importers.math_shepherd:SOURCE",
    "mr-gsm8k": "judgekit_datasets.importers.mr_gsm8k:SOURCE",
    "policy-benchmarks": "judgekit_datasets.importers.policy_benchmarks:SOURCE",
    "prm800k": "judgekit_datasets.importers.prm800k:SOURCE",
    "prmbench": "judgekit_datasets.importers.prmbench:SOURCE",
    "processbench": "judgekit_datasets.importers.processbench:SOURCE",
    "relabel": "judgekit_datasets.labelling.relabel:SOURCE",
    "stepwise-supervision": "judgekit_datasets.importers.stepwise_supervision:SOURCE",
}
"""Importers that come with the project: name -> where the source stands."""

GENERATORS = {
    "pairs": "judgekit_datasets.labelling.pairs:SOURCE",
    "procedural": "judgekit_datasets.procedural.chains:SOLUTIONS",
    "procedural-problems": "judgekit_datasets.procedural.chains:PROBLEMS",
    "procedural-word": "judgekit_datasets.procedural.word_problems:SOLUTIONS",
    "procedural-word-problems": "judgekit_datasets.procedural.word_problems:PROBLEMS",
    "reasoning-gym": "judgekit_datasets.procedural.reasoning_gym:PROBLEMS",
    "reasoning-gym-solutions": "judgekit_datasets.procedural.reasoning_gym:SOLUTIONS",
}
"""Generators that come with the project: name -> where the source stands."""

SOURCES: Registry[AnySource] = Registry(
    "judgekit.sources", noun="source", of=(Source, GeneratorSource), own=IMPORTERS | GENERATORS, hyphens=True
)
"""All sources by name; packages add theirs by entry points `judgekit.sources`."""


def source_names() -> list[str]:
    """Return the names of all sources."""
    return sorted(SOURCES.names())


def is_source(name: str) -> bool:
    """Tell whether there is a source of that name; underscores and hyphens count alike."""
    return name in SOURCES


def load_source(name: str) -> AnySource:
    """Return the source of that name; underscores and hyphens count alike.

    Raises:
        ConfigError: there is none; names the nearest. Or the package that adds it cannot be imported.
    """
    if name in SOURCES:
        return SOURCES.load(name)
    # a name is more often mistyped beyond likeness than made up: always name the nearest, and the way for own rows
    nearest = difflib.get_close_matches(name, source_names(), n=1, cutoff=0.0)[0]
    known = f"{', '.join(source_names())}; for rows of your own use 'labelled'"
    raise ConfigError(f"unknown source {name!r}; did you mean {nearest!r}? (known: {known})")
