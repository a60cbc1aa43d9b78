"""WGAN-GP on time series [T, C], with convolutions along time.

    python -m experiments.series                            # windows of the Lorenz attractor
    python -m experiments.series --dataset sines
    python -m experiments.series --dataset array --data-dir windows.npy   # your own [N, T, C]
    python -m experiments.sample runs/series-lorenz-1 --num 1000 --out samples.npy

Each channel is scaled to [-1, 1], and samples are scaled back. `lorenz` and `sines` are computed
(scikit-learn ships no series). A fifth of them is held out, of an array its `test_images`.
Expected: values, steps and autocorrelations of the samples near those of held-out series.

Paper: Gulrajani et al., 2017 (WGAN-GP); the networks are DCGAN's along one axis.
"""

import dataclasses

import jwgan
from jwgan import priors, run
from jwgan.models import conv1d
from jwgan.run import option, samples


@dataclasses.dataclass(frozen=True)
class Config(run.Config):
    dataset: str = option("lorenz", "array, or computed: " + ", ".join(samples.SERIES))
    data_dir: str | None = option(None, "of array: an .npy or .npz file of [N, T, C]")
    steps: int = option(4000)
    chunk_steps: int = option(50)
    n_critic: int = option(3)
    width: int = option(
        16, "channels of the critic's first convolution", group="networks", at_least=1
    )
    latent: int = option(16, "dimensions of the normal latents", group="networks", at_least=1)
    ema: float = option(0.999, "decay of the generator's average", at_least=0, below=1)
    learning_rate: float = option(5e-4, "of both players' Adam", above=0)
    critic_learning_rate: float | None = option(
        None, "of the critic's optimizer (default: learning_rate)", above=0
    )
    weight: float = option(10.0, "of the gradient penalty")


def load(config: Config) -> run.Task:
    if config.dataset == "array":
        if config.stream:
            return run.stream_array(config.data_dir, config.seed, per_channel=True)
        return run.load_array(config.data_dir, per_channel=True)
    if config.stream:
        raise ValueError(f"stream is True: {config.dataset} is computed, not read; leave it out")
    return run.array_task(*samples.series(config.dataset))


def build(config: Config, shape: tuple[int, ...]) -> jwgan.Algorithm:
    critic = conv1d.Conv1DCritic(shape, config.width)
    generator = conv1d.Conv1DGenerator(shape, config.width)
    algorithm = jwgan.wgan_gp(
        run.player(critic, config),
        run.player(generator, config),
        prior=priors.normal(config.latent),
        learning_rate=config.learning_rate,
        critic_learning_rate=config.critic_learning_rate,
        b1=0.5,
        weight=config.weight,
    )
    return jwgan.with_ema(algorithm, config.ema)


EXPERIMENT = run.Experiment(Config, build, __doc__, load=load)

if __name__ == "__main__":
    run.main(EXPERIMENT)
