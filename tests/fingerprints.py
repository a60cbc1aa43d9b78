"""Fingerprints of the lowered steps, which tests/experiments/test_export.py compares.

python tests/fingerprints.py        # records them anew
"""

import importlib.metadata
import json
import pathlib
from typing import Any

import cases
import jax

import jwgan
from experiments.export import programs
from jwgan import priors
from jwgan.models import autoencoder, dcgan

TESTS = pathlib.Path(__file__).resolve().parent
FINGERPRINTS = TESTS / "fingerprints.json"


def fingerprint_cases() -> dict[str, tuple[Any, Any]]:
    """name -> (algorithm, batch shape): every member of tests/cases.py, and two with layers."""
    found = {case.name: (case.make(), case.shape()) for case in cases.CASES}
    images, shape, prior = jax.ShapeDtypeStruct((2, 4, 8, 8, 1), "float32"), (8, 8, 1), 3
    players = (dcgan.DCGANCritic(shape, 4), dcgan.DCGANGenerator(shape, 4))
    energy = (autoencoder.BEGANCritic(shape, 4, 3), autoencoder.BEGANDecoder(shape, 4))
    for name, make, modules in (
        ("wgan_gp dcgan", jwgan.wgan_gp, players),
        ("began images", jwgan.began, energy),
    ):
        networks = map(jwgan.from_linen, modules)
        found[name] = (make(*networks, prior=priors.normal(prior)), images)
    return found


def lowered_step(algorithm: Any, batch: Any, platform: str = "cpu") -> str:
    """StableHLO text of a step, from shapes."""
    state = jax.eval_shape(lambda: algorithm.init(jax.random.key(0), batch))
    # a new function: the same one would be lowered from JAX's caches
    step = lambda state, batch: algorithm.step(state, batch)
    return jax.jit(step).trace(state, batch).lower(lowering_platforms=(platform,)).as_text()


def versions() -> dict[str, str]:
    """Of the packages whose code is in a lowered step."""
    return {name: importlib.metadata.version(name) for name in ("jax", "optax", "flax")}


def fingerprints() -> dict[str, Any]:
    """What tests/fingerprints.json holds."""
    steps = {}
    for name, (algorithm, batch) in fingerprint_cases().items():
        text = lowered_step(algorithm, batch)
        operations = programs.operations(text)
        steps[name] = {
            "sha256": programs.fingerprint(text),
            "products": {op: operations.get(op, 0) for op in ("dot_general", "convolution")},
        }
    return {"versions": versions(), "steps": steps}


if __name__ == "__main__":
    FINGERPRINTS.write_text(json.dumps(fingerprints(), indent=1) + "\n")
