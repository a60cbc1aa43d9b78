"""Claims' `measure` on runs made by hand: each criterion can be met and can be missed."""

import json
import math
import types

import numpy as np
import pytest

from experiments.claims import (
    c06_no_constraint,
    c08_optimizer,
    c09_loss_and_quality,
    c10_modes,
    c12_one_sided,
    c13_successors,
    c14_batch_norm,
    c15_energy,
    c16_normal_losses,
    digits_began,
    ledger,
    worlds,
)
from experiments.claims.ledger import FAILS, HOLDS, OPEN

SEEDS, TIMES = 6, 4
ANY = range(20, 20 + SEEDS)


def curve(*values):
    """[TIMES, SEEDS]: a curve through `values`, evenly, and almost the same for every seed."""
    line = np.interp(np.linspace(0, 1, TIMES), np.linspace(0, 1, len(values)), values)
    return line[:, None] * (1 + 1e-3 * np.arange(SEEDS))


def trace(w1=(1.0, 1.0), modes=1.0, means=None, largest=None, algorithm=None):
    """A `worlds.Trace` with these curves."""
    return worlds.Trace(
        steps=[10 * (i + 1) for i in range(TIMES)],
        means={name: curve(*values) for name, values in (means or {}).items()},
        largest={name: np.full(SEEDS, float(x)) for name, x in (largest or {}).items()},
        w1_before=np.ones(SEEDS),
        w1=curve(*w1),
        modes=np.full((TIMES, SEEDS), modes) if np.isscalar(modes) else np.asarray(modes),
        high_quality=np.ones((TIMES, SEEDS)),
        w1_of_real=0.1,
        extra=None,
        states=None,
        algorithm=algorithm,
    )


@pytest.fixture
def plays(monkeypatch):
    """Has `worlds.play` return these traces one after another; [(world, keywords)] of the calls."""
    calls = []

    def set_up(traces):
        left = iter(traces)

        def play(algorithm, world, seeds, **keywords):
            assert seeds == ANY
            calls.append((world, keywords))
            return next(left)

        monkeypatch.setattr(worlds, "play", play)
        return calls

    return set_up


def verdicts(module):
    """The verdicts of a full measurement, in the criterion's order; and it can be drawn."""
    found = module.measure(ANY, quick=False)
    assert module.draw(json.loads(json.dumps(found.plot_data))).axes
    return [one.verdict for one in found.conditions]


def test_c6_a_bounded_estimate_is_no_divergence(plays):
    run = lambda most, end=2: trace(
        means={"wasserstein_estimate": (1, end)}, largest={"wasserstein_estimate": most}
    )
    plays([run(1000), run(2)])
    assert verdicts(c06_no_constraint) == [HOLDS, HOLDS, HOLDS]
    plays([run(50, 1), run(4)])
    assert verdicts(c06_no_constraint) == [FAILS, FAILS, FAILS]
    plays([run(math.inf), run(math.nan)])  # what is not finite is huge, with a penalty as well
    assert verdicts(c06_no_constraint) == [HOLDS, HOLDS, FAILS]


def test_c8_compares_adam_and_few_critic_updates_with_rmsprop(plays):
    ends = lambda *values: [trace(w1=(2.0, end)) for end in values]
    calls = plays(ends(0.5, 0.9, 0.8, 2.0))
    assert verdicts(c08_optimizer) == [HOLDS, HOLDS]
    assert [keywords["n_critic"] for _, keywords in calls] == [5, 5, 1, 5]
    plays(ends(0.5, 0.4, 0.8, 2.0))
    assert verdicts(c08_optimizer) == [FAILS, HOLDS]
    plays(ends(0.5, 0.9, 0.3, 2.0))
    assert verdicts(c08_optimizer) == [HOLDS, FAILS]


def test_c9_estimates_must_follow_w1_and_losses_must_not(plays):
    falls, rises, wanders = (3.0, 2.0, 1.0, 0.5), (1.0, 2.0, 3.0, 4.0), (1.0, 3.0, 0.5, 2.0)
    both = {**c09_loss_and_quality.WATCHED, **c09_loss_and_quality.ALSO}

    def run(name, scalar, good):
        estimate = scalar == "wasserstein_estimate"
        # by the bar a loss that rises while W1 falls can be watched as well as one that falls
        watched = (falls if good else rises) if estimate else (wanders if good else falls)
        return trace(w1=falls, means={scalar: watched, "critic_loss": rises})

    good = [run(name, scalar, True) for name, scalar in both.items()]
    plays(good)
    assert verdicts(c09_loss_and_quality) == [HOLDS] * 9
    plays([run(name, scalar, False) for name, scalar in both.items()])
    assert verdicts(c09_loss_and_quality) == [FAILS] * 9
    upside_down = [run(name, scalar, True) for name, scalar in both.items()]
    for one in upside_down:
        for scalar in one.means:
            if scalar == "generator_loss":
                one.means[scalar] = curve(*rises)
    plays(upside_down)  # of each loss, the size of its correlation and then its sign
    assert verdicts(c09_loss_and_quality) == [HOLDS] * 3 + [FAILS, HOLDS] * 3
    plays(good)
    remarks = c09_loss_and_quality.measure(ANY, quick=False).remarks
    assert len(remarks) == len(c09_loss_and_quality.ALSO) + len(c09_loss_and_quality.JS)


