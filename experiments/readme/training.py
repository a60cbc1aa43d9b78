"""Tables of training runs: members, the main job, Fashion-MNIST, alarm, pipeline."""

import statistics
from typing import Any

from experiments import began_ablation, results
from experiments.results import markdown

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
# member -> what its critic returns, so what the difference of mean outputs is in
OUTPUTS = {
    **dict.fromkeys(("gan_minimax", "gan", "dcgan", "dragan"), "logit"),
    **dict.fromkeys(("r1_gan", "r1_r2_gan", "rpgan"), "logit"),
    **dict.fromkeys(("wgan_gp", "wgan_lp", "wgan_hinge"), "W1"),
    **dict.fromkeys(("lsgan", "wgan", "wgan_div", "sngan"), "score"),
    **dict.fromkeys(("ebgan", "began"), "energy"),
}


def _of_seeds(name: str) -> dict[str, list[float]]:
    """{metric: values of the seeds} of a recorded run with --seeds, else of the run alone."""
    trials = results.metrics(f"{name}-seeds").get("per_trial", [results.metrics(name)])
    found = [trial["quality"] for trial in trials if trial.get("quality")]
    names = ("classes_present", "frechet_distance", "confident_share")
    return {metric: [one[metric] for one in found] for metric in names} if found else {}


def members() -> str:
    """Makes a row for each member: one or five seeds on the digits, 16 on 8 Gaussians."""
    rows = []
    for name, (paper, command) in MEMBERS.items():
        run, worlds = results.metrics(f"digits-{name}"), results.metrics(f"modes-{name}")
        # A member without a recorded run keeps its row, with empty cells.
        seeds = _of_seeds(f"digits-{name}")
        distances = sorted(seeds.get("frechet_distance", []))
        middle = lambda values: f"{statistics.median(values):.2f}"
        spread = f" ({distances[0]:.2f} to {distances[-1]:.2f})" if len(distances) > 1 else ""
        rows.append(
            [
                f"`{name}`",
                paper,
                f"`{command}`",
                min(seeds["classes_present"]) if seeds else "",
                f"{middle(distances)}{spread}" if seeds else "",
                middle(seeds["confident_share"]) if seeds else "",
                f"{run['wasserstein_estimate']:.3f} {OUTPUTS[name]}" if run else "",
                f"{run['seconds']:.0f}" if run else "",
                markdown.spread(worlds.get("modes_covered"), 1),
                markdown.spread(worlds.get("exact_w1"), 3),
            ]
        )
    real, worlds = results.metrics("digits-wgan_gp")["quality"], results.metrics("modes-wgan_gp")
    # The last row is what a perfect generator would have; it has no run of its own.
    rows.append(
        [
            *("real data", "", "", ""),
            f"{real['frechet_distance_of_real']:.2f}",
            real["confident_share_of_real"],
            *("", "", ""),
            worlds.get("exact_w1_of_real", ""),
        ]
    )
    head = ["member", "paper", "run", "classes, fewest", "Frechet distance", "confident (share)"]
    head += ["critic's separation", "training, s", "modes (of 8)", "W1 on 8 Gaussians"]
    return markdown.table(head, rows)


def ablation() -> str:
    """Lists BEGAN's recipe, and the recipe with one thing changed, on the digits."""
    found = results.metrics("began_ablation-digits")
    rows = began_ablation.rows(found) if found else [["not recorded yet", *[""] * 6]]
    return markdown.table(began_ablation.HEAD, rows)


def main_job() -> str:
    """Lists the metrics of the main job's end."""
    run = results.metrics("digits-wgan_gp")
    quality = run["quality"]
    rows: list[tuple[str, Any, str]] = [
        ("to the first picture, cold start", run["seconds_to_first_picture"], "s"),
        ("training", run["seconds"], "s"),
        ("generator updates", run["steps_per_second"], "1/s"),
        ("classes present in 1,000 samples", quality["classes_present"], "of 10"),
        ("smallest class", quality["smallest_class_share"], "share of the samples"),
        ("labelled with confidence above 0.9", quality["confident_share"], "share of the samples"),
        ("the same of real digits", quality["confident_share_of_real"], "share of held-out data"),
        (
            "classifier's accuracy",
            quality["classifier_held_out_accuracy"],
            "share of held-out data",
        ),
        ("Frechet distance", quality["frechet_distance"], "features squared"),
        ("the same of real digits", quality["frechet_distance_of_real"], "features squared"),
    ]
    return markdown.table(["metric", "value", "unit"], rows)


