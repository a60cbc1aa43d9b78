"""The pictures of a page: real data first, then the progress of the samples, the newest large.

The functions' examples show this picture:

>>> import re
>>> from jwgan.report import plots
>>> picture = plots.png(plots.figure(1, 1))
"""

import base64
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jwgan.report import chart, html, pictures

PICTURE_BYTES = 2_000_000  # of all picture files in a page; as text they are a third larger
PICTURES = 12  # thumbnails: four rows of three beside the large one, see `.film` in html.STYLE

Pictures = Sequence[tuple[int, bytes]]


class Frame(NamedTuple):
    """A picture as the page shows it."""

    short: str  # below the thumbnail
    label: str
    file: bytes  # PNG or JPEG
    size: tuple[int, int]  # width and height at which it is shown


def section(of_steps: Pictures, real: bytes | None = None) -> str:
    """The section of samples.

    Args:
      of_steps: (steps, PNG file) in the order they were made; damaged files are left out.
      real: the PNG file of real data.

    Returns:
      HTML text, "" without a picture.

    >>> page = film.section([(0, picture), (500, picture)], real=picture)
    >>> re.findall("<figcaption>(.*?)</figcaption>", page)
    ['Real data', 'Samples after 0 steps', 'Samples after 500 steps']
    """
    frames = _frames([p for p in of_steps if html.png_size(p[1])], real)
    if not frames:
        return ""
    rules, film = [], []
    for i, (short, label, file, (width, height)) in enumerate(frames):
        kind = "png" if html.png_size(file) else "jpeg"
        data = base64.b64encode(file).decode()
        # Each picture is shown twice, as thumbnail and large. As the background of a class its
        # bytes are in the page once.
        rules.append(f".p{i}{{background-image:url(data:image/{kind};base64,{data})}}")
        shape = f"aspect-ratio:{width}/{height}"
        # The last picture is open at first. Radio buttons and CSS choose another, since the page
        # has no scripts.
        checked = " checked" if i == len(frames) - 1 else ""
        film.append(
            f'<input type="radio" name="film" id="f{i}"{checked}>'
            f'<label for="f{i}"><span class="p p{i}" style="{shape}"></span>{short}</label>'
            f'<figure><div class="p p{i}" role="img" aria-label="{label}" '
            # A picture is not stretched beyond its own size, unless that is tiny.
            f'style="{shape};max-width:{max(width, 320)}px"></div>'
            f"<figcaption>{label}</figcaption></figure>"
        )
    return (
        f"<section><h2>Samples</h2><style>{''.join(rules)}</style>"
        f'<div class="film">{"".join(film)}</div></section>'
    )


def _frames(of_steps: Pictures, real: bytes | None) -> list[Frame]:
    first = [("real data", "Real data", real)] if real and html.png_size(real) else []
    chosen = [
        (chart.show(step), f"Samples after {chart.show(step)} steps", file)
        for step, file in choose_pictures(of_steps, PICTURES - len(first))
    ]
    every = [*first, *chosen]
    files = fit([file for _, _, file in every])
    return [
        Frame(short, label, small, html.png_size(file) or (1, 1))
        for (short, label, file), small in zip(every, files, strict=True)
        if small is not None
    ]


def choose_pictures(of_steps: Pictures, most: int = PICTURES) -> list[tuple[int, bytes]]:
    """Chooses `most` pictures, evenly over the run, the first and the last among them.

    >>> [step for step, _ in film.choose_pictures([(step, b"") for step in range(10)], most=4)]
    [0, 3, 6, 9]
    """
    # Counted from the end: of a single one, linspace takes the first end, which is the newest
    # picture.
    places = np.linspace(len(of_steps) - 1, 0, min(most, len(of_steps))).round().astype(int)
    return [of_steps[i] for i in sorted(places)]


def fit(files: Sequence[bytes], budget: int = PICTURE_BYTES) -> list[bytes | None]:
    """Makes PNG files fit into `budget` bytes in all: the last keeps its pixels if half holds them.

    Returns:
      the files themselves if they fit; otherwise JPEG files of the larger ones, smaller in pixels
      where they must be; None for one that cannot be made so small.

    >>> film.fit([picture, picture], budget=10**6) == [picture, picture]
    True
    >>> film.fit([picture, picture], budget=100)[0] is None  # no picture is that small
    True
    """
    if sum(map(len, files)) <= budget or len(files) < 2:
        return list(files)
    *earlier, newest = files
    # The newest picture, the one that is open, has half of the room if it needs that much.
    newest = pictures.jpeg(newest, budget // 2) or newest
    left = budget - len(newest)
    # From the smallest on: what one of them leaves of its share is for those that need more.
    order = sorted(range(len(earlier)), key=lambda i: len(earlier[i]))
    small: dict[int, bytes | None] = {}
    for rank, i in enumerate(order):
        small[i] = pictures.jpeg(earlier[i], max(left, 0) // (len(order) - rank))
        left -= len(small[i] or b"")
    return [*(small[i] for i in range(len(earlier))), newest]
