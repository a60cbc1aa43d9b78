"""experiments.modes and experiments.alarm: trials of toy2d, evaluated and labelled."""

import dataclasses
import json
import types

import jax
import numpy as np
import pytest

from experiments import alarm, alarm_images, modes, toy2d
from jwgan import loop, many
from jwgan.run import alarms, command, evaluate, tasks

SMALL = {"width": 4, "batch_size": 8, "steps": 3}


@pytest.fixture
def no_setup(monkeypatch):
    """The commands leave this process' compilation cache and XLA flags alone."""
    monkeypatch.setattr(command.xla, "use_compilation_cache", lambda: None)
    monkeypatch.setattr(command.xla, "use_eigen", lambda: None)


# --- modes ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_seed_is_the_run_that_toy2d_would_be_alone():
    config = modes.Config(member="gan", seeds=2, n_critic=1, **SMALL)
    result = modes.measure(config)
    task = tasks.load_world(config.dataset)
    algorithm = toy2d.build(config, task.shape)
    source = task.source(1, config.batch_size)
    state = algorithm.init(jax.random.key(1), source.batch)
    state = loop.train(algorithm, state, source, steps=config.steps)
    key = jax.random.split(jax.random.key(13), 2)[1]
    fake = np.asarray(algorithm.sample(key, state, evaluate.POINTS))
    alone = evaluate.world_quality(task, fake)
    assert result["per_seed"][1] == pytest.approx(alone, rel=1e-3)
    values = [row["exact_w1"] for row in result["per_seed"]]
    assert values[0] != values[1]
    assert result["exact_w1"]["median"] == pytest.approx(np.median(values), abs=1e-4)
    assert result["finite"]
    assert result["modes_covered"]["median"] <= result["per_seed"][0]["modes"] == 8


@pytest.mark.slow
def test_a_world_without_modes_has_no_modes_covered(no_setup, capsys):
    argv = ["--dataset", "swiss_roll", "--seeds", "1", "--n-critic", "1", "--json"]
    modes.main([*argv, "--width", "4", "--batch-size", "8", "--steps", "1"])
    result = json.loads(capsys.readouterr().out)
    assert {"exact_w1", "per_seed", "seconds"} <= result.keys()
    assert "modes_covered" not in result
    assert (result["dataset"], result["latent"], result["json"]) == ("swiss_roll", 2, True)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--member", "wgan-gp"], "did you mean wgan_gp?"),
        (["--dataset", "rings"], "did you mean ring?"),
        (["--seeds", "0"], "seeds is 0: give at least 1"),
    ],
)
def test_bad_options_are_one_line(no_setup, capsys, argv, says):
    with pytest.raises(SystemExit) as end:
        modes.main(argv)
    assert end.value.code == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


# --- alarm ----------------------------------------------------------------------------------------

WINDOW = {name: np.ones(4) for name in ("wasserstein_estimate", *alarms.GRADIENTS)}


def algorithm_of(points):
    """An algorithm that samples these points, again and again."""
    return types.SimpleNamespace(sample=lambda key, state, num: np.resize(points, (num, 2)))


@pytest.mark.slow
def test_the_label_is_the_modes_covered():
    task = tasks.load_world("eight_gaussians")
    centres = np.asarray(task.problem.modes)
    for count, bad in ((8, False), (4, False), (3, True)):
        found = alarm.evaluate_run(task, algorithm_of(centres[:count]), None, [WINDOW, WINDOW])
        assert (found["modes_covered"], found["bad"], found["finite"]) == (count, bad, True)


def test_a_run_that_was_not_finite_anywhere_is_bad():
    task = tasks.load_world("eight_gaussians")
    broken = {**WINDOW, alarms.GRADIENTS[0]: np.array([1.0, np.nan, 1.0, 1.0])}
    good = algorithm_of(np.asarray(task.problem.modes))
    found = alarm.evaluate_run(task, good, None, [WINDOW, broken, WINDOW])
    assert (found["modes_covered"], found["bad"], found["finite"]) == (0, True, False)


def row(bad, estimate, finite=True):
    """A run whose alarm rings if the estimate is negative."""
    window = {**WINDOW, "wasserstein_estimate": np.full(4, estimate)}
    sums = {"reference": alarms.add(alarms.EMPTY, WINDOW), "recent": alarms.add({}, window)}
    return {"bad": bad, "finite": finite, "health": {}, **sums}


def test_precision_and_recall_are_counted():
    runs = [row(True, -1.0), row(True, 1.0), row(True, 1.0, finite=False), row(False, -1.0)]
    found = alarm.grade([*runs, row(False, -1.0), row(False, 1.0)], alarms.Thresholds())
    counts = {"runs": 6, "bad": 3, "warned": 4, "hits": 2}
    assert found == {**counts, "precision": 0.5, "recall": 0.6667}
    assert [run["warnings"] for run in runs] == [
        ["estimate_negative"],
        [],
        ["non_finite"],
        ["estimate_negative"],
    ]
    quiet = alarm.grade([row(False, 1.0)], alarms.Thresholds())
    assert (quiet["precision"], quiet["recall"]) == (None, None)


