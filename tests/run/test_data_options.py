"""What a user's own pictures meet on the command line: shapes that are said, damage, old runs."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest
from made_data import picture, small_font, write_encoded_tfds

from experiments import wgan_gp
from jwgan import checkpoint, sources
from jwgan.data import streams
from jwgan.run import image_task, launch, lifecycle, members, shapes, tasks

TINY = ["--width", "2", "--latent", "2", "--network", "mlp", "--batch-size", "4", "--n-critic", "1"]
TINY += ["--chunk-steps", "2", "--checkpoint-every", "2", "--steps", "4", "--no-quality"]


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def only_starts(monkeypatch):
    """Commands load, build, check and describe their run, and end where training would begin."""
    monkeypatch.setattr(launch, "_finish", lambda run: None)


def folder(name="images", count=6, mode="RGB", size=(6, 6)):
    pathlib.Path(name).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for i in range(count):
        picture(mode, size, rng).save(f"{name}/{i:03d}.png")
    return ["--dataset", "folder", "--data-dir", name]


def train(*argv, experiment=wgan_gp.EXPERIMENT):
    launch.main(experiment, [*TINY, *argv])


def ends(capsys, *argv, **more):
    """Exit code and stderr of what ends early."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        train(*argv, **more)
    err = capsys.readouterr().err
    assert "Traceback" not in err
    return end.value.code, err


def read(name, file="config.json"):
    return json.loads((pathlib.Path(name) / file).read_text())


def test_colour_and_size_stay_and_are_said(capsys, only_starts):
    train(*folder(), "--run-dir", "a")
    assert read("a")["data"]["shape"] == [6, 6, 3]
    line = "data: folder, 6 images of 6 x 6 pixels (height x width), in colour\n"
    assert line in capsys.readouterr().err
    train(*folder(), "--run-dir", "b", "--channels", "1", "--image-size", "8", "--stream")
    assert read("b")["data"]["shape"] == [8, 8, 1]
    assert "8 x 8 pixels (height x width), grey" in capsys.readouterr().err


