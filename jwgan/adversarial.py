"""The one adversarial step every member of the family is assembled from.

`step` takes every part as an argument; `build` binds the parts into an `Algorithm`. This file needs
only `types.py` beside it. The order within a step, which public code often gets wrong: n_critic
times (new noise, new data, critic update, constraint), then one generator update against the
constrained critic.

The examples train a shift towards data at (1, 0), against the critic D(x) = 3 x_1 + 4 x_2:

    >>> parts = {
    ...     "critic": networks.from_fn(lambda key, x: jnp.array([3.0, 4.0]), lambda w, x: x @ w),
    ...     "generator": networks.from_fn(lambda key, z: jnp.zeros((1, 2)), lambda s, z: z + s),
    ...     "critic_tx": optax.sgd(0.5),
    ...     "generator_tx": optax.sgd(0.5),
    ...     "objective": objectives.wasserstein(),
    ...     "prior": lambda key, num: jnp.zeros((num, 2)),
    ... }
    >>> batch = jnp.tile(jnp.array([1.0, 0.0]), (1, 4, 1))  # n_critic 1, B 4
    >>> state = adversarial.init(jax.random.key(0), batch, **parts)
"""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jwgan.types import (
    AUGMENT_FOLD,
    INIT_FOLD,
    Algorithm,
    Array,
    Augment,
    Batch,
    Calls,
    Classified,
    Data,
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
    as_labelled,
    depends,
    initialised,
    inputs,
    require_batch,
    require_evaluated,
    require_networks,
    score_of,
    scores_apart,
    with_label_of,
)

APART = Calls()  # one batch after another


class PlayerState(NamedTuple):
    """A player's parameters and all that moves with them."""

    params: Params
    model_state: ModelState  # batch statistics, power-iteration vectors; {} if none
    opt_state: Any


class AdversarialState(NamedTuple):
    """All that the next step reads, so that a run can be stopped here and go on."""

    key: Key  # base key, never advanced; the step's key is fold_in(key, step)
    step: Array  # [] int32, generator updates so far
    critic: PlayerState
    generator: PlayerState
    objective: Any  # () or, for example, BEGANState


