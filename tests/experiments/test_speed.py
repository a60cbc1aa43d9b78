"""The speed benchmark: cases are the contract's, arithmetic the networks', sides are compared."""

import shlex
import sys

import jax
import numpy as np
import pytest

from experiments.speed import __main__ as speed
from experiments.speed import cases, timing
from experiments.speed import tables as speed_tables
from jwgan import joined

# case -> the batch [n_critic, B, *D] that both sides train on
BATCHES = {
    "toy_mlp": (5, 256, 2),
    "small_mlp": (5, 256, 2),
    "tiny_mlp": (5, 64, 2),
    "dcgan32": (5, 64, 32, 32, 1),
    "resnet32": (5, 16, 32, 32, 3),
    "began32": (1, 16, 32, 32, 1),
    "dcgan64": (5, 16, 64, 64, 3),
    "dcgan128": (5, 16, 128, 128, 3),
    "dcgan256": (5, 16, 256, 256, 3),
}


@pytest.mark.parametrize("case", cases.CASES)
def test_counted_layers_are_the_networks(case):
    parts = cases.players(case)
    assert parts.source.batch.shape == BATCHES[case]
    state = jax.eval_shape(
        lambda: cases.member(case, parts).init(jax.random.key(0), parts.source.batch)
    )
    counted = cases.layers(case)
    for player, layers in zip((state.critic, state.generator), counted[:2], strict=True):
        kernels = [
            leaf
            for path, leaf in jax.tree_util.tree_leaves_with_path(player.params)
            if "kernel" in jax.tree_util.keystr(path)
        ]
        sizes = sorted(int(np.prod(leaf.shape)) for leaf in kernels)
        assert sizes == sorted(v.kernel**2 * v.c_in * v.c_out for v in layers)
    assert counted[2] == BATCHES[case][1]


def test_arithmetic_of_an_iteration():
    width, batch = 32, 64
    critic = 2 * batch * (2 * width + 2 * width**2 + width)
    generator = 2 * batch * (2 * width + 2 * width**2 + 2 * width)
    expected = 5 * (10 * critic + generator) + 2 * critic + 3 * generator
    assert cases.iteration_gflop("tiny_mlp") == pytest.approx(expected / 1e9)
    # stated beside the contract: about 205, 550 and 77
    nominal = [cases.iteration_gflop(c) for c in ("dcgan32", "resnet32", "began32")]
    np.testing.assert_allclose(nominal, [205, 556, 77.4], rtol=2e-3)
    # the first convolution has 3 channels in and the largest maps
    convolutions = 25 * (32**2 * 3 * 32 + 16**2 * 32 * 64 + 8**2 * 64 * 128 + 4**2 * 128 * 256)
    critic, generator = (32 * (convolutions + dense) for dense in (4096, 128 * 4096))
    expected = 5 * (10 * critic + generator) + 2 * critic + 3 * generator
    assert cases.iteration_gflop("dcgan64") == pytest.approx(expected / 1e9)
    assert cases.iteration_gflop("resnet32", less=True) < 0.64 * nominal[1]


@pytest.fixture
def peer(tmp_path):
    """A command that claims 2 iterations a second in one layout and 4 in the other."""
    program = tmp_path / "peer.py"
    program.write_text(
        "import json, sys\n"
        "assert sys.argv[1] == 'tiny_mlp' and int(sys.argv[3]) >= 1\n"
        "rate = {'channels_last': 2, 'contiguous': 4}[sys.argv[5]]\n"
        "print(json.dumps({'iterations_per_second': rate, 'cpu_seconds_per_iteration': 1 / rate}))"
    )
    return f"{shlex.quote(sys.executable)} {shlex.quote(str(program))}"


