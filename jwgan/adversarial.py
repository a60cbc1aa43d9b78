"""The one adversarial step every member of the family is assembled from.

`step` has everything explicit; `build` binds it into an `Algorithm`. This file needs only
`types.py` beside it. Order within a step, which public code often gets wrong: n_critic times
(new noise, new data, critic update, constraint), then one generator update against the
constrained critic.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jwgan.types import (
    INIT_FOLD,
    Algorithm,
    Array,
    Batch,
    Info,
    Key,
    ModelState,
    Network,
    Objective,
    Output,
    Params,
    Penalty,
    Prior,
    Ragged,
    Scored,
    require_evaluated,
    require_networks,
    score_of,
)


class PlayerState(NamedTuple):
    """A network's parameters and all that moves with them."""

    params: Params
    model_state: ModelState  # batch statistics, power-iteration vectors; {} if none
    opt_state: Any


class AdversarialState(NamedTuple):
    """All that the next step reads."""

    key: Key  # base key, never advanced; the step's key is fold_in(key, step)
    step: Array  # [] int32, generator updates so far
    critic: PlayerState
    generator: PlayerState
    objective: Any  # () or, for example, BEGANState


class AdversarialInfo(NamedTuple):
    """What a step reports; critic figures are of its last critic update, before that update."""

    critic_loss: Array  # [], without the penalty
    generator_loss: Array  # []
    wasserstein_estimate: Array  # [], E D(x) - E D(g), positive when the critic separates
    penalty: Array  # [], with its weight
    real_score: Array  # [], mean
    fake_score: Array  # [], mean
    critic_gradient_norm: Array  # [], global norm over the parameters
    generator_gradient_norm: Array  # []
    objective: Info  # whatever the objective reports, {} for most


def scalars(info: AdversarialInfo) -> Info:
    """A step's info as one flat dict {name: value}, the objective's own scalars among the rest.

    Args:
      info: from `step`; its leaves may have leading axes, as a chunk of `loop.train` gives them.

    >>> zero = jnp.zeros(())
    >>> info = AdversarialInfo(*[zero] * 8, objective={"k": jnp.array(0.25)})
    >>> flat = scalars(info)
    >>> flat["k"].item(), "critic_loss" in flat, "objective" in flat
    (0.25, True, False)
    """
    values = info._asdict()
    own = values.pop("objective")
    return {**values, **own}


def _checked(output: Output, num: int) -> Output:
    """The output with scores [B] in float32 or better; [B, 1] would broadcast against [B]."""
    score = score_of(output)
    if score.shape != (num,):
        raise ValueError(
            f"critic output has shape {score.shape}, expected ({num},): return one score for each "
            "sample, for example networks.map_output(critic, lambda x, y: y[:, 0])"
        )
    score = score.astype(jnp.promote_types(score.dtype, jnp.float32))
    return output._replace(score=score) if isinstance(output, Scored) else score


def _check_batch(batch: Any) -> None:
    if len(batch.shape) < 3 or min(batch.shape) < 1:
        raise ValueError(
            f"batch has shape {tuple(batch.shape)}, expected [n_critic, B, *D] with n_critic >= 1 "
            "and B >= 1: stack one batch for each critic update"
        )


def _check_generated(shape: tuple[int, ...], real_shape: tuple[int, ...]) -> None:
    if tuple(shape) != tuple(real_shape):
        raise ValueError(
            f"generator output has shape {tuple(shape)} but the data have {tuple(real_shape)}: "
            "build the generator for this data shape, or resize the data"
        )


def init(
    key: Key,
    batch: Any,
    *,
    critic: Network,
    generator: Network,
    critic_tx: optax.GradientTransformation,
    generator_tx: optax.GradientTransformation,
    objective: Objective,
    prior: Prior,
) -> AdversarialState:
    """The state before the first step.

    Args:
      key: typed key; it stays in the state as the run's base key.
      batch: [n_critic, B, *D] array or ShapeDtypeStruct; only shape and dtype are used.
      critic, generator: networks; the critic maps [B, *D] to [B].
      critic_tx, generator_tx: optax transforms.
      objective: see `objectives`.
      prior: see `priors`.

    Raises:
      ValueError: if the batch is not [n_critic, B, *D], the critic's output is not [B], the
        generator's output is not of the data's shape, or it cannot be evaluated.
    """
    _check_batch(batch)
    key_init = jax.random.fold_in(key, INIT_FOLD)
    key_critic, key_generator, key_prior = jax.random.split(key_init, 3)
    num = batch.shape[1]
    real = jnp.zeros(batch.shape[1:], batch.dtype)
    z = prior(key_prior, num)

    critic_params, critic_model_state = critic.init(key_critic, real)
    generator_params, generator_model_state = generator.init(key_generator, z)
    fake, _ = jax.eval_shape(generator.apply, generator_params, generator_model_state, z)
    _check_generated(fake.shape, real.shape)
    output, _ = jax.eval_shape(critic.apply, critic_params, critic_model_state, real)
    jax.eval_shape(lambda y: _checked(y, num), output)
    require_evaluated("generator", generator, generator_params, generator_model_state, z)
    critic_opt_state, generator_opt_state, objective_state = jax.tree.map(
        # Python scalars in a first state are weakly typed, and the second step would be compiled
        # anew for the strong types that the first returns.
        lambda leaf: jnp.asarray(leaf, jnp.result_type(leaf)),
        (critic_tx.init(critic_params), generator_tx.init(generator_params), objective.init()),
    )
    return AdversarialState(
        key=key,
        step=jnp.zeros((), jnp.int32),
        critic=PlayerState(critic_params, critic_model_state, critic_opt_state),
        generator=PlayerState(generator_params, generator_model_state, generator_opt_state),
        objective=objective_state,
    )


