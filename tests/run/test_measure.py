"""--w1-every: known answers; resumed is uninterrupted, off changes nothing; words on the page."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import toy2d, wgan_gp
from jwgan import data, report
from jwgan.run import evaluate, exact_w1, launch, tasks
from jwgan.types import Algorithm, score_gap

ARGV = ["--width", "8", "--no-quality", "--json", "--batch-size", "8", "--n-critic", "1"]
ARGV += ["--chunk-steps", "2", "--checkpoint-every", "4"]
FIGURES = {
    *("exact_w1", "exact_w1_of_real", "critic_estimate", "critic_slope"),
    *("critic_estimate_per_slope", "critic_held_out_gap"),
}


@pytest.fixture(autouse=True)
def few_points(monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(exact_w1, "POINTS", 100)
    monkeypatch.setattr(exact_w1, "IMAGES", 20)


def known(fake, score, separation=score_gap):
    """A member that generates the rows of `fake` and scores as told."""
    return Algorithm(
        init=None,
        step=None,
        prior=lambda key, num: jnp.arange(num),
        generate=lambda state, z: state[None] + jnp.asarray(fake)[z],
        score=lambda state, x: score(x),
        separation=separation,
    )


def linear(x):
    """Slope 2 along the first coordinate, falling."""
    return -2 * x.reshape(len(x), -1)[:, 0]


def test_a_translation_and_a_linear_critic():
    task = tasks.load_world("eight_gaussians")
    shift = jnp.array([3.0, 0.0])
    found = exact_w1.make(task, known(task.held_out[:100], linear)).metrics(shift)
    assert found.keys() == FIGURES
    assert found["exact_w1"] == pytest.approx(3.0, abs=1e-5)
    assert found["critic_estimate"] == pytest.approx(6.0, abs=1e-5)
    assert found["critic_slope"] == pytest.approx(2.0, abs=1e-6)
    assert found["critic_estimate_per_slope"] == pytest.approx(3.0, abs=1e-5)
    real = np.asarray(task.problem.sample(jax.random.key(2**31 - 2), 100))
    gap = linear(real).mean() - linear(task.held_out[:100]).mean()
    assert found["critic_held_out_gap"] == pytest.approx(gap, abs=1e-5)


def test_a_perfect_generator_shows_the_floor():
    task = tasks.load_world("eight_gaussians")
    fresh = np.asarray(task.problem.sample(jax.random.key(2**31 - 2), 100))
    found = exact_w1.make(task, known(fresh, linear)).metrics(jnp.zeros(2))
    assert found["exact_w1"] == found["exact_w1_of_real"] > 0.05


def test_energies_have_their_sign_turned():
    task = tasks.load_world("eight_gaussians")
    turned = known(
        task.held_out[:100], lambda x: -linear(x), lambda real, fake: score_gap(fake, real)
    )
    found = exact_w1.make(task, turned).metrics(jnp.array([3.0, 0.0]))
    assert found["critic_estimate"] == pytest.approx(6.0, abs=1e-5)


def test_presets_of_energies_carry_their_separation():
    for member in ("ebgan", "began", "wgan_gp"):
        algorithm = toy2d.build(toy2d.Config(member=member, width=4), (2,))
        sign = 1.0 if member == "wgan_gp" else -1.0
        assert float(algorithm.separation(jnp.ones(3), jnp.zeros(3))) == sign


def image_task(held_out):
    images = np.random.default_rng(0).uniform(-1, 1, (60, 2, 2, 1)).astype(np.float32)
    test = np.random.default_rng(1).uniform(-1, 1, (20, 2, 2, 1)).astype(np.float32)
    dataset = data.Dataset("noise", images, test_images=test if held_out else None)
    return tasks.Task("noise", (2, 2, 1), None, test if held_out else images, dataset)


def test_what_was_learnt_by_heart_is_a_share_of_pairs_for_energies_too():
    task = image_task(held_out=True)
    images, half = task.dataset.images, 10  # points of each that the alarm looks at
    mean = lambda x: x.mean((1, 2, 3))
    seen, unseen = mean(images[:half]), mean(task.held_out[:half])
    share = np.mean([a > b for a in seen for b in unseen])
    assert share not in (0, 0.5, 1)
    # Samples, good or bad, have nothing to do with it.
    for fake in (np.full((20, 2, 2, 1), -3.0), task.held_out):
        for sign, separation in ((1, score_gap), (-1, lambda real, fake: score_gap(fake, real))):
            member = known(fake, lambda x, sign=sign: sign * mean(x), separation)
            found = evaluate.sample_metrics(task, member, jnp.zeros((2, 2, 1)))
            assert found["membership_auc"] == pytest.approx(share, rel=1e-6)


def test_images_have_a_name_of_their_own_and_words():
    task = image_task(held_out=True)
    made = exact_w1.make(task, known(task.held_out, linear))
    found = made.metrics(jnp.full((2, 2, 1), 0.5))
    assert "exact_w1" not in found
    assert found["sample_w1"] == pytest.approx(
        1.0, abs=1e-5
    )  # the same images, moved by 0.5 in 4 D
    assert "no estimate of the W1 of the two laws" in made.description
    assert "20 held-out images" in made.description


def test_without_a_held_out_part_there_is_no_gap():
    task = image_task(held_out=False)
    made = exact_w1.make(task, known(task.held_out, linear))
    found = made.metrics(jnp.zeros((2, 2, 1)))
    assert "critic_held_out_gap" not in found
    assert found["sample_w1_of_real"] > 0  # two different halves, not the same images twice
    assert "no held-out part" in made.description


def test_samples_that_ran_away_have_no_figure():
    task = tasks.load_world("eight_gaussians")
    found = exact_w1.make(task, known(task.held_out[:100], linear)).metrics(jnp.full(2, jnp.inf))
    assert "exact_w1" not in found
    assert found["exact_w1_of_real"] > 0


def toy(folder, *extra):
    argv = [*ARGV, "--run-dir", str(folder), *extra]
    launch.main(toy2d.EXPERIMENT, argv)


def last_json(capsys):
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_off_changes_nothing_on_adds_figures_and_resumed_is_the_same(tmp_path, capsys):
    toy(tmp_path / "off", "--steps", "13")
    off = last_json(capsys)
    toy(tmp_path / "on", "--steps", "13", "--w1-every", "6")
    on = last_json(capsys)
    assert "transport" not in off
    assert on["state_sha256"] == off["state_sha256"]
    measured = {row["step"]: row["exact_w1"] for row in rows(tmp_path / "on") if "exact_w1" in row}
    assert list(measured) == [6, 12, 13]
    bare = [{k: v for k, v in row.items() if k not in FIGURES} for row in rows(tmp_path / "on")]
    assert bare == rows(tmp_path / "off")
    assert on["transport"].keys() == FIGURES | {"step", "seconds", "what"}
    assert on["transport"]["step"] == 13
    # stopped where a chunk would not have ended, after a step that is measured
    toy(tmp_path / "half", "--steps", "7", "--w1-every", "6")
    toy(tmp_path / "half", "--steps", "13", "--w1-every", "6", "--resume")
    assert rows(tmp_path / "half") == rows(tmp_path / "on")
    page = (tmp_path / "on/report.html").read_text()
    assert "Exact W1 and the critic’s estimate of it" in page
    assert "which a perfect generator would show" in page
    assert "Exact W1" not in (tmp_path / "off/report.html").read_text()


def test_images_run_and_say_what_it_is(tmp_path, capsys):
    argv = ["--width", "2", "--no-quality", "--json", "--steps", "2", "--batch-size", "8"]
    argv += ["--n-critic", "1", "--chunk-steps", "1", "--w1-every", "1"]
    argv += ["--run-dir", str(tmp_path / "run")]
    launch.main(wgan_gp.EXPERIMENT, argv)
    transport = last_json(capsys)["transport"]
    assert transport["sample_w1"] > transport["sample_w1_of_real"] > 0
    assert "no estimate of the W1" in transport["what"]
    page = (tmp_path / "run/report.html").read_text()
    assert "Neither is the W1 of the laws" in page
    assert np.isfinite(report.read_metrics(tmp_path / "run")["sample_w1"]).sum() == 2


@pytest.mark.parametrize(
    ("every", "says"),
    [
        ("3", "w1_every is 3: give a multiple of --chunk-steps, which is 2, or 0"),
        ("-2", "w1_every is -2: give at least 0"),
    ],
)
def test_steps_that_no_chunk_ends_at(every, says, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        toy(tmp_path / "run", "--w1-every", every)
    assert end.value.code == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
