"""Detects the known defects of GAN code in your own networks, data and training.

The detectors take plain functions and pytrees. They return numbers and do not raise: how much is
too much is for the caller to say.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jwgan.check import require
from jwgan.types import (
    Algorithm,
    Array,
    CriticFn,
    Data,
    Key,
    Params,
    Prior,
    inputs,
    score_of,
)


def _named_leaves(tree: Any) -> list[tuple[str, Any]]:
    """(path, leaf) of every leaf; a path reads "layer/kernel"."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [(jax.tree_util.keystr(path, simple=True, separator="/"), x) for path, x in leaves]


def cross_sample_leak(critic_fn: CriticFn, x: Array) -> Array:
    r"""Measures how much a sample's score depends on the other samples of its batch.

    $\max_{i \ne j} |\partial D(x)_i / \partial x_j|$ over all coordinates, relative to the same
    with $i = j$. It is 0 for a critic that may be penalised and far from 0 with batch normalisation
    in training mode, where a per-sample gradient norm means nothing.

    Args:
      critic_fn: x [B, *D] -> score [B], as in training.
      x: [B, *D] with B >= 2; the cost is B backward passes, so a few samples will do.

    Returns:
      [], >= 0; infinity where only the other samples matter.

    Raises:
      ValueError: fewer than two samples.

    Reference: Gulrajani et al., 2017, Improved Training of Wasserstein GANs, section 4.

    Subtracting the batch's mean, as batch norm does, lets samples see one another:

    >>> x = jnp.array([[1.0], [3.0]])
    >>> diagnostics.cross_sample_leak(lambda x: x[:, 0], x).item()
    0.0
    >>> diagnostics.cross_sample_leak(lambda x: x[:, 0] - x.mean(), x).item()
    1.0
    """
    num = x.shape[0]
    require(num >= 2, "x's batch size", num, "give at least two samples")
    jacobian = jnp.abs(jax.jacrev(critic_fn)(x)).reshape(num, num, -1).max(axis=2)  # [B, B]
    own = jnp.diagonal(jacobian).max()
    other = jnp.where(jnp.eye(num, dtype=bool), 0.0, jacobian).max()
    return jnp.where(other > 0, other / own, 0.0)


def gradient_norms(gradient: Params) -> dict[str, Array]:
    """Measures the norm [] of each leaf of a loss's gradient: does it vanish or explode with depth?

    Args:
      gradient: the tree from `jax.grad(loss)(params)`.

    Returns:
      {path of the leaf: norm}.

    Reference: Gulrajani et al., 2017, Improved Training of Wasserstein GANs, figure 1b.

    >>> norms = diagnostics.gradient_norms({"first": {"w": jnp.array([[3.0], [4.0]])}})
    >>> {name: norm.item() for name, norm in norms.items()}
    {'first/w': 5.0}
    """
    return {name: jnp.linalg.norm(leaf.ravel()) for name, leaf in _named_leaves(gradient)}


def dead_parameters(gradient: Params, tolerance: float = 0.0) -> list[str]:
    """Lists the leaves that a loss does not train: no entry above `tolerance`, or a NaN.

    A layer that is built and not called, or cut off by a stop_gradient, shows up here.

    Args:
      gradient: the tree from `jax.grad(loss)(params)`, concrete.
      tolerance: absolute; gradients that vanish only by rounding need one > 0.

    Returns:
      Paths of those leaves.

    Raises:
      ValueError: tolerance < 0.

    >>> gradient = {"used": jnp.ones(2), "cut off": jnp.zeros(2), "broken": jnp.array([jnp.nan])}
    >>> diagnostics.dead_parameters(gradient)
    ['broken', 'cut off']
    """
    require(tolerance >= 0, "tolerance", tolerance, "give a bound >= 0")
    leaves = [(name, x) for name, x in _named_leaves(gradient) if x.size]  # else nothing to train
    # "not >" instead of "<=", which is false for NaN: a NaN is no training either.
    return [name for name, x in leaves if not jnp.abs(x).max() > tolerance]


def outside_box(params: Params, c: float) -> dict[str, float]:
    r"""Measures how far each leaf is outside [-c, c]; leaves inside are left out.

    A leaf may exceed c by a relative 1e-6, one rounding of the clipped update.

    Args:
      params: concrete parameters.
      c: half-width of the box.

    Returns:
      {path of the leaf: max |w| - c}.

    Reference: Arjovsky, Chintala and Bottou, 2017, Wasserstein GAN, Algorithm 1, line 7.

    >>> diagnostics.outside_box({"w": jnp.array([0.5, -2.0]), "b": jnp.zeros(1)}, c=0.5)
    {'w': 1.5}
    """
    largest = {name: float(jnp.abs(x).max(initial=0.0)) for name, x in _named_leaves(params)}
    return {name: top - c for name, top in largest.items() if not top <= c * (1 + 1e-6)}


