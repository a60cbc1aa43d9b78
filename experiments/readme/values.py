"""Single numbers that stand in the pages' sentences, each of a recorded result."""

import collections
import statistics
from collections.abc import Callable, Iterable
from typing import Any

from experiments import results
from experiments.claims import ledger
from experiments.claims import tables as claims_tables
from experiments.speed import cases
from experiments.w1_benchmark import tables as w1_tables


def main_job(name: str, digits: int) -> Callable[[], str]:
    """A metric of the main job's end, rounded."""

    def value() -> str:
        run = results.metrics("digits-wgan_gp")
        # Some metrics are the run's, others its samples'.
        return f"{(run | run['quality'])[name]:.{digits}f}"

    return value


def span(values: Iterable[float], form: str) -> str:
    """Writes the range of the values as "least to largest"."""
    values = list(values)
    return f"{min(values):{form}} to {max(values):{form}}"


def w1_runs() -> list[tuple[tuple[int, int], dict[str, Any]]]:
    """Reads our recorded runs of the W1 benchmark, by (D, N)."""
    # A pair that was not run is left out, and counts in no sentence.
    found = [(pair, w1_tables.recorded("ours", pair)) for pair in w1_tables.PAIRS]
    return [(pair, run) for pair, run in found if run]


def w1_wins() -> str:
    """Counts the pairs on which our cosine is above the best published one."""
    known = w1_tables.published()
    return str(sum(run["cos"] > w1_tables.best(known[pair])[1] for pair, run in w1_runs()))


def w1_errors(funnels: int) -> Callable[[], str]:
    """Errors of our estimate in percent, over the pairs with so many cones."""

    def value() -> str:
        runs = [run for pair, run in w1_runs() if pair[1] == funnels]
        return span((100 * (run["w1"] / run["w1_true"] - 1) for run in runs), "+.0f")

    return value


def faithful_errors(method: str, figure: str = "w1") -> Callable[[], str]:
    """Median size of the error in percent, of a published method run here."""

    def value() -> str:
        runs = [w1_tables.recorded(method, pair) for pair in w1_tables.FAITHFUL]
        errors = [abs(run[figure] / run["w1_true"] - 1) for run in runs if run]
        return f"{100 * statistics.median(errors):.0f}"

    return value


def verdicts(verdict: str) -> Callable[[], str]:
    """How many claims have this verdict."""

    def value() -> str:
        found = [claims_tables.recorded(n).get("verdict") for n in ledger.MODULES]
        return str(collections.Counter(found)[verdict])

    return value


def condition(number: str, what: str, form: str) -> Callable[[], str]:
    """What was measured for a condition of a claim.

    Raises:
      KeyError: when called, if the claim has no such condition.
    """

    def value() -> str:
        # The recorded results call a claim's conditions "bars".
        bars = {bar["what"]: bar for bar in claims_tables.recorded(number)["bars"]}
        return f"{bars[what]['value']:{form}}"

    return value


def speed(machine: str = "") -> Callable[[], str]:
    """Range of our rate over PyTorch's."""

    def value() -> str:
        recorded = [results.metrics(cases.result_name(*case) + machine) for case in cases.GOALS]
        return span((run["ratio"] for run in recorded if run), ".3g")

    return value


def penalty_ratio() -> str:
    """Finds the median cost of a penalised critic update over a clipped one."""
    return f"{statistics.median(c['ratio'] for c in results.metrics('speed-penalty').values()):.1f}"


def growth_points(off: bool) -> Callable[[], str]:
    """Measured step times, or those more than 15 % off the straight line."""

    def value() -> str:
        axes = results.metrics("growth")["axes"].values()
        fits = [(axis["fits"]["cpu_ms"]["off"], axis["rows"]) for axis in axes]
        return str(sum(len(far if off else rows) for far, rows in fits))

    return value


def plan(member: str, measured: bool) -> Callable[[], str]:
    """Steps a second in float32 on one H100: as estimated, or as measured."""

    def value() -> str:
        rows = results.metrics("plan-h100" if measured else "plan")["rows"]
        # There must be exactly one row: a second one would make the value ambiguous.
        (row,) = (
            row
            for row in rows
            if (row["member"], row["networks"]) == (member, "float32")
            and row.get("products", "default") == "default"
            and row.get("chips", "1 x H100") == "1 x H100"
        )
        return f"{row['steps_per_second']:.0f}"

    return value


