"""Bad input on the disk: IDX, PNG and JPEG, TFDS folders, checkpoints, metrics, descriptions."""

import contextlib
import functools
import gzip
import io
import json
import re
import shutil
import warnings
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fuzz import (
    DAMAGE,
    JSON_VALUES,
    attempt,
    both_counts,
    damaged_json,
    edit,
    little_memory,
    pick,
    remove,
    replace_by_something_else,
    tree,
    tried,
)
from made_data import idx_bytes, small_font, write_idx, write_tfds
from outline import Outline
from PIL import Image

from jwgan import checkpoint, data, report
from jwgan.checkpoint import leaves

# --- data files


PIXELS = np.random.default_rng(0).integers(0, 256, (9, 28, 28), dtype=np.uint8)
PARTS = {
    "train-images-idx3-ubyte": idx_bytes(PIXELS[:6]),
    "train-labels-idx1-ubyte": idx_bytes(np.arange(6, dtype=np.uint8)),
    "t10k-images-idx3-ubyte": idx_bytes(PIXELS[6:]),
    "t10k-labels-idx1-ubyte": idx_bytes(np.arange(3, dtype=np.uint8)),
}


@functools.cache
def bomb():
    """200 MB of black pictures in a gzip file of 200 kB."""
    file = io.BytesIO()
    with gzip.open(file, "wb", compresslevel=6) as stream:
        stream.write(b"\0\0\x08\x03" + (256_000).to_bytes(4, "big") + b"\0\0\0\x1c" * 2)
        for _ in range(256):
            stream.write(bytes(784_000))
    return file.getvalue()


def lying_header(rng, content):
    axes = 1 + (content[3:4] == b"\3") * 2
    sizes = [pick(rng, (0, 1, 5, 6, 7, 28, 60_000, 2**31, 2**32 - 1)) for _ in range(axes)]
    if rng.random() < 0.6:
        sizes[1:] = [28] * (axes - 1)
    magic = pick(rng, (content[:4], b"\0\0\x08\x01", b"\0\0\x0d\x03", b"\x1f\x8b\x08\x03", b"\0\0"))
    return magic + b"".join(n.to_bytes(4, "big") for n in sizes) + content[4 + 4 * axes :]


