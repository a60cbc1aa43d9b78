"""What a run leaves behind: figures, pictures, and one page that shows them.

::

    runs/NAME/config.json         what was asked for, and where it ran
    runs/NAME/metrics.jsonl       one JSON object a line: {"step": 0, "penalty": 0.12, ...}
    runs/NAME/samples/*.png       named by the number of steps behind them
    runs/NAME/tensorboard/        the same figures and pictures for TensorBoard
    runs/NAME/result.json         final figures
    runs/NAME/report.html         all of it in one file that needs no network

Row `step` of the metrics belongs to update number `step`, counted from 0: a state of S steps has
the rows 0 ... S - 1 behind it.  Files are replaced whole or appended to line by line, so a killed
run leaves nothing that cannot be read.
"""

import importlib.metadata
import io
import json
import math
import os
import platform
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jwgan import rows
from jwgan.check import require

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "jwgan")
_SEPARATOR = 128  # grey level between the pictures of a grid
_PICTURE = re.compile(r"[0-9]{8,18}\.png")  # as a run names them; others are the user's
_Path = str | os.PathLike[str]
read_metrics = rows.read_metrics


# --- the run directory


class Writer:
    """Appends a run's figures to metrics.jsonl and TensorBoard.  A context manager.

    Opened at step S > 0 it continues a run: rows of S and later, a torn last line, and pictures of
    more than S steps are removed first, so that what follows repeats nothing.

    Args:
      folder: the run directory, created if needed.
      step: S, the number of steps the state to be trained has behind it.
      stride: every how many steps a row is written.
      members: names of K runs side by side, whose figures are columns [length, K].

    Raises:
      ValueError: stride is below 1, or metrics.jsonl is no regular file (`read_metrics`: so, too).
    """

    def __init__(self, folder: _Path, step: int = 0, stride: int = 1, members: Sequence[str] = ()):
        import tensorboardX

        require(stride >= 1, "stride", stride, "write every step (1) or every k-th (k)")
        self._folder, self._stride, self._members = Path(folder), stride, members
        self._folder.mkdir(parents=True, exist_ok=True)
        _truncate(self._folder, step)
        self._metrics = (self._folder / "metrics.jsonl").open("a", encoding="utf-8")
        self._board = tensorboardX.SummaryWriter(
            str(self._folder / "tensorboard"),
            purge_step=step or None,
            filename_suffix=f".{step}",  # two sessions within a second must not share a file
            write_to_disk=True,
        )

    def scalars(
        self, first: int, scalars: Mapping[str, Any], rare: Mapping[str, float] | None = None
    ) -> None:
        """Writes a chunk of figures and flushes them to the file.

        metrics.jsonl gets every stride-th step as it is (a mean would hide what matters most, the
        spikes), TensorBoard the chunk's last one.

        Args:
          first: the first row's step.
          scalars: {name: values [length]} for the steps first ... first + length - 1.
          rare: figures of the first step alone; other rows do not have them.

        With members, values are [length, K] and rare figures [K]; a row holds lists [K].
        """
        columns = {name: np.asarray(values) for name, values in scalars.items()}
        shapes = {name: column.shape for name, column in columns.items()}
        axes = (len(self._members),) if self._members else ()
        same = len(set(shapes.values())) == 1 and next(iter(shapes.values()))[1:] == axes
        require(
            same and all(shapes.values()), "scalars", shapes, "give arrays of one shape [length]"
        )
        length = len(next(iter(columns.values())))
        chosen = [i for i in range(length) if (first + i) % self._stride == 0]
        lines = [rows.line(first + i, columns, i, {} if i else rare or {}) for i in chosen]
        self._metrics.write("".join(lines))
        self._metrics.flush()
        for name, column in columns.items() if length else ():
            self._show(name, column[-1], first + length - 1)
        for name, value in (rare or {}).items():
            self._show(name, value, first)

    def _show(self, name: str, value: Any, step: int) -> None:
        """A figure in TensorBoard; of members a curve each, all in the figure's group."""
        tags = [f"{name}/{member}" for member in self._members] or [name]
        for tag, number in zip(tags, np.ravel(value), strict=True):
            self._board.add_scalar(tag, float(number), step)

    def image(self, name: str, step: int, image: np.ndarray) -> None:
        """Gives TensorBoard a picture uint8 [H, W, 1 or 3]; `save_png` keeps one as a file."""
        self._board.add_image(name, image, step, dataformats="HWC")
        self._board.flush()

    def close(self) -> None:
        """Flushes to the disk and closes."""
        try:
            self._metrics.flush()
            os.fsync(self._metrics.fileno())
        finally:  # a full disk must not keep them open
            self._metrics.close()
            self._board.close()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def write_json(path: _Path, value: Any) -> None:
    """Replaces a JSON file in one rename; NaN and infinities become strings, arrays lists."""
    text = json.dumps(rows.plain(value), indent=2, allow_nan=False)
    _replace(Path(path), (text + "\n").encode())


