"""Pictures of samples: a grid of images, a scatter plot of points, a PNG file.

>>> import io, pathlib, tempfile
>>> from PIL import Image
>>> folder = pathlib.Path(tempfile.mkdtemp())
"""

import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jwgan import check, files
from jwgan.report import plots

LEGIBLE = 250  # pixels: a smaller scatter plot has no room for a legend
_SEPARATOR = 128  # grey level between the pictures of a grid


def image_grid(x: Any, columns: int | None = None, scale: int | None = None) -> np.ndarray:
    """Puts images side by side, row by row, with a thin line between them.

    Args:
      x: [N, H, W, C] in [-1, 1], C 1 or 3; what is outside is clipped, NaN is mid-grey.
      columns: images in a row; as square as can be if left out.
      scale: width and height that a pixel of x gets; if left out, the grid is about 600 wide.

    Returns:
      uint8 [rows (H scale + 1) + 1, columns (W scale + 1) + 1, C]

    Raises:
      ValueError: x has another shape, columns or scale is below 1.

    Two rows of three pictures, with lines of one pixel between and around them:

    >>> report.image_grid(np.zeros((6, 4, 5, 1)), columns=3, scale=1).shape
    (11, 19, 1)
    """
    x = np.asarray(x, np.float32)
    good = x.ndim == 4 and x.shape[-1] in (1, 3) and x.size > 0
    check.require(good, "x", x.shape, "give images [N, H, W, 1 or 3]")
    num, height, width, channels = x.shape
    columns = math.ceil(math.sqrt(num)) if columns is None else columns
    check.require(columns >= 1, "columns", columns, "give at least 1")
    # 8 x 8 digits at their own size would be a stamp, and a browser's enlargement would blur them.
    scale = max(1, round(600 / (columns * width))) if scale is None else scale
    check.require(scale >= 1, "scale", scale, "give at least 1")
    # A generator that diverges must not end its run here: the cast of NaN to uint8 is undefined.
    pixels = np.rint(np.nan_to_num(np.clip(x, -1, 1), nan=0.0) * 127.5 + 127.5).astype(np.uint8)
    # Repeated pixels stay sharp: a grid shows what the network drew, and no interpolation of it.
    pixels = pixels.repeat(scale, axis=1).repeat(scale, axis=2)
    # From here on height and width are those of a tile with its line.
    rows, height, width = math.ceil(num / columns), height * scale + 1, width * scale + 1
    grid = np.full((rows * height + 1, columns * width + 1, channels), _SEPARATOR, np.uint8)
    for i, picture in enumerate(pixels):
        top, left = i // columns * height + 1, i % columns * width + 1
        grid[top : top + height - 1, left : left + width - 1] = picture
    return grid


def labelled(images: Sequence[np.ndarray], labels: Sequence[str], columns: int) -> np.ndarray:
    """Puts pictures of one size side by side in so many columns, each under its label.

    Args:
      images: uint8 [H, W, 1 or 3], one for each label.

    Returns:
      uint8 [rows (H + 24), columns W, C]

    Raises:
      ValueError: there are no pictures, or not as many labels.
      MissingPackageError: Pillow is not installed.

    Three pictures of 40 by 50 pixels, each below a strip of 24, in two columns:

    >>> report.labelled([np.zeros((40, 50, 1), np.uint8)] * 3, ["a", "b", "c"], columns=2).shape
    (128, 100, 1)
    """
    check.require_package("PIL", "run")
    import PIL.Image
    import PIL.ImageDraw
    import PIL.ImageFont

    check.require(
        len(images) == len(labels) > 0, "labels", len(labels), "give one for each picture"
    )
    font, tiles = PIL.ImageFont.load_default(size=18), []
    for image, label in zip(images, labels, strict=True):
        _, width, channels = image.shape
        # 24 pixels hold a line of the font at size 18, descenders included.
        strip = PIL.Image.new("L", (width, 24), 255)
        PIL.ImageDraw.Draw(strip).text((3, 1), label, fill=0, font=font)
        text = np.asarray(strip)[..., None].repeat(channels, axis=2)
        tiles.append(np.concatenate([text, image]))
    blank = np.full_like(tiles[0], 255)
    # White tiles fill the last row, since all rows are concatenated with one width.
    tiles += [blank] * (-len(tiles) % columns)
    rows_of = [
        np.concatenate(tiles[i : i + columns], axis=1) for i in range(0, len(tiles), columns)
    ]
    return np.concatenate(rows_of)


def save_png(path: files.AnyPath, image: np.ndarray) -> None:
    """Writes a picture uint8 [H, W, 1 or 3], whole or not at all; makes the folder.

    Raises:
      MissingPackageError: Pillow is not installed.

    >>> report.save_png(folder / "grey.png", np.full((2, 2, 1), 85, np.uint8))
    >>> np.asarray(Image.open(folder / "grey.png")).tolist()
    [[85, 85], [85, 85]]
    """
    check.require_package("PIL", "run")
    import PIL.Image

    file = io.BytesIO()
    # Pillow has grey pictures as [H, W] and refuses [H, W, 1].
    pixels = image[..., 0] if image.shape[-1] == 1 else image
    PIL.Image.fromarray(pixels).save(file, format="PNG", optimize=True)
    files.replace(Path(path), file.getvalue())