class AdversarialInfo(NamedTuple):
    """What a step reports. The critic's values are those before its last update of the step."""

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
    >>> info = adversarial.AdversarialInfo(*[zero] * 8, objective={"k": jnp.array(0.25)})
    >>> flat = adversarial.scalars(info)
    >>> flat["k"].item(), "critic_loss" in flat, "objective" in flat
    (0.25, True, False)
    """
    values = info._asdict()
    own = values.pop("objective")
    return {**values, **own}


def _checked(output: Output, num: int) -> Output:
    """The critic's output with its scores in float32 or better, once their shape is [B].

    Scores [B, 1] of one batch minus scores [B] of another would silently be a matrix [B, B].
    """
    score = score_of(output)
    if score.shape != (num,):
        raise ValueError(
            f"critic output has shape {score.shape}, expected ({num},): return one score for each "
            "sample, for example networks.map_output(critic, lambda x, y: y[:, 0])"
        )
    score = score.astype(jnp.promote_types(score.dtype, jnp.float32))
    if isinstance(output, Classified):
        inner = output.output
        inner = inner._replace(score=score) if isinstance(inner, Scored) else score
        return output._replace(output=inner)
    return output._replace(score=score) if isinstance(output, Scored) else score


def _parts(output: Output) -> tuple[Any, Any]:
    """(what the objective is given, the classifier's losses or None) of a critic's output."""
    return (output.output, output) if isinstance(output, Classified) else (output, None)


def _check_generated(shape: tuple[int, ...], real_shape: tuple[int, ...]) -> None:
    if tuple(shape[1:]) == tuple(real_shape):
        raise ValueError(
            f"batch has samples of shape {tuple(real_shape[1:])}, and the generator makes "
            f"{tuple(real_shape)}: the batch lacks its first axis, n_critic; give batch[None], or "
            "one batch for each critic update"
        )
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
    """Makes the state before the first step.

    Args:
      key: typed key; it stays in the state as the run's base key.
      batch: [n_critic, B, *D] array or ShapeDtypeStruct, or both in `Labelled`; only shape and
        dtype are used.
      critic, generator: networks; the critic maps [B, *D] to [B].
      critic_tx, generator_tx: optax transforms.
      objective: see `objectives`.
      prior: see `priors`.

    Raises:
      ValueError: if the batch is not [n_critic, B, *D], the critic's output is not [B], the
        generator's output is not of the data's shape, or it cannot be evaluated; or if only some
        of batch, prior and players have to do with labels.

    >>> state.step.item(), state.critic.params.tolist(), state.objective
    (0, [3.0, 4.0], ())
    """
    require_batch(batch)
    key_init = jax.random.fold_in(key, INIT_FOLD)
    key_critic, key_generator, key_prior = jax.random.split(key_init, 3)
    num = batch.shape[1]
    real = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape[1:], leaf.dtype), batch)
    z = as_labelled(prior(key_prior, num), real)

    # From here to the optimizers the networks are only traced: a wrong shape is found before
    # anything is trained.
    critic_params, critic_model_state = initialised("critic", critic, key_critic, real)
    generator_params, generator_model_state = initialised("generator", generator, key_generator, z)
    fake, _ = jax.eval_shape(generator.apply, generator_params, generator_model_state, *inputs(z))
    _check_generated(fake.shape, real.shape)
    output, _ = jax.eval_shape(critic.apply, critic_params, critic_model_state, *inputs(real))
    jax.eval_shape(lambda y: _checked(y, num), output)
    require_evaluated("generator", generator, generator_params, generator_model_state, *inputs(z))
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


def _warn_of_batch_norm(player: PlayerState, batch: Any, critic: Network, penalty: Penalty) -> None:
    """Warns of a penalty on slopes of a critic whose scores depend on the whole batch.

    By tracing alone: the penalty asks for scores, and the model state is made of the data.
    """
    data = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape[1:], leaf.dtype), batch)
    (x, *label), asked = inputs(data), []

    def critic_fn(x: Array) -> Array:
        asked.append(x)
        return jnp.zeros(x.shape[0])

    jax.eval_shape(lambda key, x: penalty(key, critic_fn, x, x), jax.random.key(0), x)
    moved = lambda x: critic.apply(player.params, player.model_state, x, *label)[1]
    if asked and depends(moved, x):
        warnings.warn(
            "the critic keeps statistics of its batches, and a penalty on single samples means "
            "nothing to batch norm: give it layer norm, or no penalty "
            "(diagnostics.cross_sample_leak measures it)",
            stacklevel=3,
        )


def _descend(
    player: PlayerState,
    gradient: Params,
    model_state: ModelState,
    tx: optax.GradientTransformation,
    **extra: Any,
) -> PlayerState:
    """One optimizer update.

    A transform that takes the extra arguments `objective_state` and `step` is given them: BEGAN's
    learning rate follows the objective's own measure of convergence, a schedule the step.
    """
    tx = optax.with_extra_args_support(tx)
    updates, opt_state = tx.update(gradient, player.opt_state, player.params, **extra)
    return PlayerState(optax.apply_updates(player.params, updates), model_state, opt_state)


def _augmented(augment: Augment | None, key: Key, state: Any, real: Data, fake: Data) -> Any:
    """(real, fake) as the critic sees them; `state` is the objective's. Labels stay."""
    if augment is None:
        return real, fake
    seen = lambda key, data: with_label_of(data, augment(key, state, inputs(data)[0]))
    key_real, key_fake = jax.random.split(jax.random.fold_in(key, AUGMENT_FOLD))
    return seen(key_real, real), seen(key_fake, fake)


def critic_update(
    player: PlayerState,
    real: Data,
    fake: Data,
    key: Key,
    *,
    critic: Network,
    critic_tx: optax.GradientTransformation,
    objective: Objective,
    objective_state: Any,
    penalty: Penalty,
    step: Array | int = 0,
    calls: Calls = APART,
) -> tuple[PlayerState, tuple[Output, Output, Info]]:
    """Updates the critic once on real, fake [B, *D].

    The model state passes through the real batch, then the fake one; the penalty's own forward pass
    leaves it as it is. With labels the penalty's points have those of the real batch, which are the
    fakes' too unless the prior has `OwnLabels`.

    Args:
      player: the critic's state.
      real, fake: [B, *D], or both `Labelled`; no gradient flows into either.
      key: for the penalty.
      objective_state: what the losses read, see `Objective`.
      step: generator updates so far, for optimizers that read it, see `schedules`.
      critic, critic_tx, objective, penalty, calls: as of `step`.

    Returns:
      The new player and, from before the update, (output on real, output on fake, metrics).

    The loss E D(g) - E D(x) has gradient E g - E x, so the weights move by 0.5 (E x - E g):

    >>> real, fake = batch[0], jnp.zeros((4, 2))
    >>> player, (_, _, metrics) = adversarial.critic_update(
    ...     state.critic, real, fake, state.key,
    ...     critic=parts["critic"], critic_tx=parts["critic_tx"], objective=parts["objective"],
    ...     objective_state=(), penalty=penalties.none(),
    ... )
    >>> player.params.tolist(), metrics["wasserstein_estimate"].item()
    ([3.5, 4.0], 3.0)
    """
    num = real.shape[0]
    # A penalty at the data themselves has one forward pass with scores that are taken apart.
    scores = scores_apart if getattr(penalty, "at_data", False) else calls.scores

    def loss(params: Params) -> tuple[Array, Any]:
        outs = scores(critic, params, player.model_state, real, fake)
        real_out, fake_out, state = outs
        real_out, real_classes = _parts(_checked(real_out, num))
        fake_out, fake_classes = _parts(_checked(fake_out, num))
        x, *label = inputs(real)

        def critic_fn(x: Array) -> Array:  # [B, *D] -> [B]
            return score_of((critic.precise or critic.apply)(params, state, x, *label)[0])

        objective_loss = objective.critic_loss(objective_state, real_out, fake_out)
        if real_classes:
            objective_loss += real_classes.real_loss.mean() + fake_classes.fake_loss.mean()
        penalty_value = penalty(key, critic_fn, x, inputs(fake)[0])
        metrics = {
            "critic_loss": objective_loss,
            "penalty": penalty_value,
            "wasserstein_estimate": objective.separation(real_out, fake_out),
            "real_score": score_of(real_out).mean(),
            "fake_score": score_of(fake_out).mean(),
        }
        if real_classes:
            metrics["classifier_loss"] = real_classes.real_loss.mean()
        return objective_loss + penalty_value, (state, real_out, fake_out, metrics)

    gradient, (state, real_out, fake_out, metrics) = jax.grad(loss, has_aux=True)(player.params)
    metrics["critic_gradient_norm"] = optax.tree.norm(gradient)
    player = _descend(
        player, gradient, state, critic_tx, objective_state=objective_state, step=step
    )
    return player, (real_out, fake_out, metrics)


def generator_update(
    player: PlayerState,
    critic_player: PlayerState,
    real: Data,
    key: Key,
    *,
    critic: Network,
    generator: Network,
    generator_tx: optax.GradientTransformation,
    objective: Objective,
    objective_state: Any,
    prior: Prior,
    step: Array | int = 0,
    augment: Augment | None = None,
) -> tuple[PlayerState, tuple[Output, Info]]:
    """Updates the generator once, against a critic that stays as it is.

    The critic's model state is read and not moved.

    Args:
      player: the generator's state.
      critic_player: the critic's.
      real: [B, *D], or `Labelled`: the fakes take its labels; only relativistic objectives look
        at its samples.
      key: for the latents.
      objective_state: what the losses read, see `Objective`.
      step: generator updates so far, for optimizers that read it, see `schedules`.
      critic, generator, generator_tx, objective, prior, augment: as of `step`.

    Returns:
      The new player and (output on fake, metrics).

    The loss -E D(g) has gradient -(3, 4) in the shift, which moves by 0.5 (3, 4):

    >>> player, (_, metrics) = adversarial.generator_update(
    ...     state.generator, state.critic, batch[0], state.key,
    ...     critic=parts["critic"], generator=parts["generator"],
    ...     generator_tx=parts["generator_tx"], objective=parts["objective"],
    ...     objective_state=(), prior=parts["prior"],
    ... )
    >>> player.params.tolist(), metrics["generator_gradient_norm"].item()
    ([[1.5, 2.0]], 5.0)
    """
    num = real.shape[0]

    def loss(params: Params) -> tuple[Array, Any]:
        def scored(x: Data) -> tuple[Any, Any]:
            output, _ = critic.apply(critic_player.params, critic_player.model_state, *inputs(x))
            return _parts(_checked(output, num))

        z = as_labelled(prior(key, num), real)
        x, state = generator.apply(params, player.model_state, *inputs(z))
        seen, fake = _augmented(augment, key, objective_state, real, with_label_of(z, x))
        (real_out, _), (fake_out, classes) = scored(seen), scored(fake)
        value = objective.generator_loss(objective_state, real_out, fake_out)
        metrics = {}
        if classes:
            metrics["classifier_generator_loss"] = classes.generator_loss.mean()
            value += metrics["classifier_generator_loss"]
        return value, (state, fake_out, metrics)

    (value, aux), gradient = jax.value_and_grad(loss, has_aux=True)(player.params)
    state, fake_out, metrics = aux
    norm = optax.tree.norm(gradient)
    metrics = {"generator_loss": value, "generator_gradient_norm": norm, **metrics}
    player = _descend(
        player, gradient, state, generator_tx, objective_state=objective_state, step=step
    )
    return player, (fake_out, metrics)


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
    augment: Augment | None = None,
    calls: Calls = APART,
) -> tuple[PlayerState, ModelState, tuple[Output, Info]]:
    """Updates the critic once, with new fakes, for each real batch of [n_critic, B, *D].

    Args: as of `step`; `key` is split into one for each update.

    Returns:
      The new critic, the generator's model state (making fakes moves batch statistics), and of the
      last update (output on real, metrics).

    >>> critic_parts = {name: part for name, part in parts.items() if name != "generator_tx"}
    >>> three = jnp.tile(batch, (3, 1, 1))  # n_critic 3
    >>> player, _, (_, metrics) = adversarial.critic_updates(
    ...     state, three, state.key, penalty=penalties.none(), **critic_parts
    ... )
    >>> player.params.tolist(), metrics["wasserstein_estimate"].item()  # before the last one
    ([4.5, 4.0], 4.0)
    """
    rows = batch.rows if isinstance(batch, Ragged) else batch
    n_critic, num = rows.shape[:2]

    def make(model_state: ModelState, key: Key, real: Data) -> tuple[Data, ModelState]:
        z = as_labelled(prior(key, num), real)
        fake, model_state = generator.apply(state.generator.params, model_state, *inputs(z))
        _check_generated(fake.shape, real.shape)
        return with_label_of(z, fake), model_state

    def update(carry: Any, xs: Any) -> tuple[Any, Any]:
        player, generator_model_state = carry
        key, real, fake = xs
        key_z, key_penalty = jax.random.split(key)
        if fake is None:
            fake, generator_model_state = make(generator_model_state, key_z, real)
        real, fake = _augmented(augment, key, state.objective, real, fake)
        player, (real_out, _, metrics) = critic_update(
            player,
            real,
            fake,
            key_penalty,
            critic=critic,
            critic_tx=critic_tx,
            objective=objective,
            objective_state=state.objective,
            penalty=penalty,
            step=state.step,
            calls=calls,
        )
        return (player, generator_model_state), (real_out, metrics)

    # split(key, n)[:m] == split(key, m): a Ragged batch trains exactly as a shorter plain one.
    keys, generator_model_state = jax.random.split(key, n_critic), state.generator.model_state
    # Of a Ragged batch some updates may not come, and their fakes must move nothing.
    made = None
    if not isinstance(batch, Ragged):
        made = calls.fakes(make, generator_model_state, keys, rows)
    fakes, generator_model_state = made or (None, generator_model_state)
    carry, xs = (state.critic, generator_model_state), (keys, rows, fakes)
    if isinstance(batch, Ragged):
        (player, generator_model_state), last = _first_updates(update, carry, xs, batch.n_critic)
    else:
        (player, generator_model_state), outs = jax.lax.scan(update, carry, xs)
        last = jax.tree.map(lambda leaf: leaf[-1], outs)
    return player, generator_model_state, last