def write_report(folder: _Path) -> Path:
    """Makes report.html from what is in the run directory; returns its path.

    Any of the files may be missing or damaged: the page shows what there is, but no linked picture.
    """
    from jwgan import page

    folder = Path(folder)
    pictures = (folder / "samples").glob("*.png")
    files = sorted((p for p in pictures if p.is_file() and not p.is_symlink()), key=_steps_behind)
    text = page.render(
        config=_read_json(folder / "config.json"),
        result=_read_json(folder / "result.json"),
        metrics=rows.read_metrics(folder),
        pictures=[(_steps_behind(path), path.read_bytes()) for path in files],
    )
    _replace(folder / "report.html", text.encode(errors="backslashreplace"))  # lone surrogates
    return folder / "report.html"


def environment() -> dict[str, Any]:
    """What the run depends on: versions, device, source revision.  No paths, no host name."""
    import jax

    flags = os.environ.get("XLA_FLAGS", "").split()
    return {
        "python": platform.python_version(),
        **{name: version for name in PACKAGES if (version := _version(name))},
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu_cores": os.cpu_count(),
        "backend": jax.default_backend(),
        "device": jax.devices()[0].device_kind,
        "device_count": jax.device_count(),
        "x64": bool(jax.config.jax_enable_x64),  # type: ignore[attr-defined]
        "xla_flags": " ".join(flag for flag in flags if "/" not in flag),
        "git_revision": _git_revision(),
    }


# --- pictures


def image_grid(x: Any, columns: int | None = None, scale: int | None = None) -> np.ndarray:
    """Images side by side, row by row, with a thin line between.

    Args:
      x: [N, H, W, C] in [-1, 1], C 1 or 3; what is outside is clipped, NaN is mid-grey.
      columns: images in a row; as square as can be if left out.
      scale: pixels a pixel becomes; if left out, the grid is made about 600 pixels wide.

    Returns:
      uint8 [rows (H scale + 1) + 1, columns (W scale + 1) + 1, C]

    Raises:
      ValueError: x has another shape, columns or scale is below 1.
    """
    x = np.asarray(x, np.float32)
    good = x.ndim == 4 and x.shape[-1] in (1, 3) and x.size > 0
    require(good, "x", x.shape, "give images [N, H, W, 1 or 3]")
    num, height, width, channels = x.shape
    columns = math.ceil(math.sqrt(num)) if columns is None else columns
    require(columns >= 1, "columns", columns, "give at least 1")
    scale = max(1, round(600 / (columns * width))) if scale is None else scale
    require(scale >= 1, "scale", scale, "give at least 1")
    pixels = np.rint(np.nan_to_num(np.clip(x, -1, 1), nan=0.0) * 127.5 + 127.5).astype(np.uint8)
    pixels = pixels.repeat(scale, axis=1).repeat(scale, axis=2)
    rows, height, width = math.ceil(num / columns), height * scale + 1, width * scale + 1
    grid = np.full((rows * height + 1, columns * width + 1, channels), _SEPARATOR, np.uint8)
    for i, picture in enumerate(pixels):
        top, left = i // columns * height + 1, i % columns * width + 1
        grid[top : top + height - 1, left : left + width - 1] = picture
    return grid


def labelled(images: Sequence[np.ndarray], labels: Sequence[str], columns: int) -> np.ndarray:
    """Pictures of one size, each under its label, side by side in so many columns.

    Args:
      images: uint8 [H, W, 1 or 3], one for each label.

    Returns:
      uint8 [rows (H + 24), columns W, C]
    """
    import PIL.Image
    import PIL.ImageDraw
    import PIL.ImageFont

    require(len(images) == len(labels) > 0, "labels", len(labels), "give one for each picture")
    font, tiles = PIL.ImageFont.load_default(size=18), []
    for image, label in zip(images, labels, strict=True):
        _, width, channels = image.shape
        strip = PIL.Image.new("L", (width, 24), 255)
        PIL.ImageDraw.Draw(strip).text((3, 1), label, fill=0, font=font)
        text = np.asarray(strip)[..., None].repeat(channels, axis=2)
        tiles.append(np.concatenate([text, image]))
    blank = np.full_like(tiles[0], 255)
    tiles += [blank] * (-len(tiles) % columns)
    rows_of = [
        np.concatenate(tiles[i : i + columns], axis=1) for i in range(0, len(tiles), columns)
    ]
    return np.concatenate(rows_of)


