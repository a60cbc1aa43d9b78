"""What the parts of a GAN look like: Network, Objective, Algorithm and the aliases in their fields.

Letters in shapes: B samples of a batch, *D the axes of one sample, *Z the axes of one latent, K
trials side by side, N and M other numbers of samples; [] is a scalar.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array
Key = jax.Array  # a typed PRNG key, []
Params = Any  # pytree of arrays
ModelState = Any  # pytree of arrays that move without a gradient, such as batch statistics, or {}
Info = dict[str, Array]  # named scalars

CriticFn = Callable[[Array], Array]  # x [B, *D] -> score [B]
Augment = Callable[[Key, Any, Array], Array]  # (key, objective's state, x [B, *D]) -> x
Penalty = Callable[[Key, CriticFn, Array, Array], Array]  # (key, critic_fn, real, fake) -> []


class Labelled(NamedTuple):
    """Samples or latents with the class of each; of a batch, with the batch's leading axes.

    Where the library takes data it takes them labelled too. `shape` and `dtype` are those of x.

    >>> batch = types.Labelled(jnp.zeros((5, 8, 2)), jnp.zeros((5, 8), jnp.int32))
    >>> batch.shape, batch.label.shape  # n_critic 5, B 8
    ((5, 8, 2), (5, 8))
    """

    x: Any  # [..., *D], an array or a ShapeDtypeStruct
    label: Any  # [...] int32, from 0 to the number of classes - 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Of x."""
        return self.x.shape

    @property
    def dtype(self) -> Any:
        """Of x."""
        return self.x.dtype


class OwnLabels(Labelled):
    """Latents that keep their labels in training; those of `Labelled` take the real batch's.

    >>> types.OwnLabels(jnp.zeros((2, 3)), jnp.array([1, 0])).shape
    (2, 3)
    """

    __slots__ = ()


Data = Array | Labelled
Prior = Callable[[Key, int], Data]  # (key, num) -> z [num, *Z]


def inputs(data: Data) -> tuple[Array, ...]:
    """What a network is called with: (x,), or (x, label) of labelled data.

    >>> len(types.inputs(jnp.zeros(2))), len(types.inputs(types.Labelled(jnp.zeros(2), 1)))
    (1, 2)
    """
    return tuple(data) if isinstance(data, Labelled) else (data,)


def with_label_of(other: Data, x: Array) -> Data:
    """Samples x with the labels that `other` has, if it has any.

    >>> types.with_label_of(types.Labelled(jnp.zeros(2), 1), jnp.ones(2)).label
    1
    """
    return Labelled(x, other.label) if isinstance(other, Labelled) else x


# A run has one base key, which never changes. Step t draws from fold_in(key, t), with t < 2**31.
# Whatever else needs randomness folds in one of these numbers, which no step reaches:
INIT_FOLD = 2**32 - 1  # adversarial.init: the first parameters of both networks
DATA_FOLD = 2**32 - 2  # sources: which samples each step is given
RETRY_FOLD = 2**32 - 3  # loop.with_fresh_key: the base key of a second attempt
EMA_FOLD = 2**32 - 4  # wrappers.with_ema: latents that only batch statistics see
AUGMENT_FOLD = 2**32 - 5  # adversarial: what the critic sees of a batch, see augment
MIRROR_FOLD = 2**32 - 6  # augment.with_mirror: which real images are mirrored


class Scored(NamedTuple):
    """A critic's output that holds more than scores: EBGAN's pulling-away term needs the codes."""

    score: Array  # [B]
    code: Array  # [B, H]


class Classified(NamedTuple):
    """A critic's output beside the losses of its own classifier, each with its weight.

    The objective sees `output` alone. The step adds the mean of `real_loss` on real samples and
    that of `fake_loss` on generated ones to the critic's loss, and the mean of `generator_loss` on
    generated ones to the generator's; see `models.labels.auxiliary`.
    """

    output: Array | Scored  # scores [B], or what the objective needs beside them
    real_loss: Array  # [B]
    fake_loss: Array  # [B]
    generator_loss: Array  # [B]


Output = Array | Scored | Classified  # what a critic returns


class Ragged(NamedTuple):
    """A step's batch of which only the first `n_critic` rows are used, one for each critic update.

    The number may be traced, so the trials of one program (see `many`) may differ in n_critic.
    """

    rows: Data  # [n, B, *D]
    n_critic: Array  # [], from 1 to the number of rows


Batch = Data | Ragged  # what a step is given


