"""Programs compiled for a GPU that is not here: their reader on small texts, and what they hold."""

import json

import jax
import pytest

from experiments import results
from experiments.plan import __main__ as plan
from experiments.plan import gpu, tables

CONVOLUTION = 'custom-call(%x, %w), window={size=3x3}, custom_call_target="__cudnn$convForward"'
PROGRAM = """\
HloModule jit_step, entry_computation_layout={()->f32[8]{0}}

%fused_pad (p: f32[4,4]) -> f32[7,7] {
  %p = f32[4,4]{1,0} parameter(0)
  %zero = f32[] constant(0)
  ROOT %pad.1 = f32[7,7]{1,0} pad(%p, %zero), padding=0_0_1x0_0_1, metadata={op_name="a/pad"}
}

%fused_edge (p: f32[4,4]) -> f32[5,5] {
  %p.1 = f32[4,4]{1,0} parameter(0)
  %zero.1 = f32[] constant(0)
  %t = f32[4,4]{0,1} transpose(%p.1), dimensions={1,0}
  ROOT %pad.2 = f32[5,5]{1,0} pad(%t, %zero.1), padding=0_1_0x1_0_0
}

%body (arg: (s32[], f32[10])) -> (s32[], f32[10]) {
  %arg = (s32[], f32[10]{0}) parameter(0)
  %a = f32[10]{0} get-tuple-element(%arg), index=1
  %c = (bf16[20]{0}, u8[8]{0}) CONVOLUTION
  %y = bf16[20]{0} get-tuple-element(%c), index=0
  %copy.1 = f32[10]{0} copy(%a)
  ROOT %t.1 = (s32[], f32[10]{0}) tuple(%i, %copy.1)
}

%cond (arg: (s32[], f32[10])) -> pred[] {
  ROOT %lt = pred[] compare(%i, %n), direction=LT
}

ENTRY %main (q: f32[4,4], x: f32[10]) -> f32[10] {
  %q = f32[4,4]{1,0} parameter(0)
  %big = f32[7,7]{1,0} fusion(%q), kind=kLoop, calls=%fused_pad
  %edge = f32[5,5]{1,0} fusion(%q), kind=kInput, calls=%fused_edge
  %start = (s32[], f32[10]{0}) tuple(%zero, %q)
  %loop = (s32[], f32[10]{0}) while(%start), condition=%cond, body=%body, backend_config=ROUNDS
  ROOT %out = f32[10]{0} get-tuple-element(%loop), index=1
}
""".replace("CONVOLUTION", CONVOLUTION).replace(
    "ROUNDS", '{"known_trip_count":{"n":"5"},"dynamic_variables":[]}'
)


def test_a_program_is_counted():
    """A loop's body counts each round; a fusion once, whatever stands in it."""
    found = gpu.count(PROGRAM)
    assert found.launches == 2 + 5 * 2
    pads = 4 * (16 + 49) + 4 * (16 + 25)
    body = (2 * 20 + 8) + (40 + 40)  # the convolution's operands come from nowhere here
    assert found.bytes == pads + 5 * body
    assert found.convolutions == {"convForward": 5}
    assert found.zero_stuffed == 1  # the other padding adds zeros at the edges alone
    assert (found.copies, found.transposes) == (5, 1)


def test_a_loop_of_unknown_length_is_refused():
    with pytest.raises(ValueError, match=r"the loop loop: not known how long"):
        gpu.count(PROGRAM.replace("known_trip_count", "other"))


def test_times_of_a_program():
    """3.35 TB/s, 5 us a launch, 494.7 TFLOP/s in TF32, at the shares that are assumed."""
    counts = gpu.Counts(1000, int(3.35e9 * gpu.MEMORY_SHARE * 7), {}, 0, 0, 0)
    found = gpu.times(counts, {"float32": 494.7e9 * gpu.COMPUTE_SHARE * 3})
    assert found == {
        "memory": 7.0, "launches": 5.0, "arithmetic": 3.0, "in_turn": 15.0, "overlapped": 7.0
    }  # fmt: skip


def test_every_member_is_compiled_and_shown(monkeypatch, capsys):
    """In float32, those of the plan in bfloat16 too; the rows stand in the page's table."""
    monkeypatch.setattr(gpu, "available", lambda: True)
    monkeypatch.setattr(gpu, "compiled", lambda step, state, batch: PROGRAM)
    monkeypatch.setattr(gpu, "row", row := lambda name, precision, algorithm: {
        "member": name, "networks": precision, "launches": 12, "gigabytes": 0.5,
        "convolutions": {"convForward": 5}, "zero_stuffed": 1, "copies": 5, "transposes": 1,
        "gflop": 2.0, "milliseconds": dict.fromkeys(gpu.PARTS, 3.0),
    })  # fmt: skip
    monkeypatch.setattr(plan, "algorithm_of", lambda *names: names)
    plan.main(["--compile", "h100"])
    result = json.loads(capsys.readouterr().out)
    names = [(one["member"], one["networks"]) for one in result["rows"]]
    assert names[:2] == [("tiny_mlp", "float32"), ("dcgan32", "float32")]
    assert names[-2:] == [("wgan_gp", "bfloat16"), ("began", "bfloat16")]
    assert len(set(names)) == len(names) == 2 + 16 + 2
    assert result["rows"][0] == row("tiny_mlp", "float32", None)
    monkeypatch.setattr(results, "metrics", {"plan-compile-h100": result}.get)
    cells = "| `tiny_mlp` | float32 | 12 | 0.5 | 0 | 5 | 0 | 0 | 1 | 5 | 1 | " + "3.00 | " * 5
    assert cells.strip() in tables.compiled().splitlines()


@pytest.mark.slow
@pytest.mark.skipif(not gpu.available(), reason=gpu.NO_PLUGIN)
@pytest.mark.parametrize(
    ("name", "launches", "gigabytes"),
    [("tiny_mlp", 342, 0.007), ("dcgan32", 474, 2.786), ("wgan_gp", 1162, 16.158)],
)
def test_no_step_got_heavier(name, launches, gigabytes):
    """Whoever lowers a figure lowers it here. Another XLA than the recorded one may differ."""
    algorithm = None if name in gpu.CASES else plan.algorithm_of(name, "float32")
    found = gpu.row(name, "float32", algorithm)
    assert found["zero_stuffed"] == 0
    assert found["launches"] <= launches
    assert found["gigabytes"] <= gigabytes
    assert jax.default_backend() == "cpu"
