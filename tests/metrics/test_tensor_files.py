"""Weight files: PyTorch's own of both kinds, safetensors; hostile, damaged and foreign ones.

torch_files.npz holds files that PyTorch 2.14.1 wrote, and the arrays that are in them.
"""

import hashlib
import io
import os
import pathlib
import pickle
import struct
import zipfile

import numpy as np
import pytest

from jwgan.metrics import tensor_files, torch_pickles
from jwgan.metrics.tensor_files import WeightsError

WITH = dict(np.load(pathlib.Path(__file__).with_name("torch_files.npz")))
FILES = {name: x.tobytes() for name, x in WITH.items() if "/" not in name}


def expected(name):
    start = f"expected/{name}/"
    return {key.removeprefix(start): x for key, x in WITH.items() if key.startswith(start)}


@pytest.fixture
def read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where the hostile program would leave its mark

    def read(content, name="x.pth"):
        (tmp_path / name).write_bytes(content)
        return tensor_files.read(tmp_path / name)

    return read


@pytest.mark.parametrize("kind", ["new", "legacy"])
@pytest.mark.parametrize("name", ["state", "views"])
def test_files_of_pytorch_have_their_numbers(read, name, kind):
    content = FILES[f"{name}-{kind}"]
    found = read(content)
    assert found.sha256 == hashlib.sha256(content).hexdigest()
    assert list(found.tensors) == list(expected(name))  # in the file's order
    for key, x in expected(name).items():
        assert found.tensors[key].dtype == x.dtype
        np.testing.assert_array_equal(found.tensors[key], x)
        assert not found.tensors[key].flags.writeable


def test_a_newer_pickle_and_parameters_are_read(read):
    for key, x in read(FILES["state-protocol4"]).tensors.items():
        np.testing.assert_array_equal(x, expected("state")[key])
    for kind in ("new", "legacy"):
        tensors = read(FILES[f"parameter-{kind}"]).tensors
        np.testing.assert_array_equal(tensors["w"], np.ones((2, 2)))


REFUSED = {
    "hostile-new": "it calls the name posix.system, and is no file of tensors alone",
    "hostile-legacy": "it calls the name posix.system, and is no file of tensors alone",
    "module-new": "it makes an object of the name torch.nn.modules.container.Sequential: save a "
    "model's state_dict() alone",
    "nested-new": "'state_dict' is no tensor, but a dictionary",
    "nested-legacy": "'state_dict' is no tensor, but a dictionary",
    "bfloat-new": "its numbers are BFloat16Storage, which is not read",
    "expanded-new": "a tensor has more numbers than its storage",
    "expanded-legacy": "a tensor has more numbers than its storage",
    "script": "a ZIP archive, but not of PyTorch's tensors (TorchScript perhaps)",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_file_of_tensors_is_refused_and_not_run(read, tmp_path, name):
    with pytest.raises(WeightsError) as error:
        read(FILES[name])
    assert str(error.value) == f"{tmp_path / 'x.pth'}: no file of tensors: {REFUSED[name]}"
    assert not (tmp_path / "hostile-was-here").exists()


def test_the_hostile_file_would_have_run(tmp_path, monkeypatch):
    """Python's own reader runs the program in it: the refusal above is no luck."""
    monkeypatch.chdir(tmp_path)
    stream = io.BytesIO(FILES["hostile-legacy"])
    for _ in range(4):
        pickle.load(stream)
    assert (tmp_path / "hostile-was-here").exists()


class Call:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (Call(os.getcwd), "it calls the name posix.getcwd"),
        (Call(eval, "1"), "it calls the name builtins.eval"),
        ({"a": Call(getattr, "x", "y")}, "it calls the name builtins.getattr"),
        (os.getcwd, "it holds the name posix.getcwd"),
        ({(1, 2): 3}, "a key or name that is no string"),
        ({1, 2}, "the instruction EMPTY_SET"),
        (bytearray(3), "the instruction (BYTEARRAY8|SHORT_BINBYTES)"),
    ],
)
@pytest.mark.parametrize("protocol", [4, 5])
def test_a_pickle_is_data_or_refused(made, says, protocol):
    content = pickle.dumps(made, protocol)
    with pytest.raises(ValueError, match=says):
        torch_pickles.load(io.BytesIO(content))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_data_are_what_pickle_says(protocol):
    made = {"a": [1, -2, 2**40, 2**70], "b": {"c": (True, None, 1.5, (), ("x",))}, "d": {}}
    made["shared"] = made["a"]
    assert torch_pickles.load(io.BytesIO(pickle.dumps(made, protocol))) == made


