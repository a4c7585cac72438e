"""A compiled program's text: computations, instructions, and how often each of them runs.

XLA's own `cost_analysis` counts the body of a loop once, however often it runs, so that a scan over
layers counts as one layer: no figure here, and no MFU anywhere, comes from it. Here each loop's
body counts as often as the loop runs. `work` and `traffic` count what a program does.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator
from typing import NamedTuple

BITS = {"pred": 8, "bf16": 16, "token": 0} | {
    f"{kind}{bits}": bits for kind in "sufc" for bits in (4, 8, 16, 32, 64, 128)
}
"""Size of an element, by its type's name; those of float8 begin with 'f8'."""

_HEADER = re.compile(r"(ENTRY )?%?([\w.\-]+) \(.*\{$")
_INSTRUCTION = re.compile(r"\s+(?:ROOT )?%?([\w.\-]+) = (.+?) ([\w\-]+)\((.*)$")
_ARRAY = re.compile(r"\b([a-z]\w*)\[([\d,]*)\](?:\{([^}]*)\})?")
_CALLED = re.compile(
    r"\b(?:calls|body|to_apply|called_computations|branch_computations|(?:true|false)_computation)"
    r"=(\{[^}]*\}|[^\s,]+)"
)
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One line of a program.

    Attributes:
        name: its own.
        type: of its result, as text.
        opcode: such as 'all-gather-start'.
        rest: operands and attributes, as text.
    """

    name: str
    type: str
    opcode: str
    rest: str

    @property
    def operands(self) -> list[str]:
        """Names of what it reads."""
        depth, end = 1, 0
        while depth:
            depth += {"(": 1, ")": -1}.get(self.rest[end], 0)
            end += 1
        # An operand may come after its type, which may be a tuple.
        return re.findall(
            r"%?([\w.\-]+)(?=, |$)", re.sub(r"[{\[][^}\]]*[}\]]", "", self.rest[: end - 1])
        )

    def attribute(self, name: str) -> str:
        """An attribute's text, up to the next; '' where there is none."""
        found = re.search(rf"\b{name}=(\S+?),? ", f"{self.rest} ")
        return found[1] if found else ""


@dataclasses.dataclass(frozen=True)
class Computation:
    """A part of a program: its body, a loop's, or a fusion's.

    Attributes:
        name: its own.
        instructions: by name, in order; the last is its result.
    """

    name: str
    instructions: dict[str, Instruction]

    @property
    def parameters(self) -> list[Instruction]:
        """What it is called with, in order."""
        found = [each for each in self.instructions.values() if each.opcode == "parameter"]
        return sorted(found, key=lambda each: int(each.rest.partition(")")[0]))

    @property
    def result(self) -> Instruction:
        """Its last instruction."""
        return next(reversed(self.instructions.values()))

    def original(self, name: str) -> Instruction:
        """An instruction, or what it is a copy of."""
        instruction = self.instructions[name]
        while instruction.opcode == "copy":
            instruction = self.instructions[instruction.operands[0]]
        return instruction

    def constant(self, name: str) -> int | None:
        """The whole number that an instruction is; None if it is none."""
        instruction = self.original(name)
        value = instruction.rest.partition(")")[0]
        return int(value) if instruction.opcode == "constant" and value.isdecimal() else None


class Run(NamedTuple):
    """An instruction that is run.

    Attributes:
        times: how often.
        instruction: which.
        inside: the computation that it stands in.
        fused: whether that is a fusion's.
    """

    times: int
    instruction: Instruction
    inside: Computation
    fused: bool


class Program:
    """A compiled program's text, as computations by name.

    Args:
        text: it.
        trips: how often a loop runs whose end depends on data; None where there is none.
    """

    def __init__(self, text: str, trips: int | None = None):
        self._data_trips = trips
        self.computations: dict[str, Computation] = {}
        for line in text.splitlines():
            if header := _HEADER.match(line):
                current = self.computations[header[2]] = Computation(header[2], {})
                if header[1]:
                    self.entry = current
            elif found := _INSTRUCTION.match(line):
                current.instructions[found[1]] = Instruction(*found.groups())

    def run(self) -> Iterator[Run]:
        """All that is run; of a conditional all branches.

        Raises:
            ValueError: how often a loop runs isn't in the text; names the loop.
        """
        return self._run(self.entry, 1, fused=False)

    def called(self, instruction: Instruction) -> list[Computation]:
        """The computations that an instruction calls."""
        return [
            self.computations[called]
            for names in _CALLED.findall(instruction.rest)
            for name in names.strip("{}").split(",")
            if (called := name.strip("% ")) in self.computations
        ]

    def _run(self, computation: Computation, times: int, *, fused: bool) -> Iterator[Run]:
        for instruction in computation.instructions.values():
            yield Run(times, instruction, computation, fused)
            if instruction.opcode.startswith(("all-reduce", "reduce")):
                continue  # what they apply is an addition
            if instruction.opcode.endswith(("-done", "-update")):
                continue  # of what was started before
            trips = self._trips(instruction, computation) if instruction.opcode == "while" else 1
            inner = fused or instruction.opcode in ("fusion", "fusion-start")
            for called in self.called(instruction):
                yield from self._run(called, times * trips, fused=inner)

    def _trips(self, loop: Instruction, inside: Computation) -> int:
        """How often a loop runs, as the text says or a counter in it shows."""
        if known := _TRIPS.search(loop.rest):
            return int(known[1])
        condition, body = (
            self.computations[loop.attribute(name).strip("%")] for name in ("condition", "body")
        )
        compare = condition.result
        if compare.opcode == "compare" and compare.attribute("direction") == "LT":
            counter, limit = (condition.instructions[name] for name in compare.operands)
            place = int(counter.attribute("index") or 0)
            start = inside.instructions[loop.operands[0]].operands[place]
            # A loop that its compiler has unrolled counts by more than one.
            added = body.original(body.result.operands[place]).operands
            steps = [step for name in added if (step := body.constant(name)) is not None]
            bounds = inside.constant(start), condition.constant(limit.name)
            if len(steps) == 1 and None not in bounds:
                return math.ceil((bounds[1] - bounds[0]) / steps[0])
        if self._data_trips is not None:
            return self._data_trips
        raise ValueError(f"loop {loop.name}: how often it runs isn't in the program's text")


def sizes(type_: str, *, hbm: bool = False) -> list[int]:
    """Bytes of each array of a type, which may be a tuple of them.

    Args:
        type_: as text.
        hbm: whether arrays in other memories, which their layouts name (`S(1)` is a TPU's vector
            memory), are none.
    """
    found = []
    for kind, shape, layout in _ARRAY.findall(type_):
        bits = BITS.get(kind, 8 if kind.startswith("f8") else None)
        if bits is None:
            raise ValueError(f"type {type_[:80]!r}: no size known of an element {kind!r}")
        elsewhere = hbm and "S(" in layout
        found.append(0 if elsewhere else math.prod(numbers(shape)) * bits // 8)
    return found


def shape(type_: str) -> list[int]:
    """Sizes of the axes of a type's first array."""
    return numbers(_ARRAY.search(type_)[2])


def numbers(text: str) -> list[int]:
    """The whole numbers in a text."""
    return [int(number) for number in re.findall(r"\d+", text)]
