"""Options of the experiments: the shared Config, the command line made from it, one-line errors."""

import argparse
import dataclasses
import difflib
import sys
import types
import typing
from collections.abc import Iterable
from typing import Any

# Options that say how long and where to run, not what is computed: they may change on a resume.
FREE = (
    "steps",
    "minutes",
    "run_dir",
    "resume",
    "checkpoint_every",
    "w1_every",
    "keep",
    "on_nonfinite",
    "chunk_steps",
    "quality",
    "json",
    "devices",
    "distributed",
    "coordinator",
    "num_processes",
    "process_id",
)


def option(default: Any, help: str, repeated: bool = False, optional: bool = False) -> Any:
    """A command-line option: a dataclass field with a default and a help text.

    Given several times, a `repeated` one is its words joined by spaces; an `optional` positional
    one may be left out.
    """
    return dataclasses.field(
        default=default, metadata={"help": help, "repeated": repeated, "optional": optional}
    )


def one_of(name: str, value: Any, choices: Iterable[str]) -> Any:
    """`value`, if it is one of `choices`.

    Raises:
      ValueError: naming the choices, and the nearest one.
    """
    choices = list(choices)
    if value in choices:
        return value
    near = difflib.get_close_matches(str(value), choices, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise ValueError(f"{name} is {value!r}: {hint}choose one of {', '.join(choices)}")


@dataclasses.dataclass(frozen=True)
class Config:
    """Options that every experiment has."""

    dataset: str = option("digits", "digits, fashion_mnist, mnist or folder")
    data_dir: str | None = option(None, "where data files are (IDX, TFDS or an image folder)")
    image_size: int | None = option(None, "pad or resize images to this many pixels a side")
    channels: int = option(1, "channels of an image folder, 1 or 3")
    steps: int = option(1000, "generator updates in all, those of a resumed run included")
    minutes: float | None = option(None, "stop after this many minutes, if sooner than --steps")
    batch_size: int = option(64, "samples in a batch")
    n_critic: int = option(5, "critic updates for each generator update")
    seed: int = option(0, "of everything random in the run")
    seeds: int = option(1, "runs with seeds --seed, --seed + 1, ..., all in one program")
    sweep: str = option(
        "", "NAME=A,B,C: a run for each value of a number; again for a grid", repeated=True
    )
    at_once: int = option(
        0, "of these runs so many at a time, in turn, which bounds the memory; 0: all"
    )
    run_dir: str | None = option(None, "where the run is written (default: runs/NAME-DATASET-K)")
    resume: bool = option(False, "go on with the run in --run-dir, or the latest of this name")
    checkpoint_every: int = option(1000, "steps between checkpoints; the last step is always saved")
    w1_every: int = option(
        0,
        "steps between looks at the exact W1 to held-out data, beside the critic's estimate of it; "
        "for images it is W1 between finite samples, by pixels, not the W1 of the laws; 0: never",
    )
    keep: int = option(3, "latest checkpoints that stay; the best one stays too")
    on_nonfinite: str = option("stop", "stop, or restore: back to a checkpoint, with another key")
    stream: bool = option(False, "read images while training, for data larger than the memory")
    chunk_steps: int = option(25, "steps in one compiled program")
    precision: str = option("float32", "of the networks: float32 or bfloat16; penalties in float32")
    devices: int | None = option(
        None, "how many (default: all accelerators, or one CPU; several runs: a CPU core for each)"
    )
    distributed: bool = option(False, "join the processes that Slurm, mpirun, GKE or a TPU started")
    coordinator: str | None = option(None, "HOST:PORT of the first process, without a launcher")
    num_processes: int | None = option(None, "processes in all, without a launcher")
    process_id: int | None = option(None, "0, 1, 2, ... of this process, without a launcher")
    quality: bool = option(True, "measure the samples' quality at the end")
    json: bool = option(False, "print one line of JSON at the end")


@dataclasses.dataclass(frozen=True)
class ImageConfig(Config):
    """Options of the image experiments, which share their networks."""

    steps: int = option(8000, "generator updates in all, those of a resumed run included")
    chunk_steps: int = option(50, "steps in one compiled program")
    network: str = option("auto", "mlp, dcgan, or auto: mlp for images under 16 pixels a side")
    width: int = option(32, "channels of the critic's first convolution; an MLP has 8 times that")
    latent: int = option(16, "dimensions of the normal latents")
    ema: float = option(0.999, "decay of the generator's average; 0: none")


class Parser(argparse.ArgumentParser):
    """argparse with one-line errors and a guess at what was meant."""

    def error(self, message: str) -> typing.NoReturn:
        known = [s for action in self._actions for s in action.option_strings]
        for word in message.split():
            if word.startswith("--") and word not in known:
                near = difflib.get_close_matches(word, known, n=1)
                message += f" (did you mean {near[0]}?)" if near else ""
                break
        fail(f"{message}; see --help")


def fail(message: object, code: int = 2) -> typing.NoReturn:
    """Ends the program with one line on stderr: exit code 2 for bad input, 1 for a failed run."""
    print("error: " + " ".join(str(message).split()), file=sys.stderr)
    raise SystemExit(code)


def value_type(annotation: Any) -> Any:
    """int for `int` and for `int | None`."""
    if isinstance(annotation, types.UnionType):
        return next(t for t in typing.get_args(annotation) if t is not type(None))
    return annotation


def parse(config_type: type, argv: list[str] | None, doc: str, positional: str = "") -> Any:
    """The Config from a command line; every field is an option, or `positional` by position."""
    parser = Parser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    for field in dataclasses.fields(config_type):
        flag, text = "--" + field.name.replace("_", "-"), field.metadata["help"]
        help = f"{text} (default: {field.default})".replace("%", "%%")
        if field.name == positional:
            number = "?" if field.metadata["optional"] else None
            parser.add_argument(field.name, nargs=number, default=field.default, help=text)
        elif field.type is bool:
            parser.add_argument(
                flag, action=argparse.BooleanOptionalAction, default=field.default, help=text
            )
        elif field.metadata["repeated"]:
            parser.add_argument(flag, action="append", help=text)
        else:
            parser.add_argument(flag, type=value_type(field.type), default=field.default, help=help)
    values = vars(parser.parse_args(argv))
    for field in dataclasses.fields(config_type):
        if field.metadata["repeated"]:
            values[field.name] = " ".join(values[field.name] or [field.default]).strip()
    return config_type(**values)


# Counts of which there must be at least one, wherever an experiment has them.
COUNTS = (
    *("steps", "batch_size", "n_critic", "chunk_steps", "checkpoint_every", "keep", "seeds"),
    *("width", "latent", "code", "image_size", "decay_steps"),
)


def check_numbers(config: Any) -> None:
    """Raises ValueError for numbers that no experiment can run with, whatever its options."""
    for field in dataclasses.fields(config):
        name, value = field.name, getattr(config, field.name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if name in COUNTS and value < 1:
            raise ValueError(f"{name} is {value}: give at least 1")
        if name != "seed" and not abs(value) < 2**31:
            raise ValueError(f"{name} is {value}: give a number below 2**31")
        if name.endswith("learning_rate") and not value > 0:
            raise ValueError(f"{name} is {value}: give a rate > 0")
    if not 0 <= getattr(config, "ema", 0.0) < 1:
        raise ValueError(f"ema is {config.ema}: give a decay in [0, 1)")
    if not 0 <= getattr(config, "seed", 0) < 2**32:
        raise ValueError(f"seed is {config.seed}: give a whole number from 0 to 2**32 - 1")


def check(config: Config) -> None:
    """Raises ValueError for options that no experiment can run with."""
    check_numbers(config)
    one_of("precision", config.precision, ("float32", "bfloat16"))
    one_of("on_nonfinite", config.on_nonfinite, ("stop", "restore"))
    if config.w1_every < 0 or config.w1_every % config.chunk_steps:
        raise ValueError(
            f"w1_every is {config.w1_every}: give a multiple of --chunk-steps, which is "
            f"{config.chunk_steps}, or 0"
        )
    if config.minutes is not None and not config.minutes > 0:
        raise ValueError(f"minutes is {config.minutes}: give a time > 0, or leave it out")


def from_description(config_type: type, chosen: Any) -> Any:
    """The Config that config.json holds.

    Raises:
      ValueError: an option is unknown, or of another type.
    """
    fields = {field.name: field.type for field in dataclasses.fields(config_type)}
    if not isinstance(chosen, dict) or not chosen.keys() <= fields.keys():
        raise ValueError(f"its options are not those of {config_type.__module__}")
    for name, value in chosen.items():
        kind = value_type(fields[name])
        if value is None and isinstance(fields[name], types.UnionType):
            continue
        fits = isinstance(value, int | float) if kind is float else isinstance(value, kind)
        if not fits or (isinstance(value, bool) and kind is not bool):
            raise ValueError(f"its {name} is {value!r}")
    return config_type(**chosen)
