"""The README's tables, rendered from experiments/results/*.json."""

from collections.abc import Sequence
from typing import Any

from experiments import tables_many, tables_speed, tables_transport
from experiments.record import RESULTS, load

# member -> (paper, the digits run's command line after `python -m experiments.`)
MEMBERS = {
    "gan_minimax": ("Goodfellow et al., 2014", "gan --member gan_minimax"),
    "gan": ("Goodfellow et al., 2014", "gan"),
    "dcgan": ("Radford et al., 2016", "dcgan"),
    "lsgan": ("Mao et al., 2017", "lsgan"),
    "wgan": ("Arjovsky et al., 2017", "wgan"),
    "wgan_gp": ("Gulrajani et al., 2017", "wgan_gp"),
    "wgan_lp": ("Petzka et al., 2018", "wgan_lp"),
    "wgan_hinge": ("course slides", "wgan_lp --linear"),
    "wgan_div": ("Wu et al., 2018", "wgan_div"),
    "sngan": ("Miyato et al., 2018", "sngan"),
    "ebgan": ("Zhao et al., 2017", "ebgan"),
    "began": ("Berthelot et al., 2017", "began"),
    "dragan": ("Kodali et al., 2017", "gan --member dragan"),
    "r1_gan": ("Mescheder et al., 2018", "gan --member r1_gan"),
    "r1_r2_gan": ("Mescheder et al., 2018", "gan --member r1_r2_gan"),
    "rpgan": ("Huang et al., 2024", "gan --member rpgan"),
}


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def figures(name: str) -> dict[str, Any]:
    """A recorded result's figures, {} if it has not been recorded."""
    return load(name)["figures"] if (RESULTS / f"{name}.json").exists() else {}


def spread(value: dict[str, float] | None, digits: int) -> str:
    """median (lower quartile, upper quartile)"""
    if value is None:
        return ""
    low, high = value["lower_quartile"], value["upper_quartile"]
    return f"{value['median']:.{digits}f} ({low:.{digits}f}, {high:.{digits}f})"


def members() -> str:
    rows = []
    for name, (paper, command) in MEMBERS.items():
        run, worlds = figures(f"digits-{name}"), figures(f"modes-{name}")
        quality = run.get("quality", {})
        rows.append(
            [
                f"`{name}`",
                paper,
                f"`{command}`",
                quality.get("classes_present", ""),
                f"{quality['frechet_distance']:.2f}" if quality else "",
                quality.get("confident_share", ""),
                f"{run['wasserstein_estimate']:.3f}" if run else "",
                f"{run['seconds']:.0f}" if run else "",
                spread(worlds.get("modes_covered"), 1),
                spread(worlds.get("exact_w1"), 3),
            ]
        )
    real, worlds = figures("digits-wgan_gp")["quality"], figures("modes-wgan_gp")
    rows.append(
        [
            *("real data", "", "", ""),
            f"{real['frechet_distance_of_real']:.2f}",
            real["confident_share_of_real"],
            *("", "", ""),
            worlds.get("exact_w1_of_real", ""),
        ]
    )
    figures_of_run = ["run", "classes", "Frechet", "confident", "W", "s"]
    head = ["member", "paper", *figures_of_run, "modes", "W1"]
    return table(head, rows)


def main_job() -> str:
    run = figures("digits-wgan_gp")
    quality = run["quality"]
    return table(
        ["figure", "value"],
        [
            ["seconds to the first picture, cold start", run["seconds_to_first_picture"]],
            ["seconds of training", run["seconds"]],
            ["generator updates a second", run["steps_per_second"]],
            ["classes present (at least 3 % each) in 1,000 samples", quality["classes_present"]],
            ["smallest class share", quality["smallest_class_share"]],
            ["share labelled with confidence above .9", quality["confident_share"]],
            ["the same share of real held-out digits", quality["confident_share_of_real"]],
            [
                "the labelling classifier's held-out accuracy",
                quality["classifier_held_out_accuracy"],
            ],
            ["Frechet distance (digits-CNN features)", quality["frechet_distance"]],
            ["the same distance of real training data", quality["frechet_distance_of_real"]],
        ],
    )


def fashion() -> str:
    rows = []
    for name in ("wgan_gp", "began", "ebgan"):
        run = figures(f"fashion-{name}")
        if run:
            quality = run["quality"]
            command = load(f"fashion-{name}")["command"].removeprefix("python -m experiments.")
            rows.append(
                [
                    f"`{command.removesuffix(' --json')}`",
                    run["steps"],
                    f"{run['seconds']:.0f}",
                    quality["classes_present"],
                    quality["confident_share"],
                    quality["confident_share_of_real"],
                    quality["frechet_distance"],
                    quality["frechet_distance_of_real"],
                ]
            )
    head = ["run", "steps", "s", "classes", "confident", "real's", "Frechet", "real's"]
    return table(head, rows)