def command_of(name: str) -> str:
    """Reads a recorded command line after `python -m experiments.`, without --json."""
    command: str = results.load(name)["command"]
    return command.removeprefix("python -m experiments.").removesuffix(" --json")


def fashion() -> str:
    """Lists the runs on Fashion-MNIST; of several seeds the fewest classes, and medians."""
    rows = []
    for name in ("wgan_gp", "began", "ebgan"):
        run = results.metrics(f"fashion-{name}")
        if run:
            trials = [trial["quality"] for trial in run.get("per_trial", [run])]
            of = lambda metric: [one[metric] for one in trials]
            distances = sorted(of("frechet_distance"))
            spread = f" ({distances[0]:.2f} to {distances[-1]:.2f})" if len(trials) > 1 else ""
            rows.append(
                [
                    f"`{command_of(f'fashion-{name}')}`",
                    run["steps"],
                    len(trials),
                    f"{run['seconds'] / len(trials):.0f}",
                    min(of("classes_present")),
                    f"{min(of('smallest_class_share')):.1%}",
                    f"{statistics.median(of('confident_share')):.2f}",
                    f"{trials[0]['confident_share_of_real']:.2f}",
                    f"{statistics.median(distances):.2f}{spread}",
                    f"{trials[0]['frechet_distance_of_real']:.2f}",
                ]
            )
    head = ["run", "generator updates", "seeds", "training of one, s", "classes (of 10)"]
    head += ["smallest class", "confident (share)", "confident, real data (share)"]
    return markdown.table([*head, "Frechet distance", "Frechet distance of real data"], rows)


# recorded run of Fashion-MNIST -> what it is, in ten minutes of one core
TEN_MINUTES = {
    "ten_minutes-before": "a WGAN-GP with three critic updates",
    "ten_minutes": "the recipe",
    "ten_minutes-labels": "without labels",
    "ten_minutes-spectral_norm": "the gradient penalty for spectral norm and hinge loss",
    "ten_minutes-one_update": "three critic updates for one",
    "ten_minutes-batch_norm": "without batch norm in the generator",
    "ten_minutes-decay": "at a constant rate",
}


def ten_minutes() -> str:
    """Lists the recipe of ten minutes and what it is without each of its parts, as recorded."""
    found = {name: results.metrics(f"fashion-{name}") for name in TEN_MINUTES}
    of = lambda run, metric: [trial["quality"][metric] for trial in run["per_trial"]]
    excess = lambda run: (
        statistics.median(of(run, "frechet_distance")) - of(run, "frechet_distance_of_real")[0]
    )
    rows = []
    for name, run in found.items():
        if run:
            distances = sorted(of(run, "frechet_distance"))
            before = found["ten_minutes-before"]
            rows.append(
                [
                    TEN_MINUTES[name],
                    run["steps"],
                    f"{run['cpu_seconds'] / len(run['per_trial']):.0f}",
                    min(of(run, "classes_present")),
                    f"{min(of(run, 'smallest_class_share')):.1%}",
                    f"{statistics.median(distances):.2f}",
                    f"{distances[0]:.2f} to {distances[-1]:.2f}",
                    f"{excess(run) / excess(before):.2f}" if before else "",
                ]
            )
    head = ["run", "generator updates", "CPU seconds", "classes (of 10)", "smallest class"]
    head += ["Frechet distance", "least and largest", "above real data, share of the first row's"]
    return markdown.table(head, rows)


# recorded runs with and without labels, of the same data
CONDITIONAL = (
    ("digits-wgan_gp", *(f"digits-wgan_gp-{way}" for way in ("projection", "concat", "auxiliary"))),
    ("fashion-wgan_gp", "fashion-wgan_gp-projection"),
)


