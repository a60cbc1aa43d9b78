"""The theatre: frames at the right steps, numbers that are known, plans that end as the best."""

import base64
import doctest
import hashlib
import itertools
import json
import math
import re
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jwgan
from experiments import toy2d
from experiments.theatre import __main__ as theatre
from experiments.theatre import moving, packing, page, recording
from jwgan import transport

seeded = settings(derandomize=True, deadline=None, max_examples=40)


@pytest.mark.parametrize("module", [moving, packing, recording])
def test_examples_print_what_they_say(module):
    found = doctest.testmod(module)
    assert (found.failed, found.attempted > 0) == (0, True)


# --- frames ---------------------------------------------------------------------------------------


@seeded
@given(steps=st.integers(1, 20_000), frames=st.integers(2, 200))
def test_frames_begin_at_the_first_step_and_end_at_the_last(steps, frames):
    found = recording.frame_steps(steps, frames)
    assert found == sorted(set(found))
    assert (found[0], found[-1]) == (0, steps)
    assert len(found) <= frames
    assert all(step % recording.CHUNK_STEPS == 0 for step in found[:-1])


def test_frames_are_closer_at_the_beginning():
    gaps = np.diff(recording.frame_steps(4000, 41))
    assert gaps[-1] > 3 * gaps[1]
    assert (np.diff(gaps[1:-1]) >= -recording.CHUNK_STEPS).all()


def plane(gradient, shift, energy=False):
    """An algorithm whose score is a plane, and whose samples are the real points moved."""
    sign = -1.0 if energy else 1.0
    separation = (lambda real, fake: fake.mean() - real.mean()) if energy else None
    made = jwgan.Algorithm(
        init=None,
        step=None,
        prior=lambda key, num: jnp.zeros((num, 2)),
        generate=lambda state, z: state + shift[None],
        score=lambda state, x: sign * (x @ gradient),
    )
    return made._replace(separation=separation) if energy else made


@pytest.fixture(scope="module")
def world():
    return recording.make_world("eight_gaussians")


@pytest.mark.parametrize("energy", [False, True])
def test_the_numbers_of_a_plane(world, energy):
    """The gradient (3, 4) has norm 5; points moved by (-0.3, -0.4) along it have W1 0.5."""
    algorithm = plane(jnp.array([3.0, 4.0]), jnp.array([-0.3, -0.4]), energy)
    shot = jax.device_get(recording.make_snapshot(algorithm, world)(jnp.asarray(world.real)))
    numbers = recording.numbers_of(world, shot, {"k": 0.25})
    wanted = {"estimate": 2.5, "slope": 5.0, "steepest": 5.0, "bound": 0.5, "w1": 0.5, "k": 0.25}
    for name, value in wanted.items():
        assert numbers[name] == pytest.approx(value, rel=1e-3), name
    assert numbers["outside"] == 0
    np.testing.assert_allclose(shot["arrows"], np.broadcast_to([3.0, 4.0], (13, 13, 2)), rtol=1e-4)
    # Rows go up, columns to the right: 4 and 3 times the grid's gap.
    gap = 2 * world.half / (recording.GRID - 1)
    np.testing.assert_allclose(np.diff(shot["heights"], axis=0), 4 * gap, rtol=1e-2)
    np.testing.assert_allclose(np.diff(shot["heights"], axis=1), 3 * gap, rtol=1e-2)


def test_samples_that_are_not_finite_have_no_w1(world):
    algorithm = plane(jnp.array([3.0, 4.0]), jnp.array([np.nan, 0.0]))
    shot = jax.device_get(recording.make_snapshot(algorithm, world)(jnp.asarray(world.real)))
    assert math.isnan(recording.numbers_of(world, shot, {})["w1"])
    assert recording._finite(math.nan) is recording._finite(math.inf) is None
    assert recording._finite(0.123456) == 0.1235


def test_a_world_shows_points_that_no_training_sees(world):
    assert world.real.shape == (recording.POINTS, 2)
    assert 0 < world.floor < 0.5
    assert np.abs(world.real).max() < world.half


# --- packing --------------------------------------------------------------------------------------


def unpacked(text, dtype, *shape):
    return np.frombuffer(base64.b64decode(text), dtype).reshape(shape)


def some_frames(rng, count=3):
    return recording.Frames(
        samples=rng.normal(size=(count, recording.POINTS, 2)),
        heights=rng.normal(size=(count, recording.GRID, recording.GRID)),
        arrows=rng.normal(size=(count, recording.ARROWS, recording.ARROWS, 2)),
        weights=rng.uniform(-0.01, 0.01, size=(count, 500)),
        numbers={"w1": [1.0, 0.5, None][:count]},
    )


