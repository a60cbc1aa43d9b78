"""Original archives, small ones of the true format: served on loopback, cut, damaged, hostile."""

import contextlib
import gzip
import hashlib
import http.server
import io
import json
import tarfile
import threading
import zipfile

import numpy as np
import pytest
import scipy.io
from disks import full_disk
from made_data import encoded, idx_bytes, picture

from jwgan import data
from jwgan.data import archives, download, faces
from jwgan.data import convert as tfds
from jwgan.run import convert

RNG = np.random.default_rng(4)


def tarred(files, change=lambda info: info):
    """A gzipped tar archive of {name: bytes}, like those of the authors."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, body in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            archive.addfile(change(info), io.BytesIO(body))
    return out.getvalue()


def cifar_images(num):
    return RNG.integers(0, 256, (num, 32, 32, 3), dtype=np.uint8)


def cifar_bytes(images, *labels):
    planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    columns = [np.asarray(column, np.uint8)[:, None] for column in labels]
    return np.concatenate([*columns, planes], axis=1).tobytes()


CIFAR_NAMES = ("airplane", "automobile", "bird", *(f"c{i}" for i in range(7)))
CIFAR = {i: (cifar_images(3), [i, 9, 0]) for i in range(1, 7)}  # five batches, and the test's


def cifar10_files():
    prefix = "cifar-10-batches-bin/"
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    files = {prefix + name: cifar_bytes(*CIFAR[i]) for i, name in enumerate(names, 1)}
    text = "\n".join(CIFAR_NAMES) + "\n\n"
    return {f"{prefix}batches.meta.txt": text.encode(), f"{prefix}readme.html": b"x", **files}


def remote_of(name, body, base="http://127.0.0.1:9/"):
    return download.Remote(base + name, len(body), hashlib.sha256(body).hexdigest())


class Server:
    """Serves {name: bytes} on loopback; `cuts` are the bytes after which answers end, in turn."""

    def __init__(self, files, cuts=(), ranges=True):
        self.files, self.cuts, self.ranges, self.asked = files, list(cuts), ranges, []

    @contextlib.contextmanager
    def running(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = outer.files.get(self.path[1:])
                wanted = self.headers.get("Range")
                outer.asked.append(wanted)
                if body is None:
                    self.send_error(404)
                    return
                start = int(wanted.removeprefix("bytes=")[:-1]) if wanted and outer.ranges else 0
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(body) - start))
                self.end_headers()
                cut = outer.cuts.pop(0) if outer.cuts else None
                self.wfile.write(body[start:] if cut is None else body[start : start + cut])

            def log_message(self, *args):
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}/"
            finally:
                server.shutdown()
                thread.join()


def last_line(capsys):
    """What the command printed; TFDS prints lines of its own before."""
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def ends(capsys, *argv):
    with pytest.raises(SystemExit) as end:
        convert.main([*map(str, argv)])
    error = capsys.readouterr().err
    assert end.value.code == 2
    assert error.count("\n") == 1
    return error


# Downloads


def test_a_download_that_was_cut_goes_on_and_the_data_set_is_read(tmp_path, capsys, monkeypatch):
    """One command, from the address to what experiments.cifar10 reads."""
    body = tarred(cifar10_files())
    server = Server({"cifar-10-binary.tar.gz": body}, cuts=[1000, 500])
    with server.running() as base:
        original = archives.ORIGINALS["cifar10"]
        remote = remote_of("cifar-10-binary.tar.gz", body, base)
        monkeypatch.setitem(archives.ORIGINALS, "cifar10", original._replace(files=(remote,)))
        convert.main(["cifar10", "--out", str(tmp_path), "--json"])
    assert server.asked == [None, "bytes=1000-", "bytes=1500-"]
    result = last_line(capsys)
    assert (result["examples"], result["shape"]) == ({"train": 15, "test": 3}, [32, 32, 3])
    assert (tmp_path / "downloads/cifar-10-binary.tar.gz").read_bytes() == body
    read = data.from_tfds("cifar10", tmp_path)
    assert read.class_names == CIFAR_NAMES
    assert "cifar10/3.0.2" in read.source
    pixels = np.concatenate([CIFAR[i][0] for i in range(1, 6)])
    np.testing.assert_array_equal(np.rint((read.images + 1) * 127.5), pixels)
    np.testing.assert_array_equal(np.rint((read.test_images + 1) * 127.5), CIFAR[6][0])
    assert read.labels.tolist() == [n for i in range(1, 6) for n in (i, 9, 0)]
    assert read.test_labels.tolist() == [6, 9, 0]


@pytest.mark.parametrize("ranges", [True, False])
def test_what_has_arrived_is_kept(tmp_path, ranges):
    """By a later call, too; a server that knows no ranges sends all of it again."""
    body = RNG.bytes(5000)
    server = Server({"x.bin": body}, cuts=[2000, 0, 0, 0] if ranges else [2000, 0], ranges=ranges)
    with server.running() as base:
        remote = remote_of("x.bin", body, base)
        if ranges:
            with pytest.raises(
                data.DataError, match=r"cut after 2000 of 5000 bytes.* goes on from"
            ):
                download.fetch(remote, tmp_path)
            assert (tmp_path / "x.bin.part").read_bytes() == body[:2000]
            assert not (tmp_path / "x.bin").exists()
        shown = []
        path = download.fetch(remote, tmp_path, lambda *said: shown.append(said))
        assert path.read_bytes() == body
        assert shown[-1] == ("x.bin", 5000, 5000)
        assert server.asked[-1] == ("bytes=2000-" if ranges else server.asked[-1])
        asked = len(server.asked)
        assert download.fetch(remote, tmp_path) == path
        assert len(server.asked) == asked  # the file that is there is taken
    assert not (tmp_path / "x.bin.part").exists()


def test_a_disk_that_fills_during_a_download(tmp_path):
    """It is named, and is no lost connection: nothing is asked for again. Then it goes on."""
    body = RNG.bytes(5000)
    server = Server({"x.bin": body})
    with server.running() as base:
        remote = remote_of("x.bin", body, base)
        says = r"x\.bin\.part cannot be written: .*; raise"
        with full_disk(2000), pytest.raises(OSError, match=says):
            download.fetch(remote, tmp_path)
        assert download.fetch(remote, tmp_path).read_bytes() == body
    assert server.asked == [None, "bytes=2000-"]


def test_a_wrong_checksum_and_what_is_not_there(tmp_path):
    body = RNG.bytes(300)
    with Server({"x.bin": body}).running() as base:
        remote = remote_of("x.bin", body, base)
        wrong = remote._replace(sha256="0" * 64)
        with pytest.raises(data.DataError, match=r"its SHA-256 is .*, expected 0000.*was removed"):
            download.fetch(wrong, tmp_path)
        assert not list(tmp_path.iterdir())
        with pytest.raises(data.DataError, match=r"cannot be downloaded .*404"):
            download.fetch(remote._replace(url=base + "other"), tmp_path)
        # More than was announced is never written.
        with pytest.raises(data.DataError, match="its SHA-256"):
            download.fetch(remote._replace(size=100), tmp_path)
        path = download.fetch(remote, tmp_path)
        with pytest.raises(data.DataError, match="300 bytes, expected 299: cut, or another file"):
            download.fetch(remote._replace(size=299), tmp_path)
        path.write_bytes(bytes(300))
        with pytest.raises(data.DataError, match="damaged, or another file; remove it"):
            download.fetch(remote, tmp_path)
    with pytest.raises(data.DataError, match=r"cannot be downloaded .*refused"):
        download.fetch(remote_of("y.bin", body), tmp_path / "none")


def test_published_facts():
    for name, original in archives.ORIGINALS.items():
        assert len({remote.name for remote in original.files}) == len(original.files), name
        for remote in (*original.files, *original.extra):
            assert len(bytes.fromhex(remote.sha256)) == 32
            assert remote.size > 1000
            assert remote.url.startswith("http")


@pytest.mark.parametrize("wanted", [False, True])
def test_extra_files_are_downloaded_when_asked_for_and_taken_where_they_lie(
    wanted, tmp_path, monkeypatch
):
    bodies = {f"{name}.mat": RNG.bytes(100) for name in ("train", "test", "extra")}
    with Server(bodies).running() as base:
        remotes = [remote_of(name, body, base) for name, body in bodies.items()]
        original = archives.Original(tuple(remotes[:2]), list, tuple(remotes[2:]))
        monkeypatch.setitem(archives.ORIGINALS, "svhn_cropped", original)
        paths = archives.get("svhn_cropped", tmp_path, extra=wanted)
    assert [path.name for path in paths] == list(bodies)[: 3 if wanted else 2]
    assert archives.find("svhn_cropped", tmp_path) == paths
    if wanted:
        paths[2].write_bytes(b"another")
        with pytest.raises(data.DataError, match=r"extra\.mat: 7 bytes, expected 100"):
            archives.find("svhn_cropped", tmp_path)


# What archives hold


def contents(name, tmp_path, *bodies):
    paths = []
    for number, body in enumerate(bodies):
        paths.append(tmp_path / f"{number}.bin")
        paths[-1].write_bytes(body)
    return archives.ORIGINALS[name].read(paths)


def test_cifar100_has_its_fine_labels(tmp_path):
    train, test = cifar_images(4), cifar_images(2)
    files = {
        "a/train.bin": cifar_bytes(train, [9, 9, 9, 9], [0, 2, 1, 2]),
        "a/test.bin": cifar_bytes(test, [9, 9], [1, 0]),
        "a/fine_label_names.txt": b"apple\nbear\ncrab\n",
    }
    found = contents("cifar100", tmp_path, tarred(files))
    assert found.class_names == ("apple", "bear", "crab")
    np.testing.assert_array_equal(found.splits["train"].images, train)
    np.testing.assert_array_equal(found.splits["test"].images, test)
    assert found.splits["train"].labels.tolist() == [0, 2, 1, 2]
    assert found.splits["test"].labels.tolist() == [1, 0]


def test_svhn_has_zeros_and_no_tens(tmp_path):
    images = {"train": cifar_images(3), "test": cifar_images(1)}
    bodies = []
    for pixels, labels in zip(images.values(), ([10, 1, 9], [10]), strict=True):
        out = io.BytesIO()
        y = np.array(labels, np.uint8)[:, None]
        scipy.io.savemat(out, {"X": pixels.transpose(1, 2, 3, 0), "y": y}, do_compression=True)
        bodies.append(out.getvalue())
    found = contents("svhn_cropped", tmp_path, *bodies)
    np.testing.assert_array_equal(found.splits["train"].images, images["train"])
    assert found.splits["train"].labels.tolist() == [0, 1, 9]
    assert found.splits["test"].labels.tolist() == [0]
    assert found.class_names == tuple("0123456789")
    # The extra part has no other form; it is read where it is given.
    found = contents("svhn_cropped", tmp_path, *bodies, bodies[0])
    assert list(found.splits) == ["train", "test", "extra"]
    np.testing.assert_array_equal(found.splits["extra"].images, images["train"])
    with pytest.raises(data.DataError, match=r"0\.bin: .*download it again"):
        contents("svhn_cropped", tmp_path, bodies[0][:300], bodies[1])
    out = io.BytesIO()
    scipy.io.savemat(out, {"X": np.zeros((32, 32, 3, 2)), "y": np.ones((2, 1))})
    with pytest.raises(data.DataError, match=r"X is double \[32, 32, 3, 2\], expected uint8"):
        contents("svhn_cropped", tmp_path, out.getvalue(), bodies[1])
    out = io.BytesIO()
    scipy.io.savemat(out, {"Z": 1})
    with pytest.raises(data.DataError, match="no X or y in it"):
        contents("svhn_cropped", tmp_path, out.getvalue(), bodies[1])


def test_stl10_is_turned_upright_and_labels_begin_at_0(tmp_path):
    images = {n: RNG.integers(0, 256, (num, 96, 96, 3), dtype=np.uint8)
              for n, num in (("train", 2), ("test", 1), ("unlabeled", 3))}  # fmt: skip
    files = {f"s/{n}_X.bin": x.transpose(0, 3, 2, 1).tobytes() for n, x in images.items()}
    files |= {"s/train_y.bin": b"\x03\x01", "s/test_y.bin": b"\x02"}
    files["s/class_names.txt"] = b"airplane\nbird\ncar"
    found = contents("stl10", tmp_path, tarred(files))
    for split, name in (("train", "train"), ("test", "test"), ("unlabelled", "unlabeled")):
        np.testing.assert_array_equal(found.splits[split].images, images[name])
    assert found.splits["train"].labels.tolist() == [2, 0]
    assert found.splits["unlabelled"].labels.tolist() == [-1, -1, -1]
    files["s/test_y.bin"] = b"\x02\x01"
    with pytest.raises(data.DataError, match=r"2 labels for the 1 images of test_X\.bin"):
        contents("stl10", tmp_path, tarred(files))
    files["s/test_y.bin"] = b"\x00"
    with pytest.raises(data.DataError, match=r"test_y\.bin has label -1, expected 0 to 2"):
        contents("stl10", tmp_path, tarred(files))


def test_mnist_from_its_four_archives(tmp_path):
    pixels = [RNG.integers(0, 256, (num, 28, 28), dtype=np.uint8) for num in (3, 2)]
    labels = [np.array(x, np.uint8) for x in ([1, 0, 9], [4, 4])]
    parts = (pixels[0], labels[0], pixels[1], labels[1])
    found = contents("mnist", tmp_path, *(gzip.compress(idx_bytes(x)) for x in parts))
    np.testing.assert_array_equal(found.splits["test"].images[..., 0], pixels[1])
    assert found.splits["train"].labels.tolist() == [1, 0, 9]
    with pytest.raises(data.DataError, match="2 labels for the 3 images"):
        contents("mnist", tmp_path, *(gzip.compress(idx_bytes(parts[i])) for i in (0, 3, 2, 3)))


def matlab(pixels, labels):
    out = io.BytesIO()
    y = np.array(labels, np.uint8)[:, None]
    scipy.io.savemat(out, {"X": pixels.transpose(1, 2, 3, 0), "y": y}, do_compression=True)
    return out.getvalue()


def small(name):
    """Bodies in the form of a data set's original files, the extra ones among them."""
    if name == "cifar100":
        files = {f"{part}.bin": cifar_bytes(cifar_images(3), [0, 0, 1], [2, 0, 1])
                 for part in ("train", "test")}  # fmt: skip
        return [tarred({**files, "fine_label_names.txt": b"apple\nbear\ncrab\n"})]
    if name == "svhn_cropped":
        return [matlab(cifar_images(2), [10, n]) for n in (1, 2, 3)]
    if name == "stl10":
        parts = {"train": b"\x03\x01", "test": b"\x02\x02", "unlabeled": b""}
        files = {f"{part}_y.bin": labels for part, labels in parts.items()}
        files |= {f"{part}_X.bin": RNG.bytes(2 * 3 * 96 * 96) for part in parts}
        return [tarred({**files, "class_names.txt": b"airplane\nbird\ncar"})]
    pixels = [RNG.integers(0, 256, (num, 28, 28), dtype=np.uint8) for num in (3, 2)]
    parts = (pixels[0], np.array([1, 0, 9], np.uint8), pixels[1], np.array([4, 4], np.uint8))
    return [gzip.compress(idx_bytes(part)) for part in parts]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*archives.ORIGINALS} - {"cifar10"}))
