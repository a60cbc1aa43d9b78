"""Saves by the clock (--checkpoint-seconds): a kill loses little, and no number depends on them."""

import json

import jax
import jax.numpy as jnp
import pytest

from experiments import toy2d
from jwgan import checkpoint
from jwgan.run import launch, session

OPTIONS = ["--width", "8", "--batch-size", "8", "--n-critic", "1", "--chunk-steps", "2"]
OPTIONS += ["--no-quality", "--json", "--steps", "12"]
BAD = 9  # the step that goes wrong under the first key


@pytest.fixture(autouse=True, scope="module")
def one_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        # no pictures: they are most of such a run's time
        patch.setattr(session.Session, "picture", lambda self, step, state: None)
        yield


def run(capsys, folder, *extra, build=toy2d.build):
    argv = [*OPTIONS, "--run-dir", str(folder), *extra]
    launch.main(toy2d.EXPERIMENT._replace(build=build, name="toy2d"), argv)
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


def build_failing(config, shape):
    algorithm = toy2d.build(config, shape)

    def step(state, batch):
        after, info = algorithm.step(state, batch)
        mine = jax.random.key_data(state.key) == jax.random.key_data(jax.random.key(0))
        bad = (state.step == BAD) & mine.all()
        return after, info._replace(critic_loss=jnp.where(bad, jnp.nan, info.critic_loss))

    return algorithm._replace(step=step)


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def test_they_change_nothing_and_a_kill_loses_one_chunk(tmp_path, capsys, monkeypatch):
    never = run(capsys, tmp_path / "never", "--checkpoint-seconds", "0", "--checkpoint-every", "4")
    assert checkpoint.steps(tmp_path / "never/checkpoints") == [4, 8, 12]
    always = ["--checkpoint-seconds", "1e-9", "--checkpoint-every", "4", "--resume", "auto"]
    record = session.Session.record

    def killed(self, first, info):
        if first == 10:
            raise Killed
        record(self, first, info)

    with monkeypatch.context() as patch:
        patch.setattr(session.Session, "record", killed)
        with pytest.raises(Killed):
            run(capsys, tmp_path / "killed", *always)
    # those of steps 2 and 6 have made way
    found = checkpoint.extras(tmp_path / "killed/checkpoints")
    assert {step: extra.get("timed") for step, extra in found.items()} == {
        4: None,
        8: None,
        10: True,
    }
    ended = run(capsys, tmp_path / "killed", *always)
    assert ended["state_sha256"] == never["state_sha256"]
    texts = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("never", "killed")]
    assert texts[0] == texts[1]
    assert checkpoint.steps(tmp_path / "killed/checkpoints") == [4, 8, 12]


@pytest.mark.slow
def test_the_clock_does_not_decide_where_another_key_begins(tmp_path, capsys):
    options = ["--on-nonfinite", "restore", "--checkpoint-every", "6", "--checkpoint-seconds"]
    never = run(capsys, tmp_path / "never", *options, "0", build=build_failing)
    always = run(capsys, tmp_path / "always", *options, "1e-9", build=build_failing)
    assert always["retries"] == never["retries"]
    assert always["retries"][0]["restored_step"] == 6
    assert always["state_sha256"] == never["state_sha256"]


@pytest.mark.parametrize(
    ("distances", "best"),
    [([0.5, 0.0, 0.2], 1), ([None, 0.5, None], 1), ([-0.0, 0.1], 0), ([None, 3.0, 2.0], 2)],
)
def test_the_smallest_distance_is_the_best(distances, best):
    scores = [session.score_of({"sliced_distance": x}) for x in distances]
    real = {i: x for i, x in enumerate(scores) if x == x}
    assert max(real, key=real.get) == best
    assert session.score_of({}) != session.score_of({})
