"""All sources by name. A source's module is imported when it is asked for."""

from __future__ import annotations

import difflib
import importlib
from typing import Any

from datasets_builders.source import AnySource, GeneratorSource
from judgekit.errors import ConfigError
from judgekit.types import LabelledSolution, Problem, Record

IMPORTERS = {
    "bigbench-mistake": "datasets_builders.importers.bigbench_mistake",
    "groups": "datasets_builders.importers.groups",
    "gsm8k": "datasets_builders.importers.gsm8k",
    "injection": "datasets_builders.injection.inject",
    "labelled": "datasets_builders.importers.labelled",
    "math-shepherd": "datasets_builders.importers.math_shepherd",
    "mr-gsm8k": "datasets_builders.importers.mr_gsm8k",
    "policy-benchmarks": "datasets_builders.importers.policy_benchmarks",
    "prm800k": "datasets_builders.importers.prm800k",
    "prmbench": "datasets_builders.importers.prmbench",
    "processbench": "datasets_builders.importers.processbench",
    "stepwise-supervision": "datasets_builders.importers.stepwise_supervision",
}
"""Importers: name -> module, which holds the importer as `SOURCE`."""

GENERATORS: dict[str, tuple[type[Record], str, str, str]] = {
    "procedural": (LabelledSolution, "datasets_builders.procedural.chains", "ProceduralConfig", "generate"),
    "procedural-word": (
        LabelledSolution,
        "datasets_builders.procedural.word_problems",
        "WordSolutionsConfig",
        "generate",
    ),
    "procedural-word-problems": (
        Problem,
        "datasets_builders.procedural.word_problems",
        "WordProblemsConfig",
        "generate_problems",
    ),
    "procedural-problems": (
        Problem,
        "datasets_builders.procedural.chains",
        "ProceduralProblemsConfig",
        "generate_problems",
    ),
    "reasoning-gym": (Problem, "datasets_builders.procedural.reasoning_gym", "ReasoningGymConfig", "generate_problems"),
    "reasoning-gym-solutions": (
        LabelledSolution,
        "datasets_builders.procedural.reasoning_gym",
        "ReasoningGymSolutionsConfig",
        "generate_solutions",
    ),
}
"""Generators: name -> type of record, module, its class of options, its function."""


def source_names() -> list[str]:
    """Return the names of all sources."""
    return sorted([*IMPORTERS, *GENERATORS])


def is_source(name: str) -> bool:
    """Tell whether there is a source of that name; underscores and hyphens count alike."""
    return name.replace("_", "-").lower() in source_names()


def load_source(name: str) -> AnySource:
    """Return the source of that name; underscores and hyphens count alike.

    Raises:
        ConfigError: there is none; names the nearest.
    """
    key = name.replace("_", "-").lower()
    if key in IMPORTERS:
        return importlib.import_module(IMPORTERS[key]).SOURCE
    if key in GENERATORS:
        record_type, module_name, config_name, function_name = GENERATORS[key]
        module: Any = importlib.import_module(module_name)
        return GeneratorSource(key, record_type, getattr(module, config_name), getattr(module, function_name))
    nearest = difflib.get_close_matches(key, source_names(), n=1, cutoff=0.0)[0]
    known = f"{', '.join(source_names())}; rows of your own are read by 'labelled'"
    raise ConfigError(f"unknown source {name!r}; did you mean {nearest!r}? (known: {known})")


__all__ = ["GENERATORS", "IMPORTERS", "is_source", "load_source", "source_names"]