def score_of(output: Output) -> Array:
    """Takes the score [B] out of a critic's output.

    >>> score, code = jnp.array([1.0, 2.0]), jnp.zeros((2, 3))
    >>> types.score_of(types.Scored(score, code)).tolist(), types.score_of(score).tolist()
    ([1.0, 2.0], [1.0, 2.0])
    """
    output = output.output if isinstance(output, Classified) else output
    return output.score if isinstance(output, Scored) else output


class Network(NamedTuple):
    """A player's network as pure functions; made by `networks.from_fn`, `from_linen`, `from_nnx`.

    "Player" is the critic or the generator. Each function of a conditional network takes the labels
    [B] after x: `apply(params, model_state, x, label)`.

    Attributes:
      init: `(key, x [B, *D]) -> (params, model_state)`.
      apply: `(params, model_state, x) -> (y, model_state)`, as used in training (batch norm uses
        the batch's own statistics and moves its averages).
      evaluate: `(params, model_state, x) -> y`, as used after training (stored averages).
      precise: `apply` without reduced precision, which penalties use; None: `apply` itself.
      rowwise: whether, in training, row i of y is computed from row i of x alone and the model
        state stays as it is, so that several batches may pass in one call (see `joined`). It is
        declared and never found out: False where nothing is known. Batch norm makes it False.
    """

    init: Callable[..., tuple[Params, ModelState]]
    apply: Callable[..., tuple[Any, ModelState]]
    evaluate: Callable[..., Any]
    precise: Callable[..., tuple[Any, ModelState]] | None = None
    rowwise: bool = False


def scores_apart(
    critic: Network, params: Params, model_state: ModelState, real: Data, fake: Data
) -> tuple[Output, Output, ModelState]:
    """(output on real, output on fake, model state): two calls of the critic, real first.

    >>> critic = types.Network(None, lambda params, state, x: (x @ params, state + 1), None)
    >>> x = jnp.ones((1, 2))
    >>> real, fake, state = types.scores_apart(critic, jnp.ones(2), 0, x, 0 * x)
    >>> real.item(), fake.item(), state
    (2.0, 0.0, 2)
    """
    real_out, model_state = critic.apply(params, model_state, *inputs(real))
    fake_out, model_state = critic.apply(params, model_state, *inputs(fake))
    return real_out, fake_out, model_state


def fakes_in_turn(make: Any, model_state: ModelState, keys: Key, rows: Data) -> None:
    """None: the fakes of each critic update are made in it, and not all of them before.

    >>> types.fakes_in_turn(None, {}, None, None) is None
    True
    """
    del make, model_state, keys, rows


class Calls(NamedTuple):
    """How a step calls the networks; the results are the same, see `joined` for another way.

    Attributes:
      scores: as `scores_apart`.
      fakes: `(make, model_state, keys [n], rows [n, B, *D]) -> (fakes [n, B, *D], model_state)`
        of all n critic updates, or None; `make` is `(model_state, key, real) -> (fake,
        model_state)`, whose key is the first half of an update's.
    """

    scores: Callable[..., tuple[Output, Output, ModelState]] = scores_apart
    fakes: Callable[..., tuple[Data, ModelState] | None] = fakes_in_turn


def require_networks(**networks: Any) -> None:
    """Raises `ValueError` unless each argument is a `Network`; a bare Flax module is none.

    >>> types.require_networks(critic="not a network")
    Traceback (most recent call last):
    ValueError: critic is a str: wrap it, for example with jwgan.from_linen
    """
    for name, network in networks.items():
        if not isinstance(network, Network):
            kind = type(network).__name__
            raise ValueError(f"{name} is a {kind}: wrap it, for example with jwgan.from_linen")


def require_batch(batch: Any) -> None:
    """Raises `ValueError` unless a batch is [n_critic, B, *D], its labels whole [n_critic, B].

    >>> types.require_batch(jnp.zeros((4, 2)))
    Traceback (most recent call last):
    ValueError: batch has shape (4, 2), expected [n_critic, B, *D] with n_critic >= 1 and ... update
    """
    if len(batch.shape) < 3 or min(batch.shape) < 1:
        raise ValueError(
            f"batch has shape {tuple(batch.shape)}, expected [n_critic, B, *D] with n_critic >= 1 "
            "and B >= 1: stack one batch for each critic update"
        )
    if not isinstance(batch, Labelled):
        return
    label = batch.label
    if label.shape != batch.shape[:2] or not jnp.issubdtype(label.dtype, jnp.integer):
        raise ValueError(
            f"the batch's labels are {label.dtype} {list(label.shape)}, expected whole numbers "
            f"{list(batch.shape[:2])}: give a class for each sample"
        )