def save_png(path: _Path, image: np.ndarray) -> None:
    """Writes a picture uint8 [H, W, 1 or 3], whole or not at all; makes the folder."""
    import PIL.Image

    file = io.BytesIO()
    pixels = image[..., 0] if image.shape[-1] == 1 else image
    PIL.Image.fromarray(pixels).save(file, format="PNG", optimize=True)
    _replace(Path(path), file.getvalue())


def scatter(
    real: Any,
    fake: Any,
    score: Callable[[np.ndarray], Any] | None = None,
    pixels: int = 600,
) -> np.ndarray:
    """Real and fake points of the plane, over the critic's level lines if `score` is given.

    Args:
      real: [N, 2], small and dark; they also set the frame.
      fake: [M, 2], orange; those outside the frame are counted in the corner.
      score: points [P, 2] -> critic's scores [P].
      pixels: width and height.

    Returns:
      uint8 [pixels, pixels, 3]
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    real, fake = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    for name, x in (("real", real), ("fake", fake)):
        good = x.ndim == 2 and x.shape[1] == 2
        require(good, name, x.shape, "give points [N, 2]")
    low, high = _frame(real)
    figure = Figure(figsize=(pixels / 100, pixels / 100), dpi=100, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xticks=[], yticks=[])
    axes.set_axis_off()
    if score is not None:
        _draw_levels(axes, score, low, high)
    axes.scatter(fake[:, 0], fake[:, 1], s=12, color="#dd5a1c", alpha=0.55, linewidths=0)
    axes.scatter(real[:, 0], real[:, 1], s=3, color="#1f2937", alpha=0.6, linewidths=0)
    outside = int((~((fake >= low) & (fake <= high)).all(axis=1)).sum())
    if outside:
        axes.text(0.02, 0.02, f"{outside} of {len(fake)} outside", transform=axes.transAxes)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def _frame(real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A square around the real points, a fifth wider than they are."""
    low, high = real.min(axis=0), real.max(axis=0)
    half = 0.6 * max(float((high - low).max()), 1e-6)
    return (low + high) / 2 - half, (low + high) / 2 + half


def _draw_levels(axes: Any, score: Callable, low: np.ndarray, high: np.ndarray) -> None:
    xs, ys = np.linspace(low[0], high[0], 120), np.linspace(low[1], high[1], 120)
    points = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2).astype(np.float32)
    values = np.asarray(score(points), np.float64).reshape(120, 120)
    if np.isfinite(values).all() and np.ptp(values) > 0:  # a flat critic has no level lines
        axes.contourf(xs, ys, values, levels=14, cmap="Blues", alpha=0.35)
        axes.contour(xs, ys, values, levels=14, colors="#1d4ed8", linewidths=0.5, alpha=0.5)


# --- files


def _replace(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".tmp")
    draft.unlink(missing_ok=True)
    with draft.open("xb") as file:  # a link or a pipe of that name is not written through
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def _truncate(folder: Path, step: int) -> None:
    path = folder / "metrics.jsonl"
    if os.path.lexists(path):
        lines = [line for line in rows.whole(path) if json.loads(line)["step"] < step]
        _replace(path, "".join(lines).encode())
    for picture in (folder / "samples").glob("*.png"):
        if _PICTURE.fullmatch(picture.name) and _steps_behind(picture) > step:
            picture.unlink()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return _showable(value) if isinstance(value, dict) else {}


def _showable(value: Any, levels: int = 12) -> Any:
    """A JSON value without what a page cannot show: endless nesting, endless numbers."""
    if isinstance(value, dict | list) and not levels:
        return "…"
    if isinstance(value, dict):
        return {name: _showable(inner, levels - 1) for name, inner in value.items()}
    if isinstance(value, list):
        return [_showable(inner, levels - 1) for inner in value]
    return str(value) if type(value) is int and abs(value) >= 2**63 else value


def _steps_behind(path: Path) -> int:
    """The number in a picture's name, 0 if there is none."""
    number = re.search(r"\d{1,18}", path.stem)
    return int(number[0]) if number else 0


# --- environment


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git_revision() -> str | None:
    """The commit of the checkout this file is in, `+changes` if it is not quite that."""
    here = Path(__file__).resolve().parent

    def git(*args: str) -> str:
        command = ["git", "-C", str(here), *args]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()

    try:
        if git("ls-files", "--error-unmatch", Path(__file__).name) == "":
            return None
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None
