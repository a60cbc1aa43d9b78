"""What a run measures while it trains: what is reported, where it stands, what is warned of."""

import dataclasses
import itertools
import json
import math
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jwgan import data, metrics, report
from jwgan.run import evaluate, options, session, starts, tasks


def images(num, seed=0):
    """Images [num, 2, 2, 1] that no other seed has."""
    return np.random.default_rng(seed).uniform(-1, 1, (num, 2, 2, 1)).astype(np.float32)


def task_of(train, test):
    held_out = train if test is None else test
    dataset = types.SimpleNamespace(images=train, test_images=test, labels=None, test_labels=None)
    more = {"shape": train.shape[1:], "encoding": None, "classes": ()}
    return types.SimpleNamespace(dataset=dataset, held_out=held_out, problem=None, **more)


ALGORITHM = types.SimpleNamespace(
    sample=lambda key, state, num, label=None: jnp.zeros((num, 2, 2, 1)),
    score=lambda state, x: x.mean(axis=(1, 2, 3)),
    separation=lambda real, fake: real.mean() - fake.mean(),
)


@pytest.mark.parametrize(
    ("train", "test", "measured"),
    [
        (images(40), None, False),
        (images(40), images(40), False),  # the test part is the training part
        (images(40), images(40)[::-1], False),
        (images(40), images(40)[3:9], False),
        (images(40), images(20, seed=1), True),
        (images(40), np.concatenate([images(40)[:5], images(5, seed=1)])[::-1], True),
        (images(2), images(1, seed=1), True),
        (images(1), None, False),
        (np.zeros((9, 2, 2, 1), np.float32), np.zeros((5, 2, 2, 1), np.float32), False),
    ],
    ids=["none", "same", "reversed", "part", "new", "some new", "one row", "one", "all equal"],
)
def test_memorisation_is_measured_on_data_that_are_new(train, test, measured):
    task = task_of(train, test)
    metrics = evaluate.make_sample_metrics(task, ALGORITHM)(None)
    assert ("membership_auc" in metrics) == measured
    assert bool(evaluate.not_measured(task)) != measured
    assert "sliced_distance" in metrics
    if not measured:
        [line] = evaluate.not_measured(task)
        assert line.startswith("memorisation (membership_auc) is not measured: ")


def test_new_rows_alone_count():
    """A held-out part half of which is training data has the gap of its other half."""
    train, new = images(6), images(6, seed=1)
    mixed = np.concatenate([train[:3], new])  # of 9 held-out points the first 4 are looked at
    assert (evaluate.unseen_points(task_of(train, mixed)) == new[:1]).all()
    world = types.SimpleNamespace(dataset=None, held_out=images(8))
    assert len(evaluate.unseen_points(world)) == 4


