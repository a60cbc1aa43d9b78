"""The alarm: its sums add up, and each kind of trouble is warned of, and only that one."""

import math

import numpy as np
import pytest

from jwgan.run import alarms


def info(length=50, estimate=1.0, critic=1.0, generator=1.0, **more):
    """Figures of a healthy stretch, scattered by 10 %."""
    rng = np.random.default_rng(0)  # the same scatter in every test
    scatter = lambda x: x * (1 + 0.1 * rng.standard_normal(length))
    return {
        "wasserstein_estimate": scatter(estimate),
        "critic_gradient_norm": scatter(critic),
        "generator_gradient_norm": scatter(generator),
        **{name: np.asarray(values) for name, values in more.items()},
    }


def sums(**kwargs):
    return alarms.add(alarms.EMPTY, info(**kwargs))


HEALTHY = {"coverage": 0.9, "coverage_of_real": 0.97, "membership_auc": 0.52}


def judged(health=HEALTHY, best_share=1.0, **recent):
    memory = alarms.Memory(best_share)
    return alarms.warnings_of(sums(), sums(**recent), health, memory=memory)


def test_nothing_is_said_of_a_healthy_run():
    assert judged() == {}
    assert judged(estimate=0.01) == {}  # the estimate tends to 0 in a good run
    assert judged(k=np.linspace(0.3, 0.4, 50)) == {}
    assert judged(k=np.linspace(0.3, 0.4, 50), estimate=-1.0) == {}  # BEGAN's balance
    # a rate that falls, and a margin that is met in part of the window alone
    assert judged(learning_rate_scale=np.geomspace(1, 0.01, 50)) == {}
    assert judged(beyond_margin=np.linspace(0.5, 1.0, 50)) == {}


@pytest.mark.parametrize(
    ("kind", "recent"),
    [
        ("critic_gradient_norm_explodes", {"critic": 1e4}),
        ("generator_gradient_norm_explodes", {"generator": 1e4}),
        ("generator_gradient_norm_vanishes", {"generator": 1e-6}),
        ("estimate_explodes", {"estimate": 1e4}),
        ("k_at_bound", {"k": np.zeros(50)}),
        ("k_at_bound", {"k": np.ones(50)}),
        ("rate_at_floor", {"learning_rate_scale": np.full(50, np.float32(0.01))}),
        ("rate_at_floor", {"learning_rate_scale": np.full(50, 1.4e-20)}),
        ("margin_exceeded", {"beyond_margin": np.ones(50)}),
    ],
)
def test_each_trouble_by_its_name(kind, recent):
    assert set(judged(**recent)) == {kind}


@pytest.mark.parametrize(
    ("coverage", "said"), [(0.9, set()), (0.3, set()), (0.1, {"estimate_negative"}), (None, None)]
)
def test_a_negative_estimate_is_trouble_where_the_samples_are_not_good(coverage, said):
    """A critic with batch norm may rank good fakes above data."""
    health = {} if coverage is None else HEALTHY | {"coverage": coverage}
    found = judged(health, best_share=0.3, estimate=-1.0)
    assert set(found) == ({"estimate_negative"} if said is None else said)


def test_samples():
    assert set(judged(HEALTHY | {"coverage": 0.1})) == {"collapse"}
    assert set(judged(HEALTHY | {"membership_auc": 0.8})) == {"memorised"}
    line = judged(HEALTHY | {"coverage": 0.097}, 0.8)["collapse"]
    assert "cover 10% of what real data cover, after 80% earlier" in line


@pytest.mark.parametrize("best", [0.0, 0.1, 0.39])
def test_coverage_that_was_never_good_is_no_collapse(best):
    """A run that has not learnt yet covers nothing."""
    assert judged(HEALTHY | {"coverage": 0.0}, best) == {}


@pytest.mark.parametrize(("stale", "said"), [(0, set()), (3, set()), (4, {"not_learning"})])
def test_low_coverage_that_grows_no_more(stale, said):
    low = HEALTHY | {"coverage": 0.05}
    of = lambda metrics, best: set(
        alarms.warnings_of(sums(), sums(), metrics, memory=alarms.Memory(best, stale))
    )
    assert of(low, 0.1) == said
    # Good coverage is no matter how long it has been the same, and a fall from it is a collapse.
    assert of(HEALTHY, 0.9) == set()
    assert of(low, 0.9) == {"collapse"}


