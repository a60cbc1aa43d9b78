"""Mode coverage on samples counted by hand and on true mixtures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jwgan.metrics import coverage
from jwgan.problems import gaussians

MODES = jnp.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])


def at(*points):  # ((x, y), times), ... -> [N, 2]
    return jnp.concatenate([jnp.tile(jnp.array([p], jnp.float32), (n, 1)) for p, n in points])


def test_counts_by_hand():
    # 100 samples, fair share 25; covered from 5 on.  Radius 4: 3.9 is in, 4.1 is out.
    x = at(((0, 3.9), 60), ((10, 0), 5), ((0, 10), 4), ((4.1, 0), 20), ((50, 50), 11))
    result = coverage.mode_coverage(x, MODES, 1.0)
    assert result.counts.tolist() == [60, 5, 4, 0]
    assert int(result.modes_covered) == 2
    assert float(result.high_quality_share) == pytest.approx(0.69)
    share = np.array([60, 5, 4]) / 69
    assert float(result.kl) == pytest.approx((share * np.log(share * 4)).sum(), rel=1e-5)


def test_radius_and_threshold_are_arguments():
    x = at(((0, 3.9), 60), ((10, 0), 5), ((0, 10), 4), ((10, 10), 31))
    assert coverage.mode_coverage(x, MODES, 1.0, num_std=3.0).counts.tolist() == [0, 5, 4, 31]
    assert coverage.mode_coverage(x, MODES, 2.0, num_std=3.0).counts.tolist() == [60, 5, 4, 31]
    assert int(coverage.mode_coverage(x, MODES, 1.0, min_share=0.16).modes_covered) == 4
    assert int(coverage.mode_coverage(x, MODES, 1.0, min_share=0.17).modes_covered) == 3


def test_min_share_zero_asks_for_one_sample():
    x = at(((0, 0), 99), ((10, 0), 1))
    assert int(coverage.mode_coverage(x, MODES, 1.0, min_share=0.0).modes_covered) == 2


def test_kl_of_balance_of_collapse_and_of_nothing():
    balanced = coverage.mode_coverage(jnp.tile(MODES, (3, 1)), MODES, 1.0)
    assert float(balanced.kl) == pytest.approx(0, abs=1e-6)
    collapsed = coverage.mode_coverage(at(((10, 0), 50)), MODES, 1.0)
    assert float(collapsed.kl) == pytest.approx(np.log(4), rel=1e-6)
    nowhere = coverage.mode_coverage(at(((5, 5), 50)), MODES, 1.0)
    assert float(nowhere.kl) == pytest.approx(np.log(4), rel=1e-6)
    assert int(nowhere.modes_covered) == 0
    assert float(nowhere.high_quality_share) == 0


@pytest.mark.parametrize("num_std", [3.0, 4.0])
@pytest.mark.parametrize("world", [gaussians.eight_gaussians, gaussians.twenty_five_gaussians])
def test_the_true_mixture_covers_all_and_its_quality_is_the_closed_form(world, num_std):
    problem, num = world(), 20_000
    x = problem.sample(jax.random.key(0), num)
    result = jax.jit(coverage.mode_coverage)(x, problem.modes, problem.mode_std, num_std)
    share = 1 - np.exp(-(num_std**2) / 2)  # of a round Gaussian in the plane
    bound = 4.5 * np.sqrt(share * (1 - share) / num)
    assert float(result.high_quality_share) == pytest.approx(share, abs=bound)
    assert int(result.modes_covered) == len(problem.modes)
    assert int(result.counts.sum()) == round(float(result.high_quality_share) * num)
    # 2 N KL is about chi-square with M - 1 degrees of freedom.
    assert 2 * num * float(result.kl) < 60
