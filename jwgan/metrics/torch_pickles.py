"""Reads the pickles inside a PyTorch file as data: nothing that they name is imported or called.

A pickle is a program for a stack machine, and Python's own machine calls whatever the program
names. Here the instructions are read by `pickletools`, which executes nothing, and carried out for
the few that a dictionary of tensors needs. Names stay names; the two that make a dictionary or a
tensor are known, any other one ends the reading.
"""

import io
import pickletools
from collections.abc import Callable
from typing import Any, NamedTuple


class Global(NamedTuple):
    """A name in a pickle, which stays a name."""

    module: str
    name: str


class Storage(NamedTuple):
    """Numbers that lie outside of the pickle.

    Attributes:
      key: by which they are found.
      kind: of the numbers, "FloatStorage" for example.
      size: how many.
    """

    key: str
    kind: str
    size: int


class Tensor(NamedTuple):
    """A view of a storage; offset and strides count numbers."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Mark:
    """Where a list or dictionary that is being made begins on the stack."""


_MARK = _Mark()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = (
    *("BININT", "BININT1", "BININT2", "LONG1", "INT", "LONG", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
)
_IGNORED = ("PROTO", "FRAME")
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def load(stream: io.BytesIO) -> Any:
    """Reads one pickle and leaves the stream behind it: dictionaries, lists, strings, `Tensor`s.

    Args:
      stream: of bytes in memory, so that no announced length is allocated.

    Raises:
      ValueError: damaged, or a program that wants more than tensors; it names what it wants.

    >>> import io, pickle
    >>> torch_pickles.load(io.BytesIO(pickle.dumps({"width": [1, 2]}, protocol=2)))
    {'width': [1, 2]}
    >>> torch_pickles.load(io.BytesIO(pickle.dumps(print, protocol=2)))
    Traceback (most recent call last):
    ValueError: it holds the name __builtin__.print, and not tensors alone
    """
    machine = _Machine()
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name == "STOP":
            return machine.result()
        machine.execute(opcode.name, argument)
    raise ValueError("its pickle has no end")


class _Machine:
    """The stack machine: for each instruction a method, or a line in a table above."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def result(self) -> Any:
        (found,) = self.stack  # a ValueError if there is more or less
        if isinstance(found, Global | _Mark):
            raise ValueError(f"it holds {_named(found)}, and not tensors alone")
        return found

    def execute(self, name: str, argument: Any) -> None:
        if name in _IGNORED:
            return
        if name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _LITERALS:
            self.stack.append(argument)
        elif name in _TUPLES:
            self.stack.append(tuple(self._popped(_TUPLES[name])))
        elif (method := _METHODS.get(name)) is not None:
            method(self, argument)
        else:
            raise ValueError(f"its pickle has the instruction {name}, which no tensor needs")

    def _popped(self, num: int) -> list[Any]:
        if len(self.stack) < num or any(x is _MARK for x in self.stack[-num:]):
            raise ValueError("its pickle takes from an empty stack")
        found = self.stack[-num:]
        del self.stack[-num:]
        return found

    def _since_mark(self) -> list[Any]:
        place = next((i for i in reversed(range(len(self.stack))) if self.stack[i] is _MARK), None)
        if place is None:
            raise ValueError("its pickle has no mark")
        found = self.stack[place + 1 :]
        del self.stack[place:]
        return found

    def mark(self, argument: None) -> None:
        self.stack.append(_MARK)

    def empty(self, make: Callable[[], Any]) -> None:
        self.stack.append(make())

    def put(self, argument: int) -> None:
        (top,) = self._popped(1)
        self.stack.append(top)
        self.memo[argument] = top

    def memoize(self, argument: None) -> None:
        self.put(len(self.memo))

    def get(self, argument: int) -> None:
        if argument not in self.memo:
            raise ValueError("its pickle refers to what it has not made")
        self.stack.append(self.memo[argument])

    def name(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self.stack.append(Global(module, name))

    def stack_name(self, argument: None) -> None:
        module, name = self._popped(2)
        self.stack.append(Global(_string(module), _string(name)))

    def tuple_since_mark(self, argument: None) -> None:
        self.stack.append(tuple(self._since_mark()))

    def append(self, argument: None) -> None:
        (item,) = self._popped(1)
        self._extend([item])

    def appends(self, argument: None) -> None:
        self._extend(self._since_mark())

    def _extend(self, items: list[Any]) -> None:
        (target,) = self._popped(1)
        if type(target) is not list:
            raise ValueError("its pickle appends to what is no list")
        target.extend(items)
        self.stack.append(target)

    def set_item(self, argument: None) -> None:
        self._update(self._popped(2))

    def set_items(self, argument: None) -> None:
        self._update(self._since_mark())

    def _update(self, items: list[Any]) -> None:
        (target,) = self._popped(1)
        if type(target) is not dict or len(items) % 2:
            raise ValueError("its pickle sets items of what is no dictionary")
        # Strings alone: to hash tuples of tuples could take for ever.
        target.update({_string(k): v for k, v in zip(items[::2], items[1::2], strict=True)})
        self.stack.append(target)

    def persistent(self, argument: None) -> None:
        (found,) = self._popped(1)
        self.stack.append(_storage(found))

    def reduce(self, argument: None) -> None:
        what, arguments = self._popped(2)
        self.stack.append(_made(what, arguments))

    def new_object(self, argument: None) -> None:
        what, _ = self._popped(2)
        raise ValueError(f"it makes an object of {_named(what)}: save a model's state_dict() alone")

    def build(self, argument: None) -> None:
        # The attributes of a dictionary (PyTorch keeps version numbers of layers there).
        target, _ = self._popped(2)
        if type(target) is not dict:
            raise ValueError("its pickle sets attributes of what is no dictionary")
        self.stack.append(target)


_METHODS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "EMPTY_DICT": lambda machine, _: machine.empty(dict),
    "EMPTY_LIST": lambda machine, _: machine.empty(list),
    "EMPTY_TUPLE": lambda machine, _: machine.empty(tuple),
    "TUPLE": _Machine.tuple_since_mark,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": _Machine.memoize,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.stack_name,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "BINPERSID": _Machine.persistent,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
    "NEWOBJ": _Machine.new_object,
}


