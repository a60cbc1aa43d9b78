"""Experiments: each is a document and a command, `python -m experiments.NAME`.

They need the extra `experiments`; a command that misses it ends with one line.
"""

import sys

from jwgan import check

# Import names, not names on the package index. What data sets in TFDS's format and --stream need
# beside these is asked for where it is used.
PACKAGES = (
    *("flax", "orbax.checkpoint", "rich", "tensorboardX", "matplotlib", "PIL", "sklearn"),
    *("flatbuffers", "scipy", "ot"),
)

try:
    for package in PACKAGES:
        check.require_package(package, "experiments")
except check.MissingPackageError as error:
    # Python puts "-m" there while `python -m` looks for a module: a command ends with one line, an
    # import from a program of one's own keeps the exception.
    if sys.argv[0] != "-m":
        raise
    # Whoever runs `python -m experiments` has a checkout, so pip installs that one, not a release.
    remedy = str(error).replace("'jwgan[experiments]'", "-e '.[experiments]'")
    print(f"error: {remedy}", file=sys.stderr)
    raise SystemExit(2) from error
