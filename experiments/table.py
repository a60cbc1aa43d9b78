"""WGAN-GP on tables: numbers and categories side by side, samples as a CSV file.

    python -m experiments.table                             # real patients: diabetes, 442 rows
    python -m experiments.table --dataset csv --data-dir people.csv
    python -m experiments.schema people.csv --out people.json     # what each column is: edit it
    python -m experiments.table --dataset csv --data-dir people.csv --schema people.json
    python -m experiments.sample runs/table-diabetes-1 --num 1000 --out samples.csv

Numbers are scaled to [-1, 1], categories are one-hot; the generator chooses them with Gumbel noise
and a straight-through gradient (`jwgan.models.tabular`). A fifth of the rows is held out. The run
leaves samples.csv, with as many rows as the data. The first command trains about 95 s on 2 CPU
cores. Expected: distances of the columns and of their correlations near those between two sets of
real rows, and no row copied.

Papers: Gulrajani et al., 2017 (WGAN-GP); Jang et al., 2017, and Maddison et al., 2017 (Gumbel).
"""

import dataclasses

import jwgan
from jwgan import priors, run
from jwgan.data import tables
from jwgan.models import mlp, tabular
from jwgan.run import option, samples


@dataclasses.dataclass(frozen=True)
class Config(run.Config):
    dataset: str = option("diabetes", "csv, or of scikit-learn: " + ", ".join(samples.TABLES))
    data_dir: str | None = option(None, "of csv: the file")
    schema: str | None = option(None, "of csv: JSON file of its columns (default: inferred)")
    steps: int = option(4000)
    chunk_steps: int = option(100)
    n_critic: int = option(3)
    width: int = option(128, "units of each hidden layer", group="networks", at_least=1)
    latent: int = option(16, "dimensions of the normal latents", group="networks", at_least=1)
    choice: str = option(
        "gumbel", "of a category: drawn with Gumbel noise, or the largest logit",
        group="networks", choices=("gumbel", "largest"),
    )  # fmt: skip
    ema: float = option(0.999, "decay of the generator's average", at_least=0, below=1)
    learning_rate: float = option(5e-4, "of both players' Adam", above=0)
    critic_learning_rate: float | None = option(
        None, "of the critic's optimizer (default: learning_rate)", above=0
    )
    weight: float = option(10.0, "of the gradient penalty")


def load(config: Config) -> run.Task:
    if config.stream:
        raise ValueError("stream is True: a table is read whole; leave it out")
    if config.dataset == "csv":
        return run.load_table(config.data_dir, config.schema)
    return run.array_task(*samples.table(config.dataset))


def build(config: Config, shape: tuple[int, ...], table: tables.Table) -> jwgan.Algorithm:
    hidden, drawn = (config.width,) * 2, config.choice == "gumbel"
    generator = tabular.TableGenerator(table.blocks, hidden, noise=drawn)
    # The noise of the categories is made of latents of its own.
    extra = sum(table.blocks) if drawn else 0
    algorithm = jwgan.wgan_gp(
        run.player(mlp.MLPCritic(hidden), config),
        run.player(generator, config),
        prior=priors.normal(config.latent + extra),
        learning_rate=config.learning_rate,
        critic_learning_rate=config.critic_learning_rate,
        b1=0.5,
        weight=config.weight,
    )
    return jwgan.with_ema(algorithm, config.ema)


EXPERIMENT = run.Experiment(Config, build, __doc__, load=load, takes_encoding=True)

if __name__ == "__main__":
    run.main(EXPERIMENT)
