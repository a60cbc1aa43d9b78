"""--seeds and --sweep from the command line: every trial is its solo run, and is shown as one."""

import json
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import sample, toy2d, wgan_gp
from jwgan import many, report
from jwgan.run import console, evaluate, launch, options, sweep, sweep_build, sweep_session, tasks
from jwgan.run import sample as run_sample

# Its runs are made once, by one worker.
pytestmark = pytest.mark.xdist_group("many_runs")

TINY = ["--chunk-steps", "2", "--checkpoint-every", "2", "--batch-size", "8", "--width", "2"]
DIGITS = [*TINY, "--latent", "4", "--no-quality", "--json", "--ema", "0.5"]
TOY = [*TINY, "--n-critic", "1", "--no-quality", "--json", "--steps", "8"]
SWEEP = ["--seeds", "2", "--sweep", "weight=1,10", "--sweep", "n_critic=1,2", "--seed", "3"]
LABELS = [
    f"seed {seed}, weight {weight}, n_critic {n}"
    for n in (1, 2)
    for weight in (1, 10)
    for seed in (3, 4)
]
BAD = 5  # the step in which a trial dies, see `failing`


def digits(folder, *argv):
    full = [*DIGITS, "--run-dir", str(folder), *argv]
    launch.main(wgan_gp.EXPERIMENT, full)


def toy(folder, *argv, build=toy2d.build):
    full = [*TOY, "--run-dir", str(folder), *argv]
    launch.main(toy2d.EXPERIMENT._replace(build=build, name="toy2d"), full)


def last(capsys):
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A sweep of 6 steps, and the same one stopped after 4 and resumed."""
    folder = tmp_path_factory.mktemp("many")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(folder / "cache"))
        digits(folder / "whole", "--steps", "6", *SWEEP)
        digits(folder / "half", "--steps", "4", *SWEEP)
        digits(folder / "half", "--steps", "6", *SWEEP, "--resume")
    return folder


def read(path):
    return json.loads(path.read_text())


def test_every_trial_has_its_label_everywhere(runs):
    described, result = read(runs / "whole/config.json"), read(runs / "whole/result.json")
    assert [each["label"] for each in described["trials"]] == LABELS
    assert [each["label"] for each in result["per_trial"]] == LABELS
    assert described["trials"][3] == {
        "label": LABELS[3], "setting": "weight 10, n_critic 1", "seed": 4, "weight": 10.0,
        "n_critic": 1,
    }  # fmt: skip
    page = (runs / "whole/report.html").read_text()
    assert all(label in page for label in LABELS)
    board = b"".join(path.read_bytes() for path in (runs / "whole/tensorboard").iterdir())
    tags = [f"penalty/{label}".replace(",", "_").replace(" ", "_").encode() for label in LABELS]
    assert all(tag in board for tag in tags)


def test_a_trial_has_the_figures_of_its_solo_run(runs, tmp_path):
    together = report.read_metrics(runs / "whole")
    digits(tmp_path / "7", "--seed", "4", "--weight", "10", "--n-critic", "2", "--steps", "6")
    alone = report.read_metrics(tmp_path / "7")
    assert alone.keys() == together.keys()
    for name in alone.keys() - {"step"}:
        assert together[name].shape == (7, 8)  # the last row is the last evaluation's
        np.testing.assert_allclose(together[name][:, 7], alone[name], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_resumed_equals_uninterrupted(runs):
    whole, half = (read(runs / name / "result.json") for name in ("whole", "half"))
    assert half["state_sha256"] == whole["state_sha256"]
    texts = [(runs / name / "metrics.jsonl").read_text() for name in ("whole", "half")]
    assert texts[0] == texts[1]


def test_samples_of_a_trial(runs, tmp_path, capsys):
    drawn = []
    for i in (0, 7):
        out = tmp_path / f"{i}.npy"
        run_sample.main(
            sample.find, [str(runs / "whole"), "--trial", str(i), "--num", "3", "--out", str(out)]
        )
        drawn.append(np.load(out))
        assert f"of trial {i} ({LABELS[i]}; --trial for another)" in capsys.readouterr().out
    assert drawn[0].shape == (3, 8, 8, 1)
    assert (drawn[0] != drawn[1]).any()
    with pytest.raises(SystemExit):
        run_sample.main(sample.find, [str(runs / "whole"), "--trial", "8"])
    assert f"give 0 to 7, from {LABELS[0]} to {LABELS[7]}" in capsys.readouterr().err


def test_the_page_has_a_band_and_a_colour_for_each_setting(runs):
    page = (runs / "whole/report.html").read_text()
    chart = page[page.index("<h3>Penalty</h3>") :].split("</svg>")[0]
    assert chart.count('class="band"') == 4
    for i, setting in enumerate(["weight 1, n_critic 1", "weight 10, n_critic 2"]):
        color = f"background:var(--m{3 * i})'></i>{setting} "
        assert color in chart


def failing(*seeds):
    """toy2d's build, whose trials of these seeds have a NaN for loss in step BAD."""

    def build(config, shape):
        algorithm = toy2d.build(config, shape)

        def step(state, batch):
            after, info = algorithm.step(state, batch)
            keys = jnp.stack([jax.random.key_data(jax.random.key(seed)) for seed in seeds])
            mine = (keys == jax.random.key_data(state.key)[None]).all(axis=1).any()
            bad = mine & (state.step >= BAD)
            return after, info._replace(critic_loss=jnp.where(bad, jnp.nan, info.critic_loss))

        return algorithm._replace(step=step)

    return build


