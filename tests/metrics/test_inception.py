"""The Inception network is pytorch-fid's: what that said of the same weights and pictures.

inception_reference.npz holds the features that pytorch-fid 0.3.0 and torch-fidelity 0.4.0 computed
with PyTorch 2.14.1 on a CPU, given the weights and pictures of `inception_reference`.
"""

import pathlib

import inception_reference
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jwgan.metrics import inception, resizing

SAID = dict(np.load(pathlib.Path(__file__).with_name("inception_reference.npz")))
TENSORS = inception_reference.made_tensors(inception.tensor_shapes())


@pytest.fixture(scope="module")
def params():
    return inception.params_of(TENSORS)


def difference(found, said):
    """The largest difference of a layer's features, relative to its largest feature."""
    assert found.shape == said.shape
    return float(abs(np.asarray(found) - said).max() / abs(said).max())


def test_all_layers_are_pytorch_fids(params):
    """On small pictures, which compile and run sooner; every layer and padding takes part."""
    pictures = inception_reference.made_pictures(0, 2, 80)
    out = jax.jit(inception.apply)(params, jnp.asarray(2 * (pictures / 255) - 1, jnp.float32))
    for layer in inception.LAYERS:
        assert difference(out.layers[layer], SAID[f"small_{layer}"]) < 1e-5
        spread = abs(SAID[f"small_{layer}"][0] - SAID[f"small_{layer}"][1]).max()
        assert spread > 0.05 * abs(SAID[f"small_{layer}"]).max()  # the pictures are told apart
    unbiased = SAID["small_2048"] @ TENSORS["fc.weight"].T
    assert difference(out.unbiased_logits, unbiased) < 1e-5
    assert difference(out.logits, unbiased + TENSORS["fc.bias"]) < 1e-5


@pytest.mark.slow
def test_whole_protocols_are_pytorch_fids_and_torch_fidelitys(params):
    pictures = inception_reference.made_pictures(1, 2)
    apply = jax.jit(inception.apply)
    out = apply(params, resizing.pytorch_fid(pictures))
    for layer in inception.LAYERS:
        assert difference(out.layers[layer], SAID[f"full_{layer}"]) < 1e-5
    out = apply(params, resizing.torch_fidelity(pictures))
    for layer in inception.LAYERS:
        assert difference(out.layers[layer], SAID[f"fidelity_{layer}"]) < 1e-5
    assert difference(out.unbiased_logits, SAID["fidelity_logits_unbiased"]) < 1e-5
    assert difference(out.logits, SAID["fidelity_logits"]) < 1e-5
    assert difference(SAID["full_2048"], SAID["fidelity_2048"]) > 1e-3  # two protocols


def test_counters_of_batches_are_passed_over():
    counter = {"Mixed_5b.branch1x1.bn.num_batches_tracked": np.int64(3)}
    assert "fc_bias" in inception.params_of({**TENSORS, **counter})


def changed(name, x):
    return {**TENSORS, name: x}


KERNEL, VARIANCE = "Mixed_7c.branch_pool.conv.weight", "Conv2d_1a_3x3.bn.running_var"


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        (
            {},
            r"472 tensors are missing \(Conv2d_1a_3x3.bn.bias, .*\): these are weights of another",
        ),
        (
            {name: x for name, x in TENSORS.items() if name != KERNEL},
            rf"1 tensors are missing \({KERNEL}\)",
        ),
        (changed("AuxLogits.fc.bias", np.zeros(1000)), r"1 tensors are too much \(AuxLogits.fc.b"),
        (  # torchvision's: 1000 classes
            changed("fc.bias", np.zeros(1000)),
            r"fc.bias is of shape \(1000,\), not \(1008,\): these are weights of another network; "
            "give those of pt_inception-2015-12-05-6726825d.pth",
        ),
        (changed(VARIANCE, -TENSORS[VARIANCE]), f"{VARIANCE} is 'not all finite"),
        (changed(KERNEL, TENSORS[KERNEL] * np.nan), f"{KERNEL} is 'not all finite"),
        (changed("fc.bias", np.zeros(1008, int)), "fc.bias is 'not all finite"),
    ],
)
def test_another_networks_weights_are_refused(tensors, says):
    with pytest.raises(ValueError, match=says):
        inception.params_of(tensors)


def test_the_smallest_pictures():
    small = jax.ShapeDtypeStruct((1, 75, 75, 3), jnp.float32)
    shapes = jax.eval_shape(inception.Inception().init, jax.random.key(0), small)["params"]
    assert jax.eval_shape(inception.apply, shapes, small).logits.shape == (1, 1008)
    for shape in [(1, 74, 75, 3), (1, 75, 74, 3), (1, 80, 80, 1), (80, 80, 3)]:
        with pytest.raises(ValueError, match="images is"):
            inception.apply({}, jnp.zeros(shape))
