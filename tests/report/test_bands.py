"""What a page shows of trials side by side is what their rows hold."""

import re

import numpy as np
import pytest

from jwgan.report import bands, page

TRIALS = [
    {"label": f"seed {seed}, c {c}", "setting": f"c {c}", "seed": seed, "c": c}
    for c in (1, 2)
    for seed in (0, 1, 2)
]


def rendered():
    """A page of 6 trials: figures of setting 1 are seed, of setting 2 are 10 + seed."""
    figures = np.tile([0.0, 1.0, 2.0, 10.0, 11.0, 12.0], (50, 1))
    rows = [
        {"label": m["label"], "seed": m["seed"], "c": m["c"], "died": "", "warnings": []}
        | {"quality": {"exact_w1": m["c"] + m["seed"] / 10}}
        for m in TRIALS
    ]
    rows[4] |= {"died": "penalty is nan at step 7", "quality": {}}
    return page.render(
        {"experiment": "x", "trials": TRIALS},
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
    assert "5 more, see Every trial." in drawn
    assert "warning 3" in drawn
    assert "warning 4" not in drawn


def test_a_page_before_the_first_row_and_without_a_result():
    drawn = page.render({"trials": TRIALS}, {}, {"step": np.zeros(0, int)}, [])
    assert "No metrics yet." in drawn
    assert bands.quality({"per_trial": "damaged"}, TRIALS) == ""
