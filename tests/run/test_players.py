"""The networks that options ask for: norms of each player, and the shallow pair."""

import jax
import jax.numpy as jnp
import pytest

from experiments import began, ebgan
from jwgan import run
from jwgan.run import members, options, players

SHAPES = [(8, 8, 1), (16, 16, 1)]  # an MLP by default, and DCGAN's convolutions


def names_of(network, x):
    """The layers of a network: the names in its parameters."""
    params, _ = jax.eval_shape(network.init, jax.random.key(0), x)
    found = jax.tree_util.tree_flatten_with_path(params)[0]
    return {part.key.partition("_")[0] for path, _ in found for part in path}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("norm", "layer"), [("batch", "BatchNorm"), ("layer", "LayerNorm")])
def test_each_player_has_the_norm_it_is_given(shape, norm, layer):
    x, z = jnp.zeros((2, *shape)), jnp.zeros((2, 4))
    for chosen in ("critic", "generator"):
        config = run.ImageConfig(width=2, latent=4, **{f"{chosen}_norm": norm})
        critic, generator = players.image_players(shape, config)
        found = {"critic": names_of(critic, x), "generator": names_of(generator, z)}
        other = "generator" if chosen == "critic" else "critic"
        assert layer in found[chosen]
        assert not any("Norm" in name for name in found[other])


def test_a_resnet_has_the_critics_norm_and_batch_norm_in_its_generator():
    config = run.ImageConfig(network="resnet", width=2, critic_norm="layer", generator_norm="batch")
    critic, generator = players.image_players((8, 8, 1), config)
    assert "LayerNorm" in names_of(critic, jnp.zeros((2, 8, 8, 1)))
    assert "BatchNorm" in names_of(generator, jnp.zeros((2, 4)))
    wrong = run.ImageConfig(network="resnet", width=2, generator_norm="layer")
    with pytest.raises(ValueError, match=r"generator_norm is 'layer'.*has batch norm"):
        players.image_players((8, 8, 1), wrong)


@pytest.mark.parametrize(
    ("member", "name"),
    [("dcgan", "critic_norm"), ("began", "generator_norm"), ("ebgan", "critic_norm")],
)
def test_a_norm_that_the_networks_do_not_take_is_refused(member, name):
    config = members.config_of(member)(width=2, **{name: "batch"})
    with pytest.raises(ValueError, match=rf"{name} is 'batch'.*leave it out"):
        members.experiment_of(member).build(config, (16, 16, 1))


@pytest.mark.parametrize("module", [began, ebgan])
def test_the_documents_refuse_it_too(module):
    with pytest.raises(ValueError, match=r"critic_norm is 'layer'.*--network shallow"):
        module.build(module.Config(network="auto", critic_norm="layer"), (16, 16, 1))


def build(module, **given):
    return module.build(module.Config(width=2, latent=4, network="shallow", **given), (8, 8, 1))


@pytest.mark.parametrize("name", ["skips", "vanishing"])
def test_the_shallow_pair_has_no_parts_of_the_papers_decoder(name):
    with pytest.raises(ValueError, match=rf"{name} is (True|1): --network shallow has none"):
        build(began, **{name: type(getattr(began.Config(), name))(1)})


@pytest.mark.parametrize("module", [began, ebgan])
def test_the_shallow_pair_trains_and_samples_pixels(module):
    algorithm = build(module, critic_norm="batch", generator_norm="batch")
    x = jax.random.uniform(jax.random.key(1), (1, 8, 8, 8, 1), minval=-1)
    state = jax.jit(algorithm.init)(jax.random.key(0), x)
    sample = jax.jit(lambda state: algorithm.sample(jax.random.key(2), state, 16))
    first = sample(state)
    state, info = jax.jit(algorithm.step)(state, x)
    assert jnp.isfinite(info.critic_loss).all()
    after = sample(state)
    assert -1 <= after.min() < after.max() <= 1
    assert not jnp.allclose(first, after)


def test_its_energy_is_of_pixels_between_0_and_1():
    """A sigmoid that knows nothing is off by 1/2 at every black pixel."""
    algorithm = build(began)
    black = jnp.full((4, 8, 8, 1), -1.0)
    state = algorithm.init(jax.random.key(0), black[None])
    # Without a bias a black image has no features, and every pixel's sigmoid is 1/2.
    assert algorithm.score(state, black).tolist() == pytest.approx([0.5] * 4)


def test_members_have_the_shallow_pair_as_well():
    for member in members.ENERGIES:
        config = members.config_of(member)(network="shallow", width=2, latent=4)
        algorithm = members.experiment_of(member).build(config, (8, 8, 1))
        x = jnp.zeros((1, 2, 8, 8, 1))
        assert algorithm.score(algorithm.init(jax.random.key(0), x), x[0]).shape == (2,)


def test_old_configs_have_no_norm():
    """Benches, and runs that were made before these options, have configs without them."""
    bare = options.Config()
    assert players.norms_of(bare) == (None, None)
    players.require_no_norm(bare, "these have none")


@pytest.mark.parametrize(
    ("shape", "given", "size"),
    [((8, 8, 1), {}, 16), ((28, 28, 1), {}, 32), ((8, 8, 1), {"code": 5}, 5), ((4, 4, 1), {}, 4)],
)
def test_a_small_picture_has_a_small_code(shape, given, size):
    algorithm = began.build(began.Config(width=2, latent=4, **given), shape)
    x = jax.ShapeDtypeStruct((1, 4, *shape), jnp.float32)
    params = jax.eval_shape(lambda x: algorithm.init(jax.random.key(0), x), x).critic.params
    narrow = [leaf.shape[1] for leaf in jax.tree.leaves(params) if leaf.ndim == 2]
    assert min(narrow) == size