def _descend(
    player: PlayerState,
    gradient: Params,
    model_state: ModelState,
    tx: optax.GradientTransformation,
    objective_state: Any,
) -> PlayerState:
    """One optimizer update. Transforms that ask for it see the objective's state."""
    tx = optax.with_extra_args_support(tx)
    updates, opt_state = tx.update(
        gradient, player.opt_state, player.params, objective_state=objective_state
    )
    return PlayerState(optax.apply_updates(player.params, updates), model_state, opt_state)


def critic_update(
    player: PlayerState,
    real: Array,
    fake: Array,
    key: Key,
    *,
    critic: Network,
    critic_tx: optax.GradientTransformation,
    objective: Objective,
    objective_state: Any,
    penalty: Penalty,
) -> tuple[PlayerState, tuple[Output, Output, Info]]:
    """One critic update on real, fake [B, *D].

    Returns the new player, the outputs on real and fake before the update, and figures. The
    model state passes through the real batch, then the fake one; the penalty's own forward pass
    leaves it as it is.
    """
    num = real.shape[0]

    def loss(params: Params) -> tuple[Array, Any]:
        real_out, state = critic.apply(params, player.model_state, real)
        fake_out, state = critic.apply(params, state, fake)
        real_out, fake_out = _checked(real_out, num), _checked(fake_out, num)

        def critic_fn(x: Array) -> Array:  # [B, *D] -> [B]
            return score_of((critic.precise or critic.apply)(params, state, x)[0])

        objective_loss = objective.critic_loss(objective_state, real_out, fake_out)
        penalty_value = penalty(key, critic_fn, real, fake)
        figures = {
            "critic_loss": objective_loss,
            "penalty": penalty_value,
            "wasserstein_estimate": objective.separation(real_out, fake_out),
            "real_score": score_of(real_out).mean(),
            "fake_score": score_of(fake_out).mean(),
        }
        return objective_loss + penalty_value, (state, real_out, fake_out, figures)

    gradient, (state, real_out, fake_out, figures) = jax.grad(loss, has_aux=True)(player.params)
    figures["critic_gradient_norm"] = optax.tree.norm(gradient)
    player = _descend(player, gradient, state, critic_tx, objective_state)
    return player, (real_out, fake_out, figures)


def generator_update(
    player: PlayerState,
    critic_player: PlayerState,
    real: Array,
    key: Key,
    *,
    critic: Network,
    generator: Network,
    generator_tx: optax.GradientTransformation,
    objective: Objective,
    objective_state: Any,
    prior: Prior,
) -> tuple[PlayerState, tuple[Output, Info]]:
    """One generator update; `real` [B, *D] is seen by relativistic objectives only.

    The critic's model state is read and not moved.
    """
    num = real.shape[0]

    def loss(params: Params) -> tuple[Array, Any]:
        def scored(x: Array) -> Output:
            output, _ = critic.apply(critic_player.params, critic_player.model_state, x)
            return _checked(output, num)

        fake, state = generator.apply(params, player.model_state, prior(key, num))
        real_out, fake_out = scored(real), scored(fake)
        value = objective.generator_loss(objective_state, real_out, fake_out)
        return value, (state, fake_out)

    (value, (state, fake_out)), gradient = jax.value_and_grad(loss, has_aux=True)(player.params)
    figures = {"generator_loss": value, "generator_gradient_norm": optax.tree.norm(gradient)}
    player = _descend(player, gradient, state, generator_tx, objective_state)
    return player, (fake_out, figures)


