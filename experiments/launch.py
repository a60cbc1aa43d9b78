"""The shared part of every experiment: the command line, the run directory, the run itself.

An experiment is a module with a docstring, a frozen dataclass `Config(launch.Config)` and
`build(config, shape) -> jwgan.Algorithm`; its last line is `launch.main(Config, build, __doc__)`.
Nothing here imports jax before the command line is parsed, so `--help` answers at once.
"""

import argparse
import contextlib
import dataclasses
import difflib
import json
import os
import pathlib
import signal
import sys
import time
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

START = time.perf_counter()

# Options that say how long and where to run, not what is computed: they may change on a resume.
FREE = (
    "steps",
    "minutes",
    "run_dir",
    "resume",
    "checkpoint_every",
    "chunk_steps",
    "quality",
    "json",
)


def option(default: Any, help: str) -> Any:
    """A command-line option: a dataclass field with a default and a help text."""
    return dataclasses.field(default=default, metadata={"help": help})


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
    run_dir: str | None = option(None, "where the run is written (default: runs/NAME-DATASET-K)")
    resume: bool = option(False, "go on with the run in --run-dir, or the latest of this name")
    checkpoint_every: int = option(1000, "steps between checkpoints; the last step is always saved")
    chunk_steps: int = option(25, "steps in one compiled program")
    quality: bool = option(True, "measure the samples' quality at the end")
    json: bool = option(False, "print one line of JSON at the end")


# --- command line ---------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """argparse with one-line errors and a guess at what was meant."""

    def error(self, message: str) -> typing.NoReturn:
        known = [s for action in self._actions for s in action.option_strings]
        for word in message.split():
            if word.startswith("--") and word not in known:
                near = difflib.get_close_matches(word, known, n=1)
                message += f" (did you mean {near[0]}?)" if near else ""
                break
        fail(f"{message}; see --help")


def fail(message: str) -> typing.NoReturn:
    """Ends the program on bad input: one line on stderr, exit code 2."""
    print("error: " + " ".join(str(message).split()), file=sys.stderr)
    raise SystemExit(2)


def _value_type(annotation: Any) -> Any:
    """int for `int` and for `int | None`."""
    if isinstance(annotation, types.UnionType):
        return next(t for t in typing.get_args(annotation) if t is not type(None))
    return annotation


def parse(config_type: type, argv: list[str] | None, doc: str, positional: str = "") -> Any:
    """The Config from a command line; every field is an option, or `positional` by position."""
    parser = _Parser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    for field in dataclasses.fields(config_type):
        flag, text = "--" + field.name.replace("_", "-"), field.metadata["help"]
        help = f"{text} (default: {field.default})".replace("%", "%%")
        if field.name == positional:
            parser.add_argument(field.name, help=text)
        elif field.type is bool:
            parser.add_argument(
                flag, action=argparse.BooleanOptionalAction, default=field.default, help=text
            )
        else:
            parser.add_argument(
                flag, type=_value_type(field.type), default=field.default, help=help
            )
    return config_type(**vars(parser.parse_args(argv)))


def check(config: Config) -> None:
    """Raises ValueError for options that no experiment can run with."""
    for name in ("steps", "batch_size", "n_critic", "chunk_steps", "checkpoint_every"):
        if getattr(config, name) < 1:
            raise ValueError(f"{name} is {getattr(config, name)}: give at least 1")
    if config.minutes is not None and not config.minutes > 0:
        raise ValueError(f"minutes is {config.minutes}: give a time > 0, or leave it out")
    if not 0 <= config.seed < 2**32:
        raise ValueError(f"seed is {config.seed}: give a whole number from 0 to 2**32 - 1")


# --- run directory --------------------------------------------------------------------------------


def _numbered(root: pathlib.Path, stem: str) -> list[int]:
    """The K of every directory root/stem-K."""
    names = [p.name[len(stem) + 1 :] for p in root.glob(f"{stem}-*") if p.is_dir()]
    return sorted(int(name) for name in names if name.isdigit())


