"""KL and JS against scipy and closed forms; the classifier's bound."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from jwgan import divergences

LOG2 = math.log(2)
seeded = settings(derandomize=True, deadline=None, max_examples=30)
seeds = st.integers(0, 2**32 - 1)
kl, js = jax.jit(divergences.kl), jax.jit(divergences.js)


def histograms(seed, num=8):
    """Three histograms with some empty bins: p, q, and p's empty bins filled."""
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(np.ones(num), 2) * (rng.random((2, num)) < 0.8) + [[1e-3], [0]]
    q[0] += 1e-3
    return p / p.sum(), q / q.sum()


def normal(mean, std=1.0):
    """Log density on the line."""
    return lambda x: jax.scipy.stats.norm.logpdf(x, mean, std)


def uniform(low, high):
    return lambda x: jnp.where((x >= low) & (x <= high), -math.log(high - low), -jnp.inf)


@seeded
@given(seed=seeds)
def test_histograms_are_scipys(seed):
    p, q = histograms(seed)
    assert float(kl(q, p)) == pytest.approx(stats.entropy(q, p), rel=1e-4, abs=1e-6)
    assert float(js(p, q)) == pytest.approx(jensenshannon(p, q) ** 2, rel=1e-4, abs=1e-6)
    assert float(kl(p, p)) == float(js(p, p)) == 0
    if (q == 0).any():
        assert float(kl(p, q)) == np.inf


@seeded
@given(seed=seeds)
def test_histograms_laws(seed):
    p, q = histograms(seed)
    order = np.random.default_rng(seed).permutation(len(p))
    value = float(js(p, q))
    assert -1e-6 <= value <= LOG2 + 1e-6
    assert float(kl(q, p)) >= -1e-6
    assert float(js(q, p)) == pytest.approx(value, abs=1e-6)
    assert float(js(p[order], q[order])) == pytest.approx(value, abs=1e-6)
    merge = lambda h: h.reshape(-1, 2).sum(1)  # coarser bins tell less
    assert float(divergences.js(merge(p), merge(q))) <= value + 1e-6
    assert float(divergences.kl(merge(q), merge(p))) <= float(kl(q, p)) + 1e-6


def test_disjoint_histograms():
    p, q = np.array([[0.5, 0.5], [0, 0]]), np.array([[0, 0], [0.25, 0.75]])
    assert float(divergences.js(p, q)) == pytest.approx(LOG2, rel=1e-6)
    assert float(divergences.kl(p, q)) == np.inf


@pytest.mark.parametrize("bad", [[0.5, 0.6], [1.5, -0.5], [np.nan, 1.0], [1.0]])
def test_bad_histograms_are_named(bad):
    good = [0.5, 0.5]
    for function in (divergences.kl, divergences.js):
        with pytest.raises(ValueError, match=r"q is|p, q is"):
            function(good, bad)
        with pytest.raises(ValueError, match=r"p is|p, q is"):
            function(bad, good)


@pytest.mark.parametrize(("mean", "std"), [(0.5, 1.0), (20.0, 1.0), (-1.0, 2.0), (0.0, 0.3)])
def test_kl_between_normals(mean, std):
    found = jax.jit(lambda: divergences.kl_of_densities(normal(mean, std), normal(0.0), -30, 30))()
    expected = -math.log(std) + (std**2 + mean**2 - 1) / 2
    assert float(found) == pytest.approx(expected, rel=2e-5)


def test_js_between_normals_moving_apart():
    # C2: JS flattens at log 2 while KL grows like the square of the distance.
    grid = np.linspace(-12, 32, 400_001)
    p = stats.norm.pdf(grid)
    js_at = jax.jit(lambda m: divergences.js_of_densities(normal(0.0), normal(m), -12, 32))
    previous = -1.0
    for mean in (0.0, 0.5, 2.0, 6.0):
        q = stats.norm.pdf(grid, mean)
        safe = np.maximum((p + q) / 2, 1e-300)
        terms = [np.where(d > 0, d * np.log(np.maximum(d, 1e-300) / safe), 0) for d in (p, q)]
        value = float(js_at(mean))
        assert value == pytest.approx(np.trapezoid(sum(terms) / 2, grid), rel=1e-5, abs=1e-6)
        assert previous < value <= LOG2 + 1e-6
        previous = value
    assert float(js_at(20.0)) == pytest.approx(LOG2, rel=1e-6)
    slope = jax.jit(jax.grad(js_at))
    assert float(slope(1.0)) > 0.1
    assert 0 <= float(slope(15.0)) < 1e-6


def test_densities_with_edges():
    p, q = uniform(0.0, 1.0), uniform(0.5, 1.5)
    # Half of each is shared: JS = half of log 2.
    found = float(divergences.js_of_densities(p, q, -1, 3, 8001))
    assert found == pytest.approx(LOG2 / 2, abs=2e-3)
    assert float(divergences.kl_of_densities(p, q, -1, 3)) == np.inf
    inside = float(divergences.kl_of_densities(uniform(0.25, 0.75), p, 0.25, 0.75))
    assert inside == pytest.approx(LOG2, rel=1e-5)


def test_bad_intervals_are_refused():
    with pytest.raises(ValueError, match="low < high"):
        divergences.kl_of_densities(normal(0.0), normal(1.0), 1, 1)
    with pytest.raises(ValueError, match="num"):
        divergences.js_of_densities(normal(0.0), normal(1.0), 0, 1, 1)


def test_the_best_classifier_attains_js_and_others_stay_below():
    num = 200_000
    key_real, key_fake = jax.random.split(jax.random.key(0))
    real = jax.random.normal(key_real, (num,))
    fake = 1.5 + jax.random.normal(key_fake, (num,))
    exact = float(divergences.js_of_densities(normal(0.0), normal(1.5), -10, 12))
    log_ratio = lambda x: normal(0.0)(x) - normal(1.5)(x)
    error = 4.5 * 0.5 / math.sqrt(num)
    found = float(divergences.js_lower_bound(log_ratio(real), log_ratio(fake)))
    assert found == pytest.approx(exact, abs=error)
    for other in (lambda x: 0.3 * log_ratio(x), lambda x: 3 * log_ratio(x), lambda x: 1 - x**3):
        assert float(divergences.js_lower_bound(other(real), other(fake))) < exact - error


def test_what_a_classifier_reports_at_its_extremes():
    assert float(divergences.js_lower_bound(jnp.full(3, 100.0), jnp.full(5, -100.0))) == (
        pytest.approx(LOG2)
    )
    assert float(divergences.js_lower_bound(jnp.zeros(3), jnp.zeros(5))) == pytest.approx(0)
    # One half right, the other not: the halves weigh the same whatever their sizes.
    lopsided = float(divergences.js_lower_bound(jnp.full(30, 50.0), jnp.full(2, 50.0)))
    assert lopsided == pytest.approx(LOG2 - 25.0)
    with pytest.raises(ValueError, match="logits"):
        divergences.js_lower_bound(jnp.zeros((3, 1)), jnp.zeros(3))
