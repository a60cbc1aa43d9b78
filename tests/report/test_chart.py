"""A chart shows the numbers it was given, whatever they are."""

import math
import re

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from outline import Outline

from jwgan.report import chart


@hypothesis.settings(derandomize=True, deadline=None, max_examples=80)
@hypothesis.given(low=st.floats(-1e6, 1e6), width=st.floats(1e-3, 1e6), count=st.integers(3, 8))
def test_ticks_are_round_few_and_inside(low, width, count):
    found = chart.ticks(low, low + width, count)
    assert 1 <= len(found) <= count + 1
    slack = 1e-9 * (abs(low) + width)
    assert low - slack <= found[0]
    assert found[-1] <= low + width + slack
    for step in np.diff(found):
        lead = step / 10 ** math.floor(math.log10(step) + 1e-9)
        assert min(abs(lead - m) for m in (1, 2, 5, 10)) < 1e-3


def test_running_mean():
    np.testing.assert_allclose(chart.running_mean(np.array([0.0, 3.0, 6.0])), [1.5, 3, 4.5])
    np.testing.assert_allclose(chart.running_mean(np.full(1000, 2.5)), 2.5)
    values = np.arange(400.0)
    np.testing.assert_allclose(chart.running_mean(values)[[0, 200, 399]], [5, 200, 394])


def drawn(values, name="x", title="Title"):
    steps = np.arange(len(values))
    return chart.draw(chart.Chart(title, "", {name: name}), {"step": steps, name: values})


def test_chart_line_is_where_the_figures_are():
    text = drawn(np.linspace(0.0, 10.0, 11))
    line = re.findall(r'd="M([^"]+)"', text)[-1]
    points = np.array(line.split(), float).reshape(-1, 2)
    assert points[0][0] == 0
    assert (np.diff(points[:, 0]) > 0).all()
    assert (np.diff(points[:, 1]) < 0).all(), "SVG's y grows downwards"
    place = {
        label: float(bottom) for bottom, label in re.findall(r"bottom:([\d.]+)%'>(\d+)<", text)
    }
    assert abs((1000 - points[5][1]) / 10 - place["5"]) < 0.1


def test_a_metric_measured_now_and_then_is_drawn_over_the_whole_run():
    values = np.full(101, np.nan)
    values[[0, 50]] = 1.0, 2.0
    [xs] = re.findall(r'd="M(\d+) \d+ (\d+) \d+" stroke="var\(--c0\)" stroke-width', drawn(values))
    assert list(map(float, xs)) == pytest.approx([0, 495], abs=1)  # one step more than there are
    spread = {"all": np.stack([values, values], axis=1)}
    text = chart.draw_bands("Title", "", np.arange(101), spread)
    assert re.findall(r'd="M(\d+) \d+ (\d+) \d+" stroke="var\(--m0\)"', text) == [xs]


@pytest.mark.parametrize("rows", [399, 401, 20_000])
def test_charts_stay_small(rows):
    noise = np.random.default_rng(0).normal(size=rows)
    assert len(drawn(noise)) < 16_000
    assert drawn(noise).count("<path") == 2


def test_a_spike_does_not_flatten_the_rest():
    values = np.sin(np.arange(1000.0))
    values[500] = 1e6
    text = drawn(values)
    assert "<span style='bottom:50.0%'>0</span>" in text
    assert "range −1 … 1e6" in text


def test_logarithmic_only_for_positive_figures_over_decades():
    values = 10.0 ** np.linspace(-3, 3, 100)
    assert "log scale" in drawn(values)
    assert "log scale" not in drawn(values - 1)
    assert "log scale" not in drawn(np.linspace(1.0, 2.0, 100))
    for label in ("0.01", "1", "100"):
        assert f">{label}</span>" in drawn(values)


@hypothesis.settings(derandomize=True, deadline=None, max_examples=60)
@hypothesis.given(
    values=st.lists(st.floats() | st.just(1e308) | st.just(5e-324), max_size=30),
    first=st.sampled_from([0, 5, 2**53, 2**63 - 40]),
)
def test_any_figures_can_be_drawn(values, first):
    steps = first + np.arange(len(values))
    plot = chart.Chart("Title", "", {"x": "x"})
    text = chart.draw(plot, {"step": steps, "x": np.array(values, float)})
    Outline(text)
    assert bool(text) == bool(np.isfinite(values).any())
    assert "nan" not in text
    assert "inf" not in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (True, "yes"),
        (12345678, "12 345 678"),
        (-3, "−3"),
        (0.123456, "0.1235"),
        (-1.5e-7, "−1.5e−7"),
        (2e9, "2e9"),
        ([8, 8, 1], "8 × 8 × 1"),
        ("a_b", "a_b"),
    ],
)
def test_show(value, text):
    assert chart.show(value).replace("\u202f", " ") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (4.21, "4.21 s"),
        (59.9, "59.9 s"),
        (200, "3 min 20 s"),
        (119.9, "2 min 00 s"),
        (7500, "2 h 05 min"),
    ],
)
def test_show_seconds(seconds, text):
    assert chart.show_seconds(seconds) == text


@hypothesis.settings(derandomize=True, deadline=None, max_examples=60)
@hypothesis.given(
    st.lists(
        st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(np.nan)), min_size=4, max_size=4),
        min_size=1,
        max_size=6,
    )
)
def test_quartiles_are_numpys(rows):
    values = np.array(rows)
    values = values[np.isfinite(values).any(axis=1)]
    if len(values):
        expected = np.nanquantile(values, [0.25, 0.5, 0.75], axis=1)
        np.testing.assert_allclose(chart.quartiles(values), expected, rtol=1e-9, atol=1e-6)


def test_quartiles_of_what_is_lost_are_nan_and_infinity_is_lost():
    values = np.array([[np.nan, np.inf], [-np.inf, 3.0]])
    np.testing.assert_array_equal(chart.quartiles(values), [[np.nan, 3.0]] * 3)


@pytest.mark.parametrize(("rows", "shifted"), [(1001, True), (990, False)])
def test_the_last_label_of_an_axis_ends_where_the_axis_does(rows, shifted):
    """1 000 at the right edge would stick out of a narrow page."""
    assert ("translateX(-100%)" in drawn(np.linspace(0.0, 1.0, rows))) == shifted