def damaged_idx(rng, name):
    """The bytes of a part, and whether its name ends in .gz."""
    zipped, raw = bool(rng.integers(2)), PARTS[name]
    pack = functools.partial(gzip.compress, mtime=0) if zipped else bytes
    choice = rng.random()
    if choice < 0.1:
        content = pack(pick(rng, list(PARTS.values())))
    elif choice < 0.35:
        content = pack(lying_header(rng, raw))
    elif choice < 0.5:
        content = pack(pick(rng, DAMAGE)(rng, raw))
    elif choice < 0.55:
        content = pick(
            rng, (bomb(), pack(bomb()), gzip.compress(gzip.compress(raw)), pack(raw) * 2)
        )
    elif choice < 0.6:
        content = pack(idx_bytes(np.full(len(raw) // 784 or 6, 11, np.uint8)))
    else:
        content = pick(rng, DAMAGE)(rng, pack(raw))
    return content, zipped


def plainly_read(path, axes):
    """What an undamaged-looking IDX file holds, by another way."""
    content = path.read_bytes()
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    return np.frombuffer(content[4 + 4 * axes :], np.uint8)


@both_counts("IDX files")
def test_idx_files(kind, count, tmp_path):
    outside = tmp_path / "outside"
    outside.write_bytes(b"secret")
    folder = tmp_path / "data"

    def case(rng):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        broken = [pick(rng, list(PARTS)) for _ in range(rng.integers(1, 3))]
        for name, raw in PARTS.items():
            content, zipped = damaged_idx(rng, name) if name in broken else (raw, False)
            path = folder / f"{name}{'.gz' * zipped}"
            path.write_bytes(content)
            if name in broken and rng.random() < 0.1:
                replace_by_something_else(rng, path, outside)
        before = tree(folder)
        found, outcome = attempt(data.mnist, folder, named=str(folder))
        assert tree(folder) == before
        if outcome == "works":
            files = {p.name.removesuffix(".gz"): p for p in folder.iterdir()}
            parts = (found.images, found.labels, found.test_images, found.test_labels)
            for name, part in zip(PARTS, parts, strict=True):
                axes = 3 if part.ndim == 4 else 1
                read = np.rint((part + 1) * 127.5) if axes == 3 else part
                np.testing.assert_array_equal(read.ravel(), plainly_read(files[name], axes))
        return outcome

    with little_memory():
        tally = tried(kind, count, case)
    assert tally["refused"] > count / 2
    assert tally["works"] > count / 50


def picture(rng):
    """(bytes, end of the file's name, the pixels `folder` should find; None where it is lossy)."""
    mode = pick(rng, ("L", "RGB", "RGBA", "LA", "P", "1", "I;16", "JPEG", "CMYK"))
    grey = rng.integers(0, 256, (8, 8), dtype=np.uint8)
    color = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    file = io.BytesIO()
    if mode in ("JPEG", "CMYK"):
        image = Image.fromarray(color).convert("CMYK" if mode == "CMYK" else "RGB")
        image.save(file, "JPEG")
        return file.getvalue(), pick(rng, (".jpg", ".JPEG")), None
    if mode == "I;16":
        Image.fromarray(grey.astype(np.uint16) * 257).save(file, "PNG")
    elif mode in ("RGB", "RGBA"):
        Image.fromarray(color).convert(mode).save(file, "PNG")
    elif mode == "P":
        index = Image.fromarray(grey)
        index.putpalette(bytes(rng.integers(0, 256, 768, dtype=np.uint8)))
        index.save(file, "PNG", transparency=bytes(256))
        grey = np.asarray(index.convert("RGB"))
    elif mode == "1":
        grey = np.where(grey > 127, 255, 0).astype(np.uint8)
        Image.fromarray(grey).convert("1").save(file, "PNG")
    else:
        Image.fromarray(grey).convert(mode).save(file, "PNG")
    pixels = (
        color if mode in ("RGB", "RGBA") else np.broadcast_to(grey.reshape(8, 8, -1), (8, 8, 3))
    )
    return file.getvalue(), pick(rng, (".png", ".PNG")), pixels


def huge(rng, content):
    """A PNG whose header announces a large picture, with the checksum it should have."""
    sides = [pick(rng, (1, 8, 9000, 2**16, 2**31 - 1, 2**32 - 1)) for _ in range(2)]
    sides[rng.integers(2)] = pick(rng, (2**27, 2**31 - 1))
    header = b"IHDR" + b"".join(n.to_bytes(4, "big") for n in sides) + content[24:29]
    return content[:12] + header + zlib.crc32(header).to_bytes(4, "big") + content[33:]


FILE_NAMES = ("a", "é", "two words", "line\nend", "\x1b[31m", "%s", ".hidden", "-r", "'", "\udcff")


@both_counts("image folders")
def test_image_folders(kind, count, tmp_path):
    outside = tmp_path / "outside" / "secret.png"
    outside.parent.mkdir()
    Image.new("L", (8, 8)).save(outside)
    folder = tmp_path / "images"

    def case(rng):
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "more" / ".cache").mkdir(parents=True)
        expected, must_fail = {}, False
        for number in range(rng.integers(1, 5)):
            content, end, pixels = picture(rng)
            parent = pick(rng, (folder, folder / "more", folder / "more" / ".cache"))
            path = parent / f"{pick(rng, FILE_NAMES)}{number}{end}"
            choice = rng.random()
            if choice < 0.15:
                path = path.with_suffix(pick(rng, (".jpg", ".png", ".txt", ".dat")))
            elif choice < 0.4:
                damaged = pick(rng, DAMAGE)(rng, content)
                pixels = (
                    pixels if damaged == content else "damaged" if end.lower() == ".png" else None
                )
                content = damaged
            elif choice < 0.45 and end.lower() == ".png":
                content, pixels = huge(rng, content), "damaged"
            path.write_bytes(content)
            if rng.random() < 0.12:
                replace_by_something_else(rng, path, outside)
                must_fail |= path.is_symlink() and path.exists()
                pixels = "damaged"
            hidden = path.name.startswith(".") or parent.name == ".cache"
            if path.is_dir() or hidden or not (path.is_symlink() or path.exists()):
                must_fail &= hidden is False
                continue
            if path.suffix.lower() in (".png", ".jpg", ".jpeg"):
                expected[path] = (pixels, content)
        before = tree(tmp_path)
        found, outcome = attempt(data.folder, folder, image_size=8)
        assert tree(tmp_path) == before
        if outcome == "refused":
            return outcome
        assert not must_fail
        assert len(found.images) == len(expected)
        for image, path in zip(found.images, sorted(expected), strict=True):
            pixels, content = expected[path]
            read = np.rint((image + 1) * 127.5).astype(np.uint8)
            read = np.broadcast_to(read, (8, 8, 3))  # one channel where all pictures are grey
            if isinstance(pixels, str):  # damage that PNG's checksums do not cover
                with Image.open(io.BytesIO(content)) as whole, warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of damaged palettes: Pillow still reads them
                    pixels = np.asarray(whole.convert("RGB")) if "I" not in whole.mode else None
            if pixels is not None:
                np.testing.assert_array_equal(read, pixels)
        return outcome

    with little_memory():
        tally = tried(kind, count, case)
    assert min(tally["works"], tally["refused"]) > count / 5


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A small fashion_mnist as TFDS prepares it, and what it holds."""
    folder = tmp_path_factory.mktemp("prepared")
    whole = data.fashion_mnist(write_idx(folder / "idx"))
    write_tfds(whole, folder / "tfds")
    return folder / "tfds", whole


@both_counts("TFDS folders")
def test_tfds_folders(kind, count, tmp_path, prepared):
    good, whole = prepared
    outside = tmp_path / "outside"
    outside.write_bytes(b"secret")
    copy = tmp_path / "tfds"

    def case(rng):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(good, copy)
        path = pick(rng, sorted(p for p in copy.rglob("*") if p.is_file()))
        if path.suffix == ".json" and rng.random() < 0.7:
            path.write_bytes(damaged_json(rng, json.loads(path.read_text())))
        elif rng.random() < 0.2:
            replace_by_something_else(rng, path, outside)
        else:
            content = path.read_bytes()
            used = len(content.rstrip(b"\0"))  # array_record files are padded to 64 KiB
            path.write_bytes(pick(rng, DAMAGE)(rng, content[:used]) + content[used:])
        found, outcome = attempt(data.fashion_mnist, copy, named=str(copy))
        if outcome == "works":
            for name in ("images", "labels", "test_images", "test_labels"):
                np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))
            assert found.class_names == whole.class_names
        return outcome

    with little_memory(2 << 30):
        tally = tried(kind, count, case)
    assert tally["refused"] > count / 3
    assert tally["works"] > count / 20


@pytest.fixture(scope="module")
def font(tmp_path_factory):
    """A font of 13 emoji, and what it holds."""
    path = small_font(tmp_path_factory.mktemp("font") / "good.ttf")
    return path.read_bytes(), data.emoji(path, image_size=16)


@both_counts("emoji fonts")
def test_emoji_fonts(kind, count, tmp_path, font):
    good, whole = font
    tables = 12 + 16 * int.from_bytes(good[4:6], "big")  # bytes of the header, the part to damage
    # Tables of places and of sequences; the bitmaps are most of the file.
    marks = [good.index(name) for name in (b"CBLC", b"GSUB", b"cmap", b"CBDT", b"maxp")]
    places = [int.from_bytes(good[mark + 8 : mark + 12], "big") for mark in marks]
    outside = tmp_path / "outside"
    outside.write_bytes(b"secret")
    path = tmp_path / "font.ttf"

    def case(rng):
        if path.exists() or path.is_symlink():
            remove(path)
        path.write_bytes(good)
        choice = rng.random()
        if choice < 0.1:
            replace_by_something_else(rng, path, outside)
        elif choice < 0.3:
            path.write_bytes(pick(rng, DAMAGE)(rng, good[:tables]) + good[tables:])
        elif choice < 0.7:
            start = pick(rng, places)
            end = start + 200
            path.write_bytes(good[:start] + pick(rng, DAMAGE)(rng, good[start:end]) + good[end:])
        else:
            path.write_bytes(pick(rng, DAMAGE)(rng, good))
        found, outcome = attempt(data.emoji, path, image_size=16, named=str(path))
        if outcome == "works":
            both = np.concatenate([found.images, found.test_images])
            assert both.shape[1:] == (16, 16, 3)
            assert -1 <= both.min() <= both.max() <= 1
            if path.read_bytes() == good:
                np.testing.assert_array_equal(found.images, whole.images)
        return outcome

    with little_memory():
        tally = tried(kind, count, case)
    assert tally["refused"] > count / 3
    assert tally["works"] > count / 20


# --- what a run wrote


def small_state(seed):
    key = jax.random.key(seed)
    return {
        "key": key,
        "step": jnp.int32(seed),
        "w": jax.random.normal(key, (3, 4)),
        "half": jnp.full(5, seed, jnp.bfloat16),
        "none": np.zeros((0, 2), np.float32),
        "k": 0.25 * seed,
    }


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """A directory with checkpoints of the steps 10, 20, 30, and the fingerprints of the states."""
    directory = tmp_path_factory.mktemp("saved") / "checkpoints"
    with checkpoint.Checkpoints(directory) as writer:
        for step in (10, 20, 30):
            writer.save(step, small_state(step), {"epoch": step})
    return directory, {s: checkpoint.state_sha256(small_state(s)) for s in (10, 20, 30)}


def damage_checkpoints(rng, directory, outside):
    seals = sorted(p for p in directory.glob("*.json") if p.is_file())
    folders = sorted(p for p in directory.iterdir() if p.is_dir())
    arrays = [p for f in folders for p in f.rglob("*") if p.is_file()]
    # orbax draws its names anew every time: their places and sizes tell the files apart
    places = lambda path: (str(path.parent), re.sub(r"[0-9a-f]{32}", "", path.name))
    arrays.sort(key=lambda path: (*places(path), path.stat().st_size))
    files = [path for path in seals + arrays if not path.is_symlink()]
    choice = rng.random()
    if choice < 0.4 and files:
        path = pick(rng, files)
        path.write_bytes(pick(rng, DAMAGE)(rng, path.read_bytes()))
    elif choice < 0.55 and files:
        replace_by_something_else(rng, pick(rng, files), outside)
    elif choice < 0.65 and len(files) > 1:
        a, b = (pick(rng, files) for _ in range(2))
        first, second = a.read_bytes(), b.read_bytes()
        a.write_bytes(second), b.write_bytes(first)
    elif choice < 0.72 and len(folders) > 1:
        a, b = folders[0], folders[-1]
        a.rename(outside.with_name("swap")), b.rename(a), outside.with_name("swap").rename(b)
    elif choice < 0.8 and folders:
        remove(pick(rng, folders))
    elif choice < 0.86:
        name = pick(rng, ("00000099.json", "000000030.json", "00000040-0", "notes", ".DS_Store"))
        (directory / name).write_bytes(rng.bytes(20)) if rng.integers(2) else (
            (directory / name).mkdir(exist_ok=True)
        )
    elif seals:
        resigned(rng, pick(rng, seals))


def resigned(rng, path):
    """A seal changed by someone who knows how to sign it."""
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        seal = json.loads(path.read_text())
        del seal["seal_sha256"]
        if rng.random() < 0.3:
            seal["data"] = pick(rng, ("../x", "/etc", "00000010-0", "..", "", "00000099-0"))
        else:
            edit(rng, seal)
        if rng.integers(2):
            seal["state_sha256"] = leaves.json_sha256(seal["leaves"])
        path.write_text(json.dumps(seal | {"seal_sha256": leaves.json_sha256(seal)}))


@both_counts("checkpoints")
def test_checkpoints(kind, count, tmp_path, checkpoints):
    good, fingerprints = checkpoints
    outside = tmp_path / "outside"
    outside.write_bytes(b"secret")
    directory = tmp_path / "checkpoints"

    def case(rng):
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(good, directory)
        for _ in range(rng.integers(1, 4)):
            damage_checkpoints(rng, directory, outside)
        before, listed = tree(directory), checkpoint.steps(directory)
        found, outcome = attempt(
            checkpoint.restore, directory, small_state(0), named=str(directory)
        )
        assert tree(directory) == before
        assert outside.read_bytes() == b"secret"
        if outcome == "works":
            assert checkpoint.state_sha256(found.state) == fingerprints[found.step]
            folder = (
                directory / json.loads((directory / f"{found.step:08d}.json").read_text())["data"]
            )
            read = [directory / f"{found.step:08d}.json", folder, *folder.rglob("*")]
            assert not any(path.is_symlink() for path in read)
            assert len(found.skipped) == len([step for step in listed if step > found.step])
            assert all(line.isprintable() for line in found.skipped)
        if rng.random() < 0.1:
            with checkpoint.Checkpoints(directory) as writer:
                writer.save(50, small_state(50))
            assert checkpoint.restore(directory, small_state(0), step=50).step == 50
        return outcome if outcome == "refused" else f"step {found.step}"

    tally = tried(kind, count, case)
    assert len(tally) == 4, "all of the three, and none"


def noise_line(rng):
    """A line of metrics.jsonl that is no row, or an odd one."""
    torn = b'{"step": 12345678, "loss": 0.12345678}'
    odd = {"step": pick(rng, [v for v in JSON_VALUES if type(v) is not int]), "loss": 1.0}
    lines = (
        *(b"", b"\0" * 500, b"NaN", b"[1]", b'{"loss": 1}', b"\xff\xfe", b"{" * 3000, b"\r"),
        *(torn[: rng.integers(len(torn))], rng.bytes(60), b"x" * 200_000, b'{"step": 1e400}'),
        *(b'{"step": -3}', b'{"step": 9223372036854775808}', json.dumps(odd).encode()),
    )
    return pick(rng, lines).replace(b"\n", b" ")


def metrics_file(rng):
    """(bytes, the rows that must be found in them)."""
    steps = np.unique(rng.integers(0, 60, rng.integers(30)))
    lines, rows = [], []
    for step in steps.tolist():
        row = {"step": step, "loss": float(np.float32(rng.normal())), "odd": None}
        if rng.random() < 0.3:
            row["odd"] = pick(rng, JSON_VALUES)
        if rng.random() < 0.1:
            row[pick(rng, ("\ud800", "", "x" * 3000, "<b>", "penalty"))] = 1e300
        lines.append(json.dumps(row).encode())
        rows.append(row)
        if rng.random() < 0.3:
            lines.append(noise_line(rng))
    ends = [pick(rng, (b"\n", b"\n", b"\n", b"\n\n", b"\r\n")) for _ in lines]
    content = b"".join(line + end for line, end in zip(lines, ends, strict=True))
    return content + pick(rng, (b"", b"", b'{"step": 61, "lo', b"\0" * 999)), rows


@both_counts("metrics")
def test_metrics(kind, count, tmp_path):
    def case(rng):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        (tmp_path / "run" / "samples").mkdir(parents=True)
        path = tmp_path / "run" / "metrics.jsonl"
        content, rows = metrics_file(rng)
        harm = rng.random() < 0.2
        path.write_bytes(pick(rng, DAMAGE)(rng, content) if harm else content)
        if rng.random() < 0.05:
            replace_by_something_else(rng, path, tmp_path / "nowhere")
        there = path.is_file() and not path.is_symlink()
        columns, outcome = attempt(report.read_metrics, path.parent, named=str(path))
        if outcome == "refused":
            assert not there
            return outcome
        assert (np.diff(columns["step"]) > 0).all()
        if there and not harm:
            assert columns["step"].tolist() == [row["step"] for row in rows]
            if rows:
                np.testing.assert_array_equal(columns["loss"], [row["loss"] for row in rows])
        start = int(rng.integers(0, 62))
        writer, outcome = attempt(report.Writer, path.parent, step=start)
        if writer is None:
            return outcome
        writer.scalars(start, {"loss": [0.5, 1.5]})
        writer.close()
        assert not (tmp_path / "nowhere").exists()
        lines = [json.loads(line) for line in path.read_bytes().decode().splitlines() if line]
        kept = [step for step in columns["step"].tolist() if step < start]
        assert [line["step"] for line in lines] == [*kept, start, start + 1]
        return outcome

    tally = tried(kind, count, case)
    assert tally["works"] > count / 2


DESCRIPTION = {
    "experiment": "wgan_gp",
    "title": "WGAN-GP",
    "command": "python -m experiments.wgan_gp",
    "config": {"seed": 7, "learning_rate": 0.001, "run_dir": None},
    "data": {"name": "digits", "shape": [8, 8, 1], "sha256": "ab" * 32},
    "environment": {"jax": "0.10.2", "git_revision": "ab" * 20 + "+changes"},
}
RESULT = {
    "steps": 60,
    "seconds": 75.2,
    "steps_per_second": 3.5,
    "stopped_by": None,
    "state_sha256": "ab" * 32,
    "warnings": ["collapse"],
    "quality": {"classes": 10, "shares": [0.1, 0.2, 0.3, 0.25, 0.15], "name": "CNN"},
}


@both_counts("pages")
def test_pages(kind, count, tmp_path):
    report.save_png(tmp_path / "secret.png", np.zeros((2, 2, 1), np.uint8))
    png = (tmp_path / "secret.png").read_bytes()

    def case(rng):
        folder = tmp_path / "run"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "samples").mkdir(parents=True)
        (folder / "config.json").write_bytes(damaged_json(rng, DESCRIPTION))
        (folder / "result.json").write_bytes(damaged_json(rng, RESULT))
        (folder / "metrics.jsonl").write_bytes(metrics_file(rng)[0])
        for number in range(rng.integers(4)):
            path = folder / "samples" / pick(rng, (f"{number:08d}.png", f"my {number}.png"))
            path.write_bytes(pick(rng, DAMAGE)(rng, png) if rng.random() < 0.5 else png)
            if rng.random() < 0.2:
                replace_by_something_else(rng, path, tmp_path / "secret.png")
        if rng.random() < 0.2:
            path = pick(rng, [p for p in folder.iterdir() if p.is_file()])
            replace_by_something_else(rng, path, tmp_path / "secret.png")
        before = tree(folder)
        _, outcome = attempt(report.write_report, folder, named=str(folder))
        after = tree(folder)
        if outcome == "works":
            text = after.pop(folder / "report.html").decode()
            assert "<script" not in text
            assert Outline(text).tags.count("h1") == 1
        assert after == before
        return outcome

    tally = tried(kind, count, case)
    assert tally["works"] > count / 2
