"""C11's counts on qualities written by hand, and that nothing of the grid is missing."""

import json
import math

import numpy as np
import pytest

from experiments.claims import architectures, c11_robustness, ledger, page
from jwgan import data
from jwgan.report import article


def test_the_threshold_itself_is_a_success_and_nan_is_not():
    quality = [0.9, 0.8999, 1.01, float("nan"), architectures.NOT_FINITE]
    assert c11_robustness.succeeds(quality).tolist() == [True, False, True, False, False]
    assert c11_robustness.succeeds(quality, 0.5).tolist() == [True, True, True, False, False]


def test_the_grid_is_every_member_on_every_architecture_once():
    cells = c11_robustness.cells(quick=False)
    assert len(cells) == len(set(cells)) == 7 * 7
    assert {a for a, _ in cells} == set(architectures.ARCHITECTURES)
    assert {m for _, m in cells} == set(architectures.MEMBERS)
    assert {m for _, m in c11_robustness.cells(quick=True)} == {
        c11_robustness.GAN,
        c11_robustness.GP,
    }


def test_the_seven_architectures_differ():
    pairs = [repr(architectures.pair(name, "wgan_gp")) for name in architectures.ARCHITECTURES]
    assert len(set(pairs)) == 7
    assert repr(architectures.random_pair(3, "dcgan")[1]) == repr(
        architectures.random_pair(3, "wgan_gp")[1]
    )


def test_a_penalised_critic_has_no_batch_norm():
    for name in architectures.ARCHITECTURES:
        critic, _ = architectures.pair(name, "wgan_gp")
        assert critic.norm in (None, architectures.norm_of("wgan_gp"))
    assert architectures.norm_of("wgan_gp").__name__ == "layer_norm"
    assert architectures.norm_of("dcgan").__name__ == "batch_norm"
    assert architectures.norm_of("sngan") is None


def test_the_table_counts_who_succeeds():
    gan = [0.92, 0.1, 0.1, 0.96, float("nan"), 0.7]
    gp = [0.1, 0.92, 0.97, 0.96, 0.1, 0.92]
    rows = {row.pop("threshold"): row for row in c11_robustness.table(gan, gp)}
    assert tuple(rows) == c11_robustness.THRESHOLDS
    assert rows[0.9] == {"only_gan": 1, "only_gp": 3, "both": 1, "neither": 1}
    assert rows[0.95] == {"only_gan": 0, "only_gp": 1, "both": 1, "neither": 4}
    assert rows[0.7] == {"only_gan": 1, "only_gp": 2, "both": 2, "neither": 1}


def test_where_no_architecture_tells_them_apart_nothing_is_decided():
    row = {"threshold": 0.9, "only_gan": 0, "only_gp": 0, "both": 5, "neither": 1}
    assert all(map(math.isnan, c11_robustness.discordant(row)))
    assert ledger.above("x", c11_robustness.discordant(row), 0.5).verdict == ledger.OPEN
    assert c11_robustness.discordant(row | {"only_gan": 2, "only_gp": 6})[0] == 0.75


def test_counts_by_threshold():
    quality = {
        "a": {"gan": [0.95, 0.1], "wgan_gp": [0.9, 0.96]},
        "b": {"gan": [0.85], "wgan_gp": [1]},
    }
    head, counted = c11_robustness.grid_counts(quality)
    assert head == ["quality at least, of 3 runs", "gan", "wgan_gp"]
    assert [row[0] for row in counted] == list(c11_robustness.THRESHOLDS)
    assert [0.9, 1, 3] in counted
    assert [0.8, 2, 3] in counted
    head, counted = c11_robustness.random_counts(c11_robustness.table([0.92, 0.1], [0.1, 0.97]))
    assert head[1:] == ["only dcgan", "only wgan_gp", "both", "neither"]
    assert [0.9, 1, 1, 0, 0] in counted
    assert [0.95, 0, 1, 0, 1] in counted


def by_hand(rivals, gp):
    quality = {
        name: {
            member: [gp if member == "wgan_gp" else rivals] * 8 for member in architectures.MEMBERS
        }
        for name in architectures.ARCHITECTURES
    }
    return quality, c11_robustness.table([rivals] * 20, [gp] * 20)