def jpeg(png: bytes, limit: int) -> bytes | None:
    """The picture in at most `limit` bytes: as it is, else as a JPEG file, else a smaller one.

    Args:
      png: a PNG file.
      limit: bytes.

    Returns:
      None where it cannot be made so small, or Pillow cannot read it.

    Raises:
      MissingPackageError: it is too large, and Pillow is not installed.

    >>> file = io.BytesIO()
    >>> noise = np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype=np.uint8)
    >>> Image.fromarray(noise).save(file, "PNG")
    >>> small = pictures.jpeg(file.getvalue(), limit=4000)
    >>> len(small) <= 4000 < len(file.getvalue()), Image.open(io.BytesIO(small)).format
    (True, 'JPEG')
    """
    if len(png) <= limit:
        return png
    check.require_package("PIL", "run")
    import PIL.Image

    try:
        image = PIL.Image.open(io.BytesIO(png), formats=["PNG"]).convert("RGB")
    except (OSError, ValueError, PIL.Image.DecompressionBombError):
        return None
    # Half the pixels of each side leave every sample to be seen, an eighth the picture's colours.
    for scale in (1, 0.75, 0.5, 0.35, 0.25, 0.125):
        size = [max(1, round(side * scale)) for side in image.size]
        small = image if scale == 1 else image.resize((size[0], size[1]), PIL.Image.Resampling.BOX)
        for quality in (85, 70, 50):
            file = io.BytesIO()
            small.save(file, format="JPEG", quality=quality)
            if len(file.getvalue()) <= limit:
                return file.getvalue()
    return None


def scatter(
    real: Any,
    fake: Any,
    score: Callable[[np.ndarray], Any] | None = None,
    pixels: int = 600,
) -> np.ndarray:
    """Draws real and fake points of the plane, over the critic's level lines if `score` is given.

    Args:
      real: [N, 2], small and dark; they also set the frame. `fake` itself where there are none.
      fake: [M, 2], orange; those outside the frame are counted in the corner.
      score: points [P, 2] -> critic's scores [P].
      pixels: width and height.

    Returns:
      uint8 [pixels, pixels, 3]

    Raises:
      ValueError: real or fake is no list of points.
      MissingPackageError: matplotlib is not installed.

    >>> real, fake = np.array([[-1.0, -1.0], [1.0, 1.0]]), np.array([[0.0, 0.0]])
    >>> picture = report.scatter(real, fake, pixels=100)
    >>> red, green, blue = picture[50, 50]
    >>> picture.shape, bool(red > green > blue)  # orange in the middle
    ((100, 100, 3), True)
    """
    alone = real is fake
    real, fake = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    for name, x in (("real", real), ("fake", fake)):
        good = x.ndim == 2 and x.shape[1] == 2
        check.require(good, name, x.shape, "give points [N, 2]")
    # Of the real points alone: fakes that ran away would shrink the picture until nothing is seen,
    # and pictures of different steps could not be compared.
    low, high = _frame(real)
    figure = plots.figure(pixels / 100, pixels / 100, dpi=100)
    # The axes fill the picture to its edge, so a point's place in pixels follows from the frame
    # alone.
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xticks=[], yticks=[])
    axes.set_axis_off()
    levels = score is not None and _draw_levels(axes, score, low, high)
    # Real points come last, small and on top: fakes would hide the modes that they cover.
    orange = {"color": "#dd5a1c", "alpha": 0.55, "linewidths": 0, "label": "samples"}
    axes.scatter(fake[:, 0], fake[:, 1], s=12, **orange)
    if not alone:
        dark = {"color": "#1f2937", "alpha": 0.6, "linewidths": 0, "label": "real data"}
        axes.scatter(real[:, 0], real[:, 1], s=3, **dark)
    if pixels >= LEGIBLE:
        _draw_legend(axes, levels, pixels)
    outside = int((~((fake >= low) & (fake <= high)).all(axis=1)).sum())
    if outside:
        axes.text(0.02, 0.02, f"{outside} of {len(fake)} outside", transform=axes.transAxes)
    figure.canvas.draw()
    # A copy: the buffer goes when the figure does. The alpha channel is 255 everywhere.
    return np.array(figure.canvas.buffer_rgba())[..., :3]


def _frame(real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A square around the real points, a fifth wider than they are."""
    low, high = real.min(axis=0), real.max(axis=0)
    half = 0.6 * max(float((high - low).max()), 1e-6)  # 1e-6: all real points may be one
    return (low + high) / 2 - half, (low + high) / 2 + half


def _draw_legend(axes: Any, levels: bool, pixels: int) -> None:
    """What the points and the lines are, in a corner."""
    if levels:
        axes.plot([], [], color="#1d4ed8", linewidth=0.8, label="critic's score, darker: higher")
    axes.legend(
        loc="upper right",
        fontsize=8 if pixels >= 500 else 5.5,
        framealpha=0.75,
        borderpad=0.3,
        handletextpad=0.4,
        markerscale=1.5,
    )


def _draw_levels(axes: Any, score: Callable, low: np.ndarray, high: np.ndarray) -> bool:
    """Draws the critic's level lines; whether there are any."""
    # 120 x 120 scores, one call of the critic.
    xs, ys = np.linspace(low[0], high[0], 120), np.linspace(low[1], high[1], 120)
    points = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2).astype(np.float32)
    values = np.asarray(score(points), np.float64).reshape(120, 120)
    there = bool(np.isfinite(values).all() and np.ptp(values) > 0)  # a flat critic has none
    if there:
        axes.contourf(xs, ys, values, levels=14, cmap="Blues", alpha=0.35)
        axes.contour(xs, ys, values, levels=14, colors="#1d4ed8", linewidths=0.5, alpha=0.5)
    return there
