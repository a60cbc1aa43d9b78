"""Options of the experiments: the shared Config, the command line made from it, one-line errors.

The examples use the options of one experiment:

    >>> import contextlib, dataclasses, sys
    >>> @dataclasses.dataclass(frozen=True)
    ... class Mine:
    ...     weight: float = options.option(10.0, "of the penalty", at_least=0)
    ...     kind: str = options.option("plain", "of step", choices=("plain", "fancy"))
    ...     minutes: float | None = options.option(None, "at most", above=0, may_change=True)
"""

import argparse
import dataclasses
import difflib
import math
import pathlib
import sys
import types
import typing
from collections.abc import Iterable
from typing import Any, NamedTuple

from jwgan.run import output

# Groups of --help, in this order; an experiment's own options come first.
OWN = "this experiment"
GROUPS = (OWN, "networks", "training", "data", "several runs", "run directory", "devices")


class Described(NamedTuple):
    """What an option knows of itself; None where a subclass leaves it to the class it extends."""

    help: str | None = None
    group: str | None = None
    at_least: float | None = None
    above: float | None = None  # exclusive
    below: float | None = None  # exclusive
    may_change: bool | None = None  # on a resume: how long and where, not what is computed
    choices: tuple[str, ...] | None = None  # "no" and "yes" among them: a switch with more to say
    repeated: bool | None = None  # given several times, its words are joined by spaces
    optional: bool | None = None  # a positional one that may be left out


def option(
    default: Any,
    help: str | None = None,
    *,
    group: str | None = None,
    at_least: float | None = None,
    above: float | None = None,
    below: float | None = None,
    may_change: bool | None = None,
    choices: tuple[str, ...] | None = None,
    repeated: bool | None = None,
    optional: bool | None = None,
) -> Any:
    """A command-line option: a dataclass field with a default and what it knows of itself.

    A subclass that declares the option again, with another default, keeps whatever it does not say.

    Args:
      default: the value without the option; its type is the field's annotation.
      help: one line for --help.
      group: the heading of --help under which it stands; "this experiment" unless given.
      at_least: the smallest value allowed.
      above: the value must be greater.
      below: the value must be smaller.
      may_change: whether a resumed run may have another value; False unless given.
      choices: the words allowed; with "no" and "yes" among them the option is a switch, "yes" when
        it is given without a word, and --no-NAME is "no".
      repeated: whether it may be given several times, its words being joined by spaces.
      optional: whether it may be left out although it is given by position.

    >>> Mine().weight, options.described(Mine)["weight"].help
    (10.0, 'of the penalty')
    """
    known = Described(help, group, at_least, above, below, may_change, choices, repeated, optional)
    return dataclasses.field(default=default, metadata={"described": known})


def described(config_type: type) -> dict[str, Described]:
    """{option: what it knows of itself}, with what the extended classes say of it.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Heavier(Mine):
    ...     weight: float = options.option(100.0)
    >>> found = options.described(Heavier)["weight"]
    >>> Heavier().weight, found.help, found.at_least
    (100.0, 'of the penalty', 0)
    """
    found: dict[str, Described] = {}
    # The classes come from the base up, so that the subclass has the last word.
    for cls in reversed(config_type.__mro__):
        for field in vars(cls).get("__dataclass_fields__", {}).values():
            # __dataclass_fields__ has the inherited ones as well: only what this class declares is
            # its own word.
            if field.name in vars(cls).get("__annotations__", {}):
                own = field.metadata.get("described", Described())
                said = {k: v for k, v in own._asdict().items() if v is not None}
                found[field.name] = found.get(field.name, Described())._replace(**said)
    return found


def may_change(config_type: type) -> set[str]:
    """Options that a resumed run may have other values of.

    >>> options.may_change(Mine)
    {'minutes'}
    """
    return {name for name, known in described(config_type).items() if known.may_change}


