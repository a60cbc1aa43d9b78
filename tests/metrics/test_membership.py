"""The share of pairs in which training data score higher: scikit-learn's ROC area, and its laws."""

import hypothesis.strategies as st
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings

from jwgan.metrics.membership import membership_auc

# Few values, so that many pairs are equal; few sizes, each of which is compiled.
scores = st.lists(st.integers(-3, 3), min_size=1, max_size=4).map(lambda x: np.float32(x))


@settings(deadline=None, max_examples=50)
@given(scores, scores)
def test_it_is_the_area_under_the_roc_curve(seen, unseen):
    truth = np.r_[np.ones(len(seen)), np.zeros(len(unseen))]
    expected = sklearn.metrics.roc_auc_score(truth, np.r_[seen, unseen])
    assert float(membership_auc(jnp.array(seen), jnp.array(unseen))) == pytest.approx(expected)


@settings(deadline=None, max_examples=50)
@given(scores, scores)
def test_only_the_order_counts(seen, unseen):
    seen, unseen = jnp.array(seen), jnp.array(unseen)
    found = float(membership_auc(seen, unseen))
    assert float(membership_auc(jnp.exp(seen), jnp.exp(unseen))) == found
    # Energies are low where scores are high, and the other guess is right in the other pairs.
    assert float(membership_auc(-seen, -unseen)) == pytest.approx(1 - found, abs=1e-6)
    assert float(membership_auc(unseen, seen)) == pytest.approx(1 - found, abs=1e-6)


def test_a_critic_that_knows_its_data_and_one_that_does_not():
    low, high = jnp.arange(3.0), jnp.arange(3.0) + 10
    assert membership_auc(high, low) == 1
    assert membership_auc(low, low) == 0.5
    assert membership_auc(low, high) == 0
