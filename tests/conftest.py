"""What all tests share: no deadlines in property tests, the real data and a headless browser, or a reason to skip."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings


def pytest_configure(config: pytest.Config) -> None:
    """Say to every process that a test starts what holds for all tests."""
    patch = pytest.MonkeyPatch()
    patch.delenv("COLUMNS", raising=False)  # xdist sets it to the width of the terminal that it was started in
    patch.setenv("JUDGEKIT_DTYPE", "float32")  # what `auto` means: a machine's processor must not decide what passes
    # The packages of this checkout, also where another one is installed.
    patch.setenv("PYTHONPATH", os.pathsep.join(str(ROOT / folder) for folder in ("", "eval", "datasets_builders")))
    config.add_cleanup(patch.undo)


ROOT = Path(__file__).parents[1]

settings.register_profile("no_clock", deadline=None)  # no test may fail for a busy machine
settings.load_profile("no_clock")

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(autouse=True)
def _own_list_of_trusted_cards(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test begins with nothing trusted and leaves the user's own list alone."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))


@pytest.fixture
def real_data() -> Path:
    given = os.environ.get("JUDGEKIT_REAL_DATA")
    if not given:
        pytest.skip("needs the real data sets: set JUDGEKIT_REAL_DATA to their folder")
    return Path(given)


class Browser:
    """A page in a window of a given width; `driver` is selenium's."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, page: Path, *, width: int = 1400, fragment: str = "") -> Any:
        """Load a file anew and forget what was logged before."""
        self.driver.get("about:blank")
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.requests(), self.messages()
        self.driver.get(page.as_uri() + fragment)
        return self.driver

    def requests(self) -> list[str]:
        """The URLs asked for since the last call, without the browser's own pages."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        urls = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        return [url for url in urls if not url.startswith("chrome")]

    def messages(self) -> list[str]:
        """What was written to the console since the last call: errors, complaints about the content policy."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and chromedriver):
        pytest.skip("needs chromium and chromedriver on PATH (apt-get install chromium chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium (the extra dev)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver, log_output=os.devnull))
    yield Browser(driver)
    driver.quit()
