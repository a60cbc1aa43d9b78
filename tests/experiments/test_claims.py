"""The ledger's verdicts and intervals; what is certain is certain in a quick run."""

import importlib.util
import json
import pathlib

import numpy as np
import pytest

from experiments.claims import ledger, page, tables
from experiments.claims.ledger import CONTRARY, FAILS, HOLDS, OPEN, WEAKER, Condition, Said

HERE = pathlib.Path(ledger.__file__).parent


def condition(low, value, high, above=True, threshold=1.0):
    return Condition("x", value, low, high, above, threshold)


@pytest.mark.parametrize(
    ("each", "verdict"),
    [
        (condition(1.1, 2.0, 3.0), HOLDS),
        (condition(0.9, 2.0, 3.0), OPEN),
        (condition(0.1, 0.5, 0.9), FAILS),
        (condition(0.1, 0.5, 1.0), FAILS),
        (condition(0.1, 0.5, 1.0, above=False), HOLDS),
        (condition(0.1, 0.5, 1.1, above=False), OPEN),
        (condition(1.1, 2.0, 3.0, above=False), FAILS),
        (condition(float("nan"), 2.0, 3.0), OPEN),
    ],
)
def test_a_condition_is_met_by_its_whole_interval(each, verdict):
    assert each.verdict == verdict


@pytest.mark.parametrize(
    ("found", "said", "verdict"),
    [
        ((1.1, 2.0, 3.0), Said("", none=1.0), HOLDS),
        ((1.1, 2.0, 3.0), Said("", none=1.0, number=1.05), HOLDS),
        ((1.1, 2.0, 3.0), Said("", none=1.0, number=2.5), WEAKER),
        ((1.1, 2.0, 3.0), Said("", none=1.0, number=9.0), WEAKER),
        ((0.9, 2.0, 3.0), Said("", none=1.0, number=0.5), OPEN),
        ((0.1, 0.2, 0.9), Said("", none=1.0), CONTRARY),
        ((5.1, 6.0, 7.0), Said(""), HOLDS),  # the condition's own number is 5
        ((4.0, 6.0, 7.0), Said(""), OPEN),
        ((1.0, 2.0, 3.0), Said(""), CONTRARY),
        ((float("nan"),) * 3, Said("", none=1.0), OPEN),
    ],
)
def test_what_a_source_asserts_has_four_verdicts(found, said, verdict):
    assert condition(*found, threshold=5.0).judged(said) == verdict
    turned = said._replace(**{k: v and -v for k, v in said._asdict().items() if k != "place"})
    below = condition(*(-x for x in reversed(found)), above=False, threshold=-5.0)
    assert below.judged(turned) == verdict


def test_verdicts_are_summed_up_by_kind():
    assert ledger.summary([HOLDS, HOLDS]) == "holds"
    assert ledger.summary([CONTRARY]) == "does not hold"
    some = [OPEN, HOLDS, CONTRARY, WEAKER, HOLDS]
    assert ledger.summary(some) == (
        "2 hold; 1 holds, weaker than said; 1 does not hold; 1 not decided"
    )


@pytest.mark.parametrize("number", ledger.MODULES)
def test_what_a_source_asserts_was_measured(number):
    """Each statistic by its name, and the recorded claim has verdicts of all of them."""
    bars = tables.recorded(number)["bars"]
    said = ledger.module(number).SAID
    assert said
    assert set(said) <= {bar["what"] for bar in bars}
    judged = ledger.asserted(number, map(ledger.from_bar, bars))
    assert {verdict for *_, verdict in judged} <= set(ledger.ASSERTED)


def test_one_missed_condition_is_a_claim_that_fails():
    good, unclear, bad = condition(2, 2, 2), condition(0, 2, 3), condition(0, 0, 0)
    assert ledger.verdict([good, good]) == HOLDS
    assert ledger.verdict([good, unclear]) == OPEN
    assert ledger.verdict([good, unclear, bad]) == FAILS


def test_intervals_cover_the_median_as_often_as_they_say():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        _, low, high = ledger.interval(rng.normal(size=16), draws=500)
        hits += low <= 0.0 <= high
    assert 0.90 <= hits / 200 <= 0.99  # percentile intervals of a median of 16


def test_an_interval_of_equal_values_is_a_point():
    assert ledger.interval([2.0] * 16) == (2.0, 2.0, 2.0)


def test_wilsons_interval_in_closed_form():
    # Wilson, 1927: (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), p = 1, n = 16
    z2 = 1.959964**2
    value, low, high = ledger.share(16, 16)
    assert (value, round(high, 9)) == (1.0, 1.0)
    assert low == pytest.approx(1 / (1 + z2 / 16), abs=1e-6)


@pytest.mark.parametrize("number", ledger.MODULES)
def test_every_claim_says_what_it_needs(number):
    assert importlib.util.find_spec(f"experiments.claims.{ledger.MODULES[number]}")
    text = (HERE / f"{ledger.MODULES[number]}.py").read_text()
    assert text.startswith(f'"""{number}: ')
    claim = ledger.describe(number)
    assert all(claim)
    assert any(c.isdigit() for c in claim.criterion)
    assert callable(ledger.module(number).measure)
    assert callable(ledger.module(number).draw)


def test_the_certain_claim_holds_and_is_drawn(tmp_path):
    found = ledger.module("C18").measure(range(2), quick=True)
    assert [b.certain for b in found.conditions] == [True] * 3
    assert ledger.verdict(found.conditions) == HOLDS
    result = {
        **ledger.describe("C18")._asdict(),
        "verdict": HOLDS,
        "bars": [{**b._asdict(), "verdict": b.verdict} for b in found.conditions],
        "drawn": json.loads(json.dumps(found.plot_data)),
        "seeds": 2,
        "quick": True,
        "cpu_minutes": 0.1,
        "remarks": ["<b>seen"],
    }
    text = page.write({"C18": result}, tmp_path).read_text()
    assert "data:image/png;base64," in text
    assert "&lt;b&gt;seen" in text
    assert "http" not in text.replace("http-equiv", "")
    page.write_pictures({"C18": result}, tmp_path / "pictures")
    assert (tmp_path / "pictures" / "claim-C18.png").read_bytes().startswith(b"\x89PNG")
