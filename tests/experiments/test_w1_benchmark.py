"""The W1 benchmark: grades of critics with known grades, the penalty's bias, the command."""

import json

import cases
import jax
import jax.numpy as jnp
import numpy as np
import optax
import PIL.Image
import pytest

from experiments import results
from experiments.w1_benchmark import __main__ as w1_benchmark
from experiments.w1_benchmark import grading, methods
from experiments.w1_benchmark import tables as w1_tables
from jwgan import critics, loop, networks, objectives, penalties, sources
from jwgan.models import mlp
from jwgan.problems import funnels, pairs

KEY = jax.random.key(5)


def grade(critic_fn, pair, blocks=2):
    figures = jax.jit(lambda key: grading.grade(critic_fn, pair, key, blocks, 2048))(KEY)
    return {name: float(value) for name, value in figures.items()}


def shifted(shift):
    """A normal law moved by `shift`: W1 is its length, the optimal critic is linear."""
    return pairs.translation(lambda key, num: jax.random.normal(key, (num, len(shift))), shift)


# ---- grades --------------------------------------------------------------------------------------


def test_the_exact_potential_has_full_marks():
    """W1_BENCHMARK's ceiling at (8, 16): cos .9995, l2 .0006."""
    made = funnels.benchmark(8, 16)
    w1, se = funnels.TRUTHS[8, 16]
    got = grade(lambda x: -funnels.potential(made, x), funnels.pair(made, w1, se), blocks=4)
    assert got["cos"] > 0.998
    assert got["l2"] < 0.003
    assert abs(got["w1"] - w1) < 4 * got["w1_se"]
    assert abs(got["w1_corrected"] - w1) < 4 * got["w1_se"] + 0.001 * w1
    assert got["max_gradient_norm"] < 1 + 1e-4
    assert got["mean_gradient_norm"] > 0.998


def test_a_linear_critic_has_the_grades_of_its_slope():
    pair = shifted([0.6, -0.8, 0.0])
    optimal = jnp.array([-0.6, 0.8, 0.0])
    got = grade(lambda x: 1.5 * x @ optimal, pair)
    np.testing.assert_allclose([got["cos"], got["l2"]], [1.0, 0.25], rtol=1e-5)
    assert got["max_gradient_norm"] == pytest.approx(1.5, rel=1e-5)
    assert abs(got["w1"] - 1.5) < 4 * got["w1_se"]
    assert got["w1_se"] == pytest.approx(1.5 * np.sqrt(2 / 4096), rel=0.1)
    assert got["w1_corrected"] == pytest.approx(got["w1"] / 1.5, rel=1e-5)
    wrong = grade(lambda x: x[:, 2], pair)
    np.testing.assert_allclose([wrong["cos"], wrong["l2"]], [0.0, 2.0], atol=1e-6)


def test_points_of_the_grades_are_none_of_training():
    seeds = grading.EVALUATION, *range(4)
    data = {jax.random.key_data(jax.random.key(seed)).tobytes() for seed in seeds}
    assert len(data) == len(seeds)
    with pytest.raises(ValueError, match="seed is"):
        w1_benchmark.check(w1_benchmark.Config(seed=2**31 - 1))


# ---- critics alone, and the penalty's bias -------------------------------------------------------

LINEAR = networks.from_fn(
    lambda key, x: {"w": 0.1 * jax.random.normal(key, x.shape[1:])},
    lambda params, x: x @ params["w"],
)


def trained(pair, penalty, seed=0, steps=800, chunk_steps=400):
    algorithm = critics.build(
        LINEAR,
        fake=pair.sample_fake,
        critic_tx=optax.sgd(optax.cosine_decay_schedule(0.1, steps)),
        objective=objectives.wasserstein(),
        penalty=penalty,
    )
    source = sources.from_sampler(pair.sample_real, n_critic=1, batch_size=8)
    state = algorithm.init(jax.random.key(seed), source.batch)
    state = loop.train(algorithm, state, source, steps=steps, chunk_steps=chunk_steps)
    return algorithm, state


