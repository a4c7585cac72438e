"""What a compiled program moves to and from a chip's memory (HBM), by its text.

Each instruction that is run reads its operands and writes its result, once; what lies in another
memory, as its layout says, isn't moved. Of slices, only what is taken or replaced counts. A fusion
is one instruction: what it makes inside stays inside. Not known are what a custom call reads again
and the padding of an array's tiles.
"""

from __future__ import annotations

from ift_jax.assemble.planning.hlo import Computation, Instruction, Program, sizes

_MOVES_NOTHING = {
    *("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all"),
    *("while", "conditional", "call", "async-start", "call-start"),  # what they call does
}
_SAME = ("bitcast", "tuple", "get-tuple-element")
"""Other names of what they are given."""

_TAKES = ("dynamic-slice", "slice", "gather")
_REPLACES = {"dynamic-update-slice": 1, "scatter": 2}
"""Which operand is what replaces a part of the first one, in its place."""


def moved(program: Program) -> float:
    """Bytes of one run."""
    return float(
        sum(
            times * _moved(program, instruction, inside)
            for times, instruction, inside, fused in program.run()
            if not fused
        )
    )


def result_bytes(instruction: Instruction, *, hbm: bool = False) -> int:
    """Bytes of what an instruction makes, or starts to; see `sizes`."""
    arrays, opcode = sizes(instruction.type, hbm=hbm), instruction.opcode
    operands = len(instruction.operands)
    if opcode == "copy-start":
        arrays = arrays[:1]  # where it goes; where it comes from
    elif opcode in ("all-gather-start", "collective-permute-start"):
        # Started, it has operands and results for a result, and of a permutation two counters.
        arrays = arrays[operands : 2 * operands]
    elif opcode.endswith("-start") and opcode != "all-reduce-start":
        arrays = arrays[operands:]
    return sum(arrays)


def _moved(program: Program, instruction: Instruction, inside: Computation) -> int:
    opcode = instruction.opcode
    if opcode in _MOVES_NOTHING or opcode.endswith(("-done", "-update")):
        return 0
    operands = instruction.operands
    if opcode == "custom-call" and not operands:
        return 0  # memory set aside
    read = sum(
        min(
            _taken(program, instruction, inside, place),
            sum(sizes(inside.instructions[name].type, hbm=True)),
        )
        for place, name in enumerate(operands)
    )
    written = min(_put(program, instruction, inside), result_bytes(instruction, hbm=True))
    return read + written


def _taken(program: Program, instruction: Instruction, inside: Computation, place: int) -> int:
    """Bytes that an instruction reads of an operand."""
    opcode = instruction.opcode.removesuffix("-start")
    if opcode == "fusion":
        (fused,) = program.called(instruction)
        return _used(program, fused, fused.parameters[place])
    if opcode in _TAKES and place == 0:
        return result_bytes(instruction)
    if opcode in _REPLACES and place == 0:
        return 0
    return sum(sizes(inside.instructions[instruction.operands[place]].type))


def _used(program: Program, fused: Computation, given: Instruction) -> int:
    """Bytes that a fusion reads of what it is given: no more than all of it."""
    total = 0
    for user in fused.instructions.values():
        if user.opcode in ("parameter", "constant"):
            continue
        for place, name in enumerate(user.operands):
            if name == given.name:
                other_name = user.opcode in _SAME
                total += (
                    _used(program, fused, user)
                    if other_name
                    else _taken(program, user, fused, place)
                )
    return min(total, sum(sizes(given.type)))


def _put(program: Program, instruction: Instruction, inside: Computation) -> int:
    """Bytes that an instruction writes."""
    opcode, instructions = instruction.opcode.removesuffix("-start"), inside.instructions
    if opcode == "fusion":
        (fused,) = program.called(instruction)
        return _put(program, fused.result, fused)
    if opcode in _SAME:
        return sum(_put(program, instructions[name], inside) for name in instruction.operands)
    if opcode in _REPLACES:
        return sum(sizes(instructions[instruction.operands[_REPLACES[opcode]]].type))
    return result_bytes(instruction)