def test_a_damaged_picture_is_removed_and_the_run_goes_on(capsys, monkeypatch):
    """The advice of both messages, followed: remove it; add --allow data."""
    data = folder(count=40)
    # none of those that are looked at before the start
    monkeypatch.setattr(tasks, "SHOWN", 8)
    whole = pathlib.Path("images/013.png").read_bytes()
    pathlib.Path("images/013.png").write_bytes(whole[: len(whole) // 2])
    argv = [*data, "--stream", "--steps", "40", "--run-dir", "run"]
    code, err = ends(capsys, *argv)
    assert code == 1
    assert "013.png: unreadable image" in err
    assert "replace or remove it" in err.splitlines()[-1]
    pathlib.Path("images/013.png").unlink()
    code, err = ends(capsys, "--resume", *argv)
    assert code == 2
    assert "add --allow data" in err.splitlines()[-1]
    before = checkpoint.steps(pathlib.Path("run/checkpoints"))
    launch.main(wgan_gp.EXPERIMENT, ["--resume", "--run-dir", "run", "--allow", "data"])
    assert read("run", "result.json")["steps"] == 40
    assert list(read("run")["changes"][0]["changed"]) == ["data sha256"]
    assert read("run")["resumes"][0]["step"] in (*before, 0)


@pytest.mark.parametrize("stream", [[], ["--stream"]])
def test_a_run_of_0_1_0_keeps_the_shape_of_its_defaults(stream, only_starts):
    """It recorded channels 1 and no size, and had 32 grey pixels of a folder."""
    argv = [*folder(count=5), *stream, "--image-size", "32", "--channels", "1"]
    train(*argv, "--run-dir", "run")
    described = read("run")
    described["config"].update(image_size=None, channels=1)
    del described["config"]["follow_links"]
    pathlib.Path("run/config.json").write_text(json.dumps(described))
    # Other data, or another shape, would be refused.
    launch.main(wgan_gp.EXPERIMENT, ["--resume", "--run-dir", "run"])
    assert read("run")["data"] == described["data"]
    assert len(read("run")["resumes"]) == 1
    assert "changes" not in read("run")


def test_a_run_goes_on_with_its_shape_whatever_the_pictures_are_now(only_starts):
    train(*folder(count=5), "--run-dir", "run")
    folder("images/more", count=9, size=(9, 9))
    again = ["--resume", "--run-dir", "run", "--allow", "data"]
    launch.main(wgan_gp.EXPERIMENT, again)
    assert read("run")["data"]["shape"] == [6, 6, 3]


@pytest.mark.parametrize(
    ("recorded", "shape", "found"),
    [
        ({"dataset": "folder", "image_size": None, "channels": 1}, [32, 32, 1], (32, 1)),
        ({"dataset": "tfds/x", "image_size": None, "channels": 1}, [16, 16, 3], (16, 3)),
        ({"dataset": "tfds/x", "image_size": None, "channels": None}, [16, 20, 3], (None, 3)),
        ({"dataset": "digits", "image_size": None, "channels": 3}, [8, 8, 1], (None, 1)),
        ({"dataset": "digits", "image_size": None, "channels": None}, [8, 8, 1], (None, None)),
        ({"dataset": "ring", "image_size": None, "channels": 1}, [2], (None, 1)),
        ({"dataset": "folder", "image_size": 8, "channels": 1}, None, (8, 1)),
        ({"dataset": "folder", "image_size": 8, "channels": 1}, [True, True, 1], (8, 1)),
        ({"dataset": 3, "image_size": 8, "channels": 1}, [4, 4, 1], (8, 1)),
    ],
)
def test_recorded_shapes(recorded, shape, found):
    config = {**recorded, **tasks.recorded_form(recorded, shape)}
    assert (config["image_size"], config["channels"]) == found


@pytest.mark.parametrize(
    ("member", "size", "network", "advice"),
    [
        ("wgan_gp", (520, 530), "dcgan", "--image-size 512 works"),
        ("wgan_gp", (200, 70), "resnet", "--image-size 64 or 80 works"),
        ("wgan_gp", (3, 3), "dcgan", "--image-size 5 works"),
        ("ebgan", (18, 18), "auto", "--image-size 16 or 20 works"),
    ],
)
def test_sizes_that_a_network_cannot_make(capsys, member, size, network, advice):
    argv = [*folder(count=4, size=size), "--network", network, "--run-dir", "run"]
    experiment = members.experiment_of(member)
    code, err = ends(capsys, *argv, experiment=experiment)
    assert code == 2
    assert err.count("\n") == 1
    assert advice in err
    assert not pathlib.Path("run").exists()
    # the advice, followed up to the first step
    side = advice.split()[1]
    config = experiment.config(
        dataset="folder", data_dir="images", image_size=int(side), width=2, n_critic=1, batch_size=2
    )
    task = experiment.load(config)
    lifecycle._assembled(config, member, pathlib.Path("x"), task, experiment.build)


def test_sizes_of_data_that_are_padded(capsys):
    """Of 8 x 8 digits no 6 x 6 can be made."""
    argv = ["--dataset", "digits", "--image-size", "70", "--network", "resnet", "--run-dir", "run"]
    code, err = ends(capsys, *argv)
    assert code == 2
    assert "--image-size 64 or 80 works" in err
    capsys.readouterr()
    assert [s for s in range(1, 12) if shapes.can_be_resized("digits", s)] == [
        1,
        2,
        4,
        *range(8, 12),
    ]


def test_a_weight_that_is_refused_is_not_blamed_on_the_size(capsys):
    code, err = ends(capsys, *folder(), "--weight", "-1", "--run-dir", "run")
    assert (code, "--image-size" in err) == (2, False)


def test_a_streamed_data_set_has_its_held_out_part_and_labels():
    rng = np.random.default_rng(0)
    encoded = lambda n: [_png(picture("L", (6, 6), rng)) for _ in range(n)]
    parts = {"train": encoded(9), "validation": encoded(4)}
    labels = {name: [i % 3 for i in range(len(part))] for name, part in parts.items()}
    write_encoded_tfds(parts, "tfds", labels=labels)
    config = {"dataset": "tfds/made", "data_dir": "tfds"}
    held, streamed = (
        tasks.from_config(wgan_gp.Config(**config, stream=stream)) for stream in (False, True)
    )
    for name in ("images", "labels", "test_images", "test_labels"):
        one, other = getattr(held.dataset, name), getattr(streamed.dataset, name)
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(held.held_out, streamed.held_out)
    assert held.dataset.class_names == streamed.dataset.class_names == ("x", "y", "z")
    assert held.notes == streamed.notes
    assert any("split validation" in note for note in held.notes)


def _png(image):
    image.save("one.png")
    return pathlib.Path("one.png").read_bytes()


def test_the_shown_images_come_from_all_class_folders(monkeypatch):
    monkeypatch.setattr(tasks, "SHOWN", 6)
    for name in ("a", "b", "c"):
        folder(f"images/{name}", count=20)
    config = wgan_gp.Config(dataset="folder", data_dir="images", stream=True)
    assert tasks.from_config(config).dataset.labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_links_are_followed_on_request(capsys, only_starts):
    folder("elsewhere")
    pathlib.Path("images").mkdir()
    for path in pathlib.Path("elsewhere").iterdir():
        pathlib.Path("images", path.name).symlink_to(path.absolute())
    argv = ["--dataset", "folder", "--data-dir", "images", "--run-dir", "run"]
    code, err = ends(capsys, *argv)
    assert code == 2
    assert "--follow-links" in err
    train(*argv, "--follow-links")
    assert read("run")["data"]["shape"] == [6, 6, 3]


def test_grey_data_sets_in_colour():
    grey = tasks.load_images("digits")
    colour = tasks.load_images("digits", channels=3, image_size=4)
    assert (grey.shape, colour.shape) == ((8, 8, 1), (4, 4, 3))
    assert (colour.dataset.images[..., 0] == colour.dataset.images[..., 2]).all()
    assert colour.dataset.test_images.shape[1:] == (4, 4, 3)
    with pytest.raises(ValueError, match="channels=2"):
        tasks.load_images("digits", channels=2)


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (np.zeros((8, 4, 4), np.float32), "give images [N, H, W, C]"),
        (np.zeros((8, 4, 4, 1), np.uint8), "give floats in the generator's range"),
    ],
)
def test_images_of_ones_own_that_are_none(capsys, images, says):
    load = lambda config: image_task(tasks.data.Dataset("own", images))
    experiment = wgan_gp.EXPERIMENT._replace(load=load, name="own")
    code, err = ends(capsys, "--run-dir", "run", experiment=experiment)
    assert code == 2
    assert says in err
    assert err.count("\n") == 1
    assert not pathlib.Path("run").exists()


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_a_streamed_array_has_the_samples_of_the_one_in_memory(name, tmp_path):
    """Batch for batch those that a stream of the array in memory has."""
    x = np.random.default_rng(3).uniform(0, 9, (12, 6, 6, 1))
    path, save = str(tmp_path / name), np.save if name.endswith("npy") else np.savez
    save(path, x)
    config = {"dataset": "array", "data_dir": path, "image_size": 3, "channels": 3}
    held = tasks.from_config(wgan_gp.Config(**config))
    streamed = tasks.from_config(wgan_gp.Config(**config, stream=True, seed=5))
    assert held.shape == streamed.shape == (3, 3, 3)
    assert held.notes == streamed.notes
    assert held.encoding.to_dict() == streamed.encoding.to_dict()
    np.testing.assert_array_equal(held.held_out, streamed.held_out)
    expected = streams.from_rows(held.dataset.images, n_critic=2, batch_size=4, seed=5)
    np.testing.assert_array_equal(
        streamed.source(2, 4).fetch(0, 6), expected.fetch(0, 6), strict=True
    )
    # A resume finds out whether a sample is another one.
    again = lambda: tasks.stream_array(path, 0).checksum
    first = again()
    assert again() == first
    x[4] *= 0.5
    save(path, x)
    assert again() != first


