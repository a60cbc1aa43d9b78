"""parallel_lines and divergences: exact curves against closed forms, estimators, pages."""

import json
import math
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import parallel_lines
from experiments.divergences import __main__ as divergences
from experiments.divergences import fitting, gaussians
from jwgan import transport
from jwgan.run import study


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def test_exact_distances_of_the_lines():
    far = parallel_lines.exact(-0.5)
    assert far == {"w1": 0.5, "w1_slope": -1, "js": math.log(2), "js_slope": 0, "kl": math.inf}
    here = parallel_lines.exact(0.0)
    assert (here["w1"], here["js"], here["kl"]) == (0, 0, 0)
    assert math.isnan(here["w1_slope"])
    # the family is what they are exact for
    lines, key = parallel_lines.family(), jax.random.key(0)
    real, fake = lines.real(key, 50), lines.fake(key, 50, -0.5)
    assert transport.exact_w1(real, fake) == pytest.approx(0.5, abs=1e-6)
    np.testing.assert_array_equal(real[:, 1], fake[:, 1])


def test_exact_curves_of_the_gaussians():
    means = [0.5, 2.0, 8.0]
    found = gaussians.exact_curves(means)
    np.testing.assert_allclose(found["kl"], [0.125, 2.0, 32.0], rtol=1e-4)
    np.testing.assert_allclose(found["kl_slope"], means, rtol=1e-4)
    np.testing.assert_allclose(found["w1"], means, rtol=1e-6)
    np.testing.assert_allclose(found["w1_slope"], 1.0, rtol=1e-5)
    # JS' = 1/2 int q' log(q / m): by a central difference of an independent quadrature
    from scipy.integrate import quad
    from scipy.stats import norm

    def js(mu):
        def inside(x):
            p, q = norm.pdf(x), norm.pdf(x, mu)
            return (p * np.log(2 * p / (p + q)) + q * np.log(2 * q / (p + q))) / 2

        return quad(inside, -8, 12, limit=200)[0]

    np.testing.assert_allclose(found["js"][:2], [js(0.5), js(2.0)], atol=1e-5)
    slope = (js(2.001) - js(1.999)) / 0.002
    np.testing.assert_allclose(found["saturating"][1], 2 * slope, atol=1e-4)
    np.testing.assert_allclose(found["non_saturating"][1], 2.0 - 2 * slope, rtol=1e-3)
    assert found["js"][2] == pytest.approx(math.log(2), abs=1e-3)
    assert abs(found["js_slope"][2]) < 1e-3


def test_evaluating_the_best_discriminator_finds_the_theorems_gradients():
    """Logit log p/q = mu^2/2 - mu x: JS, 2 JS' and KL' - 2 JS' (Arjovsky and Bottou, 2017)."""
    mu = 2.0
    best = fitting.make_estimator("discriminator")
    found = fitting.evaluate(
        jax.random.key(0),
        best,
        lambda x: mu**2 / 2 - mu * x[:, 0],
        gaussians.family(),
        jnp.float32(mu),
        200_000,
    )
    truth = gaussians.exact_curves([mu])
    assert float(found["estimate"]) == pytest.approx(float(truth["js"][0]), abs=4e-3)
    assert float(found["saturating_gradient"]) == pytest.approx(
        float(truth["saturating"][0]), abs=8e-3
    )
    assert float(found["non_saturating_gradient"]) == pytest.approx(
        float(truth["non_saturating"][0]), abs=8e-3
    )


def test_a_lipschitz_critic_finds_the_distance_of_two_lines():
    estimator = fitting.make_estimator("lipschitz")
    found = fitting.train_grid(
        estimator, parallel_lines.family(), [-0.5, 0.5], [3, 4], steps=150, num=500
    )
    assert found["estimate"].shape == (2, 2)
    assert (found["estimate"] < 0.5 + 1e-3).all()
    assert (found["estimate"] > 0.45).all()
    np.testing.assert_allclose(found["wasserstein_gradient"], [[-1, -1], [1, 1]], atol=0.1)
    assert found["estimate"][0, 0] != found["estimate"][0, 1]  # seeds differ


def test_plans():
    found = gaussians.plans()
    earth, target = np.array(gaussians.EARTH), np.array(gaussians.TARGET)
    for name in ("poor_plan", "best_plan"):
        matrix = np.array(found[name])
        np.testing.assert_allclose(matrix.sum(axis=1), earth, atol=1e-9)
        np.testing.assert_allclose(matrix.sum(axis=0), target, atol=1e-9)
        assert (matrix >= 0).all()
    area = np.abs(np.cumsum(earth - target)).sum()
    assert found["best_cost"] == pytest.approx(area, abs=1e-9)
    assert found["dual_value"] == pytest.approx(area, abs=1e-9)
    assert found["poor_cost"] > found["best_cost"]
    potential = np.array(found["potential"])
    assert np.abs(np.diff(potential)).max() <= 1 + 1e-9
    assert potential @ (earth - target) == pytest.approx(area, abs=1e-9)
    assert found["best_of_random_functions"] < area


@pytest.mark.slow
@pytest.mark.parametrize("name", ["parallel_lines", "divergences"])
def test_both_leave_pictures_a_page_and_one_line_of_json(name, tmp_path, capsys, monkeypatch):
    module = {"parallel_lines": parallel_lines, "divergences": divergences}[name]
    argv = [name, "--seeds", "2", "--steps", "2", "--json", "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", argv)
    module.main()
    result = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    chosen = {"seeds": 2, "first_seed": 0, "steps": 2}
    assert {name: result[name] for name in chosen} == chosen
    places = result["thetas"] if name == "parallel_lines" else result["means"]
    for estimator in fitting.ESTIMATORS:
        spread = result[estimator]["estimate"]
        least, median, largest = (np.array(spread[k]) for k in ("least", "median", "largest"))
        assert median.shape == (len(places),)
        np.testing.assert_allclose(median, (least + largest) / 2, atol=2e-5)  # of two seeds
        assert (least < largest).any()
    assert "holds" not in result  # the claims decide
    text = (tmp_path / "out/report.html").read_text()
    assert "://" not in text
    assert text.count("<img") == len(list((tmp_path / "out").glob("*.png"))) > 0
    assert str(tmp_path) not in text
    assert json.loads((tmp_path / "out/result.json").read_text()) == result
    with pytest.raises(SystemExit) as end:
        module.main()
    assert end.value.code == 2
    assert "something is there already" in capsys.readouterr().err


def test_bad_numbers_are_one_line(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["parallel_lines", "--seeds", "0"])
    with pytest.raises(SystemExit) as end:
        parallel_lines.main()
    assert end.value.code == 2
    assert "seeds is 0: give at least 1" in capsys.readouterr().err


def test_the_page_has_the_command_that_repeats_it(tmp_path):
    """With the options that were given: another command would have another result."""
    config = parallel_lines.Config(seeds=3, out=str(tmp_path), json=True)
    command = study.command_of(config, "parallel_lines")
    assert command == "python -m experiments.parallel_lines --seeds 3"
    study.write(
        tmp_path, command, "A: b.", {"cpu_seconds": 1}, study.Report("A", [], {}, ((), ())), True
    )
    assert command in (tmp_path / "report.html").read_text()


def test_a_table_for_the_terminal():
    assert study.text_table(("a", "bb"), [("1.50", "2")]) == "   a  bb\n1.50   2"
