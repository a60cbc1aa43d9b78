"""C5: a better discriminator leaves the saturating generator without a gradient."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax

from experiments.claims import ledger, pictures, worlds
from experiments.claims.ledger import Claim, Measured, Said
from jwgan import algorithms, critics, networks, objectives, penalties, priors
from jwgan.run import tasks

CLAIM = Claim(
    title="The better the discriminator, the smaller the generator's gradient",
    claim="As the discriminator gets better, the gradient of the generator's original loss "
    "log(1 - D) vanishes. The usual replacement -log D keeps its gradient, but that gradient gets "
    "more and more noisy, which makes training unstable.",
    source="Arjovsky and Bottou, 2017, Towards Principled Methods for Training GANs, theorem 2.4, "
    "theorem 2.6 and figures 2 and 3; the WGAN blog post of the source texts",
    criterion="A generator is trained for 200 updates, then frozen, and the discriminator goes on "
    "alone for 4,000 updates. (a) The norm of the saturating gradient after these 4,000, over its "
    "norm after 10 of them, is at most 0.1. (b) The spread of the -log D gradient between batches "
    "(root of the summed variance over 32 batches), in the same ratio, is above 3. Median over "
    "seeds. The theorems assume supports that do not overlap, which 8 Gaussians and a generator "
    "may do; so both bars, with the same numbers, are also asked in a second world of disjoint "
    "supports: real points uniform on the segment {0} x [0, 1], and a generator whose output is "
    "bent into [0.5, 1.5] x [0, 1].",
    data="8 Gaussians, and disjoint supports in the plane; MLPs of 3 x 64 units, batch 64",
    did="We trained a small GAN for 200 updates, froze its generator and let the discriminator go "
    "on alone for 4,000 updates, in a world where samples and data overlap and in one where they "
    "cannot.",
    means="With the original loss log(1 - D) a well trained discriminator leaves the generator "
    "without a gradient where samples and data are apart. With -log D the gradient stays, but "
    "batches disagree about it more and more: use small steps, or another loss.",
)
# The theorems assume disjoint supports; of overlapping ones the source asserts nothing.
SAID = {
    "disjoint supports: saturating gradient, last / first": Said(
        "theorem 2.4, figure 2: it vanishes", none=1.0
    ),
    "disjoint supports: spread of the -log D gradient, last / first": Said(
        "theorem 2.6, figure 3: it grows", none=1.0
    ),
    "spread of the -log D gradient, last / first": Said(
        "the blog post: -log D makes training unstable, whatever the supports", none=1.0
    ),
}
BATCH = jax.ShapeDtypeStruct((1, worlds.BATCH, 2), np.float32)  # tells `init` the shape of a batch
UPDATES = (0, 10, 30, 100, 300, 1000, 2000, 4000)  # after which the gradients are measured


def _gradients(state: Any, key: Any, critic: Any, generator: Any, prior: Any, loss: Any) -> Any:
    """Measures a generator's loss: (norm of the mean gradient, its spread between batches)."""

    def of_batch(key: Any) -> Any:
        def value(params: Any) -> Any:
            fake, _ = generator.apply(params, state.generator.model_state, prior(key, 64))
            score, _ = critic.apply(state.critic.params, state.critic.model_state, fake)
            return loss(score).mean()

        # All parameters become one vector: norms and variances are over the whole gradient.
        flat, _ = jax.flatten_util.ravel_pytree(jax.grad(value)(state.generator.params))
        return flat

    # The 32 batches of 64 come from one key: every evaluation sees the same latents.
    rows = jax.vmap(of_batch)(jax.random.split(key, 32))  # [32, P]
    return jnp.linalg.norm(rows.mean(axis=0)), jnp.sqrt(rows.var(axis=0, ddof=1).sum())


def two_worlds(generator: Any) -> dict[str, tuple[Any, Any]]:
    """Makes the worlds, {name: (`(key, num) -> real x [num, 2]`, generator)}."""

    def segment(key: Any, num: int) -> Any:
        height = jax.random.uniform(key, (num, 1))
        return jnp.concatenate([jnp.zeros((num, 1)), height], axis=1)

    def bent(z: Any, x: Any) -> Any:
        # tanh maps the plane into a square, which is moved off the segment at 0.
        return (1 + jnp.tanh(x)) / 2 + jnp.array([[0.5, 0.0]])

    return {
        "overlapping": (tasks.load_world("eight_gaussians").problem.sample, generator),
        "disjoint": (segment, networks.map_output(generator, bent)),
    }


