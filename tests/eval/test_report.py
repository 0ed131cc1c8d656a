import json
import re
import time

import pytest

from eval.processbench import ProcessBenchConfig, evaluate
from judgekit.types import NoVerdictReason
from tests.eval.samples import pointing_at, sample
from tests.fakes import FakeJudge

HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    "<!-- <script> {{7*7}} \u202e <style>body{display:none}</style>"
)


def orchard(n=60):
    """Errors at step 1, every sixth solution correct; the judge is right, early, late, missing and silent in turn."""
    solutions, posteriors, no_verdict = [], {}, {}
    for i in range(n):
        solution = sample(
            i,
            first_error=None if i % 6 == 5 else 1,
            subset="mill" if i % 4 == 3 else "shop",
            problem=HOSTILE if i == 0 else None,
        )
        if i == 0:
            solution = solution.model_copy(update={"steps": (HOSTILE, "x\n  y < z & w", "$\\frac{1}{2}$")})
        solutions.append(solution)
        posteriors[solution.id] = pointing_at([1, 0, 2, None, 1, 2 if i % 12 == 5 else None][i % 6])
        if i % 6 == 4:
            no_verdict[solution.id] = NoVerdictReason.TOO_LONG
    return solutions, FakeJudge(posteriors, no_verdict=no_verdict, judge_id="orchard <i>judge</i>")


def write(folder, n=60, **options):
    solutions, judge = orchard(n)
    config = ProcessBenchConfig(n_resamples=100, **options)
    evaluate(judge, solutions, output=folder / "run", config=config)
    return solutions, folder / "run/report.html"


def test_report_is_one_file_without_addresses(tmp_path):
    _, page = write(tmp_path)
    text = page.read_text(encoding="utf-8")
    outside_data = re.sub(r'<script type="application/json".*?</script>', "", text, flags=re.DOTALL)
    assert not re.search(r"https?:|url\(|@import|\bsrc=|\bhref=", outside_data)
    assert "<img" not in text
    assert text.count("<script") == text.count("</script>") == 2
    assert "orchard &lt;i&gt;judge&lt;/i&gt; on processbench" in text


def test_report_states_counts_and_intervals(tmp_path):
    _, page = write(tmp_path)
    text = page.read_text(encoding="utf-8")
    results = json.loads((page.parent / "results.json").read_text())
    f1 = results["average"]["f1"]
    assert f"{f1['value']:.1f} [{f1['lo']:.1f}, {f1['hi']:.1f}]" in text
    n_too_long = results["subsets"]["shop"]["no_verdict"]["too_long"]
    assert f"No verdict on shop: too_long {n_too_long}." in text


def test_browser_of_a_large_set_shows_evenly_spaced_solutions_and_says_so(tmp_path):
    solutions, page = write(tmp_path, n_browsed=10)
    text = page.read_text(encoding="utf-8")
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text).group(1))
    assert [row["id"] for row in data["solutions"]] == [s.id for s in solutions[::6]]
    assert "10 of 60 solutions, evenly spaced." in text


def test_browsing_filtering_and_searching(browser, tmp_path):
    _, page = write(tmp_path)
    driver = browser.open(page)

    def position():
        return driver.find_element("id", "position").text

    def click(outcome):
        driver.find_element("css selector", f'[data-outcome="{outcome}"]').click()

    def heading():
        return driver.find_element("css selector", "#detail h3").text

    assert position() == "1 of 60"
    counts = {}
    for outcome in ("right", "early", "late", "missed", "false_alarm", "no_verdict"):
        click(outcome)
        counts[outcome] = int(position().split()[-1])
        chosen = driver.find_elements("css selector", '#filters [aria-pressed="true"]')
        assert [button.get_attribute("data-outcome") for button in chosen] == [outcome]
    assert counts == {"right": 15, "early": 10, "late": 10, "missed": 10, "false_alarm": 5, "no_verdict": 10}

    click("early")
    assert heading() == "← early: true first error step 1, judge step 0"
    steps = [step.text for step in driver.find_elements("css selector", ".step")]
    assert steps[0].split("\n")[:2] == ["step 0", "P(ok) 0.250"]
    assert "▶ judge's first error" in steps[0] and "◆ true first error" in steps[1]
    assert "after the true first error" in steps[2]
    colours = [
        step.value_of_css_property("border-left-color") for step in driver.find_elements("css selector", ".step")
    ]
    assert colours[0].startswith("rgba(213, 94, 0") and colours[1].startswith("rgba(0, 114, 178")

    click("no_verdict")
    assert heading() == "? no verdict: true first error step 1, judge no verdict (too_long)"
    assert "No verdict, so no probabilities." in driver.find_element("id", "detail").text

    click("all")
    driver.find_element("id", "search").send_keys("OF SOLUTION 37.")
    assert position() == "1 of 1"
    assert "row-37" in driver.find_element("id", "detail").text
    driver.find_element("id", "search").send_keys("jk")  # typing is no navigation
    assert position() == "no solution matches"
    assert driver.find_element("id", "detail").text == ""
    driver.find_element("id", "search").clear()
    driver.find_element("id", "search").send_keys(" ")
    driver.find_element("css selector", '#subset option[value="mill"]').click()
    assert position().split()[-1] == "15"
    assert browser.messages() == []


