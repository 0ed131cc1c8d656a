import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judgekit.errors import DataError
from judgekit.metrics import bootstrap
from judgekit.metrics.bootstrap import Resamples, holm_adjust, paired_bootstrap, percentile_interval
from judgekit.metrics.ranking import weighted_ranking


def mean_of_sums(sums_R):
    return sums_R[:, :1] / sums_R[:, 1:]


def test_sums_and_weights_give_the_same_resamples():
    rng = np.random.default_rng(0)
    value_N, cluster_N = rng.random(40), rng.integers(12, size=40).tolist()
    resamples = Resamples.of(cluster_N, n_resamples=30, seed=5)
    by_sums = resamples.of_sums(np.column_stack([value_N, np.ones(40)]), mean_of_sums)[:, 0]
    by_weights = resamples.of_weights(lambda weights: weights @ value_N / weights.sum(axis=1))
    assert by_sums == pytest.approx(by_weights, abs=1e-12)
    assert len(set(by_sums)) == 30


def test_weights_are_whole_clusters_drawn_as_often_as_there_are_clusters():
    resamples = Resamples.of(["a", "b", "a", "c"], n_resamples=50, seed=0)
    weights = resamples.of_weights(lambda weights: weights)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()
    assert (weights == weights.round()).all()


def test_parts_of_units_share_the_draws_of_their_units():
    resamples = Resamples.of(["a", "b", "c"], n_resamples=20, seed=0)
    units = resamples.of_weights(lambda weights: weights)
    parts = resamples.of_parts(np.array([2, 2, 0])).of_weights(lambda weights: weights)
    assert (parts == units[:, [2, 2, 0]]).all()  # unit 1 has no part, and is drawn all the same


def test_resamples_do_not_depend_on_the_size_of_a_block(monkeypatch):
    resamples = Resamples.of(range(6), n_resamples=50, seed=3)
    whole = resamples.of_weights(lambda weights: weights)
    monkeypatch.setattr("judgekit.metrics.bootstrap.DRAWS_PER_BLOCK", 18)
    blocks = []
    again = resamples.of_weights(lambda weights: blocks.append(len(weights)) or weights)
    assert np.array_equal(again, whole)
    assert max(blocks) == 3


@pytest.mark.parametrize(("n_clusters", "n_resamples"), [(1, 3), (6, 50), (300, 40)])
def test_draws_that_are_kept_are_those_that_are_not(monkeypatch, n_clusters, n_resamples):
    monkeypatch.setattr("judgekit.metrics.bootstrap.DRAWS_PER_BLOCK", 2000)  # several blocks
    rng = np.random.default_rng(0)
    value_N, cluster_N = rng.random(2 * n_clusters), rng.integers(n_clusters, size=2 * n_clusters).tolist()
    resamples = Resamples.of([*range(n_clusters), *cluster_N], n_resamples=n_resamples, seed=7)
    value_N = np.concatenate([rng.random(n_clusters), value_N])
    sums_N = np.column_stack([value_N, np.ones(len(value_N))])

    def figures():
        by_sums = resamples.of_sums(sums_N, mean_of_sums)
        by_weights = resamples.of_weights(lambda weights: np.column_stack([weights @ value_N, weights]))
        return by_sums.tobytes(), by_weights.tobytes()

    kept = figures()
    monkeypatch.setattr("judgekit.metrics.bootstrap.MAX_KEPT_DRAWS", 0)
    assert figures() == kept, "to the bit"


def test_draws_are_made_once_for_all_figures_and_parts(monkeypatch):
    made = []
    draw = bootstrap._draw
    monkeypatch.setattr(bootstrap, "_draw", lambda *args, **options: made.append(args) or draw(*args, **options))
    bootstrap._kept_draws.cache_clear()
    resamples = Resamples.of(range(50), n_resamples=20, seed=1)
    for _ in range(3):
        resamples.of_weights(lambda weights: weights)
        resamples.of_parts(np.arange(10)).of_sums(np.ones((10, 1)), lambda sums_R: sums_R)
        Resamples.of(range(50, 100), n_resamples=20, seed=1).of_sums(np.ones((50, 1)), lambda sums_R: sums_R)
    assert made == [(50, 20)]
    Resamples.of(range(50), n_resamples=20, seed=2).of_weights(lambda weights: weights)
    Resamples.of(range(51), n_resamples=20, seed=2).of_weights(lambda weights: weights)
    assert made == [(50, 20), (50, 20), (51, 20)]
    assert bootstrap._kept_draws.cache_info().currsize <= bootstrap.KEPT_SETS


def test_draws_that_are_kept_take_a_byte_each():
    kept = bootstrap._kept_draws(1000, 50, 0)
    assert (kept.dtype, kept.shape) == (np.uint8, (50, 1000))
    assert (kept.sum(axis=1) == 1000).all()


def test_one_cluster_shows_no_spread():
    resamples = Resamples.of(["only"] * 3, n_resamples=10, seed=0)
    means = resamples.of_weights(lambda weights: weights.sum(axis=1))
    assert np.isnan(means).all()
    assert percentile_interval(3.0, means) == (3.0, None, None)


