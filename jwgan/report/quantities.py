"""What the numbers of a run are: a few words and a direction for every chart and every table.

A name that is not here is one of the user's own, or of a later version: it is shown without words.
"""

from collections.abc import Collection

from jwgan.report import chart, html

LOWER, HIGHER = "lower is better", "higher is better"

_CRITIC = {"critic_estimate": "critic", "critic_estimate_per_slope": "critic over slope"}
_BESIDE = (
    "Beside them the critic’s mean score difference on the same samples, and that over its mean "
    "slope between them: estimates of W1 for Wasserstein critics only"
)
CHARTS = (
    chart.Chart(
        "Wasserstein estimate",
        "E D(real) − E D(fake) of each step’s batches, positive while the critic tells them apart",
        {"wasserstein_estimate": "estimate"},
        direction="falls towards 0 as samples improve, while the critic keeps up",
    ),
    chart.Chart(
        "Exact W1 and the critic’s estimate of it",
        "exact W1 of samples to held-out points, and of as many real points, which a perfect "
        f"generator would show. {_BESIDE}",
        {"exact_w1": "exact", "exact_w1_of_real": "exact, of real points", **_CRITIC},
        needs="exact_w1",
        direction=LOWER,
    ),
    chart.Chart(
        "W1 between samples, by pixels, and the critic’s estimate",
        "exact between finite samples: of generated to held-out images, and of as many training "
        "images, which a perfect generator would show. Neither is the W1 of the laws: in so many "
        f"dimensions both exceed it by far. {_BESIDE}",
        {"sample_w1": "between samples", "sample_w1_of_real": "of real images", **_CRITIC},
        needs="sample_w1",
        direction=LOWER,
    ),
    chart.Chart(
        "Coverage",
        "share of held-out data that have a sample among their nearest neighbours, beside the "
        "share of as many real data",
        {"coverage": "samples", "coverage_of_real": "real data"},
        needs="coverage",
        direction=f"{HIGHER}, real data’s is as good as it gets; a fall is mode collapse",
    ),
    chart.Chart(
        "Sliced distance",
        "W1 between samples and held-out data on a line, averaged over random directions",
        {"sliced_distance": "distance"},
        direction=LOWER,
    ),
    chart.Chart(
        "Memorisation",
        "how often the critic’s score is higher for the training sample, in pairs with one that "
        "it never saw",
        {"membership_auc": "share of pairs"},
        direction=f"{LOWER}: 0.5 is guessing, 1 is a critic that knows its training data by heart",
    ),
    chart.Chart(
        "Critic’s slope",
        "mean input-gradient norm between held-out data and samples",
        {"critic_slope": "slope"},
        direction="near 1 is the aim of WGAN-GP’s penalty; the estimate of W1 is in its units",
    ),
    chart.Chart(
        "Critic’s gap on held-out data",
        "mean score on training data minus that on held-out data: what it has learnt by heart; "
        "only noise where all data are new",
        {"critic_held_out_gap": "gap"},
        direction="nearer to 0 is better",
    ),
    chart.Chart(
        "Penalty",
        "the critic’s penalty, with its weight",
        {"penalty": "penalty"},
        direction="lower is nearer to the slope that the penalty asks for",
    ),
    chart.Chart(
        "Losses",
        "the critic’s without its penalty",
        {"critic_loss": "critic", "generator_loss": "generator"},
        direction="no direction: each player’s gain is the other’s loss",
    ),
    chart.Chart(
        "Gradient norms",
        "over all parameters of a player",
        {"critic_gradient_norm": "critic", "generator_gradient_norm": "generator"},
        direction="steady is better; a change by powers of ten is trouble",
    ),
    chart.Chart(
        "Critic’s scores",
        "mean of a batch",
        {"real_score": "real", "fake_score": "fake"},
        direction="nearer to each other is better, while the critic keeps up",
    ),
    chart.Chart(
        "Balance k",
        "BEGAN’s weight of the critic’s second term, between 0 and 1",
        {"k": "k"},
        direction="steady between the bounds is better",
    ),
    chart.Chart(
        "Convergence M",
        "BEGAN’s measure: the energy of real data, and how far the balance is off",
        {"convergence": "M"},
        direction=LOWER,
    ),
    chart.Chart(
        "Classification",
        "cross-entropy of the critic’s own classifier, with its weights",
        {"classifier_loss": "of real data", "classifier_generator_loss": "of samples"},
        direction=LOWER,
    ),
    chart.Chart(
        "Learning rate’s scale",
        "part of the first learning rate that is left",
        {"learning_rate_scale": "scale"},
        direction="falls as BEGAN converges, down to its floor",
    ),
    chart.Chart(
        "Fakes beyond the margin",
        "EBGAN’s share of fakes whose energy exceeds the margin, which the critic ignores",
        {"beyond_margin": "share"},
        direction="lower is better; at 1 the critic learns nothing from fakes",
    ),
    chart.Chart(
        "Augmentation",
        "ADA’s probability p of each transform, and the mean sign of the critic’s real scores that "
        "it steers to 0.6",
        {"augment_p": "p", "augment_sign": "sign"},
        direction="p rises while the critic overfits; at 1 there are too few data",
    ),
)

