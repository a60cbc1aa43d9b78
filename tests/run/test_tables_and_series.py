"""Runs on tables, series and arrays: from a file to samples in its units, and back again."""

import json
import pathlib

import numpy as np
import pytest

from experiments import sample, series, table, wgan_gp
from jwgan.data import tables
from jwgan.run import launch, lifecycle, samples, schema, tasks
from jwgan.run import sample as run_sample

RNG = np.random.default_rng(8)
TINY = ["--width", "4", "--latent", "2", "--batch-size", "8", "--n-critic", "1", "--chunk-steps"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write_table(num=30, **changed):
    columns = {
        "age": [str(20 + i % 17) for i in range(num)],
        "height": [f"{150 + 3 * i % 40}.{i % 10}" for i in range(num)],
        "job": [("nurse", "smith", "none")[i % 3] for i in range(num)],
        **changed,
    }
    rows = [",".join(row) for row in zip(*columns.values(), strict=True)]
    pathlib.Path("t.csv").write_text("\n".join([",".join(columns), *rows]) + "\n")
    return ["--dataset", "csv", "--data-dir", "t.csv"]


def ends(capsys, experiment, *argv):
    with pytest.raises(SystemExit) as end:
        launch.main(experiment, [*argv, "--run-dir", "run"])
    error = capsys.readouterr().err
    assert end.value.code == 2
    assert error.count("\n") == 1
    assert not pathlib.Path("run").exists()
    return error


def read(name, folder="run"):
    return json.loads(pathlib.Path(folder, name).read_text())


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"age": ["20", "old", *map(str, range(28))]}, "row 2: 'old', expected a number"),
        ({"height": ["1.5", "", *["2.5"] * 28]}, "row 2: an empty cell, expected a number"),
        ({"height": ["1.5", "NaN", *["2.5"] * 28]}, "row 2: 'NaN', expected a number"),
    ],
)
def test_bad_tables_are_one_line(capsys, changed, says):
    assert says in ends(capsys, table.EXPERIMENT, *write_table(**changed))


def test_a_constant_column_that_is_declared(capsys):
    argv = write_table(age=["20"] * 30)
    kinds = {"age": "whole", "height": "number", "job": "category"}
    pathlib.Path("s.json").write_text(json.dumps({"columns": kinds}))
    assert "column age is constant ('20'); skip it" in ends(
        capsys, table.EXPERIMENT, *argv, "--schema", "s.json"
    )
    assert "no such file" in ends(capsys, table.EXPERIMENT, *argv, "--schema", "none.json")


def test_other_bad_input_is_one_line(capsys):
    assert "data_dir is None: give --data-dir, the CSV file" in ends(
        capsys, table.EXPERIMENT, "--dataset", "csv"
    )
    assert "choose csv, diabetes" in ends(capsys, table.EXPERIMENT, "--dataset", "digits")
    assert "choose array, lorenz" in ends(capsys, series.EXPERIMENT, "--dataset", "csv")
    for experiment, why in ((table, "a table is read whole"), (series, "lorenz is computed")):
        assert f"stream is True: {why}" in ends(capsys, experiment.EXPERIMENT, "--stream")
    argv = ["--dataset", "array", "--data-dir", "x.npy"]
    np.save("x.npy", np.full((5, 4), np.nan))
    assert "the value at [0, 0] is nan, 20" in ends(capsys, wgan_gp.EXPERIMENT, *argv)
    np.save("x.npy", RNG.normal(size=(5, 4, 4, 1)))
    assert "give (T, C)" in ends(capsys, series.EXPERIMENT, *argv)
    np.save("x.npy", RNG.normal(size=(5, 6)))
    resnet = [*argv, "--network", "resnet"]
    assert "choose one of auto, mlp" in ends(capsys, wgan_gp.EXPERIMENT, *resnet)
    size = [*argv, "--image-size", "8"]
    assert "give images [N, H, W, 1 or 3]" in ends(capsys, wgan_gp.EXPERIMENT, *size)


def test_the_schema_command(capsys):
    write_table()
    schema.main(["t.csv", "--out", "s.json"])
    kinds = {"age": "whole", "height": "number", "job": "category"}
    assert read("s.json", ".") == {"columns": kinds}
    schema.main(["t.csv"])
    assert json.loads(capsys.readouterr().out) == {"columns": kinds}
    for argv, says in (
        (["t.csv", "--out", "s.json"], "it is there already"),
        (["none.csv"], "no such file"),
    ):
        with pytest.raises(SystemExit) as end:
            schema.main(argv)
        error = capsys.readouterr().err
        assert (end.value.code, error.count("\n")) == (2, 1)
        assert says in error