@pytest.mark.slow
@pytest.mark.rare
def test_a_settings_seeds_are_labelled_one_by_one(monkeypatch):
    monkeypatch.setattr(alarm, "TESTING", {"small": ("gan", {"learning_rate": 1e-3}, 1)})
    monkeypatch.setattr(alarm, "WINDOW", 2)
    result = alarm.measure(alarm.Config(seeds=2, **SMALL))
    rows = result["per_run"]
    assert [(r["setting"], r["seed"]) for r in rows] == [("small", 1000), ("small", 1001)]
    for each in rows:
        assert each["reference"]["count"] == 2  # steps 0 and 1
        assert each["recent"]["count"] == 1  # step 2
        assert {"coverage", "coverage_of_real"} <= each["health"].keys()
    assert rows[0]["recent"]["size"] != rows[1]["recent"]["size"]
    assert (result["runs"], result["tune"]) == (2, False)


def test_no_setting_is_in_both_halves():
    assert not alarm.TUNING.keys() & alarm.TESTING.keys()
    for member, _, _ in (alarm.TUNING | alarm.TESTING).values():
        assert member in toy2d.MEMBERS


def test_toy2ds_trials_begin_at_its_seed():
    task = tasks.load_world("ring")
    config = toy2d.Config(member="gan", seed=7, seeds=2, n_critic=2, width=4, batch_size=8)
    runs = toy2d.trials(config, task)
    assert isinstance(runs, many.Trials)
    assert runs.settings == {"seed": [7, 8]}
    assert runs.source.batch.shape == (2, 8, 2)


# --- alarm_images ---------------------------------------------------------------------------------


def test_no_setting_is_in_both_sets():
    """A threshold that was set on a test run would make the figures too good."""
    assert not alarm_images.TUNING.keys() & alarm_images.TESTING.keys()
    for module, given in (alarm_images.TUNING | alarm_images.TESTING).values():
        options = module.EXPERIMENT.with_settings({"width": 2, **given})
        module.build(module.EXPERIMENT.config(**options), (8, 8, 1))


@pytest.mark.slow
def test_pictures_are_judged_by_classes_and_quality():
    task = tasks.load_images("digits")
    judge = alarm_images.make_judge(task)
    rng = np.random.default_rng(1)
    noise = rng.uniform(-1, 1, (1000, *task.shape)).astype(np.float32)
    few = task.dataset.images[task.dataset.labels < 5]
    real, noisy, half = judge(task.dataset.images[:1000]), judge(noise), judge(few)
    assert (real["bad"], noisy["bad"], half["bad"]) == (False, True, True)
    assert real["quality"] == pytest.approx(1, abs=0.03)
    assert noisy["quality"] == pytest.approx(0, abs=0.1)
    assert half["classes_present"] == 5


def test_runs_that_are_done_are_kept(tmp_path, monkeypatch):
    trained = []

    def run_setting(config, task, judge, name, seeds, steps):
        trained.append((name, list(seeds), steps))
        return [{"setting": name, "seed": seed, "bad": False} for seed in seeds]

    monkeypatch.setattr(alarm_images, "run_setting", run_setting)
    monkeypatch.setattr(alarm_images, "make_judge", lambda task: None)
    monkeypatch.setattr(alarm_images.alarm, "graded", lambda config, runs, seconds: runs)
    monkeypatch.setattr(
        alarm_images, "TESTING", {name: alarm_images.TESTING[name] for name in ("lsgan", "sngan")}
    )
    config = alarm_images.Config(dataset="digits", seeds=1, out=str(tmp_path / "runs"))
    first = alarm_images.measure(config)
    assert trained == [("lsgan", [1000], 3000), ("sngan", [1000], 3000)]
    assert alarm_images.measure(config) == first
    assert len(trained) == 2
    more = alarm_images.measure(dataclasses.replace(config, seeds=2))
    assert trained[2:] == [("lsgan", [1001], 3000), ("sngan", [1001], 3000)]
    assert [(run["setting"], run["seed"]) for run in more] == [
        *(("lsgan", 1000), ("lsgan", 1001), ("sngan", 1000), ("sngan", 1001))
    ]
    alarm_images.measure(dataclasses.replace(config, steps=5))
    assert [steps for _, _, steps in trained[4:]] == [5, 5]


@pytest.mark.slow
def test_each_seed_of_a_setting_is_labelled():
    task = tasks.load_images("digits")
    config = alarm_images.Config(seeds=2, width=2, batch_size=8)
    bad = lambda fake: {"bad": bool(np.abs(fake).max() <= 1), "classes_present": 0}
    rows = alarm_images.run_setting(config, task, bad, "wgan_gp", [3, 4], steps=24)
    assert [row["seed"] for row in rows] == [3, 4]
    for row in rows:
        assert row["bad"]
        assert row["finite"]
        assert row["recent"]["count"] == 24 / alarm_images.WINDOWS
        assert "membership_auc" not in row["health"]
    assert rows[0]["health"] != rows[1]["health"]
    graded = alarm.grade(rows, alarms.Thresholds())
    assert (graded["runs"], graded["bad"]) == (2, 2)
