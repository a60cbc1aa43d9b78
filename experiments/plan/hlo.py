"""Reads the text of a compiled program (XLA's HLO): its instructions, their arrays and operands."""

import math
import re
from typing import NamedTuple

_BITS = {"pred": 8, "bf16": 16}  # other types end in their bits
# Instructions of these kinds name or group buffers; a loop's work is that of its body.
FREE = ("parameter", "constant", "get-tuple-element", "tuple", "bitcast", "while")


class Instruction(NamedTuple):
    """One line of a program.

    Attributes:
      name: of its result.
      op: what it does, for example "fusion".
      arrays: (bytes, whether in the device's memory) of every array of the result.
      operands: names of the instructions whose results it reads.
      line: as it is written.
    """

    name: str
    op: str
    arrays: list[tuple[int, bool]]
    operands: list[str]
    line: str

    def called(self, role: str) -> str:
        """Finds the computation of a role, for example "body" of a loop; "" if there is none."""
        found = re.search(rf"\b{role}=%?([\w.-]+)", self.line)
        return found[1] if found else ""


def _arrays(text: str) -> list[tuple[int, bool]]:
    found = []
    for kind, sizes, layout in re.findall(r"([a-z]+\d*)\[([\d,]*)\](\{[^}]*\})?", text):
        # "f32" has 32 bits; a token has no number and no bytes.
        bits = _BITS.get(kind) or int(re.sub(r"\D", "", kind) or 0)
        count = math.prod(int(size) for size in sizes.split(",") if size)
        # "S(1)" in a layout is a memory space other than the large one, on a TPU on the chip.
        found.append((bits * count // 8, "S(" not in layout))
    return found


def instructions(text: str) -> dict[str, list[Instruction]]:
    """Reads {computation: its instructions}; the entry's name is "ENTRY"."""
    computations: dict[str, list[Instruction]] = {}
    current: list[Instruction] = []
    for line in text.splitlines():
        # Computations begin at the margin, their instructions are indented.
        if line.endswith("{") and not line.startswith(" "):
            name = "ENTRY" if line.startswith("ENTRY") else line.split()[0].lstrip("%")
            current = computations.setdefault(name, [])
        made = re.match(r"\s+(?:ROOT )?%([\w.-]+) = (.*)", line)
        op = made and re.search(r" ([a-z][a-z0-9-]*)\(([^)]*)\)", made[2])
        if made and op:
            # Operands are names: their size is that of the instruction that made them.
            operands = re.findall(r"%([\w.-]+)", op[2])
            arrays = _arrays(made[2][: op.start()])
            current.append(Instruction(made[1], op[1], arrays, operands, line))
    return computations
