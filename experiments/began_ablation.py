"""What makes BEGAN work? A public recipe with one thing changed at a time, several seeds each.

    python -m experiments.began_ablation                    # Fashion-MNIST, a page in runs/
    python -m experiments.began_ablation --dataset digits --steps 2000

Paper: Berthelot, Schumm and Metz, 2017, BEGAN. Its settings, on 28x28 pictures with a black
background, collapse; code that others published does not, and differs from the paper in seven
places: batch norm in both players, pixels in [0, 1] that end in sigmoids, a shallow auto-encoder
with a narrow code, a generator rate five times the critic's, batches of 64, gamma 0.75, and a k
that may fall below 0. The recipe here has all of them but two: both players have a rate of 1e-3
(that code: 2e-4 for a critic of 64 channels, 1e-3 for the generator), and gamma is 0.9. Each part
is taken back by itself, and all of them at once; "five times" is tried, too. Settings that differ
in numbers alone are one program.
"""

import dataclasses
import itertools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

import jwgan
from jwgan import loop, many, networks, priors
from jwgan.models import autoencoder, norms, shallow
from jwgan.report import article, plots
from jwgan.run import evaluate, options, study, sweep_build, tasks, xla
from jwgan.run.options import option

# name -> (the recipe's level, the other one)
FACTORS: dict[str, tuple[Any, Any]] = {
    "generator_norm": ("batch", "none"),
    "critic_norm": ("batch", "none"),
    "pixels": ("0 to 1", "-1 to 1"),
    "auto_encoder": ("shallow", "paper"),
    "batch_size": (64, 16),
    "critic_rate": (1e-3, 2e-4),
    "rate_ratio": (1.0, 5.0),
    "gamma": (0.9, 0.5),
    "k_min": (-1.0, 0.0),
}
NUMBERS = ("critic_rate", "rate_ratio", "gamma", "k_min")  # these may differ within a program
WORDS = {
    "generator_norm": "no batch norm in the generator",
    "critic_norm": "no batch norm in the auto-encoder",
    "pixels": "pixels in [-1, 1], tanh at the ends",
    "auto_encoder": "the paper's deep auto-encoder",
    "batch_size": "batches of 16",
    "critic_rate": "both players at a rate of 2e-4",
    "rate_ratio": "the generator at five times the critic's rate",
    "gamma": "gamma 0.5",
    "k_min": "k never below 0",
}
RECIPE, ALL = "the recipe", "all of these at once but five times"
LAMBDA_K, CODE, PAPERS_CODE = 1e-2, 32, 64


@dataclasses.dataclass(frozen=True)
class Config:
    dataset: str = option("fashion_mnist", "fashion_mnist, mnist or digits")
    data_dir: str | None = option(None, "where the data's files are")
    seeds: int = option(3, "runs of each setting, with keys 0, 1, 2, ...", at_least=1)
    steps: int = option(1500, "updates of both players of each run", at_least=1)
    width: int = option(16, "channels of the convolutions (the public recipe's 64)", at_least=1)
    latent: int = option(62, "dimensions of the uniform latents", at_least=1)
    samples: int = option(5000, "samples that are judged of each run", at_least=100)
    out: str | None = option(None, "where the page is written (default: runs/began_ablation-K)")
    json: bool = option(False, "print one line of JSON at the end")


def settings() -> dict[str, dict[str, Any]]:
    """Lists the settings: {name: {factor: level}}.

    >>> from experiments import began_ablation
    >>> len(began_ablation.settings()), began_ablation.settings()["gamma"]["gamma"]
    (11, 0.5)
    """
    recipe = {name: levels[0] for name, levels in FACTORS.items()}
    changed = {name: {**recipe, name: levels[1]} for name, levels in FACTORS.items()}
    last = {name: levels[1] for name, levels in FACTORS.items()}
    # The paper's players learn at one rate: five times is the public code's.
    return {RECIPE: recipe, **changed, ALL: {**last, "rate_ratio": recipe["rate_ratio"]}}


def build(config: Config, shape: tuple[int, ...], setting: dict[str, Any]) -> jwgan.Algorithm:
    """BEGAN of a setting; its numbers may be traced.

    Args:
      config: the options.
      shape: (H, W, C), of images in [-1, 1].
      setting: a level of every factor.
    """
    unit = setting["pixels"] == "0 to 1"
    last = nn.sigmoid if unit else jnp.tanh
    norm = norms.batch_norm if setting["generator_norm"] == "batch" else None
    generator = networks.from_linen(
        shallow.ShallowGenerator(
            shape, config.width, 16 * config.width, norm=norm, final_activation=last
        ),
        **networks.TRAIN_ARGUMENT,
    )
    if setting["auto_encoder"] == "shallow":
        own = norms.batch_norm if setting["critic_norm"] == "batch" else None
        module = shallow.ShallowCritic(shape, config.width, CODE, norm=own, final_activation=last)
        critic = networks.from_linen(module, **networks.TRAIN_ARGUMENT)
        critic = networks.map_output(critic, lambda x, y: y.score)
    else:
        critic = networks.from_linen(autoencoder.BEGANCritic(shape, config.width, PAPERS_CODE))
    if unit:
        critic = networks.map_input(critic, lambda x: (x + 1) / 2)
        generator = networks.map_output(generator, lambda z, y: 2 * y - 1)
    algorithm = jwgan.began(
        critic,
        generator,
        prior=priors.uniform(config.latent),
        learning_rate=setting["critic_rate"] * setting["rate_ratio"],
        critic_learning_rate=setting["critic_rate"],
        gamma=setting["gamma"],
        lambda_k=LAMBDA_K,
        k_min=setting["k_min"],
    )
    return jwgan.with_ema(algorithm, 0.999)


