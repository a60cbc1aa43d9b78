"""C14: normalisation in a penalised critic."""

import warnings
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

import jwgan
from experiments.claims import ledger, pictures, worlds
from experiments.claims.ledger import Claim, Measured, Said
from experiments.claims.worlds import WIDTH
from jwgan import networks, priors

CLAIM = Claim(
    title="Batch norm does not belong in a penalised critic, layer norm does",
    claim="Batch norm makes a sample's score depend on the other samples, and the penalty on each "
    "sample's own gradient loses its meaning; layer norm keeps samples apart and can be used.",
    source="Gulrajani et al., 2017, Improved Training of Wasserstein GANs, section 4",
    criterion="WGAN-GP, 4,000 updates, weight 0.1. (a) Largest derivative of a score by another "
    "sample: above 1e-3 with batch norm, at most 1e-6 with layer norm. (b) By seed, final exact "
    "W1 with batch norm minus with layer norm is above 0 in the median. (c) With layer norm minus "
    "without any: at most 0.1 in the median.",
    data="8 Gaussians, MLPs of 3 x 64 units, batch 64",
    did="We measured how much one sample's score depends on another sample, and trained with "
    "batch norm, layer norm and no norm in a penalised critic.",
    means="Keep batch norm out of a critic under a gradient penalty; layer norm costs nothing "
    "here.",
)
SAID = {
    "batch norm: derivative by another sample": Said("section 4: samples hang together", none=0.0),
    "layer norm: derivative by another sample": Said("section 4: layer norm keeps them apart"),
    "final W1, batch norm - layer norm": Said("section 4: take layer norm instead", none=0.0),
}


def critics() -> dict[str, Any]:
    """Makes three Linen critics, the same but for their norm."""

    class Critic(nn.Module):
        norm: Any = None

        @nn.compact
        def __call__(self, x: Any, train: bool = True) -> Any:
            for _ in range(3):
                x = nn.Dense(WIDTH, kernel_init=nn.initializers.he_normal())(x)
                x = nn.relu(x if self.norm is None else self.norm(train)(x))
            return nn.Dense(1)(x)[:, 0]

    return {
        "no norm": Critic(),
        "layer norm": Critic(lambda train: nn.LayerNorm()),
        "batch norm": Critic(lambda train: nn.BatchNorm(use_running_average=not train)),
    }


def cross_derivative(critic: Any) -> float:
    """Finds the largest |d score_i / d x_j| over i != j of a fresh critic on 16 points."""
    x = jax.random.normal(jax.random.key(0), (16, 2))  # [B, D]
    params, model_state = critic.init(jax.random.key(1), x)
    # `apply` is the network in training, where batch norm takes the batch's own moments.
    jacobian = jax.jacrev(lambda x: critic.apply(params, model_state, x)[0])(x)  # [16, 16, 2]
    other = 1 - jnp.eye(16)[:, :, None]  # [16, 16, 1]
    return float(jnp.abs(jacobian * other).max())


def measure(seeds: range, quick: bool) -> Measured:
    final, derivative, curves = {}, {}, {}
    for name, module in critics().items():
        critic = jwgan.from_linen(module, **networks.TRAIN_ARGUMENT)
        _, generator = worlds.players()
        member = jwgan.wgan_gp(
            critic, generator, prior=priors.normal(worlds.LATENT), b1=0.5, weight=0.1
        )
        length = worlds.length(quick, 4000, skip=name != "layer norm")
        with warnings.catch_warnings():
            # Of batch norm under a penalty, which is what this claim is about.
            warnings.filterwarnings("ignore", message="the critic keeps statistics")
            trace = worlds.play(member, "eight_gaussians", seeds, **length)
        final[name], curves[name] = trace.w1[-1], trace.w1.tolist()
        derivative[name] = cross_derivative(critic)
    gap = lambda a, b: ledger.interval(worlds.difference(final[a], final[b]))
    across = "derivative by another sample"
    conditions = [
        ledger.above(f"batch norm: {across}", ledger.exact(derivative["batch norm"]), 1e-3),
        # Certain: layer norm computes each sample by itself.
        ledger.at_most(f"layer norm: {across}", ledger.exact(derivative["layer norm"]), 1e-6, True),
        ledger.above("final W1, batch norm - layer norm", gap("batch norm", "layer norm"), 0.0),
        ledger.at_most("final W1, layer norm - no norm", gap("layer norm", "no norm"), 0.1),
    ]
    return Measured(
        conditions, {"steps": trace.steps, "w1": curves, "w1_of_real": trace.w1_of_real}
    )


def draw(data: dict[str, Any]) -> Any:
    return pictures.w1_curves(data)
