"""How pictures become the Inception network's input: three published protocols, each named.

A Frechet distance depends on how pictures were brought to 299 x 299 pixels (Parmar et al., 2022, On
Aliased Resizing and Surprising Subtleties in GAN Evaluation), so a figure says which of these it
used. All three are linear in rows and in columns: a matrix for each.

* `pytorch_fid`: bilinear between pixel centres, without smoothing when a picture shrinks; 0 to 255
  become -1 to 1. What pytorch-fid does.
* `torch_fidelity`: bilinear as in TensorFlow 1, whose grid begins at the first pixel's centre, so
  pictures move by up to half a pixel; (x - 128) / 128. What torch-fidelity and the original FID do.
* `clean_fid`: Pillow's antialiased bicubic on floats, cut to [0, 255]; (x - 128) / 128. What
  clean-fid does.

Letters: B images, H height, W width, C channels; sides in pixels.
"""

import jax.numpy as jnp
import numpy as np
from jax import lax

from jwgan.check import require
from jwgan.types import Array

SIDE = 299
_EXACT = lax.Precision.HIGHEST  # accelerators round a product's factors to 8 or 11 bits


def pytorch_fid(images: Array) -> Array:
    """Images [B, H, W, C] of 0 to 255 as pytorch-fid's network sees them, [B, 299, 299, C].

    >>> resizing.pytorch_fid(jnp.full((1, 8, 8, 3), 255))[0, 0, 0].tolist()
    [1.0, 1.0, 1.0]
    """
    return 2 * (resize(images, half_pixel) / 255) - 1


def torch_fidelity(images: Array) -> Array:
    """Images [B, H, W, C] of 0 to 255 as torch-fidelity's network sees them, [B, 299, 299, C].

    >>> resizing.torch_fidelity(jnp.full((1, 8, 8, 3), 0))[0, 0, 0].tolist()
    [-1.0, -1.0, -1.0]
    """
    return (resize(images, first_pixel) - 128) / 128


def clean_fid(images: Array) -> Array:
    """Images [B, H, W, C] of 0 to 255 as clean-fid's network sees them, [B, 299, 299, C].

    >>> resizing.clean_fid(jnp.full((1, 8, 8, 3), 192))[0, 0, 0].round(5).tolist()
    [0.5, 0.5, 0.5]
    """
    return (resize(images, antialiased).clip(0, 255) - 128) / 128


def resize(images: Array, matrix, side: int = SIDE) -> Array:
    """Images [B, H, W, C] as squares [B, side, side, C] of floats.

    Args:
      images: numbers of any range.
      matrix: `half_pixel`, `first_pixel` or `antialiased`.
      side: of the squares.

    Raises:
      ValueError: no images.

    >>> images = jnp.array([[0.0, 255.0]]).reshape(1, 1, 2, 1)
    >>> resizing.resize(images, resizing.first_pixel, side=4)[0, 0, :, 0].tolist()
    [0.0, 127.5, 255.0, 255.0]
    """
    shape = images.shape
    require(len(shape) == 4 and min(shape) >= 1, "images", shape, "give [B, H, W, C]")
    x = jnp.asarray(images).astype(jnp.float32)
    rows, columns = (jnp.asarray(matrix(n, side), jnp.float32) for n in shape[1:3])
    x = jnp.einsum("sw,bhwc->bhsc", columns, x, precision=_EXACT)
    return jnp.einsum("sh,bhwc->bswc", rows, x, precision=_EXACT)


def half_pixel(size: int, side: int) -> np.ndarray:
    """Bilinear weights [side, size] between pixel centres; the nearest pixel beyond the edge.

    >>> resizing.half_pixel(size=2, side=4).tolist()
    [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """
    return _bilinear((np.arange(side) + 0.5) * (size / side) - 0.5, size)


def first_pixel(size: int, side: int) -> np.ndarray:
    """Bilinear weights [side, size] of a grid that begins at the first pixel's centre.

    >>> resizing.first_pixel(size=2, side=4).tolist()
    [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [0.0, 1.0]]
    """
    return _bilinear(np.arange(side) * (size / side), size)


def _bilinear(places: np.ndarray, size: int) -> np.ndarray:
    places = places.clip(0, size - 1)
    # A hat around each pixel: 1 at its centre, 0 at its neighbours'.
    return (1 - abs(places[:, None] - np.arange(size))).clip(min=0)


def antialiased(size: int, side: int) -> np.ndarray:
    """Bicubic weights [side, size]; where the picture shrinks the kernel is as many times wider.

    The kernel is Keys' (1981) with a = -1/2, cut off at the edge and scaled to sum 1, as Pillow has
    it.

    >>> resizing.antialiased(size=2, side=1).tolist()
    [[0.5, 0.5]]
    >>> resizing.antialiased(size=3, side=3).tolist() == np.eye(3).tolist()
    True
    """
    scale = size / side
    width = max(scale, 1.0)
    centres = (np.arange(side) + 0.5) * scale
    weights = _keys((np.arange(size) + 0.5 - centres[:, None]) / width)
    # Pillow takes the pixels whose number lies between the rounded ends of the kernel.
    first = (centres - 2 * width + 0.5).astype(int)[:, None]
    last = (centres + 2 * width + 0.5).astype(int)[:, None]
    weights *= (np.arange(size) >= first) & (np.arange(size) < last)
    return weights / weights.sum(axis=1, keepdims=True)


def _keys(x: np.ndarray) -> np.ndarray:
    x = abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))