def test_each_data_set_is_one_command_from_its_address(name, tmp_path, capsys, monkeypatch):
    """As cifar10 above: downloaded, compared, written, and read as TFDS's data set."""
    original = archives.ORIGINALS[name]
    bodies = dict(zip([one.name for one in (*original.files, *original.extra)], small(name),
                      strict=True))  # fmt: skip
    with Server(bodies).running() as base:
        remotes = tuple(remote_of(file, body, base) for file, body in bodies.items())
        count = len(original.files)
        here = original._replace(files=remotes[:count], extra=remotes[count:])
        monkeypatch.setitem(archives.ORIGINALS, name, here)
        convert.main([name, "--out", str(tmp_path), "--json", *["--extra"][: len(original.extra)]])
    read = original.read([tmp_path / "downloads" / file for file in bodies])
    counts = {split: len(part.images) for split, part in read.splits.items()}
    assert last_line(capsys)["examples"] == counts
    found = data.from_tfds(name, tmp_path)
    assert found.class_names == read.class_names
    for images, labels, split in ((found.images, found.labels, "train"),
                                  (found.test_images, found.test_labels, "test")):  # fmt: skip
        np.testing.assert_array_equal(np.rint((images + 1) * 127.5), read.splits[split].images)
        assert labels.tolist() == read.splits[split].labels.tolist()


