"""Networks in Flax Linen: multilayer perceptrons, convolutional, residual and Lipschitz ones."""

from jwgan import lazy

__getattr__, __dir__ = lazy.submodules(
    __name__,
    (
        *("autoencoder", "conv", "dcgan", "lipschitz", "mlp", "norms", "resnet", "robustness"),
        *("scaling", "sngan", "sorting"),
    ),
)
