"""The shared part of every experiment: the run directory, and the run itself.

An experiment is a module with a docstring, a frozen dataclass `Config(options.Config)` and
`build(config, shape) -> jwgan.Algorithm`; its last line is `launch.main(Config, build, __doc__,
name)`. Nothing here imports jax before the command line is parsed, so `--help` answers at once.
"""

import dataclasses
import importlib.metadata
import json
import math
import os
import pathlib
import signal
import sys
from collections.abc import Callable
from typing import Any

from experiments import hosts, members, session
from experiments.options import FREE, Config, check, fail, parse

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
    dataset = config.dataset.replace("/", "-")
    stem, root = f"{name}-{dataset}", pathlib.Path("runs")
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


def read_description(folder: pathlib.Path) -> dict[str, Any]:
    """A run's config.json.

    Raises:
      ValueError: there is none, or it is not what `describe` makes.
    """
    path = folder / "config.json"
    try:
        if not path.is_file():
            raise ValueError("no regular file")
        found = json.loads(path.read_text(encoding="utf-8"))
        parts = [found["config"], found["data"]]
        if not isinstance(found["experiment"], str) or {type(p) for p in parts} != {dict}:
            raise ValueError("experiment, config or data is of another kind")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        what = " ".join(str(error).split())[:100]
        raise ValueError(f"{path} is no run's description ({what}): give another run") from error
    return found


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


def load_images(config: Config) -> Any:
    """The image task that the options name."""
    from experiments import tasks

    size = config.image_size
    if config.stream:
        return tasks.stream_images(
            config.dataset, config.data_dir, size, config.channels, config.seed
        )
    return tasks.load_images(config.dataset, config.data_dir, size, config.channels)


CACHE_NOTE = """
Compiled programs are kept in ~/.cache/jwgan/jax, at most 1 GB of them (the oldest go first), or in
the folder that JAX_COMPILATION_CACHE_DIR names; JAX_ENABLE_COMPILATION_CACHE=false keeps none.
"""
CACHE_BYTES = 2**30


def use_compilation_cache() -> None:
    """Keeps compiled programs as `CACHE_NOTE` says; only the user can read or write them."""
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    folder = pathlib.Path.home() / ".cache" / "jwgan" / "jax"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        trim(folder, CACHE_BYTES)
    except OSError:
        return  # no home to write to: the run compiles, as it would at a first start
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)


def trim(folder: pathlib.Path, limit: int) -> None:
    """Removes the oldest files until the rest have at most `limit` bytes."""
    files = [(path.stat(), path) for path in folder.iterdir() if path.is_file()]
    total = 0
    for stat, path in sorted(files, key=lambda pair: -pair[0].st_mtime):
        total += stat.st_size
        if total > limit:
            path.unlink(missing_ok=True)


_FUSION = "xla_cpu_experimental_ynn_fusion_type"
# XLA's options for matrix products in Eigen, and in YNNPACK; see `use_eigen`.
MATMUL_LIBRARIES = (
    {_FUSION: "LIBRARY_FUSION_TYPE_REDUCE"},
    {_FUSION: "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"},
)


def is_measured_jaxlib() -> bool:
    """Whether XLA has the experimental option in the form that was measured."""
    return importlib.metadata.version("jaxlib").startswith(("0.10.", "0.11.", "0.12."))