def test_what_is_packed_can_be_read_again(rng):
    frames, half = some_frames(rng), 2.0
    packed = packing.pack("wgan", frames, half)
    samples = unpacked(packed["samples"], "<u2", *frames.samples.shape)
    read = (samples / (packing.NOTHING - 1) * 2 - 1) * half
    np.testing.assert_allclose(read, frames.samples.clip(-half, half), atol=1.01 * half / 65534)
    span = np.subtract(packed["high"], packed["low"])[:, None, None]
    heights = unpacked(packed["heights"], np.uint8, *frames.heights.shape) / 255 * span
    heights += np.array(packed["low"])[:, None, None]
    np.testing.assert_allclose(heights, frames.heights, atol=0.51 * span.max() / 255 + 1e-3)
    arrows = unpacked(packed["arrows"], np.int8, *frames.arrows.shape) / 127
    arrows = arrows * np.array(packed["longest"])[:, None, None, None]
    np.testing.assert_allclose(
        arrows, frames.arrows, atol=0.51 * max(packed["longest"]) / 127 + 1e-3
    )


def test_a_frame_takes_the_bytes_that_were_reckoned(rng):
    packed = packing.pack("wgan", some_frames(rng), 2.0)
    size = sum(
        len(base64.b64decode(packed[name])) for name in ("samples", "heights", "arrows", "bins")
    )
    assert size == 3 * packing.FRAME_BYTES
    most = packing.most_frames(5)
    assert most >= theatre.Config().frames
    assert packing.FRAME_BYTES * most * 5 * 4 / 3 + packing.OTHER_BYTES <= packing.PAGE_BYTES


@seeded
@given(seed=st.integers(0, 2**32 - 1))
def test_histograms_count_every_weight(seed):
    rng = np.random.default_rng(seed)
    weights = np.clip(rng.normal(size=(2, 300)), -0.8, 0.8).astype(np.float32)
    bins, edge = packing.histograms(weights)
    np.testing.assert_allclose(bins.sum(axis=1) / 65535, 1, atol=1e-3)
    assert edge == np.float32(0.8)
    # What is clipped lies in the outer bins: they hold the clipped weights, and few others.
    clipped = (np.abs(weights) == edge).mean(axis=1)
    outer = bins[:, [0, -1]].sum(axis=1) / 65535
    assert (outer >= clipped - 1e-3).all()
    assert (
        outer <= (np.abs(weights) >= edge * (1 - 2.01 / packing.BINS)).mean(axis=1) + 1e-3
    ).all()


def test_frames_that_are_not_finite_are_packed():
    heights, low, high = packing.levels(np.full((1, 3, 3), np.nan))
    assert not heights.any()
    assert low == high == 0
    arrows, longest = packing.directions(np.full((1, 2, 2, 2), np.inf))
    assert not arrows.any()
    assert longest == 0
    bins, edge = packing.histograms(np.full((1, 4), np.nan))
    assert (bins[0, packing.BINS // 2], edge) == (65535, 1.0)


# --- bells and plans ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bells():
    return {lane["name"]: lane for lane in moving.bells()["lanes"]}


def test_the_bells_slide_as_mathematics_says(bells):
    steps = np.arange(moving.SLIDES + 1)
    # W1 has slope 1: a steady pace. KL is mu^2 / 2: each step takes off the same part.
    np.testing.assert_allclose(bells["W1"]["mu"][:-1], 6 - 0.1 * steps[:-1], atol=2e-3)
    np.testing.assert_allclose(bells["KL"]["mu"], 6 * 0.9**steps, rtol=2e-3)
    np.testing.assert_allclose(bells["KL"]["value"], 18 * 0.81**steps, rtol=5e-3)


def test_by_js_the_bell_hardly_moves(bells):
    lane = bells["JS"]
    assert np.diff(lane["mu"]).max() <= 0
    assert 5.8 < lane["mu"][-1] < 6
    assert all(0.68 < value <= math.log(2) for value in lane["value"])
    assert all(0 < slope < 0.02 for slope in lane["slope"])
    assert lane["curve"][0] == pytest.approx(0, abs=1e-5)


@seeded
@given(seed=st.integers(0, 2**32 - 1), num=st.integers(1, 9))
def test_a_plan_ends_as_the_best_one(seed, num):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, num, 2))
    cost = np.linalg.norm(x[:, None] - y[None], axis=-1)
    steps = moving.improve(cost, rng.permutation(num))
    assert steps[-1].cost == pytest.approx(transport.exact_w1(x, y), rel=1e-9)
    assert (np.diff([step.cost for step in steps]) < 0).all()
    for before, after in itertools.pairwise(steps):
        assert sorted(after.targets) == list(range(num))
        assert after.changed == np.flatnonzero(before.targets != after.targets).tolist()


