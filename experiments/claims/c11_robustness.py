"""C11: on how many architectures does a member train at all?"""

import functools
import json
import pathlib
import shutil
import sys
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from experiments.claims import architectures, ledger
from experiments.claims.ledger import Claim, Measured, Said
from jwgan import data, report
from jwgan.report import plots

CLAIM = Claim(
    title="WGAN-GP is less sensitive to the architecture",
    claim="WGAN-GP trains architectures on which DCGAN, LSGAN and clipping fail, without changing "
    "any number.",
    source="Gulrajani et al., 2017, Improved Training of Wasserstein GANs, section 5.1, table 1 "
    "and figure 2",
    criterion="1,000 generator updates; each member has its paper's rates times 5, n_critic and "
    "norm, the same on all architectures. Quality is (F(noise) - F(samples)) / (F(noise) - "
    "F(real)), F the Frechet distance to held-out images in features of a classifier; a run "
    "succeeds if it is at least 0.9. (a) Over seven architectures and all seeds, wgan_gp's share "
    "of successes is above 0.9. (b) It is above that of wgan, of dcgan and of lsgan: the mean "
    "difference, by seed, is above 0. (c) Of 64 random architectures, one seed each, on which "
    "only one of gan (batch norm in the critic) and wgan_gp (layer norm) succeeds, wgan_gp is that "
    "one in a share above 0.5.",
    data="scikit-learn's 8 x 8 digits, batch 32; convolutions of 16 channels, MLPs of 128 units, "
    "ResNets of 26 layers for the paper's 101; at random: 2 to 4 layers, 5 to 20 channels, and the "
    "GAN of (c) is dcgan. LSGAN has Adam at DCGAN's rate. With so few layers constant filters only "
    "take batch norm from the generator. Images learnt by heart count as good",
    did="We trained members with their papers' settings, and no number changed, on seven "
    "architectures from ordinary to unreasonable, and two of them on 64 architectures drawn at "
    "random.",
    means="If you want to change the networks and leave the rest alone, take the gradient "
    "penalty: it trained all of them.",
)
SAID = {
    "wgan_gp: share of successes": Said("figure 2: trains all of them", none=0.0, number=0.9),
    "share of successes, wgan_gp - wgan": Said("figure 2: the others fail on some", none=0.0),
    "share of successes, wgan_gp - dcgan": Said("figure 2: the others fail on some", none=0.0),
    "share of successes, wgan_gp - lsgan": Said("figure 2: the others fail on some", none=0.0),
    "random architectures that one trains: share that only wgan_gp does": Said(
        "table 1: of those that one trains alone, nearly all", none=0.5
    ),
}
# Updates of a run, and architectures at random (the paper's 200).
STEPS, RANDOM = 1000, 64
SUCCESS = 0.9  # about what 7 of the ten digits have, or a Gaussian with the data's covariance
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, SUCCESS, 0.95)
RIVALS = ("wgan", "dcgan", "lsgan")  # those that the paper compares with
GAN, GP = "dcgan", "wgan_gp"  # of the random architectures
SHOWN = 9  # images of a cell in the picture
Counts = tuple[list[str], list[list[Any]]]  # a table's head and rows
CELLS = pathlib.Path("runs") / "claims" / "C11-cells"


def succeeds(quality: Any, threshold: float = SUCCESS) -> Any:
    """Tells which runs of these qualities [...] succeed, bool [...]; NaN is a failure."""
    # Every comparison with NaN is false.
    return np.asarray(quality, float) >= threshold


def cells(quick: bool) -> list[tuple[str, str]]:
    """Lists (architecture, member) of the grid, in the order in which they are trained."""
    if quick:
        return [("small MLPs", member) for member in (GAN, GP)]
    return [(a, m) for a in architectures.ARCHITECTURES for m in architectures.MEMBERS]


