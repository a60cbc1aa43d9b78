"""--verify-every: one flipped bit of parameters, optimizer state or batch is found."""

import json

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import toy2d, wgan_gp
from jwgan import checkpoint, loop, report
from jwgan.run import launch, lifecycle, reading, session

OPTIONS = ["--width", "4", "--batch-size", "8", "--n-critic", "1", "--chunk-steps", "2"]
OPTIONS += ["--no-quality", "--json", "--steps", "12", "--checkpoint-every", "4"]
KINDS = {
    "device": (toy2d.EXPERIMENT, []),
    "images": (wgan_gp.EXPERIMENT, ["--network", "mlp", "--latent", "2"]),
    "stream": (wgan_gp.EXPERIMENT, ["--network", "mlp", "--latent", "2", "--stream"]),
    "sweep": (toy2d.EXPERIMENT, ["--sweep", "weight=1,10", "--devices", "1"]),
}


@pytest.fixture(autouse=True, scope="module")
def one_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        # no pictures: they are most of such a run's time
        patch.setattr(session.Session, "picture", lambda self, step, state: None)
        yield


def run(capsys, kind, folder, *extra):
    experiment, options = KINDS[kind]
    launch.main(experiment, [*OPTIONS, *options, "--run-dir", str(folder), *extra])
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


def flipped(x, bit):
    """An array with one bit of its first number flipped."""
    flat = np.array(x).reshape(-1)
    flat.view(np.uint32)[0] ^= np.uint32(1 << bit)
    return jnp.asarray(flat.reshape(x.shape))


def flipped_leaf(state, wanted, bit=0):
    """A state with one bit flipped in the first float32 leaf whose path has `wanted`."""
    leaves, tree = jax.tree_util.tree_flatten_with_path(state)
    names = [jax.tree_util.keystr(path) for path, _ in leaves]
    values = [leaf for _, leaf in leaves]
    i = next(i for i, name in enumerate(names) if wanted in name and values[i].dtype == jnp.float32)
    values[i] = flipped(values[i], bit)
    return jax.tree.unflatten(tree, values)


def flip_in_the_run(monkeypatch, at, change):
    """Has the run's own program (the first one that is made) change a chunk's end by `change`."""
    make, programs = loop.chunk_program, []

    def made(*args):
        program = make(*args)
        programs.append(program)
        if len(programs) > 1:
            return program

        def chunk(state, operand, length):
            first = int(np.ravel(state.step)[0])
            after, info = program(state, operand, length)
            return (change(after) if first == at else after), info

        return chunk

    monkeypatch.setattr(loop, "chunk_program", made)


def fails(capsys, kind, folder, *extra):
    with pytest.raises(SystemExit) as end:
        run(capsys, kind, folder, *extra)
    assert end.value.code == 1
    return capsys.readouterr().err.strip().splitlines()[-1]


def check_stopped(line, folder, first):
    assert line.startswith(f"error: steps {first} to {first + 1} gave other bits when they were")
    assert f"both states are in {folder / 'verify'}" in line
    assert "\n" not in line
    assert "gave other bits" in (folder / "report.html").read_text()
    kept = [checkpoint.steps(folder / "verify" / name) for name in ("run", "again")]
    assert kept == [[first + 2], [first + 2]]


@pytest.mark.parametrize("kind", cases.slow_but(KINDS, "device"))
def test_a_sound_machine_raises_no_alarm(kind, tmp_path, capsys):
    plain = run(capsys, kind, tmp_path / "plain")
    checked = run(capsys, kind, tmp_path / "checked", "--verify-every", "1")
    assert checked["state_sha256"] == plain["state_sha256"]
    assert checked["seconds_verifying"] > 0
    assert "seconds_verifying" not in plain
    assert not (tmp_path / "checked" / "verify").exists()
    texts = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("plain", "checked")]
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("part", "bit"),
    [
        (".critic.params", 0),
        pytest.param(".generator.params", 31, marks=pytest.mark.slow),
        pytest.param(".critic.opt_state", 0, marks=pytest.mark.slow),
    ],
)
def test_a_flipped_bit_is_found_and_the_run_goes_on(part, bit, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        flip_in_the_run(patch, at=6, change=lambda state: flipped_leaf(state, part, bit))
        line = fails(capsys, "device", folder, "--verify-every", "1")
    check_stopped(line, folder, 6)
    assert part in line
    assert checkpoint.steps(folder / "checkpoints") == [4]  # nothing of the wrong state is saved
    ended = run(capsys, "device", folder, "--resume")
    assert ended["state_sha256"] == run(capsys, "device", tmp_path / "whole")["state_sha256"]
    np.testing.assert_array_equal(report.read_metrics(folder)["step"], np.arange(13))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["images", "stream"])
