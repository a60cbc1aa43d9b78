"""Records measured results, and renders the pages from them: no number is typed by hand.

    python -m experiments.record digits-wgan_gp -- python -m experiments.wgan_gp --json
    python -m experiments.record --pages

The first form runs a command, takes the JSON object on its last line, and writes it to
experiments/results/NAME.json with the command, the date, the revision and the machine. The second
(also called --readme) fills the places `<!-- table NAME -->...<!-- end -->` and
`<!-- value NAME -->...<!-- end -->` anew, in README.md, experiments/README.md and the README.md of
every folder of a command.
"""

import json
import re
import sys

from experiments import readme, results
from jwgan.run import output
from jwgan.run.options import fail


def main() -> None:
    argv = sys.argv[1:]
    if argv in (["--pages"], ["--readme"]):
        readme.render_pages()
    # The name becomes a file's, so it has no slash and no space.
    elif len(argv) > 2 and argv[1] == "--" and re.fullmatch(r"[\w.-]+", argv[0]):
        # `python` may be another one, or missing: the command runs in this environment.
        command = [sys.executable if word == "python" else word for word in argv[2:]]
        try:
            output.show(json.dumps(results.record(argv[0], command)["figures"]))
        except ValueError as error:
            fail(error)
    else:
        output.show(__doc__)
        raise SystemExit(0 if argv in (["--help"], ["-h"]) else 2)


if __name__ == "__main__":
    main()
