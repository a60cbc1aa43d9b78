"""Exports: counted work, what hurts, artifacts that run alone, and fingerprints of every step."""

import functools
import json
import os
import subprocess
import sys

import cases
import fingerprints
import jax.numpy as jnp
import jax.scipy.linalg
import numpy as np
import pytest

import jwgan
from experiments import sample, wgan_gp
from experiments.export import __main__ as export
from experiments.export import papers, programs
from experiments.readme import training
from jwgan import networks, priors
from jwgan.models import conv_kernels, dcgan, mlp, norms
from jwgan.models.conv import geometry
from jwgan.run import export as run_export
from jwgan.run import launch, reading

# --- fingerprints ---------------------------------------------------------------------------------

RECORDED = json.loads(fingerprints.FINGERPRINTS.read_text())
RENEW = "python -m experiments.export --fingerprints"


@functools.cache
def steps():
    return fingerprints.fingerprint_cases()


def check_fingerprint(name, text, recorded, installed):
    """Fails with the member's name and the remedy if its lowered step is not the recorded one.

    JAX, optax and flax have a part in the text. With other versions than the recorded ones what
    must still agree is how many matrix products and convolutions there are, and the text of a
    second lowering in this very process.
    """
    was = recorded["steps"][name]
    now = {op: programs.operations(text).get(op, 0) for op in ("dot_general", "convolution")}
    as_recorded = installed == recorded["versions"]
    same = now == was["products"]
    if as_recorded:
        same = same and programs.fingerprint(text) == was["sha256"]
    assert same, (
        f"the lowered step of {name} is not the recorded one (products {was['products']}, now "
        f"{now}): if that is meant, renew with `{RENEW}` and say why in the commit"
    )
    if not as_recorded:
        again = fingerprints.lowered_step(*steps()[name])
        assert programs.fingerprint(again) == programs.fingerprint(text), f"{name}: not stable"


@pytest.mark.parametrize("name", RECORDED["steps"])
def test_lowered_step_is_the_recorded_one(name):
    algorithm, batch = steps()[name]
    check_fingerprint(
        name, fingerprints.lowered_step(algorithm, batch), RECORDED, fingerprints.versions()
    )


def test_every_member_has_a_fingerprint():
    missing = set(steps()) ^ set(RECORDED["steps"])
    assert not missing, f"renew with `{RENEW}`"
    assert {case.name for case in cases.CASES} < set(steps())


def step_text(**options):
    algorithm = jwgan.wgan_gp(
        cases.critic(), cases.generator(), prior=priors.normal(cases.LATENT), **options
    )
    return fingerprints.lowered_step(algorithm, steps()["wgan_gp"][1])


@pytest.mark.parametrize("other", [{}, {"jax": "0.0"}])
def test_a_changed_step_is_noticed(other):
    """The message says which member, and how to renew."""
    installed = fingerprints.versions() | other
    check_fingerprint("wgan_gp", step_text(), RECORDED, installed)
    with pytest.raises(AssertionError, match=f"step of gan .*{RENEW}"):
        check_fingerprint("gan", step_text(), RECORDED, installed)


def test_a_changed_number_is_noticed():
    installed = fingerprints.versions()
    if installed != RECORDED["versions"]:
        assert programs.fingerprint(step_text()) != programs.fingerprint(step_text(weight=9.0))
        return
    with pytest.raises(AssertionError, match="step of wgan_gp "):
        check_fingerprint("wgan_gp", step_text(weight=9.0), RECORDED, installed)


def test_fingerprints_do_not_see_locations_and_names():
    algorithm, batch = steps()["wgan_gp dcgan"]
    state = jax.eval_shape(lambda: algorithm.init(jax.random.key(0), batch))

    def another_name(state, batch):
        state, info = algorithm.step(state, batch)
        return tuple(state), tuple(info)

    lowered = jax.jit(another_name).trace(state, batch).lower(lowering_platforms=("cpu",))
    prints = {programs.fingerprint(lowered.as_text(debug_info=flag)) for flag in (False, True)}
    assert prints == {programs.fingerprint(fingerprints.lowered_step(algorithm, batch))}


# --- counted work ---------------------------------------------------------------------------------


def work(function, *shapes):
    shapes = [jax.ShapeDtypeStruct(s, jnp.float32) if type(s) is tuple else s for s in shapes]
    return programs.work(jax.jit(function).trace(*shapes), "cuda")


