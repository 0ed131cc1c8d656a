"""Every YAML under configs/ parses to its own configuration class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from judgekit.config import BaseConfig, load_config
from judgekit.errors import ConfigError
from judgekit.judges.recognise import find_card
from judgekit.serving.config import ServeConfig
from judgekit.training.config import CascadeConfig, ClassifierConfig, LanguageModelConfig, LikelihoodConfig, ProbeConfig
from judgekit_datasets.curation.config import CurationConfig
from judgekit_datasets.importers.labelled import LabelledConfig
from judgekit_datasets.injection.inject import InjectionConfig
from judgekit_datasets.labelling.config import ConsensusConfig, JudgeLabelsConfig, MonteCarloConfig, RolloutsConfig
from judgekit_datasets.mix_config import MixConfig
from judgekit_datasets.procedural.chains import ProceduralConfig, ProceduralProblemsConfig
from judgekit_eval.judges.config import EvalConfig
from judgekit_eval.policy.config import PolicyConfig
from sgpo.compare.config import CompareConfig
from sgpo.offline.config import OfflineConfig
from sgpo.offline.iterate_config import IterateConfig
from sgpo.online.config import OnlineConfig
from sgpo.theory.config import TheoryConfig

CONFIGS = Path(__file__).parents[1] / "configs"


def is_card(path: Path) -> bool:
    """Return whether a file is a card of a judge and no configuration of a command."""
    return path.parent.name == "critic" or path.name.startswith("critic_")


CARDS = sorted(str(path.relative_to(CONFIGS)) for path in CONFIGS.glob("*/*.yaml") if is_card(path))
"""Cards of judges, which `load_judge` opens."""
OF_ACCELERATE = {str(path.relative_to(CONFIGS)) for path in CONFIGS.glob("accelerate/*.yaml")}
"""Configurations of `accelerate launch`, which tests/sgpo/test_sharded.py reads."""
FILES = sorted({str(path.relative_to(CONFIGS)) for path in CONFIGS.rglob("*.yaml")} - {*CARDS} - OF_ACCELERATE)
CLASSES: dict[str, type[BaseConfig]] = {
    "data/curate.yaml": CurationConfig,
    "data/injection.yaml": InjectionConfig,
    "data/consensus.yaml": ConsensusConfig,
    "data/judge_labels.yaml": JudgeLabelsConfig,
    "data/labelled.yaml": LabelledConfig,
    "data/mixed_*.yaml": MixConfig,
    "data/monte_carlo.yaml": MonteCarloConfig,
    "data/rollouts.yaml": RolloutsConfig,
    "eval/four_benchmarks.yaml": EvalConfig,
    "eval/policy.yaml": PolicyConfig,
    "eval/processbench.yaml": EvalConfig,
    "judge/smollm2.yaml": ClassifierConfig,
    "judge/cascade.yaml": CascadeConfig,
    "judge/probe_*.yaml": ProbeConfig,
    "serve/*.yaml": ServeConfig,
    "sgpo/offline_*.yaml": OfflineConfig,
    "sgpo/iterate_gsm8k_*.yaml": IterateConfig,
    "sgpo/online_*.yaml": OnlineConfig,
    "sgpo/compare*.yaml": CompareConfig,
    "theory/*.yaml": TheoryConfig,
    "paper/eval_*.yaml": PolicyConfig,
    "paper/limo_rollouts.yaml": RolloutsConfig,
    "paper/offline_*.yaml": OfflineConfig,
    "paper/online_*.yaml": OnlineConfig,
    "quickstart/compare.yaml": CompareConfig,
    "quickstart/judge_base.yaml": LanguageModelConfig,
    "sgpo/arithmetic/online.yaml": OnlineConfig,
    **{
        f"{folder}/{file}.yaml": config_type
        for folder in ("quickstart", "sgpo/arithmetic")
        for file, config_type in {
            "problems": ProceduralProblemsConfig,
            "*_data": ProceduralConfig,
            "judge": LikelihoodConfig,
            "base": LanguageModelConfig,
            "policy": LanguageModelConfig,
        }.items()
    },
}
"""Which command reads which files; every file matches exactly one."""
GIVEN_BY_OPTIONS = {EvalConfig: {"judges": ["builtin:random"]}}
"""What a file may leave to options of the command."""


def test_there_are_configurations() -> None:
    assert FILES and CARDS
    assert not [path for path in CONFIGS.rglob("*") if path.is_file() and path.suffix != ".yaml"]


@pytest.mark.parametrize("name", FILES)
def test_a_configuration_parses_to_its_class(name: str) -> None:
    classes = [config_type for pattern, config_type in CLASSES.items() if Path(name).match(pattern)]
    assert len(classes) == 1, f"{name}: say in CLASSES which command reads it"
    check(name, load_config(classes[0], CONFIGS / name, fixed=GIVEN_BY_OPTIONS.get(classes[0], {})))


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith(("judge/", "quickstart/"))])
def test_a_training_configuration_is_for_one_command(name: str) -> None:
    """What one command would take of another's file and fill up with its own defaults trains something else."""
    own = [config_type for pattern, config_type in CLASSES.items() if Path(name).match(pattern)]
    for other in {ClassifierConfig, LanguageModelConfig, LikelihoodConfig} - {*own}:
        with pytest.raises(ConfigError):
            load_config(other, CONFIGS / name)


@pytest.mark.parametrize("name", CARDS)
def test_a_card_opens(name: str) -> None:
    check(name, find_card(CONFIGS / name).card)


def check(name: str, config: BaseModel) -> None:
    absolute = [text for text in texts(config.model_dump(mode="json")) if text.startswith(("/", "~"))]
    assert not absolute, "a configuration must run on any machine"
    assert (CONFIGS / name).read_text().startswith("# "), f"{name} has no comment on what it shows"


def texts(value: Any) -> list[str]:
    """Return every text inside a JSON value."""
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in items for text in texts(item)]
