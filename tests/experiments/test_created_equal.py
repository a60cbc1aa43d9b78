"""The search: what is drawn, what is kept of an interrupted one, what the page says of it."""

import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest

from experiments import results
from experiments.created_equal import __main__ as created_equal
from experiments.created_equal import page, ranges, search, training
from jwgan.run import members

# --- the draw -------------------------------------------------------------------------------------


@pytest.mark.parametrize("member", members.NAMES)
def test_every_number_of_a_member_is_searched_within_its_range_or_kept_on_purpose(member):
    drawn = [one for group in ranges.draw(member, 48, 8) for one in group]
    searched = set(ranges.searched(member))
    kept = {*ranges.NOT_SEARCHED, *ranges.KEPT.get(member, ())}
    assert searched | kept >= set(members.numbers(member))
    assert searched.isdisjoint(kept)
    for name in searched:
        values = [one.numbers[name] for one in drawn]
        if name in ranges.ONE_OF:
            assert set(values) == set(ranges.ONE_OF[name]), "48 draws of at most 3"
        else:
            low, high = {**ranges.LOGARITHMIC, **ranges.EVEN}[name]
            assert low * 0.99 <= min(values) < max(values) <= high * 1.01
            # 48 draws fill a range: the ends' tenths are missed by one in (0.9^48 =) 160.
            scale = math.log if name in ranges.LOGARITHMIC else float
            width = scale(high) - scale(low)
            assert scale(min(values)) < scale(low) + 0.25 * width
            assert scale(max(values)) > scale(high) - 0.25 * width


def test_rates_of_the_players_are_drawn_apart():
    drawn = [one.numbers for group in ranges.draw("wgan_gp", 24, 6) for one in group]
    both = np.log([[one["learning_rate"], one["critic_learning_rate"]] for one in drawn])
    assert abs(np.corrcoef(both.T)[0, 1]) < 0.5


def test_a_group_has_one_structure_and_groups_differ():
    groups = ranges.draw("gan", 24, 6)
    assert [len(group) for group in groups] == [4] * 6
    found = [group[0].structure for group in groups]
    assert all(one.structure == group[0].structure for group in groups for one in group)
    assert len({json.dumps(one) for one in found}) == 6


def test_a_member_is_drawn_the_same_whoever_else_is_searched():
    assert ranges.draw("wgan", 24, 6) == ranges.draw("wgan", 24, 6)
    assert ranges.draw("wgan", 24, 6, seed=1) != ranges.draw("wgan", 24, 6)
    assert ranges.draw("wgan_gp", 24, 6) != ranges.draw("wgan_lp", 24, 6)  # of the same numbers
    with pytest.raises(ValueError, match="settings is 23: give a multiple of the 6"):
        ranges.draw("wgan", 23, 6)


@pytest.mark.parametrize("member", members.NAMES)
@pytest.mark.parametrize("dataset", search.PLANS)
def test_every_structure_can_be_built(member, dataset):
    """A member that refused one of its structures would end a search of hours."""
    shape = {"digits": (8, 8, 1), "fashion_mnist": (28, 28, 1)}[dataset]
    for structure in ranges.structures(member):
        config = training.config_of(member, dataset, structure)
        algorithm = members.experiment_of(member).build(config, shape)
        assert callable(algorithm.step)


# --- an interrupted search ------------------------------------------------------------------------


def row(**given):
    return {"dataset": "digits", "member": "gan", "part": "search", "seeds": [0], **given}


def test_finished_programs_are_not_run_again_and_a_torn_line_is_forgotten(tmp_path):
    path = tmp_path / "trials.jsonl"
    search.Log(path).add([row(seed=0), row(seed=1)])
    with path.open("a") as file:
        file.write('{"dataset": "dig')  # killed here
    log = search.Log(path)
    assert [one["seed"] for one in log.rows] == [0, 1]
    log.add([row(seed=2, member="wgan")])
    again = search.Log(path)
    assert [one["seed"] for one in again.of(member="wgan")] == [2]
    assert len(again.rows) == 3


def test_a_strange_line_is_named(tmp_path):
    path = tmp_path / "trials.jsonl"
    path.write_text('{"dataset": "digits"}\n')
    with pytest.raises(ValueError, match=r"trials.jsonl: line 1 is none of a search"):
        search.Log(path)


