"""The runner: an experiment of yours becomes a command with a run directory, resume and sweeps.

An experiment is a file with a docstring, a frozen dataclass of options, and `build`::

    import dataclasses
    import jwgan
    from jwgan import run
    from jwgan.run import option

    @dataclasses.dataclass(frozen=True)
    class Config(run.ImageConfig):
        learning_rate: float = option(1e-3, "of both players' Adam")
        weight: float = option(10.0, "of the gradient penalty")

    def build(config: Config, shape: tuple[int, ...]) -> jwgan.Algorithm:
        critic, generator = run.image_players(shape, config)
        return jwgan.wgan_gp(
            critic, generator, prior=run.prior(jwgan.priors.normal(config.latent), config),
            learning_rate=config.learning_rate, weight=config.weight,
        )

    EXPERIMENT = run.Experiment(Config, build, __doc__)
    if __name__ == "__main__":
        run.main(EXPERIMENT)

Saved as mine.py, in any folder, it is these commands::

    python mine.py                                   # trains on real handwritten digits
    python mine.py --dataset folder --data-dir IMAGES --image-size 32
    python mine.py --run-dir runs/mine               # Ctrl-C, SIGTERM, SIGKILL, a full disk ...
    python mine.py --run-dir runs/mine --resume      # ... ends with the same bits
    python mine.py --run-dir runs/mine --resume auto # starts, goes on or rests, whichever it is
    python mine.py --seeds 8 --sweep weight=1,10     # 16 trials in one program
    python mine.py sample runs/mine --num 100 --out grid.png
    python mine.py measure runs/mine                 # needs jwgan[transport]
    python mine.py sample runs/mine --num 100 --out pictures     # single ones, in a new folder
    python mine.py export runs/mine --out generator.bin          # --onnx FILE for other runtimes

**What a run leaves behind**: config.json, metrics.jsonl, TensorBoard's files, samples/, real.png,
checkpoints/, starts.json (how long each start took), result.json and report.html, one
self-contained page (`jwgan.report`). metrics.jsonl has a row a step; beyond 100,000 steps a row
stands for several, with their mean, least and largest value (`--log-every`). A sweep ends with a
table of its trials, best first, on the terminal, on the page and in result.json.

**Exact resume.** Parameters, model state, optimizers, averages, key, step, data position, best
checkpoint and alarm sums are in every checkpoint; every byte is checked before it is used, and a
damaged checkpoint is passed over aloud. `state_sha256` in the result says whether two runs are
equal. Killed at any moment, also in the middle of a save, the newest whole checkpoint restores (the
state is saved every `--checkpoint-seconds`, too), and metrics.jsonl has no torn or repeated line.
Ctrl-C and SIGTERM end the chunk, save, write the report and exit with 128 + n. A resume knows the
run's options: give only what changes. What would make it another run (a rate, the data) is refused
unless `--allow learning_rate` says that it is meant; the change stands in config.json and on the
page. While a process runs in a directory, others are kept out of it (where the file system has
locks).

**Rates, batches, few data.** `--critic-learning-rate`, `--decay linear` or `cosine`: the rates of
both players fall to 0 at the last step. `--accumulate 4`: a batch passes through the networks in 4
parts. `--augment diff` or `ada`, `--mirror`: for a few thousand images or fewer. `--init-from RUN`:
both networks begin as those of a trained run; the start lists what was taken over.

**Not finite.** A run stops at the chunk in which a metric became NaN or infinite, names the metric
and the step, and leaves the state just before it in nonfinite/. `--on-nonfinite restore` goes back
to the last checkpoint instead and on with another key.

**Faulty memory.** `--verify-every N` computes one chunk of steps in N twice and compares the bits
of the states. When they differ, both are kept in verify/ and the run stops before it saves anything
of them; `--resume` goes on from the last checkpoint. It takes about 1/N of the time.

**Same command, same bits** on one machine, one version of jax and one number of devices. Other
numbers of devices or processes add in another order: parameters differ by at most 1e-5 after 100
steps. Other machines, jax versions or XLA flags may differ more.

**Your pictures.** PNG, JPEG, WebP, TIFF and other formats, in a folder or in a data set of TFDS.
Size and colour are the pictures' own unless --image-size or --channels say otherwise; the start
says what was found: the shape, files passed over, classes (the folders that hold the pictures).
`jwgan.data.pictures` has the rule. To remove a damaged picture and go on is `--resume --allow
data`. Pictures need not be square; DCGAN's networks (5 to 512 pixels a side) double their channels
up to eight times, `--network resnet` takes sides that can be halved down to 4 to 7.

**Classes.** `--conditional projection` (or auxiliary, concat) trains on the labels of the data:
those of the data set, the folders that hold the pictures, or `--labels FILE.csv` of file,label. A
row of a run's picture is then a class, `sample --label 7` (or a class's name) draws one class, and
the result says how many samples are of the class asked for (`asked_for_share`) and how far samples
are from data within each class. `jwgan.run.players` says how the networks read labels.

**Your arrays, tables and series.** `--dataset array --data-dir x.npy` takes samples [N, *D]: bytes
are pixels, other numbers beyond [-1, 1] are scaled, and `sample --out x.npy` scales them back. Rows
of a CSV file and series [T, C] have networks of their own, see `experiments.table` and
`experiments.series`. An experiment of yours loads them by `load_table` and `load_array`, or by
`stream_array` while it trains: an .npy file may be larger than the memory. With
`Experiment(..., takes_encoding=True)` its `build(config, shape, table)` knows the columns, as
`jwgan.models.tabular.TableGenerator(table.blocks)` needs it.

**Known data sets.** `jwgan convert cifar10` downloads the original archive, compares its checksum
and writes it where `--dataset tfds/cifar10` finds it, without TensorFlow.

**Larger data.** `--stream` reads images while training (Grain); every process reads its own part of
every batch, the order is a function of `--seed` and the step. The images are the same ones.

**Many devices, many hosts.** One program, divided by the compiler over the batch; on GPU and TPU
all devices of the machine are used (`--devices N` for fewer). Several hosts share one --run-dir::

    srun python mine.py --distributed --resume auto --run-dir /shared/run   # Slurm; may be requeued
    python mine.py --run-dir run --coordinator HOST:1234 --num-processes 2 --process-id 0

When a process is lost the others stop with a message within a minute; `--resume` goes on, also with
another number of processes.

**Packages.** `pip install 'jwgan[run]'` brings what a run needs; exact distances (`--w1-every`,
`measure`, the 2-D worlds) need `jwgan[transport]` too, TFDS folders and `--stream` `jwgan[data]`,
`--tracker wandb` and `mlflow` `jwgan[trackers]`, `export --onnx` `jwgan[onnx]` (`run.export`). A
command that misses a package says which one, before it writes anything.

Data of your own that no file format here fits: give `Experiment(..., load=load)`, where
`load(config)` returns a `Task`, for images `run.image_task(data.Dataset(...))`. Members
of the family need no file at all: `python -m jwgan.run wgan_gp --help`.

**In the examples** of this room's functions `mine` is a small experiment, on eight images of 2 x 2
pixels, `dots`; `finished` is the directory of its run of two steps, which `find` knows how to read,
`member` its algorithm and `state` what was trained.

>>> import pathlib, tempfile
>>> def build(config, shape):
...     critic = jwgan.from_fn(lambda key, x: jnp.ones(4), lambda w, x: x.reshape(-1, 4) @ w)
...     images = lambda w, z: (z @ w).reshape(-1, *shape)
...     generator = jwgan.from_fn(lambda key, z: jnp.eye(4), images)
...     return jwgan.wgan(critic, generator, prior=jwgan.priors.normal(4))
>>> images = np.linspace(-1, 1, 32, dtype=np.float32).reshape(8, 2, 2, 1)
>>> dots = run.image_task(data.Dataset("dots", images))
>>> load = lambda config: dots
>>> mine = run.Experiment(run.Config, build, "Dots.", load, "mine", "python mine.py")
>>> finished = pathlib.Path(tempfile.mkdtemp())
>>> argv = ["--steps", "2", "--batch-size", "4", "--no-quality", "--run-dir", str(finished)]
>>> run.main(mine, argv)  # what it says on the way goes to stderr
>>> sorted(path.name for path in finished.iterdir() if path.suffix == ".json")
['config.json', 'result.json', 'starts.json']
>>> from jwgan.run import reading
>>> find = reading.only(mine)
>>> _, member, state = reading.read_run(finished, find)
"""

from jwgan.run.experiment import Experiment
from jwgan.run.launch import main
from jwgan.run.options import Config, ImageConfig, LabelledConfig, option, require_choice
from jwgan.run.players import (
    batch_norm_players,
    critic,
    energy,
    generator,
    image_players,
    player,
    prior,
    require_no_norm,
    shallow_players,
)
from jwgan.run.tasks import (
    Task,
    array_task,
    image_task,
    load_array,
    load_table,
    load_world,
    stream_array,
    with_labels,
)

__all__ = [
    "Config",
    "Experiment",
    "ImageConfig",
    "LabelledConfig",
    "Task",
    "array_task",
    "batch_norm_players",
    "critic",
    "energy",
    "generator",
    "image_players",
    "image_task",
    "load_array",
    "load_table",
    "load_world",
    "main",
    "option",
    "player",
    "prior",
    "require_choice",
    "require_no_norm",
    "shallow_players",
    "stream_array",
    "with_labels",
]