def table(gan: Sequence[float], gp: Sequence[float]) -> list[dict[str, float]]:
    """Counts architectures by who succeeds, a row for each threshold: table 1 of the paper.

    Args:
      gan: [A] qualities of the first member.
      gp: [A] of WGAN-GP on the same architectures.
    """
    rows = []
    for threshold in THRESHOLDS:
        a, b = succeeds(gan, threshold), succeeds(gp, threshold)
        only_gan, only_gp = int((a & ~b).sum()), int((b & ~a).sum())
        both, neither = int((a & b).sum()), int((~a & ~b).sum())
        counts = {"only_gan": only_gan, "only_gp": only_gp, "both": both, "neither": neither}
        rows.append({"threshold": threshold, **counts})
    return rows


def discordant(row: dict[str, float]) -> tuple[float, float, float]:
    """Finds the share (value, low, high) of "only WGAN-GP" where one succeeds; NaN for none."""
    hits, one_alone = int(row["only_gp"]), int(row["only_gp"] + row["only_gan"])
    return ledger.share(hits, one_alone) if one_alone else (float("nan"),) * 3


def conditions(
    quality: dict[str, dict[str, list[float]]], rows: list[dict[str, float]]
) -> list[ledger.Condition]:
    """Applies the criterion.

    Args:
      quality: {architecture: {member: [K]}}.
      rows: the `table` of random architectures.
    """
    won = lambda member: np.stack([succeeds(row[member]) for row in quality.values()])  # [A, K]
    gp = won(GP)
    found = [ledger.above(f"{GP}: share of successes", ledger.share(int(gp.sum()), gp.size), 0.9)]
    mean = lambda x: np.mean(x, axis=-1)
    there = next(iter(quality.values()))
    for rival in (name for name in RIVALS if name in there):  # A quick run has one of them.
        # The mean is over architectures, by seed: [K].
        gap = (gp.astype(float) - won(rival)).mean(axis=0)
        what = f"share of successes, {GP} - {rival}"
        found.append(ledger.above(what, ledger.interval(gap, mean), 0.0))
    row = next(row for row in rows if row["threshold"] == SUCCESS)
    what = "random architectures that one trains: share that only wgan_gp does"
    return [*found, ledger.above(what, discordant(row), 0.5)]


class Cells:
    """Keeps what was trained in a folder until all is there, so that an interrupted run goes on.

    The files know nothing of the code that made them: after a change of it, remove the folder.

    Args:
      folder: for a file of each cell; None keeps nothing.
      train: `(name, member, players, seeds) -> (qualities [K], pixels [N, H, W])`.
    """

    def __init__(self, folder: pathlib.Path | None, train: Any) -> None:
        self.folder, self.train = folder, train
        self.restored = self.asked = 0

    def get(self, name: str, member: str, make: Any, seeds: range) -> tuple[list[float], Any]:
        """Reads a cell's qualities and images from its file, or trains `make(member)`."""
        which = f"seeds {seeds[0]} to {seeds[-1]}"
        path = self.folder and self.folder / f"{name}, {member}, {which}.json"
        self.asked += 1
        if path and path.is_file():
            self.restored += 1
            return tuple(json.loads(path.read_text(encoding="utf-8")))
        # `make` builds the networks, which a restored cell does not need.
        found = self.train(name, member, make(member), seeds)
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            # The file is renamed when it is whole: a run that is cut off leaves no half a cell.
            part = path.with_suffix(".part")
            part.write_text(json.dumps(found), encoding="utf-8")
            part.replace(path)
        return found

    def remarks(self) -> tuple[str, ...]:
        """Says how many cells were not trained in this run; () if all were."""
        if not self.restored:
            return ()
        earlier = f"{self.restored} of {self.asked} cells were trained in earlier runs"
        return (f"{earlier}; the CPU minutes are those of the rest.",)

    def forget(self) -> None:
        """Removes the folder."""
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