@pytest.mark.parametrize(
    "step", [pytest.param(1, marks=pytest.mark.slow), pytest.param(13, id="some")]
)
@pytest.mark.parametrize("name", ["state-new", "state-legacy", "views-new", "views-legacy"])
def test_cut_and_flipped_files_end_in_one_line(read, name, step):
    content, random = FILES[name], np.random.default_rng(0)
    whole = read(content).tensors
    for end in range(0, len(content), step):
        with pytest.raises(WeightsError):
            read(content[:end])
    for place in range(0, len(content), step):
        flipped = bytearray(content)
        flipped[place] ^= 1 << random.integers(8)
        try:
            tensors = read(bytes(flipped)).tensors
        except WeightsError as error:
            message = str(error)
            assert len(message.splitlines()) == 1
            continue
        if name.endswith("new"):  # it has checksums: a flip is found, or it was in the padding
            assert tensors.keys() == whole.keys()
            assert all(np.array_equal(x, whole[key]) for key, x in tensors.items())
        else:  # a name or a number may be another one, but nothing is larger than the file
            assert sum(x.nbytes for x in tensors.values()) < 2 * len(content)


def test_a_flipped_number_of_the_new_kind_is_found(read):
    content = FILES["state-new"]
    place = content.index(expected("state")["0.weight"].tobytes()[:4])
    with pytest.raises(WeightsError, match="Bad CRC-32"):
        read(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])