def test_a_stream_that_ends_is_one_line(capsys):
    """Of an experiment's own data: the run's end says what to do."""
    images = np.zeros((8, 4, 4, 1), np.float32)

    def load(config):
        import jax

        batch = jax.ShapeDtypeStruct((1, 4, 4, 4, 1), "float32")
        task = image_task(tasks.data.Dataset("own", images))
        return task._replace(source=lambda *args: sources.from_iterator([images[None, :4]], batch))

    experiment = wgan_gp.EXPERIMENT._replace(load=load, name="own")
    code, err = ends(capsys, "--run-dir", "run", experiment=experiment)
    assert code == 1
    assert "streamed batches ended before step 1" in err.splitlines()[-1]
    assert "train 1 step" in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--image-size", "8"], "image_size=8: give 16 to 128 for emoji"),
        (["--image-size", "136"], "image_size=136: give 16 to 128 for emoji"),
        (["--channels", "2"], "channels=2, image_size=None: give channels 1 or 3"),
        (["--data-dir", "none.ttf"], "none.ttf: no font file; install it (Debian, Ubuntu: apt-get"),
        (["--labels", "x.csv"], "labels is 'x.csv': only --dataset folder takes a file of them"),
    ],
)
def test_options_that_emoji_do_not_have(capsys, argv, says):
    code, err = ends(capsys, "--dataset", "emoji", *argv, "--run-dir", "run")
    assert code == 2
    assert says in err
    assert err.count("\n") == 1
    assert not pathlib.Path("run").exists()