# Hostile and damaged archives


def linked(info):
    if info.name.endswith("data_batch_2.bin"):
        info.type, info.linkname, info.size = tarfile.SYMTYPE, "/etc/passwd", 0
    return info


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda files: tarred(files, linked), "data_batch_2.bin in it is no regular file"),
        (lambda files: tarred(files)[:-200], "EOFError"),
        (lambda files: b"no archive", "BadGzipFile"),
        (lambda files: gzip.compress(b"no tar" * 200), "ReadError"),
        (lambda files: tarred({k: v for k, v in files.items() if "test" not in k}),
         "test_batch.bin is not in it"),
        (lambda files: tarred({**files, "x/test_batch.bin": b"abc"}),
         "test_batch.bin has 3 bytes, no multiple of 3073"),
        (lambda files: tarred({**files, "x/test_batch.bin": b"\x0a" + bytes(3072)}),
         "label 10, expected 0 to 9"),
        (lambda files: tarred({**files, "batches.meta.txt": bytes(10**6)}),
         "batches.meta.txt in it has 1000000 bytes, expected at most 65536"),
    ],
)  # fmt: skip
def test_archives_that_are_refused(tmp_path, made, says):
    body = made(cifar10_files())
    with pytest.raises(data.DataError, match=says.replace(".", r"\.")):
        contents("cifar10", tmp_path, body)


