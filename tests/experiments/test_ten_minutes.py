"""The recipe of ten minutes: each part can be left out by itself, and the table knows its worth."""

import pytest

import jwgan
from experiments import ten_minutes
from experiments.readme import training

# part -> the option that leaves it out; spectral norm is another member and no option.
PARTS = {
    "labels": ("conditional", "none"),
    "one_update": ("n_critic", 3),
    "batch_norm": ("generator_norm", "none"),
    "decay": ("decay", "none"),
}


def config_of(**given):
    experiment = ten_minutes.EXPERIMENT
    return experiment.config(**experiment.with_settings(given))


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_left_out_and_nothing_else(part):
    recipe, changed = vars(config_of()), vars(config_of(without=part))
    differ = {name for name in recipe if recipe[name] != changed[name]}
    option, value = PARTS[part]
    assert changed[option] == value
    # Another number of steps takes the same time.
    assert differ - {"without", "steps"} == {option}


def test_every_part_can_be_left_out(capsys):
    assert {*PARTS, "spectral_norm", "none"} == set(ten_minutes.WITHOUT)
    with pytest.raises(SystemExit):
        ten_minutes.run.main(ten_minutes.EXPERIMENT, ["--without", "luck"])
    assert "without is 'luck': choose one of none, labels" in capsys.readouterr().err


@pytest.mark.parametrize("part", ten_minutes.WITHOUT)
def test_spectral_norm_gives_way_to_the_gradient_penalty(part, monkeypatch):
    built = []
    for name in ("sngan", "wgan_gp"):
        make = getattr(jwgan, name)
        note = lambda *args, name=name, make=make, **kwargs: (
            built.append(name) or make(*args, **kwargs)
        )
        monkeypatch.setattr(jwgan, name, note)
    ten_minutes.build(config_of(without=part, classes=10, width=2, latent=2), (8, 8, 1))
    assert built == ["wgan_gp" if part == "spectral_norm" else "sngan"]


def runs(distances, steps):
    figures = lambda distance: {
        **{"classes_present": 10, "smallest_class_share": 0.09},
        **{"frechet_distance": distance, "frechet_distance_of_real": 0.5},
    }
    trials = [{"quality": figures(distance)} for distance in distances]
    return {"steps": steps, "cpu_seconds": 1800.0, "per_trial": trials}


def test_the_table_has_shares_of_what_was_above_real_data(monkeypatch):
    recorded = {
        "fashion-ten_minutes-before": runs([4.0, 4.5, 5.5], 10),  # its median is 4 above real data
        "fashion-ten_minutes": runs([1.5, 0.9, 1.6], 20),  # 1 above
    }
    monkeypatch.setattr(training.results, "metrics", lambda name: recorded.get(name, {}))
    _, _, before, recipe = training.ten_minutes().splitlines()
    assert before.split(" | ")[1:4] == ["10", "600", "10"]
    assert before.endswith("| 4.50 | 4.00 to 5.50 | 1.00 |")
    assert recipe.endswith("| 1.50 | 0.90 to 1.60 | 0.25 |")
