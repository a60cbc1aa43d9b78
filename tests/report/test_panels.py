"""Pictures of series and of tables."""

import numpy as np
import pytest

from jwgan import report

RNG = np.random.default_rng(7)


def test_every_series_has_a_panel_of_its_own():
    flat = np.zeros((30, 12, 2))
    one = report.curves(flat)
    assert one.dtype == np.uint8
    assert one.shape == (440, 600, 3)
    changed = flat.copy()
    changed[7] = np.sin(np.arange(24)).reshape(12, 2)
    other = report.curves(changed)
    rows, columns = np.nonzero((one != other).any(axis=2))
    # Panel 7 is the third of the second row, of 120 x 88 pixels.
    assert 240 <= columns.min() <= columns.max() < 360
    assert 88 <= rows.min() <= rows.max() < 176
    assert report.curves(flat[:3]).shape == (88, 600, 3)
    # What ran away must not end a run.
    changed[0] = np.nan
    changed[1] = np.inf
    assert report.curves(changed).shape == one.shape


def test_columns_are_drawn_beside_real_data():
    numbers, words = RNG.normal(size=100), RNG.integers(0, 2, 100)
    shown = [
        report.Shown("number", numbers, numbers + 1),
        report.Shown("word", words, 1 - words, ("yes", "no\n")),
    ]
    image = report.histograms(shown)
    assert image.dtype == np.uint8
    assert image.shape[2] == 3
    alone = report.histograms([one._replace(real=None) for one in shown])
    assert (image != alone).any()
    many = report.histograms([shown[0]] * 40)
    assert many.shape[0] < 700
    ran_away = shown[0]._replace(fake=np.full(10, np.nan))
    assert report.histograms([ran_away]).size > 0


def test_bad_samples_are_refused():
    with pytest.raises(ValueError, match=r"give series \[N, T, C\]"):
        report.curves(np.ones((3, 4)))
    with pytest.raises(ValueError, match="give at least one column"):
        report.histograms([])
