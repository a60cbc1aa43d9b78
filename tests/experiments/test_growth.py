"""The fitted line and what is said to be off it, on numbers with a known answer."""

import pytest

from experiments.growth import __main__ as growth
from experiments.growth import page as growth_page


def test_the_line_of_points_on_a_line():
    us = [1, 2, 4, 8, 100]
    found = growth.fit(us, [3 + 0.5 * u for u in us])
    assert found["a"] == pytest.approx(3)
    assert found["b"] == pytest.approx(0.5)
    assert found["off"] == []


def test_a_point_off_the_line_is_named():
    us = [1, 2, 4, 8, 16, 32, 64]
    ys = [3 + 0.5 * u for u in us]
    ys[6] *= 1.6
    assert growth.fit(us, ys)["off"] == [6]


def test_equal_relative_weight():
    """A hundred times the size is not a hundred times the weight."""
    found = growth.fit([1, 1, 1000], [1.0, 1.1, 1000.0])
    assert found["a"] + found["b"] == pytest.approx(1.048, abs=0.01)


def test_the_verdict_says_where_the_fixed_part_is_half():
    axis = growth.Axis("width", (4, 8), 2, "", "")
    rows = [{"width": 4}, {"width": 8}]
    fit = {"a": 16.0, "b": 1.0, "off": [1], "distance": [0.0, 0.3]}
    words = growth_page.verdict(axis, rows, fit, "width²", "ms")
    assert words.startswith("16 + 1 · width² ms; the fixed part is half of it at width 4; ")
    assert words.endswith("off it: 8 (+30%).")


def test_every_axis_builds_and_changes_what_it_names():
    for axis in growth.AXES:
        _, source, keys = growth.build(axis.name, axis.values[1])
        n_critic, batch, *shape = source.batch.shape
        found = {"batch": batch, "n_critic": n_critic, "side": shape[0], "seeds": keys.size}
        assert found.get(axis.name, axis.values[1]) == axis.values[1]
        others = growth.CONV if axis.name == "side" else growth.MLP
        assert n_critic == (others["n_critic"] if axis.name != "n_critic" else axis.values[1])