def use_eigen() -> None:
    """Has XLA:CPU run convolutions and matrix products in Eigen instead of YNNPACK.

    YNNPACK, the default from jaxlib 0.10 to 0.12, runs convolutions of up to 64 channels on one
    core, and small products slowly. XLA ends the process at flags that it does not know: this one
    is set for known versions only, before jax is imported, and never against the user's own choice.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if is_measured_jaxlib() and "jax" not in sys.modules and _FUSION not in flags:
        ours = f"--{_FUSION}=-individual_convolution,-individual_dot"
        os.environ["XLA_FLAGS"] = f"{flags} {ours}".strip()


def use_cores(count: int, num: int | None) -> None:
    """Has XLA make `num` devices of a CPU for so many members, by default of the cores it has.

    Small programs keep one core busy, and those of different members need not talk. As `use_eigen`,
    before jax is imported and never against the user's own choice.
    """
    num = members.largest_divisor(count, members.cores()) if num is None else num
    own = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if num > 1 and "jax" not in sys.modules and not own:
        os.environ.setdefault("JAX_NUM_CPU_DEVICES", str(num))


def require_memory(state: Any, batch: Any) -> None:
    """Raises ValueError if a state, its gradients and a batch cannot fit in this machine."""
    import jax

    from jwgan import readers

    size = lambda leaf: math.prod(leaf.shape) * 4
    needed = 2 * sum(map(size, jax.tree.leaves(state))) + size(batch)
    readers.require_memory(needed, "the state and a batch", "make networks or batch smaller")


def prepare(
    config: Any, build: Callable, name: str, doc: str, load: Callable[[Any], Any]
) -> session.Run:
    """Loads, builds, checks, and only then writes into the run's directory."""
    check(config)
    if members.several(config):
        members.check(config)
    hosts.start(config)
    first = hosts.is_first()
    reads = first or config.resume
    folder = choose_folder(config, name) if reads else pathlib.Path(config.run_dir)
    task = load(config)
    mesh = None if members.several(config) else hosts.make_mesh(config)
    import jax

    from jwgan import report

    together = members.assemble(config, build, task) if members.several(config) else None
    if together:
        algorithm, source = together.algorithm, together.source
    else:
        algorithm = build(config, task.shape)
        source = task.source(config.n_critic, config.batch_size, mesh)
    run = session.Run(config, name, folder, task, algorithm, source, None, 0, {}, mesh, together)
    # shape errors show here, before anything is written
    require_memory(jax.eval_shape(lambda: session.init(run)), source.batch)
    description = describe(config, name, doc, task)
    if together:
        description["members"] = [m.described(together.swept) for m in together.members]
    if config.resume:
        compare(read_description(folder), description)
        run, skipped = session.newest(run)
        for line in skipped if first else ():
            print(f"passed over: {line}", file=sys.stderr)
        return run
    if first:
        run = run._replace(folder=claim(folder, config, name))
        report.write_json(run.folder / "config.json", description)
    return run._replace(state=session.first_state(run))


def main(
    config_type: type,
    build: Callable[[Any, tuple[int, ...]], Any],
    doc: str,
    name: str,
    *,
    load: Callable[[Any], Any] = load_images,
    argv: list[str] | None = None,
) -> None:
    """Parses, trains, measures and reports.

    Exit code 2 for bad input, 1 for a run that failed, 128 + n for signal n.

    Args:
      config_type: frozen dataclass of options, a subclass of `Config`.
      build: `(config, shape) -> Algorithm`.
      doc: the experiment's docstring, shown by --help.
      name: the experiment's module name.
      load: `(config) -> tasks.Task`.
      argv: command line, `sys.argv[1:]` by default.
    """
    config = parse(config_type, argv, doc + CACHE_NOTE)
    use_compilation_cache()
    use_eigen()
    try:
        if members.several(config):
            use_cores(members.count(config), members.devices(config))
        run = prepare(config, build, name, doc, load)
    except (ValueError, OSError) as error:
        fail(error)
    try:
        finish(run)
    except (session.NonFiniteError, ValueError, OSError) as error:
        if not _speaks_for_itself(error):
            raise
        fail(f"{error}; what was saved is in {run.folder}", code=1)


def _speaks_for_itself(error: Exception) -> bool:
    """Whether it is about the machine, the data or the numbers, and not a defect of the program."""
    from jwgan import checkpoint, data

    kinds = (session.NonFiniteError, checkpoint.CheckpointError, data.DataError, OSError)
    return isinstance(error, kinds)


def finish(run: session.Run) -> None:
    """Trains, measures, reports."""
    from jwgan import report

    try:
        state, result = session.train(run)
    except session.NonFiniteError as error:
        if hosts.is_first():
            report.write_json(run.folder / "result.json", {"stopped_by": str(error)})
            report.write_report(run.folder)
        raise
    if hosts.is_first():
        conclude(run, state, result)
    hosts.wait_for_all("concluded")
    if result["stopped_by"]:
        raise SystemExit(128 + signal.Signals[result["stopped_by"]])


def conclude(run: session.Run, state: Any, result: dict[str, Any]) -> None:
    """Measures the samples' quality and writes result.json and the page."""
    from experiments import evaluate, many_session
    from jwgan import report

    config = run.config
    stopped = result["stopped_by"]
    if config.quality and not stopped:
        if run.many:
            many_session.add_quality(run.many, state, result)
        else:
            result["quality"] = evaluate.quality(run.task, run.algorithm, state)
    report.write_json(run.folder / "result.json", result)
    page = report.write_report(run.folder)
    for figure, value in result.get("quality", {}).items():
        print(f"{figure}: {value}", file=sys.stderr)
    print(f"report: {page}", file=sys.stderr)
    if config.json:
        print(json.dumps(result))
