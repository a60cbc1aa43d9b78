"""Labels, from sources through the step to samples: what they change, and what they must not."""

import cases
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jwgan
from jwgan import adversarial, many, networks, objectives, penalties, priors, sources, wrappers
from jwgan.data import streams
from jwgan.models import labels
from jwgan.types import Classified, Labelled, OwnLabels

KEY = jax.random.key(0)


def bits(tree):
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]


# --- laws -----------------------------------------------------------------------------------------


def trained(critic, generator, prior, batches, name="gan", init=lambda state: state):
    algorithm = getattr(jwgan, name)(critic, generator, prior=prior)
    state = init(algorithm.init(KEY, batches[0]))
    step = jax.jit(algorithm.step)
    for batch in batches:
        state, _ = step(state, batch)
    return algorithm, state


WAYS = {
    "concat": lambda classes: cases.concatenated_critic(classes),
    "projection": lambda classes: cases.conditional_critic(labels.projection(classes)),
}


@pytest.mark.parametrize("way", WAYS)
def test_one_class_is_the_member_without_labels(way):
    """Bit for bit: a label that tells nothing changes nothing."""
    x = cases.CASES[0].batch(steps=2)
    plain = cases.critic() if way == "concat" else cases.conditional_critic(None)
    with_one = Labelled(x, jnp.zeros(x.shape[:-1], jnp.int32))
    prior = priors.normal(cases.LATENT)
    a, one = trained(
        WAYS[way](1),
        cases.conditional_generator(1),
        priors.labelled(prior, 1),
        cases.each_of(with_one),
    )
    generator = cases.mlp(cases.LATENT, 8, 8, cases.DATA, output_bias=True)
    b, none = trained(plain, generator, prior, list(x))
    assert bits(one.critic) == bits(none.critic)
    assert bits(one.generator) == bits(none.generator)
    assert bits(a.sample(KEY, one, 5)) == bits(b.sample(KEY, none, 5))
    assert bits(a.sample(KEY, one, 5)) == bits(a.sample(KEY, one, 5, label=0))


def rows_permuted(tree, order):
    """Parameters whose rows of the label, the last K of a first kernel, are permuted."""

    def first_layer(layers):
        w = layers[0]["w"]
        k = len(order)
        return [{**layers[0], "w": w.at[-k:].set(w[-k:][order])}, *layers[1:]]

    return tree._replace(
        critic=tree.critic._replace(params=first_layer(tree.critic.params)),
        generator=tree.generator._replace(params=first_layer(tree.generator.params)),
    )


def test_permuted_classes_permute_samples():
    """Numbers of classes are names: other names give the same samples under those names."""
    order = jnp.array([2, 0, 1])  # class i is called order[i]
    batches = cases.CASES[-1].batch(steps=3)
    renamed = Labelled(batches.x, order[batches.label])
    prior = priors.labelled(priors.normal(cases.LATENT), 3)
    players = cases.concatenated_critic(), cases.conditional_generator()
    a, one = trained(*players, prior, cases.each_of(batches))
    # Of the new table's rows, row order[i] is the old row i.
    start = lambda state: rows_permuted(state, jnp.argsort(order))
    _, other = trained(*players, prior, cases.each_of(renamed), init=start)
    for label in range(3):
        mine = a.sample(KEY, one, 6, label=label)
        np.testing.assert_allclose(
            a.sample(KEY, other, 6, label=order[label]), mine, rtol=1e-5, atol=1e-6
        )
        assert abs(mine - a.sample(KEY, one, 6, label=(label + 1) % 3)).max() > 1e-3


# --- the step, by numbers -------------------------------------------------------------------------


def step_of(critic, prior, batch, penalty=None, objective=None, augment=None):
    """One step's (state, info) of a generator that puts out its label."""
    generator = networks.from_fn(
        lambda key, z, y: jnp.zeros(()), lambda w, z, y: w + y[:, None].astype(jnp.float32)
    )
    algorithm = adversarial.build(
        critic=critic,
        generator=generator,
        critic_tx=optax.sgd(0.0),
        generator_tx=optax.sgd(0.0),
        objective=objective or objectives.wasserstein(),
        penalty=penalty or penalties.none(),
        prior=prior,
        augment=augment,
    )
    return algorithm.step(algorithm.init(KEY, batch), batch)


def critic_of(score):
    return networks.from_fn(lambda key, x, y: jnp.ones(()), score)


LATENTS = priors.normal(1)
BATCH = Labelled(jnp.zeros((1, 4, 1)), jnp.array([[3, 1, 2, 2]]))
MISFIT = critic_of(lambda w, x, y: w * jnp.abs(x[:, 0] - y))  # 0 for a fake of its own label


