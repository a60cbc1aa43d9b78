"""KL, JS and W1 as two Gaussians move apart, a discriminator on few samples, and transport plans.

    python -m experiments.divergences                       # a page in runs/divergences-1
    python -m experiments.divergences --json

Real data are N(0, 1) and fakes N(mu, 1): KL is mu^2 / 2, W1 is mu, JS rises to log 2 and stays
there. With the best discriminator the saturating loss has the derivative 2 JS'(mu) and -log D has
KL'(mu) - 2 JS'(mu) (Arjovsky and Bottou, 2017, theorem 2.5). About 73 s of CPU time.

Beside it: discriminators trained on 64 points of each law in 16 dimensions, which tell even perfect
fakes from the data; and two plans that move ten piles of earth, with the dual potential that proves
the better one to be the best.

Claims C2 (the Gaussians), C3 (few samples) and C4 (plans) of experiments.claims decide, on other
seeds and by numbers fixed beforehand, whether what the pictures show is true.
"""

import dataclasses
from typing import Any

from experiments.divergences import fitting, gaussians
from experiments.divergences import page as divergences_page
from jwgan.run import options, study
from jwgan.run.options import option


@dataclasses.dataclass(frozen=True)
class Config:
    seeds: int = fitting.SEEDS
    first_seed: int = fitting.FIRST_SEED
    steps: int = option(1000, "updates of each critic", at_least=1)
    out: str | None = option(None, "where the page is written (default: runs/divergences-K)")
    json: bool = option(False, "print one line of JSON at the end")


def measure(config: Config) -> dict[str, Any]:
    """Trains every estimator at every mu and on few samples, and computes the plans.

    Returns:
      {estimator: {metric: spread over the seeds}}, "exact", "few_samples" and "plans".
    """
    seeds = [config.first_seed + i for i in range(config.seeds)]
    summary = lambda columns: {name: fitting.spread(values) for name, values in columns.items()}
    trained = {
        name: summary(
            fitting.train_grid(
                fitting.make_estimator(name),
                gaussians.family(),
                gaussians.MEANS,
                seeds,
                steps=config.steps,
            )
        )
        for name in fitting.ESTIMATORS
    }
    truth = {
        k: v.astype(float).round(5).tolist()
        for k, v in gaussians.exact_curves(gaussians.MEANS).items()
    }
    few = summary(gaussians.few_samples(seeds, config.steps))
    # The JS of a shift is that of the first axis: the other axes do not tell the laws apart.
    few["js"] = gaussians.exact_curves(gaussians.SHIFTS)["js"].astype(float).round(5).tolist()
    return {
        "means": list(gaussians.MEANS),
        "exact": truth,
        **trained,
        "shifts": list(gaussians.SHIFTS),
        "few_samples": few,
        "plans": gaussians.plans(),
    }


def main() -> None:
    config = options.parse(Config, None, __doc__)
    study.run(config, "divergences", __doc__, measure, divergences_page.page)


if __name__ == "__main__":
    main()
