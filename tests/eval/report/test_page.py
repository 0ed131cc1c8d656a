import json
import re
from urllib.parse import quote

import pytest

from benchmarks.report_speed import measure_opening
from judgekit.errors import ConfigError, DataError
from judgekit.judges import load_judge
from judgekit.metrics.bootstrap import Interval
from judgekit.report.interval_cells import interval_cell, interval_text
from judgekit.types import NoVerdictReason
from judgekit_eval.judges.comparisons import BenchmarkComparisons, Pair
from judgekit_eval.judges.schema import EvalResults
from judgekit_eval.report.benchmark import group_runs
from judgekit_eval.report.browser import solutions_data
from judgekit_eval.report.calibration import step_scores_html
from judgekit_eval.report.leaderboard import build_leaderboards
from judgekit_eval.report.page import report_html
from tests.eval.judges.benchmark_runs import run_of
from tests.eval.samples import pointing_at, sample
from tests.fakes import FakeJudge

HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    "<!-- <script> {{7*7}} \u202e <style>body{display:none}</style>"
)
FIRST, SECOND = f"judge <i>one</i> {HOSTILE}", "judge two"
FIRST_CHOSEN = f"#judge={quote(FIRST)}"
"""Without it the best judge is chosen, which is the second."""


def orchard(n=60):
    """Errors at step 1, every sixth solution correct; problem and one step of the first are hostile.

    The last quarter is another subset, in which every judge's mistakes occur, too.
    """
    solutions = []
    for i in range(n):
        first_error, subset = None if i % 6 == 5 else 1, "mill" if i >= n - n // 4 else "shop"
        solution = sample(i, first_error=first_error, subset=subset, problem=HOSTILE if i == 0 else None)
        if i == 0:
            steps = (HOSTILE, "x\n  y < z & w", "$\\frac{1}{2}$")
            solution = solution.model_copy(update={"steps": steps, "generator": HOSTILE})
        solutions.append(solution)
    return solutions


def first_judge(solutions):
    """Right, early, late, missing and silent in turn; on the correct ones right and wrong in turn."""
    posteriors, no_verdict = {}, {}
    for i, solution in enumerate(solutions):
        posteriors[solution.id] = pointing_at([1, 0, 2, None, 1, 2 if i % 12 == 5 else None][i % 6])
        if i % 6 == 4:
            no_verdict[solution.id] = NoVerdictReason.TOO_LONG
    return FakeJudge(posteriors, no_verdict=no_verdict, judge_id=FIRST)


def second_judge(solutions):
    """Right on two of three."""
    posteriors = {s.id: pointing_at(0 if i % 3 == 0 else s.first_error) for i, s in enumerate(solutions)}
    return FakeJudge(posteriors, judge_id=SECOND)


def all_runs(n=60):
    solutions, meadow = orchard(n), [sample(i + 1000, first_error=i % 3, subset="grass") for i in range(9)]
    judges = [first_judge(solutions), second_judge(solutions), load_judge("builtin:first-step")]
    runs = [run_of(judge, solutions, benchmark="processbench") for judge in judges]
    runs += [run_of(judge, meadow, benchmark="meadow") for judge in (second_judge(meadow), judges[2])]
    return solutions, runs


COMPARISONS = {
    "processbench": BenchmarkComparisons(
        headline_name="average F1",
        n_comparisons=1,
        note="One comparison; see Holm <b>1979</b>.",
        pairs=[Pair(a=FIRST, b=SECOND, difference=-12.34, lo=-20.0, hi=-4.0, p_value=1e-5, p_holm=0.2)],
    )
}


