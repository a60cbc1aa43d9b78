"""MMD against scikit-learn's kernels, loops over pairs and closed forms."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import pairwise

from jwgan.metrics import kernel

X = np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32)
Y = np.random.default_rng(1).normal(0.5, 1.5, size=(9, 5)).astype(np.float32)
KERNELS = {
    "polynomial": (kernel.polynomial(), pairwise.polynomial_kernel),
    "quadratic": (
        kernel.polynomial(2, scale=0.3, offset=0.5),
        lambda x, y: pairwise.polynomial_kernel(x, y, degree=2, gamma=0.3, coef0=0.5),
    ),
    "rbf": (kernel.rbf(1.7), lambda x, y: pairwise.rbf_kernel(x, y, gamma=0.5 / 1.7**2)),
}
kernels = pytest.mark.parametrize("name", KERNELS)


@kernels
def test_kernels_are_scikit_learns(name):
    ours, oracle = KERNELS[name]
    np.testing.assert_allclose(ours(X, Y), oracle(X, Y), rtol=1e-4)


@kernels
def test_mmd_is_the_mean_over_pairs_of_different_rows(name):
    ours, oracle = KERNELS[name]
    x, y = X.astype(np.float64), Y.astype(np.float64)
    xx, yy, xy = oracle(x, x), oracle(y, y), oracle(x, y)
    n, m = len(x), len(y)
    within_x = np.mean([xx[i, j] for i in range(n) for j in range(n) if i != j])
    within_y = np.mean([yy[i, j] for i in range(m) for j in range(m) if i != j])
    expected = within_x + within_y - 2 * np.mean(xy)
    assert float(jax.jit(lambda a, b: kernel.mmd2(a, b, ours))(X, Y)) == pytest.approx(
        expected, rel=1e-4, abs=1e-6
    )
    assert float(kernel.mmd2(Y, X, ours)) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_linear_kernel_estimates_the_squared_distance_of_the_means():
    # |mean_x - mean_y|^2 less the bias of each squared mean, tr(cov) / N.
    bias = np.trace(np.cov(X.T)) / len(X) + np.trace(np.cov(Y.T)) / len(Y)
    expected = ((X.mean(0) - Y.mean(0)) ** 2).sum() - bias
    value = kernel.mmd2(X, Y, kernel.polynomial(1, scale=1.0))
    assert float(value) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_rbf_mmd_is_unbiased(shift):
    # N(0, 1) against N(d, 1): E k = b / sqrt(b^2 + 2) exp(-d^2 / (2 (b^2 + 2))), b the bandwidth.
    def draw(key):
        key_x, key_y = jax.random.split(key)
        x = jax.random.normal(key_x, (20, 1))
        return kernel.mmd2(x, shift + jax.random.normal(key_y, (30, 1)), kernel.rbf(1.0))

    values = jax.vmap(draw)(jax.random.split(jax.random.key(0), 2000))
    expected = 2 / np.sqrt(3) * (1 - np.exp(-(shift**2) / 6))
    bound = 4.5 * float(values.std()) / np.sqrt(2000)
    assert float(values.mean()) == pytest.approx(expected, abs=bound)
    assert shift or float(values.min()) < 0  # unbiased means negative at times


def test_long_sums_keep_their_digits_in_float32(rng):
    x = rng.normal(size=(3000, 8)).astype(np.float32)
    y = rng.normal(0.1, 1, size=(3000, 8)).astype(np.float32)
    expected = kernel.mmd2(*(jnp.asarray(a) for a in (x, y)), kernel.polynomial())
    gram = [pairwise.polynomial_kernel(a.astype(float), b) for a, b in ((x, x), (y, y), (x, y))]
    pairs = [(g.sum() - np.trace(g)) / (3000 * 2999) for g in gram[:2]]
    assert float(expected) == pytest.approx(sum(pairs) - 2 * gram[2].mean(), abs=1e-6)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="bandwidth is 0"):
        kernel.rbf(0.0)
    with pytest.raises(ValueError, match="at least 2"):
        kernel.mmd2(X[:1], Y, kernel.rbf(1.0))


@pytest.mark.parametrize(
    ("offset", "dtype"),
    [(0, np.float32), (1e3, np.float32), (1e5, np.float32), (1e3, np.float16), (200, np.uint8)],
)
def test_rbf_does_not_feel_a_common_offset(offset, dtype):
    x = (np.float32(offset) + 4 * np.abs(X)).astype(dtype)
    exact = pairwise.rbf_kernel(x.astype(np.float64), gamma=0.5 / 1.7**2)
    np.testing.assert_allclose(kernel.rbf(1.7)(jnp.asarray(x), jnp.asarray(x)), exact, rtol=1e-5)


def test_defaults_are_kids():
    defaults = {n: p.default for n, p in inspect.signature(kernel.polynomial).parameters.items()}
    assert defaults == {"degree": 3, "scale": None, "offset": 1.0}
    two = X[:2]
    expected = 2 * pairwise.rbf_kernel(two.astype(float), gamma=0.5)[0, 1]
    expected -= 2 * pairwise.rbf_kernel(two.astype(float), gamma=0.5).mean()
    assert float(kernel.mmd2(two, two, kernel.rbf(1.0))) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="at least 2"):
        kernel.mmd2(X, Y[:1], kernel.rbf(1.0))
    with pytest.raises(ValueError, match="bandwidth is -1"):
        kernel.rbf(-1.0)


def test_subsets_of_all_rows_are_mmd2():
    x, y = X[:9], Y
    mean, std = kernel.mmd2_of_subsets(
        x, y, kernel.polynomial(), num_subsets=3, subset_size=9, seed=1
    )
    assert mean == pytest.approx(float(kernel.mmd2(x, y, kernel.polynomial())), rel=1e-5)
    assert std == pytest.approx(0, abs=1e-6)
    one = kernel.mmd2_of_subsets(x, y, kernel.polynomial(), num_subsets=1, subset_size=9)
    assert one == (pytest.approx(mean, rel=1e-5), 0)


@kernels
def test_subsets_are_drawn_as_torch_fidelity_draws_them(name):
    ours, oracle = KERNELS[name]
    random, found = np.random.RandomState(5), []
    for _ in range(4):
        y = Y[random.choice(9, 6, replace=False)]  # its input1, the generated
        x = X[random.choice(12, 6, replace=False)]
        pairs = sum((k.sum() - np.trace(k)) / 30 for k in (oracle(x, x), oracle(y, y)))
        found.append(pairs - 2 * oracle(x, y).mean())
    mean, std = kernel.mmd2_of_subsets(X, Y, ours, num_subsets=4, subset_size=6, seed=5)
    np.testing.assert_allclose((mean, std), (np.mean(found), np.std(found)), rtol=1e-3)
    assert std > 0


def test_subsets_that_there_are_not():
    for how, says in [
        ({"subset_size": 10}, "subset_size is 10: give 2 to 9, the rows that there are"),
        ({"subset_size": 1}, "subset_size is 1: give 2 to 9"),
        ({"subset_size": 5, "num_subsets": 0}, "num_subsets is 0"),
    ]:
        with pytest.raises(ValueError, match=says):
            kernel.mmd2_of_subsets(X, Y, kernel.polynomial(), **how)
    defaults = inspect.signature(kernel.mmd2_of_subsets).parameters
    assert [defaults[n].default for n in ("num_subsets", "subset_size", "seed")] == [
        100,
        1000,
        2020,
    ]