def _alone(state: Any, critic: Any, generator: Any, prior: Any) -> Any:
    """Assembles the discriminator of a game to go on alone, against its frozen generator.

    Returns:
      (algorithm, `key -> state`): the state has the discriminator of the game, with the moments of
      its optimizer.
    """
    frozen = lambda key, num: generator.evaluate(
        state.generator.params, state.generator.model_state, prior(key, num)
    )
    algorithm = critics.build(
        critic,
        fake=frozen,
        # The game's own optimizer, whose moments go on.
        critic_tx=optax.adam(1e-4, b1=0.5),
        objective=objectives.minimax(),
        penalty=penalties.none(),
    )
    return algorithm, lambda key: algorithm.init(key, BATCH)._replace(critic=state.critic)


def gradients_after(
    sample: Any, critic: Any, generator: Any, updates: Sequence[int], seeds: range
) -> Any:
    """Trains K games, then the discriminators alone, and measures the generators' gradients.

    Returns:
      [updates, 4, K]: norm and spread of the saturating gradient, then of -log D's.
    """
    prior = priors.normal(worlds.LATENT)
    game = algorithms.gan_minimax(critic, generator, prior=prior, learning_rate=1e-4)
    # The losses are log(1 - D) and -log D of a logit, both minimised by the generator.
    saturating = lambda score: jax.nn.log_sigmoid(-score)
    alternative = lambda score: -jax.nn.log_sigmoid(score)

    def start(key: Any) -> Any:
        # The game's steps draw from the state's key; data and later updates fold in 1 and 2.
        state = game.init(key, BATCH)
        keys = jax.random.split(jax.random.fold_in(key, 1), 200)
        draw = lambda key: sample(key, worlds.BATCH)[None]
        return jax.lax.scan(lambda s, k: game.step(s, draw(k)), state, keys)[0]

    def go_on(state: Any, key: Any, first: Any, last: Any) -> Any:
        alone, start = _alone(state, critic, generator, prior)
        key_steps, key_data = jax.random.split(key)

        def update(i: Any, player_state: Any) -> Any:
            real = sample(jax.random.fold_in(key_data, i), worlds.BATCH)
            return alone.step(player_state, real[None])[0]

        # Each stretch counts its steps from 0, so each has another key.
        begun = start(jax.random.fold_in(key_steps, first))
        return state._replace(critic=jax.lax.fori_loop(first, last, update, begun).critic)

    def gradients(state: Any) -> Any:
        # All evaluations have one key, so they differ by the discriminator alone.
        parts = (jax.random.key(7), critic, generator, prior)
        return (*_gradients(state, *parts, saturating), *_gradients(state, *parts, alternative))

    # Three small programs, each compiled once.
    begin, advance = jax.jit(jax.vmap(start)), jax.jit(jax.vmap(go_on, (0, 0, None, None)))
    measured = jax.jit(jax.vmap(gradients))
    keys = jax.vmap(jax.random.key)(np.array(seeds))
    later = jax.vmap(lambda key: jax.random.fold_in(key, 2))(keys)
    states, rows = begin(keys), []  # [K, ...]
    for first, last in zip([0, *updates], updates, strict=False):
        states = advance(states, later, first, last)
        rows.append(measured(states))
    return np.asarray(rows)


def measure(seeds: range, quick: bool) -> Measured:
    updates = [0, 10, 100] if quick else list(UPDATES)
    names = ("saturating", "saturating_spread", "alternative", "alternative_spread")
    start, conditions = updates.index(10), []
    data: dict[str, Any] = {}
    critic, plain = worlds.players()
    for world, (sample, generator) in two_worlds(plain).items():
        if quick and data:
            # A quick run trains in the first world only.
            found = np.full((len(updates), 4, len(seeds)), np.nan)
        else:
            found = gradients_after(sample, critic, generator, updates, seeds)
        data[world] = {name: found[:, i].tolist() for i, name in enumerate(names)}
        # A gradient may vanish altogether: 0 over 0 would be NaN, and the condition open.
        ratio = lambda i: ledger.interval(found[-1, i] / np.maximum(found[start, i], 1e-30))
        # The criterion's first world has no name in the recorded results.
        where = "" if world == "overlapping" else f"{world} supports: "
        conditions += [
            ledger.at_most(f"{where}saturating gradient, last / first", ratio(0), 0.1),
            ledger.above(f"{where}spread of the -log D gradient, last / first", ratio(3), 3.0),
        ]
    return Measured(conditions, {"updates": updates, **data})


def draw(data: dict[str, Any]) -> Any:
    short = {"saturating": "saturating, norm", "alternative_spread": "-log D, spread"}
    return pictures.bands(
        data["updates"],
        {
            f"{name}, {world}": data[world][metric]
            for metric, name in short.items()
            for world in ("overlapping", "disjoint")
        },
        x="discriminator updates with the generator frozen",
        y="generator's gradient",
        logarithmic=True,
    )