def alarm() -> str:
    run = figures("alarm")
    settings = {r["setting"] for r in run["per_run"]}
    head = ["runs", "settings", "bad runs", "warned of", "precision", "recall"]
    row = [run["runs"], len(settings), run["bad"], run["warned"], run["precision"], run["recall"]]
    return table(head, [row])


def pipeline() -> str:
    rows = []
    for name, what in (
        ("pipeline-array", "Fashion-MNIST, an array"),
        ("pipeline-tfds", "a TFDS folder"),
    ):
        run = figures(name)
        if run:
            rates = ("images_per_second", "images_per_second_needed", "images_per_second_streamed")
            rows.append([what, *(run[rate] for rate in rates), f"{run['share_waiting']:.1%}"])
    return table(["rows", "read/s", "needed/s", "trained/s", "waiting"], rows)


def plan() -> str:
    products = {"1 x H100": "default", "1 x H100 without TF32": "highest"}
    measured = {
        (one["member"], one["networks"], one["products"]): one["steps_per_second"]
        for one in figures("plan-h100").get("rows", [])
    }
    rows = []
    for row in figures("plan")["rows"]:
        resident = row["resident_gb_per_chip"]
        setting = (row["member"], row["networks"], products.get(row["chips"]))
        rows.append(
            [
                f"`{row['member']}`",
                row["networks"],
                row["chips"],
                row["gflop_per_chip"],
                "" if resident is None else resident,
                row["network_mb"],
                row["limit"],
                row["steps_per_second"],
                measured.get(setting, ""),
                row["hours_of_100000_steps"],
            ]
        )
    head = ["member", "networks", "chips", "GFLOP a chip", "GB a chip", "MB sent", "limit"]
    return table([*head, "steps/s", "measured", "h for 100k"], rows)


def h100() -> str:
    timed, run = figures("speed-tiny_mlp-h100"), figures("digits-wgan_gp-h100")
    rows: list[list[Any]] = []
    if timed:
        peer = timed["peer"]["iterations_per_second"]
        rows.append(["`tiny_mlp`, iterations/s", timed["iterations_per_second"]])
        rows.append(["the same in PyTorch 2.11 eager", peer])
    if run:
        rows.append(["1,000 steps of `experiments.wgan_gp`, s", run["seconds"]])
        rows.append(["of which to the first picture, s", run["seconds_to_first_picture"]])
    return table(["on one H100", ""], rows)


def convolution() -> str:
    rows = []
    for name in ("jwgan", "lax"):
        run = figures(f"dcgan32-{name}")
        if run:
            rows.append(
                [
                    name,
                    run["iterations_per_second"],
                    run["cpu_seconds_per_iteration"],
                    f"{100 * run['roofline_share']:.0f} %",
                    run["compile_seconds"],
                    run["peak_memory_mb"],
                ]
            )
    head = ["convolution", "iterations/s", "CPU s/iteration", "of roofline", "compile s", "MB"]
    return table(head, rows)


def w1_ours() -> str:
    from experiments import tables_w1  # which imports this module

    return tables_w1.summary()


def w1_faithful() -> str:
    from experiments import tables_w1

    return tables_w1.faithful()


def w1_seeds() -> str:
    from experiments import tables_w1

    return tables_w1.spread()


def claims() -> str:
    from experiments import tables_claims  # which imports this module

    return tables_claims.verdicts()


def claims_random() -> str:
    from experiments import tables_claims

    return tables_claims.at_random()


def claims_grid() -> str:
    from experiments import tables_claims

    return tables_claims.grid()


TABLES = {
    "members": members,
    "main-job": main_job,
    "fashion": fashion,
    "convolution": convolution,
    "alarm": alarm,
    "pipeline": pipeline,
    "plan": plan,
    "growth": lambda: table(*tables_many.growth(figures("growth"))),
    "side-by-side": lambda: table(*tables_many.side_by_side(figures("growth"))),
    **tables_transport.TABLES,
    "w1-ours": w1_ours,
    "w1-faithful": w1_faithful,
    "w1-seeds": w1_seeds,
    "speed": tables_speed.speed,
    "speed-idle": lambda: tables_speed.speed("-idle"),
    "speed-penalty": tables_speed.penalty,
    "h100": h100,
    "claims": claims,
    "claims-grid": claims_grid,
    "claims-random": claims_random,
}