def choose_folder(config: Config, name: str) -> pathlib.Path:
    """The run's directory: --run-dir, or the next free (on --resume: the latest) numbered one.

    Raises:
      ValueError: if it holds a run already and --resume is not given, or the other way round.
    """
    stem, root = f"{name}-{config.dataset}", pathlib.Path("runs")
    if config.run_dir:
        folder = pathlib.Path(config.run_dir)
    else:
        last = max(_numbered(root, stem), default=0)
        folder = root / f"{stem}-{last if config.resume else last + 1}"
    exists = (folder / "config.json").exists()
    if config.resume and not exists:
        raise ValueError(f"run_dir is {folder}: no run to resume there; give --run-dir of one")
    if not config.resume and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(
            f"run_dir is {folder}: something is there already; add --resume to go on with a run, "
            "or give another --run-dir"
        )
    return folder


def describe(config: Config, name: str, doc: str, task: Any) -> dict[str, Any]:
    """What config.json holds: all that is needed to repeat the run."""
    from jwgan import report

    return {
        "experiment": name,
        "title": doc.strip().splitlines()[0],
        "command": " ".join(["python -m", f"experiments.{name}", *sys.argv[1:]]),
        "config": dataclasses.asdict(config),
        "data": {"name": task.name, "shape": list(task.shape), "sha256": task.checksum},
        "environment": report.environment(),
    }


def compare(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Raises ValueError naming every difference that makes a resume another run."""
    different = []
    for part in ("config", "data"):
        for key, value in new[part].items():
            before = old.get(part, {}).get(key)
            if before != value and not (part == "config" and key in FREE):
                different.append(f"{key} was {before!r} and is {value!r}")
    if old.get("experiment") != new["experiment"]:
        different.append(f"experiment was {old.get('experiment')!r}, is {new['experiment']!r}")
    if different:
        raise ValueError(
            f"--resume with another configuration: {'; '.join(different)}; repeat the run's own "
            "options, or start a new run"
        )


# --- the run --------------------------------------------------------------------------------------


class Run(NamedTuple):
    """A run ready to train."""

    config: Any
    folder: pathlib.Path
    task: Any
    algorithm: Any
    source: Any
    state: Any
    step: int


def load_images(config: Config) -> Any:
    """The image task that the options name."""
    from experiments import tasks

    return tasks.load_images(config.dataset, config.data_dir, config.image_size, config.channels)


def use_compilation_cache() -> None:
    """Compiled programs are kept in ~/.cache/jwgan/jax, unless JAX's own variable says where."""
    default = pathlib.Path.home() / ".cache" / "jwgan" / "jax"
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(default))


