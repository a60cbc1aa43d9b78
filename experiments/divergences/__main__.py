"""KL, JS and W1 as two Gaussians move apart, a discriminator on few samples, and moving plans.

    python -m experiments.divergences                       # a page in runs/divergences-1
    python -m experiments.divergences --json

Real data are N(0, 1) and fakes N(mu, 1): KL is mu^2 / 2, W1 is mu, JS rises to log 2 and stays
there. With the best discriminator the saturating loss has the derivative 2 JS'(mu) and -log D has
KL'(mu) - 2 JS'(mu) (Arjovsky and Bottou, 2017, theorem 2.5). About a minute on one core.

The picture holds, by a criterion fixed before the recorded run (keys 0 to 15), if, in the median
over the seeds: both critics' estimates and gradients are within 10 % of mu and 1 at every mu >= 1
(for WGAN-GP: of these times 1 + mu / 2 lambda); the discriminator's JS estimate on fresh samples is
within 0.03 of JS and its saturating gradient within 0.05 of 2 JS' at every mu, and at the largest
mu below 0.02. Few samples: on 64 real and 64 fake points in 16 dimensions every discriminator is
100 % right and says at least 0.95 log 2, whether the fakes are perfect or not, and on fresh points
none says more than JS + 0.05. Plans: primal and dual agree to 1e-9 with the area between the
distribution functions, and none of 1,000 random 1-Lipschitz functions is above them.
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


# --- all of it


def measure(config: Config) -> dict[str, Any]:
    """{judge: {figure: spread}}, the few samples, the plans and the verdicts."""
    seeds = [config.first_seed + i for i in range(config.seeds)]
    summary = lambda columns: {name: fitting.spread(values) for name, values in columns.items()}
    figures = {
        name: summary(
            fitting.over(
                fitting.make_judge(name),
                gaussians.family(),
                gaussians.MEANS,
                seeds,
                steps=config.steps,
            )
        )
        for name in fitting.JUDGES
    }
    truth = {
        k: v.astype(float).round(5).tolist()
        for k, v in gaussians.exact_curves(gaussians.MEANS).items()
    }
    few = summary(gaussians.few_samples(seeds, config.steps))
    # the JS of a shift is that of the first axis: the others do not tell the laws apart
    few["js"] = gaussians.exact_curves(gaussians.SHIFTS)["js"].astype(float).round(5).tolist()
    result = {
        "means": list(gaussians.MEANS),
        "exact": truth,
        **figures,
        "shifts": list(gaussians.SHIFTS),
        "few_samples": few,
        "plans": gaussians.plans(),
    }
    return {**result, "holds": gaussians.holds(result)}


def main() -> None:
    config = options.parse(Config, None, __doc__)
    page = lambda result: divergences_page.page(result, study.criterion(__doc__))
    study.run(config, "divergences", __doc__, measure, page)


if __name__ == "__main__":
    main()