@pytest.mark.parametrize("num", [1, 7, 100, 130])
def test_real_images_are_saved_once(num, tmp_path):
    path = tmp_path / "real.png"
    evaluate.save_real(task_of(images(num), None), path)
    first = path.read_bytes()
    evaluate.save_real(task_of(images(num, seed=1), None), path)
    assert path.read_bytes() == first
    evaluate.save_real(types.SimpleNamespace(dataset=None), tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


class Writer:
    def __init__(self):
        self.rows = []

    def evaluation(self, step, metrics):
        self.rows.append((step, dict(metrics)))

    def image(self, *args):
        pass


def session_of(coverages, tmp_path, **extra):
    """A session between two chunks, whose evaluations find these coverages."""
    found = iter(coverages)
    metrics_of = lambda state: {
        "coverage": next(found), "coverage_of_real": 1.0, "sliced_distance": 1.0,
    }  # fmt: skip
    saves = types.SimpleNamespace(save=lambda *args: None)
    run = session.Run(options.Config(), "x", tmp_path, None, None, None, None, 0, {})
    made = session.Session(
        run, session.Journal(**extra), metrics_of, Writer(), saves, starts.Clock(tmp_path, 0)
    )
    made.picture = lambda step, state: None
    made.journal.estimate, made.bar = 0.5, []
    made.show = lambda *args: made.bar.append(args)
    return made


@pytest.mark.parametrize(
    ("coverages", "warned"),
    [
        ([0.0], [False]),
        ([0.0, 0.0, 0.1], [False] * 3),
        ([0.0, 0.9, 0.1, 0.0, 0.8, 0.2], [False, False, True, True, False, True]),
        ([0.5, 0.3, 0.1], [False, False, True]),
        ([0.3, 0.1], [False, False]),
    ],
)
def test_a_collapse_is_a_fall(coverages, warned, tmp_path):
    made = session_of(coverages, tmp_path)
    for step, expected in enumerate(warned, 1):
        made.evaluate(step, None)
        assert ("collapse" in made.journal.warnings) == expected


def test_a_resumed_run_knows_that_coverage_was_good(tmp_path):
    made = session_of([0.9, 0.1], tmp_path)
    made.evaluate(1, None)
    extra = json.loads(json.dumps({"best_share": made.journal.best_share, "members": []}))
    resumed = session_of([0.1], tmp_path, **vars(session.Journal.from_extra(extra)))
    resumed.evaluate(2, None)
    assert set(resumed.journal.warnings) == {"collapse"}


@pytest.mark.parametrize("resume_at", [None, 3])
def test_a_run_that_does_not_learn_is_told_once_it_has_had_time(resume_at, tmp_path):
    coverages = [0.02, 0.05, 0.04, 0.05, 0.03, 0.05, 0.04, 0.3]
    made = session_of(coverages, tmp_path)
    for step in range(1, 9):
        if step == resume_at:
            extra = json.loads(json.dumps(dataclasses.asdict(made.journal)))
            known = vars(session.Journal.from_extra(extra))
            made = session_of(coverages[step - 1 :], tmp_path, **known)
        made.evaluate(step, None)
        # From the second evaluation on it covers no more; the last one covers enough.
        assert ("not_learning" in made.journal.warnings) == (step in (7,)), step


def test_a_checkpoint_of_0_1_0_says_nothing_before_coverage_is_good_again():
    assert session.Journal.from_extra({"retries": []}).best_share == 0.0


@pytest.mark.parametrize(("last", "bar"), [(0.1, "collapse"), (0.8, "")])
def test_the_last_evaluation_has_its_row_and_the_bar_agrees(last, bar, tmp_path):
    """Also where the alarm before it said something else."""
    made = session_of([0.9, 0.1 if not bar else 0.8, last], tmp_path)
    for step in (10, 20):
        made.evaluate(step, None)
        made.journal.pending = {}  # as the next chunk does
    made.finish(25, None)
    assert [step for step, _ in made.writer.rows] == [25]
    assert made.writer.rows[0][1]["coverage"] == last == made.last_metrics["coverage"]
    assert made.bar[-1] == (25, 0.5, bar)
    assert list(made.journal.warnings) == ([bar] if bar else [])
    assert made.journal.pending == {}


def test_an_evaluation_at_the_last_checkpoint_is_not_made_twice(tmp_path):
    made = session_of([0.9], tmp_path)
    made.evaluate(20, None)
    made.finish(20, None)
    assert [step for step, _ in made.writer.rows] == [20]


def test_after_a_signal_nothing_is_measured(tmp_path):
    made = session_of([], tmp_path)
    made.caught = [15]
    made.finish(20, None)
    assert made.writer.rows == []


@pytest.mark.parametrize(("trials", "dense"), [(1, 100_000), (8, 12_500), (200_000, 1)])
def test_rows_of_long_runs(trials, dense):
    free, given = types.SimpleNamespace(log_every=0), types.SimpleNamespace(log_every=30)
    assert session.row_widths(free, trials) == {"thin_from": dense}
    assert session.row_widths(given, trials) == {"stride": 30}


def test_the_time_of_a_run_is_that_of_all_its_starts(tmp_path, monkeypatch):
    clock = itertools.count(100.0, 10.0)
    worked = itertools.count(5.0, 2.0)
    monkeypatch.setattr(starts.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(starts.time, "process_time", lambda: next(worked))
    first = starts.Clock(tmp_path, 0)  # at 100
    first.note(50)  # at 110; killed later
    second = starts.Clock(tmp_path, 40)  # at 120
    # Two differences of 10 s on the clock, and two of 2 s on the cores.
    expected = {"seconds": 20.0, "cpu_seconds": 4.0, "steps_per_second": 4.5}
    assert second.totals(90) == expected
    second.note(90)
    assert len(json.loads((tmp_path / "starts.json").read_text())) == 2


@pytest.mark.parametrize(
    "text",
    ["", "{", "3", "null", "{}", "[1]", '[{"from": 0}]', '[{"from": -1, "seconds": 1}]',
     '[{"from": 0, "seconds": NaN}]', '[{"from": 0, "seconds": "x"}]', "[" * 5000,
     '[{"from": 0, "seconds": 1, "cpu_seconds": -1}]',
     '[{"from": 0, "seconds": 1, "cpu_seconds": "x"}]'],
)  # fmt: skip
def test_damaged_times_are_none(text, tmp_path):
    (tmp_path / "starts.json").write_text(text)
    found = starts.Clock(tmp_path, 10)
    assert found.earlier == []
    assert 0 < found.totals(20)["steps_per_second"] < math.inf


def test_the_page_has_the_time_of_the_result(tmp_path):
    report.write_json(tmp_path / "result.json", {"seconds": 3725.0, "steps_per_second": 4.5})
    assert "1 h 02 min" in report.write_report(tmp_path).read_text()


def labelled(real, train):
    """Quality of one-pixel images, by a classifier whose feature is the pixel and that is right."""
    pixels = lambda x: np.asarray(x, np.float32).reshape(-1, 1, 1, 1)
    labels = lambda x: (np.asarray(x) > 0).astype(np.int32)
    dataset = data.Dataset(
        "pixels", pixels(train), labels(train), pixels(real), labels(real), ("dark", "light")
    )
    flat = lambda params, x: jnp.asarray(x).reshape(len(x), 1)
    share = lambda params, x: jax.nn.one_hot(jnp.int32(flat(params, x)[:, 0] > 0), 2)
    fitted = metrics.classifier.Classifier(None, features=flat, probabilities=share)
    return lambda fake: evaluate.image_quality(tasks.image_task(dataset), pixels(fake), fitted)


def test_precision_and_recall_stand_beside_the_frechet_distance():
    real = [-0.7, -0.5, -0.3, -0.1, 0.1, 0.3, 0.5, 0.7]
    quality_of = labelled(real, real)
    names = ("precision", "recall", "precision_of_real", "recall_of_real")
    # Balls reach to the third neighbour: 0.6 at the ends, 0.4 elsewhere.
    for fake, expected in [
        (real, (1, 1, 1, 1)),
        (np.full(8, 5.0) + real, (0, 0, 1, 1)),
        ([-0.7] * 8, (1, 1 / 8, 1, 1)),  # their own balls have no extent
        ([-0.7] * 4 + [9.0] * 4, (0.5, 1 / 8, 1, 1)),
    ]:
        found = quality_of(fake)
        assert tuple(found[name] for name in names) == pytest.approx(expected)
    # Training data that are far from held-out data: "as good as it gets" is not good.
    found = labelled(real, np.asarray(real) + 5)(real)
    assert tuple(found[name] for name in names) == (1, 1, 0, 0)


def test_too_few_samples_have_no_neighbours():
    found = labelled([-0.5, -0.1, 0.1, 0.5, 0.7], [-0.5, 0.5] * 5)([0.1] * 9)
    assert "frechet_distance" in found
    assert not {name for name in found if name.startswith(("precision", "recall"))}


@pytest.mark.parametrize(
    ("count", "side", "steps", "widths"),
    [
        (1442, 8, 450, (32, 64)),  # as the digits have it: 40 passes
        (60_000, 28, 1406, (32, 64)),  # three
        (3326, 64, 259, (16, 32, 64, 64)),  # ten
        (60_000, 64, 1406, (16, 32, 64, 64)),
    ],
)
def test_large_pictures_have_a_deeper_classifier_and_fewer_passes(
    monkeypatch, count, side, steps, widths
):
    asked = []
    monkeypatch.setattr(metrics.classifier, "fit", lambda *_, **more: asked.append(more))
    x = np.broadcast_to(np.float32(0), (count, side, side, 1))
    evaluate.fit_classifier(data.Dataset("x", x, np.zeros(count, int), class_names=("a",)))
    assert (asked[0]["steps"], asked[0]["widths"]) == (steps, widths)
