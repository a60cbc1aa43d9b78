"""The three ways to 299 x 299 pixels: against closed forms, Pillow, and what the programs gave."""

import pathlib

import inception_reference
import numpy as np
import PIL.Image
import pytest

from jwgan.metrics import resizing

SAID = dict(np.load(pathlib.Path(__file__).with_name("inception_reference.npz")))
MATRICES = {
    "pytorch-fid": resizing.half_pixel,
    "torch-fidelity": resizing.first_pixel,
    "clean-fid": resizing.antialiased,
}


@pytest.mark.parametrize(("name", "side"), [("grow", 32), ("shrink", 400)])
@pytest.mark.parametrize("program", MATRICES)
def test_pixels_are_those_of_the_program(program, name, side):
    picture = inception_reference.made_pictures(2, 1, side)
    found = np.asarray(resizing.resize(picture, MATRICES[program]))[0]
    found = found.clip(0, 255) if program == "clean-fid" else found
    # of 0 to 255; PyTorch computes places in float32
    said = SAID[f"resized_{name}_{program}"]
    np.testing.assert_allclose(found[::23, ::23], said, rtol=0, atol=2e-3)
    others = [SAID[f"resized_{name}_{other}"] for other in MATRICES if other != program]
    assert all(abs(found[::23, ::23] - other).max() > 1 for other in others)


@pytest.mark.parametrize("size", [(5, 9), (32, 32), (299, 299), (300, 298), (700, 1000)])
def test_bicubic_is_pillows(size):
    x = np.random.default_rng(0).uniform(0, 255, size).astype(np.float32)
    bicubic = PIL.Image.Resampling.BICUBIC
    said = np.asarray(PIL.Image.fromarray(x, mode="F").resize((299, 299), bicubic))
    found = np.asarray(resizing.resize(x[None, :, :, None], resizing.antialiased))[0, ..., 0]
    np.testing.assert_allclose(found, said, rtol=0, atol=2e-4)


@pytest.mark.parametrize("matrix", MATRICES.values())
@pytest.mark.parametrize("size", [1, 2, 8, 299, 1024])
def test_weights_of_a_row_sum_to_one_and_the_same_size_stays(matrix, size):
    np.testing.assert_allclose(matrix(size, 299).sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(matrix(size, size), np.eye(size))


def test_a_ramp_stays_a_ramp_between_pixel_centres():
    ramp = np.arange(8.0)
    inner = slice(20, -20)
    half = resizing.half_pixel(8, 64) @ ramp
    np.testing.assert_allclose(half[inner], ((np.arange(64) + 0.5) / 8 - 0.5)[inner])
    first = resizing.first_pixel(8, 64) @ ramp
    np.testing.assert_allclose(first[:57], np.arange(57) / 8)  # it begins at the first centre
    bicubic = resizing.antialiased(8, 64) @ ramp
    np.testing.assert_allclose(bicubic[inner], half[inner], atol=1e-12)


def test_scales_of_the_protocols():
    black, white = np.zeros((1, 4, 4, 3), np.uint8), np.full((1, 4, 4, 3), 255, np.uint8)
    for protocol, lowest, highest in [
        (resizing.pytorch_fid, -1, 1),
        (resizing.torch_fidelity, -1, 127 / 128),
        (resizing.clean_fid, -1, 127 / 128),
    ]:
        for images, value in ((black, lowest), (white, highest)):
            found = np.asarray(protocol(images))
            assert found.shape == (1, 299, 299, 3)
            np.testing.assert_allclose(found, value, atol=1e-6)


def test_bicubic_overshoots_are_cut():
    edge = np.zeros((1, 4, 4, 3), np.uint8)
    edge[:, :, 2:] = 255
    assert np.asarray(resizing.resize(edge, resizing.antialiased)).max() > 256
    assert np.asarray(resizing.clean_fid(edge)).max() == pytest.approx(127 / 128, abs=1e-6)


@pytest.mark.parametrize("shape", [(4, 4, 3), (0, 4, 4, 3), (1, 4, 0, 3)])
def test_no_images(shape):
    with pytest.raises(ValueError, match="images is"):
        resizing.pytorch_fid(np.zeros(shape))
