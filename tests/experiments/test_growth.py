"""The fitted line and what is said to be off it, on numbers with a known answer."""

import json
import math

import jax
import pytest

from experiments import results
from experiments.growth import __main__ as growth
from experiments.growth import page as growth_page
from experiments.speed import timing
from jwgan.run import command


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


# --- measuring ------------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch):
    """Runs so small that they compile in a second."""
    monkeypatch.setattr(growth, "MLP", {"batch": 4, "n_critic": 1, "width": 4, "seeds": 1})
    monkeypatch.setattr(growth, "STEPS", 2)


def test_the_least_time_of_a_step_counts(small, monkeypatch):
    timings = iter([timing.Timing(10.0, 0.3), timing.Timing(40.0, 0.1), timing.Timing(20.0, 0.2)])

    def clock(run, repeats, iterations):
        assert (repeats, iterations) == (5, growth.STEPS)
        return next(timings)

    monkeypatch.setattr(timing, "repeats_in", lambda run, seconds: 5)
    monkeypatch.setattr(timing, "clock", clock)
    found = growth.measure(*growth.build("batch", 4))
    assert (found["cpu_ms"], found["wall_ms"]) == (100.0, 25.0)


@pytest.mark.slow
@pytest.mark.rare
def test_planned_memory_grows_with_the_seeds(small, monkeypatch):
    """By the states at least: parameters, moments and keys of every seed."""
    monkeypatch.setattr(timing, "repeats_in", lambda run, seconds: 1)
    found = {n: growth.measure(*growth.build("seeds", n))["memory_mb"] for n in (1, 9)}
    algorithm, source, key = growth.build("seeds", 1)
    state = jax.eval_shape(algorithm.init, key, source.batch)
    numbers = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(state))
    assert 8 * 4 * numbers / 1e6 < found[9] - found[1] < 9 * found[1]


def test_runs_side_by_side_are_compared_with_as_many_alone(monkeypatch):
    """4 ms for a run alone, 8 ms for 16 or 4 of them together."""
    calls = []

    def measure(algorithm, source, keys):
        calls.append((keys.size, source.batch.shape))
        return {"cpu_ms": 4.0 if keys.size == 1 else 8.0}

    monkeypatch.setattr(growth, "measure", measure)
    rows = growth.side_by_side()
    assert [(r["members"], r["way"], r["times_faster"]) for r in rows] == [
        (16, "vmap", 8.0),
        (4, "vmap", 2.0),
        (4, "in turn", 2.0),
    ]
    assert [num for num, _ in calls] == [1, 16, 1, 4, 4]
    assert calls[0][1] == calls[1][1]


# --- the command and its page ---------------------------------------------------------------------


def on_the_line():
    """A measurement whose curves are straight lines but for the last point of the first axis."""
    axes = {}
    for axis in growth.AXES:
        ms = [3 + 0.5 * x**axis.power for x in axis.values]
        if axis is growth.AXES[0]:
            ms[-1] *= 1.5
        rows = [
            {axis.name: x, "cpu_ms": y, "wall_ms": 2 * y, "memory_mb": 10 + x**axis.power}
            for x, y in zip(axis.values, ms, strict=True)
        ]
        us = [x**axis.power for x in axis.values]
        fits = {k: growth.fit(us, [r[k] for r in rows]) for k in ("cpu_ms", "wall_ms", "memory_mb")}
        axes[axis.name] = {"rows": rows, "fits": fits}
    together = {"cpu_ms": 8.0, "wall_ms": 8.0, "memory_mb": 1.0}
    row = {"case": "<digits>", "members": 4, "way": "vmap", "times_faster": 2.0}
    sides = [{**row, "alone": {"cpu_ms": 4.0}, "together": together}]
    plain = {"mlp": growth.MLP, "conv": growth.CONV, "off": growth.OFF, "seconds": 1.5}
    return {**plain, "axes": axes, "side_by_side": sides}


@pytest.fixture
def no_setup(monkeypatch):
    monkeypatch.setattr(command.xla, "use_compilation_cache", lambda: None)
    monkeypatch.setattr(command.xla, "use_eigen", lambda: None)


def test_the_page_has_every_axis_its_line_and_what_is_off_it(
    tmp_path, monkeypatch, capsys, no_setup
):
    monkeypatch.setattr(growth, "grown", on_the_line)
    out = tmp_path / "new" / "growth.html"
    growth.main(["--out", str(out)])
    assert capsys.readouterr().out == f"page: {out}, 1.5 s\n"
    page = out.read_text()
    for axis in growth.AXES:
        assert f"<h2>{axis.name}</h2>" in page
    assert page.count("<svg") == page.count("stroke-dasharray") == 2 * len(growth.AXES)
    assert page.count("off it: 1024 (+") == 1
    assert page.count("no point is off it") == 2 * len(growth.AXES) - 1
    assert "3 + 0.5 · width² ms" in page
    assert "&lt;digits&gt;" in page
    assert "<digits>" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_recorded_measurement_is_drawn_without_a_new_one(
    tmp_path, monkeypatch, capsys, no_setup
):
    monkeypatch.setattr(growth, "grown", lambda: pytest.fail("measured"))
    out = tmp_path / "growth.html"
    growth.main(["--recorded", "--out", str(out), "--json"])
    result = json.loads(capsys.readouterr().out)
    assert result == results.load("growth")["figures"]
    assert out.read_text().count("<svg") == 2 * len(growth.AXES)


def test_a_folder_in_the_pages_place_is_one_line(tmp_path, monkeypatch, capsys, no_setup):
    monkeypatch.setattr(growth, "grown", on_the_line)
    with pytest.raises(SystemExit) as end:
        growth.main(["--out", str(tmp_path)])
    assert end.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