def test_an_exchange_of_three_is_found_where_none_of_two_helps():
    # Everyone wants the target of the next one (cost 0), and hates that of the one before.
    cost = np.array([[1.0, 0.0, 5.0], [5.0, 1.0, 0.0], [0.0, 5.0, 1.0]])
    steps = moving.improve(cost, np.arange(3))
    assert [step.cost for step in steps] == [1.0, 0.0]
    assert steps[1].targets.tolist() == [1, 2, 0]


# --- the command and its page ---------------------------------------------------------------------

SMALL = ["--steps", "20", "--frames", "3", "--batch-size", "8", "--width", "4", "--n-critic", "1"]


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """(what one line of JSON says, the page) of a short run of BEGAN."""
    folder = tmp_path_factory.mktemp("theatre") / "run"
    with pytest.MonkeyPatch.context() as patch:
        shown = []
        patch.setattr(theatre.output, "show", shown.append)
        theatre.main(["--members", "began", *SMALL, "--json", "--out", str(folder)])
    return json.loads(shown[0]), (folder / "theatre.html").read_text(encoding="utf-8")


def data_of(text):
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL).group(1))


def test_the_page_holds_what_was_played(played):
    result, text = played
    data = data_of(text)
    assert data["steps"] == [0, 10, 20]
    (member,) = data["members"]
    assert member["name"] == "began"
    numbers = member["numbers"]
    # Before the first step BEGAN has no M yet; k begins at 0 and stays in [0, 1].
    assert numbers["convergence"][0] is None
    assert all(0 <= k <= 1 for k in numbers["k"][1:])
    assert result["members"]["began"]["w1"] == numbers["w1"][-1]
    assert result["bytes"] == len(text.encode()) < packing.OTHER_BYTES
    assert data["plan"]["costs"][-1] == pytest.approx(data["plan"]["w1"], abs=1e-5)
    assert data["plan"]["dual"] == pytest.approx(data["plan"]["w1"], abs=1e-5)
    assert "python -m experiments.theatre --members began --world eight_gaussians" in text


def test_the_page_is_on_its_own_and_runs_its_own_program_only(played):
    _, text = played
    # The name of SVG looks like an address and is none.
    asked = text.replace("http://www.w3.org/2000/svg", "")
    assert not re.findall(r"https?://|<link|<img|<iframe|@import|url\(", asked)
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', text).group(1)
    (program,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(program.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_the_numbers_stand_in_tables_too(played):
    _, text = played
    numbers = data_of(text)["members"][0]["numbers"]
    assert f"<td>{numbers['w1'][-1]:.3g}</td>" in text
    assert text.count('<th scope="row">began</th>') == 3


@pytest.mark.parametrize("name", toy2d.MEMBERS)
def test_every_member_has_a_sentence(name):
    assert page.SAID[name].endswith(".")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--members", "wgan,nobody"], "member is 'nobody'"),
        (["--members", "gan, gan"], "members is 'gan, gan': name each member once"),
        (["--frames", "500"], "frames is 500: give at most"),
        (["--frames", "1"], "frames is 1: give at least 2"),
        (["--world", "flat"], "world is 'flat'"),
    ],
)
def test_bad_requests_are_one_line_and_write_nothing(tmp_path, capsys, argv, says):
    with pytest.raises(SystemExit) as end:
        theatre.main([*argv, "--out", str(tmp_path / "out")])
    assert end.value.code == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_members_begin_alike_and_are_trained_apart(world):
    """The noise, the data and the first generator are the same; what is learned is not."""
    config = types.SimpleNamespace(
        **{**vars(toy2d.Config()), "width": 4, "batch_size": 8, "n_critic": 1, "steps": 20}
    )
    frames = {}
    for name in ("gan", "lsgan"):
        config.member = name
        frames[name] = recording.record(config, world, [0, 20], lambda *args: None)
    first, other = frames.values()
    np.testing.assert_array_equal(first.samples[0], other.samples[0])
    np.testing.assert_array_equal(first.heights[0], other.heights[0])
    assert (first.samples[1] != other.samples[1]).any()
    for values in frames.values():
        shift = np.abs(values.samples[1] - values.samples[0]).max()
        assert 0 < shift < 1