def test_a_search_runs_what_is_missing_and_the_best_on_new_seeds(tmp_path, monkeypatch):
    trained = []

    def train(member, task, dataset, settings, seeds, budget):
        trained.append((member, [one.numbers["learning_rate"] for one in settings], seeds))
        return [one.numbers["learning_rate"] for one in settings], {"steps": 1, "cpu_seconds": 0.5}

    # The least learning rate is the best one here.
    judge = lambda task, fitted, fake: {"frechet_distance": fake, "classes_present": 10}
    monkeypatch.setattr(training, "train", train)
    monkeypatch.setattr(training, "judge", judge)
    monkeypatch.setattr(training, "load", lambda dataset: training)
    monkeypatch.setattr(training, "dataset", None, raising=False)
    monkeypatch.setattr(search.evaluate, "fit_classifier", lambda dataset: None)
    plan = search.Plan(settings=4, structures=2, seconds=1.0, seeds=3)
    said = []
    search.run("digits", ["gan", "wgan"], plan, search.Log(tmp_path / "log"), said.append)
    assert len(said) == search.programs(["gan", "wgan"], plan) == len(trained) == 6
    of_gan = [rates for member, rates, _ in trained if member == "gan"]
    assert of_gan[2] == [min(of_gan[0] + of_gan[1])] * 3
    assert [seeds for _, _, seeds in trained[:3]] == [[0, 1], [2, 3], [1000, 1001, 1002]]
    # What is there is not trained again; a member whose last program is missing gets that one.
    lines = (tmp_path / "log").read_text().splitlines(keepends=True)
    (tmp_path / "log").write_text("".join(lines[:-3]))
    search.run("digits", ["gan", "wgan"], plan, search.Log(tmp_path / "log"))
    assert [(member, seeds) for member, _, seeds in trained[6:]] == [("wgan", [1000, 1001, 1002])]


def test_another_plan_needs_another_folder(tmp_path):
    created_equal._require_same_plan(tmp_path / "plan.json", {"digits": search.QUICK})
    created_equal._require_same_plan(tmp_path / "plan.json", {"digits": search.QUICK})
    with pytest.raises(ValueError, match="it holds runs of"):
        created_equal._require_same_plan(tmp_path / "plan.json", search.PLANS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset": "cifar10"}, "dataset is 'cifar10'"),
        ({"members": "wgan_gp,wgann"}, "members is 'wgann': did you mean wgan?"),
    ],
)
def test_bad_options_are_named(options, message):
    config = created_equal.Config(**options)
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        (created_equal.plans_of(config), created_equal.members_of(config))


# --- training and judging -------------------------------------------------------------------------


def test_a_run_that_is_not_finite_has_no_class():
    fake = np.full((4, 8, 8, 1), np.nan)
    assert training.judge(None, None, fake)["classes_present"] == 0


# --- the page -------------------------------------------------------------------------------------


def trial(distance, classes=10, **numbers):
    structure = {"n_critic": 1, "width": 8}
    return {
        **{"frechet_distance": distance, "classes_present": classes},
        **{"structure": structure, "numbers": numbers},
    }


def test_summary_of_ten_settings():
    rows = [trial(float(d), 10 if d < 4 else 7, learning_rate=d / 10) for d in range(9, 0, -1)]
    found = page.summary([*rows, trial(None, 0)], [trial(2.0), trial(8.0, 9), trial(4.0)])
    assert (found["best"], found["median"], found["not_finite"]) == (1.0, 6.0, 1)
    assert found["tenth"] == 2.0
    assert found["ten_classes_share"] == 0.3
    assert (found["new_seeds"], found["new_median"]) == ([2.0, 4.0, 8.0], 4.0)
    assert found["new_classes"] == [9, 10, 10]
    assert found["numbers"] == {"learning_rate": 0.1}
    assert found["curve"] == [*map(float, range(1, 10)), None]


def test_rows_are_sorted_by_the_new_seeds():
    one = page.summary([trial(1.0)], [trial(9.0)])
    other = page.summary([trial(5.0)], [trial(6.0, 8), trial(7.0)])
    rows = page.rows_of({"a": one, "b": other})
    assert [row[0] for row in rows] == ["b", "a"]
    assert rows[0][5:7] == ["6 to 7", "8 to 10"]
    assert rows[1][4] == "9"


def test_the_page_shows_every_member():
    members_found = {"gan": page.summary([trial(1.5), trial(None, 0)], [trial(2.5)])}
    plan = search.QUICK._asdict()
    one = {"plan": plan, "frechet_distance_of_real": 1.4, "members": members_found}
    report = page.page({"datasets": {"digits": one}})
    assert list(report.pictures) == ["created_equal-digits"]
    assert report.table[1][0][:2] == ["gan", "1.5"]


@pytest.mark.slow
def test_the_quick_search_ends_in_a_page_and_goes_on(tmp_path):
    """Two members, killed by nobody; the second start finds everything done."""
    command = [sys.executable, "-m", "experiments.created_equal", "--quick", "--json"]
    command += ["--members", "gan,began", "--out", str(tmp_path / "out")]

    def run():
        done = subprocess.run(
            command, cwd=results.ROOT, capture_output=True, text=True, env={**os.environ}
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    first = run()
    found = first["datasets"]["digits"]["members"]
    assert list(found) == ["gan", "began"]
    assert all(len(one["curve"]) == 4 and len(one["new_seeds"]) == 2 for one in found.values())
    assert "Are they created equal?" in (tmp_path / "out" / "report.html").read_text()
    assert run()["datasets"] == first["datasets"]
