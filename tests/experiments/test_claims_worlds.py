"""What the claims on 2-D worlds measure, where the answer is known."""

import json
import math
import types

import jax
import numpy as np
import pytest
from scipy import stats

from experiments.claims import __main__ as claims
from experiments.claims import (
    c07_clipping,
    c09_loss_and_quality,
    c13_successors,
    ledger,
    page,
    worlds,
)
from jwgan import many
from jwgan.run import tasks

STEPS, SEEDS = 4, 3


@pytest.fixture(scope="module")
def trace():
    first = lambda states: np.asarray(states.step)
    return worlds.play(
        worlds.member("wgan_gp", width=8),
        "eight_gaussians",
        range(SEEDS),
        steps=STEPS,
        evaluations=2,
        also=first,
    )


@pytest.mark.slow
@pytest.mark.rare
def test_a_trace_has_every_evaluation_of_every_seed(trace):
    assert trace.steps == [2, 4]
    assert trace.w1.shape == trace.modes.shape == trace.high_quality.shape == (2, SEEDS)
    np.testing.assert_array_equal(trace.extra, [[2] * SEEDS, [4] * SEEDS])


def test_w1_before_training_is_that_of_fresh_generators(trace):
    real = tasks.load_world("eight_gaussians").held_out[:500]
    states = jax.vmap(lambda key: trace.algorithm.init(key, real[None, :64]))(
        many.keys(range(SEEDS))
    )
    keys = jax.random.split(jax.random.key(13), SEEDS)
    x = jax.vmap(lambda key, state: trace.algorithm.sample(key, state, 2000))(keys, states)
    w1 = [stats.wasserstein_distance_nd(real[:40], points[:40]) for points in np.asarray(x)]
    np.testing.assert_allclose(trace.w1_before, w1, rtol=0.2)  # of 40 of the 500 points


@pytest.mark.slow
@pytest.mark.rare
def test_seeds_from_another_first_one_are_the_same_runs_and_their_largest_is_of_every_step(trace):
    each = worlds.play(  # evaluated after each step, so that its means are the step's scalars
        worlds.member("wgan_gp", width=8),
        "eight_gaussians",
        range(1, 3),
        steps=STEPS,
        evaluations=STEPS,
    )
    assert set(each.means) == set(trace.means) == set(trace.largest)
    for name, values in each.means.items():
        mean = values.reshape(2, STEPS // 2, 2).mean(axis=1)
        np.testing.assert_allclose(mean, trace.means[name][:, 1:], rtol=1e-3, atol=1e-5)
        largest = np.abs(values).max(axis=0)
        np.testing.assert_allclose(largest, trace.largest[name][1:], rtol=1e-3, atol=1e-5)


def test_what_is_not_trained_is_open():
    blank = worlds.play(None, "eight_gaussians", range(2), steps=0, evaluations=3)
    assert np.isnan(blank.w1).all()
    gap = worlds.difference(blank.w1[-1], blank.w1[-1])
    assert ledger.above("x", ledger.interval(gap), 0.0).verdict == ledger.OPEN


def test_a_run_that_diverged_is_a_bad_run_and_two_of_them_are_equal():
    ends = np.array([math.inf, math.inf, 1.0, math.nan])
    gap = worlds.difference(ends, np.array([math.inf, 0.5, 3.0, 1.0]))
    np.testing.assert_array_equal(gap, [0.0, 999.5, -2.0, math.nan])


def test_rank_correlation_of_what_rises_falls_stands_still_or_breaks():
    w1 = np.array([4.0, 3.0, 2.0, math.inf])
    assert c09_loss_and_quality.rank_correlation(
        np.array([1.0, 0.5, 0.4, 9.0]), w1
    ) == pytest.approx(1.0)
    assert c09_loss_and_quality.rank_correlation(-np.arange(4.0), np.arange(4.0)) == pytest.approx(
        -1.0
    )
    assert c09_loss_and_quality.rank_correlation(np.ones(4), w1) == 0.0
    assert math.isnan(
        c09_loss_and_quality.rank_correlation(np.array([1.0, math.nan, 0.0, 2.0]), w1)
    )
    assert c09_loss_and_quality.remark("gan", "JS", [0.25] * 4) == (
        "gan: rank correlation of JS and W1 0.25 (0.25 to 0.25)."
    )


def test_the_largest_weight_is_found_in_any_leaf_of_any_seed():
    params = {"a": np.array([[0.1, -0.7], [0.2, 0.3]]), "b": np.zeros((2, 1))}
    states = types.SimpleNamespace(critic=types.SimpleNamespace(params=params))
    assert c07_clipping.largest_weight(states) == pytest.approx(0.7)


@pytest.mark.slow
@pytest.mark.rare
def test_cpu_seconds_are_those_of_updates_in_turn(monkeypatch):
    monkeypatch.setattr(c13_successors, "ROUNDS", 2)
    found = c13_successors.seconds_per_update(("wgan_gp",), range(2), 2)
    assert list(found) == ["wgan_gp"]
    assert len(found["wgan_gp"]) == 2
    assert min(found["wgan_gp"]) > 0
    assert max(found["wgan_gp"]) < 20 * min(found["wgan_gp"])  # compilation is not in it


def test_a_quick_run_is_kept_apart_from_full_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "FOLDER", tmp_path)
    recorded = claims.last("C1", quick=False)
    claims.result_path("C1", quick=True).write_text(json.dumps({"verdict": "quick"}))
    assert claims.last("C1", quick=True) == {"verdict": "quick"}
    assert claims.last("C1", quick=False) == recorded
    claims.result_path("C1", quick=False).write_text(json.dumps({"verdict": "full"}))
    assert claims.last("C1", quick=False) == {"verdict": "full"}


def test_results_say_how_many_seeds_they_rest_on():
    seeds = range(40, 42)
    assert claims.measure("C18", seeds, quick=True)["seeds"] == 0
    assert claims.measure("C19", seeds, quick=True)["seeds"] == 1
    found = claims.measure("C4", seeds, quick=True)
    assert (found["seeds"], found["first_seed"]) == (2, 40)


@pytest.mark.parametrize(("certain", "spread"), [(True, "exact"), (False, "no spread")])
def test_only_what_is_certain_is_called_exact(certain, spread):
    condition = ledger.above("x", ledger.exact(2.0), 1.0, certain)
    assert page.cells({**condition._asdict(), "verdict": condition.verdict})[-1] == spread