def followed(*shares):
    """What is remembered after evaluations with these shares of coverage."""
    mine = alarms.Memory()
    for share in shares:
        metrics = {} if share is None else {"coverage": share / 2, "coverage_of_real": 0.5}
        mine = alarms.remembered(metrics, mine)
    return mine


@pytest.mark.parametrize(
    ("shares", "best", "stale"),
    [
        ((0.1, 0.2, 0.3), 0.3, 0),
        ((0.1, 0.09, 0.11, 0.1), 0.1, 3),  # scatter is no growth
        ((0.1, 0.11, 0.125), 0.125, 0),  # slow growth is
        ((0.0, None, 0.0), 0.0, 3),  # a share that is not known has not grown
        ((0.5, 0.1, 0.2, 0.3), 0.5, 3),
    ],
)
def test_what_is_remembered(shares, best, stale):
    assert followed(*shares) == (pytest.approx(best), stale)


@pytest.mark.parametrize("best", [0.4, 0.7, 1.0])
@pytest.mark.parametrize("coverage", [0.0, 0.1, 0.24])
def test_a_fall_from_good_coverage_is_a_collapse(coverage, best):
    assert set(judged(HEALTHY | {"coverage": 0.97 * coverage}, best)) == {"collapse"}


@pytest.mark.parametrize(
    ("best", "share", "said"), [(0.4, 0.26, 0), (0.7, 0.31, 0), (0.7, 0.29, 1), (1.0, 0.59, 1)]
)
def test_a_deep_fall_is_a_collapse_wherever_it_ends(best, share, said):
    assert ("collapse" in judged(HEALTHY | {"coverage": 0.97 * share}, best)) == said


@pytest.mark.parametrize(
    ("metrics", "share"),
    [
        ({}, None),
        ({"coverage": 0.5}, None),
        ({"coverage_of_real": 0.5}, None),
        ({"coverage": 0.0, "coverage_of_real": 0.0}, None),  # a share of nothing
        ({"coverage": 0.3, "coverage_of_real": 0.6}, 0.5),
        ({"coverage": 0.0, "coverage_of_real": 0.6}, 0.0),
    ],
)
def test_the_share_of_coverage(metrics, share):
    assert alarms.coverage_share(metrics) == share
    assert ("collapse" in judged(metrics, 0.7)) == (share == 0.0)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.75, 0.76, 1.0])
def test_memorisation_is_a_share_of_guesses(share):
    line = judged(HEALTHY | {"membership_auc": share}).get("memorised", "")
    assert (f"right {share:.0%} of the time" in line) == (share > 0.75)


def test_before_the_first_stretch_only_samples_speak():
    fallen = HEALTHY | {"coverage": 0.0}
    assert alarms.warnings_of({}, {}, HEALTHY) == {}
    assert set(alarms.warnings_of({}, sums(critic=1e9), fallen, memory=alarms.Memory(1.0))) == {
        "collapse"
    }


def test_a_critic_whose_gradient_vanishes_is_no_alarm():
    """A critic at its optimum has a small one."""
    assert judged(critic=1e-6) == {}


def test_one_spike_is_not_a_trend():
    recent = info()
    recent["critic_gradient_norm"][3] = 1e9
    assert alarms.warnings_of(sums(), alarms.add(alarms.EMPTY, recent), HEALTHY) == {}


def test_sums_of_pieces_are_the_sums_of_the_whole(rng):
    whole = info(k=rng.uniform(0, 1, 50))
    pieces = alarms.EMPTY
    for i in range(0, 50, 10):
        pieces = alarms.add(pieces, {name: x[i : i + 10] for name, x in whole.items()})
    expected = alarms.add(alarms.EMPTY, whole)
    assert pieces == pytest.approx(expected)
    assert expected["count"] == 50
    assert expected["estimate"] == pytest.approx(whole["wasserstein_estimate"].sum())
    assert expected["k_low"] == whole["k"].min()
    assert expected["k_high"] == whole["k"].max()
    mean = expected["critic_gradient_norm"] / 50
    assert math.exp(mean) == pytest.approx(np.exp(np.log(whole["critic_gradient_norm"]).mean()))


def test_the_thresholds_count():
    recent = sums(critic=5.0)
    assert alarms.warnings_of(sums(), recent, HEALTHY) == {}
    strict = alarms.Thresholds(growth=2.0)
    assert set(alarms.warnings_of(sums(), recent, HEALTHY, strict)) == {
        "critic_gradient_norm_explodes"
    }