def classes() -> str:
    """Lists runs with labels below the one without, of each data set."""
    rows = []
    for names in CONDITIONAL:
        for name in filter(results.metrics, names):
            run = results.metrics(name)
            quality = run["quality"]
            figure = lambda key, of=quality: of.get(key, "")
            rows.append(
                [
                    f"`{command_of(name)}`",
                    run["steps"],
                    figure("asked_for_share"),
                    figure("smallest_asked_for_share"),
                    figure("frechet_distance"),
                    figure("frechet_distance_of_real"),
                    figure("frechet_within_classes"),
                    figure("frechet_within_classes_of_real"),
                ]
            )
    head = ["run", "generator updates", "of the class asked for (share)", "the worst class's"]
    head += ["Frechet distance", "Frechet, real data", "within classes, mean"]
    head += ["within classes, real data"]
    return markdown.table(head, rows)


# recorded run -> {figure of its quality: what it is, with its unit}
OWN_DATA = {
    "table-diabetes": {
        "column_w1": "W1 of a number, mean (standard deviations)",
        "total_variation": "total variation of the category (share)",
        "correlation_difference": "difference of correlations, mean",
        "copied_share": "rows copied from the training data (share)",
    },
    "series-lorenz": {
        "marginal_w1": "W1 of the values, mean (standard deviations)",
        "step_w1": "W1 of the steps, mean (standard deviations)",
        "autocorrelation_difference": "difference of autocorrelations, mean",
    },
}


def own_data() -> str:
    """Lists the figures of a table's and of series' samples beside those of real data."""
    rows = []
    for name, figures in OWN_DATA.items():
        run = results.metrics(name)
        for figure, what in figures.items() if run else ():
            quality, command = run["quality"], f"`{command_of(name)}`"
            real = quality.get(f"{figure}_of_real", "")
            rows.append([command, f"{run['seconds']:.0f}", what, quality[figure], real])
    return markdown.table(["run", "training, s", "figure", "samples", "real data"], rows)


def alarm() -> str:
    """Counts how often the alarm was right, on runs that its thresholds never saw."""
    rows = []
    for name, what in (("alarm", "8 Gaussians"), ("alarm_images", "digits and Fashion-MNIST")):
        if run := results.metrics(name):
            settings = {(r.get("dataset"), r["setting"]) for r in run["per_run"]}
            figures = (run[x] for x in ("runs", "bad", "warned", "hits", "precision", "recall"))
            rows.append([what, len(settings), *figures])
    head = ["data", "settings", "runs", "bad runs", "runs with a warning", "bad ones among them"]
    return markdown.table([*head, "precision", "recall"], rows)


def pipeline() -> str:
    """Compares what the data pipeline delivers with what the training step takes."""
    rows = []
    for name, what in (
        ("pipeline-array", "Fashion-MNIST, an array"),
        ("pipeline-tfds", "a TFDS folder"),
    ):
        run = results.metrics(name)
        if run:
            rates = ("images_per_second", "images_per_second_needed", "images_per_second_streamed")
            rows.append([what, *(run[rate] for rate in rates), f"{run['share_waiting']:.1%}"])
    head = ["data", "read alone, images/s", "needed by the step, images/s"]
    return markdown.table(
        [*head, "streamed training, images/s", "device waits, % of the time"], rows
    )


def during_training() -> str:
    """Lists the last measurement of runs with --w1-every."""
    rows = []
    for name in ("w1-every-wgan_gp", "w1-every-gan", "w1-every-digits"):
        run = results.metrics(name)
        if run:
            found = run["transport"]
            # Points have a world's W1, images that of their finite samples, by pixels.
            kind = "exact_w1" if "exact_w1" in found else "sample_w1"
            rows.append(
                [
                    f"`{command_of(name)}`",
                    "between points" if kind == "exact_w1" else "between images, by pixels",
                    *(f"{found[k]:.3f}" for k in (kind, f"{kind}_of_real", "critic_estimate")),
                    f"{found['critic_estimate_per_slope']:.3f}",
                    f"{found['critic_held_out_gap']:.3f}",
                    f"{found['seconds']:.1f}",
                ]
            )
    head = ["run", "what W1 is of", "exact W1, samples", "exact W1, real data", "critic's estimate"]
    head += ["estimate / slope", "train - held-out (score)", "one measurement, s"]
    return markdown.table(head, rows)
