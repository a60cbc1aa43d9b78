r"""The Dirac-GAN: data at 0, one generated point theta, critic D(x) = psi x.

Near the equilibrium (0, 0) every objective is $L_D \approx \alpha\psi\theta$, $L_G \approx
\beta\psi\theta$, and R1 or R2 of weight w add $\frac w2 \psi^2$. Our step is alternating SGD of
rate h with n critic updates first, so by hand its Jacobian in (psi, theta) is

$$ \begin{pmatrix} 1 & 0 \\ -h\beta & 1 \end{pmatrix}
   \begin{pmatrix} q & -h\alpha \\ 0 & 1 \end{pmatrix}^n, \qquad q = 1 - hw, $$

with determinant $q^n$ and trace $q^n + 1 + h^2\alpha\beta(1 + q + \dots + q^{n-1})$. Without
regularisation the determinant is 1: eigenvalues on the unit circle, no convergence.

Reference: Mescheder, Geiger and Nowozin, 2018, Which Training Methods for GANs do actually
Converge?, sections 2 and 3.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jwgan import adversarial, constraints, networks, objectives, penalties, priors

H = 0.2

# name -> (objective, alpha, beta)
GAMES = {
    "wasserstein": (objectives.wasserstein(), 1.0, -1.0),
    "minimax": (objectives.minimax(), 0.5, -0.5),  # s(0) = 1/2
    "non_saturating": (objectives.non_saturating(), 0.5, -0.5),
    "least_squares": (objectives.least_squares(), 0.0, -1.0),  # alpha = -a, beta = -c
    "least_squares_pearson": (objectives.least_squares(-1, 1, 0), 1.0, 0.0),
    "least_squares_free": (objectives.least_squares(-1, 1, 1), 1.0, -1.0),
    "hinge": (objectives.hinge(), 1.0, -1.0),
    "relativistic": (objectives.relativistic(), 0.5, -0.5),
    "ebgan": (objectives.ebgan(), -1.0, 1.0),  # psi x as energy: high where fake
    "began": (objectives.began(), -0.4, 1.0),  # k held at 0.4
}
games = pytest.mark.parametrize("name", GAMES)
WEIGHTS = {"none": 0.0, "r1": 0.6, "r2": 0.6, "lp": 0.0, "div": 0.0, "clip": 0.0}
# r1 and r2 are psi^2 w / 2; LP and div are flat at psi = 0, the box is inactive there
PENALTIES = {
    "r1": penalties.r1(0.6),
    "r2": penalties.r2(0.6),
    "lp": penalties.squared_hinge_penalty(10.0),
    "div": penalties.divergence_penalty(2.0, 6.0),
    "gp": penalties.gradient_penalty(0.1),
    "strong gp": penalties.gradient_penalty(1.0),
}


def game(objective, regularised="none", n_critic=1):
    """(state, step) with step: [psi, theta] -> [psi, theta] by the member's actual step."""
    point = lambda p, z: jnp.broadcast_to(p[None, None], (z.shape[0], 1))
    critic_tx = optax.sgd(H)
    if regularised == "clip":
        critic_tx = optax.chain(critic_tx, constraints.clip_weights(0.5))
    algorithm = adversarial.build(
        critic=networks.from_fn(lambda key, x: jnp.zeros(()), lambda psi, x: psi * x[:, 0]),
        generator=networks.from_fn(lambda key, z: jnp.zeros(()), point),
        critic_tx=critic_tx,
        generator_tx=optax.sgd(H),
        objective=objective,
        penalty=PENALTIES.get(regularised, penalties.none()),
        prior=priors.normal(1),
    )
    batch = jnp.zeros((n_critic, 2, 1))
    state = algorithm.init(jax.random.key(0), batch)
    if isinstance(state.objective, objectives.BEGANState):
        k = jnp.full_like(state.objective.k, 0.4)
        state = state._replace(objective=state.objective._replace(k=k))

    def step(point):
        at = state._replace(
            critic=state.critic._replace(params=point[0]),
            generator=state.generator._replace(params=point[1]),
        )
        after, _ = algorithm.step(at, batch)
        return jnp.stack([after.critic.params, after.generator.params])

    return step