@pytest.mark.slow
def test_a_trial_dies_and_the_others_go_on(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    toy(tmp_path / "run", "--seeds", "2", build=failing(1))
    captured = capsys.readouterr()
    result = json.loads(captured.out.strip().splitlines()[-1])
    assert result["steps"] == 8
    assert [row["died"] for row in result["per_trial"]] == ["", "critic_loss is nan at step 5"]
    line = "seed 1: critic_loss is nan at step 5; it counts no more"
    assert line in result["warnings"]
    assert line in captured.err
    assert line in (tmp_path / "run/report.html").read_text()
    rows = report.read_metrics(tmp_path / "run")
    assert np.isfinite(rows["critic_loss"][:8, 0]).all()
    assert np.isnan(rows["critic_loss"][:8, 1]).tolist() == [False] * BAD + [True] * 3
    # The table to choose by: the dead trial stands last, and the terminal shows it as well.
    assert [row["trial"] for row in result["best_first"]] == [0, 1]
    assert result["best_first"][1]["not_finite"] == "critic_loss is nan at step 5"
    assert "sliced_distance" in result["best_first"][0]
    assert "Trials, best first" in captured.err
    assert "{" not in captured.err


@pytest.mark.slow
def test_without_a_trial_left_the_run_ends(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(SystemExit) as end:
        toy(tmp_path / "run", "--seeds", "2", build=failing(0, 1))
    assert end.value.code == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert "no trial is left, the last was seed 1: critic_loss is nan at step 5" in line


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--sweep", "width=4,8"], "sweep names 'width': what can be swept here is n_critic, ema,"),
        (["--sweep", "weight=1,-1"], "weight is -1.0: give a weight >= 0"),
        (["--sweep", "n_critic=1,0"], "n_critic is 0: give at least 1"),
        (["--sweep", "n_critic=1.5"], "give numbers, as in n_critic=1,10"),
        (["--sweep", "weight=1,1"], "give each value once"),
        (["--sweep", "weight=1", "--sweep", "weight=2"], "names 'weight' twice"),
        (["--sweep", "weight"], "give NAME=VALUE,VALUE,..."),
        (["--seeds", "0"], "seeds is 0: give at least 1"),
        (["--seeds", "5000"], "make 5000 trials: give at most 4096"),
        (["--seeds", "2", "--stream"], "stream is True with --seeds or --sweep"),
        (["--seeds", "3", "--devices", "2"], "devices is 2: give a divisor of the 3 trials"),
        (["--seeds", "2", "--on-nonfinite", "restore"], "on_nonfinite is 'restore' with"),
        (["--seeds", "2", "--w1-every", "50"], "w1_every is 50 with --seeds or --sweep"),
        (["--seeds", "2", "--distributed"], "distributed is True with --seeds or --sweep"),
    ],
)
def test_what_is_refused(argv, says, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        digits(tmp_path / "run", "--n-critic", "1", *argv)
    assert end.value.code == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_an_option_that_cannot_be_traced_is_refused():
    """Found by tracing the build, whatever the option is called."""

    def build(config, shape):
        return wgan_gp.build(config, shape) if config.weight > 1 else None

    config = wgan_gp.Config(sweep="weight=2,3", width=2)
    with pytest.raises(
        ValueError,
        match=r"sweep names 'weight': .* n_critic, ema, learning_rate, critic_learning_rate, b1",
    ):
        sweep_build.assemble(config, build, tasks.from_config(config))


def test_trials_are_seeds_of_each_setting():
    config = wgan_gp.Config(seeds=2, seed=5, sweep="learning-rate=1e-3,1e-4")
    found = sweep.trials(config)
    assert [(m.config.seed, m.config.learning_rate) for m in found] == [
        (5, 1e-3), (6, 1e-3), (5, 1e-4), (6, 1e-4),
    ]  # fmt: skip
    assert [m.setting for m in found] == ["learning_rate 0.001"] * 2 + ["learning_rate 0.0001"] * 2
    assert all(m.config.seeds == 1 and not m.config.sweep for m in found)


def test_quality_is_summed_up_over_the_seeds_of_a_setting():
    row = lambda setting, died, w1: {
        "setting": setting, "died": died, "quality": {"exact_w1": w1} if w1 else {},
    }  # fmt: skip
    rows = [row("a", "", 1.0), row("a", "", 3.0), row("a", "", 2.0), row("b", "nan", None)]
    assert sweep_session.by_setting(rows) == {
        "a": {
            "runs": 3,
            "not_finite": 0,
            "exact_w1": {"median": 2.0, "lower_quartile": 1.5, "upper_quartile": 2.5},
        },
        "b": {"runs": 1, "not_finite": 1},
    }


def ranked(rows, swept=()):
    """Trials in the order of `best_first`, of rows of figures."""
    sweep_of = types.SimpleNamespace(swept=list(swept))
    full = [{"seed": 0, "died": "", "quality": {}, **row} for row in rows]
    return sweep_session.best_first(sweep_of, {"per_trial": full})


@pytest.mark.parametrize(
    ("rows", "order"),
    [
        ([], []),
        ([{}, {}], [0, 1]),
        (
            [{"sliced_distance": 2.0}, {"sliced_distance": None}, {"sliced_distance": 1.0}],
            [2, 0, 1],
        ),
        (
            [
                {"sliced_distance": 1.0, "quality": {"exact_w1": 3.0}},
                {"sliced_distance": 2.0, "quality": {"exact_w1": 2.0}},
                {"sliced_distance": None, "died": "nan"},
            ],
            [1, 0, 2],
        ),
        (
            [{"quality": {"frechet_distance": x, "exact_w1": -x}} for x in (5.0, 0.0, 9.0)],
            [1, 0, 2],
        ),
    ],
    ids=["none", "no figures", "distance", "w1 before distance", "frechet first"],
)
def test_the_best_trial_comes_first(rows, order):
    assert [row["trial"] for row in ranked(rows)] == order


def test_the_table_has_what_helps_to_choose(capsys):
    quality = {"exact_w1": 1.0, "exact_w1_of_real": 0.1, "modes": 8, "modes_covered": 3}
    [row] = ranked([{"b1": 0.5, "c": 0.1, "quality": quality, "coverage": 0.5}], ["b1", "c"])
    assert row == {
        "trial": 0, "seed": 0, "b1": 0.5, "c": 0.1, "exact_w1": 1.0, "modes_covered": 3,
        "coverage": 0.5,
    }  # fmt: skip
    console.print_ranking([row] * (console.ROWS + 2))
    shown = capsys.readouterr().err
    assert "2 more are on the page" in shown
    assert shown.count("0.1") == console.ROWS


@pytest.mark.parametrize("option", ["b1", "b2", "learning_rate", "weight", "ema"])
def test_numbers_of_the_main_job_can_be_swept(option):
    config = wgan_gp.Config(sweep=f"{option}=0.25,0.5", width=2, n_critic=1)
    together = sweep_build.assemble(config, wgan_gp.build, tasks.from_config(config))
    assert together.swept == [option]


@pytest.mark.slow
def test_a_trials_quality_is_its_solo_runs(monkeypatch):
    monkeypatch.setattr(evaluate, "POINTS", 40)
    config = toy2d.Config(width=2, batch_size=4, sweep="weight=1,10")
    together = sweep_build.assemble(config, toy2d.build, toy2d.load(config))
    states = together.algorithm.init(together.keys, together.source.batch)
    found = sweep_session._quality(together, states, [1])
    alone = toy2d.build(together.trials[1].config, (2,))
    expected = evaluate.quality(together.task, alone, many.trial(states, 1))
    assert found[0] == {}
    assert found[1] == pytest.approx(expected, rel=1e-4)
    rows = [{"setting": m.setting, "died": ""} for m in together.trials]
    result = {"per_trial": rows}
    sweep_session.add_quality(together, states, result)
    assert result["quality"]["weight 10"]["exact_w1"]["median"] == pytest.approx(
        expected["exact_w1"], rel=1e-3
    )


def test_a_repeated_option_is_joined():
    config = options.parse(wgan_gp.Config, ["--sweep", "a=1,2", "--sweep", "b=3"], "")
    assert config.sweep == "a=1,2 b=3"
    assert options.parse(wgan_gp.Config, [], "").sweep == ""
