"""What is saved comes back bit for bit, or not at all and aloud."""

import functools
import json
import os
import random
import shutil
import threading
from typing import Any, NamedTuple

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from disks import full_disk
from hypothesis import strategies as st
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jwgan.checkpoint import (
    CheckpointError,
    Checkpoints,
    leaves,
    restore,
    state_sha256,
    steps,
    store,
)


class Player(NamedTuple):
    params: Any
    model_state: Any
    opt_state: Any


class State(NamedTuple):
    key: Any
    step: Any
    critic: Player
    generator: Player
    objective: Any


def make_state(seed: int = 0, width: int = 3) -> State:
    key_critic, key_generator, key_run = jax.random.split(jax.random.key(seed), 3)
    critic_tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3, b1=0.0))

    def player(key: Any, tx: Any, model_state: Any) -> Player:
        params = {"Dense_0": {"kernel": jax.random.normal(key, (4, width)), "bias": -jnp.zeros(3)}}
        _, opt_state = tx.update(params, tx.init(params), params)
        return Player(params, model_state, opt_state)

    return State(
        key=key_run,
        step=jnp.asarray(7, jnp.int32),
        critic=player(key_critic, critic_tx, {"u": jnp.ones(5, jnp.bfloat16), "none": None}),
        generator=player(key_generator, optax.rmsprop(5e-5), ()),
        objective={"k": jnp.asarray(0.25), "epoch": 3, "done": False, "rate": 0.1},
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A directory with whole checkpoints of steps 10 and 20; copy it to spoil it."""
    directory = tmp_path_factory.mktemp("saved") / "checkpoints"
    with Checkpoints(directory) as writer:
        writer.save(10, make_state(1), {"epoch": 1})
        writer.save(20, make_state(2), {"epoch": 2})
    return directory


@pytest.fixture
def spoiled(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "checkpoints")


def data_files(directory, step):
    seal = json.loads((directory / f"{step:08d}.json").read_text())
    return sorted(p for p in (directory / seal["data"]).rglob("*") if p.is_file())


def assert_same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    assert state_sha256(a) == state_sha256(b)


# --- the fingerprint


def test_fingerprint_sees_every_bit_and_name():
    base = {"a": jnp.zeros(3), "b": jax.random.key(0), "n": 1}
    others = [
        base | {"a": jnp.array([0.0, -0.0, 0.0])},
        base | {"a": jnp.zeros(3, jnp.int32)},
        base | {"a": jnp.zeros((3, 1))},
        base | {"b": jax.random.key(1)},
        base | {"b": jax.random.key_data(jax.random.key(0))},
        base | {"n": 2},
        base | {"n": True},
        {"c": base["a"], "b": base["b"], "n": 1},
    ]
    assert len({state_sha256(state) for state in [base, *others]}) == 1 + len(others)


def test_fingerprint_tells_generators_of_keys_apart():
    data = jnp.zeros(4, jnp.uint32)
    rbg, unsafe = (jax.random.wrap_key_data(data, impl=impl) for impl in ("rbg", "unsafe_rbg"))
    assert state_sha256(rbg) != state_sha256(unsafe)


def test_fingerprint_does_not_depend_on_placement():
    x = np.arange(8, dtype=np.float32)
    mesh = Mesh(np.array(jax.devices()), ("data",))
    on_all = jax.device_put(x, NamedSharding(mesh, PartitionSpec("data")))
    assert state_sha256([x]) == state_sha256([jnp.asarray(x)]) == state_sha256([on_all])


# --- round trips


def test_round_trip_is_bit_exact_and_typed(saved):
    state = make_state(2)
    found = restore(saved, make_state(0))
    assert_same(found.state, state)
    assert (found.step, found.extra, found.skipped) == (20, {"epoch": 2}, ())
    assert found.state_sha256 == state_sha256(state)
    assert jnp.issubdtype(found.state.key.dtype, jax.dtypes.prng_key)
    assert type(found.state.objective["epoch"]) is int
    assert found.state.objective["done"] is False
    assert jax.random.bits(found.state.key) == jax.random.bits(state.key)


def test_restores_into_shapes(tmp_path):
    def build():
        return make_state(3)._replace(objective=())

    with Checkpoints(tmp_path) as writer:
        writer.save(1, build())
    assert_same(restore(tmp_path, jax.eval_shape(build)).state, build())


def test_restores_the_step_that_is_asked_for(saved):
    found = restore(saved, make_state(), step=10)
    assert found.step == 10
    assert found.extra == {"epoch": 1}
    assert_same(found.state, make_state(1))


def test_restores_onto_the_targets_devices(saved):
    mesh = Mesh(np.array(jax.devices()), ("data",))
    everywhere = NamedSharding(mesh, PartitionSpec())
    state = make_state(2)._replace(objective=())
    with Checkpoints(saved.parent / "sharded") as writer:
        writer.save(1, jax.device_put(state, everywhere))
    shapes = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=everywhere), state
    )
    for target in (shapes, jax.device_put(state, everywhere)):
        found = restore(saved.parent / "sharded", target).state
        assert_same(found, state)
        assert all(leaf.sharding == everywhere for leaf in jax.tree.leaves(found))
    assert not any(
        leaf.committed
        for leaf in jax.tree.leaves(restore(saved, make_state()).state)
        if isinstance(leaf, jax.Array)
    )


def test_donating_the_state_does_not_change_what_is_saved(tmp_path):
    state = {"w": jnp.arange(100_000.0), "key": jax.random.key(3)}
    expected = state_sha256(state)
    step = jax.jit(lambda s: s | {"w": s["w"] * 2 + 1}, donate_argnums=0)
    with Checkpoints(tmp_path) as writer:
        writer.save(1, state)
        for _ in range(5):
            state = step(state)
    found = restore(tmp_path, state)
    assert found.state_sha256 == state_sha256(found.state) == expected
    for _ in range(5):
        found = found._replace(state=step(found.state))
    assert_same(found.state, state)


NUMBERS = [np.float32, np.float64, np.int8, np.uint32, np.bool_, jnp.bfloat16, np.complex64]
LEAVES = st.one_of(
    st.integers(-(2**62), 2**62),
    st.floats(),
    st.booleans(),
    st.none(),
    st.builds(np.float32, st.floats(width=32)),
    st.builds(
        lambda dtype, shape, seed: (
            np.random.default_rng(seed).integers(0, 2, size=shape).astype(dtype)
        ),
        st.sampled_from(NUMBERS),
        st.lists(st.integers(0, 3), max_size=3).map(tuple),
        st.integers(0, 99),
    ),
    st.builds(lambda n: jax.random.split(jax.random.key(n), n), st.integers(0, 2)),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=2).map(tuple),
        st.dictionaries(st.text(max_size=6), inner, max_size=3),
    ),
    max_leaves=6,
)


@pytest.mark.slow
@hypothesis.settings(derandomize=True, deadline=None, max_examples=40)
@hypothesis.given(tree=TREES)
def test_any_tree_comes_back(tree, tmp_path_factory):
    directory = tmp_path_factory.mktemp("tree")
    with Checkpoints(directory) as writer:
        writer.save(0, tree)
    found = restore(directory, tree)
    assert_same(found.state, tree)
    for a, b in zip(jax.tree.leaves(found.state), jax.tree.leaves(tree), strict=True):
        assert isinstance(a, type(b))


# --- keeping, replacing, continuing


def test_keeps_the_last_and_the_best(tmp_path):
    scores = {1: 0.5, 2: 0.9, 3: 0.1, 4: 0.2, 5: 0.3}
    with Checkpoints(tmp_path, keep=2, score=lambda extra: extra["score"]) as writer:
        for step, score in scores.items():
            writer.save(step, {"w": jnp.full(3, step)}, {"score": score})
    assert steps(tmp_path) == [2, 4, 5]
    assert restore(tmp_path, {"w": jnp.zeros(3, jnp.int32)}, step=2).state["w"][0] == 2
    assert len(list(tmp_path.iterdir())) == 6, "arrays without a seal stay behind"


def test_nan_is_not_the_best_and_a_score_that_fails_is_named(tmp_path):
    nan = {"score": "NaN"}
    with Checkpoints(tmp_path, keep=1, score=lambda extra: float(extra["score"])) as writer:
        for step, extra in enumerate([nan, {"score": 0.5}, {"score": 0.1}, nan]):
            writer.save(step, {"w": 1}, extra)
    assert steps(tmp_path) == [1, 3]
    writer = Checkpoints(tmp_path, keep=1, score=lambda extra: extra["loss"])
    writer.save(4, {"w": 1})
    with pytest.raises(CheckpointError, match=r"score failed .KeyError: 'loss'"):
        writer.close()
    assert restore(tmp_path, {"w": 1}).step == 4


def test_saving_a_step_again_replaces_it(spoiled):
    with Checkpoints(spoiled) as writer:
        writer.save(20, make_state(5), {"again": True})
    found = restore(spoiled, make_state())
    assert found.extra == {"again": True}
    assert_same(found.state, make_state(5))
    assert len(list(spoiled.iterdir())) == 4


def test_saving_an_earlier_step_drops_the_later_ones(spoiled):
    with Checkpoints(spoiled, keep=1) as writer:
        writer.save(15, make_state(5))
    assert steps(spoiled) == [15]
    assert restore(spoiled, make_state()).step == 15


def test_save_copies_and_returns_before_the_checkpoint_is_there(tmp_path, monkeypatch):
    gate, write = threading.Event(), store._store
    monkeypatch.setattr(store, "_store", lambda *args: (gate.wait(60), write(*args)))
    counts = np.ones(3)
    with Checkpoints(tmp_path) as writer:
        writer.save(1, {"counts": counts})
        assert steps(tmp_path) == []
        counts[:] = 0
        gate.set()
        writer.wait()
        assert steps(tmp_path) == [1]
    assert restore(tmp_path, {"counts": counts}).state["counts"].tolist() == [1, 1, 1]


# --- damage


def flip(path, position, bit):
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= 1 << bit
    path.write_bytes(content)


def test_no_flipped_bit_restores_silently(spoiled):
    """Whatever file it is in: the older checkpoint and a reason."""
    rng = random.Random(0)
    files = [*data_files(spoiled, 20), spoiled / "00000020.json"]
    files = [path for path in files if path.stat().st_size]
    for turn in range(4 * len(files)):
        path = files[turn % len(files)]
        content = path.read_bytes()
        flip(path, rng.randrange(len(content)), rng.randrange(8))
        found = restore(spoiled, make_state())
        path.write_bytes(content)
        assert found.step == 10
        assert found.skipped[0].startswith("step 20: ")
        assert_same(found.state, make_state(1))
    assert restore(spoiled, make_state()).step == 20


def test_no_truncated_file_restores_silently(spoiled):
    for path in [*data_files(spoiled, 20), spoiled / "00000020.json"]:
        content = path.read_bytes()
        if content:
            path.write_bytes(content[: len(content) // 2])
        else:
            path.unlink()
        found = restore(spoiled, make_state())
        path.write_bytes(content)
        assert found.step == 10, path.name
        assert len(found.skipped) == 1
        assert_same(found.state, make_state(1))


@pytest.mark.parametrize("what", ["arrays", "all arrays", "seal", "empty seal", "foreign folder"])
def test_missing_parts(spoiled, what):
    folder = data_files(spoiled, 20)[0].parent
    if what == "arrays":
        shutil.rmtree(folder)
    elif what == "all arrays":
        shutil.rmtree(folder)
        folder.mkdir()
    elif what == "seal":
        (spoiled / "00000020.json").unlink()
    elif what == "empty seal":
        (spoiled / "00000020.json").write_text("")
    else:
        (spoiled / "00000030").mkdir()
        (spoiled / "00000030-0").mkdir()
        (spoiled / "00000030-1.orbax-checkpoint-tmp").mkdir()
    found = restore(spoiled, make_state())
    assert found.step == (20 if what == "foreign folder" else 10)
    assert len(found.skipped) == (what not in ("seal", "foreign folder"))
    with Checkpoints(spoiled) as writer:
        writer.save(40, make_state(4))
    assert_same(restore(spoiled, make_state()).state, make_state(4))
    assert not list(spoiled.glob("00000030-*")), "what a kill left behind stays"


@pytest.mark.parametrize("name", ["000000099.json", "00000099.json/", "0000009٩.json"])
def test_what_only_looks_like_a_seal_does_not_stop_the_run(spoiled, name):
    if name.endswith("/"):
        (spoiled / name).mkdir()
    else:
        (spoiled / name).write_text("{}")
    assert steps(spoiled) == [10, 20]
    with Checkpoints(spoiled, keep=1) as writer:
        writer.save(30, make_state(3))
    assert steps(spoiled) == [30]
    assert (spoiled / name).exists()


@pytest.mark.parametrize("name", ["00000010-0.bak", "00000010-0 copy", "00000099-0-mine"])
def test_folders_of_other_peoples_stay(spoiled, name):
    shutil.copytree(data_files(spoiled, 10)[0].parent, spoiled / name)
    with Checkpoints(spoiled, keep=1) as writer:
        writer.save(30, make_state(3))
    assert len(list(spoiled.iterdir())) == 3
    assert list((spoiled / name).iterdir())


@pytest.mark.parametrize("what", ["arrays", "seal"])
def test_a_pipe_is_not_waited_for(spoiled, what):
    path = data_files(spoiled, 20)[0] if what == "arrays" else spoiled / "00000020.json"
    path.unlink()
    os.mkfifo(path)
    found = restore(spoiled, make_state())
    assert found.step == 10
    with pytest.raises(CheckpointError, match="is missing"):
        restore(spoiled, make_state(), step=20)


@pytest.mark.parametrize("what", ["arrays", "folder", "seal"])
def test_links_out_of_the_directory_are_not_followed(spoiled, what):
    arrays = data_files(spoiled, 20)[0]
    path = {"arrays": arrays, "folder": arrays.parent, "seal": spoiled / "00000020.json"}[what]
    path.rename(spoiled.parent / "elsewhere")
    path.symlink_to(spoiled.parent / "elsewhere")
    found = restore(spoiled, make_state())
    assert found.step == 10
    assert "is outside the directory" in found.skipped[0]
    (spoiled / "00000030.json.tmp").symlink_to(spoiled.parent / "elsewhere.json")
    with Checkpoints(spoiled) as writer:
        writer.save(30, make_state(3))
    assert not (spoiled.parent / "elsewhere.json").exists(), "nor is a draft that is one"
    link = spoiled.parent / "link"
    link.symlink_to(spoiled)
    assert restore(link, make_state()).step == 30, "the directory itself may be a link"


def reseal(directory, step, change):
    """Changes a seal and signs it anew, as nothing but malice or a bug would."""
    path = directory / f"{step:08d}.json"
    seal = json.loads(path.read_text())
    del seal["seal_sha256"]
    change(seal)
    path.write_text(json.dumps(seal | {"seal_sha256": leaves.json_sha256(seal)}))


def test_an_edited_seal_is_not_believed(spoiled):
    path = spoiled / "00000020.json"
    path.write_text(path.read_text().replace('"epoch": 2', '"epoch": 3'))
    found = restore(spoiled, make_state())
    assert found.extra == {"epoch": 1}
    assert found.skipped == ("step 20: ValueError: 00000020.json is not what was saved",)


def test_what_orbax_casts_is_not_taken(spoiled, monkeypatch):
    load = store._load

    def cast(*args):
        arrays = load(*args)
        return arrays | {".step": arrays[".step"].view(np.float32)}

    monkeypatch.setattr(store, "_load", cast)
    with pytest.raises(CheckpointError, match=r"\.step is not what was saved"):
        restore(spoiled, make_state())


def elsewhere(seal):
    name, digest = next(iter(seal["files"].items()))
    return {f"../../elsewhere/{name}": digest}


def respell(seal, path, **changes):
    """What a seal says of one leaf, with a fingerprint that agrees."""
    next(record for record in seal["leaves"] if record["path"] == path).update(changes)
    seal["state_sha256"] = leaves.json_sha256(seal["leaves"])


@pytest.mark.parametrize(
    "change",
    [
        lambda seal: seal.update(data="../elsewhere"),
        lambda seal: seal.update(format=99),
        lambda seal: seal.update(step=21),
        lambda seal: seal["leaves"].append(seal["leaves"][0] | {"path": "['new']"}),
        lambda seal: seal["leaves"].pop(),
        lambda seal: seal["files"].update(none=""),
        lambda seal: seal["leaves"][0].update(sha256="0" * 64),
        lambda seal: seal.update(state_sha256="0" * 64),
        lambda seal: seal["files"].update(elsewhere(seal)),
        lambda seal: respell(seal, ".step", kind="int64[]"),
        lambda seal: respell(seal, ".key", impl="rbg"),
        lambda seal: respell(seal, ".critic.params['Dense_0']['bias']", kind="float"),
    ],
    ids=[
        *("path", "format", "step", "leaf more", "leaf less", "file", "checksum"),
        *("fingerprint", "file elsewhere", "another dtype", "another generator", "a scalar"),
    ],
)
def test_a_seal_that_does_not_describe_its_arrays(spoiled, change):
    shutil.copytree(data_files(spoiled, 20)[0].parent, spoiled.parent / "elsewhere")
    reseal(spoiled, 20, change)
    found = restore(spoiled, make_state())
    assert found.step == 10
    assert len(found.skipped) == 1


def test_the_arrays_of_another_step_are_not_taken(spoiled):
    ten, twenty = (data_files(spoiled, step)[0].parent for step in (10, 20))
    shutil.rmtree(twenty)
    shutil.copytree(ten, twenty)
    found = restore(spoiled, make_state())
    assert found.step == 10
    assert "is not what was saved" in found.skipped[0]


def test_nothing_whole_is_an_error_in_one_line(spoiled, tmp_path):
    for step in (10, 20):
        (spoiled / f"{step:08d}.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"step 20: .*step 10: .*start without") as error:
        restore(spoiled, make_state())
    assert "\n" not in str(error.value)
    with pytest.raises(CheckpointError, match=r"no whole checkpoint in .*a\\nb") as error:
        restore(tmp_path / "a\nb", make_state())
    assert "\n" not in str(error.value)
    for nothing in (tmp_path / "none", tmp_path):
        with pytest.raises(CheckpointError, match="no whole checkpoint"):
            restore(nothing, make_state())
    with pytest.raises(CheckpointError, match="no whole checkpoint"):
        restore(spoiled, make_state(), step=99)


# --- another model


def test_changed_model_names_the_leaf(saved):
    with pytest.raises(CheckpointError) as error:
        restore(saved, make_state(width=5))
    message = str(error.value)
    assert ".critic.params['Dense_0']['kernel'] is float32[4, 3] in the checkpoint" in message
    assert "float32[4, 5] here (and " in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        ({"k": jnp.asarray(1)}, ".objective['k'] is float32[] in the checkpoint and int32[] here"),
        ({"extra": jnp.zeros(2)}, ".objective['extra'] is not in the checkpoint"),
        (None, "is in the checkpoint and not here"),
    ],
    ids=["dtype", "missing", "unexpected"],
)
def test_misfits_are_named_and_never_cast(saved, objective, words):
    state = make_state()
    changed = {} if objective is None else state.objective | objective
    with pytest.raises(CheckpointError, match=r"checkpoint 20 in .* does not fit") as error:
        restore(saved, state._replace(objective=changed))
    assert words in str(error.value)


# --- what cannot be saved


@pytest.mark.parametrize("leaf", ["text", 2**64, object(), np.array(["a"]), np.array([None])])
def test_leaves_that_are_no_numbers_are_named(leaf, tmp_path):
    with (
        Checkpoints(tmp_path) as writer,
        pytest.raises(CheckpointError, match=r"leaf \['name'\] is"),
    ):
        writer.save(1, {"name": leaf})
    assert steps(tmp_path) == []


def nested(levels):
    return functools.reduce(lambda inner, _: [inner], range(levels), 0)


EXTRAS = [{"x": float("nan")}, {"x": object()}, {"x": {1, 2}}, {"x": nested(100_000)}]


@pytest.mark.parametrize("extra", EXTRAS, ids=["nan", "object", "set", "deep"])
def test_extra_must_be_json(extra, tmp_path):
    with Checkpoints(tmp_path) as writer, pytest.raises(CheckpointError, match="JSON"):
        writer.save(1, {}, extra)


def test_bad_arguments(tmp_path):
    with pytest.raises(CheckpointError, match="keep is 0"):
        Checkpoints(tmp_path, keep=0)
    with Checkpoints(tmp_path) as writer, pytest.raises(CheckpointError, match="step is -1"):
        writer.save(-1, {})


@pytest.mark.parametrize("broken", ["_store", "_publish"])
def test_a_failed_save_is_reported_and_leaves_the_last_one(spoiled, monkeypatch, broken):
    def no_space(*args):
        if broken == "_store":
            args[0].with_name(args[0].name + ".orbax-checkpoint-tmp").mkdir()
        raise OSError(28, "No space left on device")

    before = sorted(os.listdir(spoiled))
    writer = Checkpoints(spoiled)
    with monkeypatch.context() as patch:
        patch.setattr(store, broken, no_space)
        writer.save(30, make_state(3))
        with pytest.raises(CheckpointError, match=r"checkpoint 30 .*No space left.*free space"):
            writer.save(40, make_state(4))
    assert sorted(os.listdir(spoiled)) == before
    assert restore(spoiled, make_state()).step == 20
    writer.save(40, make_state(4))
    writer.close()
    assert steps(spoiled) == [10, 20, 40]


# orbax's threads may end after its event loop has
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("num_bytes", [100, 5_000, 200_000])
def test_a_disk_that_is_full_while_saving(spoiled, num_bytes, caplog):
    """In the arrays, in the seal: the older checkpoint stays, and saving works again later."""
    state = make_state(3)._replace(objective={"w": np.random.default_rng(0).normal(size=20_000)})
    writer = Checkpoints(spoiled)
    with full_disk(num_bytes):
        writer.save(30, state, {"note": "x" * 300_000})
        with pytest.raises(CheckpointError, match=r"checkpoint 30 was not .*File too large.*free"):
            writer.wait()
    assert caplog.text == ""
    assert not (spoiled / "00000030.json.tmp").exists()
    assert restore(spoiled, make_state()).step == 20
    writer.save(30, state)
    writer.close()
    assert_same(restore(spoiled, state).state, state)
    assert len(os.listdir(spoiled)) == 6


def test_a_directory_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    writer = Checkpoints(tmp_path / "file")
    writer.save(1, {"w": jnp.ones(1)})
    with pytest.raises(CheckpointError, match="was not written"):
        writer.close()
    assert steps(tmp_path / "file") == []
