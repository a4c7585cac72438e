"""Device meshes, and the one table that says which axis letter is split over which mesh axis.

Parameters state their axes as letters (`'L D N H'`); `PARAMETER_RULES` maps letters to mesh axes.
Nothing falls through silently: a letter without a rule is an error, and what could not be split
is shown in the table printed at start.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from ift_jax.dims import Batch

AXES = ("data", "fsdp", "sequence", "tensor")

PARAMETER_RULES: dict[str, str | None] = {
    "D": "fsdp",
    "N": "tensor",
    "K": "tensor",
    "F": "tensor",
    "V": "tensor",
    "H": None,
    "L": None,
    "P": None,
    "W": None,
    "R": None,
    "Z": None,
}
"""Parameter letter → mesh axis. Fully sharded over width, Megatron-style over heads and MLP."""

ACTIVATION_RULES: dict[str, str | tuple[str, ...] | None] = {
    "B": ("data", "fsdp"),
    "T": "sequence",
    "D": None,
    "W": None,
    "N": "tensor",
    "K": "tensor",
    "F": "tensor",
    "V": "tensor",
    "H": None,
    "X": None,
}

REPLICATED_IF_INDIVISIBLE = frozenset("NKV")
"""Few key/value heads (MQA: one) or an odd vocabulary can't be split: replicated, and shown."""


def parse_mesh(spec: str, device_count: int) -> dict[str, int]:
    """Reads a mesh such as `'data:1,fsdp:4,tensor:2'`; one size may be -1, the rest of the devices.

    Returns:
        Size of each of `AXES`, 1 where the spec is silent.

    Raises:
        ValueError: unknown axis, bad size, or a product that isn't the device count; lists the
            legal values.
    """
    sizes: dict[str, int] = {}
    for item in filter(None, (piece.strip() for piece in spec.split(","))):
        axis, colon, size = item.partition(":")
        if axis not in AXES or not colon:
            raise ValueError(
                f"mesh {spec!r}: {item!r} is not AXIS:SIZE with AXIS one of {', '.join(AXES)}"
            )
        if axis in sizes:
            raise ValueError(f"mesh {spec!r}: axis {axis!r} is given twice")
        try:
            sizes[axis] = int(size)
        except ValueError:
            raise ValueError(f"mesh {spec!r}: size {size!r} of {axis!r} is not a number") from None
        if sizes[axis] < 1 and sizes[axis] != -1:
            raise ValueError(
                f"mesh {spec!r}: size {size} of {axis!r} must be positive, or -1 for the rest"
            )
    free = [axis for axis, size in sizes.items() if size == -1]
    known = math.prod(size for size in sizes.values() if size != -1)
    if len(free) > 1:
        raise ValueError(f"mesh {spec!r}: only one size may be -1, not {' and '.join(free)}")
    if free and device_count % known == 0:
        sizes[free[0]] = device_count // known
    elif free or known != device_count:
        divisors = [n for n in range(1, device_count + 1) if device_count % n == 0]
        raise ValueError(
            f"mesh {spec!r} needs {'a multiple of ' if free else ''}{known} devices, and there are"
            f" {device_count}: the sizes must multiply to {device_count}; each is one of"
            f" {divisors}, or use -1 for one of them"
        )
    return {axis: sizes.get(axis, 1) for axis in AXES}


def make_mesh(spec: str, devices: Sequence[Any] | None = None) -> Mesh:
    """The device mesh of a spec. All axes are of type Auto.

    Raises:
        ValueError: see `parse_mesh`; or sizes that cut across the sides of a TPU slice.
    """
    devices = jax.devices() if devices is None else devices
    sizes = parse_mesh(spec, len(devices))
    try:
        # Explicit axes, the default since JAX 0.7, refuse embedding look-ups and label gathers.
        return jax.make_mesh(
            tuple(sizes.values()), AXES, axis_types=(AxisType.Auto,) * len(AXES), devices=devices
        )
    except NotImplementedError:
        sides = [1 + max(places) for places in zip(*(d.coords for d in devices), strict=True)]
        raise ValueError(
            f"mesh {spec!r}: each size must be the product of some sides of the slice,"
            f" {'×'.join(map(str, sides))}, and they use each side once"
        ) from None


def parameter_spec(mesh: Mesh, name: str, letters: str, shape: Sequence[int]) -> PartitionSpec:
    """How one parameter is split over the mesh.

    Raises:
        ValueError: a letter without a rule, or an axis that its mesh axis doesn't divide.
    """
    entries: list[str | None] = []
    for letter, size in zip(letters.split(), shape, strict=True):
        if letter not in PARAMETER_RULES:
            raise ValueError(
                f"parameter {name} ({letters}): no sharding rule for axis {letter!r};"
                " add it to sharding.PARAMETER_RULES"
            )
        axis = PARAMETER_RULES[letter]
        if axis is not None and size % mesh.shape[axis]:
            if letter not in REPLICATED_IF_INDIVISIBLE:
                legal = [n for n in range(1, size + 1) if size % n == 0]
                raise ValueError(
                    f"parameter {name} ({letters}): axis {letter} of size {size} does not divide"
                    f" over mesh axis {axis!r} of size {mesh.shape[axis]}; legal sizes: {legal}"
                )
            axis = None
        entries.append(axis)
    return PartitionSpec(*entries)


