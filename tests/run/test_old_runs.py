"""Run directories written by revision b4055b2 (0.1.0) are read, sampled and gone on with."""

import json
import pathlib
import shutil

import numpy as np
import pytest

from experiments import began, ebgan, gan, lsgan, sample, sngan, toy2d, wgan, wgan_div, wgan_lp
from jwgan import checkpoint, report, run
from jwgan.run import launch, options, reading, session
from jwgan.run import measure as run_measure
from jwgan.run import sample as run_sample

OLD = pathlib.Path(__file__).parent / "old_runs"
OPTIONS = ["--width", "8", "--chunk-steps", "10", "--checkpoint-every", "20", "--no-quality"]
SWEEP = ["--seeds", "2", "--sweep", "weight=0.1,1"]


@pytest.fixture(params=["toy", "sweep"])
def old(request, tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    shutil.copytree(OLD / request.param, tmp_path / "run")
    return tmp_path / "run", SWEEP if request.param == "sweep" else []


def test_an_old_state_is_restored_bit_for_bit():
    recorded = json.loads((OLD / "toy" / "result.json").read_text())["state_sha256"]
    _, _, state = reading.read_run(OLD / "toy", sample.find)
    assert checkpoint.state_sha256(state) == recorded
    assert int(state.step) == 40


def test_an_old_journal_has_its_new_names():
    old = {"members": [{"died": "", "stretch": {"count": 1.0}}], "stretch": {"count": 2.0}}
    journal = session.Journal.from_extra({**old, "health": {"coverage": 0.5}, "unknown": 3})
    assert journal.trials == [{"died": "", "window": {"count": 1.0}}]
    assert journal.window == {"count": 2.0}
    assert journal.pending == {"coverage": 0.5}


def test_an_old_run_is_sampled(old, tmp_path):
    folder, sweep = old
    last = len(sweep) and 3
    argv = [str(folder), "--num", "5", "--trial", str(last), "--out", str(tmp_path / "x.npy")]
    run_sample.main(sample.find, argv)
    assert np.load(tmp_path / "x.npy", allow_pickle=False).shape == (5, 2)


@pytest.mark.slow
def test_an_old_run_is_measured(old, capsys):
    folder, sweep = old
    trial = str(len(sweep) and 3)
    run_measure.main(sample.find, [str(folder), "--trial", trial, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["step"] == 40
    assert found["quality"]["exact_w1"] > found["quality"]["exact_w1_of_real"] > 0
    assert np.isfinite(found["transport"]["critic_estimate"])


def test_an_old_run_goes_on(old):
    folder, sweep = old
    assert checkpoint.steps(folder / "checkpoints") == [40]
    argv = [*OPTIONS, *sweep, "--steps", "60", "--run-dir", str(folder), "--resume"]
    launch.main(toy2d.EXPERIMENT, argv)
    result = json.loads((folder / "result.json").read_text())
    assert result["steps"] == 60
    metrics = report.read_metrics(folder)
    np.testing.assert_array_equal(metrics["step"], np.arange(61))
    page = (folder / "report.html").read_text()
    if sweep:
        assert [one["label"] for one in result["per_trial"]] == [
            *("seed 0, weight 0.1", "seed 1, weight 0.1", "seed 0, weight 1", "seed 1, weight 1")
        ]
        assert "seed 1, weight 1" in page
    assert "nan" not in json.dumps(result).lower()


@pytest.mark.parametrize("document", [gan, lsgan, sngan, ebgan, began, wgan, wgan_div, wgan_lp])
def test_an_option_that_a_run_is_too_old_to_have_is_what_it_was(document):
    """Of the defaults that later became other ones. 0.1.0 had none of these options."""
    old = {
        **{"critic_norm": "none", "generator_norm": "none", "critic_learning_rate": None},
        **({"b1": 0.5, "b2": 0.999} if document in (sngan, wgan_div) else {}),
        **({"k_min": 0.0, "network": "auto"} if document is began else {}),
        **({"b1": 0.5} if document is wgan_lp else {}),
    }
    described = document.EXPERIMENT.described({"learning_rate": 2e-4, "width": 2})
    config = options.from_description(document.Config, described)
    assert {name: getattr(config, name) for name in old} == old
    document.build(config, (8, 8, 1))


def test_an_old_sngan_goes_on_with_its_betas(tmp_path):
    argv = ["--run-dir", str(tmp_path), "--width", "2", "--batch-size", "4", "--no-quality"]
    run.main(sngan.EXPERIMENT, [*argv, "--b1", "0.5", "--b2", "0.999", "--steps", "1", "--json"])
    path = tmp_path / "config.json"
    described = json.loads(path.read_text())
    del described["config"]["b1"], described["config"]["b2"]
    path.write_text(json.dumps(described))
    assert reading.described_run(tmp_path, sample.find)[2].b2 == 0.999
    run.main(sngan.EXPERIMENT, ["--run-dir", str(tmp_path), "--resume", "--steps", "2", "--json"])
    assert json.loads(path.read_text())["config"]["b2"] == 0.999


@pytest.mark.parametrize(
    ("chosen", "weight"),
    [({"member": "r1_gan"}, 1.0), ({"member": "dragan"}, None), ({}, None)],
)
def test_an_old_penalty_keeps_its_weight(chosen, weight):
    """Which was no option, and not the library's own for three members."""
    assert gan.EXPERIMENT.described(chosen)["weight"] == weight
    assert gan.EXPERIMENT.described({**chosen, "paper": True})["weight"] is None
