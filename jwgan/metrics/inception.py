"""The Inception network of the published FID, KID and Inception score, in Flax.

It is the TensorFlow network `inception-2015-12-05` (Szegedy et al., 2016, Rethinking the Inception
Architecture for Computer Vision) as the file `pt_inception-2015-12-05-6726825d.pth` has it, which
pytorch-fid and torch-fidelity read. It differs from torchvision's Inception v3: an average pool
divides by the pixels that are there, padding not counted; the last block pools by the maximum; and
there are 1008 classes. The weights are no part of this package: `params_of` takes the tensors of a
file (`tensor_files.read`), and a figure is called FID only where `is_published` knows the file.

Letters: B images, H height, W width (299 each as published; at least 75), C channels.
"""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jwgan.check import require
from jwgan.types import Array, Params

SIDE = 299  # pixels of a picture's side, as published
CLASSES = 1008
LAYERS = (64, 192, 768, 2048)  # features of each layer that is used as a space
# SHA-256 of the published file begins so: torch.hub's custom is to write it into the name.
PUBLISHED = "6726825d"
FILE = f"pt_inception-2015-12-05-{PUBLISHED}.pth"
_EXACT = lax.Precision.HIGHEST  # accelerators round a product's factors to 8 or 11 bits


class Outputs(NamedTuple):
    """What the network says of images; maps of features are averaged over their pixels.

    Attributes:
      layers: {64: [B, 64], 192: [B, 192], 768: [B, 768], 2048: [B, 2048]}, after the first and the
        second maximum pool, before the auxiliary classifier's place, and after the last pool.
      unbiased_logits: [B, 1008] without the last layer's bias, which the published Inception score
        leaves out.
      logits: [B, 1008].
    """

    layers: dict[int, Array]
    unbiased_logits: Array
    logits: Array


class ConvNorm(nn.Module):
    """Convolution, batch norm by kept statistics, ReLU: [B, H, W, C] -> [B, H', W', O].

    Attributes:
      features: O.
      kernel: (height, width), odd.
      strides: 1 or 2.
      padding: "SAME" or "VALID".

    >>> layer = inception.ConvNorm(5, (3, 1), padding="VALID")
    >>> jax.eval_shape(layer.init_with_output, jax.random.key(0), jnp.zeros((1, 4, 4, 2)))[0].shape
    (1, 2, 4, 5)
    """

    features: int
    kernel: tuple[int, int]
    strides: int = 1
    padding: str = "SAME"

    @nn.compact
    def __call__(self, x: Array) -> Array:
        ones, zeros = nn.initializers.ones, nn.initializers.zeros
        shape = (*self.kernel, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.he_normal(), shape)
        scale, bias, mean, var = (
            self.param(name, init, (self.features,))
            for name, init in (("scale", ones), ("bias", zeros), ("mean", zeros), ("var", ones))
        )
        y = lax.conv_general_dilated(
            x,
            kernel,
            (self.strides, self.strides),
            self.padding,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            precision=_EXACT,
        )
        factor = scale * lax.rsqrt(var + 1e-3)
        return nn.relu(y * _last(factor) + _last(bias - mean * factor))


# The blocks as tables. A layer is (name, features, height, width of its kernel); a branch is a
# chain of layers, and where its last entry is a pair of layers, both see the same input and their
# outputs stand side by side. Names are those of the tensors in the file.


def _block_a(pool: int) -> tuple:
    return (
        (("branch1x1", 64, 1, 1),),
        (("branch5x5_1", 48, 1, 1), ("branch5x5_2", 64, 5, 5)),
        (
            ("branch3x3dbl_1", 64, 1, 1),
            ("branch3x3dbl_2", 96, 3, 3),
            ("branch3x3dbl_3", 96, 3, 3),
        ),
        (("branch_pool", pool, 1, 1),),
    )


def _block_c(inner: int) -> tuple:
    return (
        (("branch1x1", 192, 1, 1),),
        (
            ("branch7x7_1", inner, 1, 1),
            ("branch7x7_2", inner, 1, 7),
            ("branch7x7_3", 192, 7, 1),
        ),
        (
            ("branch7x7dbl_1", inner, 1, 1),
            ("branch7x7dbl_2", inner, 7, 1),
            ("branch7x7dbl_3", inner, 1, 7),
            ("branch7x7dbl_4", inner, 7, 1),
            ("branch7x7dbl_5", 192, 1, 7),
        ),
        (("branch_pool", 192, 1, 1),),
    )


