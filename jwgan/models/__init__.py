"""Networks in Flax Linen: multilayer perceptrons, convolutional, residual and Lipschitz ones."""

from types import ModuleType

from jwgan import check, lazy

_find, __dir__ = lazy.submodules(
    __name__,
    (
        *("autoencoder", "conv", "conv1d", "dcgan", "labels", "lipschitz", "mlp", "norms"),
        *("resnet", "robustness", "scaling", "shallow", "sngan", "sorting", "tabular"),
    ),
)


def __getattr__(name: str) -> ModuleType:
    if not name.startswith("_"):  # a model, and no question of Python's own
        check.require_package("flax", "flax")
    return _find(name)