class Repeat(NamedTuple):
    """Two draws that have samples in common."""

    first: int
    second: int
    share: float  # of the second's samples, in (0, 1]


def repeats(draws: Iterable[Any]) -> list[Repeat]:
    """Lists the pairs of draws [B, *D] that have bit-equal samples; fresh noise and data have none.

    Samples drawn with replacement from a small data set repeat by chance: then look at `share`.
    Repetition within one draw is not searched for.

    >>> diagnostics.repeats([np.array([[1.0], [2.0]]), np.array([[3.0]]), np.array([[2.0], [4.0]])])
    [Repeat(first=0, second=2, share=0.5)]
    """
    rows = [[np.asarray(row).tobytes() for row in draw] for draw in draws]
    pairs = [
        Repeat(i, j, sum(row in set(rows[i]) for row in rows[j]) / max(len(rows[j]), 1))
        for j in range(len(rows))
        for i in range(j)
    ]
    return [pair for pair in pairs if pair.share > 0]


def repeated_batches(batch: Data) -> list[Repeat]:
    """Lists the critic updates that share real samples in one step's batch [n_critic, B, *D].

    >>> diagnostics.repeated_batches(jnp.zeros((2, 4, 1)))  # the same data for both updates
    [Repeat(first=0, second=1, share=1.0)]
    """
    return repeats(list(np.asarray(inputs(batch)[0])))


def recorded(prior: Prior) -> tuple[Prior, list[np.ndarray]]:
    """Returns the same prior and a list to which it appends every executed draw z [num, *Z].

    It calls back to the host and works under jit, scan and grad, not under vmap: a probe, not for
    training runs. Wait for the results (`jax.effects_barrier()`) before reading the list.

    >>> prior, draws = diagnostics.recorded(lambda key, num: jnp.zeros((num, 1)))
    >>> _ = jax.jit(lambda key: prior(key, 3))(jax.random.key(0))
    >>> jax.effects_barrier()
    >>> [z.shape for z in draws]
    [(3, 1)]
    """
    draws: list[np.ndarray] = []

    def recording(key: Key, num: int) -> Data:
        z = prior(key, num)
        jax.debug.callback(lambda z: draws.append(np.array(z)), inputs(z)[0], ordered=True)
        return z

    return recording, draws


def noise_reuse(
    make: Callable[[Prior], Algorithm], prior: Prior, key: Key, batch: Data, steps: int = 2
) -> list[Repeat]:
    """Lists the latents that an algorithm uses more than once in its first steps.

    It runs the algorithm with a recording prior. Draws are numbered in order, n_critic + 1 a step
    for `adversarial.step`: those of its critic updates, then that of the generator's.

    Args:
      make: `prior -> Algorithm`, for example
        `lambda prior: jwgan.wgan_gp(critic, generator, prior=prior)`.
      prior: a continuous distribution; draws of a discrete one repeat by chance.
      key: of the run.
      batch: [n_critic, B, *D], used for every step.
      steps: how many steps to watch; with 2, a key that does not advance is found too.

    Returns:
      Pairs of draws with equal latents; none for the members of this library.

    >>> critic = networks.from_fn(lambda key, x: jnp.ones(2), lambda w, x: x @ w)
    >>> generator = networks.from_fn(lambda key, z: jnp.zeros((1, 2)), lambda shift, z: z + shift)
    >>> make = lambda prior: jwgan.wgan_gp(critic, generator, prior=prior)
    >>> batch = jnp.ones((2, 4, 2))
    >>> diagnostics.noise_reuse(make, priors.normal(2), jax.random.key(0), batch)
    []
    """
    recording, draws = recorded(prior)
    algorithm = make(recording)
    state = algorithm.init(key, batch)
    jax.effects_barrier()
    draws.clear()  # init's draw is for shapes only
    step = jax.jit(algorithm.step)
    for _ in range(steps):
        state, _ = step(state, batch)
    jax.effects_barrier()
    return repeats(draws)


class Norms(NamedTuple):
    """Input gradient norms over a set of points."""

    max: Array  # []
    mean: Array  # []


