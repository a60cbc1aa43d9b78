"""What an experiment's document says that it costs and gives is what was recorded."""

import ast
import re

import pytest

from experiments import __main__ as commands
from experiments import results

MEMBERS = ("wgan_gp", "wgan", "wgan_lp", "wgan_div", "gan", "dcgan", "lsgan", "sngan")
RECORDED = {
    **{name: f"digits-{name}" for name in (*MEMBERS, "ebgan", "began")},
    "table": "table-diabetes",
    "modes": "modes-wgan_gp",
    **{name: name for name in ("parallel_lines", "divergences", "theatre")},
}
SECONDS = re.compile(r"about (\d+) s (on 2 CPU cores|of CPU time)", re.IGNORECASE)
QUALITY = re.compile(r"(\d+) of 10 classes, a Frechet distance of about (\d+(?:\.\d)?)")


def said(name):
    """The document of a command, on one line."""
    text = ast.get_docstring(ast.parse(commands.commands()[name].read_text(encoding="utf-8")))
    return " ".join(text.split())


@pytest.mark.parametrize("name", RECORDED)
def test_what_it_costs(name):
    [(seconds, kind)] = SECONDS.findall(said(name))
    figure = "seconds" if kind == "on 2 CPU cores" else "cpu_seconds"
    assert int(seconds) == pytest.approx(results.metrics(RECORDED[name])[figure], rel=0.1)


@pytest.mark.parametrize("name", [*MEMBERS, "ebgan", "began"])
def test_what_to_expect_of_a_member(name):
    [(classes, distance)] = QUALITY.findall(said(name))
    quality = results.metrics(RECORDED[name])["quality"]
    assert int(classes) == quality["classes_present"]
    assert float(distance) == pytest.approx(quality["frechet_distance"], rel=0.05)


def test_the_recorded_commands_are_those_of_the_documents():
    """A figure of other options than the document's first command would say nothing about it."""
    for name, recorded in RECORDED.items():
        command = results.load(recorded)["command"].removesuffix(" --json")
        if name == "modes":
            command += " --seeds 16"
        assert f"{command} " in said(name) + " ", name
