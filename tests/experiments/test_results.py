"""Recorded results: each names a command of today, with options that exist."""

import dataclasses
import importlib
import importlib.util
import json
import shlex

import pytest

from experiments import results
from experiments.claims import __main__ as claims
from experiments.export import __main__ as export
from jwgan.run import options

PATHS = sorted(results.RESULTS.glob("*.json"))
ALL = {path.stem: json.loads(path.read_text()) for path in PATHS}
# A peer is a program of another library, which nothing here could check.
RECORDS = {name: record for name, record in ALL.items() if "peer" not in record}
POSITIONAL = {"speed": "case"}
# Benches whose figures repeat the options they were measured with, but for what was measured
# under the same name.
OTHERWISE = ("json", "iterations", "peer")
REPEATING = ("modes", "w1_benchmark", "speed", "alarm", "parallel_lines", "divergences")


def parsed(command):
    """(document, the options it was given) of a recorded command."""
    python, flag, module, *argv = shlex.split(command)
    assert (python, flag) == ("python", "-m")
    name = module.removeprefix("experiments.")
    if name == "claims":
        return name, claims._arguments(argv)
    if name == "export":
        return name, export.arguments(argv)
    is_folder = importlib.util.find_spec(module).submodule_search_locations is not None
    document = importlib.import_module(f"{module}.__main__" if is_folder else module)
    config = options.parse(document.Config, argv, "", positional=POSITIONAL.get(name, ""))
    options.check_numbers(config)
    return name, config


def test_there_are_results():
    assert len(RECORDS) > 100
    assert not [name for name in ALL.keys() - RECORDS.keys() if not name.endswith("-torch")]


@pytest.mark.parametrize("record", RECORDS)
def test_a_recorded_command_can_be_given_today(record):
    name, config = parsed(RECORDS[record]["command"])
    figures = RECORDS[record]["figures"]
    assert config.json  # or nothing would have been recorded
    if name == "claims":
        assert set(figures["claims"]) == set(config.numbers)
    if name in REPEATING and dataclasses.is_dataclass(config):
        chosen = dataclasses.asdict(config)
        shared = {k for k in chosen.keys() & figures.keys() if k not in OTHERWISE}
        assert {k: figures[k] for k in shared} == {k: chosen[k] for k in shared}


@pytest.mark.parametrize(
    "command",
    ["python -m experiments.wgan_gp --step 3", "python -m experiments.claims C20 --json"],
)
def test_a_command_of_another_time_would_be_found(command):
    with pytest.raises((SystemExit, ValueError)):
        parsed(command)