def prepare(config: Any, build: Callable, name: str, doc: str, load: Callable[[Any], Any]) -> Run:
    """Loads, builds, checks, and only then writes into the run's directory."""
    check(config)
    folder = choose_folder(config, name)
    task = load(config)
    import jax

    from jwgan import checkpoint, report

    algorithm = build(config, task.shape)
    source = task.source(config.n_critic, config.batch_size)
    init = lambda: algorithm.init(jax.random.key(config.seed), source.batch)
    target = jax.eval_shape(init)  # shape errors show here, before anything is written
    description = describe(config, name, doc, task)
    if config.resume:
        compare(json.loads((folder / "config.json").read_text()), description)
        if not checkpoint.steps(folder / "checkpoints"):  # stopped before its first checkpoint
            return Run(config, folder, task, algorithm, source, jax.jit(init)(), 0)
        restored = checkpoint.restore(folder / "checkpoints", target)
        for line in restored.skipped:
            print(f"passed over: {line}", file=sys.stderr)
        return Run(config, folder, task, algorithm, source, restored.state, restored.step)
    folder.mkdir(parents=True, exist_ok=True)
    report.write_json(folder / "config.json", description)
    return Run(config, folder, task, algorithm, source, jax.jit(init)(), 0)


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM instead of dying of them, so that the chunk can end."""
    caught: list[int] = []
    handle = lambda number, frame: caught.append(number)
    before = {s: signal.signal(s, handle) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def progress_bar(name: str, total: int, start: int) -> Iterator[Callable[[int, float], None]]:
    """A rich bar on stderr: steps/s of this session and the Wasserstein estimate."""
    import rich.console
    from rich import progress as bars

    bar = bars.Progress(
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[speed]:.1f} steps/s  W {task.fields[estimate]:+.4f}"),
        bars.TimeRemainingColumn(),
        console=rich.console.Console(stderr=True),
    )
    began = time.perf_counter()
    with bar:
        row = bar.add_task(name, total=total, completed=start, speed=0.0, estimate=0.0)

        def show(step: int, estimate: float) -> None:
            speed = (step - start) / max(time.perf_counter() - began, 1e-9)
            bar.update(row, completed=step, speed=speed, estimate=estimate)

        yield show


def is_picture_step(step: int, chunk_steps: int) -> bool:
    """Pictures after 1, 2, 4, 8, ... chunks: early progress is where the eye learns most."""
    chunks, rest = divmod(step, chunk_steps)
    return chunks > 0 and rest == 0 and chunks & (chunks - 1) == 0


def train(run: Run, name: str) -> tuple[Any, dict[str, Any]]:
    """Trains and writes everything; returns the final state and the figures of the run."""
    from experiments import evaluate
    from jwgan import checkpoint, loop, report

    config, folder = run.config, run.folder
    began, first_picture, saved, estimates = time.perf_counter(), [], [run.step], []

    def picture(step: int, state: Any) -> None:
        image = evaluate.picture(run.task, run.algorithm, state)
        report.save_png(folder / "samples" / f"{step:08d}.png", image)
        writer.image("samples", step, image)
        first_picture.append(time.perf_counter() - START)

    def due(step: int) -> bool:
        return step > run.step and (
            is_picture_step(step, config.chunk_steps) or step - saved[-1] >= config.checkpoint_every
        )

    def observe(step: int, state: Any) -> None:
        if is_picture_step(step, config.chunk_steps):
            picture(step, state)
        if step - saved[-1] >= config.checkpoint_every:
            saved.append(step)
            checkpoints.save(step, state)

    def stop(step: int) -> bool:
        late = config.minutes and time.perf_counter() - began > 60 * config.minutes
        return bool(caught or late)

    def record(first: int, info: Any) -> None:
        scalars = {**info._asdict(), **info.objective}
        del scalars["objective"]
        writer.scalars(first, scalars)
        estimates.extend(info.wasserstein_estimate[-1:])
        show(first + len(info.penalty), float(estimates[-1]))

    with (
        stop_signals() as caught,
        checkpoint.Checkpoints(folder / "checkpoints") as checkpoints,
        report.Writer(folder, step=run.step) as writer,
        progress_bar(name, config.steps, run.step) as show,
    ):
        state = loop.train(
            run.algorithm,
            run.state,
            run.source,
            steps=config.steps,
            chunk_steps=config.chunk_steps,
            record=record,
            due=due,
            observe=observe,
            stop=stop,
        )
        step, seconds = int(state.step), time.perf_counter() - began
        checkpoints.save(step, state)
        picture(step, state)
    return state, {
        "run_dir": str(folder),
        "steps": step,
        "seconds": round(seconds, 2),
        "seconds_to_first_picture": round(first_picture[0], 2),
        "steps_per_second": round((step - run.step) / seconds, 3),
        "wasserstein_estimate": float(estimates[-1]) if estimates else None,
        "state_sha256": checkpoint.state_sha256(state),
        "stopped_by": signal.Signals(caught[0]).name if caught else None,
    }


def main(
    config_type: type,
    build: Callable[[Any, tuple[int, ...]], Any],
    doc: str,
    name: str,
    *,
    load: Callable[[Any], Any] = load_images,
    argv: list[str] | None = None,
) -> None:
    """Parses, trains, measures and reports; exit code 2 for bad input, 128 + n for signal n.

    Args:
      config_type: frozen dataclass of options, a subclass of `Config`.
      build: `(config, shape) -> Algorithm`.
      doc: the experiment's docstring, shown by --help.
      name: the experiment's module name.
      load: `(config) -> tasks.Task`.
      argv: command line, `sys.argv[1:]` by default.
    """
    config = parse(config_type, argv, doc)
    use_compilation_cache()
    try:
        run = prepare(config, build, name, doc, load)
    except (ValueError, OSError) as error:
        fail(error)
    from experiments import evaluate
    from jwgan import report

    state, result = train(run, name)
    stopped = result["stopped_by"]
    if config.quality and not stopped:
        result["quality"] = evaluate.quality(run.task, run.algorithm, state)
    report.write_json(run.folder / "result.json", result)
    page = report.write_report(run.folder)
    print(f"report: {page}", file=sys.stderr)
    if config.json:
        print(json.dumps(result))
    if stopped:
        raise SystemExit(128 + signal.Signals[stopped])