@pytest.mark.parametrize("join", [False, True])
def test_both_sides_of_a_case_with_seeds(peer, monkeypatch, join):
    monkeypatch.setattr(timing, "matmul_gflops", lambda: 10.0)
    with_joined_calls, calls = joined.with_joined_calls, []
    monkeypatch.setattr(
        joined, "with_joined_calls", lambda member: calls.append(1) or with_joined_calls(member)
    )
    config = speed.Config(
        case="tiny_mlp", seeds=2, chunk_steps=1, repeats=2, seconds=0.01, peer=peer, join=join
    )
    result = speed.measure(config)
    assert result["joined"] == join == bool(calls)
    rate = result["iterations_per_second"]
    assert result["roofline_share"] == pytest.approx(0.0165 * rate / 10, rel=0.02, abs=1e-3)
    assert result["peer"] == {
        "layout": "channels_last",
        "iterations_per_second": 2,
        "cpu_seconds_per_iteration": 0.5,
        "each": [2, 2],
    }
    assert result["ratio"] == pytest.approx(rate / 2, rel=0.01)
    assert len(result["each"]) == 2
    assert min(result["compile_seconds"], result["peak_memory_mb"]) > 0
    row = speed_tables.comparison([result]).splitlines()[-1]
    assert row.startswith(f"| `tiny_mlp`{', joined' if join else ''} | 2 | {rate} | 2.0 |")


def test_the_better_layout_counts(peer):
    config = speed.Config(case="tiny_mlp", peer=peer)
    timings = {layout: [speed.ask_peer(config, layout, 1)] for layout in speed.LAYOUTS}
    result = speed.compare(config, [timing.Timing(60.0, 0.1)], timings)
    assert result["peer"]["layout"] == "contiguous"
    assert (result["ratio"], result["goal"]) == (15, 15)


@pytest.mark.parametrize("command", ["no-such-program", f"{shlex.quote(sys.executable)} -c pass"])
def test_a_peer_that_gives_nothing_is_named(command):
    with pytest.raises(ValueError, match="it gave no timing"):
        speed.ask_peer(speed.Config(case="tiny_mlp", peer=command), "contiguous", 1)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["dcgan31"], "did you mean dcgan32?"),
        ([], "choose one of"),
        (["tiny_mlp", "--convolution", "lax"], "give dcgan32"),
        (["tiny_mlp", "--repeats", "0"], "repeats is 0: give at least 1"),
        (["tiny_mlp", "--seconds", "0"], "seconds is 0.0: give a number > 0"),
        (["tiny_mlp", "--seeds", "0"], "at least 1"),
    ],
)
def test_bad_options_are_one_line(monkeypatch, capsys, argv, says):
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "true")
    with pytest.raises(SystemExit) as end:
        speed.main(argv)
    assert end.value.code == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


def test_all_cases_have_a_goal_and_a_result_of_their_own():
    """But the wide ones, which no peer has."""
    assert {case for case, _ in cases.GOALS} == set(cases.CASES) - set(cases.SIDES)
    assert len({cases.result_name(*goal) for goal in cases.GOALS}) == len(cases.GOALS)


def test_penalty_costs_are_milliseconds_of_one_critic_update(monkeypatch):
    """Of a run of N_CRITIC updates: 1000 / rate; the median of the repeats."""
    rates = {"penalised": iter([100.0, 1.0, 200.0]), "clipped": iter([400.0, 500.0, 1.0])}
    ways = {"penalty_ms": "penalised", "clipping_ms": "clipped"}
    monkeypatch.setattr(speed.penalty, "programs", lambda case: ways)
    monkeypatch.setattr(timing, "repeats_in", lambda run, seconds: 7)

    def clock(run, repeats, iterations):
        assert (repeats, iterations) == (7, cases.N_CRITIC)
        return timing.Timing(next(rates[run]), 0.0)

    monkeypatch.setattr(timing, "clock", clock)
    result = speed.penalty_cost(speed.Config(case="tiny_mlp", repeats=3))
    assert result == {"tiny_mlp": {"penalty_ms": 10.0, "clipping_ms": 2.5, "ratio": 4.0}}


def test_both_ways_of_a_critic_update_train_the_critic(monkeypatch):
    monkeypatch.setattr(cases, "MLPS", {"tiny_mlp": (4, 8)})
    ways = speed.penalty.programs("tiny_mlp")
    largest = {
        way: max(float(abs(leaf).max()) for leaf in jax.tree.leaves(run().params))
        for way, run in ways.items()
    }
    assert largest["clipping_ms"] <= 0.01 * (1 + 1e-6)
    assert largest["penalty_ms"] > 0.1  # no box
    assert [int(run().opt_state[0].count) for run in [ways["penalty_ms"]]] == [cases.N_CRITIC]