def critic_updates(
    state: AdversarialState,
    batch: Batch,
    key: Key,
    *,
    critic: Network,
    generator: Network,
    critic_tx: optax.GradientTransformation,
    objective: Objective,
    penalty: Penalty,
    prior: Prior,
) -> tuple[PlayerState, ModelState, tuple[Output, Info]]:
    """One critic update, with new fakes, for each real batch of [n_critic, B, *D].

    Returns the new critic, the generator's model state, which its fakes move, and (the outputs on
    real, figures) of the last update.
    """
    rows = batch.rows if isinstance(batch, Ragged) else batch
    n_critic, num = rows.shape[:2]
    rest: dict[str, Any] = {"critic": critic, "critic_tx": critic_tx, "objective": objective}
    rest |= {"objective_state": state.objective, "penalty": penalty}

    def update(carry: Any, xs: Any) -> tuple[Any, Any]:
        player, generator_model_state = carry
        key, real = xs
        key_z, key_penalty = jax.random.split(key)
        fake, generator_model_state = generator.apply(
            state.generator.params, generator_model_state, prior(key_z, num)
        )
        _check_generated(fake.shape, real.shape)
        player, (real_out, _, figures) = critic_update(player, real, fake, key_penalty, **rest)
        return (player, generator_model_state), (real_out, figures)

    carry = (state.critic, state.generator.model_state)
    xs = (jax.random.split(key, n_critic), rows)  # the first keys are those of a shorter split
    if isinstance(batch, Ragged):
        (player, generator_model_state), last = _first_updates(update, carry, xs, batch.n_critic)
    else:
        (player, generator_model_state), outs = jax.lax.scan(update, carry, xs)
        last = jax.tree.map(lambda leaf: leaf[-1], outs)
    return player, generator_model_state, last


def _first_updates(update: Any, carry: Any, xs: Any, count: Array) -> tuple[Any, Any]:
    """`lax.scan` over the first `count` xs, which may be traced; the last output only."""
    at = lambda i: jax.tree.map(lambda x: x[i], xs)
    _, shapes = jax.eval_shape(update, carry, at(0))
    last = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    body = lambda i, carried: update(carried[0], at(i))
    return jax.lax.fori_loop(0, count, body, (carry, last))


def step(
    state: AdversarialState,
    batch: Batch,
    *,
    critic: Network,
    generator: Network,
    critic_tx: optax.GradientTransformation,
    generator_tx: optax.GradientTransformation,
    objective: Objective,
    penalty: Penalty,
    prior: Prior,
) -> tuple[AdversarialState, AdversarialInfo]:
    """n_critic critic updates, then one generator update.

    Args:
      state: from `init` or the last step.
      batch: real data [n_critic, B, *D], fresh for every critic update; of a `Ragged` one the first
        `n_critic` are used, exactly as if there were no more.

    Returns:
      The new state and an AdversarialInfo of scalars.

    Reference: Arjovsky et al., 2017, Algorithm 1; Gulrajani et al., 2017, Algorithm 1.
    """
    rows, last = (batch.rows, batch.n_critic - 1) if isinstance(batch, Ragged) else (batch, -1)
    _check_batch(rows)
    key_critic, key_generator = jax.random.split(jax.random.fold_in(state.key, state.step))
    parts: dict[str, Any] = {"critic": critic, "objective": objective, "prior": prior}
    critic_player, generator_state, (real_out, critic_figures) = critic_updates(
        state, batch, key_critic, generator=generator, critic_tx=critic_tx, penalty=penalty, **parts
    )
    generator_player, (fake_out, generator_figures) = generator_update(
        state.generator._replace(model_state=generator_state),
        critic_player,
        rows[last],
        key_generator,
        generator=generator,
        generator_tx=generator_tx,
        objective_state=state.objective,
        **parts,
    )
    objective_state, objective_info = objective.update(state.objective, real_out, fake_out)
    state = AdversarialState(
        key=state.key,
        step=state.step + 1,
        critic=critic_player,
        generator=generator_player,
        objective=objective_state,
    )
    return state, AdversarialInfo(**critic_figures, **generator_figures, objective=objective_info)


def generate(state: AdversarialState, z: Array, *, generator: Network) -> Array:
    """The generator's output [B, *D] on latents z [B, *Z], with stored batch statistics."""
    return generator.evaluate(state.generator.params, state.generator.model_state, z)


def sample(
    key: Key, state: AdversarialState, num: int, *, generator: Network, prior: Prior
) -> Array:
    """num samples [num, *D] from the generator."""
    return generate(state, prior(key, num), generator=generator)


def score(state: AdversarialState, x: Array, *, critic: Network) -> Array:
    """The critic's scores [B] of x [B, *D], with stored batch statistics."""
    output = critic.evaluate(state.critic.params, state.critic.model_state, x)
    return score_of(_checked(output, x.shape[0]))


def build(
    *,
    critic: Network,
    generator: Network,
    critic_tx: optax.GradientTransformation,
    generator_tx: optax.GradientTransformation,
    objective: Objective,
    penalty: Penalty,
    prior: Prior,
) -> Algorithm:
    """Binds the parts into an Algorithm; see `init` and `step` for what they must be."""
    require_networks(critic=critic, generator=generator)
    players: dict[str, Any] = {
        "critic": critic,
        "generator": generator,
        "critic_tx": critic_tx,
        "generator_tx": generator_tx,
        "objective": objective,
        "prior": prior,
    }

    def bound_step(state: AdversarialState, batch: Batch) -> tuple[AdversarialState, Any]:
        return step(state, batch, penalty=penalty, **players)

    return Algorithm(
        init=lambda key, batch: init(key, batch, **players),
        step=bound_step,
        prior=prior,
        generate=lambda state, z: generate(state, z, generator=generator),
        score=lambda state, x: score(state, x, critic=critic),
        separation=objective.separation,
    )
