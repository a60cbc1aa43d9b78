"""Pictures of all kinds: one rule for folders and TFDS, in memory, streamed and converted."""

import itertools
import os

import numpy as np
import pytest
from made_data import encoded, picture, write_encoded_tfds
from PIL import Image

from jwgan import data
from jwgan.data import pictures, streams
from jwgan.run import convert


def save(path, mode="L", size=(8, 8), format=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(mode, size).save(path, format)
    return path


def stacked(rows):
    return np.stack([rows[i] for i in range(len(rows))])


# the rule of channels and sizes

MODES = {
    **dict.fromkeys(("1", "L", "LA", "grey P", "I;16"), 1),
    **dict.fromkeys(("P", "RGB", "RGBA"), 3),
}


@pytest.fixture(scope="module")
def of_modes(tmp_path_factory):
    """{mode: a folder, and a TFDS data set of the same files}, made once."""
    top = tmp_path_factory.mktemp("modes")
    for mode in MODES:
        name = "m" + mode.replace(";", "").replace(" ", "_").lower()
        files = [save(top / name / f"{i}.png", mode).read_bytes() for i in range(3)]
        write_encoded_tfds({"train": files}, top / "tfds", name)
    return top


@pytest.mark.parametrize("mode", MODES)
def test_one_rule_everywhere(of_modes, mode):
    name = "m" + mode.replace(";", "").replace(" ", "_").lower()
    folder, tfds = of_modes / name, of_modes / "tfds"
    for size, channels in itertools.product((None, 5, 12), (None, 1, 3)):
        form = {"image_size": size, "channels": channels}
        images = data.folder(folder, **form).images
        assert images.shape == (3, size or 8, size or 8, channels or MODES[mode])
        others = (
            data.from_tfds(name, tfds, **form).images,
            stacked(streams.FolderRows(folder, **form)),
            stacked(streams.TFDSRows(name, tfds, **form)),
        )
        for other in others:
            np.testing.assert_array_equal(other, images)
        assert images.dtype == others[1].dtype == np.float32


@pytest.mark.parametrize("mode", MODES)
def test_values(tmp_path, mode):
    """What each mode means, said here without Pillow's conversions."""
    image = picture(mode)
    image.save(tmp_path / "a.png")
    stored = np.asarray(image)
    if mode.endswith("P"):
        palette = np.array(image.getpalette(), np.uint8).reshape(-1, 3)
        expected = palette[stored] if mode == "P" else palette[stored][..., :1]
    elif mode in ("1", "I;16"):
        expected = (stored * 255 if mode == "1" else stored >> 8)[..., None]
    else:
        expected = stored.reshape(8, 8, -1)[..., : MODES[mode]]
    read = data.folder(tmp_path).images[0]
    np.testing.assert_array_equal(np.rint((read + 1) * 127.5), expected)


def test_transparency_is_laid_aside(tmp_path):
    """The colours below it stay, however transparent they are."""
    colour = np.asarray(picture("RGB"))
    clear = Image.fromarray(colour)
    clear.putalpha(0)
    clear.save(tmp_path / "a.png")
    read = data.folder(tmp_path).images[0]
    np.testing.assert_array_equal(np.rint((read + 1) * 127.5), colour)


def test_colour_stays_if_any_picture_has_it(tmp_path):
    for i in range(3):
        save(tmp_path / f"{i}.png", "L")
    assert data.folder(tmp_path).images.shape[-1] == 1
    for i in range(3):  # the first, one in the middle, the last
        save(tmp_path / f"{i}.png", "RGB")
        assert data.folder(tmp_path).images.shape[-1] == 3
        save(tmp_path / f"{i}.png", "L")


@pytest.mark.parametrize(
    ("sizes", "form"),
    [
        ([(20, 12)], (20, 12)),  # pictures of one size stay as they are
        ([(1, 1)], (1, 1)),
        ([(8, 8), (8, 8), (30, 9)], (8, 8)),
        ([(9, 30), (40, 9), (8, 8)], (9, 9)),
        ([(9, 30), (8, 20)], (8, 8)),  # equally common
    ],
)
def test_sizes(tmp_path, sizes, form):
    for i, size in enumerate(sizes):
        save(tmp_path / f"{i}.png", size=size)
    read = data.folder(tmp_path)
    assert read.images.shape == (len(sizes), *form, 1)
    np.testing.assert_array_equal(stacked(streams.FolderRows(tmp_path)), read.images)
    assert any(f"resized to {form[0]} x" in note for note in read.notes) == (len(set(sizes)) > 1)


def test_the_size_is_that_of_the_picture_held_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    for name in ("a.jpg", "a.png", "a.webp", "a.tif"):
        Image.new("L", (12, 7)).save(tmp_path / name, exif=exif)
    assert data.folder(tmp_path).images.shape[1:3] == (12, 7)


@pytest.mark.parametrize("mode", ["F", "LAB"])
def test_what_has_no_range_is_refused(tmp_path, mode):
    path = tmp_path / "a.tif"
    (picture("F") if mode == "F" else Image.new("LAB", (4, 4))).save(path)
    for form in ({}, {"image_size": 4, "channels": 1}):
        with pytest.raises(data.DataError, match=r"a.tif: unreadable.*save it with 8 or 16 bits"):
            data.folder(tmp_path, **form)
    name = mode.lower()
    write_encoded_tfds({"train": [path.read_bytes()]}, tmp_path / "tfds", name)
    with pytest.raises(data.DataError, match=r"image 0 is unreadable.*save it with 8 or 16 bits"):
        data.from_tfds(name, tmp_path / "tfds")


@pytest.mark.parametrize("value", [-1, 65536])
def test_32_bits_are_not_wrapped(tmp_path, value):
    Image.fromarray(np.full((4, 4), value, np.int32)).save(tmp_path / "a.tif")
    with pytest.raises(data.DataError, match="whole numbers beyond 0 to 65535"):
        data.folder(tmp_path)


@pytest.mark.parametrize(("bits", "said"), [(8, True), (12, True), (14, True), (15, False)])
def test_16_bits_of_which_few_are_used(tmp_path, bits, said):
    pixels = np.linspace(0, 2**bits - 1, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    read = data.folder(tmp_path)
    assert any(f"values to {2**bits - 1} of 65535" in note for note in read.notes) == said
    if said:  # whoever does what is said gets the whole range
        factor = int(read.notes[0].split("values by ")[1].split()[0])
        Image.fromarray(pixels * np.uint16(factor)).save(tmp_path / "a.png")
        again = data.folder(tmp_path)
        assert not again.notes
        assert again.images.max() > 0.98
    save(tmp_path / "a.png", "L")  # 8 bits are not meant
    assert not data.folder(tmp_path).notes


# which files are read


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000"])
def test_every_format_under_every_name(tmp_path, format):
    """The content decides; the name only says that it is a picture."""
    own = {"JPEG2000": ".jp2", "JPEG": ".jpeg"}.get(format, f".{format.lower()}")
    for name in (f"a{own}", "b.jpg", "c.PNG", "none"):
        save(tmp_path / name, "RGB", format=format)
    read = data.folder(tmp_path)
    assert read.images.shape[:3] == (4, 8, 8)
    assert not read.notes


def test_files_passed_over_are_counted(tmp_path):
    save(tmp_path / "a.png")
    for name in ("a.txt", "b.TXT", "c.svg", "README", ".hidden", ".cache/x.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text")
    expected = ("4 files passed over: 2 .txt, 1 .svg, 1 no ending",)
    for read in (data.folder(tmp_path), streams.FolderRows(tmp_path)):
        assert sorted(read.notes[0]) == sorted(expected[0])
        assert "2 .txt" in read.notes[0]
    (tmp_path / "a.png").unlink()
    with pytest.raises(data.DataError, match=r"no .png, .jpg or .jpeg.*4 files passed over: 2"):
        data.folder(tmp_path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "an empty file"),
        (b"%PDF-1.4", "a PDF file"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"version https://git-lfs", "a Git LFS pointer"),
        (b"\0\0\0\x18ftypheic", "HEIF"),
        (b"\x89PNG", "PNG, but its header is damaged"),
        (b"text", "no picture, or its header is damaged"),
    ],
)
def test_what_is_no_picture_is_called_by_its_name(tmp_path, content, says):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(data.DataError, match=rf"a.jpg: unreadable image: .*{says}.*; replace or"):
        data.folder(tmp_path)


