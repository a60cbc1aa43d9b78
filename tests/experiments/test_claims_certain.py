"""What the ledger's claims measure with, where the answer is known."""

import math

import numpy as np
import pytest

from experiments.claims import (
    c01_parallel_lines,
    c02_gaussians,
    c04_plans,
    c16_normal_losses,
    c17_balance,
    c19_w1_estimate,
    digits_began,
    judges,
    ledger,
)
from experiments.claims import tables as claims_tables
from experiments.claims.ledger import HOLDS, OPEN
from experiments.w1_benchmark import tables as w1_tables
from jwgan.run import tasks


@pytest.mark.parametrize("module", [c01_parallel_lines, c02_gaussians])
def test_what_is_exact_is_certain_and_holds(module):
    thetas = {c01_parallel_lines: (-1.0, -0.5, 0.0, 0.5, 1.0), c02_gaussians: (1.0, 4.0, 8.0)}
    conditions = module.exact_conditions(thetas[module])
    assert len(conditions) >= 5
    assert all(one.certain and one.verdict == HOLDS for one in conditions)


def test_lines_that_touch_have_no_js_and_others_log_2():
    assert c01_parallel_lines._js(0.0) == 0
    assert c01_parallel_lines._js(-0.1) == pytest.approx(math.log(2))
    w1, slope = c01_parallel_lines._w1(-0.25)
    assert (w1, slope) == pytest.approx((0.25, -1.0))


def test_an_estimator_is_as_wrong_as_its_worst_median():
    truth = np.array([1.0, -2.0])
    values = truth[:, None] * np.array([[1.0, 1.1, 5.0], [1.0, 0.8, 0.9]])
    value, low, high = judges.worst(values, truth, relative=True)
    assert value == pytest.approx(0.1)
    assert low <= value <= high <= 4.0 + 1e-9
    value, *_ = judges.worst(values[1:], truth[1:], relative=False)
    assert value == pytest.approx(0.2)


def test_estimators_of_a_quick_run_leave_their_conditions_open():
    found = judges.train(None, (0.0, 1.0), range(2), 10, quick=True)
    assert set(found["discriminator"]) == {
        "estimate",
        "saturating_gradient",
        "non_saturating_gradient",
    }
    error = judges.worst(found["wgan_gp"]["estimate"], [0.0, 1.0], relative=False)
    assert ledger.at_most("x", error, 0.1).verdict == OPEN


def test_another_plan_is_a_plan():
    rng = np.random.default_rng(0)
    a, b = rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(3))
    plan = c04_plans.other_plan(rng, a, b)
    np.testing.assert_allclose(plan.sum(axis=1), a, atol=1e-12)
    np.testing.assert_allclose(plan.sum(axis=0), b, atol=1e-12)
    assert plan.min() >= 0
    again = c04_plans.other_plan(rng, a, b)
    assert abs(plan - again).max() > 1e-3


def test_the_dual_programme_of_three_points():
    # half of the mass goes 1 to the right, half 3: W1 = 2
    z, difference = np.array([[0.0], [1.0], [3.0]]), np.array([1.0, -0.5, -0.5])
    assert c04_plans.dual_programme(z, difference) == pytest.approx(2.0)


def test_random_functions_have_no_slope_above_one():
    z = np.random.default_rng(1).normal(size=(30, 2))
    values = c04_plans.lipschitz_functions(np.random.default_rng(2), z)
    distance = np.linalg.norm(z[:, None] - z, axis=2) + np.eye(30)
    slopes = np.abs(values[:, :, None] - values[:, None]) / distance
    assert 0.9 < slopes.max() <= 1 + 1e-12


def test_plans_of_a_quick_run_are_certain():
    found = ledger.module("C4").measure(range(2), quick=True)
    assert len(found.conditions) == 7
    assert all(one.certain and one.verdict == HOLDS for one in found.conditions)


def test_normal_quantiles_are_normal_and_exponential_ones_are_not():
    from scipy import stats

    levels = (np.arange(1000) + 0.5) / 1000
    losses = np.stack([stats.norm(3, 2).ppf(levels), stats.expon.ppf(levels)])
    found = c16_normal_losses.shape(losses)
    assert found["K-S distance to normal"][0] < 2e-3
    assert found["K-S distance to normal"][1] > 0.1
    np.testing.assert_allclose(found["|skewness|"], [0, 2], atol=0.1)
    np.testing.assert_allclose(found["|excess kurtosis|"], [0, 6], atol=0.8)


def test_moved_and_stretched_losses_have_known_distances():
    a = np.random.default_rng(0).normal(size=(1, 500))
    a -= a.mean()
    w2, means, ratio = c16_normal_losses.distances(a, a[:, ::-1] + 0.3)
    np.testing.assert_allclose([*w2, *means, *ratio], [0.09, 0.09, 0.0], atol=1e-12)
    w2, means, ratio = c16_normal_losses.distances(a / a.std(), 2 * a / a.std() + 2)
    np.testing.assert_allclose([*w2, *means, *ratio], [5.0, 4.0, 0.25])


def test_steps_meet_the_condition_when_the_ratio_moves_with_the_means():
    means = np.array([[1.0], [2.0], [1.0], [2.0]])
    ratio = np.array([[1.0], [2.0], [4.0], [3.9]])  # along, against, within 5 %
    w2 = np.array([[1.0], [2.0], [3.0], [2.0]])  # follows, -, does not
    met, follows = c16_normal_losses.steps_between(w2, means, ratio)
    assert (met[0], follows[0]) == (pytest.approx(2 / 3), 0.5)
    _, none = c16_normal_losses.steps_between(w2[1:3], means[1:3], ratio[1:3])
    assert np.isnan(none[0])


