"""What a compiled program does, by its text: its matrix products, what it sends, what it moves."""

from __future__ import annotations

import collections
import dataclasses
import functools
import math
import re
from collections.abc import Mapping

from ift_jax.assemble.planning.hlo import Computation, Instruction, Program, numbers, shape
from ift_jax.assemble.planning.traffic import moved, result_bytes

SENT = {
    # Of n chips' result of so many bytes, what a chip sends by the ring algorithm.
    "all-gather": lambda size, n: size * (n - 1) / n,
    "all-reduce": lambda size, n: 2 * size * (n - 1) / n,
    "reduce-scatter": lambda size, n: size * (n - 1),
    "all-to-all": lambda size, n: size * (n - 1) / n,
    "collective-permute": lambda size, n: size,
}


@dataclasses.dataclass(frozen=True)
class Work:
    """What a program does on each chip.

    Attributes:
        sent: bytes that a chip sends, by kind of collective.
        count: how many collectives run, by kind.
        flops: operations of matrix products; those inside custom calls aren't known.
        moved: bytes to and from HBM; see `traffic.moved`.
    """

    sent: Mapping[str, float]
    count: Mapping[str, int]
    flops: float
    moved: float

    @property
    def bytes_sent(self) -> float:
        """By all collectives together."""
        return sum(self.sent.values())


def work(program: Program) -> Work:
    """What one run of a program does.

    Raises:
        ValueError: something that is needed for that isn't in the text; names the instruction.
    """
    sent: dict[str, float] = collections.defaultdict(float)
    count: dict[str, int] = collections.defaultdict(int)
    flops = 0.0
    for times, instruction, inside, _ in program.run():
        kind = instruction.opcode.removesuffix("-start")
        if kind in SENT:
            size = result_bytes(instruction)
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
    return Work(dict(sent), dict(count), flops, moved(program))


def group_size(instruction: Instruction) -> int:
    """How many chips take part in a collective together.

    Raises:
        ValueError: groups in a form that isn't known.
    """
    groups = instruction.rest.partition("replica_groups=")[2]
    if listed := re.match(r"\{\{([\d,]*)\}", groups):
        return len(numbers(listed[1]))
    if counted := re.match(r"\[\d+,(\d+)\]<=", groups):
        return int(counted[1])
    if meshed := re.match(r"mesh\[(.*?)\][^{]*\{(.*?)\}", groups):
        sizes = dict(re.findall(r"'(\w+)'=(\d+)", meshed[1]))
        # An axis, or of an axis 'a':(1)2 a part: here two neighbours.
        axes = re.findall(r"'(\w+)'(?::\(\d+\)(\d+))?", meshed[2])
        return math.prod(int(part or sizes[axis]) for axis, part in axes)
    raise ValueError(f"{instruction.opcode} {instruction.name}: groups of chips {groups[:80]!r}")


def _dot_flops(dot: Instruction, inside: Computation) -> float:
    lhs = shape(inside.instructions[dot.operands[0]].type)
    contracted = [lhs[axis] for axis in numbers(dot.attribute("lhs_contracting_dims"))]
    return 2 * math.prod(shape(dot.type)) * math.prod(contracted)


def _convolution_flops(convolution: Instruction, inside: Computation) -> float:
    """Of a convolution, which is what a TPU's compiler makes of a matrix product.

    A batch axis of the product may be a spatial axis of it: most of the kernel then lies on padding
    or between the dilated input's elements, and only where it doesn't is anything computed.
    """
    lhs, rhs = (shape(inside.instructions[name].type) for name in convolution.operands)
    inputs, kernel, outputs = re.split("_|->", convolution.attribute("dim_labels"))
    out = shape(convolution.type)
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
