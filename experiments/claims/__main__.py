"""The claims ledger: is what the papers say true?

    python -m experiments.claims --list                 # every claim and the last verdict
    python -m experiments.claims C5 C10 --seeds 16      # measure two of them
    python -m experiments.claims --quick                # all, fewer seeds and steps: minutes
    python -m experiments.claims --report               # one page of all recorded claims

A claim's file under experiments/claims says what its source asserts and which bars of our own stand
beside that, both written before it was measured. What is asserted holds, holds but is weaker than
said, does not hold, or is not decided (a 95 % interval crosses the number); see `ledger`. Seeds
begin at 1000: none of those below, on which the numbers were found, is used again.
A quick run is too short to judge a claim; it exits with 1 only if something is violated that
mathematics leaves no doubt about, and its results (runs/claims/C5-quick.json) are shown only with
--quick. Results: runs/claims/C5.json; those of full runs that experiments/claims/README.md shows
are recorded in experiments/results/claim-C5.json.
"""

import argparse
import json
import os
import pathlib
import sys
import time
from typing import Any

from experiments import results
from experiments.claims import ledger, page
from jwgan.run import options, output, xla

# The path is relative to the caller's folder, as all runs' are, and not to this package.
FOLDER = pathlib.Path("runs") / "claims"
QUICK_SEEDS, SEEDS, FIRST_SEED = 4, 16, 1000
# `--list` pads its verdicts to this width; few are longer.
WIDEST = 40
# The option's name stands alone, to see whether the user has set it already.
LEVEL = "xla_backend_optimization_level"


def measure(number: str, seeds: range, quick: bool) -> dict[str, Any]:
    """Measures a claim and returns its result, as JSON has it."""
    module = ledger.module(number)
    # CPU time is measured as well, for it depends less on what else the machine does.
    wall, cpu = time.perf_counter(), time.process_time()
    found = module.measure(seeds, quick)
    conditions = [{**one._asdict(), "verdict": one.verdict} for one in found.conditions]
    asserted = [
        {"what": one.what, **said._asdict(), "verdict": judged}
        for one, said, judged in ledger.asserted(number, found.conditions)
    ]
    return {
        "number": number,
        **module.CLAIM._asdict(),
        # Keys of the JSON keep their first names ("bars", "drawn"), for the recorded results have
        # them.
        "asserted": asserted,
        "verdict": ledger.verdict(found.conditions),
        "bars": conditions,
        "remarks": list(found.remarks),
        "seeds": len(seeds) if found.seeds is None else found.seeds,
        "first_seed": seeds.start,
        "quick": quick,
        "cpu_minutes": round((time.process_time() - cpu) / 60, 2),
        "minutes": round((time.perf_counter() - wall) / 60, 2),
        "drawn": found.plot_data,
    }


def result_path(number: str, quick: bool) -> pathlib.Path:
    """Names the file in which a run of a claim is kept."""
    return FOLDER / f"{number}{'-quick' * quick}.json"


def last(number: str, quick: bool) -> dict[str, Any] | None:
    """Reads a claim's last result: of this folder's full (or quick) runs, else the recorded one."""
    # A recorded result has the claim inside, a run's file is the claim itself.
    for path in (result_path(number, quick), results.RESULTS / f"claim-{number}.json"):
        if path.is_file():
            found = json.loads(path.read_text(encoding="utf-8"))
            return found.get("figures", {}).get("claims", {}).get(number, found)
    return None


