"""C5: a better discriminator leaves the saturating generator without a gradient."""

from typing import Any

from experiments.claims import ledger
from experiments.claims.ledger import Claim, Measured

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
    "seeds.",
    data="8 Gaussians, MLPs of 3 x 64 units, batch 64",
)
LOOKS = (0, 10, 30, 100, 300, 1000, 2000, 4000)


def _gradients(state: Any, key: Any, critic: Any, generator: Any, prior: Any, loss: Any) -> Any:
    """(norm of the mean gradient, spread between batches) of a generator's loss."""
    import jax
    import jax.flatten_util
    import jax.numpy as jnp

    def of_batch(key: Any) -> Any:
        def value(params: Any) -> Any:
            fake, _ = generator.apply(params, state.generator.model_state, prior(key, 64))
            score, _ = critic.apply(state.critic.params, state.critic.model_state, fake)
            return loss(score).mean()

        flat, _ = jax.flatten_util.ravel_pytree(jax.grad(value)(state.generator.params))
        return flat

    rows = jax.vmap(of_batch)(jax.random.split(key, 32))
    return jnp.linalg.norm(rows.mean(axis=0)), jnp.sqrt(rows.var(axis=0, ddof=1).sum())


def measure(seeds: int, quick: bool) -> Measured:
    import jax
    import numpy as np

    from experiments import tasks
    from experiments.claims import worlds
    from jwgan import adversarial, algorithms, objectives, penalties, priors

    critic, generator = worlds.players()
    prior = priors.normal(worlds.LATENT)
    game = algorithms.gan_minimax(critic, generator, prior=prior, learning_rate=1e-4)
    sample = tasks.load_world("eight_gaussians").problem.sample
    import optax

    tx = optax.adam(1e-4, b1=0.5)
    saturating = lambda score: jax.nn.log_sigmoid(-score)
    alternative = lambda score: -jax.nn.log_sigmoid(score)

    def discriminator_update(state: Any, key: Any) -> Any:
        key_real, key_z = jax.random.split(key)
        fake, _ = generator.apply(
            state.generator.params, state.generator.model_state, prior(key_z, worlds.BATCH)
        )
        player, _ = adversarial.critic_update(
            state.critic,
            sample(key_real, worlds.BATCH),
            fake,
            key,
            critic=critic,
            critic_tx=tx,
            objective=objectives.minimax(),
            objective_state=(),
            penalty=penalties.none(),
        )
        return state._replace(critic=player)

    looks = [n for n in LOOKS if n <= (300 if quick else LOOKS[-1])]

    def run(key: Any) -> Any:
        batch = jax.ShapeDtypeStruct((1, worlds.BATCH, 2), np.float32)
        state = game.init(key, batch)
        keys = jax.random.split(jax.random.fold_in(key, 1), 200)
        draw = lambda key: sample(key, worlds.BATCH)[None]
        state, _ = jax.lax.scan(lambda s, k: game.step(s, draw(k)), state, keys)
        rows, done = [], 0
        for look in looks:
            keys = jax.random.split(jax.random.fold_in(key, 2 + look), look - done)
            if look > done:
                state, _ = jax.lax.scan(
                    lambda s, k: (discriminator_update(s, k), None), state, keys
                )
            done = look
            parts = (jax.random.key(7), critic, generator, prior)
            rows.append(
                (*_gradients(state, *parts, saturating), *_gradients(state, *parts, alternative))
            )
        return rows

    keys = jax.vmap(jax.random.key)(np.arange(seeds))
    found = np.asarray(jax.jit(jax.vmap(run))(keys))  # [looks, 4, K]
    names = ("saturating", "saturating_spread", "alternative", "alternative_spread")
    series = {name: found[:, i].tolist() for i, name in enumerate(names)}
    start = looks.index(10)
    ratio = lambda i: found[-1, i] / np.maximum(found[start, i], 1e-30)
    bars = [
        ledger.at_most("saturating gradient, last / first", ledger.interval(ratio(0)), 0.1),
        ledger.above("spread of the -log D gradient, last / first", ledger.interval(ratio(3)), 3.0),
    ]
    return Measured(bars, {"updates": looks, **series})


def draw(drawn: dict[str, Any]) -> Any:
    from experiments.claims import pictures

    return pictures.bands(
        drawn["updates"],
        {
            "saturating, norm": drawn["saturating"],
            "-log D, norm": drawn["alternative"],
            "-log D, spread between batches": drawn["alternative_spread"],
        },
        x="discriminator updates with the generator frozen",
        y="generator's gradient",
        logarithmic=True,
    )