_BLOCK_E = (
    (("branch1x1", 320, 1, 1),),
    (
        ("branch3x3_1", 384, 1, 1),
        (("branch3x3_2a", 384, 1, 3), ("branch3x3_2b", 384, 3, 1)),
    ),
    (
        ("branch3x3dbl_1", 448, 1, 1),
        ("branch3x3dbl_2", 384, 3, 3),
        (("branch3x3dbl_3a", 384, 1, 3), ("branch3x3dbl_3b", 384, 3, 1)),
    ),
    (("branch_pool", 192, 1, 1),),
)
# These two halve the sides: the last layer of each branch and the pool have stride 2, no padding.
_BLOCK_B = (
    (("branch3x3", 384, 3, 3),),
    (("branch3x3dbl_1", 64, 1, 1), ("branch3x3dbl_2", 96, 3, 3), ("branch3x3dbl_3", 96, 3, 3)),
)
_BLOCK_D = (
    (("branch3x3_1", 192, 1, 1), ("branch3x3_2", 320, 3, 3)),
    (
        ("branch7x7x3_1", 192, 1, 1),
        ("branch7x7x3_2", 192, 1, 7),
        ("branch7x7x3_3", 192, 7, 1),
        ("branch7x7x3_4", 192, 3, 3),
    ),
)


class Block(nn.Module):
    """Branches side by side: [B, H, W, C] -> [B, H', W', the branches' features].

    Attributes:
      branches: as the tables of this file; without `halves` the last one follows the pool.
      pool: "average" or "maximum", 3x3.
      halves: whether it halves the sides; then the pool itself is the last branch.

    >>> block = inception.Block(((("one", 4, 1, 1),), (("after_the_pool", 2, 1, 1),)))
    >>> images = jnp.zeros((1, 8, 8, 3))
    >>> jax.eval_shape(block.init_with_output, jax.random.key(0), images)[0].shape
    (1, 8, 8, 6)
    """

    branches: tuple
    pool: str = "average"
    halves: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        if self.halves:
            found = [self._run(branch, x) for branch in self.branches]
            return jnp.concatenate([*found, _halving_pool(x)], axis=-1)
        if self.pool == "average":
            pooled = nn.avg_pool(x, (3, 3), padding="SAME", count_include_pad=False)
        else:
            pooled = nn.max_pool(x, (3, 3), padding="SAME")
        *others, last = self.branches
        found = [self._run(branch, x) for branch in others]
        return jnp.concatenate([*found, self._run(last, pooled)], axis=-1)

    def _run(self, branch: tuple, x: Array) -> Array:
        for i, entry in enumerate(branch):
            halves = self.halves and i == len(branch) - 1
            how: dict[str, Any] = {"strides": 2, "padding": "VALID"} if halves else {}
            pair = entry if isinstance(entry[0], tuple) else (entry,)
            found = [ConvNorm(n, (kh, kw), name=name, **how)(x) for name, n, kh, kw in pair]
            x = jnp.concatenate(found, axis=-1)
        return x


class Inception(nn.Module):
    """The whole network: images [B, H, W, 3], scaled as its figure's protocol says -> `Outputs`.

    >>> images = jax.ShapeDtypeStruct((1, 299, 299, 3), jnp.float32)
    >>> out, _ = jax.eval_shape(inception.Inception().init_with_output, jax.random.key(0), images)
    >>> {layer: x.shape for layer, x in out.layers.items()}, out.logits.shape
    ({64: (1, 64), 192: (1, 192), 768: (1, 768), 2048: (1, 2048)}, (1, 1008))
    """

    @nn.compact
    def __call__(self, x: Array) -> Outputs:
        layers = {}
        x = ConvNorm(32, (3, 3), 2, "VALID", name="Conv2d_1a_3x3")(x)
        x = ConvNorm(32, (3, 3), 1, "VALID", name="Conv2d_2a_3x3")(x)
        x = ConvNorm(64, (3, 3), name="Conv2d_2b_3x3")(x)
        x = _halving_pool(x)
        layers[64] = x.mean(axis=(1, 2))
        x = ConvNorm(80, (1, 1), name="Conv2d_3b_1x1")(x)
        x = ConvNorm(192, (3, 3), 1, "VALID", name="Conv2d_4a_3x3")(x)
        x = _halving_pool(x)
        layers[192] = x.mean(axis=(1, 2))
        for letter, pool in (("b", 32), ("c", 64), ("d", 64)):
            x = Block(_block_a(pool), name=f"Mixed_5{letter}")(x)
        x = Block(_BLOCK_B, halves=True, name="Mixed_6a")(x)
        for letter, inner in (("b", 128), ("c", 160), ("d", 160), ("e", 192)):
            x = Block(_block_c(inner), name=f"Mixed_6{letter}")(x)
        layers[768] = x.mean(axis=(1, 2))
        x = Block(_BLOCK_D, halves=True, name="Mixed_7a")(x)
        x = Block(_BLOCK_E, name="Mixed_7b")(x)
        x = Block(_BLOCK_E, pool="maximum", name="Mixed_7c")(x)
        layers[2048] = x = x.mean(axis=(1, 2))
        kernel = self.param("fc_kernel", nn.initializers.lecun_normal(), (2048, CLASSES))
        bias = self.param("fc_bias", nn.initializers.zeros, (CLASSES,))
        unbiased = jnp.matmul(x, kernel, precision=_EXACT)
        return Outputs(layers, unbiased, unbiased + bias[None])