def _arguments(argv: list[str] | None) -> Any:
    parser = options.Parser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("numbers", nargs="*", metavar="C1", help="claims (default: all)")
    parser.add_argument("--seeds", type=int, help=f"runs of each (default: {SEEDS}; quick: 4)")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED, help="%(default)s, and on")
    parser.add_argument("--quick", action="store_true", help="fewer seeds and steps")
    parser.add_argument("--list", action="store_true", help="the claims and their last verdicts")
    parser.add_argument("--report", action="store_true", help="write one page of the last results")
    parser.add_argument("--pictures", metavar="FOLDER", help="write the last results' pictures")
    parser.add_argument("--json", action="store_true", help="print one line of JSON at the end")
    chosen = parser.parse_args(argv)
    for number in chosen.numbers:
        options.require_choice("claim", number, ledger.MODULES)
    if chosen.seeds is None:
        chosen.seeds = QUICK_SEEDS if chosen.quick else SEEDS
    # A bootstrap over one seed has no width, and would decide everything.
    if chosen.seeds < 2:
        raise ValueError(f"seeds is {chosen.seeds}: give at least 2, an interval needs them")
    if chosen.first_seed < 0:
        raise ValueError(f"first_seed is {chosen.first_seed}: give at least 0")
    chosen.numbers = chosen.numbers or list(ledger.MODULES)
    return chosen


def compile_fast() -> None:
    """Has XLA optimise little: a quick run is mostly compilation."""
    flags = os.environ.get("XLA_FLAGS", "")
    # XLA ends the process at a flag that it does not know, so only known versions are given these.
    if xla.is_measured_jaxlib() and LEVEL not in flags and not xla.is_too_late():
        more = f"--{LEVEL}=0 --xla_llvm_disable_expensive_passes=true"
        os.environ["XLA_FLAGS"] = f"{flags} {more}".strip()


def run(chosen: Any) -> dict[str, dict[str, Any]]:
    """Measures the chosen claims one by one and writes each as soon as it is there."""
    xla.use_compilation_cache()
    # Flags come before the first array: XLA reads them then, and never again.
    xla.use_eigen()
    if chosen.quick:
        compile_fast()
    FOLDER.mkdir(parents=True, exist_ok=True)
    results = {}
    for number in chosen.numbers:
        # Each claim's file is written at once: an interrupted run keeps what it has.
        seeds = range(chosen.first_seed, chosen.first_seed + chosen.seeds)
        result = results[number] = measure(number, seeds, chosen.quick)
        path = result_path(number, chosen.quick)
        path.write_text(json.dumps(result) + "\n", encoding="utf-8")
        quick = " (quick, too short to judge by)" * chosen.quick
        print(
            f"{number}: {page.verdict_of(number, result)}{quick}, {result['minutes']} min",
            file=sys.stderr,
        )
    return results


def violated(results: dict[str, dict[str, Any]]) -> list[str]:
    """Lists what is certain and was not met."""
    return [
        f"{number}: {condition['what']} is {condition['value']}"
        for number, result in results.items()
        for condition in result["bars"]
        # OPEN counts as violated here: what is certain needs no more seeds.
        if condition["certain"] and condition["verdict"] != ledger.HOLDS
    ]


def main() -> None:
    try:
        chosen = _arguments(None)
    except ValueError as error:
        options.fail(error)
    # None of these three measures anything; all show the last results.
    if chosen.list or chosen.report or chosen.pictures:
        known = {number: last(number, chosen.quick) for number in chosen.numbers}
        results = {number: result for number, result in known.items() if result}
    else:
        results = run(chosen)
    if chosen.report:
        print(f"report: {page.write(results, FOLDER)}", file=sys.stderr)
    if chosen.pictures:
        page.write_pictures(results, pathlib.Path(chosen.pictures))
    # The last line is what `experiments.record` keeps.
    if chosen.json:
        output.show(json.dumps({"claims": results}))
    else:
        for number in chosen.numbers:
            result = results.get(number, {})
            found = page.verdict_of(number, result) if result else "not measured"
            found += " (quick)" * result.get("quick", False)
            output.show(f"{number:4} {found:{WIDEST}} {ledger.describe(number).title}")
    # Violations come after the output, so that a failed run can still be read.
    if lines := violated(results):
        options.fail("violated: " + "; ".join(lines), code=1)


if __name__ == "__main__":
    main()
