"""What a compiled program does, read from its text: what it sends, and its matrix products.

XLA's own `cost_analysis` counts the body of a loop once, however often it runs, so that a scan over
layers counts as one layer: no figure here, and no MFU anywhere, comes from it. Here each loop's
body counts as often as the loop runs.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import math
import re
from collections.abc import Iterator, Mapping

BITS = {"pred": 8, "bf16": 16, "token": 0} | {
    f"{kind}{bits}": bits for kind in "sufc" for bits in (4, 8, 16, 32, 64, 128)
}
"""Size of an element, by its type's name; those of float8 begin with 'f8'."""

SENT = {
    # Of n chips' result of so many bytes, what a chip sends by the ring algorithm.
    "all-gather": lambda size, n: size * (n - 1) / n,
    "all-reduce": lambda size, n: 2 * size * (n - 1) / n,
    "reduce-scatter": lambda size, n: size * (n - 1),
    "all-to-all": lambda size, n: size * (n - 1) / n,
    "collective-permute": lambda size, n: size,
}

_HEADER = re.compile(r"(ENTRY )?%?([\w.\-]+) \(.*\{$")
_INSTRUCTION = re.compile(r"\s+(?:ROOT )?%?([\w.\-]+) = (.+?) ([\w\-]+)\((.*)$")
_ARRAY = re.compile(r"\b([a-z]\w*)\[([\d,]*)\]")
_CALLED = re.compile(
    r"\b(?:calls|body|to_apply|called_computations|branch_computations)=\{?([^}\s]+)"
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
class Work:
    """What a program does on each chip.

    Attributes:
        sent: bytes that a chip sends, by kind of collective.
        count: how many collectives run, by kind.
        flops: operations of matrix products; those inside custom calls aren't known.
    """

    sent: Mapping[str, float]
    count: Mapping[str, int]
    flops: float

    @property
    def bytes_sent(self) -> float:
        """By all collectives together."""
        return sum(self.sent.values())


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

    def work(self) -> Work:
        """What one run of it does.

        Raises:
            ValueError: something that is needed for that isn't in the text; names the instruction.
        """
        sent: dict[str, float] = collections.defaultdict(float)
        count: dict[str, int] = collections.defaultdict(int)
        flops = 0.0
        for times, instruction, inside in self._run(self.entry, 1):
            kind = instruction.opcode.removesuffix("-start")
            if kind in SENT:
                size = _result_bytes(kind, instruction)
                n = 1 if kind == "collective-permute" else group_size(instruction)
                if inside.name.startswith("all-reduce-scatter"):
                    # A TPU's fusion of a sum over all and of taking one's part of it.
                    kind, size = "reduce-scatter", size / n
                sent[kind] += times * SENT[kind](size, n)
                count[kind] += times
            elif kind == "dot":
                flops += times * _dot_flops(instruction, inside)
            elif kind == "convolution":
                flops += times * _convolution_flops(instruction, inside)
        return Work(dict(sent), dict(count), flops)

    def _run(
        self, computation: Computation, times: int
    ) -> Iterator[tuple[int, Instruction, Computation]]:
        """(how often it runs, instruction, what it is in) of all that is run."""
        for instruction in computation.instructions.values():
            yield times, instruction, computation
            if instruction.opcode.startswith(("all-reduce", "reduce")):
                continue  # what they apply is an addition
            if instruction.opcode.endswith(("-done", "-update")):
                continue  # of what was started before
            trips = self._trips(instruction, computation) if instruction.opcode == "while" else 1
            for names in _CALLED.findall(instruction.rest):
                for name in names.split(","):
                    if (called := name.strip("%{} ")) in self.computations:
                        yield from self._run(self.computations[called], times * trips)

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


def sizes(type_: str) -> list[int]:
    """Bytes of each array of a type, which may be a tuple of them."""
    found = []
    for kind, shape in _ARRAY.findall(type_):
        bits = BITS.get(kind, 8 if kind.startswith("f8") else None)
        if bits is None:
            raise ValueError(f"type {type_[:80]!r}: no size known of an element {kind!r}")
        found.append(math.prod(_numbers(shape)) * bits // 8)
    return found


def group_size(instruction: Instruction) -> int:
    """How many chips take part in a collective together.

    Raises:
        ValueError: groups in a form that isn't known.
    """
    groups = instruction.rest.partition("replica_groups=")[2]
    if listed := re.match(r"\{\{([\d,]*)\}", groups):
        return len(_numbers(listed[1]))
    if counted := re.match(r"\[\d+,(\d+)\]<=", groups):
        return int(counted[1])
    if meshed := re.match(r"mesh\[(.*?)\][^{]*\{(.*?)\}", groups):
        sizes = dict(re.findall(r"'(\w+)'=(\d+)", meshed[1]))
        # An axis, or of an axis 'a':(1)2 a part: here two neighbours.
        axes = re.findall(r"'(\w+)'(?::\(\d+\)(\d+))?", meshed[2])
        return math.prod(int(part or sizes[axis]) for axis, part in axes)
    raise ValueError(f"{instruction.opcode} {instruction.name}: groups of chips {groups[:80]!r}")


def _result_bytes(kind: str, instruction: Instruction) -> int:
    """What a collective gives each chip."""
    arrays = sizes(instruction.type)
    if instruction.opcode.endswith("-start") and kind in ("all-gather", "collective-permute"):
        # Started, it has operands and results for a result, and of a permutation two counters.
        operands = len(instruction.operands)
        arrays = arrays[operands : 2 * operands]
    return sum(arrays)


def _dot_flops(dot: Instruction, inside: Computation) -> float:
    shape = _shape(inside.instructions[dot.operands[0]].type)
    contracted = [shape[axis] for axis in _numbers(dot.attribute("lhs_contracting_dims"))]
    return 2 * math.prod(_shape(dot.type)) * math.prod(contracted)


def _convolution_flops(convolution: Instruction, inside: Computation) -> float:
    """Of a convolution, which is what a TPU's compiler makes of a matrix product.

    A batch axis of the product may be a spatial axis of it: most of the kernel then lies on padding
    or between the dilated input's elements, and only where it doesn't is anything computed.
    """
    lhs, rhs = (_shape(inside.instructions[name].type) for name in convolution.operands)
    inputs, kernel, outputs = re.split("_|->", convolution.attribute("dim_labels"))
    out = _shape(convolution.type)
    window = dict(
        re.findall(
            r"(\w+)=([\d_x\-]+)", convolution.rest.partition("window={")[2].partition("}")[0]
        )
    )
    flops = 2 * out[outputs.index("b")] * out[outputs.index("f")] * rhs[kernel.index("i")]
    for axis, label in enumerate(sorted(set(outputs) - {"b", "f"})):

        def setting(name: str, default: str, axis: int = axis) -> str:
            return window[name].split("x")[axis] if name in window else default

        flops *= _taps(
            lhs[inputs.index(label)],
            rhs[kernel.index(label)],
            out[outputs.index(label)],
            stride=int(setting("stride", "1")),
            low=int(setting("pad", "0_0").split("_")[0]),
            input_dilation=int(setting("lhs_dilate", "1")),
            kernel_dilation=int(setting("rhs_dilate", "1")),
        )
    return flops


@functools.cache
def _taps(
    size: int,
    kernel: int,
    out: int,
    *,
    stride: int,
    low: int,
    input_dilation: int,
    kernel_dilation: int,
) -> int:
    """Of outputs × kernel elements along a spatial axis, how many meet an input's element."""
    extent = (size - 1) * input_dilation
    places = (o * stride + k * kernel_dilation - low for o in range(out) for k in range(kernel))
    return sum(0 <= place <= extent and place % input_dilation == 0 for place in places)


def _shape(type_: str) -> list[int]:
    return _numbers(_ARRAY.search(type_)[2])


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]
