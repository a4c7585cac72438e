"""Moves parameters between files and a family's names, both ways through one table.

Strict on purpose: each of the file's tensors meets exactly one entry of the table, each parameter
is filled exactly once, or nothing is read and one error lists all that is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import einops
import jax
import ml_dtypes
import numpy as np

from ift_jax.checkpoints import names
from ift_jax.checkpoints.safetensors import INTEGERS, Header

_LISTED = 10  # of one kind of mistake: a wrong size of config.json touches every layer's tensors


_LARGEST_FLOAT16 = float(np.finfo(np.float16).max)


class TransferError(ValueError):
    """A file and a family's table that do not fit each other."""


class Stored(Protocol):
    """What a file says of a tensor: its shape, and its type as the file names it ('BF16')."""

    shape: tuple[int, ...]
    kind: str


class Reader(Protocol):
    """An opened file of any format."""

    tensors: Mapping[str, Stored]

    def read(self, name: str) -> np.ndarray: ...


class _Joint(NamedTuple):
    """One Tensor entry with the sizes of its letters known: the two directions of its pattern."""

    entry: names.Tensor
    sizes: tuple[dict[str, int], ...]
    layers: int | None

    @property
    def whole(self) -> dict[str, int]:
        """Sizes of the letters in the file's tensor, all parts together."""
        along = self.entry.along
        if along is None:
            return self.sizes[0]
        return {**self.sizes[0], along: sum(sizes[along] for sizes in self.sizes)}

    @property
    def file_shape(self) -> tuple[int, ...]:
        return names.file_shape(self.entry.parts[0], self.whole)

    def split(self, array: np.ndarray) -> list[np.ndarray]:
        """The file's tensor as its parameters' arrays (one layer's)."""
        file, flat = self._file_side()
        axes = einops.rearrange(array, f"{file} -> {flat}", **self.whole)
        if self.entry.along is None:
            pieces = [axes]
        else:
            ends = np.cumsum([sizes[self.entry.along] for sizes in self.sizes])[:-1]
            pieces = np.split(axes, ends, flat.split().index(self.entry.along))
        return [
            einops.rearrange(piece, f"{flat} -> {_param_side(part)}", **sizes)
            for piece, part, sizes in zip(pieces, self.entry.parts, self.sizes, strict=True)
        ]

    def join(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """The inverse of `split`."""
        file, flat = self._file_side()
        pieces = [
            einops.rearrange(array, f"{_param_side(part)} -> {flat}", **sizes)
            for array, part, sizes in zip(arrays, self.entry.parts, self.sizes, strict=True)
        ]
        if self.entry.along is not None:
            axes = np.concatenate(pieces, flat.split().index(self.entry.along))
        else:
            (axes,) = pieces
        return einops.rearrange(axes, f"{flat} -> {file}", **self.whole)

    def _file_side(self) -> tuple[str, str]:
        """The pattern's side of the file, and the same letters as an axis each."""
        file = self.entry.parts[0].pattern.partition("->")[0].strip()
        return file, " ".join(names.letters(self.entry.parts[0].sides[0]))


def _param_side(part: names.Part) -> str:
    return part.pattern.partition("->")[2].strip()


def import_params(
    source: Reader,
    table: Sequence[names.Entry],
    config: Any,
    abstract: Mapping[str, jax.ShapeDtypeStruct],
    dtype: Any = None,
    place: Callable[[str, np.ndarray], Any] = lambda name, array: array,
) -> dict[str, Any]:
    """A family's parameters out of a file.

    Tensors are read one layer at a time into stacked arrays that are allocated once, so beside
    the result no more than one of the file's tensors is in memory.

    Args:
        source: an opened file: headers in `tensors`, values by `read(name)`.
        table: the family's entries for this kind of file.
        config: the family's Config, with the dimension letters as fields.
        abstract: shape and dtype of each parameter.
        dtype: what all parameters become; by default each its dtype in `abstract`.
        place: called with each parameter when it is filled; what it returns (such as an array on
            devices) takes the NumPy array's place.

    Raises:
        TransferError: tensors are missing, unknown, or of a wrong shape or dtype; an alias
            differs from its original; a derived tensor differs from what the config says.
    """
    table = names.settle(table, source.tensors)
    joints = _joints(table, config, {name: leaf.shape for name, leaf in abstract.items()})
    _check_names(source.tensors, table, joints, config)
    _check_copies(source, table, config)
    params = {}
    for joint in joints:
        parts = joint.entry.parts
        stacks = [
            np.empty(leaf.shape, leaf.dtype if dtype is None else dtype)
            for leaf in (abstract[part.param] for part in parts)
        ]
        for layer, file_name in enumerate(names.expand(joint.entry.file_name, config)):
            for stacked, array in zip(stacks, joint.split(source.read(file_name)), strict=True):
                stacked[... if joint.layers is None else layer] = array
        for part, stacked in zip(parts, stacks, strict=True):
            params[part.param] = place(part.param, stacked)
    return params


class Export:
    """Parameters under a file's names: a `safetensors.Source` that makes a tensor when asked."""

    def __init__(
        self,
        params: Mapping[str, Any],
        table: Sequence[names.Entry],
        config: Any,
        dtype: Any = None,
    ):
        """Prepares an export.

        Args:
            params: arrays by parameter name.
            table: the family's entries for this kind of file.
            config: the family's Config.
            dtype: what all tensors become; by default each its parameter's.
        """
        self._params = params
        self._where = {}
        self.tensors = {}
        shapes = {name: leaf.shape for name, leaf in params.items()}
        for joint in _joints(names.settle(table), config, shapes):
            kept = np.dtype(params[joint.entry.parts[0].param].dtype if dtype is None else dtype)
            for layer, name in enumerate(names.expand(joint.entry.file_name, config)):
                self._where[name] = joint, layer
                self.tensors[name] = Header(joint.file_shape, kept)

    def read(self, name: str) -> np.ndarray:
        """One tensor as the file has it.

        Raises:
            TransferError: a value that float16, where that is asked for, has no place for.
        """
        joint, layer = self._where[name]
        arrays = [self._params[part.param] for part in joint.entry.parts]
        if joint.layers is not None:
            arrays = [array[layer] for array in arrays]
        array = joint.join([np.asarray(array) for array in arrays])
        dtype = self.tensors[name].dtype
        if dtype == np.float16 and (largest := float(np.abs(array).max())) > _LARGEST_FLOAT16:
            raise TransferError(
                f"{name} has a value of {largest:g}, and float16 ends at {_LARGEST_FLOAT16:g}:"
                " write bfloat16 or float32"
            )
        return array.astype(dtype, copy=False)


def export_tensors(
    params: Mapping[str, Any], table: Sequence[names.Entry], config: Any, dtype: Any = None
) -> Export:
    """The table backwards: the file's tensors, each made when it is read."""
    return Export(params, table, config, dtype)


def _joints(
    table: Sequence[names.Entry], config: Any, shapes: Mapping[str, tuple[int, ...]]
) -> list[_Joint]:
    """The table's Tensor entries, bound; each parameter is filled by exactly one."""
    letters = {
        name: size
        for name, size in vars(config).items()
        if len(name) == 1 and isinstance(size, int)
    }
    filled: list[str] = []
    joints = []
    for entry in table:
        if not isinstance(entry, names.Tensor):
            continue
        count = names.layers(entry.file_name, config)
        sizes = []
        for part in entry.parts:
            if part.param not in shapes:
                raise TransferError(
                    f"the table maps {entry.file_name} to {part.param}, which the model lacks"
                )
            filled.append(part.param)
            shape = tuple(shapes[part.param])
            if count is not None and shape[:1] != (count,):
                raise TransferError(
                    f"{part.param} has shape {shape}, but {entry.file_name} stands for {count}"
                    " layers: its leading axis should be theirs"
                )
            shape = shape if count is None else shape[1:]
            try:
                sizes.append(names.bind(part, shape, {**letters, **dict(entry.sizes)}))
            except ValueError as error:
                raise TransferError(f"{entry.file_name}: {error}") from error
        joints.append(_Joint(entry, tuple(sizes), count))
    if twice := {name for name in filled if filled.count(name) > 1}:
        raise TransferError(f"the table fills twice: {', '.join(sorted(twice))}")
    if never := shapes.keys() - filled:
        raise TransferError(f"the table never fills: {', '.join(sorted(never))}")
    return joints


def _check_names(
    tensors: Mapping[str, Any],
    table: Sequence[names.Entry],
    joints: Sequence[_Joint],
    config: Any,
) -> None:
    """Every tensor is known and of the expected shape, and none is missing."""
    expected = {
        name: joint.file_shape
        for joint in joints
        for name in names.expand(joint.entry.file_name, config)
    }
    known = [name for entry in table for name in names.expand(entry.file_name, config)]
    if len(set(known)) < len(known):
        twice = next(name for name in known if known.count(name) > 1)
        raise TransferError(f"the table has more than one entry for {twice}")
    present = expected.keys() & tensors.keys()
    seen = {name: tuple(tensors[name].shape) for name in present}
    problems = [
        *_listed(
            "missing from the file",
            (f"{name} {expected[name]}" for name in expected.keys() - tensors.keys()),
        ),
        *_listed(
            "in the file and not in the family's table",
            (f"{name} {tuple(tensors[name].shape)}" for name in tensors.keys() - set(known)),
        ),
        *_listed(
            "of a wrong shape",
            (
                f"{name} {shape}, expected {expected[name]}"
                for name, shape in seen.items()
                if shape != expected[name]
            ),
        ),
        *_listed(
            "of a wrong dtype",
            (
                f"{name} {tensors[name].kind}, expected floating point"
                for name in present
                if tensors[name].kind in INTEGERS
            ),
        ),
    ]
    if problems:
        raise TransferError(
            "the file does not hold this model; is the config its own, and the file complete?\n"
            + "\n".join(problems)
        )


def _listed(what: str, found: Iterable[str]) -> list[str]:
    found = sorted(found)
    if not found:
        return []
    more = [f"  … and {len(found) - _LISTED} more"] if len(found) > _LISTED else []
    return [f"{len(found)} {what}:", *(f"  {line}" for line in found[:_LISTED]), *more]


def _check_copies(source: Reader, table: Sequence[names.Entry], config: Any) -> None:
    """Aliases and derived tensors, where the file has them, hold what they must."""
    for entry in table:
        if isinstance(entry, names.Tensor):
            continue
        for layer, name in enumerate(names.expand(entry.file_name, config)):
            if name not in source.tensors:
                continue
            seen = source.read(name)
            if isinstance(entry, names.Alias):
                of = names.expand(entry.of, config)
                _check_alias(source, name, seen, of[layer if len(of) > 1 else 0])
            else:
                _check_derived(source, name, seen, np.asarray(entry.compute(config)))


def _check_alias(source: Reader, name: str, seen: np.ndarray, of: str) -> None:
    original = source.read(of)
    if seen.dtype != original.dtype or seen.shape != original.shape:
        raise TransferError(
            f"{name} is {seen.dtype}{seen.shape}, expected to be the same tensor as {of},"
            f" {original.dtype}{original.shape}"
        )
    differing = np.count_nonzero(_bits(seen) != _bits(original))
    if differing:
        raise TransferError(
            f"{name} must equal {of} bit for bit, as the model of this config has one for both, but"
            f" {differing} of {seen.size} values differ; if both are meant, the config must say"
            " that they aren't tied, where the family allows that"
        )


def _bits(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}")


def _check_derived(source: Reader, name: str, seen: np.ndarray, expected: np.ndarray) -> None:
    if source.tensors[name].kind in INTEGERS or seen.shape != expected.shape:
        raise TransferError(
            f"{name} is {seen.dtype}{seen.shape}, expected floats of shape {expected.shape}"
        )
    # Rounding to the stored dtype, and float32 arithmetic before it.
    kind = ml_dtypes.finfo(seen.dtype)
    close = np.isclose(
        seen.astype(np.float64),
        expected.astype(np.float64),
        rtol=max(1e-5, float(kind.eps)),
        atol=float(kind.smallest_subnormal),
    )
    if not close.all():
        at = int(np.argmin(close))
        raise TransferError(
            f"{name} does not hold what the config says: value {at} is {seen.flat[at]}, expected"
            f" {expected.flat[at]}; is the config this file's own?"
        )
