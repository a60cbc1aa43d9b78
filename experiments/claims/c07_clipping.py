"""C7: what clipping does to a deep critic's weights and gradients."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jwgan
from experiments.claims import ledger, pictures, worlds
from experiments.claims.ledger import Claim, Measured, Said
from jwgan import networks, priors
from jwgan.run import tasks

CLAIM = Claim(
    title="Clipped weights pile up at the ends of the box, gradients explode or vanish with depth",
    claim="Clipping keeps every weight in [-c, c]. Most weights end at -c or c, and the gradient "
    "grows or shrinks exponentially through the layers depending on c; with the gradient penalty "
    "it stays flat.",
    source="Gulrajani et al., 2017, Improved Training of Wasserstein GANs, section 3 and figure 1b",
    criterion="Swiss roll, critic of 12 ReLU layers of 64 units, 500 updates with n_critic 5; c "
    "is the paper's 0.1, 0.01, 0.001 times sqrt(512 / 64), for the narrower layers. (a) Largest "
    "weight over c: at most 1 + 1e-6 at every look. (b) Share of the weights of the hidden layers "
    "within 1 % of -c or c at c 0.01: above 0.25 (0.01 if they were spread evenly). (c) Gradient "
    "norm at the first layer over the last: above 10 for the largest c, at most 0.1 for the "
    "others; with the penalty (weight 10) above 0.1 and at most 10. Medians over seeds.",
    data="swiss roll, batch 64",
    did="We trained critics of twelve layers under three widths of the box and under the gradient "
    "penalty, and measured the gradient at every layer and where the weights end.",
    means="With clipping the box c is a number that you must tune to the depth of your network: "
    "too wide and gradients explode, too narrow and the first layers get none. With the penalty "
    "there is no such number.",
)
_FIGURE = "figure 1b, left: gradients explode or vanish with depth, whatever c"
SAID = {
    "clipping, c 0.01: share at the ends": Said(
        "figure 1b, right: weights are pushed to the two ends; most of them", none=0.01, number=0.5
    ),
    "clipping, c 0.1: gradient, first layer / last": Said(_FIGURE, none=1.0),
    "clipping, c 0.01: gradient, first layer / last": Said(_FIGURE, none=1.0),
    "clipping, c 0.001: gradient, first layer / last": Said(_FIGURE, none=1.0),
    "gradient penalty: gradient, first layer / last": Said("figure 1b: with the penalty flat"),
}
DEPTH, QUICK_DEPTH, WIDTH = 12, 4, 64
# A layer multiplies a signal by about its box times the root of its width: 512 in the paper.
SCALE = (512 / WIDTH) ** 0.5
BOXES = (0.1, 0.01, 0.001)


class Deep(NamedTuple):
    """A critic whose hidden activations can be pushed, to find the gradient at each of them."""

    network: Any
    layer_gradients: Any  # (params, x [B, 2]) -> [depth], norms of d mean(score) / d activation


def deep_critic(depth: int = DEPTH, width: int = WIDTH) -> Deep:
    """Builds a critic of `depth` ReLU layers whose gradient can be read at every layer."""
    sizes = [2, *[width] * depth]

    def init(key: Any, x: Any) -> Any:
        # The layer sizes are known, so the example batch of `Network.init` is not needed.
        del x
        keys = jax.random.split(key, depth + 1)
        hidden = [
            # He et al., 2015: it keeps a signal's size through ReLUs.
            {"w": jax.random.normal(k, (m, n)) * (2 / m) ** 0.5, "b": jnp.zeros(n)}
            for k, m, n in zip(keys, sizes[:-1], sizes[1:], strict=False)
        ]
        return {"hidden": hidden, "out": jax.random.normal(keys[-1], (width,)) / width**0.5}

    # The derivative by a push of 0 is the derivative by the activation it is added to.
    def pushed(params: Any, x: Any, pushes: Any) -> Any:
        for layer, push in zip(params["hidden"], pushes, strict=True):
            x = jax.nn.relu(x @ layer["w"] + layer["b"][None]) + push
        return x @ params["out"]

    def layer_gradients(params: Any, x: Any) -> Any:
        pushes = jnp.zeros((depth, len(x), width))
        gradient = jax.grad(lambda p: pushed(params, x, p).mean())(pushes)
        return jnp.sqrt((gradient**2).sum(axis=(1, 2)))  # [depth]

    # In training nothing is pushed.
    zeros = [0.0] * depth
    return Deep(networks.from_fn(init, lambda p, x: pushed(p, x, zeros)), layer_gradients)


def members(deep: Deep, scale: float = SCALE) -> dict[str, Any]:
    """Builds WGAN with each of the boxes, `scale` times the paper's, and WGAN-GP."""
    _, generator = worlds.players()
    prior = priors.normal(worlds.LATENT)
    found = {
        f"clipping, c {c:g}": jwgan.wgan(deep.network, generator, prior=prior, c=c * scale)
        for c in BOXES
    }
    found["gradient penalty"] = jwgan.wgan_gp(deep.network, generator, prior=prior, b1=0.5)
    return found


def largest_weight(states: Any) -> Any:
    """Finds the critic's largest absolute weight, over all seeds."""
    return max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(states.critic.params))


def measure(seeds: range, quick: bool) -> Measured:
    deep = deep_critic(QUICK_DEPTH if quick else DEPTH)
    points = tasks.load_world("swiss_roll").held_out[:256]  # [256, 2]
    conditions, gradients = [], {}
    layer_gradients = jax.jit(jax.vmap(lambda params: deep.layer_gradients(params, points)))
    for name, member in members(deep).items():
        if quick and not name.endswith(" 0.01"):
            continue  # Every network of many layers takes long to compile.
        length = worlds.length(quick, 500, evaluations=4)
        trace = worlds.play(member, "swiss_roll", seeds, also=largest_weight, **length)
        params = trace.states.critic.params
        found = np.maximum(np.asarray(layer_gradients(params)), 1e-30)  # [K, depth]
        gradients[name], ratio = found.T.tolist(), ledger.interval(found[:, 0] / found[:, -1])
        # The first hidden layer is left out: it has 2 inputs, the others WIDTH.
        inner = jnp.stack([layer["w"] for layer in params["hidden"][1:]], axis=1)
        what = f"{name}: gradient, first layer / last"
        if name == "gradient penalty":
            # "Flat" is a band, so the penalty's ratio has a condition on either side.
            conditions += [ledger.above(what, ratio, 0.1), ledger.at_most(what, ratio, 10.0)]
            continue
        # Names show the paper's c; the box in use is wider.
        c = float(name.split()[-1]) * SCALE
        largest = ledger.exact(trace.extra.max() / c)
        conditions.append(ledger.at_most(f"{name}: largest weight / c", largest, 1 + 1e-6, True))
        conditions.append(
            # Only the largest box, 0.1 * SCALE = 0.28, is expected to explode.
            (ledger.above if c > 0.2 else ledger.at_most)(what, ratio, 10 if c > 0.2 else 0.1)
        )
        if name.endswith(" 0.01"):
            at_ends = (jnp.abs(inner) > 0.99 * c).mean(axis=(1, 2, 3))
            conditions.append(
                ledger.above(f"{name}: share at the ends", ledger.interval(at_ends), 0.25)
            )
    return Measured(conditions, {"gradients": gradients})


def draw(data: dict[str, Any]) -> Any:
    return pictures.bands(
        list(range(1, len(next(iter(data["gradients"].values()))) + 1)),
        data["gradients"],
        x="layer, 1 is next to the data",
        y="norm of the critic's gradient",
        logarithmic=True,
    )