def test_interval_of_an_auroc_agrees_with_its_known_spread():
    # Hanley and McNeil's standard error for normal scores: AUC 0.76, 150 of each class, about 0.0275
    rng = np.random.default_rng(0)
    score = np.concatenate([rng.normal(1, 1, 150), rng.normal(0, 1, 150)])
    p_ok, ok = 1 / (1 + np.exp(-score)), np.repeat([1.0, 0.0], 150)
    area_R = Resamples.of(range(300), n_resamples=1000, seed=0).of_weights(lambda w: weighted_ranking(p_ok, ok, w))[
        :, 0
    ]
    area = weighted_ranking(p_ok, ok, np.ones((1, 300)))[0, 0]
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    expected = np.sqrt((area * (1 - area) + 149 * (q1 - area**2) + 149 * (q2 - area**2)) / 150**2)
    assert np.std(area_R) == pytest.approx(expected, rel=0.1)


def test_figures_that_only_rounding_tells_apart_are_no_difference():
    # 0.1 + 0.2 in one order of the same sums and 0.3 in the other: not once better, whatever the last bit says.
    a_R, b_R = np.full(99, 0.1 + 0.2), np.full(99, 0.3)
    assert paired_bootstrap(0.3, 0.3, a_R=a_R, b_R=b_R) == (0.0, 0.0, 0.0, 1.0)
    assert paired_bootstrap(0.3, 0.3, a_R=b_R, b_R=a_R) == (0.0, 0.0, 0.0, 1.0)


def test_paired_difference_by_hand():
    a_R, b_R = np.array([0.5, 0.6, 0.7, 0.4, np.nan]), np.array([0.4, 0.4, 0.4, 0.5, 0.1])
    found = paired_bootstrap(0.6, 0.4, a_R=a_R, b_R=b_R)
    # differences 0.1, 0.2, 0.3, -0.1, and one undefined: one of four at or below 0
    assert found == pytest.approx((0.2, -0.1, 0.3, 2 * (1 + 1) / (4 + 1)))
    assert paired_bootstrap(0.4, 0.6, a_R=b_R, b_R=a_R) == pytest.approx((-0.2, -0.3, 0.1, 0.8))


def test_p_is_never_zero():
    found = paired_bootstrap(1.0, 0.0, a_R=np.ones(999), b_R=np.zeros(999))
    assert found.p_value == 2 / 1000


def test_identical_judges_do_not_differ():
    a_R = np.random.default_rng(0).random(200)
    assert paired_bootstrap(0.5, 0.5, a_R=a_R, b_R=a_R) == (0.0, 0.0, 0.0, 1.0)


def test_an_undefined_figure_has_no_difference():
    assert paired_bootstrap(None, 0.5, a_R=np.ones(3), b_R=np.ones(3)) == (None, None, None, None)
    assert paired_bootstrap(0.4, 0.1, a_R=np.full(3, np.nan), b_R=np.ones(3)) == pytest.approx((0.3, None, None, None))
    with pytest.raises(DataError, match=r"lengths \[2, 3\]"):
        paired_bootstrap(0.1, 0.2, a_R=np.ones(2), b_R=np.ones(3))


def test_p_is_uniform_where_judges_differ_by_chance_alone():
    # two judges of the same accuracy on the same problems, dependent through the problem's difficulty
    p_values = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        easy_N = rng.random(80)
        hits = [(rng.random(80) < easy_N).astype(float) for _ in range(2)]
        resamples = Resamples.of(range(80), n_resamples=400, seed=seed)
        a_R, b_R = (resamples.of_sums(np.column_stack([hit, np.ones(80)]), mean_of_sums)[:, 0] for hit in hits)
        p_values.append(paired_bootstrap(hits[0].mean(), hits[1].mean(), a_R=a_R, b_R=b_R).p_value)
    for alpha in (0.05, 0.1, 0.25, 0.5, 0.75):
        below = np.mean(np.array(p_values) <= alpha)
        assert below == pytest.approx(alpha, abs=3.5 * np.sqrt(alpha * (1 - alpha) / 400) + 0.02)


def test_a_paired_comparison_sees_more_than_two_intervals():
    # the second judge is right wherever the first is, and on a few problems more
    rng = np.random.default_rng(0)
    first = (rng.random(200) < 0.5).astype(float)
    second = np.maximum(first, rng.random(200) < 0.1)
    resamples = Resamples.of(range(200), n_resamples=1000, seed=0)
    a_R, b_R = (resamples.of_sums(np.column_stack([hit, np.ones(200)]), mean_of_sums)[:, 0] for hit in (second, first))
    found = paired_bootstrap(second.mean(), first.mean(), a_R=a_R, b_R=b_R)
    assert found.lo > 0
    assert found.p_value < 0.01
    assert percentile_interval(second.mean(), a_R).lo < percentile_interval(first.mean(), b_R).hi


def test_holm_by_hand():
    # ascending 0.01, 0.02, 0.03, 0.5 times 4, 3, 2, 1: 0.04, 0.06, 0.06, 0.5
    assert holm_adjust([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm_adjust([0.4, 0.6]) == [0.8, 0.8]
    assert holm_adjust([]) == []


@settings(max_examples=60)
@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=8), st.sampled_from([0.01, 0.05, 0.2]))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values, alpha):
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    rejected = set()
    for rank, index in enumerate(order):
        if p_values[index] * (len(p_values) - rank) > alpha:
            break
        rejected.add(index)
    adjusted = holm_adjust(p_values)
    assert {i for i, p in enumerate(adjusted) if p <= alpha} == rejected
    assert all(p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))
