"""The `sgpo` command: checked settings, configurations that parse."""

from pathlib import Path

import pytest

from judgekit.config import load_config
from sgpo.cli import main
from sgpo.compare.config import CompareConfig
from sgpo.offline.config import OfflineConfig
from sgpo.offline.iterate_config import IterateConfig
from sgpo.online.config import OnlineConfig

CONFIGS = Path(__file__).parents[2] / "configs" / "sgpo"
CLASSES = {"online": OnlineConfig, "offline": OfflineConfig, "compare": CompareConfig, "iterate": IterateConfig}


@pytest.mark.parametrize("command", ["online", "offline", "compare", "iterate"])
def test_unknown_keys_are_named(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main([command, "jugde=x", "--output", str(tmp_path / "out")])
    assert status == 2
    assert "unknown key 'jugde'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_every_configuration_parses_to_its_class() -> None:
    files = sorted(CONFIGS.glob("*.yaml"))  # those of other programs lie in folders, see tests/test_configs.py
    assert files
    for file in files:
        load_config(CLASSES[file.name.split("_")[0].removesuffix(".yaml")], file)
        assert file.read_text().startswith("# "), f"{file} has no comment on what it shows"