@pytest.mark.parametrize("kernel", [1, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(16, 16), (13, 9)])
def test_a_convolution_and_its_gradients_are_the_same_work(kernel, stride, size):
    """Each pairs the same taps with the same pixels; brute force counts those pairs.

    Where the output is smaller than the kernel, gradients are grown by zeros (`conv_kernels`),
    which are work too.
    """
    g = geometry(size, kernel, stride)
    pairs = 1
    for n, p, m in zip(g.size, g.padding, g.output, strict=True):
        hits = [i * stride + t - p[0] for i in range(m) for t in range(kernel)]
        pairs *= sum(0 <= hit < n for hit in hits)
    x, y, w = (2, *size, 3), (2, *g.output, 6), (kernel, kernel, 3, 6)
    for function, shapes in (
        (conv_kernels.conv_native, (x, w)),
        (conv_kernels.dgrad_native, (y, w)),
        (conv_kernels.wgrad_native, (x, y)),
    ):
        found = work(functools.partial(function, g), *shapes)
        assert found.flops == {"float32": 2 * 2 * 3 * 6 * pairs}
        assert found.traffic == 4 * sum(map(np.prod, (x, y, w)))


WIDTH, LAYERS, ROWS = 32, 16, 16


def mlp_work(n_critic, activation, wrap=lambda network: network):
    """(work of a WGAN-GP step of two deep MLPs, operations of one forward pass of either)."""
    critic = mlp.MLPCritic((WIDTH,) * LAYERS, activation=activation)
    generator = mlp.MLPGenerator((2,), (WIDTH,) * LAYERS, activation=activation)
    players = [wrap(networks.from_linen(module)) for module in (critic, generator)]
    algorithm = jwgan.wgan_gp(*players, prior=priors.normal(2))
    real = jax.ShapeDtypeStruct((n_critic, ROWS, 2), jnp.float32)
    state = jax.eval_shape(lambda: algorithm.init(jax.random.key(0), real))
    return work(algorithm.step, state, real), 2 * ROWS * WIDTH * WIDTH * (LAYERS - 1)


@pytest.mark.parametrize(("activation", "forwards"), [(jax.nn.relu, 10), (jnp.tanh, 12)])
@pytest.mark.parametrize("n_critic", [1, 3])
def test_a_step_of_wgan_gp_is_the_forward_passes_of_the_rule(activation, forwards, n_critic):
    """A critic update is 10 forwards of D and 1 of G, a generator update 2 of D and 3 of G.

    An activation with a second derivative costs the penalty two forwards more.
    """
    found, forward = mlp_work(n_critic, activation)
    rule = n_critic * (forwards + 1) + 5
    assert found.flops["float32"] / forward == pytest.approx(rule, rel=0.02)


def test_work_is_split_by_precision():
    """bfloat16 players, and a penalty of 4 forwards that stays in float32."""
    found, forward = mlp_work(
        2, jax.nn.relu, functools.partial(networks.in_dtype, dtype=jnp.bfloat16)
    )
    assert found.flops["float32"] / forward == pytest.approx(2 * 4, rel=0.02)
    assert found.flops["bfloat16"] / forward == pytest.approx(2 * 7 + 5, rel=0.02)


def test_bytes_alive():
    side = 64
    array = 4 * side * side
    assert work(lambda x: jnp.tanh(x), (side, side)).peak == array
    assert work(lambda x: jnp.tanh(jnp.sin(jnp.cos(x))), (side, side)).peak == 2 * array
    assert work(lambda x, w: x @ w @ w, (side, side), (side, side)).peak == 2 * array
    loop = lambda x: jax.lax.scan(lambda x, _: (jnp.tanh(jnp.sin(x)), None), x, length=9)[0]
    assert work(loop, (side, side)).peak == 2 * array


def test_bytes_alive_are_an_upper_estimate_of_the_compilers():
    algorithm, batch = steps()["wgan_gp dcgan"]
    state = jax.eval_shape(lambda: algorithm.init(jax.random.key(0), batch))
    traced = jax.jit(algorithm.step).trace(state, batch)
    compiled = traced.lower().compile().memory_analysis().temp_size_in_bytes
    assert 0.5 < programs.work(traced, "cpu").peak / compiled < 2


# --- what hurts -----------------------------------------------------------------------------------


def with_step(step):
    algorithm = cases.CASES[0].make()
    return algorithm._replace(step=lambda state, batch: step(*algorithm.step(state, batch), batch))


def host(state, info, batch):
    jax.debug.print("{}", info.critic_loss)
    return state, info