def as_labelled(z: Data, real: Data) -> Data:
    """Latents for a batch of fakes: with the labels of the real batch, or `OwnLabels` as they are.

    Raises:
      ValueError: only one of the two has labels.

    >>> real = types.Labelled(jnp.zeros((2, 3)), jnp.array([4, 5]))
    >>> z = types.Labelled(jnp.ones((2, 1)), jnp.array([0, 0]))
    >>> types.as_labelled(z, real).label.tolist()
    [4, 5]
    """
    if isinstance(z, Labelled) and not isinstance(real, Labelled):
        raise ValueError(
            "batch has no labels but the prior draws them: train on labelled data, for example "
            "sources.from_array(x, label=label, ...), or take the prior without labels"
        )
    if not isinstance(real, Labelled):
        return z
    if not isinstance(z, Labelled):
        raise ValueError(
            "batch has labels but the prior draws none: give priors.labelled(prior, classes), and "
            "networks that take labels"
        )
    return z if isinstance(z, OwnLabels) else Labelled(z.x, real.label)


def initialised(name: str, network: Network, key: Key, x: Data) -> tuple[Params, ModelState]:
    """`network.init` for this input.

    Raises:
      ValueError: it takes labels and is given none, or the other way round.

    >>> plain = types.Network(init=lambda key, x: ({}, {}), apply=None, evaluate=None)
    >>> types.initialised("critic", plain, None, jnp.zeros((2, 3)))
    ({}, {})
    """
    try:
        return network.init(key, *inputs(x))
    except TypeError as error:
        if "argument" not in str(error):
            raise
        given = "a label for each sample" if isinstance(x, Labelled) else "no labels"
        raise ValueError(
            f"{name} was given {given}: with labels both players take (x, label), see "
            f"networks.concat_label, without them x alone ({error})"
        ) from error


def require_evaluated(name: str, network: Network, *args: Any) -> None:
    """Raises `ValueError` unless `network.evaluate(*args)` can be traced.

    Better now than after hours of training: a module with batch norm often lacks the arguments for
    its use after training.

    >>> cannot = types.Network(init=None, apply=None, evaluate=lambda x: undefined)
    >>> types.require_evaluated("generator", cannot, jnp.zeros(2))
    Traceback (most recent call last):
    ValueError: generator trains but cannot be evaluated (NameError): with batch norm say how, ...
    """
    try:
        jax.eval_shape(network.evaluate, *args)
    except Exception as error:
        raise ValueError(
            f"{name} trains but cannot be evaluated ({type(error).__name__}): with batch norm say "
            'how, for example from_linen(..., evaluate={"train": False})'
        ) from error


def depends(fn: Callable[..., Any], *args: Any) -> bool:
    """Whether any output of `fn` is computed from `args`; it is traced and not run.

    A function that is jitted inside counts as a whole: each of its outputs from each of its inputs.

    >>> types.depends(lambda x: x + 1.0, 2.0), types.depends(lambda x: jnp.ones(3), 2.0)
    (True, False)
    """
    traced = jax.make_jaxpr(fn)(*args).jaxpr
    is_known = lambda atom: hasattr(atom, "val")  # a literal: a number in the program itself
    moved = set(traced.invars)
    for equation in traced.eqns:
        if any(not is_known(atom) and atom in moved for atom in equation.invars):
            moved |= set(equation.outvars)
    return any(not is_known(atom) and atom in moved for atom in traced.outvars)


def require_labels(name: str, label: Any, classes: int | None = None) -> Array:
    """Labels as an int32 array, once they are whole numbers from 0 to classes - 1.

    A label that is not would silently be read as another class. A traced one passes.

    >>> types.require_labels("label", [0, 2], classes=3).tolist()
    [0, 2]
    >>> types.require_labels("label", [0, 3], classes=3)
    Traceback (most recent call last):
    ValueError: label is 3 at place 1: give classes from 0 to 2
    """
    found = label if isinstance(label, jax.Array) else np.asarray(label)
    if not jnp.issubdtype(found.dtype, jnp.integer):
        raise ValueError(f"{name} has dtype {found.dtype}: give whole numbers, a class each")
    if not isinstance(found, jax.core.Tracer):
        flat = np.asarray(found).reshape(-1)
        bad = np.flatnonzero((flat < 0) | (flat >= (2**31 if classes is None else classes)))
        if len(bad):
            at = f" at place {bad[0]}" if found.ndim else ""
            remedy = "0 upwards" if classes is None else f"0 to {classes - 1}"
            raise ValueError(f"{name} is {flat[bad[0]]}{at}: give classes from {remedy}")
    return jnp.asarray(found, jnp.int32)


