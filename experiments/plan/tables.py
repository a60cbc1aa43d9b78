"""The plan and the compiled programs as tables, from the recorded results."""

from experiments import results
from experiments.plan import gpu
from experiments.results import markdown


def plan() -> str:
    """Lists estimated rates of paper-scale runs, beside those that were measured."""
    # Chip -> JAX's setting for float32 products under which it was measured.
    products = {"1 x H100": "default", "1 x H100 without TF32": "highest"}
    measured = {
        (one["member"], one["networks"], one["products"]): one["steps_per_second"]
        for one in results.metrics("plan-h100").get("rows", [])
    }
    rows = []
    for row in results.metrics("plan")["rows"]:
        resident = row["resident_gb_per_chip"]
        # A TPU has no setting here, and so no measured rate.
        setting = (row["member"], row["networks"], products.get(row["chips"]))
        rows.append(
            [
                f"`{row['member']}`",
                row["networks"],
                row["chips"],
                row["gflop_per_chip"],
                "" if resident is None else resident,
                row["network_mb"],
                row["limit"],
                row["steps_per_second"],
                measured.get(setting, ""),
                row["hours_of_100000_steps"],
            ]
        )
    head = ["member", "networks", "chips", "work of a chip, GFLOP a step", "memory of a chip, GB"]
    head += ["sent by a chip, MB a step", "limited by", "estimate, steps/s", "measured, steps/s"]
    return markdown.table([*head, "100,000 steps, h"], rows)


CALLS = ("convBiasActivationForward", "convForward", "convBackwardInput", "convBackwardFilter")


def compiled() -> str:
    """Lists what a step's program does on an H100, by member."""
    rows = [
        [
            f"`{row['member']}`",
            row["networks"],
            row["launches"],
            row["gigabytes"],
            *(row["convolutions"].get(call, 0) for call in CALLS),
            row["zero_stuffed"],
            row["copies"],
            row["transposes"],
            *(f"{row['milliseconds'][part]:.2f}" for part in gpu.PARTS),
        ]
        for row in results.metrics("plan-compile-h100").get("rows", [])
    ]
    head = ["member", "networks", "launches", "GB", "forward and bias", "forward", "backward data"]
    head += ["backward filter", "zero-stuffed", "copies", "transposes", "memory, ms"]
    return markdown.table([*head, "launches, ms", "arithmetic, ms", "in turn", "overlapped"], rows)
