"""--init-from: a run begins with the networks of a trained one, and says what it took over."""

import itertools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import toy2d
from jwgan import adversarial, checkpoint, wrappers
from jwgan.run import inherit, launch

TINY = [
    *("--chunk-steps", "2", "--batch-size", "8", "--n-critic", "1", "--width", "4"),
    *("--checkpoint-every", "2", "--no-quality", "--learning-rate", "0.001"),
]


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def layers(rng, *sizes):
    """Parameters of an MLP of these sizes, as Linen names them."""
    shapes = itertools.pairwise(sizes)
    draw = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)
    return {"MLP_0": {f"Dense_{i}": _layer(draw, *shape) for i, shape in enumerate(shapes)}}


def _layer(draw, inputs, outputs):
    return {"kernel": draw(inputs, outputs), "bias": draw(outputs)}


def state_of(seed, *, width=4, points=2, ema=False, depth=2):
    """A state as a member has it, made by hand: nothing is compiled."""
    rng, hidden = np.random.default_rng(seed), (width,) * depth

    def player(*sizes):
        params = layers(rng, *sizes)
        return adversarial.PlayerState(params, {}, {"count": jnp.int32(seed)})

    players = player(points, *hidden, 1), player(2, *hidden, points)
    state = adversarial.AdversarialState(jax.random.key(seed), jnp.int32(seed), *players, ())
    return wrappers.EMAState(state, layers(rng, 2, *hidden, points), {}) if ema else state


def saved(state, folder="old", **more):
    """A run's directory with this state as its checkpoint of step 7."""
    with checkpoint.Checkpoints(pathlib.Path(folder) / "checkpoints") as checkpoints:
        checkpoints.save(7, state)
    described = {"experiment": "x", "config": {}, "data": {}, **more}
    (pathlib.Path(folder) / "config.json").write_text(json.dumps(described))
    return folder


def same(a, b):
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)


@pytest.mark.parametrize("ema", [False, True])
def test_both_networks_are_taken_over_and_nothing_else(ema):
    old, new = state_of(0, ema=True), state_of(1, ema=ema)
    average = jax.tree.map(lambda x: x + 1.0, old.average)
    found = inherit.from_run(saved(old._replace(average=average)), new)
    begun = found.applied(new)
    inner = lambda state: getattr(state, "inner", state)
    for player in ("critic", "generator"):
        mine, theirs = getattr(inner(begun), player), getattr(inner(old), player)
        assert same(mine.params, theirs.params)
        assert same(mine.opt_state, getattr(inner(new), player).opt_state)
    if ema:
        assert same(begun.average, average)
    assert begun.key == new.key
    assert found.fresh == []
    assert found.step == 7
    players = ("critic", "generator", "average") if ema else ("critic", "generator")
    said = ", ".join(f"6 arrays of the {player}" for player in players)
    assert found.lines() == [f"init_from: {said} from step 7 of old"]


def test_a_run_without_an_average_gives_its_generator():
    old, new = state_of(0), state_of(1, ema=True)
    begun = inherit.from_run(saved(old), new).applied(new)
    assert same(begun.average, old.generator.params)


def test_a_last_layer_of_another_size_begins_anew_and_is_listed():
    old, new = state_of(0), state_of(1, points=3)
    found = inherit.from_run(saved(old), new)
    begun = found.applied(new)
    there, here, own = (s.generator.params["MLP_0"] for s in (old, begun, new))
    names = sorted(there)
    assert same([here[n] for n in names[:-1]], [there[n] for n in names[:-1]])
    assert same(here[names[-1]], own[names[-1]])
    # The critic's first layer sees 3 coordinates in place of 2.
    assert sorted(found.fresh) == [
        "critic/MLP_0/Dense_0/kernel ([2, 4] there, [3, 4] here)",
        "generator/MLP_0/Dense_2/bias ([2] there, [3] here)",
        "generator/MLP_0/Dense_2/kernel ([4, 2] there, [4, 3] here)",
    ]
    described = found.described()
    assert described["new"] == found.fresh
    assert "critic/MLP_0/Dense_1/kernel" in described["taken"]
    assert len(described["taken"]) == 5 + 4


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"width": 5}, r"3 layers of its critic have another size \(critic/MLP_0/Dense_0, "),
        ({"depth": 3}, r"its critic has other layers \(MLP_0/Dense_3/bias is not there\)"),
        ({"depth": 1}, r"its critic has other layers \(MLP_0/Dense_2/bias is not here\)"),
    ],
)
def test_other_networks_are_refused(other, said):
    folder = saved(state_of(0))
    with pytest.raises(ValueError, match=said) as error:
        inherit.from_run(folder, state_of(1, **other))
    assert str(error.value).endswith("(--network, --width, --latent), or train anew")


def test_what_is_no_single_trained_run_is_refused():
    folder = saved(state_of(0), trials=[])
    with pytest.raises(ValueError, match="that is a sweep"):
        inherit.from_run(folder, state_of(1))
    pathlib.Path("empty").mkdir()
    (pathlib.Path("empty") / "config.json").write_text(
        json.dumps({"experiment": "x", "config": {}, "data": {}})
    )
    with pytest.raises(ValueError, match="it has no checkpoint yet"):
        inherit.from_run("empty", state_of(1))
    with pytest.raises(ValueError, match="is no run's description"):
        inherit.from_run("nowhere", state_of(1))
    with pytest.raises(ValueError, match=r"^two\\nlines/config.json is no run's description"):
        inherit.from_run("two\nlines", state_of(1))


@pytest.mark.slow
def test_the_command_begins_there_records_it_and_resumes(capsys):
    def toy(*argv):
        launch.main(toy2d.EXPERIMENT._replace(name="toy2d"), [*TINY, *argv])

    def described(folder):
        return json.loads((pathlib.Path(folder) / "config.json").read_text())

    toy("--steps", "4", "--run-dir", "old")
    trained = checkpoint.read("old/checkpoints")
    again = ["--init-from", "old", "--dataset", "ring", "--run-dir", "new", "--minutes", "1e-9"]
    toy("--steps", "4", *again)
    assert "init_from: 8 arrays of the critic, 8 arrays of the generator" in capsys.readouterr().err
    assert described("new")["init_from"]["state_sha256"] == trained.state_sha256
    begun = checkpoint.read("new/checkpoints")
    assert begun.step == 0
    for path, array in trained.arrays.items():
        if ".params" in path:
            np.testing.assert_array_equal(begun.arrays[path], array)
    toy("--run-dir", "new", "--resume", "--steps", "2")
    assert described("new")["init_from"]["step"] == 4
    with pytest.raises(SystemExit) as end:
        toy("--steps", "4", "--init-from", "old", "--width", "5", "--run-dir", "other")
    assert end.value.code == 2
    assert "init_from is old" in capsys.readouterr().err
    assert not pathlib.Path("other").exists()
    with pytest.raises(SystemExit):
        toy("--steps", "4", "--init-from", "old", "--seeds", "2", "--run-dir", "other")
    assert "init_from is 'old' with --seeds or --sweep" in capsys.readouterr().err
