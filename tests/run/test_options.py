"""Options know their group, their bounds and whether a resumed run may change them."""

import dataclasses

import pytest

from experiments import toy2d, wgan_gp
from jwgan.run import directory, options
from jwgan.run.options import option


@dataclasses.dataclass(frozen=True)
class Base:
    count: int = option(3, "how many", group="training", at_least=1, may_change=True)
    share: float = option(0.5, "of all", at_least=0, below=1)
    rate: float | None = option(None, "of change", above=0)


@dataclasses.dataclass(frozen=True)
class Own(Base):
    count: int = option(7)
    share: float = option(0.25, "of what is left")
    plain: int = 2


def test_a_subclass_keeps_what_it_does_not_say():
    known = options.described(Own)
    assert known["count"] == options.described(Base)["count"]
    assert (known["share"].help, known["share"].below) == ("of what is left", 1)
    assert known["plain"] == options.Described()
    assert options.parse(Own, [], "") == Own(count=7, share=0.25, rate=None, plain=2)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"count": 0}, "count is 0: give at least 1"),
        ({"share": 1.0}, "share is 1.0: give a number in [0, 1)"),
        ({"share": -0.1}, "share is -0.1: give a number in [0, 1)"),
        ({"share": float("nan")}, "share is nan: give a number in [0, 1)"),
        ({"rate": 0.0}, "rate is 0.0: give a number > 0"),
        ({"rate": float("nan")}, "rate is nan: give a number > 0"),
        ({"count": 2**31}, "count is 2147483648: give a number below 2**31"),
        ({"rate": float("inf")}, "rate is inf: give a number below 2**31"),
        ({"plain": -(2**31)}, "plain is -2147483648: give a number below 2**31"),
    ],
)
def test_a_number_out_of_its_bounds_is_named(changed, says):
    with pytest.raises(ValueError, match="give") as error:
        options.check_numbers(Own(**changed))
    assert str(error.value) == says


@pytest.mark.parametrize("good", [{}, {"count": 1, "share": 0.0, "rate": 1e-30}, {"share": 0.999}])
def test_numbers_within_their_bounds_pass(good):
    options.check_numbers(Own(**good))


def test_help_has_the_groups_in_order(capsys):
    with pytest.raises(SystemExit) as end:
        options.parse(wgan_gp.Config, ["--help"], wgan_gp.__doc__)
    assert end.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    places = [lines.index(f"{group}:") for group in options.GROUPS]
    assert places == sorted(places)
    assert next(i for i, line in enumerate(lines) if "--weight" in line) < places[1]
    assert lines[0].endswith("[--option VALUE ...]")


@pytest.mark.parametrize("config", [wgan_gp.Config, toy2d.Config])
def test_every_option_has_a_help_and_a_known_group(config):
    for name, known in options.described(config).items():
        assert known.help, name
        assert known.group in (None, *options.GROUPS), name


def test_what_may_change_on_a_resume():
    free = options.may_change(wgan_gp.Config)
    assert {"steps", "minutes", "keep", "devices", "quality", "run_dir"} <= free
    assert not free & {"batch_size", "n_critic", "learning_rate", "weight", "seed", "width", "ema"}


def described(**config):
    return {"experiment": "x", "config": config, "data": {"sha256": "a"}}


def test_what_a_resume_changes_is_told():
    config = wgan_gp.Config()
    old = described(steps=1, seed=0)
    assert directory.changes(old, described(steps=2, seed=0), config) == {}
    assert directory.changes(old, described(steps=2, seed=1), config) == {"seed": [0, 1]}
    other = {**old, "data": {"sha256": "b"}}
    with pytest.raises(ValueError, match="sha256 was 'a' and is 'b'; put the run's data back"):
        directory.changes(old, other, config)
    allowed = dataclasses.replace(config, allow="learning_rate data")
    assert directory.changes(old, other, allowed) == {"data sha256": ["a", "b"]}
    with pytest.raises(ValueError, match="experiment was 'x', is 'y'"):
        directory.changes(old, {**old, "experiment": "y"}, config)