def square_root(state, info, batch):
    return state, jax.scipy.linalg.sqrtm(batch[0, :2])


def exported(algorithm, *platforms):
    batch = jax.ShapeDtypeStruct((1, cases.BATCH, 2), jnp.float32)
    state = jax.eval_shape(lambda: algorithm.init(jax.random.key(0), batch))
    return export.describe(algorithm, state, batch, platforms)


def test_a_host_callback_hurts_and_fails():
    found = exported(with_step(host), "cpu")
    assert found["hurts"] == ["step/cpu: host callback xla_ffi_python_cpu_callback"]
    assert len(found["failed"]) == 1
    assert "host_callbacks" in found["failed"][0]
    assert found["artifact_bytes"]["step_cpu"] is None
    assert found["artifact_bytes"]["sampler_cpu"] > 0


def test_what_a_platform_does_not_have_fails_there():
    found = exported(with_step(square_root), "cpu", "tpu")
    assert found["hurts"] == ["step/cpu: custom call lapack_cgees_ffi"]
    assert len(found["failed"]) == 1
    assert found["failed"][0].startswith("step/tpu: NotImplementedError")


def test_doubles_and_dynamic_shapes_hurt():
    with jax.enable_x64(True):
        wide = jax.jit(lambda x: x @ x).lower(jnp.ones((2, 2), jnp.float64)).as_text()
    problems = programs.portability_problems(wide, "tpu")
    assert [what.split(" in ")[0] for what in problems] == ["float64"]
    (num,) = jax.export.symbolic_shape("b")
    any_size = jax.export.export(jax.jit(jnp.tanh))(jax.ShapeDtypeStruct((num, 2), jnp.float32))
    found = programs.portability_problems(any_size.mlir_module(), "cpu")
    assert any(what.startswith("dynamic shapes") for what in found)


def test_healthy_members_export_everywhere():
    found = exported(cases.CASES[0].make(), *run_export.PLATFORMS)
    assert found["hurts"] == found["failed"] == []
    assert all(found["artifact_bytes"].values())


def test_an_exported_step_is_the_step():
    """From plain arrays alone, the key as its data."""
    algorithm, batch = cases.CASES[0].make(), cases.CASES[0].batch()
    state = algorithm.init(jax.random.key(0), batch)
    function, shapes = programs.flat(algorithm.step, *jax.eval_shape(lambda: (state, batch)))
    artifact = jax.export.export(jax.jit(function))(*shapes).serialize()
    found = jax.export.deserialize(artifact).call(programs.plain_leaves(state), [batch])
    expected = programs.plain_leaves(jax.jit(algorithm.step)(state, batch))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


# --- the papers' models ---------------------------------------------------------------------------


def test_every_member_has_a_papers_model():
    assert set(papers.MEMBERS) == set(training.MEMBERS)


def run(*argv):
    export.main([str(word) for word in argv])


def test_the_command(capsys):
    run("wgan", "--platforms", "tpu", "--json")
    result = json.loads(capsys.readouterr().out)
    assert result["failed"] == []
    row = result["members"]["wgan"]
    assert row["hurts"] == []
    assert row["batch"] == [5, 64, 64, 64, 3]
    assert row["state_bytes"] > 2 * row["critic_parameter_bytes"]
    # 5 critic updates, each 2 forwards and 2 backwards; a forward of the critic is 13.9 GFLOP
    assert 350 < row["gflop"] < 550


def test_a_failed_export_is_exit_code_1(capsys, monkeypatch):
    algorithm = with_step(host)
    batch = jax.ShapeDtypeStruct((1, cases.BATCH, 2), jnp.float32)
    monkeypatch.setattr(papers, "build", lambda member: algorithm)
    monkeypatch.setattr(papers, "batch", lambda member: batch)
    monkeypatch.setattr(
        papers, "state", lambda _: jax.eval_shape(lambda: algorithm.init(jax.random.key(0), batch))
    )
    with pytest.raises(SystemExit) as end:
        run("gan", "--platforms", "cpu", "--json")
    assert end.value.code == 1
    (reason,) = json.loads(capsys.readouterr().out)["failed"]
    assert reason.startswith("gan/step/cpu: NotImplementedError")
    with pytest.raises(SystemExit):
        run("gan", "--platforms", "cpu")
    assert "failed: gan/step/cpu" in capsys.readouterr().out