def _first_updates(update: Any, carry: Any, xs: Any, count: Array) -> tuple[Any, Any]:
    """`lax.scan` over the first `count` of xs, with the last output alone; `count` may be traced.

    The loop takes the time of `count` updates; a scan with a mask would take that of all.
    """
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
    augment: Augment | None = None,
    calls: Calls = APART,
) -> tuple[AdversarialState, AdversarialInfo]:
    """Makes n_critic critic updates, then one generator update.

    Args:
      state: from `init` or the last step.
      batch: real data [n_critic, B, *D], fresh for every critic update, or `Labelled` ones; of a
        `Ragged` one the first `n_critic` are used, exactly as if there were no more.
      critic, generator: networks.
      critic_tx, generator_tx: optax transforms, constraints included (see `constraints`).
      objective: what both minimise, see `objectives`.
      penalty: added to the critic's loss, see `penalties`.
      prior: of the latents, see `priors`.
      augment: what the critic sees of real and generated samples, see `augment`; None: all.
      calls: how the networks are called in the critic's updates, see `joined`.

    Returns:
      The new state and an AdversarialInfo of scalars.

    Raises:
      ValueError: while it is traced, as `init`.

    Reference: Arjovsky et al., 2017, Algorithm 1; Gulrajani et al., 2017, Algorithm 1.

    >>> after, info = adversarial.step(state, batch, penalty=penalties.none(), **parts)
    >>> after.step.item(), info.wasserstein_estimate.item(), info.real_score.item()
    (1, 3.0, 3.0)
    """
    rows, last = (batch.rows, batch.n_critic - 1) if isinstance(batch, Ragged) else (batch, -1)
    require_batch(rows)
    key_critic, key_generator = jax.random.split(jax.random.fold_in(state.key, state.step))
    shared: dict[str, Any] = {
        "critic": critic, "generator": generator, "objective": objective, "prior": prior,
        "augment": augment,
    }  # fmt: skip
    critic_player, generator_state, (real_out, critic_metrics) = critic_updates(
        state, batch, key_critic, critic_tx=critic_tx, penalty=penalty, calls=calls, **shared
    )
    generator_player, (fake_out, generator_metrics) = generator_update(
        state.generator._replace(model_state=generator_state),
        critic_player,
        jax.tree.map(lambda leaf: leaf[last], rows),
        key_generator,
        generator_tx=generator_tx,
        objective_state=state.objective,
        step=state.step,
        **shared,
    )
    objective_state, objective_info = objective.update(state.objective, real_out, fake_out)
    state = AdversarialState(
        key=state.key,
        step=state.step + 1,
        critic=critic_player,
        generator=generator_player,
        objective=objective_state,
    )
    metrics = {**critic_metrics, **generator_metrics}
    # A classifier's losses (see `types.Classified`) are of some critics: they join the objective's.
    own = {name: metrics.pop(name) for name in metrics.keys() - set(AdversarialInfo._fields)}
    return state, AdversarialInfo(**metrics, objective={**objective_info, **own})


