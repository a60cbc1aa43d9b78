"""Pure functions on arrays, real [N, F] and fake [M, F], that say how good the samples are."""

from jwgan import lazy

__getattr__, __dir__ = lazy.submodules(
    __name__, ("classifier", "coverage", "frechet", "kernel", "sliced")
)
