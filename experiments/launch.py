"""The shared part of every experiment: the run directory, and the run itself.

An experiment is a module with a docstring, a frozen dataclass `Config(options.Config)` and
`build(config, shape) -> jwgan.Algorithm`; its last line is `launch.main(Config, build, __doc__,
name)`. Nothing here imports jax before the command line is parsed, so `--help` answers at once.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from experiments.options import FREE, Config, check, fail, parse

START = time.perf_counter()


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


def claim(folder: pathlib.Path, config: Config, name: str) -> pathlib.Path:
    """Makes the directory; if another run took the number meanwhile, takes the next one."""
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=config.run_dir is not None)
        except FileExistsError:
            folder = choose_folder(config, name)
        else:
            return folder


def describe(config: Config, name: str, doc: str, task: Any) -> dict[str, Any]:
    """What config.json holds: all that is needed to repeat the run."""
    from jwgan import report

    return {
        "experiment": name,
        "title": getattr(config, "title", doc.strip().splitlines()[0]),
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
    folder = claim(folder, config, name)
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
    drawn = lambda step: is_picture_step(step, config.chunk_steps)
    began, saved = time.perf_counter(), [run.step]
    first_picture, estimates = list[float](), list[float]()

    def picture(step: int, state: Any) -> None:
        image = evaluate.picture(run.task, run.algorithm, state)
        report.save_png(folder / "samples" / f"{step:08d}.png", image)
        writer.image("samples", step, image)
        first_picture.append(time.perf_counter() - START)

    def due(step: int) -> bool:
        return step > run.step and (drawn(step) or step - saved[-1] >= config.checkpoint_every)

    def observe(step: int, state: Any) -> None:
        if drawn(step):
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
    for figure, value in result.get("quality", {}).items():
        print(f"{figure}: {value}", file=sys.stderr)
    print(f"report: {page}", file=sys.stderr)
    if config.json:
        print(json.dumps(result))
    if stopped:
        raise SystemExit(128 + signal.Signals[stopped])