class LipschitzReport(NamedTuple):
    r"""Input gradient norms $\|\nabla_x D\|_2$ on the data and on the lines through them."""

    real: Norms
    fake: Norms
    between: Norms  # uniform on the segments from fake to real: where WGAN-GP's penalty looks
    outside: Norms  # on the same lines, up to one length beyond either end

    @property
    def constant(self) -> Array:
        """The largest norm seen [], a lower bound of the Lipschitz constant."""
        return jnp.stack([norms.max for norms in self]).max()


def lipschitz_report(critic_fn: CriticFn, real: Array, fake: Array, key: Key) -> LipschitzReport:
    """Measures where and by how much a critic's slope differs from 1, at 4 B points.

    A lower bound of the critic's Lipschitz constant; for an upper bound see `layer_norm_product`.

    Args:
      critic_fn: x [B, *D] -> score [B], each from its own sample (see `cross_sample_leak`).
      real, fake: [B, *D], paired row by row.
      key: for the points between and outside.

    Reference: Gulrajani et al., 2017, Improved Training of Wasserstein GANs, section 4 (between);
    Wei et al., 2018, Improving the Improved Training of Wasserstein GANs (elsewhere).

    >>> critic_fn = lambda x: x @ jnp.array([3.0, 4.0])
    >>> real, fake = jnp.ones((8, 2)), jnp.zeros((8, 2))
    >>> report = diagnostics.lipschitz_report(critic_fn, real, fake, jax.random.key(0))
    >>> report.between.mean.item(), report.constant.item()
    (5.0, 5.0)
    """
    require(real.shape == fake.shape, "fake's shape", fake.shape, f"give that of real {real.shape}")
    require(len(real) >= 1, "real's shape", real.shape, "give at least one sample")
    key_between, key_outside = jax.random.split(key)
    column = (real.shape[0],) + (1,) * (real.ndim - 1)
    between = jax.random.uniform(key_between, column, real.dtype)
    beyond = jax.random.uniform(key_outside, column, real.dtype, minval=-1.0)
    beyond = jnp.where(beyond < 0, beyond, 1 + beyond)  # from [-1, 1) to [-1, 0) and [1, 2)

    def norms(x: Array) -> Norms:
        gradient = jax.grad(lambda x: critic_fn(x).sum())(x).reshape(x.shape[0], -1)
        norm = jnp.linalg.norm(gradient.astype(jnp.promote_types(x.dtype, jnp.float32)), axis=1)
        return Norms(norm.max(), norm.mean())

    on_line = lambda t: fake + t * (real - fake)
    return LipschitzReport(
        norms(real), norms(fake), norms(on_line(between)), norms(on_line(beyond))
    )


def layer_norm_product(params: Params) -> Array:
    r"""Bounds the Lipschitz constant [] of layers applied one after the other from above.

    The bound is the product of $\sqrt{k}\,\sigma_1(W)$ over all leaves with two or more axes, W the
    matrix [-1, last axis] and k the number of taps (1 for a dense layer; kh kw for a kernel HWIO,
    since each input value enters at most that many patches). It holds for a chain of dense layers
    and convolutions with 1-Lipschitz activations (ReLU, leaky ReLU, tanh, ...), not for residual
    branches, normalisation layers, attention or transposed kernels. It is usually far from tight.

    Reference: Szegedy et al., 2014, Intriguing properties of neural networks, section 4.3; Tsuzuku,
    Sato and Sugiyama, 2018, Lipschitz-Margin Training (convolutions).

    >>> layers = [jnp.diag(jnp.array([3.0, 1.0])), jnp.diag(jnp.array([2.0, 1.0]))]
    >>> round(diagnostics.layer_norm_product(layers).item(), 4)
    6.0
    """
    product = jnp.ones(())
    for leaf in jax.tree.leaves(params):
        if leaf.ndim >= 2 and leaf.size:
            sigma = jnp.linalg.norm(leaf.reshape(-1, leaf.shape[-1]), ord=2)
            product = product * math.sqrt(math.prod(leaf.shape[:-2])) * sigma
    return product


# --- all of them in one call ----------------------------------------------------------------------


class Examination(NamedTuple):
    """What `examine` found; `problems` says in words what is wrong, () if nothing is."""

    problems: tuple[str, ...]
    leak: Array  # [], see `cross_sample_leak`
    dead_critic: list[str]  # see `dead_parameters`
    dead_generator: list[str]
    reused_noise: list[Repeat]  # see `noise_reuse`
    repeated_data: list[Repeat]  # see `repeated_batches`
    lipschitz: LipschitzReport