# (words, direction) of the metrics that `jwgan.run` measures at the end of a run.
QUALITY = {
    "exact_w1": ("exact W1 between samples and held-out points", LOWER),
    "exact_w1_of_real": ("the same between real points: as good as it gets", ""),
    "modes_covered": ("modes that have samples", HIGHER),
    "modes": ("modes of the data", ""),
    "high_quality_share": ("share of samples near a mode", HIGHER),
    "samples": ("how many were measured", ""),
    "classifier_held_out_accuracy": ("of the classifier that measures the samples", HIGHER),
    "classes_present": ("classes that the classifier sees in the samples", HIGHER),
    "smallest_class_share": ("share of samples in the rarest class", HIGHER),
    "confident_share": ("share of samples that the classifier is sure about", HIGHER),
    "confident_share_of_real": ("the same of held-out data: as good as it gets", ""),
    "frechet_features": ("whose features the Fréchet distance uses", ""),
    "frechet_distance": ("between features of samples and of held-out data", LOWER),
    "frechet_distance_of_real": ("the same of training data: as good as it gets", ""),
    "precision": ("share of samples as near to held-out data as these to each other", HIGHER),
    "precision_of_real": ("the same of training data: as good as it gets", ""),
    "recall": ("share of held-out data as near to samples as these to each other", HIGHER),
    "recall_of_real": ("the same of training data: as good as it gets", ""),
    "asked_for_share": ("share of samples whose class is the one asked for", HIGHER),
    "smallest_asked_for_share": ("the same in the worst class", HIGHER),
    "frechet_within_classes": ("Fréchet distance within each class, their mean", LOWER),
    "frechet_within_classes_of_real": ("the same of training data: as good as it gets", ""),
    "coverage": ("share of held-out data that have a sample near them", HIGHER),
    "coverage_of_real": ("the same of real data: as good as it gets", ""),
    "sliced_distance": ("W1 on random lines, between samples and held-out data", LOWER),
    "membership_auc": (
        "how often the critic ranks training above unseen data",
        LOWER,
    ),
    "column_w1": ("W1 of a table’s numbers, in their standard deviations, on average", LOWER),
    "column_w1_of_real": ("the same of training data: as good as it gets", ""),
    "total_variation": ("of a table’s categories: half the differences of their shares", LOWER),
    "total_variation_of_real": ("the same of training data: as good as it gets", ""),
    "correlation_difference": ("between the correlations of all pairs of columns", LOWER),
    "correlation_difference_of_real": ("the same of training data: as good as it gets", ""),
    "copied_share": ("share of samples that are a row of the training data", LOWER),
    "columns": ("W1 or total variation of each column, of samples and of training data", ""),
    "marginal_w1": ("W1 of the values of a series, in standard deviations", LOWER),
    "marginal_w1_of_real": ("the same of training data: as good as it gets", ""),
    "step_w1": ("W1 of the steps from one value to the next", LOWER),
    "step_w1_of_real": ("the same of training data: as good as it gets", ""),
    "autocorrelation_difference": ("over up to ten lags", LOWER),
    "autocorrelation_difference_of_real": ("the same of training data: as good as it gets", ""),
    "wasserstein_estimate": ("E D(real) − E D(fake) of the last step", ""),
}
# Trials are compared by the first of these that they have: all of them are better when lower.
BEST_BY = ("frechet_distance", "exact_w1", "sliced_distance")


def words(name: str) -> str:
    """What a metric is, and its direction; "" of one that is not known.

    >>> quantities.words("coverage"), quantities.words("of_my_own")
    ('share of held-out data that have a sample near them; higher is better', '')
    """
    return "; ".join(filter(None, QUALITY.get(name, ())))


def _spelled(name: str) -> str:
    """A metric's name in words."""
    return html.words(name).replace("w1", "W1")


def title(name: str) -> str:
    """A metric's name in words, with a capital.

    >>> quantities.title("exact_w1_of_real")
    'Exact W1 of real'
    """
    return _spelled(name)[:1].upper() + _spelled(name)[1:]


def rank(name: str) -> int:
    """Ranks a metric: the smaller the number, the better runs are compared by it.

    >>> sorted(["modes", "coverage", "exact_w1"], key=quantities.rank)
    ['exact_w1', 'coverage', 'modes']
    """
    if name in BEST_BY:
        return BEST_BY.index(name)
    # The classifier's own accuracy says how far to trust what it says of samples.
    useful = has_direction(name) and name != "classifier_held_out_accuracy"
    return len(BEST_BY) + (0 if useful else 1)


def with_direction(name: str) -> str:
    """A metric's name in words, with its direction if it has one.

    >>> quantities.with_direction("exact_w1"), quantities.with_direction("modes")
    ('exact W1 (lower is better)', 'modes')
    """
    direction = QUALITY.get(name, ("", ""))[1]
    return f"{_spelled(name)} ({direction})" if direction else _spelled(name)


def has_direction(name: str) -> bool:
    """Whether it is known of a metric that lower, or that higher, is better.

    >>> quantities.has_direction("exact_w1"), quantities.has_direction("modes")
    (True, False)
    """
    return bool(QUALITY.get(name, ("", ""))[1])


def with_arrow(name: str) -> str:
    """A metric's name in words, with an arrow to where it is better.

    >>> quantities.with_arrow("exact_w1"), quantities.with_arrow("coverage")
    ('exact W1 ↓', 'coverage ↑')
    """
    arrow = {LOWER: " ↓", HIGHER: " ↑"}.get(QUALITY.get(name, ("", ""))[1], "")
    return _spelled(name) + arrow


def charts(names: Collection[str]) -> list[chart.Chart]:
    """The charts of a run that has these metrics, those of its own at the end.

    >>> quantities.charts(["critic_loss", "my_own"])[-1].title
    'My own'
    """
    known = {name for each in CHARTS for name in each.names}
    others = [
        chart.Chart(
            html.title(name), "reported by this run’s own algorithm", {name: html.words(name)}
        )
        for name in names
        if name not in known
    ]
    return [*CHARTS, *others]
