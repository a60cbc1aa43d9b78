"""What the parts of a GAN look like: Network, Objective, Algorithm and the aliases in their fields.

Letters in shapes: B samples of a batch, *D the axes of one sample, *Z the axes of one latent, K
trials side by side, N and M other numbers of samples; [] is a scalar.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

Array = jax.Array
Key = jax.Array  # a typed PRNG key, []
Params = Any  # pytree of arrays
ModelState = Any  # pytree of arrays that move without a gradient, such as batch statistics, or {}
Info = dict[str, Array]  # named scalars

Prior = Callable[[Key, int], Array]  # (key, num) -> z [num, *Z]
CriticFn = Callable[[Array], Array]  # x [B, *D] -> score [B]
Augment = Callable[[Key, Any, Array], Array]  # (key, objective's state, x [B, *D]) -> x
Penalty = Callable[[Key, CriticFn, Array, Array], Array]  # (key, critic_fn, real, fake) -> []


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


Output = Array | Scored  # what a critic returns


class Ragged(NamedTuple):
    """A step's batch of which only the first `n_critic` rows are used, one for each critic update.

    The number may be traced, so the trials of one program (see `many`) may differ in n_critic.
    """

    rows: Array  # [n, B, *D]
    n_critic: Array  # [], from 1 to the number of rows


Batch = Array | Ragged  # what a step is given


def score_of(output: Output) -> Array:
    """Takes the score [B] out of a critic's output.

    >>> score, code = jnp.array([1.0, 2.0]), jnp.zeros((2, 3))
    >>> types.score_of(types.Scored(score, code)).tolist(), types.score_of(score).tolist()
    ([1.0, 2.0], [1.0, 2.0])
    """
    return output.score if isinstance(output, Scored) else output


class Network(NamedTuple):
    """A player's network as pure functions; made by `networks.from_fn`, `from_linen`, `from_nnx`.

    "Player" is the critic or the generator.

    Attributes:
      init: `(key, x [B, *D]) -> (params, model_state)`.
      apply: `(params, model_state, x) -> (y, model_state)`, as used in training (batch norm uses
        the batch's own statistics and moves its averages).
      evaluate: `(params, model_state, x) -> y`, as used after training (stored averages).
      precise: `apply` without reduced precision, which penalties use; None: `apply` itself.
    """

    init: Callable[[Key, Array], tuple[Params, ModelState]]
    apply: Callable[[Params, ModelState, Array], tuple[Any, ModelState]]
    evaluate: Callable[[Params, ModelState, Array], Any]
    precise: Callable[[Params, ModelState, Array], tuple[Any, ModelState]] | None = None


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
      prior: `(key, num) -> z [num, *Z]`, the latent distribution.
      generate: `(state, z [B, *Z]) -> x [B, *D]`, the generator after training.
      score: `(state, x [B, *D]) -> [B]`, the critic after training.
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
    generate: Callable[[Any, Array], Array]
    score: Callable[[Any, Array], Array]
    separation: Callable[[Any, Any], Array] = score_gap
    settle: Callable[[Any, Array], ModelState] | None = None
    rebuilt: Callable[..., Any] | None = None

    def sample(self, key: Key, state: Any, num: int) -> Array:
        """Draws num >= 1 samples [num, *D] from the generator.

        Raises:
          ValueError: num is below 1.
        """
        if num < 1:
            raise ValueError(f"num is {num}: give at least one sample")
        return self.generate(state, self.prior(key, num))