def _string(x: Any) -> str:
    if type(x) is not str:
        raise ValueError("its pickle has a key or name that is no string")
    return x


def _count(x: Any) -> int:
    # bool is an int to isinstance, and no count.
    if type(x) is not int or not 0 <= x < 2**48:
        raise ValueError("its pickle has a size that is none")
    return x


def _named(x: Any) -> str:
    return f"the name {x.module}.{x.name}" if isinstance(x, Global) else "something else"


def _storage(found: Any) -> Storage:
    # ("storage", its type, key, device, count) and in old files a view's place, which is None.
    if type(found) is not tuple or len(found) not in (5, 6) or found[0] != "storage":
        raise ValueError("its pickle refers to what is no storage")
    kind, view = found[1], found[5] if len(found) == 6 else None
    if not isinstance(kind, Global) or kind.module != "torch" or view is not None:
        raise ValueError(f"it holds {_named(kind)} in place of numbers")
    return Storage(_string(found[2]), kind.name, _count(found[4]))


def _made(what: Any, arguments: Any) -> Any:
    """What a call would make, for the two calls that are known."""
    if type(arguments) is not tuple:
        raise ValueError("its pickle calls without arguments")
    if what == Global("collections", "OrderedDict") and not arguments:
        return {}
    if what == Global("torch._utils", "_rebuild_tensor_v2") and len(arguments) >= 4:
        storage, offset, shape, strides = arguments[:4]
        numbers = type(shape) is tuple and type(strides) is tuple and len(shape) == len(strides)
        if isinstance(storage, Storage) and numbers and len(shape) <= 32:
            sides, steps = tuple(map(_count, shape)), tuple(map(_count, strides))
            return Tensor(storage, _count(offset), sides, steps)
        raise ValueError("its pickle makes a tensor of what is no storage")
    if what == Global("torch._utils", "_rebuild_parameter") and len(arguments) >= 1:
        if isinstance(arguments[0], Tensor):
            return arguments[0]
        raise ValueError("its pickle makes a parameter of what is no tensor")
    raise ValueError(f"it calls {_named(what)}, and is no file of tensors alone")
