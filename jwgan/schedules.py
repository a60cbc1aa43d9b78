"""Learning rates that move while a model trains, counted in generator updates for both players.

Optax counts the updates that a transform makes. A critic makes n_critic of them in each step, so a
schedule inside its optimizer ends n_critic times too early, and the critic then stands still
without a word. `scale_by_rate` reads the step instead; the members use it for every `learning_rate`
that is a schedule:

    >>> critic = networks.from_fn(lambda key, x: jnp.zeros(2), lambda w, x: x @ w)
    >>> generator = networks.from_fn(lambda key, z: jnp.zeros(2), lambda w, z: z + w)
    >>> rate = optax.linear_schedule(1e-4, 0.0, transition_steps=10_000)  # 0 after 10,000 steps
    >>> member = jwgan.wgan_gp(critic, generator, prior=priors.normal(2), learning_rate=rate)
"""

import optax

from jwgan.types import Array, Params


def scale_by_rate(rate: optax.Schedule) -> optax.GradientTransformationExtraArgs:
    """Multiplies updates by `-rate(step)`, step the generator updates before this one.

    The last transform of an optimizer: `optax.chain(optax.scale_by_adam(), scale_by_rate(rate))`.
    `adversarial` hands the step to every transform that takes it.

    Args:
      rate: `step [] int32 -> rate []`, an optax schedule; both players read the same step.

    Raises:
      TypeError: at an update, if nobody hands it the `step`: a loop of one's own must.

    >>> tx = schedules.scale_by_rate(optax.linear_schedule(1.0, 0.0, transition_steps=4))
    >>> update, _ = tx.update(jnp.ones(2), tx.init(jnp.ones(2)), step=jnp.int32(1))
    >>> update.tolist()
    [-0.75, -0.75]
    """

    def update(
        updates: Params,
        state: optax.EmptyState,
        params: Params | None = None,
        *,
        step: Array,
        **extra,
    ) -> tuple[Params, optax.EmptyState]:
        del params, extra
        scale = optax.scale(-1.0 * rate(step))
        return scale.update(updates, state)

    return optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)
