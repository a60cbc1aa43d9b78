"""Lists the commands of this folder, in groups, each with the first sentence of its document.

python -m experiments
"""

import ast
import pathlib
import sys

from jwgan.run import output

FOLDER = pathlib.Path(__file__).parent
# What a newcomer looks for first comes first; a command in no group is listed under "Others".
GROUPS = {
    "Train a member of the GAN family on images": (
        *("wgan_gp", "wgan", "wgan_lp", "wgan_div", "gan", "dcgan", "lsgan", "sngan"),
        *("ebgan", "began"),
    ),
    "Train on points in the plane": ("toy2d", "modes", "theatre"),
    "Train on tables and series": ("table", "series"),
    "Train at the papers' sizes": ("cifar10", "celeb_a", "lsun", "imagenet_resized"),
    "Use a run, prepare data": (
        *("sample", "generators", "measure", "convert_weights", "convert", "schema", "export"),
        "upgrade",
    ),
    "Check critics against known answers": (
        *("parallel_lines", "divergences", "w1_benchmark", "claims"),
    ),
    "Compare members, find settings": ("created_equal", "began_ablation", "ten_minutes"),
    "Measure speed, size and alarms": (
        *("speed", "growth", "survival", "plan", "pipeline", "alarm", "alarm_images"),
    ),
    "Keep results, write the site": ("record", "reference"),
}


def commands() -> dict[str, pathlib.Path]:
    """Finds the document of every command: name -> NAME.py, or NAME/__main__.py."""
    files = {path.stem: path for path in FOLDER.glob("*.py") if path.stem[0] != "_"}
    # Only a folder with a __main__.py is a command; others hold results or pictures.
    return files | {path.parent.name: path for path in FOLDER.glob("*/__main__.py")}


def groups() -> dict[str, list[str]]:
    """Groups the commands that there are: title -> names."""
    there = commands()
    found = {title: [name for name in names if name in there] for title, names in GROUPS.items()}
    # A new command is listed although nobody put it into a group.
    rest = sorted(there.keys() - {name for names in found.values() for name in names})
    return found | ({"Others": rest} if rest else {})


def first_line(path: pathlib.Path) -> str:
    """Reads the first line of a file's docstring; the file is not imported."""
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n")[0]


def main() -> None:
    if sys.argv[1:] not in ([], ["--help"], ["-h"]):
        given = " ".join(sys.argv[1:])
        print(f"error: {given!r} is no command: try python -m experiments.NAME", file=sys.stderr)
        raise SystemExit(2)
    output.show("python -m experiments.NAME [--help]")
    paths = commands()
    for title, names in groups().items():
        output.show(f"\n{title}")
        for name in names:
            output.show(f"  {name:17} {first_line(paths[name])}")


if __name__ == "__main__":
    main()