def test_a_flipped_bit_of_the_batch_is_found(kind, tmp_path, capsys, monkeypatch):
    assembled = lifecycle._assembled

    def with_a_broken_source(*args):
        made = assembled(*args)
        fetch = made.source.fetch

        def broken(first, length):
            """The sign of one pixel is wrong: of the data on the device, or of a batch read."""
            if kind == "stream":
                return flipped(fetch(first, length), 31)
            data, *position = fetch(first, length)
            return flipped(data, 31), *position

        return made._replace(source=made.source._replace(fetch=broken))

    monkeypatch.setattr(lifecycle, "_assembled", with_a_broken_source)
    line = fails(capsys, kind, tmp_path / "run", "--verify-every", "3", "--batch-size", "1442")
    check_stopped(line, tmp_path / "run", 0)


def test_a_flipped_bit_of_one_trial_is_found(tmp_path, capsys, monkeypatch):
    flip_in_the_run(monkeypatch, at=4, change=lambda state: flipped_leaf(state, ".critic.params"))
    line = fails(capsys, "sweep", tmp_path / "run", "--verify-every", "2")
    check_stopped(line, tmp_path / "run", 4)


@pytest.mark.slow
def test_one_chunk_in_so_many_is_checked_wherever_the_run_goes_on(tmp_path, capsys, monkeypatch):
    """With N = 3, steps 0 and 6 begin a checked chunk: a flip at 2 passes, one at 6 does not."""
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        flip_in_the_run(patch, at=2, change=lambda state: flipped_leaf(state, ".critic.params"))
        run(capsys, "device", folder, "--verify-every", "3", "--steps", "4")
    flip_in_the_run(monkeypatch, at=6, change=lambda state: flipped_leaf(state, ".critic.params"))
    line = fails(capsys, "device", folder, "--verify-every", "3", "--resume")
    check_stopped(line, folder, 6)


def test_the_kept_states_can_be_read(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "run"
    change = lambda state: flipped_leaf(state, ".generator.params", 3)
    flip_in_the_run(monkeypatch, at=0, change=change)
    fails(capsys, "device", folder, "--verify-every", "1", "--steps", "2")
    config = toy2d.Config(**json.loads((folder / "config.json").read_text())["config"])
    task = toy2d.EXPERIMENT.load(config)
    states = []
    for name in ("run", "again"):
        (folder / "verify" / name).rename(folder / "checkpoints")
        states.append(reading.restore(folder, config, toy2d.build, task, 0)[1])
        (folder / "checkpoints").rename(folder / "verify" / name)
    assert checkpoint.state_sha256(change(states[1])) == checkpoint.state_sha256(states[0])


def test_out_of_memory_is_one_line(tmp_path, capsys, monkeypatch):
    def full(self, first, info):  # while it trains; a measurement that fails costs no run
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory\nallocating 1 byte")

    monkeypatch.setattr(session.Session, "record", full)
    line = fails(capsys, "device", tmp_path / "run")
    assert "give a smaller --batch-size or --width, --accumulate 2" in line
    assert "--stream" in line
    assert "RESOURCE_EXHAUSTED" in line


@pytest.mark.parametrize(
    "says",
    [
        "FAILED_PRECONDITION: DNN library initialization failed. Look at the errors above",
        "Unable to initialize backend 'cuda': INTERNAL: CUDA_ERROR_OUT_OF_MEMORY: out of memory",
    ],
)
def test_the_second_run_on_a_full_card_is_one_line(tmp_path, capsys, monkeypatch, says):
    """The card is full before the first state is made."""

    def full(*_):
        raise RuntimeError(says)

    monkeypatch.setattr(lifecycle, "prepare", full)
    line = fails(capsys, "device", tmp_path / "run")
    assert says in line
    assert "XLA_PYTHON_CLIENT_MEM_FRACTION" in line


def test_an_error_that_is_none_of_memory_keeps_its_traceback(tmp_path, capsys, monkeypatch):
    def wrong(*_):
        raise RuntimeError("INTERNAL: something else")

    monkeypatch.setattr(lifecycle, "prepare", wrong)
    with pytest.raises(RuntimeError, match="something else"):
        run(capsys, "device", tmp_path / "run")