def test_postscript_is_not_run(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.png")
    with pytest.raises(data.DataError, match="PostScript, which is not opened"):
        data.folder(tmp_path)


# links


def test_links_are_followed_on_request(tmp_path):
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    for path in (outside / "deep" / "a.png", outside / "b.png", inside / "c.png"):
        save(path)
    (inside / "file.png").symlink_to(outside / "b.png")
    (inside / "folder").symlink_to(outside)
    with pytest.raises(data.DataError, match=r"outside .*--follow-links \(follow_links=True\)"):
        data.folder(inside)
    assert len(data.folder(inside, follow_links=True).images) == 4  # b.png twice, by two ways
    # in circles: to itself from outside, and to its own top
    (outside / "back").symlink_to(inside)
    (outside / "deep" / "up").symlink_to(outside)
    (inside / "own").symlink_to(inside)
    found = data.folder(inside, follow_links=True)
    assert len(found.images) == 4
    np.testing.assert_array_equal(
        stacked(streams.FolderRows(inside, follow_links=True)), found.images
    )


# labels


@pytest.mark.parametrize(
    ("paths", "names", "labels"),
    [
        (["b/1.png", "a/1.png", "a/2.png"], ("a", "b"), [0, 0, 1]),
        (["a/x/1.png", "a/y/1.png", "b/1.png"], ("a", "b"), [0, 0, 1]),  # deeper
        (["all/b/1.png", "all/a/1.png"], ("a", "b"), [0, 1]),  # one folder around them
        (["a/1.png", "a/2.png"], (), None),  # a single one is no class
        (["1.png", "2.png"], (), None),
        (["a/1.png", "b/1.png", "3.png"], (), None),  # beside them
        (["train/1.png", "test/1.png"], (), None),  # parts, no classes
        (["train/a/1.png", "train/b/1.png"], ("a", "b"), [0, 1]),
        (["10/1.png", "9/1.png", "é b/1.png"], ("10", "9", "é b"), [0, 1, 2]),
    ],
)
def test_folders_are_classes(tmp_path, paths, names, labels):
    for path in paths:
        save(tmp_path / "in" / path)
    (tmp_path / "in" / "empty").mkdir()
    (tmp_path / "in" / ".cache").mkdir()
    read = data.folder(tmp_path / "in")
    assert read.class_names == names
    assert (read.labels is None) == (labels is None)
    if labels is None:
        told = [note for note in read.notes if note.startswith("no labels")]
        assert len(told) == ("3.png" in paths or "test/1.png" in paths)
    else:
        assert (read.labels.tolist(), read.labels.dtype) == (labels, np.int32)
        assert any(f"{len(names)} classes" in note for note in read.notes)
    # the same by way of TFDS
    out = ["--name", "made", "--out", str(tmp_path / "out")]
    convert.main(["folder", str(tmp_path / "in"), *out])
    again = data.from_tfds("made", tmp_path / "out")
    np.testing.assert_array_equal(again.images, read.images)
    assert again.class_names == names
    assert (again.labels is None) if labels is None else (again.labels.tolist() == labels)


def test_the_folder_may_be_the_current_one(tmp_path, monkeypatch):
    for path in ("a/1.png", "b/1.png"):
        save(tmp_path / path)
    monkeypatch.chdir(tmp_path)
    assert data.folder(".").class_names == data.folder("a/..").class_names == ("a", "b")
    save(tmp_path / "2.png")
    assert data.folder(".").labels is None
    assert len(data.folder("a").images) == 1


def test_names_of_numbers():
    assert data.names_of((), np.array([0, 2])) == ("0", "1", "2")
    assert data.names_of(("x", "y"), np.array([0, 1])) == ("x", "y")
    assert data.names_of(("x",), None) == ()
    assert data.names_of((), np.array([0, 1000])) == ()  # numbers of the examples


def test_a_conversion_that_fails_leaves_nothing(tmp_path, capsys):
    for i in range(3):
        save(tmp_path / "in" / f"{i}.png", size=(40, 40))
    torn = (tmp_path / "in" / "2.png").read_bytes()[:400]
    (tmp_path / "in" / "2.png").write_bytes(torn)
    argv = ["folder", str(tmp_path / "in"), "--name", "made", "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit):
        convert.main(argv)
    assert "2.png: unreadable image" in capsys.readouterr().err.splitlines()[-1]
    (tmp_path / "in" / "2.png").unlink()  # as it says
    convert.main(argv)
    assert len(data.from_tfds("made", tmp_path / "out").images) == 2


# TFDS: parts and labels


def files(count, mode="L"):
    return [encoded(picture(mode)) for _ in range(count)]


@pytest.mark.parametrize("held_out", [("test",), ("validation",), ("validation", "test"), ()])
def test_which_part_is_held_out(tmp_path, held_out):
    parts = {"train": files(4), **{name: files(2 + len(name)) for name in held_out}}
    write_encoded_tfds(parts, tmp_path, labels={k: [0] * len(v) for k, v in parts.items()})
    read = data.from_tfds("made", tmp_path)
    chosen = next((name for name in ("test", "validation") if name in held_out), None)
    assert (read.test_images is None) == (chosen is None)
    assert any("split validation" in note for note in read.notes) == (chosen == "validation")
    if chosen:
        assert len(read.test_images) == len(read.test_labels) == 2 + len(chosen)


def test_without_a_training_part_the_parts_are_named(tmp_path):
    write_encoded_tfds({"test": files(1), "validation": files(1)}, tmp_path)
    for read in (data.from_tfds, streams.TFDSRows):
        with pytest.raises(data.DataError, match="no split train: its splits are test, validation"):
            read("made", tmp_path)


@pytest.mark.parametrize(
    ("labels", "found"),
    [([0, 1, 2], [0, 1, 2]), ([-1, -1, -1], None), ([0, -1, 1], "label -1"), ([2, 2, 2], [2] * 3)],
)
def test_labels_that_are_none(tmp_path, labels, found):
    both = {"train": files(3), "test": files(3)}
    write_encoded_tfds(both, tmp_path, labels={"train": [0, 1, 2], "test": labels})
    if isinstance(found, str):
        with pytest.raises(data.DataError, match=f"{found} in split test, expected 0 to 2"):
            data.from_tfds("made", tmp_path)
    else:
        whole = data.from_tfds("made", tmp_path)
        assert any("those of split test" in note for note in whole.notes) == (found is None)
        read = whole.test_labels
        assert (None if read is None else read.tolist()) == found


def test_a_damaged_header_is_found_before_the_start(tmp_path):
    save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"torn")
    with pytest.raises(data.DataError, match=r"b.png: unreadable"):
        streams.FolderRows(tmp_path)


def test_one_file_of_each_format_that_is_known_is_listed(tmp_path):
    known = pictures.suffixes()
    assert {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"} <= known
    assert not known & {".eps", ".pdf", ".ps", ".mp4", ".tga"}
    for suffix in known:
        save(tmp_path / f"a{suffix}", format="PNG")
    assert len(pictures.list_folder(tmp_path).paths) == len(known)
    assert os.path.commonpath(pictures.list_folder(tmp_path).paths) == str(tmp_path)


ALL = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF", "QOI", "ICO")


@pytest.mark.parametrize("format", ALL)
def test_damage_of_every_format_is_one_line(tmp_path, format):
    rng = np.random.default_rng(ALL.index(format))
    whole = encoded(picture("RGB", (16, 16), rng), format)
    said = []
    for case in range(30):
        content = bytearray(whole)
        if case % 2:
            del content[rng.integers(len(content)) :]
        else:
            for _ in range(rng.integers(1, 6)):
                content[rng.integers(len(content))] = rng.integers(256)
        (tmp_path / "a.png").write_bytes(content)
        try:
            assert data.folder(tmp_path, image_size=4).images.shape[:3] == (1, 4, 4)
        except data.DataError as error:
            said.append(str(error))
    assert said
    assert all(text.isprintable() and "a.png: unreadable image" in text for text in said)
