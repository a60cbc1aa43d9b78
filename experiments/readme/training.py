"""Tables of training runs: members, the main job, Fashion-MNIST, alarm, pipeline."""

from experiments import results
from experiments.results import load, markdown

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


def members() -> str:
    rows = []
    for name, (paper, command) in MEMBERS.items():
        run, worlds = results.figures(f"digits-{name}"), results.figures(f"modes-{name}")
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
                markdown.spread(worlds.get("modes_covered"), 1),
                markdown.spread(worlds.get("exact_w1"), 3),
            ]
        )
    real, worlds = results.figures("digits-wgan_gp")["quality"], results.figures("modes-wgan_gp")
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
    return markdown.table(head, rows)


def main_job() -> str:
    run = results.figures("digits-wgan_gp")
    quality = run["quality"]
    return markdown.table(
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
        run = results.figures(f"fashion-{name}")
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
    return markdown.table(head, rows)


def alarm() -> str:
    run = results.figures("alarm")
    settings = {r["setting"] for r in run["per_run"]}
    head = ["runs", "settings", "bad runs", "warned of", "precision", "recall"]
    row = [run["runs"], len(settings), run["bad"], run["warned"], run["precision"], run["recall"]]
    return markdown.table(head, [row])


def pipeline() -> str:
    rows = []
    for name, what in (
        ("pipeline-array", "Fashion-MNIST, an array"),
        ("pipeline-tfds", "a TFDS folder"),
    ):
        run = results.figures(name)
        if run:
            rates = ("images_per_second", "images_per_second_needed", "images_per_second_streamed")
            rows.append([what, *(run[rate] for rate in rates), f"{run['share_waiting']:.1%}"])
    return markdown.table(["rows", "read/s", "needed/s", "trained/s", "waiting"], rows)


def during_training() -> str:
    """The last look of runs with --w1-every."""
    rows = []
    for name in ("w1-every-wgan_gp", "w1-every-gan", "w1-every-digits"):
        run = results.figures(name)
        if run:
            found = run["transport"]
            kind = "exact_w1" if "exact_w1" in found else "sample_w1"
            command = results.load(name)["command"].removeprefix("python -m experiments.")
            rows.append(
                [
                    f"`{command.removesuffix(' --json')}`",
                    "W1" if kind == "exact_w1" else "between samples, by pixels",
                    *(f"{found[k]:.3f}" for k in (kind, f"{kind}_of_real", "critic_estimate")),
                    f"{found['critic_estimate_per_slope']:.3f}",
                    f"{found['critic_held_out_gap']:.3f}",
                    f"{found['seconds']:.1f}",
                ]
            )
    head = ("run", "exact", "samples", "real data", "critic", "over slope", "gap", "s to measure")
    return markdown.table(head, rows)
