"""Weights and pictures for the Inception network's tests, made by NumPy alone from names and seeds.

What pytorch-fid, torch-fidelity and clean-fid said of exactly these is in
tests/metrics/inception_reference.npz; RandomState's streams are frozen, so both stay what they are.
"""

import zlib

import numpy as np


def made_tensor(name, shape):
    """One tensor of the weight file: numbers such as a trained network has, from its name."""
    random = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith("running_var"):
        return random.uniform(0.5, 1.5, shape).astype(np.float32)
    if name.endswith("bn.weight"):
        return random.uniform(0.6, 1.4, shape).astype(np.float32)
    if len(shape) == 1:  # means and biases
        return (0.2 * random.standard_normal(shape)).astype(np.float32)
    gain = 2.0 if len(shape) == 4 else 0.3  # with larger logits all pictures are of one class
    std = np.sqrt(gain / np.prod(shape[1:]))
    return (std * random.standard_normal(shape)).astype(np.float32)


def made_tensors(shapes):
    return {name: made_tensor(name, shape) for name, shape in shapes.items()}


def made_pictures(seed, num, side=32):
    """Pictures uint8 [num, side, side, 3] of coloured blocks and noise; a palette for each seed."""
    random = np.random.RandomState(seed)
    palette = random.randint(0, 256, (6, 3))
    blocks = palette[random.randint(0, 6, (num, 4, 4))]  # [num, 4, 4, 3]
    large = np.repeat(np.repeat(blocks, side // 4, axis=1), side // 4, axis=2)
    return (large + random.randint(-20, 21, large.shape)).clip(0, 255).astype(np.uint8)