def score_gap(real: Output, fake: Output) -> Array:
    """E D(real) - E D(fake) [], positive when the critic scores real data higher.

    >>> types.score_gap(jnp.array([2.0, 4.0]), jnp.array([1.0, 1.0])).item()
    2.0
    """
    return score_of(real).mean() - score_of(fake).mean()


class Objective(NamedTuple):
    """What the two players minimise.  `real`, `fake` are critic outputs, scores [B] as a rule.

    Attributes:
      init: `() -> state`; `()` for a stateless objective.
      critic_loss: `(state, real, fake) -> []`.
      generator_loss: `(state, real, fake) -> []`; objectives that do not look at `real` cost
        nothing for it, the compiler removes that forward pass.
      update: `(state, real, fake) -> (state, info)`, once a step, with the last critic update's
        `real` and the generator update's `fake`.
      separation: `(real, fake) -> []`, the reported Wasserstein estimate; positive when the critic
        tells real from fake (energies are low on real data, so their sign is turned).
    """

    init: Callable[[], Any]
    critic_loss: Callable[[Any, Any, Any], Array]
    generator_loss: Callable[[Any, Any, Any], Array]
    update: Callable[[Any, Any, Any], tuple[Any, Info]]
    separation: Callable[[Any, Any], Array] = score_gap


class Algorithm(NamedTuple):
    """One member of the family with all its parts bound: what the presets in `algorithms` return.

    Attributes:
      init: `(key, batch [n_critic, B, *D]) -> state`; only the batch's shape and dtype matter.
      step: `(state, batch [n_critic, B, *D]) -> (state, info)`: n_critic critic updates, then one
        generator update. It has the shape of a `lax.scan` body. The batch may be `Ragged`.
      prior: `(key, num) -> z [num, *Z]`, the latent distribution; `Labelled` latents of a
        conditional member.
      generate: `(state, z [B, *Z]) -> x [B, *D]`, the generator after training.
      score: `(state, x [B, *D]) -> [B]`, the critic after training; x is `Labelled` for a
        conditional critic.
      separation: the objective's `(real scores, fake scores) -> []`, positive when the critic
        tells real from fake.
      settle: `(generator, z [B, *Z]) -> model_state`, the model state of a generator's player state
        after it has made samples as in training; None if it has no such thing.
      rebuilt: `(**changes) -> Algorithm`, the same member, its wrappers included, with some parts
        of `adversarial.build` changed: each by a function of the part that it replaces. None if it
        has no such parts.
    """

    init: Callable[[Key, Any], Any]
    step: Callable[[Any, Any], tuple[Any, Any]]
    prior: Prior
    generate: Callable[[Any, Any], Array]
    score: Callable[[Any, Any], Array]
    separation: Callable[[Any, Any], Array] = score_gap
    settle: Callable[[Any, Any], ModelState] | None = None
    rebuilt: Callable[..., Any] | None = None

    def latents(self, key: Key, num: int, label: Any = None) -> Data:
        """Draws num >= 1 latents [num, *Z] for `generate`.

        Args:
          key: typed key.
          num: how many.
          label: a class, or one for each [num]; None for what the prior draws. With the same key
            the latents are the same whatever the label.

        Raises:
          ValueError: num is below 1, the member has no labels, or a label is none of its classes.
        """
        if num < 1:
            raise ValueError(f"num is {num}: give at least one sample")
        z = self.prior(key, num)
        if label is None:
            return z
        if not isinstance(z, Labelled):
            raise ValueError(f"label is {label!r}: this member was built without labels")
        label = require_labels("label", label, getattr(self.prior, "classes", None))
        if label.shape not in ((), (num,)):
            raise ValueError(f"label has shape {label.shape}: give one class, or {num} of them")
        return z._replace(label=jnp.broadcast_to(label, (num,)))

    def sample(self, key: Key, state: Any, num: int, label: Any = None) -> Array:
        """Draws num >= 1 samples [num, *D] from the generator; arguments as of `latents`.

        Raises:
          ValueError: as `latents`.
        """
        return self.generate(state, self.latents(key, num, label))
