"""export --onnx: the same samples in another runtime; what is missing or cannot be is one line."""

import importlib.util
import json
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jwgan
from experiments.export import __main__ as bench
from jwgan import check, networks, priors
from jwgan.models import autoencoder, dcgan, mlp, norms, resnet
from jwgan.run import export, reading, xla

HERE = pytest.mark.skipif(
    importlib.util.find_spec("jax2onnx") is None or importlib.util.find_spec("onnxruntime") is None,
    reason="jax2onnx cannot be in [dev]: it asks for an older orbax-checkpoint",
)
GENERATORS = {
    "mlp": (mlp.MLPGenerator((8, 8, 1), (16,), final_activation=jnp.tanh), {}),
    "dcgan": (dcgan.DCGANGenerator((16, 16, 1), 4), {}),
    "dcgan, batch norm": (
        dcgan.DCGANGenerator((16, 16, 1), 4, norm=norms.batch_norm),
        networks.TRAIN_ARGUMENT,
    ),
    "began": (autoencoder.BEGANDecoder((16, 16, 1), 4), {}),
    "resnet": (resnet.ResNetGenerator((32, 32, 3), 4), networks.TRAIN_ARGUMENT),
}


def member_of(name):
    """(algorithm, state) of a member with this generator; the critic is a mean."""
    module, train = GENERATORS[name]
    generator = jwgan.from_linen(module, **train)
    critic = networks.from_fn(lambda key, x: jnp.ones(()), lambda w, x: w * x.mean(axis=(1, 2, 3)))
    member = jwgan.gan(critic, generator, prior=priors.normal(4))
    params, model_state = generator.init(jax.random.key(0), jnp.zeros((2, 4)))
    player = types.SimpleNamespace(params=params, model_state=model_state)
    return member, types.SimpleNamespace(generator=player)


@pytest.mark.slow
def test_programs_for_one_platform_have_the_same_values():
    """What asks for the platform is gone: other runtimes have none of ours."""
    member, state = member_of("dcgan")
    z = np.asarray(member.prior(jax.random.key(1), 3))
    generate = lambda z: member.generate(state, z)
    plain = export.without_platforms(generate)
    np.testing.assert_allclose(plain(z), generate(z), atol=1e-5)
    asks = lambda fn: "platform_index" in str(jax.make_jaxpr(fn)(z))
    assert asks(generate)
    assert not asks(plain)


@HERE
@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # theirs
@pytest.mark.parametrize("name", GENERATORS)
def test_onnx_makes_the_same_samples(name, tmp_path):
    import onnxruntime

    member, state = member_of(name)
    model, difference = export.to_onnx(member, state)
    assert difference < 1e-5
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    for num in (1, 6):  # any number of samples
        z = np.asarray(member.prior(jax.random.key(num), num))
        (x,) = session.run(["x"], {"z": z})
        np.testing.assert_allclose(x, member.generate(state, z), atol=1e-5)


def test_a_missing_converter_is_one_line(monkeypatch):
    monkeypatch.setattr(check, "require_package", lambda module, extra: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(check.MissingPackageError, match="pip install --no-deps 'jax2onnx"):
        export.to_onnx(None, None)


def fake_runtime(monkeypatch, samples=None):
    """A converter and a runtime that return these samples, or that know nothing."""

    def convert(fn, inputs, **names):
        assert inputs[0][0] == "B"
        if samples is None:
            raise NotImplementedError("no plugin\nfor it")
        return types.SimpleNamespace(SerializeToString=lambda: b"model")

    session = types.SimpleNamespace(run=lambda names, feed: [samples])
    runtime = types.SimpleNamespace(InferenceSession=lambda model, providers: session)
    monkeypatch.setitem(sys.modules, "jax2onnx", types.SimpleNamespace(to_onnx=convert))
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    monkeypatch.setattr(export, "_require_onnx", lambda: None)


def test_what_cannot_be_converted_or_differs_is_refused(monkeypatch):
    member, state = member_of("mlp")
    fake_runtime(monkeypatch)
    with pytest.raises(ValueError, match=r"cannot convert .*no plugin for it.*leave --onnx"):
        export.to_onnx(member, state)
    z = member.prior(jax.random.key(0), 7)
    right = np.asarray(member.generate(state, z))
    fake_runtime(monkeypatch, right)
    assert export.to_onnx(member, state) == (b"model", 0.0)
    fake_runtime(monkeypatch, right + 0.01)
    with pytest.raises(ValueError, match=r"the ONNX samples' difference is 0\.0"):
        export.to_onnx(member, state)


def test_the_commands_say_what_was_written(tmp_path, monkeypatch, capsys):
    member, state = member_of("mlp")
    state.step = 3
    z = member.prior(jax.random.key(0), 7)
    fake_runtime(monkeypatch, np.asarray(member.generate(state, z)))
    monkeypatch.setattr(reading, "read_run", lambda *args, **options: (None, member, state))
    monkeypatch.setattr(xla, "use_compilation_cache", lambda: None)
    file = str(tmp_path / "g.onnx")
    export.main(reading.only, ["run", "--onnx", file])
    said = capsys.readouterr().out
    assert said == f"{file}: 5 bytes, step 3, largest difference from jax's samples 0\n"
    bench.main(["--save", "run", "--onnx", file, "--json"])
    said = json.loads(capsys.readouterr().out)
    assert said == {"bytes": 5, "step": 3, "largest_difference": 0.0}
    assert (tmp_path / "g.onnx").read_bytes() == b"model"