@pytest.mark.parametrize("penalty", [penalties.gradient_penalty, penalties.squared_hinge_penalty])
@pytest.mark.parametrize("weight", [1.0, 5.0])
def test_a_penalty_raises_the_slope_by_w1_over_twice_its_weight(penalty, weight):
    """s W - weight (s - 1)^2 is largest at s = 1 + W / (2 weight), and W1 is seen as s W."""
    shift = np.array([0.3, -0.4])
    pair = pairs.point_masses(np.zeros(2), shift)
    algorithm, state = trained(pair, penalty(weight))
    slope = 1 + 0.5 / (2 * weight)
    np.testing.assert_allclose(state.critic.params["w"], -slope * shift / 0.5, rtol=1e-3)
    got = grade(lambda x: algorithm.score(state, x), pair)
    assert got["w1"] == pytest.approx(0.5 * slope, rel=1e-3)
    assert got["w1_corrected"] == pytest.approx(0.5, rel=1e-4)


def test_a_critic_alone_is_a_function_of_its_key():
    pair = shifted([1.0, 0.0])
    runs = [trained(pair, penalties.none(), seed, 8, chunk)[1] for seed, chunk in ((1, 8), (1, 3))]
    other = trained(pair, penalties.none(), 2, 8, 8)[1]
    a, b, c = (np.asarray(state.critic.params["w"]) for state in (*runs, other))
    np.testing.assert_allclose(a, b, rtol=1e-6)
    assert (a != c).all()
    assert int(runs[0].step) == 8


# ---- methods -------------------------------------------------------------------------------------


def test_published_sizes():
    assert [methods.published_width(dim) for dim in (2, 64, 128)] == [128, 128, 256]


@pytest.mark.parametrize(
    "name",
    cases.slow_but(sorted(set(methods.METHODS) - {"penalised", "orthonormal"}), "wgan", "wgan_gp"),
)
def test_every_method_learns_and_keeps_its_bound(name):
    """Hard-Lipschitz critics never see more than W1; none sees less than nothing."""
    made = funnels.benchmark(8, 4)
    pair = funnels.pair(made, *funnels.TRUTHS[8, 4])
    made_methods = methods.METHODS[name](8, pair.sample_real, 40)
    small = [method._replace(batch_size=128) for method in made_methods]
    got = grading.choose(small, pair, 0, chunk_steps=20)
    assert got["cos"] > 0.1
    assert got["w1"] > 0
    if name in ("sngan", "sngan_constant_norm", "sorted_orthogonal", "cones"):
        assert got["max_gradient_norm"] <= 1 + 1e-3
        assert got["w1"] <= pair.w1 + 4 * got["w1_se"]
    assert [row["iteration"] for row in got["on_the_way"]] == [20]
    assert all(got["chosen_by"] >= other["chosen_by"] for other in got["others"])


def test_a_constant_norm_has_the_scores_of_spectral_norm_and_another_gradient():
    """Along W, where the score does not change, the full gradient is none and this one is not."""
    inner = networks.from_linen(mlp.MLPCritic((32, 32)))
    x = jax.random.normal(KEY, (64, 3))
    network, constant = (
        networks.with_spectral_norm(inner, 5),
        methods.with_constant_norm(inner, 5),
    )
    params, state = network.init(jax.random.key(0), x)
    score = lambda net: lambda p: net.apply(p, state, x)[0].sum()
    assert float(score(network)(params)) == pytest.approx(float(score(constant)(params)), rel=1e-5)
    full, part = (jax.grad(score(net))(params) for net in (network, constant))
    along = lambda tree: [
        abs(float(jnp.vdot(g, w)))
        for g, w in zip(jax.tree.leaves(tree), jax.tree.leaves(params), strict=True)
        if w.ndim == 2
    ]
    assert max(along(full)) < 1e-2 * min(along(part))
    spun = constant.apply(params, state, x)[1]["u"], network.apply(params, state, x)[1]["u"]
    for mine, theirs in zip(*spun, strict=True):
        np.testing.assert_array_equal(mine, theirs)