def test_fakes_take_the_labels_of_the_real_batch():
    _, info = step_of(MISFIT, priors.labelled(LATENTS, [0.0, 1.0, 0.0, 0.0]), BATCH)
    assert info.fake_score == 0  # the fake of label y is y, and scored with y
    assert info.real_score == 2.0
    # The label of the generator's fakes is the critic's too: x is 3, 1, 2, 2 again.
    mean = critic_of(lambda w, x, y: w * x[:, 0])
    _, info = step_of(mean, priors.labelled(LATENTS, 4), BATCH)
    assert info.fake_score == 2.0
    assert info.generator_loss == -2.0


def test_augmented_samples_keep_their_labels():
    mixed = critic_of(lambda w, x, y: w * (x[:, 0] + 100 * y))
    shifted = lambda key, state, x: x + 10
    _, info = step_of(mixed, priors.labelled(LATENTS, 4), BATCH, augment=shifted)
    assert info.real_score == 0 + 10 + 200  # labels are 3, 1, 2, 2
    assert info.fake_score == 2 + 10 + 200


def test_fakes_keep_labels_of_their_own_if_asked():
    own = priors.labelled(LATENTS, [0.0, 1.0, 0.0, 0.0], own=True)
    mean = critic_of(lambda w, x, y: w * x[:, 0])
    _, info = step_of(mean, own, BATCH)
    assert info.fake_score == 1.0
    _, info = step_of(MISFIT, own, BATCH)
    assert info.fake_score == 0  # scored with the label that they were made of


@pytest.mark.parametrize("own", [False, True])
def test_a_penalty_keeps_the_label_of_the_real_sample(own):
    """The slope of D(x, y) = y x is y: the penalty is the mean of (y - 1)^2."""
    slope = critic_of(lambda w, x, y: w * y * x[:, 0])
    prior = priors.labelled(LATENTS, [0.0, 0.0, 0.0, 0.0, 1.0], own=own)
    _, info = step_of(slope, prior, BATCH, penalties.gradient_penalty(2.0))
    np.testing.assert_allclose(info.penalty, 2.0 * np.mean([4, 0, 1, 1]), rtol=1e-6)


def test_a_classifiers_losses_join_those_of_the_game():
    def score(w, x, y):
        out = w * x[:, 0]
        return Classified(out, 10.0 + out, 100.0 + out, 1000.0 + out)

    _, info = step_of(critic_of(score), priors.labelled(LATENTS, 4), BATCH)
    # x of the real batch is 0, of the fakes 3, 1, 2, 2: mean 2.
    assert info.critic_loss == (2.0 - 0.0) + 10.0 + 102.0
    assert info.generator_loss == -2.0 + 1002.0
    assert info.wasserstein_estimate == -2.0
    assert info.fake_score == 2.0


def test_weights_of_the_auxiliary_classifier():
    """The cross-entropy of even odds is log K, times each weight."""
    head = labels.auxiliary(4, critic_weight=2.0, fake_weight=3.0, generator_weight=5.0)
    critic = cases.conditional_critic(head)
    params, state = critic.init(KEY, jnp.zeros((4, 2)), jnp.zeros(4, jnp.int32))
    even = jax.tree.map(jnp.zeros_like, params)
    out, _ = critic.apply(even, state, jnp.ones((4, 2)), jnp.array([0, 1, 2, 3]))
    np.testing.assert_allclose(out.real_loss, 2 * np.log(4), rtol=1e-6)
    np.testing.assert_allclose(out.fake_loss, 3 * np.log(4), rtol=1e-6)
    np.testing.assert_allclose(out.generator_loss, 5 * np.log(4), rtol=1e-6)


# --- samples --------------------------------------------------------------------------------------


def conditional(classes=3):
    prior = priors.labelled(priors.normal(cases.LATENT), classes)
    return jwgan.wgan_gp(cases.concatenated_critic(), cases.conditional_generator(), prior=prior)


def test_samples_of_a_label_have_the_latents_of_any_other():
    algorithm = conditional()
    state = algorithm.init(KEY, cases.CASES[-1].shape())
    z = algorithm.prior(KEY, 6)
    assert len(set(z.label.tolist())) > 1
    mixed = algorithm.sample(KEY, state, 6)
    for label in range(3):
        mine = algorithm.sample(KEY, state, 6, label=label)
        same = np.asarray((mine == mixed).all(axis=1))
        assert (same == np.asarray(z.label == label)).all()
    np.testing.assert_array_equal(algorithm.sample(KEY, state, 6, label=z.label), mixed)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (3, "label is 3: give classes from 0 to 2"),
        (-1, "label is -1: give classes"),
        ([0, 9], "label is 9 at place 1: give classes"),
        (1.5, "label has dtype float64: give whole numbers"),
        ([0, 1, 2], r"label has shape \(3,\): give one class, or 2 of them"),
    ],
)
def test_labels_that_are_no_classes(label, message):
    with pytest.raises(ValueError, match=message):
        conditional().latents(KEY, 2, label)


