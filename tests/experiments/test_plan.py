"""The plan on paper: closed forms of its times, and the reader of compiled TPU programs."""

import json
import subprocess
import sys

import cases
import jax
import pytest

from experiments.export import papers, programs
from experiments.plan import __main__ as plan
from experiments.plan import chips, gpu, topology

CHIP = chips.Chip({"float32": 1e12, "bfloat16": 4e12}, 1e11, 1e10, 1e10)


def test_times_of_a_chip():
    load = chips.Load({"float32": 2e12, "bfloat16": 4e12}, memory=7e10, network=4e9, collectives=5)
    times = chips.seconds(load, CHIP, 8)
    assert times["compute"] == pytest.approx((2 + 1) / chips.COMPUTE_SHARE)
    assert times["memory"] == pytest.approx(0.7 / chips.MEMORY_SHARE)
    # each of 8 chips sends 2 * 7/8 of the 4 GB at 10 GB/s
    assert times["network"] == pytest.approx(0.7 / chips.LINK_SHARE + 5 * chips.COLLECTIVE_SECONDS)
    assert chips.seconds(load._replace(collectives=0), CHIP, 1)["network"] == 0


@pytest.mark.parametrize(
    ("load", "limit", "step"),
    [
        (chips.Load({"float32": 4e11}, 1.0), "compute", 1.0),
        (chips.Load({"float32": 4.0}, 1.4e11), "memory", 2.0),
        (chips.Load({"float32": 4.0}, None, 1.6e10), "network", 4.0),
        (chips.Load({"float32": 4e11}, 1.4e11, 4e9), "memory", 3.0),  # memory, then the network
    ],
)
def test_a_row_names_its_limit(load, limit, step):
    row = chips.row({"member": "m"}, load, CHIP, 8, 2e9)
    assert row["limit"] == limit
    assert row["steps_per_second"] == pytest.approx(1 / step, abs=0.05)
    assert row["hours_of_100000_steps"] == pytest.approx(1e5 * step / 3600, rel=1e-3)
    assert row["resident_share"] == 0.2
    assert row["member"] == "m"
    assert (row["milliseconds"]["memory"] is None) == (load.memory is None)


def counted(flops):
    work = plan_work(flops)
    return plan.Counted(work, one_update=sum(flops.values()) / 2, state=100, gradients=50)


def plan_work(flops):
    return programs.Work(flops, traffic=10.0, peak=20.0)


def test_tpu_rows_with_and_without_a_compiler():
    """The compiler's count has one update of two: it is scaled to both."""
    ours = counted({"float32": 8e9, "bfloat16": 8e9})
    load, resident = plan.tpu_load(ours, None)
    assert load == chips.Load({"float32": 1e9, "bfloat16": 1e9}, None, 50)
    assert resident is None
    figures = {"flops": 1.1e9, "memory": 7.0, "network": 60.0, "collectives": 3}
    load, resident = plan.tpu_load(ours, figures | {"resident": {"arguments": 2, "code": 5}})
    assert load.flops["float32"] == load.flops["bfloat16"] == pytest.approx(1.1e9)
    assert load[1:] == (7.0, 60.0, 3)
    assert resident == 7


def test_the_plan_without_libtpu_says_what_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(topology, "available", lambda: False)
    monkeypatch.setattr(plan, "count", lambda *_: counted({"float32": 8e9}))
    plan.main(["--json"])
    result = json.loads(capsys.readouterr().out)
    (missing,) = result["missing"]
    assert "libtpu is not installed" in missing
    assert len(result["rows"]) == 2 * (4 + 4)
    for row in result["rows"]:
        assert row["steps_per_second"] > 0
        on_tpu = row["chips"].startswith("8")
        assert (row["memory_traffic_gb_per_chip"] is None) == on_tpu
        assert row.get("source") == ("counted" if on_tpu else None)
    plan.main([])
    out = capsys.readouterr().out
    assert "missing: memory traffic" in out
    assert out.count("8 x v5e") == 4


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("v5/began/float32", "kind is 'v5': did you mean v5e?"),
        ("v5e", "member is ''"),
        ("v5e/began/float31", "precision is 'float31': did you mean float32?"),
        ("v5e/began/float32", "libtpu is not installed"),
        ("h10", "kind is 'h10': did you mean h100?"),
        ("h100/wgan-gp", "member is 'wgan-gp': did you mean wgan_gp?"),
        ("h100/wgan_gp/float31", "precision is 'float31': did you mean float32?"),
        ("h100", "compile is 'h100': JAX's CUDA plugin is not installed; pip install jax-cuda13"),
    ],
)
def test_bad_requests_are_one_line(monkeypatch, capsys, program, says):
    for compiler in (topology, gpu):
        monkeypatch.setattr(compiler, "available", lambda: False)
    with pytest.raises(SystemExit) as end:
        plan.main(["--compile", program])
    assert end.value.code == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("good", [True, False])
def test_compilations_are_processes_whose_end_is_told(monkeypatch, capsys, good):
    """A compiler that crashes costs its own rows only."""
    figures = {"flops": 1.0, "memory": 2.0, "network": 3.0, "collectives": 4}
    code = f"print('noise'); print({json.dumps(json.dumps(figures))})" if good else "exit(3)"
    run = subprocess.run
    fake = lambda command, **kwargs: run([sys.executable, "-c", code], **kwargs)
    monkeypatch.setattr(subprocess, "run", fake)
    missing = []
    found = plan.compile_apart("v6e/wgan_gp/float32", missing)
    assert found == (figures if good else None)
    assert missing == ([] if good else ["compiled figures of v6e/wgan_gp/float32: exit code 3"])
    assert "v6e/wgan_gp/float32: " in capsys.readouterr().err