def generate(state: AdversarialState, z: Data, *, generator: Network) -> Array:
    """The generator's output [B, *D] on latents z [B, *Z], with stored batch statistics.

    >>> adversarial.generate(state, jnp.ones((1, 2)), generator=parts["generator"]).tolist()
    [[1.0, 1.0]]
    """
    return generator.evaluate(state.generator.params, state.generator.model_state, *inputs(z))


def sample(
    key: Key, state: AdversarialState, num: int, *, generator: Network, prior: Prior
) -> Array:
    """Draws num samples [num, *D] from the generator.

    >>> players = {"generator": parts["generator"], "prior": parts["prior"]}
    >>> adversarial.sample(jax.random.key(1), state, 5, **players).shape
    (5, 2)
    """
    return generate(state, prior(key, num), generator=generator)


def settle(player: PlayerState, z: Data, *, generator: Network) -> ModelState:
    """The generator's model state after samples on latents z [B, *Z], made as in training.

    Batch statistics move towards those of the player's parameters.

    >>> adversarial.settle(state.generator, jnp.ones((1, 2)), generator=parts["generator"])
    {}
    """
    return generator.apply(player.params, player.model_state, *inputs(z))[1]


def score(state: AdversarialState, x: Data, *, critic: Network) -> Array:
    """The critic's scores [B] of x [B, *D], with stored batch statistics.

    >>> adversarial.score(state, jnp.eye(2), critic=parts["critic"]).tolist()
    [3.0, 4.0]
    """
    output = critic.evaluate(state.critic.params, state.critic.model_state, *inputs(x))
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
    augment: Augment | None = None,
    calls: Calls = APART,
) -> Algorithm:
    """Binds the parts into an Algorithm; see `init` and `step` for what they must be.

    Raises:
      ValueError: a player is no `Network`.

    Warns, at `init`, of batch norm in a critic with a penalty.

    >>> algorithm = adversarial.build(penalty=penalties.none(), **parts)
    >>> after, info = algorithm.step(algorithm.init(jax.random.key(0), batch), batch)
    >>> info.wasserstein_estimate.item()
    3.0
    """
    require_networks(critic=critic, generator=generator)
    # Both init and step take these; `step` alone takes the rest.
    players: dict[str, Any] = {
        "critic": critic,
        "generator": generator,
        "critic_tx": critic_tx,
        "generator_tx": generator_tx,
        "objective": objective,
        "prior": prior,
    }

    def bound_step(state: AdversarialState, batch: Batch) -> tuple[AdversarialState, Any]:
        return step(state, batch, penalty=penalty, augment=augment, calls=calls, **players)

    def rebuilt(**changes: Callable[[Any], Any]) -> Algorithm:
        parts = {**players, "penalty": penalty, "augment": augment, "calls": calls}
        return build(**{**parts, **{name: new(parts[name]) for name, new in changes.items()}})

    def bound_init(key: Key, batch: Any) -> AdversarialState:
        state = init(key, batch, **players)
        _warn_of_batch_norm(state.critic, batch, critic, penalty)
        return state

    return Algorithm(
        init=bound_init,
        step=bound_step,
        prior=prior,
        generate=lambda state, z: generate(state, z, generator=generator),
        score=lambda state, x: score(state, x, critic=critic),
        separation=objective.separation,
        settle=lambda player, z: settle(player, z, generator=generator),
        rebuilt=rebuilt,
    )