def test_keyboard_and_deep_links(browser, tmp_path):
    solutions, page = write(tmp_path)
    from selenium.webdriver.common.keys import Keys

    driver = browser.open(page)

    def shown_id():
        return driver.execute_script("return location.hash.slice(1)")

    body = driver.find_element("tag name", "body")
    body.send_keys("jjj")
    assert shown_id() == solutions[3].id
    body.send_keys("k")
    assert shown_id() == solutions[2].id
    driver.find_element("id", "list").send_keys(Keys.ARROW_DOWN * 30 + Keys.ARROW_UP)
    assert shown_id() == solutions[31].id
    selected = driver.find_element("css selector", '.row[aria-selected="true"]')
    assert "row-31" in selected.text
    box, outer = selected.rect, driver.find_element("id", "list").rect
    assert outer["y"] <= box["y"] and box["y"] + box["height"] <= outer["y"] + outer["height"] + 1

    driver.find_element("css selector", '[data-outcome="early"]').click()
    driver.execute_script(f"location.hash = '{solutions[50].id}'")  # hidden by the filter, which gives way
    time.sleep(0.2)
    assert "row-50" in driver.find_element("id", "detail").text

    driver = browser.open(page, fragment=f"#{solutions[42].id}")
    assert "row-42" in driver.find_element("id", "detail").text
    assert driver.find_element("id", "browser").rect["y"] >= 0


def test_hostile_text_is_shown_and_does_nothing(browser, tmp_path):
    _, page = write(tmp_path)
    driver = browser.open(page)
    time.sleep(0.2)
    assert driver.title == "orchard <i>judge</i> on processbench"
    assert driver.find_element("css selector", ".problem").get_attribute("textContent") == HOSTILE
    step = driver.find_elements("css selector", ".step .text")[1]
    assert step.get_attribute("textContent") == "x\n  y < z & w"
    assert not driver.find_elements("css selector", "img, iframe, #detail script, #detail style")
    driver.find_element("id", "search").send_keys("<img")
    assert driver.find_element("id", "position").text == "1 of 1"
    assert browser.requests() == [page.as_uri()]
    assert browser.messages() == []


def test_policy_stops_scripts_that_are_not_the_page_s_own(browser, tmp_path):
    _, page = write(tmp_path)
    driver = browser.open(page)
    driver.execute_script(
        "const i = document.createElement('div');"
        "i.innerHTML = '<img src=x onerror=\"document.title=1\">'; document.body.append(i);"
    )
    time.sleep(0.2)
    assert driver.title == "orchard <i>judge</i> on processbench"
    assert any("Content Security Policy" in message for message in browser.messages())


def test_thousands_of_solutions_scroll_without_stutter(browser, tmp_path):
    _, page = write(tmp_path, n=3000, n_browsed=3000)
    driver = browser.open(page)
    rows = driver.find_elements("css selector", ".list .row")
    assert len(rows) < 40
    took_ms = driver.execute_script(
        "const list = document.getElementById('list'), start = performance.now();"
        "for (let i = 0; i < 100; i++) { list.scrollTop = i * 1500; list.dispatchEvent(new Event('scroll'));"
        " list.getBoundingClientRect(); } return performance.now() - start;"
    )
    assert took_ms / 100 < 16
    search_ms = driver.execute_script(
        "const s = document.getElementById('search'), start = performance.now(); s.value = 'solution 29';"
        "s.dispatchEvent(new Event('input')); return performance.now() - start;"
    )
    assert search_ms < 200
    driver.find_element("id", "list").send_keys("j")


@pytest.mark.parametrize("width", [1400, 390])
def test_report_fits_its_window(browser, tmp_path, width):
    _, page = write(tmp_path)
    driver = browser.open(page, width=width)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    driver.find_element("css selector", '[data-outcome="late"]').click()
    driver.find_element("id", "next").click()
    assert driver.find_element("id", "position").text == "2 of 10"
    assert driver.save_screenshot(str(tmp_path / "report.png"))