# ---- the command ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command_prints_one_line_and_repeats_itself(monkeypatch, capsys):
    words = "--dim 8 --funnels 4 --method wgan --iterations 4 --chunk-steps 2 --seeds 2 --json"
    monkeypatch.setattr("sys.argv", ["w1_benchmark", *words.split()])
    results = []
    for _ in range(2):
        w1_benchmark.main()
        line = capsys.readouterr().out
        assert line.count("\n") == 1
        results.append(json.loads(line))
    for result in results:
        for run in (result, *result["per_seed"]):
            assert run.pop("seconds") > 0
            assert run.pop("cpu_seconds") > 0
    assert results[0] == results[1]
    got = results[0]
    assert {"dim": 8, "funnels": 4, "pair_seed": 987, "iterations": 4}.items() <= got.items()
    assert got["w1_true"] == 1.87315
    assert got["cos"] == pytest.approx(np.mean([run["cos"] for run in got["per_seed"]]), abs=1e-5)
    assert got["per_seed"][0]["cos"] != got["per_seed"][1]["cos"]


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("--method wgan_gq", "did you mean wgan_gp"),
        ("--dim 3 --funnels 7", "num is 7"),
        ("--seeds 0", "seeds is 0"),
        ("--iterations -1", "iterations is -1"),
        ("--pair-seed -4", "pair_seed is -4"),
    ],
)
def test_bad_options_are_one_line(monkeypatch, capsys, argv, says):
    monkeypatch.setattr("sys.argv", ["w1_benchmark", *argv.split()])
    with pytest.raises(SystemExit) as end:
        w1_benchmark.main()
    assert end.value.code == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


# ---- tables --------------------------------------------------------------------------------------


def test_the_published_figures():
    known = w1_tables.published()
    assert set(known) == set(funnels.TRUTHS)
    assert known[16, 64]["cos"]["GP"] == 0.785
    assert known[128, 256]["l2"]["MM"] == 0.731
    assert w1_tables.best(known[16, 64]) == ("GP", 0.785)
    assert w1_tables.best(known[16, 16], "l2") == ("MM:R", 0.157)
    assert w1_tables.best(known[2, 16]) == ("MM:B", 0.826)  # DOT's .843 is no critic's
    for row in known.values():
        assert {len(row[name]) for name in ("cos", "l2", "w1")} == {11}


def test_tables_show_what_is_recorded(tmp_path, monkeypatch, capsys):
    run = {"cos": 0.9, "l2": 0.1, "w1": 1.55, "w1_corrected": 1.47, "w1_true": 1.5, "seeds": 1}
    run |= {"max_gradient_norm": 1.2, "cpu_seconds": 60.2, "iterations": 6000}
    run |= {"mean_gradient_norm": 1.05, "per_seed": [{"cos": 0.89}, {"cos": 0.91}]}
    for name in ("w1-ours-16-64", "w1-ours-8-4", "w1-wgan_gp-8-4", "w1-ours-8-4-seeds"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"figures": run}))
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setattr("sys.argv", ["w1_benchmark", "--table"])
    w1_benchmark.main()
    shown = capsys.readouterr().out
    assert "above the best published on 1 of 2" in shown  # .785 yes, .966 no
    assert "| 16 | 64 | 0.785 GP | **0.900** | 0.461 | 0.100 | -9.6 | +3.3 | -2.0 |" in shown
    assert "0.900 / 0.961 (6k)" in shown
    assert "| 8 | 4 | GP | 1.075 | 1.050 | +3.3 | -2.0 | 0.900 |" in shown
    assert "0.890 to 0.910" in shown


def test_the_picture_is_drawn(tmp_path, monkeypatch):
    path = tmp_path / "cosines.png"
    monkeypatch.setattr("sys.argv", ["w1_benchmark", "--figure", str(path)])
    w1_benchmark.main()
    with PIL.Image.open(path) as image:
        assert image.width > 500