@pytest.mark.parametrize(
    ("rivals", "gp", "verdict"),
    [(0.5, 0.95, ledger.HOLDS), (0.95, 0.5, ledger.FAILS), (0.95, 0.95, ledger.FAILS)],
)
def test_the_criterion_on_qualities_made_by_hand(rivals, gp, verdict):
    conditions = c11_robustness.conditions(*by_hand(rivals, gp))
    assert len(conditions) == 5
    assert ledger.verdict(conditions) == verdict
    assert not any(one.certain for one in conditions)


def test_noise_has_quality_0_real_images_1_and_broken_ones_less():
    digits = data.digits()
    quality = architectures.make_quality(digits, architectures.pixels)
    noise = np.random.default_rng(1).uniform(-1, 1, (1000, 8, 8, 1))
    assert quality(noise) == pytest.approx(0.0, abs=0.01)
    assert quality(digits.images[:1000]) == pytest.approx(1.0, abs=0.01)
    assert quality(digits.images[:1] + 0 * noise) < 0.9  # one image again and again
    assert quality(noise * float("nan")) == architectures.NOT_FINITE
    far = digits._replace(test_images=digits.test_images / 2 + noise[: len(digits.test_images)])
    quality = architectures.make_quality(
        far, architectures.pixels
    )  # real images are far from these
    assert quality(digits.images[:1000]) == pytest.approx(1.0, abs=0.02)


def test_a_picture_from_json_marks_what_failed():
    square = np.full((9, 8, 8), 50).tolist()
    drawn = {
        "quality": {"a": {"gan": [0.1, 0.2], "wgan_gp": [0.95, 0.99]}},
        "samples": {"a": {"gan": square, "wgan_gp": square}},
    }
    figure = c11_robustness.draw(json.loads(json.dumps(drawn)))
    assert [ax.get_xlabel() for ax in figure.axes] == ["0 of 2 above 0.9", "2 of 2 above 0.9"]
    assert [ax.get_title() for ax in figure.axes] == ["gan", "wgan_gp"]
    counts = {"threshold": 0.9, "only_gan": 0, "only_gp": 3, "both": 2, "neither": 1}
    result = {
        **ledger.describe("C11")._asdict(),
        "verdict": ledger.HOLDS,
        "bars": [],
        "remarks": [],
        "seeds": 2,
        "quick": False,
        "cpu_minutes": 1.0,
        "drawn": {**drawn, "table": [counts]},
    }
    tables = [block for block in page.blocks_of("C11", result) if isinstance(block, article.Table)]
    # The first two have what is asserted and the bars.
    assert [table.rows for table in tables[3:]] == [[[0.9, 0, 3, 2, 1]]]
    assert tables[2].rows[4] == [0.9, 0, 2]
    colours = [ax.spines["left"].get_edgecolor() for ax in figure.axes]
    assert colours[0] != colours[1]


@pytest.mark.slow
@pytest.mark.rare
def test_a_cell_is_trained_and_gives_images_of_each_seed():
    images = np.zeros((64, 8, 8, 1), np.float32)
    x = architectures.samples(
        "gan", architectures.plain_pair("gan"), images, seeds=range(2), steps=2
    )
    assert x.shape == (2, architectures.SAMPLES, 8, 8, 1)
    assert np.isfinite(x).all()
    assert np.abs(x[0] - x[1]).max() > 0.01  # the seeds are different runs


def test_an_interrupted_grid_goes_on_where_it_was(tmp_path):
    trained = []

    def train(name, member, players, seeds):
        trained.append((name, member, players))
        if players == "stop":
            raise KeyboardInterrupt
        return [0.5, -1.0], [[1, 2]]

    cells = c11_robustness.Cells(tmp_path / "cells", train)
    first = cells.get("a", "gan", str.upper, range(2))
    with pytest.raises(KeyboardInterrupt):
        cells.get("b", "gan", lambda member: "stop", range(2))
    again = c11_robustness.Cells(tmp_path / "cells", train)
    assert list(again.get("a", "gan", str.upper, range(2))) == list(first)
    assert trained == [("a", "gan", "GAN"), ("b", "gan", "stop")]
    again.get("a", "gan", str.upper, range(3))  # other seeds are another cell
    again.get("b", "gan", str.upper, range(2))
    assert len(trained) == 4
    assert again.remarks()[0].startswith("1 of 3 cells were trained in earlier runs")
    assert cells.remarks() == ()
    again.forget()
    again.get("a", "gan", str.upper, range(2))
    assert len(trained) == 5
    c11_robustness.Cells(None, train).forget()
