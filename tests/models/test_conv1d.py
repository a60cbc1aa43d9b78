"""Networks for series obey the laws of all models, and see time alone."""

import jax
import jax.numpy as jnp
import model_laws
import numpy as np
import pytest

from jwgan.models import conv1d


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((5, 1), [5, 3]), ((48, 2), [48, 24, 12, 6, 3]), ((256, 1), [256, 128, 64, 32, 16, 8, 4])],
)
def test_lengths_halve_and_players_fit_each_other(shape, expected):
    assert conv1d.lengths(shape) == expected
    generator, critic = conv1d.Conv1DGenerator(shape, 2), conv1d.Conv1DCritic(shape, 2)
    z = jnp.zeros((3, 4))
    x, _ = jax.eval_shape(generator.init_with_output, jax.random.key(0), z)
    scores, variables = jax.eval_shape(critic.init_with_output, jax.random.key(0), x)
    assert x.shape == (3, *shape)
    assert scores.shape == (3,)
    widths = [p["kernel"].shape[-1] for n, p in variables["params"].items() if "Conv" in n]
    assert widths == [2 * min(2**i, 8) for i in range(len(expected) - 1)]


def test_players_obey_the_laws():
    shape = (10, 2)
    model_laws.check_critic(conv1d.Conv1DCritic(shape, 4), shape, train_argument=False)
    generator = conv1d.Conv1DGenerator(shape, 4)
    model_laws.check_generator(generator, shape, train_argument=False, batch_norm=False)


def test_a_step_is_seen_by_its_neighbours_alone():
    """One convolution of width 5: an output depends on 5 steps of all channels."""
    critic = conv1d.Conv1DCritic((8, 2), 1)
    x = jax.random.normal(jax.random.key(0), (1, 8, 2))
    variables = critic.init(jax.random.key(1), x)
    kernel = variables["params"]["Conv_0"]["kernel"]
    assert kernel.shape == (5, 1, 2, 1)
    first = lambda x: critic.apply(
        variables, x, capture_intermediates=True, mutable=["intermediates"]
    )[1]["intermediates"]["Conv_0"]["__call__"][0][0, 1, 0, 0]
    gradient = np.asarray(jax.grad(first)(x))[0]
    seen = [False, *[True] * 5, False, False]
    assert (np.abs(gradient).min(axis=1) > 0).tolist() == seen
    assert (np.abs(gradient).max(axis=1) > 0).tolist() == seen


@pytest.mark.parametrize("shape", [(4, 1), (10, 0), (10,), (10, 2, 1), (2**17, 1)])
@pytest.mark.parametrize("player", [conv1d.Conv1DCritic, conv1d.Conv1DGenerator])
def test_shapes_that_are_refused(player, shape):
    with pytest.raises(ValueError, match=r"series_shape is .*: give \(T, C\) with T from 5"):
        player(shape)


def test_other_series_are_refused():
    critic = conv1d.Conv1DCritic((10, 2), 1)
    with pytest.raises(ValueError, match=r"must be \[B, \*\(10, 2\)\]"):
        critic.init(jax.random.key(0), jnp.ones((1, 10, 3)))