@pytest.mark.parametrize("name", samples.TABLES)
def test_scikit_learns_tables(name):
    dataset, _, found = samples.table(name)
    categories = [c.name for c in found.columns if c.kind == "category"]
    assert categories == [samples.TABLES[name]]
    rows = {"diabetes": 442, "breast_cancer": 569, "wine": 178}[name]
    assert len(dataset.images) + len(dataset.test_images) == rows
    x = dataset.images
    np.testing.assert_array_equal(found.encode([c.name for c in found.columns], found.decode(x)), x)
    assert tables.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_a_run_knows_its_encoding(monkeypatch):
    """What config.json says of the data makes the same table, or the same scaler."""
    monkeypatch.setattr(lifecycle, "finish", lambda run: None)
    launch.main(table.EXPERIMENT, [*write_table(), *TINY, "2", "--run-dir", "run"])
    described = read("config.json")
    task = tasks.load_table("t.csv")
    assert tasks.without_data(described["data"], described["encoding"]).encoding == task.encoding
    with pytest.raises(ValueError, match=r"its table makes 5 columns, its data have \(4,\)"):
        tasks.without_data({"name": "x", "shape": [4]}, described["encoding"])
    scaler = {"kind": "scaler", "low": [0, 0, 0], "high": [1, 1, 1]}
    with pytest.raises(ValueError, match="its scaler has 3 channels, its data 2"):
        tasks.without_data({"name": "x", "shape": [9, 2]}, scaler)
    for wrong in ({"kind": "other"}, [1], "table"):
        with pytest.raises(ValueError, match="encoding is of kind"):
            tasks.without_data({"name": "x", "shape": [4]}, wrong)
    np.save("x.npy", RNG.normal(size=(9, 8, 2)) * 50)
    argv = ["--dataset", "array", "--data-dir", "x.npy", *TINY, "2", "--run-dir", "b"]
    launch.main(series.EXPERIMENT, argv)
    assert read("config.json", "b")["encoding"]["kind"] == "scaler"
    # Images have none, as ever.
    launch.main(wgan_gp.EXPERIMENT, [*TINY, "2", "--run-dir", "c"])
    assert "encoding" not in read("config.json", "c")


@pytest.mark.slow
def test_a_table_from_its_file_to_its_samples():
    argv = [*write_table(), *TINY, "2", "--checkpoint-every", "2", "--steps"]
    launch.main(table.EXPERIMENT, [*argv, "6", "--run-dir", "whole"])
    launch.main(table.EXPERIMENT, [*argv, "2", "--run-dir", "run", "--no-quality"])
    launch.main(table.EXPERIMENT, ["--resume", "--run-dir", "run", "--steps", "6"])
    whole, run = (read("result.json", folder) for folder in ("whole", "run"))
    assert whole["state_sha256"] == run["state_sha256"]
    quality = whole["quality"]
    assert set(quality["columns"]) == {"age", "height", "job"}
    assert 0 <= quality["total_variation"] <= 1
    # Real rows are nearer to real rows than those of a network that hardly trained.
    assert quality["column_w1_of_real"] < quality["column_w1"]
    header, rows = tables.read_csv("whole/samples.csv")
    assert (header, len(rows)) == (["age", "height", "job"], 30)
    assert {row[2] for row in rows} <= {"nurse", "smith", "none"}
    assert all(20 <= int(row[0]) <= 36 and len(row[1].partition(".")[2]) == 1 for row in rows)
    pathlib.Path("t.csv").unlink()  # a run directory is enough
    for out in ("a.csv", "a.npy", "a.png"):
        run_sample.main(sample.find, ["run", "--num", "7", "--out", out])
    assert np.load("a.npy").shape == (7, 5)
    assert len(tables.read_csv("a.csv")[1]) == 7


@pytest.mark.slow
def test_series_come_back_in_their_units(capsys):
    np.savez("x.npz", x_train=RNG.normal(size=(20, 8, 2)) * [30, 1] + [500, 0],
             x_test=RNG.normal(size=(10, 8, 2)) * [30, 1] + [500, 0])  # fmt: skip
    argv = ["--dataset", "array", "--data-dir", "x.npz", *TINY, "2", "--steps", "4"]
    launch.main(series.EXPERIMENT, [*argv, "--run-dir", "run"])
    assert {"marginal_w1", "step_w1", "autocorrelation_difference"} <= set(
        read("result.json")["quality"]
    )
    pathlib.Path("x.npz").unlink()
    run_sample.main(sample.find, ["run", "--num", "9", "--out", "s.npy"])
    x = np.load("s.npy")
    assert x.shape == (9, 8, 2)
    assert abs(x[..., 0].mean() - 500) < 100
    run_sample.main(sample.find, ["run", "--num", "9", "--out", "s.png"])
    with pytest.raises(SystemExit):
        run_sample.main(sample.find, ["run", "--out", "s.csv"])
    assert "only tables are written so" in capsys.readouterr().err
