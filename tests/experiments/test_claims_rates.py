"""Rates of explosion and vanishing: powers and layers of known slopes, and every part runs."""

import json

import numpy as np
import pytest

from experiments.claims import c07_clipping, rates


def test_slopes_are_powers_and_decades():
    steps = np.array([10, 30, 100, 300])
    values = np.stack([3.0 * steps**2.0, 5.0 / steps, np.ones(4)], axis=1)  # [T, K]
    np.testing.assert_allclose(rates.slopes(np.log10(steps), values), [2, -1, 0], atol=1e-9)
    # a gradient of 0 is very small, and not missing
    assert np.isfinite(rates.slopes([0.0, 1.0], np.zeros((2, 1)))).all()


def test_only_the_second_half_counts():
    steps, values = [1, 2, 4, 8], np.array([[9.0], [0.1], [4.0], [8.0]])
    np.testing.assert_allclose(rates.late(steps, values), [1.0])


def test_a_gradient_that_grows_towards_the_data_has_a_positive_rate(monkeypatch):
    depth = 4

    class Critic:
        network = None

        def layer_gradients(self, params, points):
            return 10.0 ** (params * np.arange(depth))  # layer 1, next to the data, comes first

    class Trace:
        class states:
            class critic:
                params = np.array([-2.0, -2.0])  # of two seeds

    monkeypatch.setattr(rates, "DEEP", ((depth, 8),))
    monkeypatch.setattr(c07_clipping, "deep_critic", lambda *size: Critic())
    monkeypatch.setattr(c07_clipping, "members", lambda critic, scale: {"c": scale})
    monkeypatch.setattr(rates.worlds, "play", lambda *args, **keywords: Trace)
    [row] = rates.deep(range(2), 32)
    assert (row["depth"], row["width"]) == (depth, 8)
    np.testing.assert_allclose([row["rate"], row["low"], row["high"]], 2.0)


@pytest.mark.parametrize(
    "claim", [pytest.param(c, marks=[pytest.mark.slow] * (c != "C15")) for c in rates.PARTS]
)
def test_every_part_gives_a_row_for_each_size(claim, monkeypatch, capsys):
    monkeypatch.setattr(rates, "SIZES", ((2, 4),))
    monkeypatch.setattr(rates, "DEEP", ((2, 4),))
    rates.main(["--claim", claim, "--seeds", "2", "--steps", "32", "--json"])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {row["claim"] for row in found["rows"]} == {claim}
    assert len(found["rows"]) == {"C5": 2, "C7": 4}.get(claim, 1)
    assert all(row["low"] <= row["rate"] <= row["high"] for row in found["rows"])
    lines = rates.table(found).splitlines()
    assert len(lines) == 2 + len(found["rows"])
    assert {line.replace("\\|", "").count("|") for line in lines} == {1 + len(rates.HEAD)}


def test_an_unknown_claim_is_one_line(capsys):
    with pytest.raises(SystemExit):
        rates.main(["--claim", "C8"])
    assert "choose" in capsys.readouterr().err