def train(config: Config, task: Any, group: list[dict[str, Any]]) -> tuple[Any, Any]:
    """Trains settings that differ in numbers alone, every seed of each, in one program.

    Returns:
      Samples [S * seeds, N, H, W, C], the seeds of a setting one after another, and k of each.
    """
    base = group[0]
    rows = list(itertools.product(group, range(config.seeds)))
    columns = {name: [setting[name] for setting, _ in rows] for name in NUMBERS}
    mesh = sweep_build.make_mesh(len(rows), None)
    mapped = many.divided(mesh) if mesh else jax.vmap
    make = lambda **numbers: build(config, task.shape, {**base, **numbers})
    algorithm = many.over(make, columns, mapped)
    draw = lambda n_critic: task.source(n_critic, base["batch_size"])
    source = many.drawn(draw, [1] * len(rows), mapped)
    keys = many.keys(seed for _, seed in rows)
    states = jax.jit(lambda keys: algorithm.init(keys, source.batch))(keys)
    states = loop.train(algorithm, states, source, steps=config.steps)
    sample = jax.jit(lambda states: algorithm.sample(jax.random.key(13), states, config.samples))
    return np.asarray(sample(states)), np.asarray(states.inner.objective.k)


def measure(config: Config) -> dict[str, Any]:
    """Trains and judges every setting: {"settings": {name: figures of its seeds}}."""
    task = tasks.load_images(config.dataset, config.data_dir)
    fitted = evaluate.fit_classifier(task.dataset)
    programs: dict[tuple[Any, ...], list[str]] = {}
    for name, setting in settings().items():
        structure = tuple(setting[factor] for factor in FACTORS if factor not in NUMBERS)
        programs.setdefault(structure, []).append(name)
    found: dict[str, Any] = {}
    real = float("nan")
    for names in programs.values():
        fakes, ks = train(config, task, [settings()[name] for name in names])
        for i, name in enumerate(names):
            mine = slice(i * config.seeds, (i + 1) * config.seeds)
            judged = [evaluate.image_quality(task, fake, fitted) for fake in fakes[mine]]
            real = judged[0]["frechet_distance_of_real"]
            found[name] = {
                "frechet_distance": [one["frechet_distance"] for one in judged],
                "classes_present": [one["classes_present"] for one in judged],
                "smallest_class_share": [one["smallest_class_share"] for one in judged],
                "k": ks[mine].round(4).tolist(),
            }
    return {
        "frechet_distance_of_real": real,
        "settings": {name: found[name] for name in settings()},
    }


HEAD = ("setting", "Frechet distance", "least", "largest", "classes", "smallest class", "k")


def rows(result: dict[str, Any]) -> list[list[str]]:
    """A row for each setting, medians over the seeds, under HEAD."""
    table = []
    for name, one in result["settings"].items():
        distances, classes = one["frechet_distance"], sorted(one["classes_present"])
        table.append(
            [
                WORDS.get(name, name),
                f"{np.median(distances):.1f}",
                f"{min(distances):.1f}",
                f"{max(distances):.1f}",
                f"{classes[0]} to {classes[-1]}" if classes[0] < classes[-1] else f"{classes[0]}",
                f"{np.median(one['smallest_class_share']):.1%}",
                f"{np.median(one['k']):.2f}",
            ]
        )
    return table


def draw(result: dict[str, Any]) -> bytes:
    """A line of points for each setting, one point for each seed, as PNG."""
    figure = plots.figure(7.6, 4.2)
    figure.set_layout_engine("constrained")
    axes = figure.subplots()
    names = list(result["settings"])
    for place, name in enumerate(reversed(names)):
        one = result["settings"][name]
        for distance, classes in zip(one["frechet_distance"], one["classes_present"], strict=True):
            full = classes == 10
            color = plots.BLUE if full else plots.ORANGE
            axes.plot(distance, place, "o", color=color, fillstyle="full" if full else "none")
    axes.set_yticks(range(len(names)), [WORDS.get(name, name) for name in reversed(names)])
    axes.axvline(result["frechet_distance_of_real"], color=plots.GREEN, linestyle=":")
    axes.set(xscale="log", xlabel="Frechet distance (dotted: real data)")
    axes.plot([], [], "o", color=plots.BLUE, label="all ten classes")
    axes.plot([], [], "o", color=plots.ORANGE, fillstyle="none", label="fewer")
    axes.legend(frameon=False, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    return plots.png(figure)


def page(result: dict[str, Any]) -> study.Report:
    """The page: the picture, then its numbers."""
    png = draw(result)
    table = (HEAD, rows(result))
    blocks = [
        article.Paragraph(
            "BEGAN's critic is an auto-encoder that reconstructs real pictures well and generated "
            "ones, weighted by k, badly. Code that others published has all classes of "
            "Fashion-MNIST; it differs from the paper in several places. The first line is that "
            "recipe, with another rate and gamma. In each of the others one thing is as in the "
            "paper (five times the rate: as in that code), and in the last one all."
        ),
        article.Figure(
            png,
            f"Frechet distance of {result['samples']} samples after {result['steps']} updates, "
            f"{result['seeds']} seeds each; further left is better.",
            "Frechet distances of the recipe and of the recipe with one thing changed",
        ),
        article.Table(HEAD, table[1], "Medians over the seeds."),
    ]
    return study.Report("What makes BEGAN work?", blocks, {"began_ablation": png}, table)


def main() -> None:
    config = options.parse(Config, None, __doc__)
    try:
        options.require_choice("dataset", config.dataset, ("fashion_mnist", "mnist", "digits"))
    except ValueError as error:
        options.fail(error)
    xla.use_cores(2, None)
    study.run(config, "began_ablation", __doc__, measure, page)


if __name__ == "__main__":
    main()