def test_emoji_of_ones_own_font_in_memory_and_streamed(tmp_path):
    font = str(small_font(tmp_path / "small.ttf"))
    held = tasks.from_config(wgan_gp.Config(dataset="emoji", data_dir=font))
    assert held.shape == (64, 64, 3)
    assert held.notes[0].endswith("64 x 64 pixels (height x width), in colour")
    config = wgan_gp.Config(dataset="emoji", data_dir=font, image_size=16, channels=1, stream=True)
    task = tasks.from_config(config)
    source = task.source(n_critic=1, batch_size=len(task.dataset.images))
    rows = np.asarray(source.fetch(0, 1)[0, 0])
    assert task.shape == (16, 16, 1)
    assert sorted(map(bytes, rows)) == sorted(map(bytes, task.dataset.images))  # each once
    conditional = tasks.from_config(dataclasses.replace(config, conditional="projection"))
    assert (len(conditional.classes), conditional.classes[0]) == (9, "Flags")


def test_a_size_that_no_network_makes_of_emoji(capsys, tmp_path):
    font = str(small_font(tmp_path / "small.ttf"))
    argv = ["--dataset", "emoji", "--data-dir", font, "--image-size", "37", "--network", "resnet"]
    code, err = ends(capsys, *argv, "--run-dir", "run")
    assert code == 2
    assert "--image-size 32 or 40 works" in err


@pytest.mark.slow
def test_the_real_emoji_train_in_memory_and_streamed_and_go_on():
    """Two steps at 64 x 64 in colour with the networks that are chosen for it, then two more."""
    argv = ["--dataset", "emoji", "--network", "auto", "--steps", "2", "--width", "8"]
    argv += ["--batch-size", "8"]
    train(*argv, "--run-dir", "held")
    described, first = read("held"), read("held", "result.json")
    assert described["data"]["shape"] == [64, 64, 3]
    assert described["data"]["name"] == "emoji"
    train(*argv, "--run-dir", "streamed", "--stream")
    assert read("streamed")["data"]["sha256"] == described["data"]["sha256"]
    train(*argv, "--run-dir", "streamed", "--stream", "--resume", "--steps", "4")
    last = read("streamed", "result.json")
    assert (first["steps"], last["steps"]) == (2, 4)
    assert first["state_sha256"] != last["state_sha256"]


@pytest.mark.slow
def test_emoji_are_judged_by_their_groups():
    argv = ["--dataset", "emoji", "--image-size", "16", "--steps", "2", "--width", "8"]
    train(*argv, "--quality", "--run-dir", "run")
    found = read("run", "result.json")["quality"]
    assert found["frechet_features"] == "emoji-CNN"
    assert found["frechet_distance"] > found["frechet_distance_of_real"] > 0
    assert {"precision", "recall", "precision_of_real"} < set(found)