def write(folder, n=60, n_browsed=4000):
    solutions, runs = all_runs(n)
    page = folder / "report.html"
    boards = build_leaderboards([run.results for run in runs], COMPARISONS)
    page.write_text(report_html(runs, boards, n_browsed=n_browsed), encoding="utf-8")
    return solutions, page


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The report of sixty solutions, written once for the tests that only look at it."""
    return write(tmp_path_factory.mktemp("report"))


def embedded(text, element_id):
    return json.loads(re.search(rf'<script type="application/json" id="{element_id}">(.*?)</script>', text).group(1))


def test_report_is_one_file_without_addresses(report):
    text = report[1].read_text(encoding="utf-8")
    outside_data = re.sub(r'<script type="application/json".*?</script>', "", text, flags=re.DOTALL)
    assert not re.search(r"https?:|url\(|@import|\bsrc=(?!x)|\bhref=", outside_data)
    assert "<img" not in text
    assert text.count("<script") == text.count("</script>") == 6  # overview, panels and solutions of two, the code


def test_leaderboard_ranks_judges_among_published_figures_that_are_marked(report):
    _, page = report
    text = page.read_text(encoding="utf-8")
    shown = text[text.index('data-benchmark="processbench"') : text.index('data-benchmark="meadow"')]
    names = re.findall(r'<th scope="row"><div>([^<]*?)( <span class="tag">quoted</span>)?</div>', shown)
    ranked = [name for name, _ in names]
    assert ranked.index(SECOND) < ranked.index("builtin:first-step") < ranked.index("o1-mini"), "own rows come first"
    folded = shown[shown.index("<details>") :]
    assert "Among 16 published figures" in folded
    assert folded.index("o1-mini") < folded.index(SECOND) < folded.index("builtin:first-step")
    assert f'{SECOND} <span class="tag">measured here</span>' in folded
    assert ("o1-mini", ' <span class="tag">quoted</span>') in names
    assert (SECOND, "") in names
    rest = text[text.index('data-benchmark="meadow"') : text.index('id="scores"')]
    assert "quoted" not in rest


def test_leaderboard_states_both_conventions_and_comparisons(report):
    _, runs = all_runs()
    text = report[1].read_text(encoding="utf-8")
    scores = runs[0].results.overall.scores
    assert 0 < scores["f1"].value < scores["f1_scored"].value
    for name in ("f1", "f1_scored"):
        assert interval_text(scores[name], digits=1) in text
    assert "10 of 60" in text
    assert "\u221212.3 [\u221220.0, \u22124.0]" in text
    assert "see Holm &lt;b&gt;1979&lt;/b&gt;" in text
    assert "&lt; 0.001" in text


def test_intervals_in_words_and_as_bars():
    assert interval_text(Interval(0.5, 0.25, 0.75), digits=1, scale=100) == "50.0 [25.0, 75.0]"
    assert interval_text(Interval(None, None, None), digits=1) == "undefined"
    assert interval_text(Interval(-0.04, None, None), digits=1) == "0.0"
    bar = interval_cell(Interval(0.5, 0.0, 1.0), scale=100, target=100).html
    # the bar runs over 2..148 of 150 pixels
    assert 'x="2" y="3" width="73.0"' in bar and "M2.0 8H148.0" in bar and "M148.0 3l4 5" in bar
    assert "bar-quoted" in interval_cell(Interval(1.0, None, None), quoted=True).html


def test_texts_are_packed_once_and_probabilities_to_three_digits():
    solutions, runs = all_runs()
    data = solutions_data(group_runs(runs)[0], n_browsed=10)
    assert data["solutions"]["id"] == [s.id for s in solutions[::6]]
    assert data["shown"] == list(range(0, 60, 6))
    assert [len(letters) for letters in data["outcomes"]] == [60, 60, 60]
    assert data["outcomes"][0][:6] == "RELMNF"
    first, second, _ = data["judges"]
    assert first["p_ok"][0] == [750, 250, 750] and first["predicted"][0] == 1
    assert second["predicted"] == [0] * 10
    whole = solutions_data(group_runs(runs)[0], n_browsed=60)["judges"][0]
    assert (whole["p_ok"][4], whole["predicted"][4], whole["no_verdict"][4]) == (None, None, "too_long")


def test_a_problem_with_several_solutions_is_stored_once():
    solutions = [sample(i, first_error=0, problem=f"Problem {i // 3}") for i in range(6)]
    run = run_of(load_judge("builtin:first-step"), solutions, benchmark="orchard")
    data = solutions_data(group_runs([run])[0], n_browsed=6)
    assert data["problems"] == ["Problem 0", "Problem 1"]
    assert data["solutions"]["problem"] == [0, 0, 0, 1, 1, 1]


def test_browser_of_a_large_set_says_that_it_shows_some(tmp_path):
    text = write(tmp_path, n_browsed=10)[1].read_text(encoding="utf-8")
    assert "10 of 60 solutions, evenly spaced." in text
    assert len(embedded(text, "solutions-0")["solutions"]["id"]) == 10


def test_a_judge_without_any_verdict_is_shown_without_probabilities(tmp_path):
    solutions = [sample(i, first_error=0) for i in range(4)]
    silent = FakeJudge({}, no_verdict={s.id: NoVerdictReason.REFUSED for s in solutions}, judge_id="silent")
    run = run_of(silent, solutions, benchmark="orchard")
    panels = embedded(report_html([run], build_leaderboards([run.results]), n_browsed=9), "panels-0")
    assert "nothing to draw" in panels["reliability"][0][0]
    assert "no probabilities to score" in panels["steps"][0]
    assert "refused 4" in panels["scores"][0]


def test_auroc_stands_beside_its_floor_and_older_results_without_it_still_open():
    run = run_of(load_judge("builtin:random"), [sample(i, first_error=i % 3) for i in range(9)], benchmark="orchard")
    older = run.results.model_dump(mode="json")
    for values in older["subsets"].values():
        del values["steps"]["auroc_within_position"], values["steps"]["n_pairs_within_position"]
    for results, shown in ((run.results, None), (EvalResults.model_validate(older), "not measured")):
        (benchmark,) = group_runs([run._replace(results=results)])
        (subset,) = benchmark.subsets
        html = step_scores_html(benchmark, subset)
        assert "AUROC within position" in html
        assert "The floor of AUROC is not 0.5" in html
        figure = run.results.subsets[subset].steps.auroc_within_position
        assert (shown or f"{figure.value:.3f}") in html
        assert ("not measured" in html) == (shown is not None)


def test_runs_that_cannot_stand_side_by_side_are_refused(tmp_path):
    judge = load_judge("builtin:first-step")
    runs = [run_of(judge, [sample(i, first_error=0)], benchmark="orchard") for i in (1, 2)]
    with pytest.raises(DataError, match="two runs of judge builtin:first-step on orchard"):
        group_runs(runs)
    other = run_of(load_judge("builtin:no-error"), [sample(2, first_error=0)], benchmark="orchard")
    with pytest.raises(DataError, match="judged different solutions of orchard"):
        group_runs([runs[0], other])
    with pytest.raises(DataError, match="at least one run"):
        report_html([], [], n_browsed=1)


class Page:
    """What the tests do with an open report."""

    def __init__(self, driver):
        self.driver = driver

    def one(self, selector):
        return self.driver.find_element("css selector", selector)

    def text(self, selector):
        return self.one(selector).text

    def texts(self, selector):
        return [element.text for element in self.driver.find_elements("css selector", selector)]

    def click(self, selector):
        self.one(selector).click()

    def choose(self, select_id, value):
        set_value = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change'));"
        self.driver.execute_script(set_value, self.one(f"#{select_id}"), value)
        assert self.value(select_id) == value

    def value(self, element_id):
        return self.one(f"#{element_id}").get_property("value")

    def address(self):
        """Wait until the state stands in the address, and return its fragment."""
        from selenium.webdriver.support.wait import WebDriverWait

        WebDriverWait(self.driver, 20, poll_frequency=0.05).until(
            lambda d: d.execute_script("return hashTimer === null") or None
        )
        return self.driver.execute_script("return location.hash")

    def n_shown(self):
        return int(self.text("#position").split()[-1])


def test_filtering_and_searching(browser, report):
    page = Page(browser.open(report[1], fragment=FIRST_CHOSEN))
    assert page.text("#position") == "1 of 60"
    counts = {}
    for letter in "RELMFN":
        page.click(f'[data-show="{letter}"]')
        counts[letter] = page.n_shown()
        pressed = page.driver.find_elements("css selector", '#show [aria-pressed="true"]')
        assert [button.get_attribute("data-show") for button in pressed] == [letter]
        assert page.text(f'[data-show="{letter}"] .number') == str(counts[letter])
    assert counts == {"R": 15, "E": 10, "L": 10, "M": 10, "F": 5, "N": 10}
    assert "? no verdict (too_long)" in page.text(".verdict")
    assert "no probabilities" in page.text(".verdict")

    page.click('[data-show="E"]')
    assert page.text("#detail h3") == "True first error: step 1"
    assert "← early: step 0" in page.text(".verdict")
    steps = page.texts(".step")
    assert "P(ok) 0.250" in steps[0] and "▶ judge's first error" in steps[0]
    assert "◆ true first error" in steps[1] and "after the true first error" in steps[2]
    colours = [
        e.value_of_css_property("background-color") for e in page.driver.find_elements("css selector", ".stripe")
    ]
    assert colours[0].startswith("rgba(213, 94, 0") and colours[1].startswith("rgba(0, 114, 178")

    page.click('[data-show="all"]')
    page.one("#search").send_keys("OF SOLUTION 37.")
    assert page.text("#position") == "1 of 1"
    assert "row-37" in page.text("#detail")
    page.one("#search").send_keys("jk")  # typing is no navigation
    assert page.text("#position") == "no solution matches"
    assert page.text("#detail") == ""
    page.one("#search").clear()
    page.one("#search").send_keys(" ")
    page.choose("within", "mill")
    assert page.n_shown() == 15
    page.choose("generator", "hand")
    assert page.n_shown() == 15
    page.choose("within", "")
    assert page.n_shown() == 59  # the first was written by something else
    assert browser.messages() == []


def test_two_judges_side_by_side(browser, report):
    page = Page(browser.open(report[1], fragment=FIRST_CHOSEN))
    assert not page.one("#pair").is_displayed()
    page.choose("other", SECOND)
    table = {row.split()[0]: row.split()[1:] for row in page.texts("#agreement tbody tr")}
    # of 60: A is right on i % 6 = 0 and half of i % 6 = 5, B on i % 3 != 0
    assert table["all"] == ["5", "10", "35", "10", "25.0", "%"]
    assert [sum(int(row[k]) for name, row in table.items() if name != "all") for k in range(4)] == [5, 10, 35, 10]
    expected = {"all": 60, "both": 5, "only-a": 10, "only-b": 35, "neither": 10}
    for kind, n in expected.items():
        page.click(f'[data-pair="{kind}"]')
        assert (kind, page.n_shown()) == (kind, n)
        assert page.text(f'[data-pair="{kind}"] .number') == str(n)

    page.click('[data-pair="only-b"]')
    page.click('[data-show="E"]')
    assert page.n_shown() == 10
    assert "A ← step 0 · B ✓ step 1" in page.text('.row[aria-selected="true"]')
    first, second = page.texts(".verdict")
    assert "← early: step 0" in first and "✓ right: step 1" in second
    steps = page.texts(".step")
    assert "A P(ok) 0.250" in steps[0] and "B P(ok) 0.750" in steps[0] and "▶ A's first error" in steps[0]
    assert "▶ B's first error" in steps[1] and "◆ true first error" in steps[1]
    stripes = page.driver.find_elements("css selector", ".step:first-child .stripe")
    assert [stripe.text for stripe in stripes] == ["A", "B"]
    colours = [stripe.value_of_css_property("background-color") for stripe in stripes]
    assert colours[0].startswith("rgba(213, 94, 0") and colours[1].startswith("rgba(0, 114, 178")
    page.choose("judge-a", SECOND)  # nobody is compared with itself
    assert page.value("other") == "" and page.value("judge") == SECOND
    assert browser.messages() == []


def test_choices_change_the_figures(browser, report):
    page = Page(browser.open(report[1], fragment=FIRST_CHOSEN))
    assert "shop: percent" in page.text('[data-panel="scores"]')
    page.choose("subset", "mill")
    assert "mill: percent" in page.text('[data-panel="scores"]')
    assert "Risk at each coverage on mill" in page.text('[data-panel="risk"]')
    assert len(page.driver.find_elements("css selector", '[data-panel="reliability"] figure')) == 2
    before = page.text('[data-panel="first_error"]')
    page.choose("judge", SECOND)
    assert page.text('[data-panel="first_error"]') != before
    assert page.one('[data-benchmark="processbench"]').is_displayed()
    page.choose("benchmark", "meadow")
    assert page.one('[data-benchmark="meadow"]').is_displayed()
    assert not page.one('[data-benchmark="processbench"]').is_displayed()
    assert page.value("judge") == SECOND and page.value("subset") == "grass"
    assert page.text("#position") == "1 of 9"
    page.click('[data-jump="calibration"]')
    top = page.driver.execute_script("return document.getElementById('calibration').getBoundingClientRect().top")
    assert 0 <= top < 200
    assert browser.messages() == []


def test_a_copied_address_opens_the_same_view(browser, report):
    from selenium.webdriver.common.keys import Keys

    solutions, file = report
    page = Page(browser.open(file, fragment=FIRST_CHOSEN))
    page.choose("subset", "mill")
    page.choose("other", SECOND)
    page.choose("within", "shop")
    page.choose("generator", "hand")
    page.click('[data-show="E"]')
    page.click('[data-pair="only-b"]')
    page.one("#search").send_keys("plums" + Keys.ESCAPE)
    page.one("body").send_keys("j")
    ids = ("benchmark", "subset", "judge", "judge-a", "other", "within", "generator", "search")

    def view():
        pressed = page.driver.find_elements("css selector", '[aria-pressed="true"]')
        buttons = [button.get_attribute("outerHTML") for button in pressed]
        return [page.value(name) for name in ids], buttons, page.text("#position"), page.text("#detail")

    before, address = view(), page.address()
    assert before[0] == ["processbench", "mill", FIRST, FIRST, SECOND, "shop", "hand", "plums"]
    assert before[2].startswith("2 of ")
    browser.open(file, fragment=address)
    assert view() == before
    assert page.one("#browser").rect["y"] > 0

    # a bare address of one solution, and one whose filters hide it: the filters give way
    for address in (f"#solution={solutions[50].id}", f"#solution={solutions[50].id}&show=E&search=nothing"):
        browser.open(file, fragment=address)
        assert "row-50" in page.text("#detail") and page.text("#position") == "51 of 60"
    browser.open(file, fragment="#judge=gone&benchmark=gone&show=X&pair=both&solution=gone&other=gone")
    assert page.text("#position") == "1 of 60"
    assert browser.messages() == []


def test_keyboard(browser, report):
    from selenium.webdriver.common.keys import Keys

    _, file = report
    page = Page(browser.open(file, fragment=FIRST_CHOSEN))
    body = page.one("body")
    body.send_keys("jjj")
    assert page.text("#position") == "4 of 60"
    body.send_keys("k")
    assert page.text("#position") == "3 of 60"
    page.one("#list").send_keys(Keys.ARROW_DOWN * 30 + Keys.ARROW_UP)
    assert page.text("#position") == "32 of 60"
    selected = page.one('.row[aria-selected="true"]')
    assert page.one("#list").get_attribute("aria-activedescendant") == selected.get_attribute("id")
    box, outer = selected.rect, page.one("#list").rect
    assert outer["y"] <= box["y"] and box["y"] + box["height"] <= outer["y"] + outer["height"] + 1
    page.one("#list").send_keys(Keys.END)
    assert page.text("#position") == "60 of 60"
    page.one("#list").send_keys(Keys.HOME)
    assert page.text("#position") == "1 of 60"

    body.send_keys("/")
    page.driver.switch_to.active_element.send_keys("solution 7.")
    assert page.text("#position") == "1 of 1" and page.value("search") == "solution 7."
    page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    body.send_keys("?")
    assert page.one("#help").is_displayed() and "next and previous" in page.text("#help")
    page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not page.one("#help").is_displayed()
    style = "const s = getComputedStyle(document.activeElement); return [s.outlineStyle, s.outlineWidth]"
    page.one("#list").send_keys(Keys.TAB)
    assert page.driver.execute_script(style) == ["solid", "2px"]
    assert browser.messages() == []


def test_everything_that_can_be_operated_has_a_name(browser, report):
    page = Page(browser.open(report[1], fragment=FIRST_CHOSEN))
    page.choose("other", SECOND)
    tree = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    operated = {"button", "combobox", "listbox", "searchbox", "region", "image"}
    nodes = [node for node in tree if node.get("role", {}).get("value") in operated and not node["ignored"]]
    assert len(nodes) > 30
    nameless = [node for node in nodes if not node.get("name", {}).get("value")]
    assert [node["role"]["value"] for node in nameless] == []


def test_hostile_text_is_shown_and_does_nothing(browser, report):
    _, file = report
    page = Page(browser.open(file, fragment=FIRST_CHOSEN))
    assert page.driver.title == "3 judges on processbench, meadow"
    assert page.one(".problem").get_property("textContent") == HOSTILE
    assert page.driver.find_elements("css selector", ".step .text")[1].get_property("textContent") == "x\n  y < z & w"
    page.choose("generator", HOSTILE)
    assert page.text("#position") == "1 of 1"
    page.one("#search").send_keys("<img")
    assert page.text("#position") == "1 of 1"
    page.address()
    assert not page.driver.find_elements("css selector", "img, iframe, main script, main style")
    assert page.driver.title == "3 judges on processbench, meadow"
    assert browser.requests() == [file.as_uri()]
    assert browser.messages() == []


def test_policy_stops_scripts_that_are_not_the_page_s_own(browser, report):
    driver = browser.open(report[1], fragment=FIRST_CHOSEN)
    title = driver.title
    blocked = driver.execute_async_script(
        "const done = arguments[0];"
        "document.addEventListener('securitypolicyviolation', (event) => done(event.effectiveDirective));"
        "const i = document.createElement('div');"
        "i.innerHTML = '<b onclick=\"document.title=1\">x</b>'; document.body.append(i); i.firstChild.click();"
    )
    assert blocked == "script-src-attr"
    assert driver.title == title
    assert any("Content Security Policy" in message for message in browser.messages())


def test_thousands_of_solutions_keep_few_elements_in_the_document(browser, tmp_path):
    page = Page(browser.open(write(tmp_path, n=3400)[1], fragment=FIRST_CHOSEN))
    assert page.text("#position") == "1 of 3400"

    def count(selector):
        return len(page.driver.find_elements("css selector", selector))

    n_elements = count("*")
    page.driver.execute_script("const l = document.getElementById('list'); l.scrollTop = 1700 * 56;")
    page.driver.execute_script("document.getElementById('list').dispatchEvent(new Event('scroll'))")
    assert 5 < count(".list .row") < 40
    assert "row-17" in page.text(".list .row:nth-child(3)")
    page.one("#list").send_keys("j" * 20)
    assert page.text("#position") == "21 of 3400"
    page.one("#search").send_keys("solution 33")
    assert page.n_shown() == 111  # 33, 330 to 339, 3300 to 3399
    assert count(".list .row") < 40 and count("*") < n_elements + 60


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 360])
def test_report_fits_its_window(browser, report, tmp_path, width, scheme):
    _, file = report
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    page = Page(browser.open(file, width=width, fragment=FIRST_CHOSEN))
    page.choose("other", SECOND)
    for benchmark in ("processbench", "meadow"):
        page.choose("benchmark", benchmark)
        assert page.driver.execute_script("return document.documentElement.scrollWidth") <= width
    background = page.one("body").value_of_css_property("background-color")
    assert background == ("rgba(255, 255, 255, 1)" if scheme == "light" else "rgba(21, 24, 28, 1)")
    page.click("#next")
    assert page.text("#position") == "2 of 9"
    assert page.driver.save_screenshot(str(tmp_path / "report.png"))
    assert browser.messages() == []
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_print_leaves_out_what_cannot_be_used_on_paper(browser, report):
    page = Page(browser.open(report[1], fragment=FIRST_CHOSEN))
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not any(page.one(selector).is_displayed() for selector in (".bar", "#list", "#search"))
    assert page.one("#detail").is_displayed() and page.one('[data-benchmark="processbench"]').is_displayed()
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def shares(value):
    return {"value": value, "lo": value - 0.05, "hi": value + 0.05}


def coverage_figures(alpha):
    prefix = {"min_survival": 0.9, "risk": shares(0.0625), "mean_share": shares(0.5), "empty_share": shares(0.25)}
    index_set = {"max_mass": 0.8, "coverage": shares(0.875), "mean_size": shares(2.5), "mean_share": shares(0.5)}
    spread = {"mean": 0.9375, "sd": 0.1, "lo": 0.75, "hi": 1.0}
    return {
        "alpha": alpha,
        "n_problems_calibration": 20,
        "n_problems": 21,
        "n": 22,
        "n_no_verdict": 1,
        "index_set": index_set | {"full_share": shares(0.125)},
        "prefix": prefix,
        "prefix_if_wrong": prefix,
        "splits": {"index_set": {"coverage": spread}, "prefix": {"risk": spread}, "prefix_if_wrong": {"risk": spread}},
    }


def test_guarantees_stand_beside_what_was_promised(tmp_path):
    run = run_of(load_judge("builtin:first-step"), [sample(i, first_error=0) for i in range(4)], benchmark="orchard")
    part = {"n": 4, "n_no_verdict": 0, "n_problems": 4, "mean_outcomes": 4.0, "held_out": [coverage_figures(0.1)]}
    shift = {"kind": "subset", "calibrated_on": "field <b>", "tested_on": "shop", "subset": "shop"}
    shifts = [
        shift | {"figures": [coverage_figures(0.2) | {"splits": None}]},
        shift | {"subset": "mill", "figures": []},
    ]
    settings = {"alphas": [0.1], "n_splits": 2, "n_resamples": 100, "seed": 0, "level": 0.95, "weighting": "problem"}
    conformal = settings | {"subsets": {"shop": part}, "shift": shifts}
    results = EvalResults.model_validate(run.results.model_dump(mode="json") | {"conformal": conformal})
    page = report_html([run._replace(results=results)], build_leaderboards([results]), n_browsed=9)
    (((html,),)) = embedded(page, "panels-0")["coverage"]
    rows = [re.sub(r"<[^>]+>", "|", row) for row in re.findall(r"<tr>.*?</tr>", html)]
    rows = [[cell for cell in row.split("|") if cell] for row in rows]
    assert ["90 %", "87.5 [82.5, 92.5]", "93.8 [75.0, 100.0]", "2.50 [2.45, 2.55]", "12.5 [7.5, 17.5]"] in rows
    assert rows.count(["10 %", "6.2 [1.2, 11.2]", "93.8 [75.0, 100.0]", "50.0 [45.0, 55.0]", "25.0 [20.0, 30.0]"]) == 2
    assert [row for row in rows if row[0] == "field &lt;b&gt; \u2192 shop"] == [
        [
            "field &lt;b&gt; \u2192 shop",
            "80 %",
            "87.5 [82.5, 92.5]",
            "2.50 [2.45, 2.55]",
            "6.2 [1.2, 11.2]",
            "20 \u2192 21",
        ]
    ]
    assert html.count('class="diamond"') == 4


def test_speed_of_opening_is_measured_in_the_browser(browser, report):
    (opening,) = measure_opening(report[1], rounds=1)
    assert 0 < opening.shown_ms <= opening.loaded_ms and 0 < opening.interactive_ms <= opening.loaded_ms
    assert opening.cpu_ms > 0
    with pytest.raises(ConfigError, match="is not a file"):
        measure_opening(report[1].with_name("gone.html"), rounds=1)
