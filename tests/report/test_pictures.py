"""Every pixel and every point is where it belongs."""

import os

import numpy as np
import PIL.Image
import pytest

from jwgan import report
from jwgan.report import pictures


def test_image_grid_places_scales_and_separates():
    x = np.stack([np.full((2, 3, 1), value) for value in (-1.0, 0.0, 1.0)])
    grid = report.image_grid(x, columns=2, scale=2)
    assert grid.shape == (2 * 5 + 1, 2 * 7 + 1, 1)
    assert grid.dtype == np.uint8
    line = pictures._SEPARATOR
    assert (grid[1:5, 1:7] == 0).all()
    assert (grid[1:5, 8:14] == 128).all()
    assert (grid[6:10, 1:7] == 255).all()
    assert (grid[6:10, 8:14] == line).all()
    for rim in (grid[::5], grid[:, ::7]):
        assert (rim == line).all()


def test_image_grid_keeps_every_pixel():
    x = np.linspace(-1, 1, 2 * 4 * 5 * 3).reshape(2, 4, 5, 3)
    grid = report.image_grid(x, columns=2, scale=3)
    found = grid[2:14:3, [*range(2, 17, 3), *range(18, 33, 3)]].astype(float) / 127.5 - 1
    expected = np.concatenate([x[0], x[1]], axis=1)
    np.testing.assert_allclose(found, expected, atol=0.5 / 127.5 + 1e-6)


def test_image_grid_survives_what_is_no_pixel():
    x = np.array([np.nan, np.inf, -np.inf, 7, -7]).reshape(5, 1, 1, 1)
    grid = report.image_grid(x, columns=5, scale=1)
    assert grid[1, 1::2, 0].tolist() == [128, 255, 0, 255, 0]


@pytest.mark.parametrize(("num", "side"), [(1, 28), (9, 28), (100, 8), (64, 64)])
def test_image_grid_chooses_its_size(num, side):
    grid = report.image_grid(np.zeros((num, side, side, 1)))
    assert grid.shape[0] == grid.shape[1]
    assert 400 <= grid.shape[1] <= 800


@pytest.mark.parametrize(
    ("shape", "options", "words"),
    [
        ((2, 8, 8), {}, "x is"),
        ((0, 8, 8, 1), {}, "x is"),
        ((2, 8, 8, 2), {}, "x is"),
        ((2, 8, 8, 1), {"columns": 0}, "columns is 0"),
        ((2, 8, 8, 1), {"scale": 0}, "scale is 0"),
    ],
)
def test_image_grid_refuses(shape, options, words):
    with pytest.raises(ValueError, match=words):
        report.image_grid(np.zeros(shape), **options)


@pytest.mark.parametrize("channels", [1, 3])
def test_png_round_trip(channels, tmp_path):
    image = np.arange(6 * 5 * channels, dtype=np.uint8).reshape(6, 5, channels)
    report.save_png(tmp_path / "new" / "a.png", image)
    found = np.asarray(PIL.Image.open(tmp_path / "new" / "a.png")).reshape(6, 5, channels)
    np.testing.assert_array_equal(found, image)
    assert os.listdir(tmp_path / "new") == ["a.png"]


def test_scatter_shows_points_and_levels():
    corners = np.array([[x, y] for x in (-1.0, 1.0) for y in (-1.0, 1.0)])
    plain = report.scatter(corners, np.zeros((1, 2)), pixels=200)
    assert plain.shape == (200, 200, 3)
    assert plain.dtype == np.uint8
    reddest = np.unravel_index(np.argmax(plain[..., 0].astype(int) - plain[..., 2]), (200, 200))
    assert abs(reddest[0] - 100) < 4
    assert abs(reddest[1] - 100) < 4
    levels = report.scatter(corners, np.zeros((1, 2)), lambda x: x[:, 0], pixels=200)
    left, right = levels[20:40, 5:15].mean(), levels[20:40, 185:195].mean()
    assert (plain[20:40, 5:15] == 255).all()
    assert right < left - 10, "Blues darken with the score"


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_scatter_of_a_flat_or_broken_critic(value):
    x = np.eye(2)
    flat = report.scatter(x, x, lambda points: np.full(len(points), value), pixels=100)
    np.testing.assert_array_equal(flat, report.scatter(x, x, pixels=100))


def test_scatter_says_what_is_outside():
    x = np.eye(2)
    inside = report.scatter(x, x, pixels=200)
    outside = report.scatter(x, np.array([*x, [9.0, 9.0], [np.nan, 0.0]]), pixels=200)
    assert (inside[170:, :100] == 255).all()
    assert (outside[170:, :100] < 100).any()
    far = report.scatter(x, np.array([*x, [9.0, 9.0], [9.0, 0.0]]), pixels=200)
    np.testing.assert_array_equal(outside, far, "NaN is outside, too")
    with pytest.raises(ValueError, match="fake is"):
        report.scatter(x, np.zeros((3, 3)))


def test_labels_stand_above_their_pictures():
    images = [np.full((4, 200, 1), grey, np.uint8) for grey in (10, 20, 30)]
    sheet = report.labelled(images, ["a", "b", "seed 2"], columns=2)
    assert sheet.shape == (2 * (4 + 24), 400, 1)
    assert (sheet[24:28, :200] == 10).all()
    assert (sheet[24:28, 200:] == 20).all()
    assert (sheet[52:, :200] == 30).all()
    assert (sheet[28:52, :200] < 128).any()  # the label
    assert (sheet[28:, 200:] == 255).all()  # nothing is there