@pytest.mark.slow
def test_every_member_exports_for_every_platform():
    result = export.export_all([], run_export.PLATFORMS)
    assert result["failed"] == []
    assert set(result["members"]) == set(papers.MEMBERS)
    for row in result["members"].values():
        assert row["hurts"] == []
        assert row["gflop"] > 10 * row["gflop_sampler"] > 0 or row["batch"][0] == 1
        assert all(row["artifact_bytes"].values())


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["wgan_gb"], "member is 'wgan_gb': did you mean wgan_gp?"),
        (["gan", "--platforms", "gpu"], "platform is 'gpu'"),
        (["--bogus"], "unrecognized arguments: --bogus; see --help"),
        (["--save", "nowhere"], "nowhere/config.json is no run's description"),
    ],
)
def test_bad_requests_are_one_line(capsys, argv, says):
    with pytest.raises(SystemExit) as end:
        run(*argv)
    assert end.value.code == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


# --- a trained generator --------------------------------------------------------------------------


def loader():
    """The lines that the docstring shows."""
    lines = export.__doc__.splitlines()
    first = lines.index("    import jax.export")
    last = next(i for i, line in enumerate(lines) if "generator.call" in line)
    return [line[4:] for line in lines[first : last + 1]]


@pytest.mark.slow
def test_a_saved_generator_runs_without_jwgan_and_flax(tmp_path, capsys):
    folder = tmp_path / "run"
    argv = ["--steps", "2", "--chunk-steps", "2", "--batch-size", "4", "--n-critic", "1"]
    argv += ["--width", "2", "--no-quality", "--run-dir", str(folder)]
    launch.main(wgan_gp.EXPERIMENT, argv)
    capsys.readouterr()
    run("--save", folder, "--out", tmp_path / "generator.bin")
    assert "z float32[b,16] -> float32[b,8,8,1], step 2" in capsys.readouterr().out
    lines = loader()
    assert len([line for line in lines if line]) <= 10
    blocked = ("jwgan", "experiments", "flax", "optax", "orbax")
    code = "\n".join(
        [
            "import sys",
            *(f"sys.modules[{name!r}] = None" for name in blocked),
            *lines,
            "np.save('x.npy', x)",
        ]
    )
    subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, check=True, env=os.environ)
    _, algorithm, state = reading.read_run(folder, sample.find)
    z = np.random.default_rng(0).standard_normal((16, 16), np.float32)
    x = np.load(tmp_path / "x.npy", allow_pickle=False)
    np.testing.assert_allclose(x, algorithm.generate(state, z), rtol=1e-5, atol=1e-6)
    assert np.std(x, axis=0).max() > 0


def test_a_generators_file_names_no_place_of_this_machine():
    algorithm = wgan_gp.build(wgan_gp.Config(width=1, latent=2), (8, 8, 1))
    state = algorithm.init(jax.random.key(0), np.zeros((1, 2, 8, 8, 1), np.float32))
    noted = jax.config.jax_traceback_in_locations_limit
    artifact, again = (run_export.export_generator(algorithm, state).serialize() for _ in range(2))
    assert b".py" not in artifact
    assert artifact == again
    assert jax.config.jax_traceback_in_locations_limit == noted


@pytest.mark.slow
def test_a_generator_with_layers_takes_any_batch():
    shape = (8, 8, 1)
    modes = {"train": {"train": True}, "evaluate": {"train": False}}
    generator = dcgan.DCGANGenerator(shape, 4, norm=norms.batch_norm)
    algorithm = jwgan.with_ema(
        jwgan.dcgan(
            networks.from_linen(dcgan.DCGANCritic(shape, 4)),
            networks.from_linen(generator, **modes),
            prior=priors.uniform(3),
        ),
        0.9,
    )
    batch = jnp.zeros((1, 2, *shape))
    state = algorithm.init(jax.random.key(0), batch)
    artifact = run_export.export_generator(algorithm, state).serialize()
    loaded = jax.export.deserialize(artifact)
    assert loaded.platforms == run_export.PLATFORMS
    for num in (1, 3):
        z = algorithm.prior(jax.random.key(num), num)
        expected = algorithm.generate(state, z)
        np.testing.assert_allclose(loaded.call(z), expected, rtol=1e-5, atol=1e-6)


def test_papers_are_built_from_shapes():
    """The big models are never allocated: BEGAN's state would be 292 MB."""
    before = sum(array.nbytes for array in jax.live_arrays())
    state = papers.state("began")
    assert programs.num_bytes(state) > 2e8
    assert sum(array.nbytes for array in jax.live_arrays()) - before < 1e5
