"""The classifier on real held-out digits, and its reports on probabilities made by hand."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jwgan import data
from jwgan.metrics import classifier, frechet

STEPS = 600


@pytest.fixture(scope="module")
def digits():
    return data.digits()


@pytest.fixture(scope="module")
def trained(digits):
    key = jax.random.key(0)
    return classifier.fit(key, digits.images, digits.labels, num_classes=10, steps=STEPS)


def test_held_out_digits_are_recognised(digits, trained):
    probabilities = trained.probabilities(trained.params, digits.test_images)
    assert probabilities.shape == (355, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert float(classifier.accuracy(probabilities, digits.test_labels)) >= 0.97
    report = classifier.label_report(probabilities)
    assert int(report.classes_present) == 10
    assert float(report.confident_share) > 0.9


@pytest.mark.slow
@pytest.mark.rare
def test_held_out_fashion_is_recognised():
    fashion = data.fashion_mnist()
    key = jax.random.key(0)
    trained = classifier.fit(key, fashion.images, fashion.labels, num_classes=10, steps=2000)
    probabilities = trained.probabilities(trained.params, fashion.test_images)
    assert float(classifier.accuracy(probabilities, fashion.test_labels)) >= 0.89


def test_features_are_the_penultimate_layer(digits, trained):
    features = trained.features(trained.params, digits.test_images)
    assert features.shape == (355, 64)
    last = trained.params["params"]["Dense_1"]
    logits = features @ last["kernel"] + last["bias"][None]
    np.testing.assert_allclose(
        jax.nn.softmax(logits), trained.probabilities(trained.params, digits.test_images), atol=1e-5
    )


def test_outputs_do_not_depend_on_the_other_images(digits, trained):
    # 300 images are one full batch of 256 and a part of one.
    features = trained.features(trained.params, digits.test_images[:300])
    for part in (slice(0, 3), slice(254, 259)):
        alone = trained.features(trained.params, digits.test_images[part])
        np.testing.assert_allclose(features[part], alone, rtol=1e-4, atol=1e-5)


def test_the_frechet_distance_between_features_grows_with_the_damage(digits, trained):
    def distance(images):
        return frechet.frechet_distance(
            trained.features(trained.params, digits.images),
            trained.features(trained.params, images),
        )

    test = jnp.asarray(digits.test_images)
    noise = jax.random.normal(jax.random.key(1), test.shape)
    distances = [distance(jnp.clip(test + s * noise, -1, 1)) for s in (0, 0.2, 0.5, 1.0)]
    assert distances == sorted(distances)
    assert distances[-1] > 10 * distances[0]
    assert distance(test[digits.test_labels == 3]) > 10 * distances[0]  # one class only


def test_it_is_a_function_of_its_key(digits):
    def first_kernel(seed):
        arrays = (digits.images[:64], digits.labels[:64])
        options = {"num_classes": 10, "steps": 3, "batch_size": 16, "widths": (4,)}
        params = classifier.fit(jax.random.key(seed), *arrays, **options).params
        return np.asarray(params["params"]["Dense_0"]["kernel"])

    np.testing.assert_array_equal(first_kernel(0), first_kernel(0))
    assert not np.allclose(first_kernel(0), first_kernel(1))


def test_it_learns_any_labels_of_a_separable_set():
    # Class = colour of the image: every image right after a few steps.
    labels = np.arange(60) % 3
    images = np.broadcast_to(np.eye(3)[labels][:, None, None], (60, 8, 8, 3)).astype(np.float32)
    options = {"num_classes": 3, "steps": 60, "batch_size": 20, "widths": (8,)}
    trained = classifier.fit(jax.random.key(0), images, labels, **options)
    probabilities = trained.probabilities(trained.params, images)
    assert float(classifier.accuracy(probabilities, labels)) == 1


def test_its_layers_are_3x3_convolutions_that_halve_and_two_dense_ones():
    network = classifier.CNN(num_classes=7, widths=(4, 5), num_features=6)
    variables = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, 12, 8, 2)))
    shapes = jax.tree.map(jnp.shape, variables["params"])
    assert {name: layer["kernel"] for name, layer in shapes.items()} == {
        **{"Conv_0": (3, 3, 2, 4), "Conv_1": (3, 3, 4, 5)},
        **{"Dense_0": (3 * 2 * 5, 6), "Dense_1": (6, 7)},
    }


def test_each_epoch_visits_every_image_once():
    order = classifier._batches(jax.random.key(0), 10, 3, 7)
    assert order.shape == (7, 3)
    epochs = [set(order[:3].ravel().tolist()), set(order[3:6].ravel().tolist())]
    assert [len(epoch) for epoch in epochs] == [9, 9]
    assert order[:3].tolist() != order[3:6].tolist()


def test_label_report_and_accuracy_by_hand():
    # 100 samples: 91 of class 0, sure; 6 of class 2, unsure; 3 of class 3, exactly .9.
    sure, unsure = [0.97, 0.01, 0.01, 0.01], [0.2, 0.2, 0.4, 0.2]
    limit = [0.05, 0.025, 0.025, 0.9]
    probabilities = jnp.array([sure] * 91 + [unsure] * 6 + [limit] * 3)
    report = jax.jit(classifier.label_report)(probabilities)
    np.testing.assert_allclose(report.shares, [0.91, 0, 0.06, 0.03], atol=1e-7)
    assert int(report.classes_present) == 3  # 3 % is present
    assert float(report.confident_share) == pytest.approx(0.91)
    fewer = classifier.label_report(jnp.array([sure] * 98 + [limit] * 2))
    assert int(fewer.classes_present) == 1
    labels = jnp.array([0] * 50 + [1] * 50)
    assert float(classifier.accuracy(probabilities, labels)) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("num_labels", "batch_size", "word"), [(9, 4, "labels"), (10, 11, "batch_size"), (10, 0, "bat")]
)
def test_bad_arguments_are_named(num_labels, batch_size, word):
    images, labels = jnp.zeros((10, 8, 8, 1)), jnp.zeros(num_labels, jnp.int32)
    options = {"num_classes": 2, "steps": 1, "batch_size": batch_size}
    with pytest.raises(ValueError, match=word):
        classifier.fit(jax.random.key(0), images, labels, **options)


@pytest.mark.parametrize(
    "labels", [[-1] * 4, [0, 1, -1, 2], [0, 1, 2, 3], [[0], [1], [0], [1]], [0, 1]]
)
def test_labels_that_are_no_classes_are_refused(labels):
    images, options = jnp.zeros((4, 8, 8, 1)), {"num_classes": 3, "steps": 1, "batch_size": 2}
    with pytest.raises(ValueError, match="labels is"):
        classifier.fit(jax.random.key(0), images, jnp.array(labels), **options)


def test_too_few_rows_and_steps_are_named_and_one_is_enough():
    images, labels, options = jnp.zeros((1, 8, 8, 1)), jnp.zeros(1, jnp.int32), {"num_classes": 2}
    fit = lambda n, steps: classifier.fit(
        jax.random.key(0), images[:n], labels[:n], steps=steps, batch_size=1, **options
    )
    with pytest.raises(ValueError, match="images is"):
        fit(0, 1)
    with pytest.raises(ValueError, match="steps is 0"):
        fit(1, 0)
    one = fit(1, 1)
    probabilities = one.probabilities(one.params, images)
    assert float(classifier.accuracy(probabilities, labels)) in (0.0, 1.0)
    assert int(classifier.label_report(probabilities).classes_present) == 1
    features, last = one.features(one.params, images), one.params["params"]["Dense_1"]
    assert features.shape == (1, 64)
    logits = features @ last["kernel"] + last["bias"][None]
    np.testing.assert_allclose(jax.nn.softmax(logits), probabilities, atol=1e-6)
    for measure in (classifier.label_report, lambda p: classifier.accuracy(p, labels[:0])):
        with pytest.raises(ValueError, match="probabilities is"):
            measure(probabilities[:0])
    with pytest.raises(ValueError, match="labels is"):
        classifier.accuracy(probabilities, labels[:0])


def test_defaults():
    parameters = inspect.signature(classifier.fit).parameters
    defaults = {name: parameters[name].default for name in ("batch_size", "learning_rate")}
    defaults |= {name: parameters[name].default for name in ("widths", "num_features")}
    assert defaults == {
        **{"batch_size": 128, "learning_rate": 3e-3},
        **{"widths": (32, 64), "num_features": 64},
    }


# ---- the score of Salimans et al. ---------------------------------------------------------------


def score_of(logits, split, num_splits, pieces=1):
    sums = None
    for part, rows in zip(
        np.array_split(logits, pieces), np.array_split(split, pieces), strict=True
    ):
        sums = classifier.add_scores(sums, part, rows, num_splits)
    return classifier.inception_score(sums)


def score_by_definition(logits, split, num_splits):
    scores = []
    for i in range(num_splits):
        p = np.exp(logits[split == i])
        p /= p.sum(axis=1, keepdims=True)
        scores.append(np.exp((p * (np.log(p) - np.log(p.mean(axis=0)))).sum(axis=1).mean()))
    return np.mean(scores), np.std(scores)


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_the_score_is_its_definition_however_it_comes(rng, pieces):
    logits, split = rng.normal(0, 3, (57, 11)), classifier.split_of_rows(57, 4)
    np.testing.assert_allclose(
        score_of(logits, split, 4, pieces), score_by_definition(logits, split, 4), rtol=1e-10
    )


def test_the_score_lies_between_one_and_the_number_of_classes():
    alike, split = np.tile([[3.0, 1.0, -2.0]], (20, 1)), classifier.split_of_rows(20, 2)
    assert score_of(alike, split, 2) == (pytest.approx(1), pytest.approx(0, abs=1e-12))
    sure = 1e4 * np.eye(5)[np.arange(20) % 5]
    mean, std = score_of(sure, np.zeros(20, int), 1)
    assert (mean, std) == (pytest.approx(5), 0)
    # adding a number to all logits changes nothing, however large
    assert score_of(sure + 1e6, np.zeros(20, int), 1)[0] == pytest.approx(5)
    # a fifth class that no sample has, with probability 0 exactly
    sure = 1e4 * np.eye(5)[np.arange(20) % 4]
    assert score_of(sure, np.zeros(20, int), 1)[0] == pytest.approx(4)
    # one sample is enough for a split, and looks like itself
    assert score_of(sure[:3], np.arange(3), 3) == (pytest.approx(1), pytest.approx(0, abs=1e-12))


@pytest.mark.parametrize(("num", "splits"), [(10, 10), (23, 10), (7, 1), (50, 3)])
def test_splits_are_torch_fidelitys_parts(num, splits):
    order = np.random.RandomState(2020).permutation(num)
    split = classifier.split_of_rows(num, splits)
    for i in range(splits):
        part = order[i * num // splits : (i + 1) * num // splits]
        assert set(np.flatnonzero(split == i)) == set(part)


def test_scores_of_nothing_and_of_no_numbers():
    with pytest.raises(ValueError, match="num_splits is 10: give 1 to 9"):
        classifier.split_of_rows(9)
    with pytest.raises(ValueError, match="logits is 'not finite'"):
        classifier.add_scores(None, [[np.nan, 0.0]], np.array([0]), 1)
    with pytest.raises(ValueError, match=r"split is 2: give \[1\]"):
        classifier.add_scores(None, [[0.0, 0.0]], np.array([0, 0]), 1)
    with pytest.raises(ValueError, match="splits is 'without samples'"):
        classifier.inception_score(classifier.add_scores(None, [[0.0, 1.0]], np.array([0]), 2))
