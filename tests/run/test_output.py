"""`COMMAND | head` ends in silence, however early the reader has gone."""

import os
import subprocess
import sys

import pytest

from jwgan.run import output


def without_reader(*command):
    """(exit code, stderr) of a command whose stdout nobody reads."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as nowhere:
        done = subprocess.run(command, stdout=nowhere, stderr=subprocess.PIPE, text=True)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "argv",
    [
        ["-m", "jwgan.run", "wgan_gp", "--help"],
        ["-m", "jwgan.run"],
        ["-m", "experiments"],
        pytest.param(["-m", "experiments.toy2d", "--help"], marks=pytest.mark.slow),
        pytest.param(["-m", "experiments.sample", "--help"], marks=pytest.mark.slow),
        pytest.param(["-m", "experiments.claims", "--list"], marks=pytest.mark.slow),
    ],
    ids=lambda argv: " ".join(argv[1:]),
)
def test_a_closed_pipe_is_no_traceback(argv):
    assert without_reader(sys.executable, *argv) == (0, "")


def test_more_than_a_pipe_holds():
    program = "from jwgan.run import output\nfor _ in range(9): output.show('x' * 100_000)"
    assert without_reader(sys.executable, "-c", program) == (0, "")


def test_what_is_shown_is_there(capsys):
    output.show("one line")
    assert capsys.readouterr().out == "one line\n"
