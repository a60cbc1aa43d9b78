"""Submodules that are imported at their first use."""

import importlib
from collections.abc import Callable, Sequence
from types import ModuleType


def submodules(
    package: str, names: Sequence[str], others: Sequence[str] = ()
) -> tuple[Callable[[str], ModuleType], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a package whose submodules are imported when asked for.

    Args:
      package: its `__name__`.
      names: of the submodules.
      others: further public names of the package, for `dir`.

    >>> find, names = lazy.submodules("jwgan.problems", ["pairs"], others=["Pair"])
    >>> find("pairs").__name__, names()
    ('jwgan.problems.pairs', ['Pair', 'pairs'])
    """

    def find(name: str) -> ModuleType:
        if name in names:
            return importlib.import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find, lambda: sorted({*names, *others})