def test_a_bomb_is_not_read_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_SLACK", 2**20)
    (tmp_path / "bomb.tar.gz").write_bytes(tarred({"fine": bytes(2**19), "x": b"1"}))
    assert archives.members(tmp_path / "bomb.tar.gz", {"x": 10}) == {"x": b"1"}
    (tmp_path / "bomb.tar.gz").write_bytes(tarred({"bomb": bytes(2**21), "x": b"1"}))
    with pytest.raises(data.DataError, match="expands to more than data of its kind can"):
        archives.members(tmp_path / "bomb.tar.gz", {"x": 10})


def test_members_lead_nowhere(tmp_path, monkeypatch):
    """Names with .. and absolute ones are names only: nothing is written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.tar.gz").write_bytes(tarred({"../../x": b"one", "/etc/y": b"two"}))
    found = archives.members(tmp_path / "t.tar.gz", {"x": 3, "y": 3})
    assert found == {"x": b"one", "y": b"two"}
    assert [path.name for path in tmp_path.iterdir()] == ["t.tar.gz"]


def test_archives_that_lie_here(tmp_path, capsys, monkeypatch):
    body = tarred(cifar10_files())
    path = tmp_path / "mine.tar.gz"
    path.write_bytes(body)
    out = ["--out", tmp_path / "out"]
    assert "bytes, expected 170052171" in ends(capsys, "cifar10", path, *out)
    assert "no such file" in ends(capsys, "cifar10", tmp_path / "none.tar.gz", *out)
    assert "svhn_cropped has 2 files; give the folder" in ends(capsys, "svhn_cropped", path, *out)
    assert "attribute is 'Bald': only celeb_a" in ends(
        capsys, "cifar10", path, *out, "--attribute", "Bald"
    )
    error = ends(capsys, "celeb_a", *out)
    assert "source is None: download img_align_celeba.zip, list_eval_partition.txt and" in error
    assert "cuhk.edu.hk/projects/CelebA.html" in error
    assert "only svhn_cropped has any to be downloaded" in ends(capsys, "cifar10", "--extra", *out)
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(tfds, "prepare", lambda name, splits, *rest: tmp_path)
    convert.main(["cifar10", str(path), "--unchecked", "--json", *map(str, out)])
    assert last_line(capsys)["examples"]["train"] == 15


# CelebA


def celeb_a(folder, zipped=False, size=(218, 178)):
    folder.mkdir()
    names = [f"00000{i}.jpg" for i in range(1, 6)]
    bodies = {name: encoded(picture("RGB", size), "JPEG") for name in names}
    if zipped:
        with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive:
            for name, body in bodies.items():
                archive.writestr(f"img_align_celeba/{name}", body)
    else:
        (folder / "img_align_celeba").mkdir()
        for name, body in bodies.items():
            (folder / "img_align_celeba" / name).write_bytes(body)
    parts = zip(names, (0, 0, 1, 2, 0), strict=True)
    lines = "".join(f"{name} {part}\n" for name, part in parts)
    (folder / "list_eval_partition.txt").write_text(lines)
    rows = "".join(
        f"{name}  {1 if i % 2 else -1} {-1 if i % 2 else 1} \n" for i, name in enumerate(names)
    )
    (folder / "list_attr_celeba.txt").write_text(f"5\n5_o_Clock_Shadow Smiling \n{rows}")
    return folder, bodies


def test_celeb_a_keeps_its_files_and_attributes(tmp_path, capsys):
    folder, bodies = celeb_a(tmp_path / "in")
    out = tmp_path / "out"
    convert.main(["celeb_a", str(folder), "--out", str(out), "--attribute", "Smiling", "--json"])
    result = last_line(capsys)
    assert result["examples"] == {"train": 3, "validation": 1, "test": 1}
    assert result["shape"] == [218, 178, 3]
    rows = tfds.images.TFDSRows("celeb_a", out)
    assert "celeb_a/2.1.0" in str(rows.folder)
    assert rows.form == (218, 178, 3)
    assert rows.class_names == ("not Smiling", "Smiling")
    # 000001 and 000002 and 000005, of which the second does not smile
    assert rows.labels_of([0, 1, 2]).tolist() == [1, 0, 1]
    examples = [example for _, example in rows._examples([0, 1, 2])]
    files = [bodies[f"00000{i}.jpg"] for i in (1, 2, 5)]
    assert [example["image"] for example in examples] == files
    shadows = [bool(example["attributes"]["5_o_Clock_Shadow"]) for example in examples]
    assert shadows == [False, True, False]


def test_celeb_as_zip_file_has_the_same(tmp_path):
    folder, bodies = celeb_a(tmp_path / "in", zipped=True)
    found = faces.read(folder)
    assert found.splits["train"][2] == bodies["000005.jpg"]
    assert found.splits["test"].attributes.tolist() == [[True, False]]
    assert found.attribute_names == ("5_o_Clock_Shadow", "Smiling")
    whole = (folder / "img_align_celeba.zip").read_bytes()
    (folder / "img_align_celeba.zip").write_bytes(whole[:-50])
    with pytest.raises(data.DataError, match="BadZipFile"):
        faces.read(folder)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("list_eval_partition.txt", "000001.jpg 3\n", "line 1 is not a picture's name and 0, 1"),
        ("list_eval_partition.txt", "000009.jpg 0\n", "000009.jpg is missing"),
        ("list_eval_partition.txt", "000001.jpg 2\n", "nobody is in part 0"),
        ("list_attr_celeba.txt", "5\n", "line 2 is no list of attributes"),
        ("list_attr_celeba.txt", "5\nA B\n000001.jpg 1 0\n", "line 3 is not a picture's name"),
        ("list_attr_celeba.txt", "5\nA B\n000001.jpg 1 1\n", "000002.jpg is missing"),
        ("list_attr_celeba.txt", None, "no such file"),
        ("img_align_celeba/000001.jpg", "no picture", "000001.jpg: unreadable image"),
    ],
)
def test_celeb_a_that_is_damaged(tmp_path, capsys, name, text, says):
    folder, _ = celeb_a(tmp_path / "in")
    if text is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(text)
    assert says in ends(capsys, "celeb_a", folder, "--out", tmp_path / "out")
    assert not (tmp_path / "out/celeb_a").exists()


def test_faces_of_another_size_and_unknown_attributes(tmp_path, capsys):
    folder, _ = celeb_a(tmp_path / "in", size=(64, 64))
    out = ["--out", tmp_path / "out"]
    assert "64 x 64 pixels, expected 218 x 178" in ends(capsys, "celeb_a", folder, *out)
    error = ends(capsys, "celeb_a", folder, *out, "--attribute", "Smile")
    assert "attribute is 'Smile': choose one of 5_o_Clock_Shadow, Smiling" in error