def test_a_member_without_labels_has_none_to_choose():
    plain = cases.CASES[0].make()
    with pytest.raises(ValueError, match="label is 1: this member was built without labels"):
        plain.latents(KEY, 2, label=1)


# --- bad input ------------------------------------------------------------------------------------

PRIOR = priors.normal(cases.LATENT)
WITH_LABELS = priors.labelled(PRIOR, 3)
PLAIN_BATCH = cases.CASES[0].batch()


@pytest.mark.parametrize(
    ("critic", "generator", "prior", "batch", "message"),
    [
        (cases.concatenated_critic, cases.conditional_generator, WITH_LABELS, PLAIN_BATCH,
         "batch has no labels but the prior draws them"),
        (cases.critic, cases.generator, PRIOR, cases.CASES[-1].batch(),
         "batch has labels but the prior draws none"),
        (cases.concatenated_critic, cases.generator, PRIOR, PLAIN_BATCH,
         "critic was given no labels: with labels both players take"),
        (cases.critic, cases.generator, WITH_LABELS, cases.CASES[-1].batch(),
         "critic was given a label for each sample: with labels both"),
        (cases.concatenated_critic, cases.generator, WITH_LABELS, cases.CASES[-1].batch(),
         "generator was given a label for each sample: with labels both"),
        (lambda: cases.conditional_critic(labels.projection(3)), cases.generator, PRIOR,
         PLAIN_BATCH, "label is None: a critic with a head scores"),
        (lambda: cases.conditional_critic(None), cases.conditional_generator, WITH_LABELS,
         cases.CASES[-1].batch(), "the critic has no head that reads labels"),
        (cases.concatenated_critic, cases.conditional_generator, WITH_LABELS,
         Labelled(PLAIN_BATCH, jnp.zeros((1, 3), jnp.int32)), r"labels are int32 \[1, 3\]"),
        (cases.concatenated_critic, cases.conditional_generator, WITH_LABELS,
         Labelled(PLAIN_BATCH, jnp.zeros(PLAIN_BATCH.shape[:2])), "labels are float32"),
    ],
)  # fmt: skip
def test_labels_on_one_side_only(critic, generator, prior, batch, message):
    member = jwgan.gan(critic(), generator(), prior=prior)
    with pytest.raises(ValueError, match=message):
        member.init(KEY, batch)


def test_a_mistake_of_another_kind_is_not_blamed_on_labels():
    broken = networks.from_fn(lambda key, x: jnp.zeros(()) + "a", lambda w, x: x[:, 0])
    member = jwgan.gan(broken, cases.generator(), prior=PRIOR)
    with pytest.raises(TypeError):
        member.init(KEY, PLAIN_BATCH)


@pytest.mark.parametrize("classes", [0, [], [0.5, 0.6], [-0.5, 1.5], 2.5])
def test_priors_refuse_what_are_no_classes(classes):
    with pytest.raises(ValueError, match="classes is"):
        priors.labelled(PRIOR, classes)


def test_a_label_outside_of_the_classes_is_not_another_class():
    """A traced label cannot be refused; what comes out is no number."""
    generator = cases.conditional_generator()
    params, state = generator.init(KEY, jnp.zeros((1, cases.LATENT)), jnp.zeros(1, jnp.int32))
    x = generator.evaluate(params, state, jnp.ones((3, cases.LATENT)), jnp.array([2, 3, -1]))
    assert np.isfinite(x[0]).all()
    assert np.isnan(x[1:]).all()


# --- where labels come from -----------------------------------------------------------------------

X = np.arange(24, dtype=np.float32).reshape(12, 2)
Y = np.arange(12) % 5  # of row i, which begins with 2 i
SETTINGS = {"n_critic": 2, "batch_size": 3}


def drawn(source, steps, key=KEY):
    xs, take = source.batches(source.fetch(0, steps), key, steps)
    return jax.lax.map(take, xs)


def of_rows(x):
    return (np.asarray(x)[..., 0] / 2 % 5).astype(int)


@pytest.mark.parametrize("make", [sources.from_array, streams.from_rows])
def test_labels_stay_with_their_rows(make):
    plain, with_labels = make(X, **SETTINGS), make(X, label=Y, **SETTINGS)
    x, (same, label) = drawn(plain, 5), drawn(with_labels, 5)
    np.testing.assert_array_equal(same, x)
    np.testing.assert_array_equal(label, of_rows(x))
    assert with_labels.batch.x == plain.batch
    assert with_labels.batch.label == jax.ShapeDtypeStruct((2, 3), jnp.int32)