def _last(x: Array) -> Array:  # [C] -> [1, 1, 1, C]
    return x[None, None, None]


def _halving_pool(x: Array) -> Array:
    return nn.max_pool(x, (3, 3), strides=(2, 2))


def apply(params: Params, images: Array) -> Outputs:
    """Runs the network on images [B, H, W, 3] of floats, at least 75 pixels a side.

    Args:
      params: of `params_of`.
      images: in about [-1, 1]; `resizing` has the protocols of size and scale.

    Raises:
      ValueError: the images have another shape.

    >>> inception.apply({}, jnp.zeros((1, 32, 32, 3)))
    Traceback (most recent call last):
    ValueError: images is (1, 32, 32, 3): give [B, H, W, 3] with H and W at least 75
    """
    shape = images.shape
    fits = len(shape) == 4 and shape[3] == 3 and min(shape[1:3]) >= 75
    require(fits, "images", shape, "give [B, H, W, 3] with H and W at least 75")
    out: Any = Inception().apply({"params": params}, images)
    return out


# ---- weights ------------------------------------------------------------------------------------

# A parameter's name here -> the end of its tensor's name in the file.
_ENDS = {
    "kernel": "conv.weight",
    "scale": "bn.weight",
    "bias": "bn.bias",
    "mean": "bn.running_mean",
    "var": "bn.running_var",
    "fc_kernel": "fc.weight",
    "fc_bias": "fc.bias",
}


@functools.cache
def _places() -> dict[str, tuple[tuple[str, ...], tuple[int, ...]]]:
    """{tensor's name in the file: (path in the parameters, shape here)}."""
    images = jax.ShapeDtypeStruct((1, SIDE, SIDE, 3), jnp.float32)
    made = jax.eval_shape(Inception().init, jax.random.key(0), images)["params"]
    found = {}
    for keys, leaf in jax.tree_util.tree_leaves_with_path(made):
        path = tuple(key.key for key in keys)
        found[".".join((*path[:-1], _ENDS[path[-1]]))] = (path, leaf.shape)
    return found


def _turned(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape here as it stands in the file: kernels there are [O, C, KH, KW] and [O, C]."""
    if len(shape) == 4:
        return (shape[3], shape[2], shape[0], shape[1])
    return shape[::-1]


def tensor_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors that `params_of` takes, as the file has them.

    >>> shapes = inception.tensor_shapes()
    >>> len(shapes), shapes["Conv2d_1a_3x3.conv.weight"], shapes["fc.weight"]
    (472, (32, 3, 3, 3), (1008, 2048))
    """
    return {name: _turned(shape) for name, (_, shape) in _places().items()}


def params_of(tensors: Mapping[str, Any]) -> Params:
    """The network's parameters from the tensors of a weight file.

    Args:
      tensors: {name: array}, names and shapes of `tensor_shapes`; counters of batches, which some
        programs keep with a batch norm, are passed over.

    Raises:
      ValueError: tensors of another network, or numbers that no network has: not finite, or
        variances below 0.

    >>> inception.params_of({"fc.weight": np.zeros((1000, 2048))})
    Traceback (most recent call last):
    ValueError: fc.weight is of shape (1000, 2048), not (1008, 2048): these are weights ...
    """
    places = _places()
    given = {name: x for name, x in tensors.items() if not name.endswith("num_batches_tracked")}
    remedy = f"these are weights of another network; give those of {FILE}"
    for name, (_, shape) in places.items():
        if name in given and np.shape(given[name]) != _turned(shape):
            found = f"{name} is of shape {np.shape(given[name])}, not {_turned(shape)}"
            raise ValueError(f"{found}: {remedy}")
    for names, what in ((places.keys() - given, "missing"), (given.keys() - places, "too much")):
        if names:
            some = ", ".join(sorted(names)[:2]) + (", ..." if len(names) > 2 else "")
            raise ValueError(f"{len(names)} tensors are {what} ({some}): {remedy}")
    params: dict[str, Any] = {}
    for name, (path, _) in places.items():
        x = np.asarray(given[name])
        good = x.dtype.kind == "f" and np.isfinite(x).all()
        good = good and (path[-1] != "var" or (x >= 0).all())
        require(good, name, "not all finite numbers that it may have", "get the file again")
        inner = params
        for part in path[:-1]:
            inner = inner.setdefault(part, {})
        inner[path[-1]] = jnp.asarray(_kernel(x), jnp.float32)
    return params


def _kernel(x: np.ndarray) -> np.ndarray:
    return x.transpose(2, 3, 1, 0) if x.ndim == 4 else x.T


def is_published(sha256: str) -> bool:
    """Tells by a file's SHA-256 (hex) whether it is the one that published figures were made with.

    >>> inception.is_published("6726825d" + "0" * 56), inception.is_published("0" * 64)
    (True, False)
    """
    return sha256.startswith(PUBLISHED)
