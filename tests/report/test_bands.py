"""What a page shows of runs side by side is what their rows hold."""

import re

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from jwgan import report
from jwgan.report import bands, chart, page

MEMBERS = [
    {"label": f"seed {seed}, c {c}", "setting": f"c {c}", "seed": seed, "c": c}
    for c in (1, 2)
    for seed in (0, 1, 2)
]


@hypothesis.settings(derandomize=True, deadline=None, max_examples=60)
@hypothesis.given(
    st.lists(
        st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(np.nan)), min_size=4, max_size=4),
        min_size=1,
        max_size=6,
    )
)
def test_quartiles_are_numpys(rows):
    values = np.array(rows)
    values = values[np.isfinite(values).any(axis=1)]
    if len(values):
        expected = np.nanquantile(values, [0.25, 0.5, 0.75], axis=1)
        np.testing.assert_allclose(chart.quartiles(values), expected, rtol=1e-9, atol=1e-6)


def test_quartiles_of_what_is_lost_are_nan_and_infinity_is_lost():
    values = np.array([[np.nan, np.inf], [-np.inf, 3.0]])
    np.testing.assert_array_equal(chart.quartiles(values), [[np.nan, 3.0]] * 3)


def test_rows_of_members_come_back(tmp_path):
    values = np.arange(12, dtype=np.float32).reshape(2, 6) / 10
    values[1, 2] = np.nan
    with report.Writer(tmp_path, trials=[m["label"] for m in MEMBERS]) as writer:
        writer.scalars(0, {"x": values}, {"seen": np.arange(6.0)})
    columns = report.read_metrics(tmp_path)
    np.testing.assert_array_equal(columns["x"].astype(np.float32), values)
    np.testing.assert_array_equal(columns["seen"], [np.arange(6.0), [np.nan] * 6])
    assert len((tmp_path / "metrics.jsonl").read_text()) < 150  # 0.1, not 0.10000000149011612


def test_figures_without_a_column_for_each_member_are_refused(tmp_path):
    with report.Writer(tmp_path, trials=["a", "b"]) as writer:
        with pytest.raises(ValueError, match="give arrays of one shape"):
            writer.scalars(0, {"x": np.zeros((3, 1))})
        with pytest.raises(ValueError, match="give arrays of one shape"):
            writer.scalars(0, {"x": np.zeros(3)})


def test_a_torn_or_foreign_list_is_a_missing_row(tmp_path):
    lines = ['{"step": 0, "x": [1, 2]}', '{"step": 1, "x": [1]}', '{"step": 2, "x": 3}']
    (tmp_path / "metrics.jsonl").write_text("\n".join([*lines, '{"step": 3, "x": [1, ']))
    x = report.read_metrics(tmp_path)["x"]
    np.testing.assert_array_equal(x, [[1, 2], [np.nan, np.nan], [np.nan, np.nan]])


def rendered():
    """A page of 6 members: figures of setting 1 are seed, of setting 2 are 10 + seed."""
    figures = np.tile([0.0, 1.0, 2.0, 10.0, 11.0, 12.0], (50, 1))
    rows = [
        {"label": m["label"], "seed": m["seed"], "c": m["c"], "died": "", "warnings": []}
        | {"quality": {"exact_w1": m["c"] + m["seed"] / 10}}
        for m in MEMBERS
    ]
    rows[4] |= {"died": "penalty is nan at step 7", "quality": {}}
    return page.render(
        {"experiment": "x", "trials": MEMBERS},
        {"steps": 50, "per_trial": rows, "warnings": [f"warning {i}" for i in range(9)]},
        {"step": np.arange(50), "penalty": figures},
        [],
    )


def test_a_page_has_bands_where_the_quartiles_are():
    drawn = rendered()
    chart_of = drawn[drawn.index("<h3>Penalty</h3>") :].split("</svg>")[0]
    outline = re.findall(r'class="band" d="M([^Z]*)Z', chart_of)[0]
    band = [float(number) for number in outline.split()[1::2]]
    line = re.findall(r'd="M\d+ (\d+)[^"]*" stroke="var\(--m0\)" stroke-width', chart_of)
    # a unit of the axis from 0.5 to 11.5, with air, is the same up and down: 0.5, 1 and 1.5
    assert max(band) - float(line[0]) == pytest.approx(float(line[0]) - min(band), abs=2)
    assert max(band) - min(band) == pytest.approx(1000 / 11 / 1.16, abs=3)
    assert "c 1 1</span>" in chart_of
    assert "c 2 11</span>" in chart_of


def test_a_page_sums_up_the_settings_and_names_the_dead():
    drawn = rendered()
    assert "1.1 (1.05, 1.15)" in drawn
    assert "<td>1</td><td>2.1 (2.05, 2.15)</td>" in drawn  # one of three died, two are left
    assert "penalty is nan at step 7" in drawn
    assert "5 more, see Every member." in drawn
    assert "warning 3" in drawn
    assert "warning 4" not in drawn


def test_a_page_before_the_first_row_and_without_a_result():
    drawn = page.render({"trials": MEMBERS}, {}, {"step": np.zeros(0, int)}, [])
    assert "No figures yet." in drawn
    assert bands.quality({"per_trial": "damaged"}, MEMBERS) == ""


def test_labels_stand_above_their_pictures():
    images = [np.full((4, 200, 1), grey, np.uint8) for grey in (10, 20, 30)]
    sheet = report.labelled(images, ["a", "b", "seed 2"], columns=2)
    assert sheet.shape == (2 * (4 + 24), 400, 1)
    assert (sheet[24:28, :200] == 10).all()
    assert (sheet[24:28, 200:] == 20).all()
    assert (sheet[52:, :200] == 30).all()
    assert (sheet[28:52, :200] < 128).any()  # the label
    assert (sheet[28:, 200:] == 255).all()  # nothing is there
