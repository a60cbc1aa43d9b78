"""What a resume and the commands read of a run directory, damaged: config.json with its resumes and
changes, result.json, seals, the compilation cache. Nothing is trained."""

import copy
import json
import math
import pathlib
import zlib

import numpy as np
import pytest
from fuzz import DAMAGE, attempt, both_counts, damaged_json, edit, pick, tree, tried

from experiments import toy2d
from jwgan import checkpoint
from jwgan.checkpoint import leaves
from jwgan.run import directory, reading, session, xla

OLD = pathlib.Path(__file__).parent / "old_runs" / "toy"


@pytest.fixture(scope="module")
def described():
    """The description of a run that has gone on with a change, and its result."""
    good = json.loads((OLD / "config.json").read_text())
    good["resumes"] = [{"step": 20, "command": "python -m experiments.toy2d --resume"}]
    good["changes"] = [{"step": 20, "changed": {"learning_rate": [0.1, 0.01]}}]
    return good, json.loads((OLD / "result.json").read_text())


@both_counts("what a resume reads")
def test_what_a_resume_reads(kind, count, tmp_path, described):
    good, result = described
    experiment = toy2d.EXPERIMENT.named()
    given = {"run_dir": str(tmp_path), "resume": "yes"}

    def goes_on():
        """All that a resume reads and writes of config.json, without data and networks."""
        config = directory.resumed(experiment, given, tmp_path)
        old = directory.read_description(tmp_path)
        new = {**copy.deepcopy(good), "config": {**old["config"]}, "data": old["data"]}
        changed = directory.changes(old, new, config)
        return directory.gone_on(old, new, 40, changed)

    def case(rng):
        (tmp_path / "config.json").write_bytes(damaged_json(rng, good))
        (tmp_path / "result.json").write_bytes(damaged_json(rng, result))
        before = tree(tmp_path)
        new, outcome = attempt(goes_on)
        finished, _ = attempt(directory.is_finished, tmp_path, 40)
        assert finished in (True, False)
        assert tree(tmp_path) == before
        if outcome == "works":
            assert new["resumes"][-1]["step"] == 40
            assert all(isinstance(one, dict) for one in new["resumes"])
            assert all(isinstance(one, dict) for one in new.get("changes", []))
            json.dumps(new)
        return outcome

    tally = tried(kind, count, case)
    assert tally["works"] > 0
    assert tally["refused"] > 0


@both_counts("seals")
def test_seals(kind, count, tmp_path):
    """Damaged, and changed by someone who knows how to sign them."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    seal = {"format": 1, "data": "00000010-0", "files": {}, "leaves": [], "state_sha256": ""}

    def signed(one):
        try:
            return json.dumps({**one, "seal_sha256": leaves.json_sha256(one)}).encode()
        except ValueError:  # NaN and infinities cannot be signed
            return b"{}"

    def case(rng):
        for path in folder.iterdir():
            path.unlink()
        for step in (10, 20, 30):
            extra = {"sliced_distance": pick(rng, [None, 0.0, 0.5, 1e300, -1.0]), "timed": True}
            one = {**copy.deepcopy(seal), "step": step, "extra": extra}
            if rng.integers(3) == 0:
                edit(rng, one)
            content = signed(one)
            if rng.integers(3) == 0:
                content = pick(rng, DAMAGE)(rng, content)
            (folder / f"{step:08d}.json").write_bytes(content)
        before = tree(folder)
        found = checkpoint.extras(folder)
        assert set(found) <= {10, 20, 30}
        assert all(isinstance(extra, dict) for extra in found.values())
        assert all(isinstance(session.is_timed(extra), bool) for extra in found.values())
        best, outcome = attempt(reading.best_step, tmp_path)
        if outcome == "works":
            assert math.isfinite(session.score_of(found[best]))
        assert tree(folder) == before
        return outcome

    tally = tried(kind, count, case)
    assert tally["works"] > 0
    assert tally["refused"] > 0


@both_counts("compilation caches")
def test_compilation_caches(kind, count, tmp_path):
    outside = tmp_path / "outside-cache"
    outside.write_bytes(b"secret")
    folder = tmp_path / "cache"
    folder.mkdir()

    def case(rng):
        for path in folder.iterdir():
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        whole = zlib.compress(rng.bytes(rng.integers(300)))
        damaged = pick(rng, DAMAGE)(rng, whole)
        (folder / "a-cache").write_bytes(whole)
        (folder / "b-cache").write_bytes(damaged)
        (folder / "notes").write_bytes(damaged)
        other = pick(rng, ["nothing", "folder", "broken link", "link out"])
        path = folder / "c-cache"
        if other == "folder":
            path.mkdir()
        elif other != "nothing":
            path.symlink_to(outside if other == "link out" else folder / "nowhere")
        xla.remove_torn(folder)
        assert (folder / "a-cache").read_bytes() == whole
        assert (folder / "notes").read_bytes() == damaged
        assert outside.read_bytes() == b"secret"
        return "kept" if (folder / "b-cache").exists() else "removed"

    tally = tried(kind, count, case)
    assert tally["removed"] > 0


def test_a_score_is_a_number_or_none():
    for distance in ("a", [], {}, True, None, float("nan"), 10**400):
        assert np.isnan(session.score_of({"sliced_distance": distance}))
