"""Kinds of entries of an import table: how a file's tensors become a family's parameters.

A table is a tuple of entries, read forwards by an import and backwards by an export. In a
tensor's name `{L}` stands for a layer's number, counted by the Config's field `L`; the layers
are stacked along the parameter's leading axis.

Rearrangements are einops patterns, file on the left and parameter (without its leading L) on the
right. Capitals are the dimension key's letters, sized by the Config. A lower-case letter is a
factor local to the pattern: its size is given with the entry, or follows from the parameter's
shape.

    tensor("model.layers.{L}.self_attn.q_proj.weight", "layers.q.w", "(N H) D -> D N H")
    tensor("blk.{L}.attn_q.weight", "layers.q.w", "(N h r) D -> D N (r h)", r=2)

The second undoes the order that GGUF gives to rotary pairs: rows come as (h r), neighbours in a
pair, and leave as (r h), halves.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Part:
    """One parameter of a file tensor, and the pattern between the two."""

    param: str
    pattern: str

    @property
    def sides(self) -> tuple[list[list[str]], list[list[str]]]:
        """The pattern's axes on each side, each a list of the letters it multiplies."""
        file, arrow, param = self.pattern.partition("->")
        if not arrow:
            raise ValueError(f"{self.param}: pattern {self.pattern!r} has no '->'")
        sides = _axes(file), _axes(param)
        left, right = (letters(side) for side in sides)
        if set(left) != set(right) or len(left) != len(set(left)) or len(right) != len(left):
            raise ValueError(
                f"{self.param}: pattern {self.pattern!r} must have the same letters on both sides,"
                " once each"
            )
        return sides


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A file tensor that holds one parameter, or several joined along the local factor `along`."""

    file_name: str
    parts: tuple[Part, ...]
    along: str | None = None
    sizes: tuple[tuple[str, int], ...] = ()


@dataclasses.dataclass(frozen=True)
class Alias:
    """A file tensor that may be there, and must then equal another one bit for bit.

    It fills no parameter and is not exported: readers tie the two by their own config.
    """

    file_name: str
    of: str


@dataclasses.dataclass(frozen=True)
class Derived:
    """A file tensor that may be there, and must then hold what the config already says.

    It is compared within the rounding of the dtype it is stored in, then dropped; not exported.
    """

    file_name: str
    compute: Callable[[Any], np.ndarray]


Entry = Tensor | Alias | Derived


def tensor(file_name: str, param: str, pattern: str, **sizes: int) -> Tensor:
    """One file tensor is one parameter; `sizes` are those of lower-case factors."""
    return Tensor(file_name, (Part(param, pattern),), None, tuple(sizes.items()))


def fused(file_name: str, along: str, parts: Mapping[str, str], **sizes: int) -> Tensor:
    """One file tensor is several parameters, one after another along the factor `along`.

    The factor's size in each part follows from that parameter's shape. Falcon's groups of heads,
    each G queries, a key and a value:

        fused(
            "transformer.h.{L}.self_attention.query_key_value.weight",
            "m",
            {
                "layers.q.w": "(K m H) D -> D (K m) H",
                "layers.k.w": "(K m H) D -> D (K m) H",
                "layers.v.w": "(K m H) D -> D (K m) H",
            },
        )
    """
    made = tuple(Part(param, pattern) for param, pattern in parts.items())
    if len({part.pattern.partition("->")[0].strip() for part in made}) != 1:
        raise ValueError(f"{file_name}: the parts' patterns differ on the file's side")
    if not all(along in letters(part.sides[0]) for part in made):
        raise ValueError(f"{file_name}: no factor {along!r} in the patterns to join along")
    return Tensor(file_name, made, along, tuple(sizes.items()))


def alias(file_name: str, of: str) -> Alias:
    """A second name of a file tensor, such as a tied output projection."""
    return Alias(file_name, of)


def derived(file_name: str, compute: Callable[[Any], np.ndarray]) -> Derived:
    """A buffer that follows from the config, such as rotary frequencies."""
    return Derived(file_name, compute)


def settle(table: Sequence[Entry], file_names: Collection[str] | None = None) -> list[Entry]:
    """The table with its names' bracketed prefixes written out, or dropped if a file has none.

    Args:
        table: a family's entries.
        file_names: the file's; None for a file to be written.
    """

    def settled(name: str) -> str:
        _, bracket, rest = name.partition("[")
        if not bracket:
            return name
        prefix, _, rest = rest.partition("]")
        kept = file_names is None or any(seen.startswith(prefix) for seen in file_names)
        return prefix * kept + rest

    return [
        dataclasses.replace(
            entry,
            file_name=settled(entry.file_name),
            **({"of": settled(entry.of)} if isinstance(entry, Alias) else {}),
        )
        for entry in table
    ]


def letters(axes: Sequence[Sequence[str]]) -> list[str]:
    """All letters of one side of a pattern, in order."""
    return [letter for axis in axes for letter in axis]


def layers(file_name: str, config: Any) -> int | None:
    """How many layers a file name stands for; None for a name without a `{LETTER}`."""
    found = re.search(r"\{(\w+)\}", file_name)
    return getattr(config, found[1]) if found else None


def expand(file_name: str, config: Any) -> list[str]:
    """The names that a file name stands for, one a layer."""
    count = layers(file_name, config)
    if count is None:
        return [file_name]
    return [re.sub(r"\{\w+\}", str(layer), file_name) for layer in range(count)]


def bind(part: Part, shape: tuple[int, ...], known: Mapping[str, int]) -> dict[str, int]:
    """Sizes of all letters of a part's pattern, from its parameter's shape (one layer's).

    Raises:
        ValueError: the shape cannot be written in the pattern's letters with the known sizes.
    """
    _, axes = part.sides
    wrong = ValueError(
        f"parameter {part.param} has shape {shape}, which is not {part.pattern!r} with"
        f" {', '.join(f'{k}={v}' for k, v in known.items() if k in part.pattern)}"
    )
    if len(axes) != len(shape):
        raise wrong
    sizes = {letter: known[letter] for axis in axes for letter in axis if letter in known}
    for axis, size in zip(axes, shape, strict=True):
        given = math.prod(sizes.get(letter, 1) for letter in axis)
        unknown = [letter for letter in axis if letter not in sizes]
        if len(unknown) > 1 or given == 0 or size % given:
            raise wrong
        if unknown:
            sizes[unknown[0]] = size // given
        elif size != given:
            raise wrong
    return sizes


def file_shape(part: Part, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """The shape of the file's tensor for given sizes of the letters."""
    return tuple(math.prod(sizes[letter] for letter in axis) for axis in part.sides[0])


def _axes(side: str) -> list[list[str]]:
    """'(N H) D' → [['N', 'H'], ['D']]."""
    axes = re.findall(r"\([^()]*\)|\S+", side)
    if not axes or not all(re.fullmatch(r"\([A-Za-z]( [A-Za-z])*\)|[A-Za-z]", x) for x in axes):
        raise ValueError(f"cannot read {side.strip()!r} as axes such as '(N H) D'")
    return [axis.strip("()").split() for axis in axes]
