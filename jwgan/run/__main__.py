"""Trains any member of the family on any data, and reads its runs.

    python -m jwgan.run wgan_gp                                 # real handwritten digits
    python -m jwgan.run sngan --dataset folder --data-dir IMAGES --n-critic 5
    python -m jwgan.run wgan_gp --help                          # all options of a member
    python -m jwgan.run sample RUN_DIR --num 100 --out grid.png
    python -m jwgan.run measure RUN_DIR                         # needs jwgan[transport]
    python -m jwgan.run measure FOLDER --against FOLDER         # FID and others
    python -m jwgan.run convert_weights FILE.pth                # Inception's, for FID
    python -m jwgan.run export RUN_DIR --out generator.bin
    python -m jwgan.run upgrade RUN_DIR                         # an old run's state has grown
    python -m jwgan.run convert folder IMAGES --name faces --out tfds_data
    python -m jwgan.run schema people.csv --out people.json     # of a table's columns

The command `jwgan` is the same. Members: {members}.
"""

import sys

from jwgan.run import convert, launch, members, options, output, schema, weights
from jwgan.run.experiment import Experiment

# What prepares data or weights: `jwgan convert KIND`.
PREPARES = {
    "convert": convert.main,
    "schema": schema.main,
    "convert_weights": weights.main,
}
# Python drops docstrings under -OO: then there is no help, and still a program.
DOC = (__doc__ or "").format(members=", ".join(members.NAMES))


def main(argv: list[str] | None = None) -> None:
    """The command `jwgan`.

    >>> import contextlib, sys
    >>> with contextlib.redirect_stderr(sys.stdout), contextlib.suppress(SystemExit):
    ...     __main__.main(["wgan-gp"])
    error: command is 'wgan-gp': did you mean wgan_gp? choose one of ...
    """
    argv = sys.argv[1:] if argv is None else argv
    word = argv[0] if argv else "--help"
    if word in ("--help", "-h"):
        output.show(DOC)
        return
    with launch.missing_package_ends():
        # A command that reads a run finds the member in the run's config.json.
        if word in launch.COMMANDS:
            launch.COMMANDS[word](members.find, argv[1:])
        elif word in PREPARES:
            PREPARES[word](argv[1:])
        else:
            launch.main(_experiment_of(word), argv[1:])


def _experiment_of(word: str) -> Experiment:
    """The member's experiment; ends the program with one line if the word is no member."""
    try:
        options.require_choice("command", word, (*members.NAMES, *launch.COMMANDS, *PREPARES))
    except ValueError as error:
        options.fail(error)
    return members.experiment_of(word)


if __name__ == "__main__":
    main()
