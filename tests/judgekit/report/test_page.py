import re
from html.parser import HTMLParser

import pytest

from judgekit.metrics.steps import compute_bins
from judgekit.report.page import (
    Section,
    Series,
    bullet_list,
    code,
    collapsed,
    escape,
    heat_table,
    json_script,
    line_plot,
    link,
    paragraph,
    reliability_diagram,
    render_page,
    table,
)

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\"><!--"


class Tags(HTMLParser):
    """Collects the tags that a parser sees."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def test_every_building_block_escapes_its_texts():
    bins = compute_bins([0.2, 0.9], [0, 1], n_bins=2)
    blocks = [
        paragraph(HOSTILE),
        bullet_list([HOSTILE]),
        table([HOSTILE], [[HOSTILE]], caption=HOSTILE),
        heat_table([HOSTILE], [HOSTILE], [[1]], corner=HOSTILE, caption=HOSTILE),
        line_plot([Series(HOSTILE, [0, 1], [0, 1])], title=HOSTILE, x_label=HOSTILE, y_label=HOSTILE),
        reliability_diagram(bins, title=HOSTILE),
        render_page(HOSTILE, [Section(HOSTILE, "")]),
        json_script("data", {HOSTILE: HOSTILE}),
    ]
    for block in blocks:
        assert "<img" not in block
        assert "<!--" not in block


def test_lone_surrogates_do_not_break_the_page():
    assert escape("a\ud800b").encode() == b"a?b"
    assert json_script("data", "a\ud800b").encode().count(b"\\ud800") == 1


def test_line_plot_maps_values_to_pixels():
    # frame: 46..418 sideways for x in 0..2, 28..246 from the top for y in 0..1
    plot = line_plot([Series("a", [0, 1, 2], [0.0, 0.5, 1.0])], title="t", x_label="x", y_label="y", y_range=(0.0, 1.0))
    assert 'points="46.0,246.0 232.0,137.0 418.0,28.0"' in plot


def test_line_plot_leaves_gaps_and_draws_single_points():
    plot = line_plot([Series("a", [0, 1, 2, 3], [0.0, None, 1.0, 1.0])], title="t", x_label="x", y_label="y")
    assert [len(points.split()) for points in re.findall(r'<polyline class="line"[^>]*points="([^"]*)"', plot)] == [
        1,
        2,
    ]
    assert plot.count("<circle") == 1


def test_band_runs_along_the_lower_edge_and_back_along_the_upper():
    series = Series("a", [0, 1], [0.5, 0.5], lo=[0.25, 0.0], hi=[0.75, 1.0])
    plot = line_plot([series], title="t", x_label="x", y_label="y", y_range=(0.0, 1.0))
    assert 'points="46.0,191.5 418.0,246.0 418.0,28.0 46.0,82.5"' in plot


def test_a_line_looks_the_same_where_another_has_no_values_and_a_caption_never_repeats_the_axis():
    both = line_plot([Series("a", [0], [1.0]), Series("b", [0, 1], [0, 1])], title="t", x_label="x", y_label="t")
    alone = line_plot([Series("a", [], []), Series("b", [0, 1], [0, 1])], title="t", x_label="x", y_label="t")
    [look] = re.findall(r'<polyline class="line" (stroke="[^"]*" stroke-dasharray="[^"]*")[^>]* [^>]*246.0 ', alone)
    assert look in both and 'points="46.0,246.0' in both
    assert "figcaption" not in alone and ">a</li>" not in alone


def test_pieces_of_a_paragraph_are_escaped_but_for_html():
    assert paragraph("a < b, ", link("c & d", 'e"f'), code("<g>")) == (
        '<p>a &lt; b, <a href="e&quot;f">c &amp; d</a><code>&lt;g&gt;</code></p>'
    )


def test_points_of_few_steps_are_hollow_and_the_legend_says_so():
    few = reliability_diagram(compute_bins([0.2] * 10 + [0.9] * 9, [0] * 10 + [1] * 9, n_bins=2), title="t")
    assert few.count('<circle class="few"') == 2 and "fewer than 10 steps" in few  # a point, and the legend's key
    many = reliability_diagram(compute_bins([0.2] * 10, [0] * 10, n_bins=2), title="t")
    assert "few" not in many


def test_plot_without_values_says_so():
    assert line_plot([Series("a", [0], [None])], title="Loss", x_label="x", y_label="y") == "<p>Loss: no values.</p>"


def test_heat_table_shades_by_share_of_the_row():
    html = heat_table(["0", "none"], ["0", "none"], [[9, 0], [1, 1]], corner="", caption="")
    cells = re.findall(r'<td class="(heat-\d)( same)?">([^<]*)<', html)
    assert cells == [("heat-9", " same", "9"), ("heat-0", "", "·"), ("heat-5", "", "1"), ("heat-5", " same", "1")]


def test_page_names_no_address():
    plot = line_plot([Series("a", [0, 1], [0, 1])], title="t", x_label="x", y_label="y")
    page = render_page("Title", [Section("One", plot)], script="'use strict';")
    assert "http:" not in page and "https:" not in page and "//" not in page.replace("<!DOCTYPE", "")
    linking = {"href", "src", "action", "data", "srcset"}
    assert not [tag for tag, attributes in Tags(page).tags if linking & attributes.keys()]


@pytest.mark.parametrize("width", [1400, 390])
def test_page_fits_its_window_and_asks_for_nothing(browser, tmp_path, width):
    names = ["GRPO", "SGPO", "SGPO with a judge that answers at random"]
    series = [Series(name, [0, 50, 100], [0.1, 0.5, 0.8], [0.0, 0.4, 0.7], [0.2, 0.6, 0.9]) for name in names]
    plot = line_plot(series, title="Accuracy", x_label="updates", y_label="accuracy")
    wide = table(
        [f"column {i}" for i in range(20)], [["x"] * 20], caption="A caption that is long enough to wrap. " * 3
    )
    page = tmp_path / "page.html"
    page.write_text(render_page("Title", [Section("One", plot + wide + table(["a"], [["b"]]))]), encoding="utf-8")
    driver = browser.open(page, width=width)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    scrolls, whole = driver.execute_script(
        "return [...document.querySelectorAll('.scroll')].map((e) => getComputedStyle(e, '::before').maxHeight)"
    )
    assert scrolls != "0px" and whole == "0px"  # only a table that goes on behind the edge says so
    text_size = driver.execute_script(
        "const t = document.querySelector('svg text'); return t.getBoundingClientRect().height"
    )
    assert text_size > 10
    assert browser.requests() == [page.as_uri()]
    assert browser.messages() == []


def test_paper_shows_what_is_folded(browser, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(render_page("Title", [Section("One", collapsed("more", paragraph("inside")))]), encoding="utf-8")
    driver, is_visible = browser.open(page), "return document.querySelector('details p').checkVisibility()"
    assert not driver.execute_script(is_visible)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert driver.execute_script(is_visible)
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