def examine(algorithm: Algorithm, batch: Array, key: Key, state: Any = None) -> Examination:
    """Runs all detectors on a member of the family, with its own networks, data and penalty.

    It takes two steps and a few backward passes; nothing that it is given is changed.

    Args:
      algorithm: a member, or one in a wrapper.
      batch: real data [n_critic, B, *D] of one step, B >= 2.
      key: of the run.
      state: a trained state; by default the first one.

    Returns:
      An Examination. Its slopes are for the reader to judge: only a penalised critic's should be 1.

    Raises:
      ValueError: the algorithm is of several trials (`many.over`), or a batch has one sample.

    >>> critic = networks.from_fn(lambda key, x: jnp.ones(2), lambda w, x: x @ w)
    >>> generator = networks.from_fn(lambda key, z: jnp.zeros((1, 2)), lambda shift, z: z + shift)
    >>> member = jwgan.wgan_gp(critic, generator, prior=priors.normal(2))
    >>> same = jnp.ones((2, 4, 2))  # both critic updates see the same data
    >>> diagnostics.examine(member, same, jax.random.key(0)).problems
    ('critic updates 0 and 1 share 100 % of their real samples: ...',)
    """
    critic, generator, prior, penalty = _parts(algorithm, "critic", "generator", "prior", "penalty")
    state = algorithm.init(key, batch) if state is None else state
    players = getattr(state, "inner", state)
    real = batch[0]

    def critic_fn(x: Array, params: Params = players.critic.params) -> Array:
        return score_of(critic.apply(params, players.critic.model_state, x)[0])

    def make(params: Params) -> Array:
        z = prior(key, real.shape[0])
        return generator.apply(params, players.generator.model_state, z)[0]

    fake = make(players.generator.params)
    asked: list[Any] = []

    def counted(x: Array) -> Array:
        asked.append(x)
        return critic_fn(x)

    jax.eval_shape(lambda x: penalty(key, counted, x, x), real)
    few = slice(0, min(8, real.shape[0]))
    leak = cross_sample_leak(critic_fn, real[few])
    of_critic = jax.grad(lambda params: critic_fn(real, params).mean())(players.critic.params)
    of_generator = jax.grad(lambda params: critic_fn(make(params)).mean())(players.generator.params)
    remade = lambda prior: algorithm.rebuilt(prior=lambda _: prior)  # type: ignore[misc]
    found = Examination(
        problems=(),
        leak=leak,
        dead_critic=dead_parameters(of_critic),
        dead_generator=dead_parameters(of_generator),
        reused_noise=noise_reuse(remade, prior, key, batch),
        repeated_data=repeated_batches(batch),
        lipschitz=lipschitz_report(critic_fn, real, fake, key),
    )
    return found._replace(problems=tuple(_in_words(found, penalised=bool(asked))))


def _parts(algorithm: Algorithm, *names: str) -> list[Any]:
    """The parts of `adversarial.build` that a member was made of."""
    remedy = "examine one trial's algorithm, before many.over"
    require(algorithm.rebuilt is not None, "algorithm's parts", None, remedy)
    seen: dict[str, Any] = {}
    noting = lambda name: lambda part: seen.setdefault(name, part)
    algorithm.rebuilt(**{name: noting(name) for name in names})  # type: ignore[misc]
    return [seen[name] for name in names]


def _in_words(found: Examination, penalised: bool) -> list[str]:
    """A line for each defect."""
    lines = []
    if penalised and found.leak > 0:
        lines.append(
            f"the critic's scores depend on other samples of their batch (leak "
            f"{float(found.leak):.3g}): its penalty means nothing; take batch norm out"
        )
    for player, dead in (("critic", found.dead_critic), ("generator", found.dead_generator)):
        if dead:
            lines.append(
                f"the {player}'s {', '.join(name or 'parameters' for name in dead)} have no "
                "gradient: a layer is built and not used"
            )
    if found.reused_noise:
        one = found.reused_noise[0]
        lines.append(
            f"latents {one.first} and {one.second} of the first two steps are the same: a key is "
            "used twice"
        )
    for one in found.repeated_data:
        lines.append(
            f"critic updates {one.first} and {one.second} share {one.share:.0%} of their real "
            "samples: draw a batch for each".replace("%", " %")
        )
    return lines
