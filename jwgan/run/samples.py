"""Small data sets for tables and series: those that scikit-learn ships, and computed ones."""

from typing import Any

import jax
import numpy as np

from jwgan import check
from jwgan.data import scalers, tables
from jwgan.data.datasets import Dataset
from jwgan.problems import series as worlds

# The column that is a category, beside numbers; kinds of the others are inferred.
TABLES = {"diabetes": "sex", "breast_cancer": "diagnosis", "wine": "cultivar"}
SERIES = {"lorenz": worlds.lorenz, "sines": worlds.sines}
_NUM = 4000  # series
_KEY = 2**31 - 3  # that no run is likely to have


def table(name: str) -> tuple[Dataset, str, tables.Table]:
    """A table of scikit-learn's: (data set, name, what its columns are).

    diabetes: 442 patients, ten measurements and the progression after a year (Efron et al., 2004).
    breast_cancer: 569 patients, 30 measurements and the diagnosis (Street et al., 1993). wine: 178
    wines, 13 measurements and the cultivar (Aeberhard et al., 1992).

    Raises:
      ValueError: there is none of that name.
      MissingPackageError: scikit-learn is not installed.

    >>> dataset, name, encoded = samples.table("wine")
    >>> len(dataset.images) + len(dataset.test_images), encoded.columns[-1].categories
    (178, ('class_0', 'class_1', 'class_2'))
    """
    check.require(name in TABLES, "dataset", name, f"choose csv, {', '.join(TABLES)}")
    check.require_package("sklearn", "data")
    from sklearn import datasets

    load: Any = getattr(datasets, f"load_{name}")
    found = load(scaled=False) if name == "diabetes" else load()
    columns = {
        n: list(map(repr, c))
        for n, c in zip(found.feature_names, found.data.T.tolist(), strict=True)
    }
    names = getattr(found, "target_names", None)
    if names is None:
        columns["progression"] = list(map(repr, found.target.tolist()))
        columns["sex"] = [str(int(float(cell))) for cell in columns["sex"]]
    else:
        columns[TABLES[name]] = [str(names[i]) for i in found.target]
    kinds = tables.infer(list(columns), list(zip(*columns.values(), strict=True)))
    kinds[TABLES[name]] = "category"
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    source = f"sklearn.datasets.load_{name}"
    dataset, encoded = tables.from_rows(name, source, list(columns), rows, kinds)
    return dataset, name, encoded


def series(name: str) -> tuple[Dataset, str, scalers.Scaler]:
    """Computed series: (data set, name, scaler). 4,000 windows, the last fifth is held out.

    Raises:
      ValueError: there are none of that name.

    >>> dataset, name, scaler = samples.series("sines")
    >>> dataset.images.shape, dataset.test_images.shape  # [N, T, C], in [-1, 1]
    ((3200, 48, 1), (800, 48, 1))
    """
    check.require(name in SERIES, "dataset", name, f"choose array, {', '.join(SERIES)}")
    x = np.asarray(SERIES[name](jax.random.key(_KEY), _NUM))
    scaler = scalers.fit(x)
    train, test = np.split(scaler.encode(x), [_NUM * 4 // 5])
    dataset = Dataset(name, train, None, test, source=f"jwgan.problems.series.{name}")
    return dataset, name, scaler
