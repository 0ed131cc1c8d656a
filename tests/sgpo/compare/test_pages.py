"""What is shown of a comparison: bands and panels as data, the table in a terminal, the page in a browser."""

import math
from pathlib import Path

import pytest
import scipy.stats
from rich.console import Console

from sgpo.compare.figures import ACCURACY, MOST_LINES, RTS, band, plots
from sgpo.compare.judge_errors import error_plots, error_trends
from sgpo.compare.page import comparison_html
from sgpo.compare.report import comparison_markdown, read_runs
from sgpo.compare.results import ArmResult, Comparison, Curve
from sgpo.compare.runs import ArmRun
from sgpo.compare.statistics import compare_arms
from sgpo.compare.table import findings, print_table
from sgpo.guards import Firing
from tests.sgpo.compare.samples import ACCURACIES, PER_BATCH, write_run, write_runs

FIRED = Firing(
    step=7, guard="judge_auc", value=0.5, bound=0.6, window=7, action="judge_off", what="w<b>", way_out="out"
)


@pytest.fixture
def small(tmp_path: Path) -> Comparison:
    return compare_arms(read_runs(write_runs(tmp_path)), reference="grpo", n_steps=40)


@pytest.fixture
def large(tmp_path: Path) -> Comparison:
    """Seventeen arms with long names; sgpo is above, the others end where grpo does, by chance a little off."""
    ends = {("grpo", seed): [0.1, 0.2, 0.3 + 0.02 * seed, 0.3] for seed in range(3)}
    ends |= {("sgpo", seed): [0.1, 0.5, 0.6 + 0.021 * seed, 0.6] for seed in range(3)}
    for index in range(15):
        for seed in range(3):
            off = 0.01 * ((index + 2 * seed) % 4)
            ends[f"algorithm_{index:02}_long", seed] = [0.1, 0.2, 0.3 + 0.02 * seed - off, 0.3]
    runs = [write_run(ArmRun(*key, tmp_path / f"large/{key[0]}-seed{key[1]}"), of) for key, of in ends.items()]
    return compare_arms(read_runs(runs), reference="grpo", n_steps=30)


def erring(comparison: Comparison) -> Comparison:
    """Turn arms into those of a sweep: sgpo with a judge, the same with late errors, ngrpo without a judge."""
    sgpo = comparison.arms["sgpo"].model_copy(update={"algorithm": "sgpo", "judge": "j"})
    late = comparison.arms["random"].model_copy(update={"algorithm": "sgpo", "judge": "j", "error_kind": "late"})
    arms = {
        "grpo": comparison.arms["grpo"],
        "sgpo": sgpo,
        "late_60": late.model_copy(update={"error_rate": 0.6}),
        "late_30": sgpo.model_copy(update={"error_kind": "late", "error_rate": 0.3}),
    }
    return comparison.model_copy(update={"arms": arms})


def test_a_band_is_students_interval_at_common_points(small: Comparison) -> None:
    runs = list(small.arms["sgpo"].seeds.values())
    line = band("sgpo", runs, ACCURACY, over_rollouts=True)
    assert line.x == [10 * PER_BATCH * i for i in range(5)]
    assert line.y == pytest.approx([0.0, 0.25, 0.4, 0.5, 0.6])
    lo, hi = scipy.stats.t.interval(0.95, 1, loc=0.25, scale=0.05)
    assert line.lo is not None and line.hi is not None
    assert (line.lo[1], line.hi[1]) == pytest.approx((lo, hi))
    assert line.lo[2] is None, "both seeds have 0.4 there: no spread, so no band"


def test_seeds_that_sample_differently_meet_at_equal_rollouts(small: Comparison) -> None:
    """The second seed uses twice the rollouts: at 640 the first is at step 20 and it at step 10."""
    first, second = small.arms["sgpo"].seeds.values()
    twice = Curve(steps=second.rollouts.steps, values=tuple(2 * value for value in second.rollouts.values))
    line = band("s", [first, second.model_copy(update={"rollouts": twice})], ACCURACY, over_rollouts=True)
    assert line.x[-1] == 40 * PER_BATCH, "not beyond the run that ends first"
    assert line.y[line.x.index(20 * PER_BATCH)] == pytest.approx((0.4 + 0.2) / 2)


def test_long_curves_become_means_of_stretches(small: Comparison) -> None:
    run = small.arms["sgpo"].seeds["0"]
    steps = tuple(range(1, 601))
    noisy = run.model_copy(update={"curve": Curve(steps=steps, values=tuple(step % 2 for step in steps))})
    line = band("s", [noisy], ACCURACY, over_rollouts=False)
    assert len(line.x) == 60 and line.x[0] == 5.5 and set(line.y) == {0.5}


def test_arms_share_a_plot_while_lines_can_be_told_apart(small: Comparison, large: Comparison) -> None:
    (one,) = plots(small, ACCURACY)
    assert [line.name for line in one.series] == ["sgpo", "grpo", "random"], "best first"
    panels = plots(large, ACCURACY)
    assert len(panels) == len(large.arms) - 1 > MOST_LINES
    assert [[line.name for line in plot.series] for plot in panels[:1]] == [["sgpo", "grpo"]]
    assert len({plot.y_range for plot in panels}) == 1
    inside = [end for plot in panels for line in plot.series for end in (*(line.lo or ()), *(line.hi or ())) if end]
    assert min(inside) >= 0 and max(inside) <= panels[0].y_range[1]
    assert plots(small, RTS) == [], "no run has any"


