"""Metrics of samples: pure functions of arrays, as a rule real [N, F] and fake [M, F]."""

from types import ModuleType

from jwgan import check, lazy

_find, __dir__ = lazy.submodules(
    __name__,
    (
        *("classifier", "columns", "coverage", "frechet", "inception", "kernel", "membership"),
        *("resizing", "sliced", "tensor_files", "torch_pickles"),
    ),
)


def __getattr__(name: str) -> ModuleType:
    if name in ("classifier", "inception"):  # those with a network
        check.require_package("flax", "flax")
    return _find(name)
