"""Rows, as `evals.layout` makes them, in batches of few static shapes."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ift_jax.dims import PADDING, SHARED, Batch
from ift_jax.evals.layout import Group, Row, bucket

LOGIT_BYTES = 1 << 28
"""A device's float32 logits of a batch are at most so many bytes, if one row's are."""


class Shape(NamedTuple):
    """The shape of a batch: B rows of T tokens (and E encoded), of which U are read, X scored."""

    B: int
    T: int
    E: int
    U: int
    X: int


def widths(groups: Sequence[Group]) -> dict[tuple[int, int], tuple[int, int]]:
    """For rows of each length, the U and X that hold the most read and scored of any."""
    found: dict[tuple[int, int], tuple[int, int]] = {}
    for row in itertools.chain.from_iterable(group.rows for group in groups):
        U, X = found.get(_lengths(row), (1, 1))
        found[_lengths(row)] = (
            max(U, bucket(len(row.reads), 4)),
            max(X, bucket(len(row.scored), 4)),
        )
    return found


def make(
    rows: Sequence[Row],
    read_and_scored: Mapping[tuple[int, int], tuple[int, int]],
    *,
    V: int,
    tokens: int,
    parts: int,
) -> Iterator[tuple[list[Row], Shape]]:
    """Groups rows that are padded to the same lengths T and E.

    Args:
        rows: to be batched.
        read_and_scored: see `widths`.
        V: vocabulary size.
        tokens: at most so many are in a part of a batch, if one row has no more.
        parts: B divides into so many, as rows are split over devices.

    Yields:
        Rows, sorted by lengths, else in their order; and the shape of their batch, whose B may be
        more than there are rows.
    """
    members = collections.defaultdict(list)
    for row in rows:
        members[_lengths(row)].append(row)
    for (T, E), same in sorted(members.items()):
        U, X = read_and_scored[T, E]
        most = max(1, min(tokens // (T + E), LOGIT_BYTES // (4 * U * V)))
        most = 1 << (most.bit_length() - 1)
        while same:
            batch = same[: most * parts]
            B = math.ceil(len(batch) / parts)
            # A power of two, filled up if that takes little: few shapes, few empty rows.
            more = 1 << (B - 1).bit_length()
            B = more if 8 * (more - B) <= more else more // 2
            batch, same = same[: B * parts], same[B * parts :]
            yield batch, Shape(B * parts, T, E, U, X)


def arrays(rows: Sequence[Row], shape: Shape) -> tuple[Batch, np.ndarray, np.ndarray, np.ndarray]:
    """Rows as a batch, and what is asked of it: places_BU, reads_BX, labels_BX; int32.

    What rows lack is padded: tokens by PADDING segments, places and what is scored by zeros, whose
    results nobody reads.
    """

    def padded(lists: Sequence[Sequence[int]], width: int, fill: int = 0) -> np.ndarray:
        array = np.full((shape.B, width), fill, np.int32)
        for b, values in enumerate(lists):
            array[b, : len(values)] = values
        return array

    batch = Batch(
        tokens_BT=padded([row.tokens for row in rows], shape.T),
        positions_BT=padded([row.positions for row in rows], shape.T),
        segments_BT=padded([row.segments for row in rows], shape.T, PADDING),
    )
    if shape.E:
        encoded = [row.encoded for row in rows]
        batch = dataclasses.replace(
            batch,
            enc_tokens_BE=padded(encoded, shape.E),
            enc_positions_BE=padded([range(len(x)) for x in encoded], shape.E),
            enc_segments_BE=padded([[SHARED] * len(x) for x in encoded], shape.E, PADDING),
        )
    return (
        batch,
        padded([row.reads for row in rows], shape.U),
        padded([[scored.read for scored in row.scored] for row in rows], shape.X),
        padded([[scored.label for scored in row.scored] for row in rows], shape.X),
    )


def _lengths(row: Row) -> tuple[int, int]:
    """The lengths T and E that a row is padded to."""
    return row.length, bucket(len(row.encoded), 32, quarters=True) if row.encoded else 0