def onnx_difference() -> str:
    """Largest difference of an ONNX file's samples from those of the run."""
    return f"{results.metrics('onnx-digits')['largest_difference']:.0e}"


def modes(member: str) -> Callable[[], str]:
    """Median of the modes covered on 8 Gaussians."""
    return lambda: f"{results.metrics(f'modes-{member}')['modes_covered']['median']:g}"


def ten_minutes(name: str) -> Callable[[], str]:
    """Median Frechet distance on Fashion-MNIST of a recorded run of several seeds."""

    def value() -> str:
        trials = results.metrics(f"fashion-{name}").get("per_trial", [])
        distances = [trial["quality"]["frechet_distance"] for trial in trials]
        return f"{statistics.median(distances):.2f}" if distances else "?"

    return value


def began_torch(figure: str, digits: int) -> Callable[[], str]:
    """A figure of the public BEGAN recipe in PyTorch, on Fashion-MNIST."""

    def value() -> str:
        run = results.metrics("fashion-began-torch")
        found = {**run, **run.get("quality", {})}
        return f"{found[figure]:.{digits}f}" if figure in found else "?"

    return value


# Values are functions: importing this module must not need every recorded result.
def created_equal_real() -> str:
    """Real data's Frechet distance in the search on the digits."""
    found = results.metrics("created_equal-digits")
    return f"{found['datasets']['digits']['frechet_distance_of_real']:.2f}" if found else "?"


VALUES: dict[str, Callable[[], str]] = {
    "onnx-difference": onnx_difference,
    "main-seconds": main_job("seconds", 0),
    "main-classes": main_job("classes_present", 0),
    "main-frechet": main_job("frechet_distance", 1),
    "main-frechet-real": main_job("frechet_distance_of_real", 1),
    "began-torch-steps": began_torch("steps", 0),
    "began-torch-frechet": began_torch("frechet_distance", 0),
    "began-torch-classes": began_torch("classes_present", 0),
    "ten-minutes": ten_minutes("ten_minutes"),
    "ten-minutes-before": ten_minutes("ten_minutes-before"),
    "ablation-steps": lambda: str(results.metrics("began_ablation-digits").get("steps", "?")),
    "ablation-seeds": lambda: str(results.metrics("began_ablation-digits").get("seeds", "?")),
    "created-equal-digits-real": created_equal_real,
    "w1-pairs": lambda: str(len(w1_runs())),
    "w1-wins": w1_wins,
    "w1-errors-4": w1_errors(4),
    "w1-errors-16": w1_errors(16),
    "w1-errors-64": w1_errors(64),
    "w1-errors-256": w1_errors(256),
    "w1-median-wgan": faithful_errors("wgan"),
    "w1-median-wgan_gp": faithful_errors("wgan_gp"),
    "w1-median-wgan_lp": faithful_errors("wgan_lp"),
    "claims": lambda: str(len(ledger.MODULES)),
    "claims-hold": verdicts(ledger.HOLDS),
    "claims-fail": verdicts(ledger.FAILS),
    "c3-ratio": condition("C3", "W1, normal 10 / normal 0", ".2f"),
    "c6-ratio": condition("C6", "no constraint: largest |estimate| / W1 before", ".0f"),
    "c9-wgan": condition("C9", "wgan: rank correlation of estimate and W1", ".2f"),
    "c9-wgan_gp": condition("C9", "wgan_gp: rank correlation of estimate and W1", ".2f"),
    "c9-gan": condition("C9", "gan: |rank correlation| of loss and W1", ".2f"),
    "c10-wgan-8": condition("C10", "share of 8 modes, wgan - gan", "+.2f"),
    "c10-wgan_gp-8": condition("C10", "share of 8 modes, wgan_gp - gan", "+.2f"),
    "speed-ratios": speed(),
    "speed-ratios-idle": speed("-idle"),
    "penalty-ratio": penalty_ratio,
    "growth-points": growth_points(off=False),
    "growth-off": growth_points(off=True),
    "plan-wgan_gp": plan("wgan_gp", measured=False),
    "plan-wgan_gp-measured": plan("wgan_gp", measured=True),
    "plan-began": plan("began", measured=False),
    "plan-began-measured": plan("began", measured=True),
    "modes-wgan": modes("wgan"),
    "modes-wgan_gp": modes("wgan_gp"),
}