def test_data_are_diverse_and_good_and_one_image_is_not_diverse():
    dataset = tasks.load_images("digits").dataset
    images = dataset.images.reshape(len(dataset.images), -1)
    some = np.random.default_rng(0).permutation(len(images))[:200]
    samples = np.stack([images[some], np.repeat(images[:1], 200, axis=0), np.zeros((200, 64))])
    found = c17_balance.evaluate(samples, images, dataset.labels)
    np.testing.assert_allclose(found["pairwise distance"][1:], 0, atol=1e-6)
    assert found["pairwise distance"][0] > 4
    assert found["entropy of classes"][0] > 0.95 * math.log(10)
    assert found["entropy of classes"][1] < 1e-9
    np.testing.assert_allclose(found["distance to data"][:2], 0, atol=1e-6)
    assert found["distance to data"][2] > 4
    assert found["confidence"][0] > 0.95


def test_noise_on_the_digits_is_fixed_and_has_its_standard_deviation():
    images = np.zeros((1000, 8, 8, 1), np.float32)
    noise = digits_began.noisy(images, 0.6)
    assert noise.dtype == np.float32
    np.testing.assert_allclose([noise.mean(), noise.std()], [0, 0.6], atol=0.01)
    np.testing.assert_array_equal(noise, digits_began.noisy(images, 0.6))
    np.testing.assert_array_equal(digits_began.noisy(images, 0.0), images)


def test_balance_is_drawn_over_its_samples_and_described_by_gamma():
    strip = c17_balance.pixels(np.linspace(-2, 2, 128).reshape(2, 64))
    assert (strip[0][0], strip[1][-1]) == (-100, 100)
    curve = [[0.3, 0.4], [0.3, 0.5]]
    figure = c17_balance.draw({"steps": [1, 2], "ratio": {"a": curve}, "samples": {"b": strip}})
    assert [ax.get_ylabel() for ax in figure.axes] == ["E L(G(z)) / E L(x)", "b"]
    medians = np.array([1.0, 3.0, 2.0, 2.0, 7.0, 8.0])
    assert c17_balance.sentences({"x": medians}, 2) == ("x at gamma 0.3, 0.5, 0.7: 2, 2, 7.5.",)


def test_what_is_not_recorded_leaves_a_condition_open_unless_the_rest_decides():
    nan = math.nan
    largest = c19_w1_estimate.between([0.05, nan], max)
    assert ledger.at_most("x", largest, 0.1).verdict == OPEN
    assert ledger.at_most("x", c19_w1_estimate.between([0.05, 0.06], max), 0.1).verdict == HOLDS
    assert ledger.at_most("x", c19_w1_estimate.between([0.2, nan], max), 0.1).verdict == "fails"
    middle = c19_w1_estimate.between([0.3, 0.4, 0.5, nan], np.median)
    assert middle == pytest.approx((0.4, 0.35, 0.45))
    run = {"w1": 1.5, "w1_true": 2.0}
    assert c19_w1_estimate.error(run, "w1") == 0.25


def test_a_ledger_without_records_is_open_and_drawn(monkeypatch):
    monkeypatch.setattr(w1_tables, "recorded", lambda *args: {})
    found = c19_w1_estimate.measure(range(2), quick=True)
    assert ledger.verdict(found.conditions) == OPEN
    assert len(found.conditions) == 5
    assert c19_w1_estimate.draw(found.plot_data).axes


def test_the_readmes_table_counts_bars(monkeypatch):
    said = list(ledger.module("C10").SAID)[:3]
    values = [(0.1, 0.2, 0.3), (-0.3, -0.2, -0.1), (0.1, 0.2, 0.3)]
    found = [
        ledger.above(what, (value, low, high), 0.0)
        for what, (low, value, high) in zip(said, values, strict=True)
    ]
    bars = [{**one._asdict(), "verdict": one.verdict} for one in found]
    run = {"verdict": ledger.FAILS, "bars": bars, "seeds": 16}
    result = lambda name: {"claims": {"C10": run}} if name == "claim-C10" else {}
    monkeypatch.setattr(claims_tables.results, "metrics", result)
    lines = claims_tables.verdicts().splitlines()
    assert len(lines) == 2 + len(ledger.MODULES)
    [line] = [line for line in lines[2:] if "not measured yet" not in line]
    assert line.startswith("| [C10]")
    assert line.endswith("| 2 hold; 1 does not hold | 2 of 3 | 16 |")
    # a bar within a title would be a column more
    assert {len(line.replace("\\|", "").split("|")) for line in lines} == {7}


def test_the_readmes_grid_counts_successes_of_what_is_there(monkeypatch):
    quality = {"a": {"gan": [0.95, 0.1], "wgan": [0.9, 0.91]}, "b": {"gan": [0.0, math.nan]}}
    known = {"claim-C11": {"claims": {"C11": {"drawn": {"quality": quality}}}}}
    monkeypatch.setattr(claims_tables.results, "metrics", lambda name: known.get(name, {}))
    lines = claims_tables.grid().splitlines()
    assert lines[0] == "| architecture | `gan` | `wgan` |"
    assert lines[2:] == ["| a | 1 of 2 | 2 of 2 |", "| b | 0 of 2 |  |"]
    known.clear()
    assert len(claims_tables.grid().splitlines()) == 2