def test_a_sampler_may_have_labels():
    def sample(key, num):
        label = jax.random.randint(key, (num,), 0, 5)
        return Labelled(label[:, None] + jnp.zeros((1, 2)), label)

    source = sources.from_sampler(sample, **SETTINGS)
    x, label = drawn(source, 2)
    np.testing.assert_array_equal(x[..., 0], label)
    assert label.shape == (2, *source.batch.label.shape) == (2, 2, 3)


def test_an_iterator_may_have_labels():
    batch = Labelled(
        jax.ShapeDtypeStruct((2, 3, 2), np.float32), jax.ShapeDtypeStruct((2, 3), np.int32)
    )
    x, y = X.reshape(2, 2, 3, 2), Y.reshape(2, 2, 3)
    source = sources.from_iterator([(x[0], y[0]), Labelled(x[1], y[1])], batch)
    found = drawn(source, 2)
    np.testing.assert_array_equal(found.x, x)
    np.testing.assert_array_equal(found.label, y)
    for row, message in [
        (x[0], "step 0 is a ndarray: give Labelled"),
        ((x[0], y[0] - 1), "label of the streamed batch of step 0 is -1"),
        ((x[0], y[0, 0]), "its labels' shape is"),
        ((x[0], y[0] + 0.5), "has dtype float64"),
    ]:
        with pytest.raises(sources.BatchError, match=message):
            sources.from_iterator([row], batch).fetch(0, 1)
    with pytest.raises(sources.BatchError, match="has labels: say so in `batch`"):
        sources.from_iterator([Labelled(x[0], y[0])], batch.x).fetch(0, 1)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (Y[:-1], "give one for each of the 12"),
        (Y - 1, "label is -1 at place 0"),
        (Y + 0.5, "label has dtype float64"),
    ],
)
@pytest.mark.parametrize("make", [sources.from_array, streams.from_rows])
def test_labels_that_do_not_belong_to_the_rows(make, label, message):
    with pytest.raises(ValueError, match=message):
        make(X, label=label, **SETTINGS)


def test_a_known_number_of_classes_is_held():
    sources.from_array(X, label=Y, classes=5, **SETTINGS)
    with pytest.raises(ValueError, match="label is 4 at place 4: give classes from 0 to 3"):
        sources.from_array(X, label=Y, classes=4, **SETTINGS)


@pytest.mark.slow
def test_trials_of_different_n_critic_draw_labelled_rows():
    draw = lambda n: sources.from_array(X, label=Y, n_critic=n, batch_size=3)
    source = many.drawn(draw, [1, 2])
    keys = many.keys([0, 1])
    x, label = drawn(source, 3, keys)
    assert x.shape == (3, 2, 2, 3, 2)
    for i, n in enumerate([1, 2]):
        mine = drawn(draw(n), 3, keys[i])
        np.testing.assert_array_equal(x[:, i, :n], mine.x)
        np.testing.assert_array_equal(label[:, i, :n], mine.label)
    assert (label[:, 0, 1] == 0).all()  # padded


@pytest.mark.slow
def test_the_first_rows_of_a_labelled_batch_alone():
    algorithm, batch = conditional(), cases.CASES[-1]._replace(n_critic=3).batch()
    state = algorithm.init(KEY, batch)
    first = jax.tree.map(lambda leaf: leaf[:2], batch)
    short, _ = jax.jit(algorithm.step)(state, first)
    ragged, _ = jax.jit(wrappers.with_n_critic(algorithm, 2).step)(state, batch)
    for a, b in zip(jax.tree.leaves(short.critic), jax.tree.leaves(ragged.critic), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="n_critic is 4: the batch has 3"):
        wrappers.with_n_critic(algorithm, 4).step(state, batch)


# --- priors ---------------------------------------------------------------------------------------


def test_classes_of_a_prior_have_their_probabilities():
    prior = priors.labelled(PRIOR, [0.2, 0.0, 0.8])
    z = prior(KEY, 4000)
    shares = np.bincount(z.label, minlength=3) / 4000
    np.testing.assert_allclose(shares, [0.2, 0.0, 0.8], atol=0.03)  # standard error 0.006
    np.testing.assert_array_equal(z.x, PRIOR(KEY, 4000))
    assert prior.classes == 3
    even = np.bincount(priors.labelled(PRIOR, 4)(KEY, 4000).label, minlength=4) / 4000
    np.testing.assert_allclose(even, 0.25, atol=0.03)
    assert not isinstance(z, OwnLabels)
    assert isinstance(priors.labelled(PRIOR, 3, own=True)(KEY, 2), OwnLabels)
