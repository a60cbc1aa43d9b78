"""Draws samples from a finished or running run.

    python -m experiments.sample RUN_DIR --num 1000 --out samples.npy
    python -m experiments.sample RUN_DIR --num 100 --out grid.png
    python -m experiments.sample RUN_DIR --num 8 --interpolate 10 --out path.png
    python -m experiments.sample RUN_DIR --member 3         # of a run with --seeds or --sweep

`.npy` holds float32 [num, *D], images in [-1, 1]; `.png` is a grid of images, or a scatter plot of
points. With --interpolate K each of the num rows is a path of K samples from one latent to another:
along a great circle for normal latents (every point of it is as likely as its ends), along a
straight line for bounded ones. The samples come from the newest whole checkpoint.
"""

import dataclasses
import pathlib
from typing import Any

from experiments import launch, members, options
from experiments.options import option


@dataclasses.dataclass(frozen=True)
class Config:
    run_dir: str = option("", "the run's directory")
    num: int = option(100, "how many samples, or paths with --interpolate")
    out: str = option("samples.png", "file to write, .npy or .png")
    seed: int = option(0, "of the latents")
    interpolate: int = option(0, "samples on each path between two latents; 0: no paths")
    member: int = option(0, "which one of a run with --seeds or --sweep, counted from 0")


def read_run(folder: pathlib.Path, member: int = 0) -> tuple[Any, Any, Any]:
    """The (task, algorithm, state) of a run, rebuilt from what is in its directory.

    Raises:
      ValueError: it is no run, or has no such member.
    """
    import importlib

    described = launch.read_description(folder)
    here = pathlib.Path(__file__).parent
    # a run names no other module, and only one that builds something
    texts = {path.stem: path.read_text() for path in here.glob("*.py")}
    names = [name for name, text in texts.items() if "\n    launch.main(" in text]
    try:
        name = options.one_of("experiment", described["experiment"], names)
        module = importlib.import_module(f"experiments.{name}")
        config = options.from_description(module.Config, described["config"])
    except ValueError as error:
        raise ValueError(f"{folder / 'config.json'}: {error}: give another run") from error
    options.check(config)
    task = module.load(config) if hasattr(module, "load") else launch.load_images(config)
    return task, *restore(folder, config, module.build, task, member)


def restore(
    folder: pathlib.Path, config: Any, build: Any, task: Any, member: int
) -> tuple[Any, Any]:
    """(algorithm, state) of the newest whole checkpoint; of several runs, of one of them."""
    import jax

    from jwgan import checkpoint, many

    together = members.assemble(config, build, task) if members.several(config) else None
    count = len(together.members) if together else 1
    if not 0 <= member < count:
        labels = [m.label for m in together.members] if together else ["the only one"]
        raise ValueError(
            f"member is {member}: give 0 to {count - 1}, from {labels[0]} to {labels[-1]}"
        )
    if together:
        init = lambda: together.algorithm.init(together.keys, together.source.batch)
        states = checkpoint.restore(folder / "checkpoints", jax.eval_shape(init)).state
        own = together.members[member].config
        return build(own, task.shape), many.member(states, member)
    algorithm = build(config, task.shape)
    batch = task.source(config.n_critic, config.batch_size).batch
    target = jax.eval_shape(lambda: algorithm.init(jax.random.key(config.seed), batch))
    return algorithm, checkpoint.restore(folder / "checkpoints", target).state


def paths(start: Any, end: Any, num: int) -> Any:
    """Latents [P, num, *Z] from start [P, *Z] to end [P, *Z]."""
    import numpy as np

    t = np.linspace(0.0, 1.0, num).reshape(1, num, *[1] * (start.ndim - 1))
    start, end = np.asarray(start)[:, None], np.asarray(end)[:, None]
    if max(abs(start).max(), abs(end).max()) <= 1:  # a bounded prior: stay in its box
        return (1 - t) * start + t * end
    return np.cos(t * np.pi / 2) * start + np.sin(t * np.pi / 2) * end


def draw(algorithm: Any, state: Any, config: Config) -> Any:
    """Samples [num, *D], or [num * interpolate, *D] path after path."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    key = jax.random.key(config.seed)
    z = algorithm.prior(key, config.num)
    if config.interpolate:
        end = algorithm.prior(jax.random.fold_in(key, 1), config.num)
        z = jnp.asarray(paths(z, end, config.interpolate), z.dtype).reshape(-1, *z.shape[1:])
    generate = jax.jit(algorithm.generate)
    return np.concatenate([generate(state, z[i : i + 500]) for i in range(0, len(z), 500)])


def write(x: Any, out: pathlib.Path, task: Any, columns: int | None) -> None:
    """Samples as an array file or a picture."""
    import numpy as np

    from jwgan import report

    if out.suffix == ".npy":
        np.save(out, x)
    elif task.problem is None:
        report.save_png(out, report.image_grid(x, columns=columns))
    else:
        report.save_png(out, report.scatter(task.held_out[:2000], x))


def main(argv: list[str] | None = None) -> None:
    config = options.parse(Config, argv, __doc__, positional="run_dir")
    launch.use_compilation_cache()
    out = pathlib.Path(config.out)
    try:
        if out.suffix not in (".npy", ".png"):
            raise ValueError(f"out is {config.out!r}: give a name ending in .npy or .png")
        if config.num < 1 or config.interpolate < 0:
            raise ValueError(
                f"num is {config.num}, interpolate {config.interpolate}: give num >= 1"
            )
        task, algorithm, state = read_run(pathlib.Path(config.run_dir), config.member)
        x = draw(algorithm, state, config)
        write(x, out, task, config.interpolate or None)
    except (ValueError, OSError) as error:
        options.fail(error)
    print(f"{len(x)} samples of shape {x.shape[1:]} from step {int(state.step)} in {out}")


if __name__ == "__main__":
    main()