def require_choice(name: str, value: Any, choices: Iterable[str]) -> Any:
    """`value`, if it is one of `choices`.

    Raises:
      ValueError: naming the choices, and the nearest one.

    >>> options.require_choice("network", "dcgan", ("mlp", "dcgan"))
    'dcgan'
    >>> options.require_choice("network", "dcgn", ("mlp", "dcgan"))
    Traceback (most recent call last):
    ValueError: network is 'dcgn': did you mean dcgan? choose one of mlp, dcgan
    """
    choices = list(choices)
    if value in choices:
        return value
    near = difflib.get_close_matches(str(value), choices, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise ValueError(f"{name} is {value!r}: {hint}choose one of {', '.join(choices)}")


@dataclasses.dataclass(frozen=True)
class Config:
    """Options that every experiment has.

    >>> config = run.Config(steps=500)
    >>> config.steps, config.batch_size, config.dataset
    (500, 64, 'digits')
    """

    # fmt: off
    dataset: str = option(
        "digits", "digits, fashion_mnist, mnist, emoji, folder, array or tfds/NAME", group="data")
    data_dir: str | None = option(
        None, "where data files are (IDX, TFDS or an image folder; of array the .npy or .npz file)",
        group="data", may_change=True)
    image_size: int | None = option(
        None, "make images squares of so many pixels a side (default: as they are; pictures of "
        "several sizes: the most common shorter side)", group="data", at_least=1)
    channels: int | None = option(
        None, "1 for grey, 3 for colour (default: as the images are)", group="data")
    follow_links: bool = option(
        False, "read what links in an image folder lead to outside of it", group="data",
        may_change=True)
    labels: str = option(
        "", "CSV file of file,label for the pictures of an image folder, in place of class folders",
        group="data", may_change=True)
    stream: bool = option(
        False, "read images while training, for data larger than the memory", group="data")

    steps: int = option(
        1000, "generator updates in all, those of a resumed run included",
        group="training", at_least=1, may_change=True)
    minutes: float | None = option(
        None, "stop after this many minutes, if sooner than --steps",
        group="training", above=0, may_change=True)
    batch_size: int = option(64, "samples in a batch", group="training", at_least=1)
    n_critic: int = option(
        5, "critic updates for each generator update", group="training", at_least=1)
    paper: bool = option(
        False, "the settings of the member's paper in place of this project's; what is given "
        "beside it stays", group="training")
    seed: int = option(
        0, "of everything random in the run", group="training", at_least=0, below=2**32)
    chunk_steps: int = option(
        25, "steps in one compiled program", group="training", at_least=1, may_change=True)
    precision: str = option(
        "float32", "of the networks: float32 or bfloat16; penalties in float32", group="training",
        choices=("float32", "bfloat16"))
    accumulate: int = option(
        1, "parts in which a batch passes through the networks, one after the other: for batches "
        "that do not fit the memory; updates stay those of the whole batch", group="training",
        at_least=1)
    augment: str = option(
        "none", "what the critic sees of images, real and made: diff transforms all of them "
        "(DiffAugment), ada as many as its overfitting asks for; for a few thousand images or "
        "fewer", group="training", choices=("none", "diff", "ada"))
    mirror: bool = option(
        False, "mirror real images at random, left to right: samples are mirrored, too",
        group="training")
    decay: str = option(
        "none", "how the learning rates fall to 0 over the run: none, linear or cosine",
        group="training", choices=("none", "linear", "cosine"))
    decay_steps: int | None = option(
        None, "generator updates after which the rates of --decay are 0 (default: --steps)",
        group="training", at_least=1)
    on_nonfinite: str = option(
        "stop", "stop, or restore: back to a checkpoint, with another key",
        group="training", may_change=True, choices=("stop", "restore"))

    seeds: int = option(
        1, "runs with seeds --seed, --seed + 1, ..., all in one program",
        group="several runs", at_least=1)
    sweep: str = option(
        "", "NAME=A,B,C: a run for each value of a number; again for a grid",
        group="several runs", repeated=True)
    at_once: int = option(
        0, "of these runs so many at a time, in turn, which bounds the memory; 0: all",
        group="several runs", at_least=0)

    run_dir: str | None = option(
        None, "where the run is written (default: runs/NAME-DATASET-K)",
        group="run directory", may_change=True)
    init_from: str | None = option(
        None, "directory of a trained run whose networks a new run begins with, on these data; of "
        "each player one layer may have another size", group="run directory")
    resume: str = option(
        "no", "go on with the run in --run-dir, or the latest of this name; its options are known, "
        "give only what changes; --resume auto: start if there is none yet",
        group="run directory", may_change=True, choices=("no", "yes", "auto"))
    allow: str = option(
        "", "an option that a resumed run may change on purpose, or data; again for more",
        group="run directory", may_change=True, repeated=True)
    checkpoint_every: int = option(
        1000, "steps between checkpoints; the last step is always saved",
        group="run directory", at_least=1, may_change=True)
    checkpoint_seconds: float = option(
        60.0, "seconds after which the state is saved between those checkpoints, for a run that "
        "may be killed; such a save makes way for the next checkpoint; 0: never",
        group="run directory", at_least=0, may_change=True)
    keep: int = option(
        3, "latest checkpoints that stay; the best one stays too",
        group="run directory", at_least=1, may_change=True)
    log_every: int = option(
        0, "steps that a row of metrics.jsonl stands for, by their mean, least and largest value; "
        "0: one, after 100,000 steps (of all trials) two, after twice as many four, and so on",
        group="run directory", at_least=0, may_change=True)
    tracker: str = option(
        "tensorboard", "what is shown metrics and pictures while the run trains: tensorboard, "
        "wandb (Weights & Biases; WANDB_MODE=offline keeps it here), mlflow, or none; again for "
        "more", group="run directory", may_change=True, repeated=True)
    w1_every: int = option(
        0, "steps between evaluations of the exact W1 to held-out data, beside the critic's "
        "estimate of it; for images it is W1 between finite samples, by pixels, not the W1 of the "
        "laws; 0: never", group="run directory", at_least=0, may_change=True)
    verify_every: int = option(
        0, "of so many chunks of steps one is computed twice and compared bit by bit, which finds "
        "faulty memory and cores; with N it takes 1 / N of the time; 0: never",
        group="run directory", at_least=0, may_change=True)
    quality: bool = option(
        True, "measure the samples' quality at the end", group="run directory", may_change=True)
    json: bool = option(
        False, "print one line of JSON at the end", group="run directory", may_change=True)

    devices: int | None = option(
        None, "how many (default: all accelerators, or one CPU; several runs: a CPU core for each)",
        group="devices", may_change=True)
    deterministic: bool = option(
        False, "have a GPU take only operations that give the same bits each time, and choose none "
        "by timing; slower (a CPU does so anyway)", group="devices")
    join: str = option(
        "auto", "call the critic once for real and generated samples, where it treats each alone, "
        "and the generator once for all critic updates of a step: the same up to rounding; auto: "
        "on a GPU", group="devices", choices=("auto", "no", "yes"))
    gpu_flags: str = option(
        "", "have XLA try graphs (CUDA graphs of convolutions and loops too), conv_fusion or nchw "
        "on a GPU; not timed yet; again for more", group="devices", repeated=True, may_change=True)
    distributed: bool = option(
        False, "join the processes that Slurm, mpirun, GKE or a TPU started",
        group="devices", may_change=True)
    coordinator: str | None = option(
        None, "HOST:PORT of the first process, without a launcher",
        group="devices", may_change=True)
    num_processes: int | None = option(
        None, "processes in all, without a launcher", group="devices", may_change=True)
    process_id: int | None = option(
        None, "0, 1, 2, ... of this process, without a launcher", group="devices", may_change=True)
    # fmt: on


@dataclasses.dataclass(frozen=True)
class LabelledConfig(Config):
    """Options of experiments whose networks can read the labels of the data.

    >>> run.LabelledConfig(conditional="projection").classes  # 0: as many as the data have
    0
    """

    # fmt: off
    conditional: str = option(
        "none", "train on the labels too: projection or auxiliary at the critic's end, concat: the "
        "label beside its input", group="networks",
        choices=("none", "projection", "concat", "auxiliary"))
    classes: int = option(
        0, "with --conditional: how many classes; 0: as many as the data have",
        group="networks", at_least=0)
    # fmt: on


@dataclasses.dataclass(frozen=True)
class ImageConfig(LabelledConfig):
    """Options of the image experiments, which share their networks.

    >>> run.Config().steps, run.ImageConfig().steps, run.ImageConfig().width
    (1000, 8000, 32)
    """

    # fmt: off
    steps: int = option(8000)
    chunk_steps: int = option(50)
    network: str = option(
        "auto", "mlp, dcgan, resnet, or auto: mlp for images under 16 pixels a side, else dcgan",
        group="networks")
    width: int = option(
        32, "channels of the critic's first convolution (of all of a ResNet's); an MLP has 8 times "
        "that",
        group="networks", at_least=1)
    latent: int = option(16, "dimensions of the normal latents", group="networks", at_least=1)
    critic_norm: str = option(
        "none", "normalisation of the critic's hidden layers; batch and a gradient penalty do not "
        "go together", group="networks", choices=("none", "layer", "batch"))
    generator_norm: str = option(
        "none", "normalisation of the generator's hidden layers (a ResNet has batch)",
        group="networks", choices=("none", "layer", "batch"))
    ema: float = option(
        0.999, "decay of the generator's average; 0: none", group="networks", at_least=0, below=1)
    # fmt: on


class Parser(argparse.ArgumentParser):
    """argparse with one-line errors and a guess at what was meant.

    >>> parser = options.Parser(prog="mine")
    >>> parser.add_argument("--width", type=int).dest
    'width'
    >>> with contextlib.redirect_stderr(sys.stdout), contextlib.suppress(SystemExit):
    ...     parser.parse_args(["--widht", "3"])
    error: unrecognized arguments: --widht 3 (did you mean --width?); see --help
    """

    def _print_message(self, message: str, file: typing.Any = None) -> None:
        """Prints --help, of which `| head` reads ten lines."""
        if file in (None, sys.stdout):
            output.show(message.rstrip("\n"))
        else:
            super()._print_message(message, file)

    def error(self, message: str) -> typing.NoReturn:
        """Ends the program with one line that names the nearest option."""
        known = [s for action in self._actions for s in action.option_strings]
        # argparse names the unknown option in its message only.
        for word in message.split():
            word = word.rstrip(":,")
            if word.startswith("--") and word not in known:
                near = difflib.get_close_matches(word, known, n=1)
                message += f" (did you mean {near[0]}?)" if near else ""
                break
        fail(f"{message}; see --help")


def fail(message: object, code: int = 2) -> typing.NoReturn:
    """Ends the program with one line on stderr: exit code 2 for bad input, 1 for a failed run.

    Raises:
      SystemExit: always.

    >>> with contextlib.redirect_stderr(sys.stdout), contextlib.suppress(SystemExit):
    ...     options.fail("num is 0: give num >= 1")
    error: num is 0: give num >= 1
    """
    # An exception's text may have many lines; scripts read the last line of stderr.
    print("error: " + " ".join(str(message).split()), file=sys.stderr)
    raise SystemExit(code)


def value_type(annotation: Any) -> Any:
    """int for `int`, `int | None` and `Optional[int]`.

    >>> options.value_type(int | None), options.value_type(float)
    (<class 'int'>, <class 'float'>)
    """
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return next(t for t in typing.get_args(annotation) if t is not type(None))
    return annotation


def types_of(config_type: type) -> dict[str, Any]:
    """{option: annotation}, also where the file has `from __future__ import annotations`.

    Raises:
      ValueError: an option's type is none that a command line can give.

    >>> options.types_of(Mine)
    {'weight': <class 'float'>, 'kind': <class 'str'>, 'minutes': float | None}
    """
    hints = typing.get_type_hints(config_type)
    found = {field.name: hints[field.name] for field in dataclasses.fields(config_type)}
    for name, annotation in found.items():
        if value_type(annotation) not in (bool, int, float, str):
            raise ValueError(
                f"{name} has the type {annotation}: give bool, int, float or str, or one of them "
                "| None"
            )
    return found


def program_name(argv: list[str] | None, word: str = "") -> str:
    """How --help calls a command: as it was started, with its word if it is one of several.

    >>> from unittest import mock
    >>> started = mock.patch("sys.argv", ["/home/me/mine.py", "sample", "runs/mine"])
    >>> with started, mock.patch.dict(sys.modules, __main__=None):  # by `python mine.py sample ...`
    ...     options.program_name(["runs/mine"], "sample")
    'mine.py sample'
    """
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    name = pathlib.Path(sys.argv[0]).name
    if spec is not None:
        name = f"python -m {spec.name.removesuffix('.__main__')}"
    # A command that was given its argv stands behind a word: `jwgan sample`.
    return f"{name} {word}" if word and argv is not None else name


def _add(parser: Any, field: Any, kind: Any, known: Described, positional: bool) -> None:
    """Adds an option of type `kind` to a parser, or to a group of one."""
    # argparse formats help texts with %: a single one in them would raise.
    flag, text = "--" + field.name.replace("_", "-"), (known.help or "").replace("%", "%%")
    shown = f"{text} (default: {str(field.default).replace('%', '%%')})"
    unset = argparse.SUPPRESS  # so that what was given can be told from what was not
    if positional:
        number = "?" if known.optional else None
        parser.add_argument(field.name, nargs=number, default=unset, help=text)
    elif kind is bool:
        yes_no = argparse.BooleanOptionalAction
        parser.add_argument(flag, action=yes_no, default=unset, help=text)
    elif known.choices:
        words = [word for word in known.choices if word not in ("no", "yes")]
        # --resume alone is "yes"; --resume auto is the word.
        both: Any = {"nargs": "?", "const": "yes"} if len(words) < len(known.choices) else {}
        parser.add_argument(flag, **both, default=unset, help=shown, metavar="|".join(words))
        if both:
            no = {"action": "store_const", "const": "no", "dest": field.name, "default": unset}
            parser.add_argument("--no-" + flag[2:], **no, help=argparse.SUPPRESS)
    elif known.repeated:
        parser.add_argument(flag, action="append", default=unset, help=text)
    else:
        parser.add_argument(flag, type=value_type(kind), default=unset, help=shown)


def parse(
    config_type: type,
    argv: list[str] | None,
    doc: str,
    positional: str = "",
    program: str | None = None,
) -> Any:
    """The Config from a command line; every field is an option, or `positional` by position.

    Raises:
      SystemExit: bad input; its code is 2, after one line on stderr.

    >>> options.parse(Mine, ["--weight", "1"], "What it does.")
    Mine(weight=1.0, kind='plain', minutes=None)
    """
    return config_type(**given(config_type, argv, doc, positional, program))


def given(
    config_type: type,
    argv: list[str] | None,
    doc: str,
    positional: str = "",
    program: str | None = None,
) -> dict[str, Any]:
    """{option: value} of those that a command line names; `program` is what --help calls it.

    Raises:
      SystemExit: bad input; its code is 2, after one line on stderr.

    >>> options.given(Mine, ["--weight", "10", "--kind", "fancy"], "What it does.")
    {'weight': 10.0, 'kind': 'fancy'}
    """
    parser = Parser(
        prog=program or program_name(argv),
        # argparse's own usage lists all options, which hides a short error below it.
        usage=f"%(prog)s {positional.upper()} [--option VALUE ...]".replace("  ", " "),
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        # An abbreviation that is clear today may mean another option in the next version.
        allow_abbrev=False,
    )
    try:
        kinds = types_of(config_type)
    except ValueError as error:
        fail(error)
    known, fields = described(config_type), dataclasses.fields(config_type)
    group_of = lambda field: known[field.name].group or OWN
    # An experiment may have headings of its own.
    extra = [g for g in dict.fromkeys(map(group_of, fields)) if g not in GROUPS]
    several = len(set(map(group_of, fields))) > 1
    for group in (*GROUPS, *extra):
        mine = [field for field in fields if group_of(field) == group]
        # A single heading says nothing: then the options stand without one.
        into: Any = parser.add_argument_group(group) if several and mine else parser
        for field in mine:
            name = field.name
            _add(into, field, kinds[name], known[name], name == positional)
    # Defaults are suppressed, so these were given: a resume must tell the two apart.
    values: dict[str, Any] = vars(parser.parse_args(argv))
    for name in values:
        if known[name].repeated:
            values[name] = " ".join(values[name]).strip()
    return values


def _wanted(name: str, value: float, known: Described) -> str:
    """What an option takes that was given a number beyond all bounds, infinity or NaN."""
    if isinstance(value, int):
        return "a number below 2**31"
    if name == "minutes":
        return "a time in minutes, such as 90"
    if name.endswith("learning_rate"):
        return "a rate, such as 1e-4"
    if math.isnan(value) and known.above is not None:
        return f"a number > {known.above}"
    return "a number below 2**31"


def check_numbers(config: Any) -> None:
    """Raises ValueError for a number out of the bounds that its option states.

    Whatever an option states, its number is finite and below 2**31: counts become int32.

    >>> options.check_numbers(Mine(weight=-1.0))
    Traceback (most recent call last):
    ValueError: weight is -1.0: give at least 0
    """
    for name, known in described(type(config)).items():
        value = getattr(config, name)
        if known.choices:
            require_choice(name, value, known.choices)
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if known.at_least is not None and known.below is not None:
            if not known.at_least <= value < known.below:
                bounds = f"[{known.at_least}, {known.below})"
                raise ValueError(f"{name} is {value}: give a number in {bounds}")
        elif math.isnan(value):
            raise ValueError(f"{name} is {value}: give {_wanted(name, value, known)}")
        elif known.at_least is not None and value < known.at_least:
            raise ValueError(f"{name} is {value}: give at least {known.at_least}")
        if known.above is not None and value <= known.above:
            raise ValueError(f"{name} is {value}: give a number > {known.above}")
        if known.below is None and not abs(value) < 2**31:
            raise ValueError(f"{name} is {value}: give {_wanted(name, value, known)}")


def check(config: Config) -> None:
    """Raises ValueError for options that no experiment can run with.

    >>> options.check(run.Config(w1_every=100, chunk_steps=25))
    >>> options.check(run.Config(w1_every=110, chunk_steps=25))
    Traceback (most recent call last):
    ValueError: w1_every is 110: give a multiple of --chunk-steps, which is 25, or 0
    """
    check_numbers(config)
    if config.w1_every % config.chunk_steps:
        raise ValueError(
            f"w1_every is {config.w1_every}: give a multiple of --chunk-steps, which is "
            f"{config.chunk_steps}, or 0"
        )


def from_description(config_type: type, chosen: Any) -> Any:
    """The Config that config.json holds.

    Raises:
      ValueError: an option is unknown, or of another type.

    >>> options.from_description(Mine, {"weight": 1, "kind": "fancy"})
    Mine(weight=1, kind='fancy', minutes=None)
    >>> options.from_description(Mine, {"weight": "1"})
    Traceback (most recent call last):
    ValueError: its weight is '1'
    """
    fields = types_of(config_type)
    if not isinstance(chosen, dict) or not chosen.keys() <= fields.keys():
        raise ValueError(f"its options are not those of {config_type.__module__}")
    if isinstance(chosen.get("resume"), bool):  # as it was until 0.1.0
        chosen = {**chosen, "resume": "yes" if chosen["resume"] else "no"}
    for name, value in chosen.items():
        kind = value_type(fields[name])
        # `int | None` and its like may be null in the file.
        if value is None and kind is not fields[name]:  # the type of one that may be None
            continue
        # 10 is a value of a float option, too; and True is an int to isinstance.
        fits = isinstance(value, int | float) if kind is float else isinstance(value, kind)
        if not fits or (isinstance(value, bool) and kind is not bool):
            raise ValueError(f"its {name} is {value!r}")
    return config_type(**chosen)
