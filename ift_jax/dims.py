"""The dimension key: one capital letter an axis, the same everywhere in this package.

A letter means the same axis in a variable's suffix (`q_BTNH`), in an einsum, in a logical
sharding axis, in an import table, and as a field of a model's Config.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax

KEY = {
    "B": "batch (packed rows)",
    "T": "query length (decoder)",
    "S": "key length (cache)",
    "E": "encoder length",
    "L": "layers",
    "D": "model width",
    "W": "embedding width, where it is not D",
    "N": "query heads",
    "K": "key/value heads",
    "G": "query heads per key/value head, N/K",
    "M": "fused heads a group",
    "H": "head size",
    "F": "MLP width",
    "V": "vocabulary",
    "P": "learned positions",
    "R": "relative-position buckets",
    "C": "answer choices; tokens that a sample is drawn from",
    "Q": "questions",
    "U": "rows that others follow",
    "X": "scored tokens of a question row",
    "A": "accumulation steps",
    "Z": "adapter rank",
}

PADDING = 0
"""Segment id of padding: it attends to nothing and nothing attends to it."""

SHARED = -1
"""Segment id of a prefix that every segment of its row may attend to."""

BRANCHES = 1 << 16
"""A segment id that is a multiple of it is a trunk: the ids up to the next may attend to it."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Batch:
    """Packed rows. Everything a model needs to know about order and borders is in two arrays.

    Attention is allowed from a query to a key when their segments are equal (or the key's is
    SHARED, or the trunk of the query's, see BRANCHES), neither is PADDING, and the key's position
    is not after the query's.

    Attributes:
        tokens_BT: int32 token ids.
        positions_BT: int32 position of each token within its own example, from 0.
        segments_BT: int32 example number within the row, from 1; PADDING (0) after the last one,
            SHARED (-1) for a prefix that several continuations in the row have in common.
        targets_BT: int32 next token of the same example; None where nothing is trained.
        weights_BT: float32, 1 where the target is trained on, else 0; None likewise. Rows
            with weights are causal in array order: within an example positions ascend, and no
            SHARED prefix or trunk stands after a token that sees it. Attention relies on it
            (`layers.attention.attend`, `ordered`).
        enc_tokens_BE, enc_positions_BE, enc_segments_BE: what an encoder reads, as above; None for
            a decoder-only model. Tokens of a segment see the encoder's states of the same segment,
            and SHARED ones.
    """

    tokens_BT: Any
    positions_BT: Any
    segments_BT: Any
    targets_BT: Any = None
    weights_BT: Any = None
    enc_tokens_BE: Any = None
    enc_positions_BE: Any = None
    enc_segments_BE: Any = None


def check(sizes: Mapping[str, int] | object, /, **arrays: Any) -> dict[str, int]:
    """Checks that arrays have the shapes that their names' suffixes state.

    Args:
        sizes: known sizes, as a mapping or an object with letters for attributes (a Config).
            Letters that it lacks are bound by the first array that has them.
        **arrays: arrays named `<anything>_<LETTERS>`, such as `x_BTD=x`.

    Returns:
        The size of each letter met.

    Raises:
        ValueError: an array's rank or size disagrees; names the array, axis, sizes seen and
            expected.
    """
    bound: dict[str, int] = {}

    def size_of(letter: str) -> int | None:
        if letter in bound:
            return bound[letter]
        known = sizes.get(letter) if isinstance(sizes, Mapping) else getattr(sizes, letter, None)
        return known if isinstance(known, int) else None

    for name, array in arrays.items():
        letters = name.rpartition("_")[2]
        shape = tuple(array.shape)
        if len(shape) != len(letters):
            raise ValueError(
                f"{name}: {len(shape)} axes {shape}, expected {len(letters)} ({' '.join(letters)})"
            )
        for letter, size in zip(letters, shape, strict=True):
            expected = size_of(letter)
            if expected is not None and expected != size:
                meaning = KEY.get(letter, "unknown letter")
                raise ValueError(
                    f"{name}: axis {letter} ({meaning}) is {size}, expected {expected};"
                    f" whole shape {shape}"
                )
            bound[letter] = size
    return bound