def by_hand(alpha, beta, w=0.0, n_critic=1):
    """Jacobian and eigenvalues, the latter from trace and determinant."""
    q = 1 - H * w
    critic = np.array([[q, -H * alpha], [0, 1]])
    generator = np.array([[1, 0], [-H * beta, 1]])
    trace = q**n_critic + 1 + H**2 * alpha * beta * sum(q**i for i in range(n_critic))
    root = np.sqrt(complex(trace**2 / 4 - q**n_critic))
    eigenvalues = np.array([trace / 2 + root, trace / 2 - root])
    return generator @ np.linalg.matrix_power(critic, n_critic), eigenvalues


def orbit(step, start, steps):  # -> [steps, 2]
    body = lambda point, _: (step(point),) * 2
    return np.asarray(jax.jit(lambda p: jax.lax.scan(body, p, None, length=steps)[1])(start))


def same_eigenvalues(matrix, expected, atol):
    found = np.linalg.eigvals(np.asarray(matrix, np.float64)).astype(complex)
    # conjugate pairs: compare modulus and real part, whose order does not matter
    np.testing.assert_allclose(np.sort(np.abs(found)), np.sort(np.abs(expected)), atol=atol)
    np.testing.assert_allclose(np.sort(found.real), np.sort(expected.real), atol=atol)


@games
@pytest.mark.parametrize(
    ("regularised", "n_critic"), [("none", 1), ("none", 3), ("r1", 1), ("r1", 3)]
)
def test_jacobian_of_the_compiled_step(name, regularised, n_critic):
    objective, alpha, beta = GAMES[name]
    with jax.enable_x64(True):
        step = game(objective, regularised, n_critic)
        origin = jnp.zeros(2)
        np.testing.assert_array_equal(step(origin), [0, 0])  # an equilibrium
        jacobian = jax.jit(jax.jacrev(step))(origin)
        expected, eigenvalues = by_hand(alpha, beta, WEIGHTS[regularised], n_critic)
        np.testing.assert_allclose(jacobian, expected, atol=1e-12)
        # a double eigenvalue (LSGAN's presets) is known to half the digits only
        same_eigenvalues(jacobian, eigenvalues, atol=1e-6)


@pytest.mark.parametrize("regularised", ["r2", "lp", "div", "clip"])
def test_jacobian_of_the_other_regularisers(regularised):
    """R2 damps as R1 does; a one-sided penalty, a power and a box do nothing near psi = 0."""
    with jax.enable_x64(True):
        step = game(objectives.wasserstein(), regularised)
        jacobian = jax.jit(jax.jacrev(step))(jnp.zeros(2))
        expected, eigenvalues = by_hand(1.0, -1.0, WEIGHTS[regularised])
        np.testing.assert_allclose(jacobian, expected, atol=1e-12)
        same_eigenvalues(jacobian, eigenvalues, atol=1e-9)
        inside = np.abs(eigenvalues) < 1 - 1e-9
        assert np.all(inside) if regularised == "r2" else not np.any(inside)


@games
@pytest.mark.parametrize("regularised", ["none", "r1"])
def test_orbit_follows_the_prediction(name, regularised):
    """200 steps from a small start: the powers of the predicted Jacobian."""
    objective, alpha, beta = GAMES[name]
    with jax.enable_x64(True):
        start = 1e-5 * jnp.array([1.0, 0.5])
        observed = orbit(game(objective, regularised), start, 200)
        jacobian, _ = by_hand(alpha, beta, WEIGHTS[regularised])
        point = np.asarray(start)
        for seen in observed:
            point = jacobian @ point
            np.testing.assert_allclose(seen, point, rtol=1e-3, atol=1e-9)


CIRCLING = [name for name, (_, alpha, beta) in GAMES.items() if alpha * beta < 0]