def test_counted_work_of_wgan_gp():
    """5 critic updates and one of the generator; bfloat16 leaves the penalty's part in float32."""
    full = plan.count("wgan_gp", "float32")
    assert set(full.work.flops) == {"float32"}
    critic_update = (full.work.gflop - full.one_update / 1e9) / 4
    generator_update = full.one_update / 1e9 - critic_update
    assert 0 < generator_update < critic_update
    low = plan.count("wgan_gp", "bfloat16")
    assert low.work.gflop == pytest.approx(full.work.gflop, rel=1e-3)
    # the penalty is 4 of a critic update's 10 forward passes of D
    assert 0.25 < low.work.flops["float32"] / low.work.gflop / 1e9 < 0.4
    assert low.work.traffic < full.work.traffic
    assert low.state == full.state


# --- the steps timed here -------------------------------------------------------------------------


def test_every_planned_step_is_timed_in_its_precision(monkeypatch, capsys):
    seen = []

    def one(algorithm, batch):
        seen.append((algorithm, batch.shape, jax.config.jax_default_matmul_precision))
        return {"steps_per_second": 2.0}

    monkeypatch.setattr(plan, "measure_one", one)
    monkeypatch.setattr(plan, "algorithm_of", lambda *names: names)
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "true")
    plan.main(["--measure"])
    result = json.loads(capsys.readouterr().out)
    assert seen == [
        ((member, precision), papers.batch(member).shape, products)
        for member in ("wgan_gp", "began")
        for precision, products in (("float32", None), ("float32", "highest"), ("bfloat16", None))
    ]
    assert [row["products"] for row in result["rows"]] == 2 * ["default", "highest", "default"]
    assert result["device"] == jax.devices()[0].device_kind


@pytest.mark.parametrize("diverges", [False, True])
def test_a_timed_step_is_the_loops(monkeypatch, diverges):
    """On noise in [-1, 1] of the batch's shape; a run that diverged is told."""
    case = next(case for case in cases.CASES if case.name == "wgan_gp")
    algorithm = case.make()
    seen = []

    def step(state, batch):
        seen.append(batch.shape)
        state, info = algorithm.step(state, batch)
        return state, jax.tree.map(lambda x: x / (not diverges), info)

    monkeypatch.setattr(plan, "MEASURED_SECONDS", 0.01)
    timed = algorithm._replace(step=step)
    batch = jax.ShapeDtypeStruct((case.n_critic, cases.BATCH, cases.DATA), "float32")
    figures = plan.measure_one(timed, batch)
    assert set(seen) == {batch.shape}
    assert len(figures["each"]) == 3
    assert figures["steps_per_second"] == sorted(figures["each"])[1] > 0
    assert figures["finite"] is not diverges


# --- a compiled program's text --------------------------------------------------------------------

PROGRAM = """\
HloModule jit_step, entry_computation_layout={()->f32[8]{0}}

%add.1 (x: f32[], y: f32[]) -> f32[] {
  %x = f32[] parameter(0)
  %y = f32[] parameter(1)
  ROOT %sum = f32[] add(%x, %y)
}

%body.2 (p: (s32[], f32[100])) -> (s32[], f32[100]) {
  %p = (s32[]{:T(128)}, f32[100]{0:T(128)}) parameter(0)
  %a = f32[100]{0:T(128)} get-tuple-element(%p), index=1
  %start = (f32[100]{0:T(128)S(1)}, f32[100]{0:T(128)}, u32[]{:S(2)}) copy-start(%a)
  %done = f32[100]{0:T(128)S(1)} copy-done(%start)
  %f = bf16[10,10]{1,0:T(8,128)(2,1)S(1)} fusion(%done), kind=kLoop, calls=%add.1
  %r = f32[100]{0:T(128)S(1)} all-reduce(%done), to_apply=%add.1
  ROOT %t = (s32[]{:T(128)}, f32[100]{0:T(128)}) tuple(%i, %a)
}

%cond.3 (p: (s32[], f32[100])) -> pred[] {
  ROOT %lt = pred[]{:T(512)} compare(%i, %n), direction=LT
}

ENTRY %main.4 (param.1: f32[100]) -> f32[100] {
  %param.1 = f32[100]{0:T(128)} parameter(0)
  %w = (s32[]{:T(128)}, f32[100]{0:T(128)}) while(%t0), condition=%cond.3, body=%body.2
  %b = f32[100]{0:T(128)} get-tuple-element(%w), index=1
  %all = (bf16[100]{0:T(128)}, s8[4]{0:T(128)}) all-gather-start(%b), dimensions={0}
  ROOT %out = f32[100]{0:T(128)} fusion(%b, %param.1), kind=kLoop, calls=%add.1
}
"""


def test_traffic_of_a_compiled_program():
    """Only what lies in HBM is moved: S(1) is the chip's own memory. Loops count each run."""
    found = topology.read_traffic(PROGRAM, trips=5)
    copies, fusion, gather = 5 * 400, 3 * 400, 400 + 204
    assert found.memory == copies + fusion + gather
    assert found.network == 5 * 400 + 204
    assert found.collectives == 6


def test_an_unknown_loop_is_refused():
    nested = PROGRAM.replace(
        "  %f = bf16", "  %v = (f32[1]{0}) while(%p), condition=%cond.3, body=%body.2\n  %f = bf16"
    )
    with pytest.raises(ValueError, match=r"loop in the loop body\.2"):
        topology.read_traffic(nested, trips=5)


def test_every_kind_of_the_plan_has_a_topology():
    assert set(chips.TPUS) == set(topology.KINDS)
