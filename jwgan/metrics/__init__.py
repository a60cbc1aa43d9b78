"""Metrics of samples: pure functions of arrays, as a rule real [N, F] and fake [M, F]."""

from types import ModuleType

from jwgan import check, lazy

_find, __dir__ = lazy.submodules(
    __name__, ("classifier", "coverage", "frechet", "kernel", "sliced")
)


def __getattr__(name: str) -> ModuleType:
    if name == "classifier":  # the only one with a network
        check.require_package("flax", "flax")
    return _find(name)
