"""What samples look like and how good they are, by the kind of their data.

Images are drawn as a grid, the rows of a table as histograms of its columns, everything else as
curves.

The examples use series of two steps, all zeros, and black pictures of 8 x 8 pixels:

    >>> zeros = np.zeros((8, 2, 1), np.float32)
    >>> task = run.array_task(data.Dataset("zeros", zeros, None, zeros))
    >>> black = np.full((4, 8, 8, 1), -1.0, np.float32)
    >>> images = run.image_task(data.Dataset("black", black, None))
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jwgan import check, metrics, report
from jwgan.data import scalers, tables

_LAGS = 10  # of a series' autocorrelation, at most


def is_table(task: Any) -> bool:
    """Whether a task's samples are the rows of a table.

    >>> views.is_table(task)
    False
    """
    return isinstance(task.encoding, tables.Table)


def draw(task: Any, x: Any, columns: int | None = None) -> Any:
    """A picture uint8 [H, W, C] of samples [N, *D]; beside real data where a task has them.

    >>> picture = views.draw(images, black, columns=2)
    >>> picture.dtype, picture.shape[2]  # grey
    (dtype('uint8'), 1)
    """
    x = np.asarray(x)
    if is_table(task):
        return report.histograms(_shown(task, x))
    if len(task.shape) == 3:
        return report.image_grid(x, columns=columns)
    return report.curves(_as_series(x))


def draw_real(task: Any, x: Any) -> Any:
    """The same of real data, that are no table.

    >>> np.array_equal(views.draw_real(images, black), views.draw(images, black, columns=10))
    True
    """
    return draw(task, x, 10)


def _as_series(x: np.ndarray) -> np.ndarray:
    """Samples [N, *D] as series [N, T, C]: vectors and others have one channel."""
    return x if x.ndim == 3 else x.reshape(len(x), -1, 1)


def _shown(task: Any, x: np.ndarray) -> list[report.Shown]:
    real = [None] * len(task.encoding.columns)
    if task.dataset is not None:
        parts = task.encoding.parts(task.dataset.images)
        real = [c.values(part) for c, part in zip(task.encoding.columns, parts, strict=True)]
    parts = zip(task.encoding.columns, real, task.encoding.parts(x), strict=True)
    return [report.Shown(c.name, r, c.values(part), c.categories) for c, r, part in parts]


def quality(task: Any, fake: Any) -> dict[str, Any]:
    """Metrics of samples of a table, or of series, beside the same of real data.

    {} for other data, and where no real data are held out.

    >>> found = views.quality(task, zeros + 1)
    >>> found["marginal_w1"], found["marginal_w1_of_real"], found["step_w1"]
    (1.0, 0.0, 0.0)
    """
    data = task.dataset
    if data is None or data.test_images is None:
        return {}
    if is_table(task):
        return _table_quality(task.encoding, data, np.asarray(fake))
    if len(task.shape) == 2:
        return _series_quality(data, np.asarray(fake))
    return {}


def _table_quality(table: tables.Table, data: Any, fake: np.ndarray) -> dict[str, Any]:
    train, held_out = data.images, data.test_images
    of_fake, of_real = (_distances(table, held_out, x) for x in (fake, train))
    found: dict[str, Any] = {"samples": len(fake)}
    for what, kinds in (("column_w1", ("number", "whole")), ("total_variation", ("category",))):
        names = [c.name for c in table.columns if c.kind in kinds]
        if names:
            found[what] = _mean(of_fake[name] for name in names)
            found[f"{what}_of_real"] = _mean(of_real[name] for name in names)
    if table.width > 1:
        of = lambda x: metrics.columns.correlation_difference(held_out, x)
        found["correlation_difference"] = round(float(of(fake)), 4)
        found["correlation_difference_of_real"] = round(float(of(train)), 4)
    known = {tuple(row) for row in table.decode(train)}
    copied = np.mean([tuple(row) in known for row in table.decode(fake)])
    found["copied_share"] = round(float(copied), 4)
    found["columns"] = {
        check.printable(c.name): {"samples": of_fake[c.name], "real": of_real[c.name]}
        for c in table.columns
    }
    return found


def _distances(table: tables.Table, real: np.ndarray, x: np.ndarray) -> dict[str, float]:
    """{column: W1 in standard deviations of real data, of a category its total variation}."""
    found = {}
    for column, a, b in zip(table.columns, table.parts(real), table.parts(x), strict=True):
        if column.kind == "category":
            one, other = (jnp.asarray(column.values(part)) for part in (a, b))
            distance = float(metrics.columns.total_variation(one, other, column.width))
        else:
            # A held-out part of few rows may be constant.
            spread = float(a.std()) or 1.0
            distance = _w1(a[:, 0], b[:, 0]) / spread
        found[column.name] = round(distance, 4)
    return found


def _w1(real: np.ndarray, x: np.ndarray) -> float:
    return float(metrics.sliced.w1_on_line(jnp.asarray(real), jnp.asarray(x)))


def _mean(values: Any) -> float:
    return round(float(np.mean(list(values))), 4)


def _series_quality(data: Any, fake: np.ndarray) -> dict[str, Any]:
    held_out, train = data.test_images, data.images
    found: dict[str, Any] = {"samples": len(fake)}
    lags = min(_LAGS, held_out.shape[1] - 1)
    lagged = lambda x: metrics.columns.autocorrelations(x, lags)
    figures = {
        "marginal_w1": lambda x: _channel_w1(held_out, x),
        # Two sets may have the same values in another order: their steps tell them apart.
        "step_w1": lambda x: _channel_w1(np.diff(held_out, axis=1), np.diff(x, axis=1)),
        "autocorrelation_difference": lambda x: float(jnp.abs(lagged(held_out) - lagged(x)).mean()),
    }
    for name, figure in figures.items():
        found[name] = round(figure(fake), 4)
        found[f"{name}_of_real"] = round(figure(train), 4)
    return found


def _channel_w1(real: np.ndarray, x: np.ndarray) -> float:
    """W1 of all values of a channel in its standard deviations, averaged over the channels."""
    flat = lambda y: y.reshape(-1, y.shape[-1])
    real, x = flat(real), flat(x)
    distances = [
        _w1(real[:, i], x[:, i]) / (float(real[:, i].std()) or 1.0) for i in range(real.shape[1])
    ]
    return float(np.mean(distances))


def decoded(task: Any, x: Any) -> Any:
    """Samples [N, *D] in the units of the data; those of a table stay vectors.

    >>> scaler = data.scalers.fit(np.array([[10.0], [30.0]]))
    >>> views.decoded(task._replace(encoding=scaler), zeros)[0].tolist()
    [[20.0], [20.0]]
    """
    return task.encoding.decode(x) if isinstance(task.encoding, scalers.Scaler) else x