def trainer(quick: bool) -> Any:
    """Makes the `train` of `Cells`."""
    digits = data.digits()
    features = architectures.pixels if quick else architectures.classifier_features(digits)
    quality_of = architectures.make_quality(digits, features)

    def train(name: str, member: str, players: Any, seeds: range) -> tuple[list[float], Any]:
        steps = 20 if quick else STEPS
        x = architectures.samples(member, players, digits.images, seeds, steps)
        jax.clear_caches()  # No program is used twice, and a hundred of them fill the memory.
        found = [quality_of(images) for images in x]
        print(f"C11: {name}, {member}: quality {np.round(found, 3).tolist()}", file=sys.stderr)
        # Images of the seed in the middle: the picture is neither the best nor the worst.
        pixels = np.nan_to_num(x[int(np.argsort(found)[len(found) // 2]), :SHOWN, ..., 0])
        return found, np.rint(100 * pixels).astype(int).tolist()

    return train


def measure(seeds: range, quick: bool) -> Measured:
    trained = Cells(None if quick else CELLS, trainer(quick))
    quality: dict[str, dict[str, list[float]]] = {}
    shown: dict[str, dict[str, Any]] = {}
    for name, member in cells(quick):
        make = architectures.plain_pair if quick else functools.partial(architectures.pair, name)
        found, pixels = trained.get(name, member, make, seeds)
        quality.setdefault(name, {})[member] = found
        shown.setdefault(name, {})[member] = pixels
    at_random: dict[str, list[float]] = {GAN: [], GP: []}
    for seed in range(0 if quick else RANDOM):
        make = functools.partial(architectures.random_pair, seed)
        for member in at_random:
            # Each architecture has one seed: the spread of interest is between architectures.
            at_random[member] += trained.get(f"random {seed}", member, make, seeds[:1])[0]
    # Everything is trained: the next run starts anew.
    trained.forget()
    rows = table(at_random[GAN], at_random[GP])
    plot_data = {"quality": quality, "samples": shown, "random": at_random, "table": rows}
    return Measured(conditions(quality, rows), plot_data, trained.remarks())


def grid_counts(quality: dict[str, dict[str, list[float]]]) -> Counts:
    """Counts successes over all architectures, thresholds down and members across."""
    members = list(next(iter(quality.values())))
    runs = {member: [q for row in quality.values() for q in row[member]] for member in members}
    won = lambda at: [int(succeeds(values, at).sum()) for values in runs.values()]
    head = [f"quality at least, of {len(runs[members[0]])} runs", *members]
    return head, [[at, *won(at)] for at in THRESHOLDS]


def random_counts(rows: list[dict[str, float]]) -> Counts:
    """Counts architectures at random, thresholds down and who succeeds across, as the paper."""
    head = ["quality at least, at random", f"only {GAN}", f"only {GP}", "both", "neither"]
    return head, [list(row.values()) for row in rows]


def tables(plot_data: dict[str, Any]) -> list[Counts]:
    """Makes the tables that the page has beside the conditions."""
    return [grid_counts(plot_data["quality"]), random_counts(plot_data["table"])]


def draw(plot_data: dict[str, Any]) -> Any:
    """Draws samples of every cell, members across, architectures down; orange where most fail."""
    names, members = list(plot_data["samples"]), list(next(iter(plot_data["samples"].values())))
    size = (1.3 * len(members) + 1, 1.6 * len(names) + 0.4)
    figure = plots.figure(*size)
    figure.set_layout_engine("constrained")
    axes = figure.subplots(len(names), len(members), squeeze=False)
    for ax, member in zip(axes[0], members, strict=True):
        ax.set_title(member, fontsize=9)
    for row, name in zip(axes, names, strict=True):
        for ax, member in zip(row, members, strict=True):
            # Pixels were rounded to whole per cent for JSON.
            x = np.asarray(plot_data["samples"][name][member], float)[..., None] / 100
            ax.imshow(
                report.image_grid(x, columns=3, scale=5)[..., 0], cmap="gray", interpolation="none"
            )
            good = succeeds(plot_data["quality"][name][member])
            failed = good.mean() < 0.5
            for spine in ax.spines.values():
                spine.set(color=plots.ORANGE if failed else plots.GREEN, linewidth=3)
            ax.set_xticks([])
            ax.set_yticks([])
            ax.set_xlabel(f"{good.sum()} of {good.size} above {SUCCESS}", fontsize=7)
        row[0].set_ylabel(name, fontsize=8)
    return figure
