"""Exact W1 beside the critic's estimate while a run trains: what `--w1-every STEPS` switches on.

On the plane an exact W1 between a thousand points is close to the W1 of the laws. Between images it
is not: in D dimensions the distance of n samples from n others of the same law falls like n^(-1/D)
(Dudley, 1969; Weed and Bach, 2019), so that figure is named `sample_w1`, is about these samples
only, and means something beside the same figure of real images alone.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jwgan import check, penalties, transport
from jwgan.run import classes, evaluate, tasks
from jwgan.types import inputs, with_label_of

POINTS = 1000  # on the plane: .2 s for an exact W1
IMAGES = 500

CRITIC = (
    "critic_estimate is the difference of the critic's mean scores on the same samples, positive "
    "when it tells them apart (an estimate of W1 for Wasserstein critics only; of other members "
    "these are logits or energies), and critic_estimate_per_slope that over critic_slope, the "
    "critic's mean input-gradient norm between them."
)
WORLD = (
    "exact_w1 is the exact W1 between {num} samples and {num} held-out points, and "
    "exact_w1_of_real that of {num} other real points, which a perfect generator would show. "
    f"{CRITIC} critic_held_out_gap is its mean score on other real points minus that on the "
    "held-out ones: here all data are new, so it is noise."
)
PICTURES = (
    "sample_w1 is the exact W1, by Euclidean distance of pixels in [-1, 1], between {num} samples "
    "and {num} {held_out}. It is a figure of these finite samples and no estimate of the W1 of the "
    "two laws, which it exceeds by far in {dims} dimensions; sample_w1_of_real is the same of "
    "{num} training images, which a perfect generator would show. "
    f"{CRITIC} "
)
GAP = (
    "critic_held_out_gap is its mean score on training data minus that on held-out data: what it "
    "has learnt by heart."
)
NO_GAP = (
    "This data set has no held-out part that is new to the critic, so there is no "
    "critic_held_out_gap."
)


class W1Probe(NamedTuple):
    """Measures exact W1 and the critic's estimate of one run.

    Attributes:
      description: what the metrics are, in words.
      metrics: `state -> {name: value}`; values that are not finite are left out.
    """

    description: str
    metrics: Callable[[Any], dict[str, float]]


def require_packages() -> None:
    """Raises check.MissingPackageError unless exact distances can be computed.

    >>> exact_w1.require_packages()  # silent where jwgan[transport] is installed
    """
    for package in ("scipy", "ot"):
        check.require_package(package, "transport")


def make(task: Any, algorithm: Any) -> W1Probe:
    """The probe of a member on a task; its latents and real data are the same at every step.

    Raises:
      MissingPackageError: jwgan[transport] is not installed.

    Data lie at the origin, samples where the state says, and the critic falls by 2 a unit:

    >>> origin = problems.Problem("origin", lambda key, num: jnp.zeros((num, 2)))
    >>> task = run.Task("origin", (2,), None, np.zeros((3, 2), np.float32), problem=origin)
    >>> member = types.Algorithm(
    ...     init=None,
    ...     step=None,
    ...     prior=lambda key, num: jnp.zeros((num, 2)),
    ...     generate=lambda state, z: jnp.broadcast_to(state, z.shape),
    ...     score=lambda state, x: -2 * x[:, 0],
    ... )
    >>> found = exact_w1.make(task, member).metrics(jnp.array([3.0, 0.0]))
    >>> found["exact_w1"], found["critic_estimate"], found["critic_estimate_per_slope"]
    (3.0, 6.0, 3.0)
    """
    real, held_out, has_held_out = _real(task)
    # The name says which of the two it is: pages and tables must not mix them.
    num, on_plane = held_out.shape[0], task.problem is not None
    name = "exact_w1" if on_plane else "sample_w1"
    # This distance is computed once: real points do not change while the run trains.
    of_real = _w1(real, held_out)
    scores = _make_scores(algorithm, real, held_out)

    def metrics(state: Any) -> dict[str, float]:
        fake, found = scores(state)
        found = {name: _w1(fake, held_out), f"{name}_of_real": of_real, **found}
        if not has_held_out:
            # Without a held-out part both samples are training data: their gap says nothing of
            # memory.
            del found["critic_held_out_gap"]
        return {k: round(float(v), 6) for k, v in found.items() if math.isfinite(v)}

    if on_plane:
        return W1Probe(WORLD.format(num=num), metrics)
    kind = "held-out images" if has_held_out else "other training images"
    words = PICTURES.format(num=num, held_out=kind, dims=math.prod(task.shape))
    return W1Probe(words + (GAP if has_held_out else NO_GAP), metrics)


def _real(task: Any) -> tuple[Any, Any, bool]:
    """(other real data, held-out data) of one size, and whether the latter deserve their name."""
    if task.problem is not None:
        num = min(POINTS, len(task.held_out))
        # New points: not the key of the held-out ones (2**31 - 1), and none that a run is likely to
        # have.
        real = np.asarray(task.problem.sample(jax.random.key(2**31 - 2), num))
        return real, task.held_out[:num], True
    images, labels = task.dataset.images, task.dataset.labels
    of = lambda x, y, at: classes.labelled(task, x[at], y[at] if task.classes else None)
    shuffled = lambda x: np.random.default_rng(0).permutation(len(x))  # files come class by class
    order = shuffled(images)
    if not len(evaluate.unseen_points(task)):
        # Two halves of the training images stand in: they must not share any, or their distance is
        # too small.
        num = min(IMAGES, len(images) // 2)
        return of(images, labels, order[:num]), of(images, labels, order[num : 2 * num]), False
    num = min(IMAGES, len(task.held_out), len(images))
    new = shuffled(task.held_out)[:num]
    held_out = of(task.held_out, tasks.held_out_labels(task), new)
    return of(images, labels, order[:num]), held_out, True


def _make_scores(algorithm: Any, real: Any, held_out: Any) -> Callable[[Any], tuple[Any, dict]]:
    """The compiled `state -> (samples, the critic's figures)`."""

    @jax.jit
    def scores(state: Any) -> tuple[Any, dict[str, Any]]:
        score = lambda x: algorithm.score(state, x)
        # Nothing else uses keys 16 and 17 (`evaluate` has 12 to 15). Latents and places are the
        # same at every step, so that a curve shows the training and not the noise. Samples have the
        # labels of the held-out data, as fakes have the real batch's in training.
        x, *label = inputs(held_out)
        fake = algorithm.sample(jax.random.key(16), state, len(x), *label)
        of_fake = score(with_label_of(held_out, fake))
        estimate = algorithm.separation(score(held_out), of_fake)
        between = penalties.interpolate(jax.random.key(17), x, fake)
        # The slope is taken on lines between data and samples, where the transport goes: a critic
        # of slope s there estimates about s times W1, which the quotient undoes.
        of_points = lambda x: score(with_label_of(held_out, x))
        slope = penalties.gradient_norm(of_points, between).mean()
        return fake, {
            "critic_estimate": estimate,
            "critic_slope": slope,
            "critic_estimate_per_slope": estimate / slope,
            "critic_held_out_gap": algorithm.separation(score(real), of_fake) - estimate,
        }

    # device_get of the whole result is one transfer.
    return lambda state: jax.device_get(scores(state))


def _w1(x: Any, y: Any) -> float:
    x, y = inputs(x)[0], inputs(y)[0]
    try:
        return transport.exact_w1(x.reshape(len(x), -1), y.reshape(len(y), -1))  # [N, D] each
    except ValueError:  # samples that ran away have no distance; the run ends by its own rules
        return math.nan
