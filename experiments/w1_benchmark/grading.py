"""Trains critics on pairs of known W1, and grades them."""

import time
from typing import Any

import jax
import jax.numpy as jnp

from jwgan import critics, loop, objectives, penalties, sources
from jwgan.problems import funnels
from jwgan.run import console

# Seeds of the points a critic is graded on, and chosen by; training seeds are smaller.
EVALUATION, CHOICE = 2**31 - 1, 2**31 - 2
BLOCK, BLOCKS = 4096, 8  # graded points at once, and how often


def load(dim: int, num: int, pair_seed: int) -> Any:
    """Makes the benchmark's Pair; its W1 is the known one, or from 2^17 draws for other seeds."""
    made = funnels.benchmark(dim, num, pair_seed)
    known = funnels.TRUTHS.get((dim, num)) if pair_seed == funnels.PUBLISHED_SEED else None
    return funnels.pair(made, *(known or funnels.truth(made)))


def grade(critic_fn: Any, pair: Any, key: Any, blocks: int = BLOCKS, block: int = BLOCK) -> Any:
    """Grades a critic on fresh points of a pair; may be traced.

    Args:
      critic_fn: `x [B, D] -> [B]`.
      pair: with `sample_with_gradient`.
      key: of the points.
      blocks, block: points are drawn `block` at a time, `blocks` times.

    Returns:
      A dict of scalars: "cos", "l2" and "w1" as the benchmark defines them, "w1_se" the standard
      error of "w1", "w1_corrected" it over the mean slope, and slopes, mean and largest.
    """
    # Scores do not depend on other samples, so the sum's gradient is each one's own: [B, D].
    slope = jax.grad(lambda x: critic_fn(x).sum())
    norm = lambda g: jnp.sqrt((g**2).sum(1))

    def one(key: Any) -> Any:
        keys = jax.random.split(key, 3)
        real, optimal = pair.sample_with_gradient(keys[0], block)
        fake = pair.sample_fake(keys[1], block)
        # WGAN-GP's points: the largest slope is looked for there as well.
        between = penalties.interpolate(keys[2], real, fake)
        at_real, at_fake, at_between = slope(real), slope(fake), slope(between)
        norms = jnp.stack([norm(at_real), norm(at_fake)])
        length = norm(at_real) * norm(optimal) + 1e-15
        scores = jnp.stack([critic_fn(real), critic_fn(fake)])
        means = {
            "cos": ((at_real * optimal).sum(1) / length).mean(),
            "l2": ((at_real - optimal) ** 2).sum(1).mean(),
            "w1": scores[0].mean() - scores[1].mean(),
            "w1_variance": scores.var(1).sum(),
            "mean_gradient_norm": norms.mean(),
        }
        return means, jnp.maximum(norms.max(), norm(at_between).max())

    # `lax.map` takes one block after another, which bounds the memory.
    means, highest = jax.lax.map(one, jax.random.split(key, blocks))
    metrics = jax.tree.map(lambda leaf: leaf.mean(), means)
    # Real and fake points are independent, so their variances add up.
    metrics["w1_se"] = jnp.sqrt(metrics.pop("w1_variance") / (blocks * block))
    metrics["w1_corrected"] = metrics["w1"] / metrics["mean_gradient_norm"]
    return {**metrics, "max_gradient_norm": highest.max()}


def train(method: Any, pair: Any, seed: int, chunk_steps: int = 250) -> Any:
    """Trains one critic and grades it, at the end and on the way.

    Args:
      method: a `methods.Method`.
      pair: what it learns to tell apart.
      seed: of weights and samples.
      chunk_steps: updates in one compiled program.
    """
    wall, cpu, iterations = time.perf_counter(), time.process_time(), method.iterations
    algorithm = critics.build(
        method.critic,
        fake=pair.sample_fake,
        critic_tx=method.critic_tx,
        objective=objectives.wasserstein(),
        penalty=method.penalty,
    )
    source = sources.from_sampler(pair.sample_real, n_critic=1, batch_size=method.batch_size)
    state = jax.jit(algorithm.init, static_argnums=1)(jax.random.key(seed), source.batch)
    # The seed is an argument: one program grades on both sets of points.
    graded = jax.jit(
        lambda state, seed: grade(lambda x: algorithm.score(state, x), pair, jax.random.key(seed))
    )
    # Quarters are moved to the ends of chunks, where alone the loop can be observed.
    quarters, way = {iterations * k // 4 // chunk_steps * chunk_steps for k in (1, 2, 3)}, []

    def observe(step: int, state: Any) -> None:
        metrics = graded(state, EVALUATION)
        way.append({"iteration": step, **{k: round(float(metrics[k]), 4) for k in ("cos", "w1")}})

    with console.progress_bar("critic", iterations, 0) as show:
        state = loop.train(
            algorithm,
            state,
            source,
            steps=iterations,
            chunk_steps=chunk_steps,
            record=lambda first, info: show(first, float(info["wasserstein_estimate"][-1]), ""),
            # Short runs have quarters at 0 or at the end, which is graded anyway.
            due=lambda step: step in quarters - {0, iterations},
            observe=observe,
        )
    metrics = {name: round(float(value), 5) for name, value in graded(state, EVALUATION).items()}
    chosen_by = round(float(graded(state, CHOICE)["w1_corrected"]), 5)
    used = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    used = {name: round(value, 1) for name, value in used.items()}
    return {"seed": seed, **metrics, **used, "chosen_by": chosen_by, "on_the_way": way}


def choose(methods: Any, pair: Any, seed: int, chunk_steps: int = 250) -> dict[str, Any]:
    """Trains each candidate, and keeps the one whose corrected estimate on other points is largest.

    Along the transport E f(real) - E f(fake) is W1 times the mean of slope times cosine; over the
    mean slope it is W1 times a mean cosine, so the larger, the better, whatever the critics are.
    The truth is not looked at. Times are those of all candidates.
    """
    runs = [train(method, pair, seed, chunk_steps) for method in methods]
    # The choice rests on other points than the grades, so that a lucky draw does not count twice.
    best = max(range(len(runs)), key=lambda i: runs[i]["chosen_by"])
    used = {name: round(sum(run[name] for run in runs), 1) for name in ("seconds", "cpu_seconds")}
    others = [run for i, run in enumerate(runs) if i != best]
    return {**runs[best], **used, "candidate": best, "others": others}


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Averages the runs; the gradient norm and the times are the largest of any."""
    mean = ("cos", "l2", "w1", "w1_se", "w1_corrected", "mean_gradient_norm")
    most = ("max_gradient_norm", "seconds", "cpu_seconds")
    return {
        **{name: round(sum(run[name] for run in runs) / len(runs), 5) for name in mean},
        **{name: max(run[name] for run in runs) for name in most},
    }