def test_c10_counts_modes_of_the_last_evaluation_in_both_worlds(plays):
    share = {"gan_minimax": 0.2, "gan": 0.5, "wgan": 0.75, "wgan_gp": 0.25}
    runs = [trace(modes=share[name]) for name in c10_modes.MEMBERS]
    calls = plays([*runs, *runs])
    assert verdicts(c10_modes) == [HOLDS, FAILS] * 2
    assert [world for world, _ in calls] == ["eight_gaussians"] * 4 + ["twenty_five_gaussians"] * 4
    late = np.zeros((TIMES, SEEDS))
    late[-1] = 1.0  # only the end counts
    runs = [trace(modes=late if name != "gan" else 0.9) for name in c10_modes.MEMBERS]
    plays([*runs, *runs])
    assert verdicts(c10_modes) == [HOLDS] * 4


def test_c12_the_two_sided_penalty_must_be_faster_and_better(plays):
    # two-sided and one-sided, at either weight: equally good at the end, but later
    plays([trace(w1=(1.0, 0.3, 0.2)), trace(w1=(2.0, 1.0, 0.2))] * 2)
    assert verdicts(c12_one_sided) == [HOLDS, FAILS] * 2
    plays([trace(w1=(1.0, 0.3, 0.2)), trace(w1=(2.0, 1.0, 0.4))] * 2)
    assert verdicts(c12_one_sided) == [HOLDS] * 4


def test_c13_every_successor_has_its_own_promise(plays, monkeypatch):
    seconds = {"sngan": [0.5, 0.6, 0.5], "wgan_gp": [1.0, 1.0, 1.1]}
    monkeypatch.setattr(c13_successors, "seconds_per_update", lambda *args: seconds)
    wide = curve(1.0, 0.5) * (1 + np.linspace(0, 1, SEEDS))
    gp, lp, sn, div = (trace(w1=(1.0, end)) for end in (0.5, 0.3, 0.52, 0.3))
    plays([gp._replace(w1=wide), lp, sn, div])
    assert verdicts(c13_successors)[:4] == [HOLDS] * 4
    seconds["sngan"] = [1.0, 1.0, 1.0]
    plays([lp, gp, gp, gp])
    assert verdicts(c13_successors)[:4] == [FAILS] * 4


@pytest.mark.slow
@pytest.mark.rare
def test_c14_measures_the_critics_derivatives_and_compares_final_w1(plays):
    none, layer, batch = (trace(w1=(1.0, end)) for end in (0.30, 0.35, 0.60))
    plays([none, layer, batch])
    assert verdicts(c14_batch_norm) == [HOLDS] * 4
    plays([none, batch, layer])
    assert verdicts(c14_batch_norm) == [HOLDS, HOLDS, FAILS, FAILS]


def test_c15_energies_explode_without_the_margin_only(plays, monkeypatch):
    monkeypatch.setattr(c15_energy, "_low_share", lambda trace: np.full(SEEDS, 0.2))
    run = lambda most, real: trace(
        means={"real_score": (0.1, real), "fake_score": (0.1, most)}, largest={"fake_score": most}
    )
    plays([run(1.5, 0.1), run(1e6, 50.0)])
    assert verdicts(c15_energy) == [HOLDS] * 6
    plays([run(2.5, 0.1), run(90.0, 0.9)])
    assert verdicts(c15_energy) == [FAILS, FAILS, FAILS, HOLDS, HOLDS, HOLDS]
    plays([run(2.5, 0.1), run(2.0, 0.9)])  # it grows, but no higher than with the margin
    assert verdicts(c15_energy)[4:] == [FAILS, HOLDS]
    plays([run(0.01, 0.1), run(0.05, 0.9)])
    assert verdicts(c15_energy)[4:] == [HOLDS, FAILS]


def losses(rng, shift):
    """Losses [TIMES, SEEDS, 355] of which generated ones come from `shift` away to 0."""
    away = np.linspace(shift, 0.1, TIMES)[:, None, None]
    return away + rng.normal(size=(TIMES, SEEDS, 355)) / 10 + 1


def test_c16_normal_losses_are_normal_and_lognormal_ones_are_not(monkeypatch):
    rng = np.random.default_rng(0)
    real, fake = losses(rng, 0.1), losses(rng, 2.0)
    run = types.SimpleNamespace(steps=list(range(TIMES)), real_loss=real, fake_loss=fake)
    monkeypatch.setattr(digits_began, "play", lambda *args, **keywords: run)
    assert verdicts(c16_normal_losses)[:7] == [HOLDS] * 7
    run.real_loss = np.exp(5 * real)
    assert verdicts(c16_normal_losses)[:3] == [FAILS] * 3


@pytest.mark.parametrize("number", ["C1", "C2"])
def test_what_is_exact_holds_and_what_was_not_trained_is_open(number):
    found = ledger.module(number).measure(range(3), quick=True)
    certain = {one.verdict for one in found.conditions if one.certain}
    rest = {one.verdict for one in found.conditions if not one.certain}
    assert (certain, rest) == ({HOLDS}, {OPEN})