@pytest.mark.parametrize("name", CIRCLING)
def test_unregularised_games_circle(name):
    """From (1, 1), far from linear: round and round, and no linear rate of convergence.

    The forces of some games fall off with distance along the orbit, so they do creep inwards,
    slower than any exponential.
    """
    observed = orbit(game(GAMES[name][0]), jnp.ones(2), 4000)
    radius = np.linalg.norm(observed, axis=1)
    assert radius.max() < 3
    turns = np.sum((observed[1:, 1] > 0) & (observed[:-1, 1] <= 0))
    assert turns > 30
    largest = [radius[i : i + 200].max() for i in (0, 2000, 3800)]
    assert (largest[2] / largest[1]) ** (1 / 1800) > 0.999
    if name not in ("non_saturating", "relativistic", "least_squares_free"):
        assert largest[2] > 0.9 * largest[0]


@pytest.mark.parametrize("name", CIRCLING)
def test_r1_converges_at_the_predicted_rate(name):
    objective, alpha, beta = GAMES[name]
    with jax.enable_x64(True):
        observed = orbit(game(objective, "r1"), jnp.ones(2), 1000)
    radius = np.linalg.norm(observed, axis=1)
    _, eigenvalues = by_hand(alpha, beta, 0.6)
    slowest = np.abs(eigenvalues).max()
    assert slowest < 1
    # the mean rate over 600 steps, long after the start
    np.testing.assert_allclose((radius[900] / radius[300]) ** (1 / 600), slowest, rtol=2e-3)


@pytest.mark.parametrize(("name", "drifting"), [("least_squares", 1), ("least_squares_pearson", 0)])
def test_least_squares_presets_drift(name, drifting):
    """A critic without bias cannot meet both targets; one player feels nothing to first order,
    the Jacobian is a shear and the other player runs away at constant speed h * 1 * start."""
    observed = orbit(game(GAMES[name][0]), jnp.full(2, 1e-3), 100)
    np.testing.assert_allclose(np.diff(observed[:, 1 - drifting]), 0, atol=1e-6)
    speed = np.diff(observed[:, drifting])
    np.testing.assert_allclose(np.abs(speed), H * 1e-3, rtol=0.02)


@pytest.mark.parametrize(("regularised", "w"), [("gp", 0.1), ("strong gp", 1.0)])
def test_two_sided_penalty_does_not_converge_to_the_data(regularised, w):
    """Slope 1 is no equilibrium at theta = 0. The orbit of WGAN-GP is NumPy's recursion

    psi - h (theta + 2 w (|psi| - 1) sign psi), theta + h psi:

    with a small weight it keeps swinging, with a large one it is damped towards psi = 0 from one
    side and rests there at theta = 2 w, where the kink of |psi| balances the data."""
    with jax.enable_x64(True):
        observed = orbit(game(objectives.wasserstein(), regularised), jnp.array([0.5, 0.3]), 400)
    psi, theta = 0.5, 0.3
    for seen in observed:
        psi = psi - H * (theta + 2 * w * (abs(psi) - 1) * np.sign(psi))
        theta = theta + H * psi
        np.testing.assert_allclose(seen, (psi, theta), rtol=1e-6, atol=1e-8)
    last = observed[-100:, 1]
    if regularised == "gp":
        assert last.min() < -0.1 < 0.1 < last.max()
    else:
        np.testing.assert_allclose(last, 2 * w, rtol=1e-6)


def test_a_box_does_not_converge():
    observed = orbit(game(objectives.wasserstein(), "clip"), jnp.array([0.5, 1.0]), 1000)
    assert np.abs(observed[:, 0]).max() <= 0.5 * (1 + 1e-6)
    assert np.sum(np.isclose(np.abs(observed[:, 0]), 0.5)) > 5  # it ran into the box
    last = observed[-100:, 1]
    assert last.min() < -0.1 < 0.1 < last.max()


def test_more_critic_updates_turn_faster_and_do_not_damp():
    for n_critic in (1, 2, 5):
        _, eigenvalues = by_hand(1.0, -1.0, n_critic=n_critic)
        np.testing.assert_allclose(np.abs(eigenvalues), 1.0)
        step = game(objectives.wasserstein(), n_critic=n_critic)
        radius = np.linalg.norm(orbit(step, 1e-2 * jnp.ones(2), 1000), axis=1)
        assert 0.3 < radius[-100:].max() / radius[:100].max() < 3