def rezipped(content, change=lambda name, data: (name, data), how=zipfile.ZIP_STORED):
    """A PyTorch file written anew with entries changed; None drops one."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", how) as new:
        for name in old.namelist():
            found = change(name, old.read(name))
            if found is not None:
                new.writestr(*found)
    return out.getvalue()


def test_archives_that_are_not_pytorchs(read):
    content = FILES["state-new"]
    assert list(read(rezipped(content)).tensors) == list(expected("state"))
    with pytest.raises(WeightsError, match="it is compressed, which PyTorch's files are not"):
        read(rezipped(content, how=zipfile.ZIP_DEFLATED))
    big = lambda name, data: (name, b"big" if name.endswith("byteorder") else data)
    with pytest.raises(WeightsError, match="its numbers are big-endian"):
        read(rezipped(content, big))
    without = lambda name, data: None if name.endswith("data/0") else (name, data)
    with pytest.raises(WeightsError, match="KeyError"):
        read(rezipped(content, without))
    short = lambda name, data: (name, data[:-4] if name.endswith("data/0") else data)
    with pytest.raises(WeightsError, match="a storage is shorter or longer than it says"):
        read(rezipped(content, short))
    long = lambda name, data: (
        (name, data.replace(b"K\x0c", b"M\xff\xff")) if name.endswith(".pkl") else (name, data)
    )
    with pytest.raises(WeightsError, match="larger than the file"):
        read(rezipped(content, long))
    nothing = rezipped(content, lambda name, data: None if name.endswith(".pkl") else (name, data))
    with pytest.raises(WeightsError, match="a ZIP archive, but not of PyTorch's tensors"):
        read(nothing)


def test_the_legacy_kinds_own_parts(read):
    content = FILES["views-legacy"]
    for other, says in [
        (pickle.dumps(7, 2), "a pickle, but not PyTorch's"),
        (pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1, 2), "an unknown protocol"),
        (content + b"\0", "there are bytes behind its end"),
        (
            content.replace(b"\x88X\x0a\x00\x00\x00type_sizes", b"\x89X\x0a\x00\x00\x00type_sizes"),
            "big-endian",
        ),
    ]:
        assert other != content
        with pytest.raises(WeightsError, match=says):
            read(other)


def test_a_checksum_in_the_name_is_believed(read):
    content = FILES["state-new"]
    sha256 = hashlib.sha256(content).hexdigest()
    assert any(letter in "abcdef" for letter in sha256[:8])  # digits alone look like a date
    assert read(content, f"net-{sha256[:8]}.pth").sha256 == sha256
    assert read(content, "net-20151205.pth").sha256 == sha256
    with pytest.raises(WeightsError, match="damaged: its name says SHA-256 6726825d, its bytes"):
        read(content, "net-6726825d.pth")


def test_no_file_a_folder_a_pipe_and_a_giant(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    for name in ("nothing", ".", "pipe"):
        with pytest.raises(WeightsError, match="there is no such file"):
            tensor_files.read(tmp_path / name)
    monkeypatch.setattr(tensor_files, "MOST_BYTES", 10)
    (tmp_path / "large").write_bytes(bytes(11))
    with pytest.raises(WeightsError, match="11 bytes, more than 10"):
        tensor_files.read(tmp_path / "large")


# ---- safetensors --------------------------------------------------------------------------------


def made():
    random = np.random.default_rng(0)
    return {"a": random.normal(size=(2, 3)), "b.c": random.normal(size=4), "d": np.float32(3.0)}


def test_what_is_written_is_read(read):
    content = tensor_files.to_bytes(made(), {"source": "somewhere"})
    found = read(content, "x.safetensors")
    assert found.metadata["source"] == "somewhere"
    for name, x in made().items():
        np.testing.assert_array_equal(found.tensors[name], np.float32(x))


def test_a_damaged_safetensors_file(read):
    content = tensor_files.to_bytes(made(), {})
    length = int.from_bytes(content[:8], "little")
    header, data = content[8 : 8 + length], content[8 + length :]
    again = lambda text: struct.pack("<Q", len(text)) + text + data
    plain = again(header.replace(b"data_sha256", b"other_words"))
    assert read(plain).tensors["a"].shape == (2, 3)
    for other, says in [
        (content[:-1] + b"\1", "damaged: its numbers do not have the checksum"),
        (b"", "neither PyTorch's nor safetensors"),
        (struct.pack("<Q", 2**60) + b"{" + data, "neither PyTorch's nor safetensors"),
        (again(header[:-20]), "JSONDecodeError"),
        (again(b"{" * 100_000), "neither|RecursionError|JSONDecodeError"),
        (again(b'{"a": 3}'), "a kind that is not read"),
        (again(header.replace(b"F32", b"BF16")), "a kind that is not read"),
        (again(header.replace(b"[0, 24]", b"[0, 20]").replace(b"data_sh", b"x")), "another size"),
        (again(header.replace(b"[0, 24]", b"[0, 99]").replace(b"data_sh", b"x")), "beyond the"),
        (again(header.replace(b"[2, 3]", b"[2, -3]").replace(b"data_sh", b"x")), "beyond the"),
    ]:
        with pytest.raises(WeightsError, match=says):
            read(other)
    for end in range(len(content)):
        with pytest.raises(WeightsError):
            read(content[:end])


def test_a_strangers_words_are_printable_and_short(read):
    text = pickle.dumps({"\x1b[31m" + "long" * 1000: 3}, 2)
    content = rezipped(
        FILES["state-new"], lambda name, data: (name, text if name.endswith(".pkl") else data)
    )
    with pytest.raises(WeightsError) as error:
        read(content)
    assert "\x1b" not in str(error.value)
    assert len(str(error.value)) < 500
