"""The benches' shell: options in, one JSON object out, errors in one line."""

import dataclasses
import json

import pytest

from jwgan.run import command
from jwgan.run.options import option


@dataclasses.dataclass(frozen=True)
class Config:
    num: int = option(2, "how many", at_least=1)
    json: bool = option(False, "print one line of JSON at the end")


def run(argv, measure=lambda config: {"twice": 2 * config.num}, **rest):
    command.run(Config, measure, "A bench.", argv=argv, setup=lambda: None, **rest)


def test_json_on_one_line_or_to_be_read(capsys):
    run(["--num", "3", "--json"])
    assert capsys.readouterr().out == '{"twice": 6}\n'
    run([])
    out = capsys.readouterr().out
    assert json.loads(out) == {"twice": 4}
    assert out.count("\n") == 3


def test_a_text_takes_the_place_of_json_and_may_be_nothing(capsys):
    run([], text=lambda config, result: f"{config.num} is half of {result['twice']}")
    run([], text=lambda config, result: "")
    assert capsys.readouterr().out == "2 is half of 4\n"


def fails(error):
    def measure(config):
        raise error

    return measure


@pytest.mark.parametrize(
    ("argv", "error", "says"),
    [
        (["--num", "0"], None, "num is 0: give at least 1"),
        (["--numb", "1"], None, "did you mean --num?"),
        ([], ValueError("num is 2:\ngive 3"), "num is 2: give 3"),
        ([], OSError(28, "No space left on device"), "No space left on device"),
    ],
)
def test_what_is_wrong_is_one_line(capsys, argv, error, says):
    with pytest.raises(SystemExit) as end:
        run(argv, fails(error or AssertionError("measured")))
    assert end.value.code == 2
    out, err = capsys.readouterr()
    assert says in err
    assert (out, err.count("\n")) == ("", 1)


def test_a_defect_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run([], fails(ZeroDivisionError()))


def test_the_setup_stands_between_the_checks_and_the_measurement(capsys):
    order = []
    measure = lambda config: order.append("measure") or {}
    setup = lambda: order.append("setup")
    with pytest.raises(SystemExit):
        command.run(Config, measure, None, argv=["--num", "0"], setup=setup)
    assert order == []
    command.run(Config, measure, None, argv=[], setup=setup)
    assert order == ["setup", "measure"]