def param_shardings(
    mesh: Mesh, letters: Mapping[str, str], abstract: Mapping[str, Any]
) -> dict[str, NamedSharding]:
    """The sharding of each parameter.

    Args:
        mesh: the device mesh.
        letters: axis letters of each parameter, by name.
        abstract: anything with a `.shape`, by name.
    """
    return {
        name: NamedSharding(mesh, parameter_spec(mesh, name, letters[name], leaf.shape))
        for name, leaf in abstract.items()
    }


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """The sharding of arrays B T: rows over data and fsdp, positions over sequence."""
    return NamedSharding(mesh, activation_spec("B T"))


def batch_shardings(mesh: Mesh, batch: Batch) -> Batch:
    """`batch_sharding` for each array that a batch has."""
    return jax.tree.map(lambda _: batch_sharding(mesh), batch)


def replicated(mesh: Mesh) -> NamedSharding:
    """The sharding of what every device holds whole."""
    return NamedSharding(mesh, PartitionSpec())


def check_rows(mesh: Mesh, rows: int) -> None:
    """Checks that a step's (or micro-batch's) rows divide over the data and fsdp axes.

    Raises:
        ValueError: they don't; names the numbers.
    """
    parts = mesh.shape["data"] * mesh.shape["fsdp"]
    if rows % parts:
        raise ValueError(
            f"{rows} rows do not divide over the mesh's data×fsdp ="
            f" {mesh.shape['data']}×{mesh.shape['fsdp']} = {parts} parts; use a multiple of {parts}"
        )


def activation_spec(letters: str) -> PartitionSpec:
    """How an activation with these axes is split."""
    return PartitionSpec(*(ACTIVATION_RULES[letter] for letter in letters.split()))


def parts(letter: str) -> int:
    """How many parts an activation's axis has on the mesh that is set; 1 without one."""
    mesh = jax.sharding.get_abstract_mesh()
    axes = ACTIVATION_RULES[letter]
    axes = (axes,) if isinstance(axes, str) else (axes or ())
    return 1 if mesh.empty else math.prod(mesh.shape[axis] for axis in axes)


def platform() -> str:
    """What will be computed on: 'cpu', 'gpu' or 'tpu', of the mesh that is set or by default."""
    device = jax.sharding.get_abstract_mesh().abstract_device
    return device.platform if device else jax.default_backend()


def constrain(x: jax.Array, letters: str) -> jax.Array:
    """States an activation's sharding, where a mesh is set (`jax.set_mesh`); else does nothing."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty:
        return x
    entries = []
    for entry, size in zip(activation_spec(letters), x.shape, strict=True):
        axes = (entry,) if isinstance(entry, str) else (entry or ())
        divides = size % math.prod(mesh.shape[axis] for axis in axes) == 0
        entries.append(entry if divides else None)
    return jax.lax.with_sharding_constraint(x, PartitionSpec(*entries))


def table(mesh: Mesh, letters: Mapping[str, str], abstract: Mapping[str, Any]) -> str:
    """A printable table of what is split, what is replicated, and what a device holds."""
    rows = [("parameter", "axes", "shape", "dtype", "split over", "MB/device")]
    total = 0
    for name, leaf in abstract.items():
        spec = parameter_spec(mesh, name, letters[name], leaf.shape)
        parts = math.prod(mesh.shape[axis] for axis in spec if axis is not None)
        per_device = math.prod(leaf.shape) * np.dtype(leaf.dtype).itemsize // parts
        total += per_device
        split = ", ".join(
            f"{letter}:{axis}"
            for letter, axis in zip(letters[name].split(), spec, strict=True)
            if axis is not None and mesh.shape[axis] > 1
        )
        kept = [
            letter
            for letter, axis in zip(letters[name].split(), spec, strict=True)
            if axis is None
            and (rule := PARAMETER_RULES[letter]) is not None
            and mesh.shape[rule] > 1
        ]
        note = f" ({', '.join(kept)} indivisible)" if kept else ""
        rows.append(
            (
                name,
                letters[name],
                "×".join(map(str, leaf.shape)),
                str(np.dtype(leaf.dtype)),
                (split or "replicated") + note,
                f"{per_device / 1e6:.2f}",
            )
        )
    rows.append(("total", "", "", "", "", f"{total / 1e6:.2f}"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    sizes = ", ".join(f"{axis} {size}" for axis, size in mesh.shape.items())
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([f"mesh: {sizes} ({mesh.size} devices)", *lines])