def test_accuracy_over_the_error_rate(small: Comparison) -> None:
    assert error_plots(small) == []
    (late,) = error_plots(erring(small))
    assert late.title == "late errors"
    sgpo, grpo = late.series
    assert (sgpo.name, sgpo.x) == ("sgpo", [0.0, 30.0, 60.0])
    assert sgpo.y == pytest.approx([0.5, 0.5, 0.5 / 3])
    assert (grpo.name, grpo.x, grpo.y) == ("grpo", [0.0, 60.0], pytest.approx([0.85 / 3] * 2))


def test_the_slope_over_the_error_rate_by_hand(small: Comparison) -> None:
    """Seed 0: sgpo .46667 at 0 and 30 %, .13333 at 60 %; seed 1: .53333 twice, .2. Both fall by 1/3 from 30 to 60 %.

    Through y, y, y - 1/3 at 0, .3, .6 the slope is (-1/3 * .3) / (.09 + .09) = -.55556, the same for both seeds.
    """
    (trend,) = error_trends(erring(small).arms)
    assert (trend.error_kind, trend.algorithm, trend.rates) == ("late", "sgpo", (0.0, 0.3, 0.6))
    assert trend.slope.value == pytest.approx(-0.1 / 0.18)
    assert (trend.slope.n_seeds, trend.slope.lo) == (2, None), "no spread, so no interval"
    shown = comparison_markdown(small.model_copy(update={"trends": (trend,)}))
    assert "| late | sgpo | \u22120.056 | undefined | undefined | 2 |" in shown
    assert error_trends(small.arms) == ()


def test_the_table_is_best_first_and_fits_a_terminal(large: Comparison, capsys: pytest.CaptureFixture[str]) -> None:
    print_table(large, Console(width=100))
    shown = capsys.readouterr().out.splitlines()
    assert max(map(len, shown)) <= 100
    rows = [line.split()[0] for line in shown if "[" in line and "guards" not in line and "95" not in line]
    assert len(rows) == 17 and rows[0] == "sgpo", "a line an arm"
    assert "+0.300" in next(line for line in shown if line.startswith("sgpo"))
    assert "reference" in next(line for line in shown if line.startswith("grpo"))
    print_table(large, Console(width=60, force_terminal=True))
    row = next(line for line in capsys.readouterr().out.splitlines() if "algorithm_00_long" in line)
    assert "]" in row and len(row) < 80, "fewer columns, none of them broken"


def test_what_was_not_told_apart_is_said(large: Comparison) -> None:
    above, rest = findings(large)[0], findings(large)[1:]
    assert above == "above grpo: sgpo"
    assert any(line.startswith("not significantly different from grpo: ") for line in rest)
    named = [name for line in findings(large) for name in line.split(": ")[1].split(", ")]
    assert sorted([*named, "grpo"]) == sorted(large.arms)


def test_a_reference_that_ends_where_it_began_is_no_goal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = write_runs(tmp_path, {("grpo", 0): [0.4, 0.3, 0.3, 0.3], ("sgpo", 0): [0.4, 0.5, 0.5, 0.5]})
    print_table(compare_arms(read_runs(runs), reference="grpo", n_steps=30), Console(width=100))
    said = capsys.readouterr().out
    assert "grpo ends no higher than it starts" in said and "1 of 1" in said and "never" not in said


def fired(arm: ArmResult) -> ArmResult:
    return arm.model_copy(
        update={"seeds": {seed: run.model_copy(update={"guards": (FIRED,)}) for seed, run in arm.seeds.items()}}
    )


def test_guards_are_named_with_arm_and_step(small: Comparison, capsys: pytest.CaptureFixture[str]) -> None:
    with_guard = small.model_copy(update={"arms": small.arms | {"random": fired(small.arms["random"])}})
    print_table(with_guard, Console(width=100))
    assert "random: guards.judge_auc (judge_off) in 2 of 2 at step 7, 7" in capsys.readouterr().out
    assert with_guard.rows()[-1]["guards"] == [{"guard": "judge_auc", "step": 7, "action": "judge_off"}]
    assert "judge_auc (judge_off) in 2 of 2" in comparison_markdown(with_guard)
    assert "w&lt;b&gt;" in comparison_html(with_guard), "what a guard saw is text, never markup"


def test_the_page_opens_alone_and_fits_a_phone(large: Comparison, tmp_path: Path, browser) -> None:  # type: ignore[no-untyped-def]
    page = tmp_path / "compare.html"
    page.write_text(comparison_html(large), encoding="utf-8")
    for width in (1400, 390):
        driver = browser.open(page, width=width)
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        assert len(driver.find_elements("css selector", ".panels svg")) >= 2 * 16
    assert browser.requests() == [page.as_uri()] and browser.messages() == []


def test_values_are_never_nan_in_json(small: Comparison) -> None:
    def numbers(value: object) -> list[float]:
        if isinstance(value, dict):
            return [found for item in value.values() for found in numbers(item)]
        if isinstance(value, list):
            return [found for item in value for found in numbers(item)]
        return [value] if isinstance(value, float) else []

    assert not any(math.isnan(number) for number in numbers(small.model_dump(mode="json")))
    assert Comparison.model_validate(small.model_dump(mode="json")) == small
    assert ACCURACIES.keys() == {(row["arm"], row["seed"]) for row in small.rows()}
