"""The theatre: members trained on the same data from the same noise, replayed on one web page.

    python -m experiments.theatre                           # a page in runs/theatre-1
    python -m experiments.theatre --members wgan,wgan_gp --world swiss_roll --steps 8000
    python -m experiments.theatre --quick                   # a look at the page, hardly trained

The page is one file, theatre.html, which needs no internet connection and stays under 3 MB. For
each member it shows samples over the critic's level lines and slopes, exact W1 beside the critic's
estimate, the histogram of the critic's weights, and for BEGAN its balance k and its measure of
convergence M. Below them a Gaussian slides by the gradients of W1, JS and KL, and a transport plan
improves until it is optimal. Settings are those of experiments.toy2d, with smaller networks. The
first command takes about 43 s on 2 CPU cores, and some 20 s more when it compiles for the first
time.
"""

import dataclasses
import json
import time
from typing import Any

from experiments import toy2d
from experiments.theatre import moving, packing, page, recording
from jwgan import files, report
from jwgan.run import console, options, output, study, xla
from jwgan.run.options import option

QUICK = {"steps": 40, "frames": 4, "batch_size": 16, "width": 8}


@dataclasses.dataclass(frozen=True)
class Config:
    members: str = option(
        "wgan,wgan_gp,sngan,gan,began", "with commas between; " + ", ".join(toy2d.MEMBERS)
    )
    world: str = option("eight_gaussians", "eight_gaussians, twenty_five_gaussians, ring, ...")
    steps: int = option(4000, "generator updates of each member", at_least=1)
    frames: int = option(61, "pictures of each member's training, at most", at_least=2)
    seed: int = option(0, "of the noise, the data and the first networks", at_least=0)
    batch_size: int = option(64, "samples in a batch", at_least=1)
    n_critic: int = option(5, "critic updates for each generator update", at_least=1)
    width: int = option(64, "units in each of the three hidden layers", at_least=1)
    latent: int = option(2, "dimensions of the normal latents", at_least=1)
    quick: bool = option(False, f"{QUICK['steps']} steps of tiny networks")
    out: str | None = option(None, "where the page is written (default: runs/theatre-K)")
    json: bool = option(False, "print one line of JSON at the end")


def names_of(config: Config) -> list[str]:
    """Reads the members that the options name.

    Raises:
      ValueError: one is unknown or named twice, or so many have not room for their frames.
    """
    names = [name.strip() for name in config.members.split(",")]
    for name in names:
        options.require_choice("member", name, toy2d.MEMBERS)
    if len(set(names)) < len(names):
        raise ValueError(f"members is {config.members!r}: name each member once")
    # Before anything is trained: a page too large would be found after minutes.
    if config.frames > (most := packing.most_frames(len(names))):
        raise ValueError(
            f"frames is {config.frames}: give at most {most} with {len(names)} members, so that "
            "the page stays under 3 MB"
        )
    return names


def play(config: Config) -> dict[str, Any]:
    """Trains the members one after another and computes the two small plays.

    Returns:
      what the page's program reads, see `page.render`.

    Raises:
      ValueError: as `names_of`, or an unknown world.
    """
    names = names_of(config)
    world = recording.make_world(config.world)
    shown = {field: getattr(config, field) for field in dataclasses.asdict(config)}
    shared = {name: shown[name] for name in ("steps", "seed", "batch_size", "n_critic")}
    shared |= {"width": config.width, "latent": config.latent, "dataset": config.world}
    steps = recording.frame_steps(config.steps, config.frames)
    members: list[dict[str, Any]] = []
    first: list[Any] = []  # the samples before the first step
    for name in names:
        chosen = toy2d.Config(member=name, **shared)
        with console.progress_bar(name, config.steps, 0) as show:
            frames = recording.record(chosen, world, steps, show)
        first.append(frames.samples[0])
        members.append(packing.pack(name, frames, world.half))
    return {
        "world": config.world,
        "settings": shared,
        "steps": steps,
        "half": world.half,
        "floor": float(f"{world.floor:.4g}"),
        "modes": None if world.task.problem.modes is None else len(world.task.problem.modes),
        "real": packing.text(packing.coordinates(world.real, world.half)),
        "sides": {
            "points": recording.POINTS,
            "grid": recording.GRID,
            "arrows": recording.ARROWS,
            "bins": packing.BINS,
        },
        "members": members,
        "bells": moving.bells(),
        "plan": moving.plans(first[0], world.real, world.half),
    }


def result_of(config: Config, played: dict[str, Any]) -> dict[str, Any]:
    """Picks the figures of the last frame: {member: {metric: value}}, beside the options."""
    chosen = dataclasses.asdict(config)
    del chosen["out"], chosen["json"]
    return {
        **chosen,
        "exact_w1_of_real": played["floor"],
        "members": {
            member["name"]: {name: values[-1] for name, values in member["numbers"].items()}
            for member in played["members"]
        },
        "plan_cost": played["plan"]["costs"][-1],
    }


def main(argv: list[str] | None = None) -> None:
    config = options.parse(Config, argv, __doc__ or "")
    if config.quick:
        config = dataclasses.replace(config, **QUICK)
    try:
        options.check_numbers(config)
        names_of(config)
        folder = study.new_folder(config.out, "theatre")
        xla.use_compilation_cache()
        xla.use_eigen()
        began = time.perf_counter()
        played = play(config)
        text = page.render(played).encode()
        seconds = round(time.perf_counter() - began, 1)
        result = {**result_of(config, played), "bytes": len(text), "seconds": seconds}
        files.replace(folder / "theatre.html", text)
        report.write_json(folder / "result.json", result)
    except (ValueError, OSError) as error:
        options.fail(error)
    output.show(json.dumps(result) if config.json else study.text_table(*page.last_rows(played)))
    if not config.json:
        output.show(f"page: {folder / 'theatre.html'}, {len(text) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
