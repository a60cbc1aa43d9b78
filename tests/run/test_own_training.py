"""The options of a training of one's own, together: a run that stops goes on with the same bits."""

import json
import pathlib

import pytest

from experiments import gan
from jwgan import checkpoint
from jwgan.run import launch

TINY = [
    *("--chunk-steps", "2", "--batch-size", "8", "--width", "2", "--latent", "2", "--no-quality"),
    *("--checkpoint-every", "2", "--tracker", "none", "--decay", "cosine", "--decay-steps", "6"),
    *("--augment", "ada", "--mirror", "--accumulate", "2", "--critic-learning-rate", "0.001"),
    *("--generator-norm", "none"),
]


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def result(folder):
    return json.loads((pathlib.Path(folder) / "result.json").read_text())


@pytest.mark.slow
def test_a_run_with_all_of_them_resumes_with_the_same_bits():
    run = lambda *argv: launch.main(gan.EXPERIMENT._replace(name="gan"), list(argv))
    run(*TINY, "--steps", "6", "--run-dir", "whole")
    run(*TINY, "--steps", "4", "--run-dir", "run")
    run("--steps", "6", "--run-dir", "run", "--resume")
    assert result("run")["state_sha256"] == result("whole")["state_sha256"]
    # p is carried, and written down; nothing was given to TensorBoard.
    arrays = checkpoint.read("run/checkpoints").arrays
    (p,) = [array for path, array in arrays.items() if path.endswith(".objective.p")]
    rows = [json.loads(line) for line in pathlib.Path("run/metrics.jsonl").read_text().splitlines()]
    assert all("augment_p" in row and "augment_sign" in row for row in rows if "penalty" in row)
    step = 8 / 500_000  # of one batch
    assert abs(p / step - round(float(p / step))) < 1e-3
    assert not pathlib.Path("run/tensorboard").exists()


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--augment", "ada", "--member", "rpgan"], "objective cannot steer ADA"),
        (["--augment", "more"], "choose one of none, diff, ada"),
        (["--accumulate", "3"], "accumulate is 3: it does not divide --batch-size 8"),
        (["--tracker", "paper"], "tracker is 'paper': choose one of"),
        (["--init-from", "nowhere"], "nowhere/config.json is no run's description"),
        (["--decay-steps", "2", "--steps", "4"], "decay_steps is 2: the rates would be 0"),
    ],
)
def test_what_cannot_be_is_one_line_before_anything_is_written(argv, said, capsys):
    with pytest.raises(SystemExit) as end:
        launch.main(gan.EXPERIMENT._replace(name="gan"), [*TINY, "--steps", "6", *argv])
    err = capsys.readouterr().err
    assert end.value.code == 2
    assert said in err.strip().splitlines()[-1]
    assert "Traceback" not in err
    assert not pathlib.Path("runs").exists()
