"""The pipeline bench: what is timed, and the rates that follow."""

import numpy as np
import pytest

from experiments import pipeline
from jwgan import sources

SMALL = {"steps": 4, "chunk_steps": 2, "n_critic": 3, "batch_size": 5, "width": 1, "latent": 2}


@pytest.fixture
def recorded():
    """A source that notes what is fetched."""
    source = sources.from_array(np.zeros((20, 2), np.float32), n_critic=3, batch_size=5)
    fetched = []

    def fetch(first, length):
        fetched.append((first, length))
        return source.fetch(first, length)

    return source._replace(fetch=fetch), fetched


def test_as_many_steps_warm_up_as_are_timed(recorded, monkeypatch):
    source, fetched = recorded
    clock = iter([10.0, 14.5])
    monkeypatch.setattr(pipeline.time, "perf_counter", lambda: next(clock))
    assert pipeline.seconds(source, pipeline.Config(**SMALL)) == 4.5
    assert fetched == [(0, 2), (2, 2), (4, 2), (6, 2)]


def test_rates_are_images_over_seconds(monkeypatch):
    calls = []

    def seconds(source, config, algorithm=None):
        calls.append((source.batch.shape[:2], algorithm is not None))
        return (2.0, 1.0, 4.0)[len(calls) - 1]  # alone, on held data, streamed

    monkeypatch.setattr(pipeline, "seconds", seconds)
    found = pipeline.measure(pipeline.Config(**SMALL))
    assert calls == [((3, 5), False), ((3, 5), True), ((3, 5), True)]
    assert found == {
        "dataset": "digits",
        "shape": [8, 8, 1],
        "images_per_second": 30,  # 4 * 3 * 5 in 2 s
        "images_per_second_needed": 60,
        "images_per_second_streamed": 15,
        "share_waiting": 0.75,
    }


def test_steps_that_are_no_whole_chunks_are_refused(capsys):
    with pytest.raises(ValueError, match="steps is 5: give a multiple of 2"):
        pipeline.measure(pipeline.Config(**{**SMALL, "steps": 5}))
