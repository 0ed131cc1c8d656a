"""How long a report takes to open in a real browser: `python -m benchmarks.report_speed report.html`.

Needs chromium and chromedriver on the PATH, and selenium. Times are the browser's own, from the start of navigation:
the document parsed, the page shown (its script has put the first view in place), and everything loaded. Each opening
starts from an empty tab.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console
from rich.table import Table

from judgekit.errors import ConfigError

if TYPE_CHECKING:
    from selenium.webdriver.chromium.webdriver import ChromiumDriver

FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
TIMES = """
const [n] = performance.getEntriesByType("navigation");
return [n.domInteractive, performance.getEntriesByName("shown")[0].startTime, n.loadEventEnd];
"""


class Opening(NamedTuple):
    """Milliseconds from the start of navigation until ..."""

    interactive_ms: float
    """... the document is parsed."""
    shown_ms: float
    """... the first view is in place."""
    loaded_ms: float
    """... everything is loaded."""
    cpu_ms: float
    """Processor time of the page's thread for all of it: what other work on the machine disturbs least."""


def measure_opening(page: Path, *, rounds: int) -> list[Opening]:
    """Open a report in headless chromium, once to warm up and then `rounds` times.

    Raises:
        ConfigError: there is no such file, or no chromium with its driver.
    """
    chromium, driver_path = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver_path):
        raise ConfigError("needs chromium and chromedriver on PATH (apt-get install chromium chromium-driver)")
    if not page.is_file():
        raise ConfigError(f"{page} is not a file: give a report that `judgekit eval` has written")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in FLAGS:
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_path))
    driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    try:
        return [_open(driver, page) for _ in range(rounds + 1)][1:]
    finally:
        driver.quit()


def _open(driver: ChromiumDriver, page: Path) -> Opening:
    driver.get("about:blank")
    driver.get(page.resolve().as_uri())
    interactive_ms, shown_ms, loaded_ms = driver.execute_script(TIMES)
    metrics = driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    cpu_s = next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")
    return Opening(interactive_ms, shown_ms, loaded_ms, 1000 * cpu_s)


def main() -> None:
    """Print one row a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="+", type=Path, help="reports")
    parser.add_argument("--rounds", type=int, default=10, help="openings behind each median")
    options = parser.parse_args()
    table = Table("page", "MB", "parsed, ms", "shown, ms", "loaded, ms", "CPU, ms", "slowest, ms", title="medians")
    for page in options.pages:
        openings = measure_opening(page, rounds=options.rounds)
        medians = [f"{statistics.median(column):.0f}" for column in zip(*openings, strict=True)]
        slowest = max(opening.loaded_ms for opening in openings)
        table.add_row(page.name, f"{page.stat().st_size / 1e6:.1f}", *medians, f"{slowest:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
