"""Pictures of samples, and their quality against data that training never saw.

The Frechet distance here uses the features of a small classifier trained on the data set's own
labels, named in the result; it is not comparable with published FID figures, which use Inception.
"""

from typing import Any

PICTURES = 100  # samples in a grid of images
POINTS = 2000  # samples in a 2-D picture and in an exact W1


def picture(task: Any, algorithm: Any, state: Any) -> Any:
    """A uint8 image [H, W, 3 or 1] of samples; always from the same latents, to compare by eye."""
    import jax
    import numpy as np

    from jwgan import report

    key = jax.random.key(12)
    if task.problem is None:
        x = jax.jit(algorithm.sample, static_argnums=2)(key, state, PICTURES)
        return report.image_grid(np.asarray(x), columns=10)
    fake = np.asarray(algorithm.sample(key, state, POINTS))
    return report.scatter(
        task.held_out[:POINTS], fake, score=lambda x: np.asarray(algorithm.score(state, x))
    )


def quality(task: Any, algorithm: Any, state: Any) -> dict[str, Any]:
    """Figures of the final samples; which ones depends on the kind of data."""
    import jax
    import numpy as np

    key = jax.random.key(13)
    if task.problem is not None:
        return world_quality(task, np.asarray(algorithm.sample(key, state, POINTS)))
    if task.dataset.labels is None:
        return {}
    num = 1000 if task.name == "digits" else 10000
    sample = jax.jit(algorithm.sample, static_argnums=2)
    keys = jax.random.split(key, num // 500)
    return image_quality(task, np.concatenate([sample(k, state, 500) for k in keys]))


def world_quality(task: Any, fake: Any) -> dict[str, Any]:
    """Exact W1 to held-out points beside the same figure for real points, and mode coverage."""
    from jwgan import transport
    from jwgan.metrics import coverage

    real, other = task.held_out[:POINTS], task.held_out[POINTS : 2 * POINTS]
    figures = {
        "exact_w1": round(transport.exact_w1(real, fake), 5),
        "exact_w1_of_real": round(transport.exact_w1(real, other), 5),
    }
    if task.problem.modes is not None:
        found = coverage.mode_coverage(fake, task.problem.modes, task.problem.mode_std)
        figures["modes_covered"] = int(found.modes_covered)
        figures["modes"] = len(task.problem.modes)
        figures["high_quality_share"] = round(float(found.high_quality_share), 4)
    return figures
