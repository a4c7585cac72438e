"""Attention over packed rows, and the key/value cache.

Who may look at whom comes from positions and segments alone, so one function serves packed
training rows, right-padded batches, cached decoding, and several continuations of one prefix.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from ift_jax.dims import BRANCHES, PADDING, SHARED, Batch, check
from ift_jax.layers.linear import product
from ift_jax.layers.stack import OUTPUT
from ift_jax.sharding import parts


def visible(
    positions_BT: jax.Array,
    segments_BT: jax.Array,
    key_positions_BS: jax.Array,
    key_segments_BS: jax.Array,
) -> jax.Array:
    """Which keys each query may attend to: bool visible_BTS.

    Those of its own example (see `together`) that are not after it.
    """
    earlier = key_positions_BS[:, None, :] <= positions_BT[:, :, None]
    return together(segments_BT, key_segments_BS) & earlier


def together(segments_BT: jax.Array, key_segments_BS: jax.Array) -> jax.Array:
    """Which keys are of each query's own example, before it or after: bool together_BTS.

    Same segment, or a SHARED key, or one of the query's trunk; neither of them PADDING.
    """
    queries, keys = segments_BT[:, :, None], key_segments_BS[:, None, :]
    same = (queries == keys) | (keys == SHARED) | (keys == queries - queries % BRANCHES)
    return same & (keys != PADDING) & (queries != PADDING)


Bias = Callable[[jax.Array], jax.Array]
"""What is added to the scores of queries at positions_BT: float32, broadcast to bias_BNTS.

A function, so that no more of it than a block of queries' is ever in memory.
"""


QUERY_BLOCK = 128
"""Rows of several times so many tokens are attended from in blocks of so many queries, whose
scores stay in the cache."""


CAUSAL_PARTS = (4, 2)
"""Of rows in order, the queries of each of so many parts meet the keys of no later part: with four,
5/8 of all pairs of queries and keys are computed, of which half can be needed."""

LEAST_PART = 128
"""Parts of fewer queries would make small products."""

KEPT = 256
"""Of rows of more tokens no scores are kept for the backward pass, which makes them again: all
would be N·T·S floats a row."""


def attend(
    q_BTNH: jax.Array,
    k_BSKH: jax.Array,
    v_BSKH: jax.Array,
    visible_BTS: jax.Array,
    *,
    scale: float | None = None,
    bias: Bias | None = None,
    positions_BT: jax.Array | None = None,
    ordered: bool = False,
) -> jax.Array:
    """Scaled dot-product attention with N query heads on K key/value heads (GQA; MHA for K = N).

    Scores and softmax in float32. A query that sees no key (padding) gets zeros.

    Args:
        q_BTNH: queries.
        k_BSKH: keys.
        v_BSKH: values.
        visible_BTS: which keys each query may attend to.
        scale: of the products of queries and keys; None is H^-½.
        bias: added to the scaled products; needs the queries' `positions_BT`.
        positions_BT: what `bias` is called with.
        ordered: whether queries and keys are the same tokens (S = T), of which none sees one that
            stands after it in the arrays. What it would see there is left out.

    Returns:
        x_BTNH in q's dtype.
    """
    sizes = check({}, q_BTNH=q_BTNH, k_BSKH=k_BSKH, v_BSKH=v_BSKH, visible_BTS=visible_BTS)
    B, T, N, H, K = (sizes[letter] for letter in "BTNHK")
    q_BTKGH = q_BTNH.reshape(B, T, K, N // K, H)
    scale = H**-0.5 if scale is None else scale
    if ordered and sizes["S"] != T:
        raise ValueError(f"{T} queries and {sizes['S']} keys: rows in order have as many of both")
    run = _attend_ordered if ordered else _attend
    arrays = q_BTKGH, k_BSKH, v_BSKH, visible_BTS
    part = run(*arrays, scale, bias, positions_BT, keep_scores=T <= KEPT)
    # What the gradient of the division by the weights' sum needs.
    part = jax.tree.map(lambda x: checkpoint_name(x, OUTPUT), part)
    return part.finish().reshape(B, T, N, H).astype(q_BTNH.dtype)


def attend_after(
    q_BTNH: jax.Array,
    k_BTKH: jax.Array,
    v_BTKH: jax.Array,
    batch: Batch,
    cached: tuple[jax.Array, jax.Array],
    cache: Cache,
    *,
    bias: Callable[[jax.Array], Bias | None],
) -> jax.Array:
    """Attention of rows on themselves and on what they follow, which several of them share.

    Of B rows and U cached ones, the first B/U rows follow the first of these, and so on. Their
    queries meet its keys as one long row's, in few large products.

    Args:
        q_BTNH, k_BTKH, v_BTKH: the rows' own. In a row no token sees one that stands after it.
        batch: the rows.
        cached: a layer's k_USKH and v_USKH.
        cache: where those stand.
        bias: makes of key positions what is added to their scores.

    Returns:
        x_BTNH in q's dtype.
    """
    sizes = check({}, q_BTNH=q_BTNH, k_BTKH=k_BTKH, v_BTKH=v_BTKH)
    B, T, N, H, K = (sizes[letter] for letter in "BTNHK")
    U = cache.segments_BS.shape[0]

    def part(run, rows: int, k_BSKH, v_BSKH, key_positions_BS, key_segments_BS) -> _Part:
        q_BTKGH = q_BTNH.reshape(rows, -1, K, N // K, H)
        positions_BT = batch.positions_BT.reshape(rows, -1)
        segments_BT = batch.segments_BT.reshape(rows, -1)
        visible_BTS = visible(positions_BT, segments_BT, key_positions_BS, key_segments_BS)
        of_keys = bias(key_positions_BS)
        arrays = q_BTKGH, k_BSKH, v_BSKH, visible_BTS
        # Nothing goes backwards through a cache.
        return run(*arrays, H**-0.5, of_keys, positions_BT, keep_scores=True)

    own = part(_attend_ordered, B, k_BTKH, v_BTKH, batch.positions_BT, batch.segments_BT)
    followed = part(_attend, U, *cached, cache.positions_BS, cache.segments_BS)
    followed = jax.tree.map(lambda x: x.reshape(B, T, *x.shape[2:]), followed)
    return own.joined(followed).finish().reshape(B, T, N, H).astype(q_BTNH.dtype)


class _Part(NamedTuple):
    """Attention on some keys, not yet divided by the weights' sum.

    Attributes:
        x_BTKGH: sum of the values, weighted by exp(score - largest).
        largest_BTKG1: the largest score.
        total_BTKG1: sum of the weights.
    """

    x_BTKGH: jax.Array
    largest_BTKG1: jax.Array
    total_BTKG1: jax.Array

    def joined(self, other: _Part) -> _Part:
        """Attention on both parts' keys."""
        largest_BTKG1 = jnp.maximum(self.largest_BTKG1, other.largest_BTKG1)
        mine_BTKG1 = jnp.exp(self.largest_BTKG1 - largest_BTKG1)
        others_BTKG1 = jnp.exp(other.largest_BTKG1 - largest_BTKG1)
        return _Part(
            self.x_BTKGH * mine_BTKG1 + other.x_BTKGH * others_BTKG1,
            largest_BTKG1,
            self.total_BTKG1 * mine_BTKG1 + other.total_BTKG1 * others_BTKG1,
        )

    def finish(self) -> jax.Array:
        """x_BTKGH, zeros where nothing is seen."""
        return self.x_BTKGH / jnp.where(self.total_BTKG1 == 0, 1, self.total_BTKG1)


def _attend_ordered(
    q_BTKGH: jax.Array,
    k_BTKH: jax.Array,
    v_BTKH: jax.Array,
    visible_BTS: jax.Array,
    scale: float,
    bias: Bias | None,
    positions_BT: jax.Array | None,
    *,
    keep_scores: bool,
) -> _Part:
    """Attention of queries on keys that don't stand after them, but for a part's own."""
    T = q_BTKGH.shape[1]
    fitting = (T // count for count in CAUSAL_PARTS if T % count == 0 and T // count >= LEAST_PART)
    # Where positions are split over devices, a part would be one device's work.
    size = next(fitting, T) if parts("T") == 1 else T
    found = []
    for end in range(size, T + 1, size):
        queries, keys = slice(end - size, end), slice(end)
        found.append(
            _attend(
                q_BTKGH[:, queries],
                k_BTKH[:, keys],
                v_BTKH[:, keys],
                visible_BTS[:, queries, keys],
                scale,
                bias and (lambda positions_BT, keys=keys: bias(positions_BT)[..., keys]),
                None if positions_BT is None else positions_BT[:, queries],
                keep_scores=keep_scores,
            )
        )
    return _Part(*(jnp.concatenate(each, axis=1) for each in zip(*found, strict=True)))


def _attend(
    q_BTKGH: jax.Array,
    k_BSKH: jax.Array,
    v_BSKH: jax.Array,
    visible_BTS: jax.Array,
    scale: float,
    bias: Bias | None,
    positions_BT: jax.Array | None,
    *,
    keep_scores: bool,
) -> _Part:
    """Attention in blocks of queries where there are many, whose scores are always made again
    backwards; else `keep_scores` says whether they are kept."""
    B, T = q_BTKGH.shape[:2]

    def attend_block(block: tuple[jax.Array, jax.Array, jax.Array | None]) -> _Part:
        q_BTKGH, visible_BTS, positions_BT = block
        bias_BNTS = None if bias is None else bias(positions_BT)
        return _attend_block(q_BTKGH, k_BSKH, v_BSKH, visible_BTS, scale, bias_BNTS)

    queries = (q_BTKGH, visible_BTS, None if bias is None else positions_BT)
    # Where queries are split over devices, blocks of them would be gathered one by one.
    if T <= QUERY_BLOCK or T % QUERY_BLOCK or parts("T") > 1:
        return (attend_block if keep_scores else jax.checkpoint(attend_block))(queries)
    blocks = jax.tree.map(
        lambda x: jnp.moveaxis(x.reshape(B, -1, QUERY_BLOCK, *x.shape[2:]), 1, 0), queries
    )
    # Backwards, a block's scores are made again: see `KEPT`.
    part = jax.lax.map(jax.checkpoint(attend_block, prevent_cse=False), blocks)
    return jax.tree.map(lambda x: jnp.moveaxis(x, 0, 1).reshape(B, T, *x.shape[3:]), part)


UNSEEN = -1e30
"""The score of a key that isn't seen."""


def _attend_block(
    q_BTKGH: jax.Array,
    k_BSKH: jax.Array,
    v_BSKH: jax.Array,
    visible_BTS: jax.Array,
    scale: float,
    bias_BNTS: jax.Array | None,
) -> _Part:
    """On a CPU the scores' memory costs most: they are neither transposed nor divided, and masked
    once."""
    mask_B1T1S = visible_BTS[:, None, :, None]
    scores_BKTGS = product("BTKGH,BSKH->BKTGS", q_BTKGH, k_BSKH, jnp.float32)
    scores_BKTGS *= scale
    if bias_BNTS is not None:
        B, _, T, S = bias_BNTS.shape
        bias_BKGTS = bias_BNTS.reshape(B, *q_BTKGH.shape[2:4], T, S)
        scores_BKTGS += jnp.moveaxis(bias_BKGTS, 2, 3)
    # Finite, so that a row without any visible key gives no NaN, forwards or backwards.
    scores_BKTGS = jnp.where(mask_B1T1S, scores_BKTGS, UNSEEN)
    largest_BKTG1 = jax.lax.stop_gradient(scores_BKTGS.max(axis=-1, keepdims=True))
    # Its weights are exp(UNSEEN - 0) = 0.
    weights_BKTGS = jnp.exp(scores_BKTGS - jnp.where(largest_BKTG1 > UNSEEN, largest_BKTG1, 0))
    total_BKTG1 = weights_BKTGS.sum(axis=-1, keepdims=True)
    x_BKTGH = product("BKTGS,BSKH->BKTGH", weights_BKTGS.astype(v_BSKH.dtype), v_BSKH, jnp.float32)
    return _Part(*(jnp.moveaxis(x, 2, 1) for x in (x_BKTGH, largest_BKTG1, total_BKTG1)))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Cache:
    """Keys and values of what was read so far, with the two arrays that say who may see them.

    Attributes:
        k_LBSKH, v_LBSKH: rotated keys, and values.
        positions_BS, segments_BS: as in Batch; unwritten slots are PADDING.
        end: int32 scalar, the next slot to be written.
    """

    k_LBSKH: jax.Array
    v_LBSKH: jax.Array
    positions_BS: jax.Array
    segments_BS: jax.Array
    end: jax.Array

    @classmethod
    def empty(cls, *, L: int, B: int, S: int, K: int, H: int, dtype: jnp.dtype) -> Cache:
        """A cache with S free slots a row."""
        return cls(
            k_LBSKH=jnp.zeros((L, B, S, K, H), dtype),
            v_LBSKH=jnp.zeros((L, B, S, K, H), dtype),
            positions_BS=jnp.zeros((B, S), jnp.int32),
            segments_BS=jnp.full((B, S), PADDING, jnp.int32),
            end=jnp.zeros((), jnp.int32),
        )

    def beginning(self, P: jax.Array, S: int) -> Cache:
        """What the cache was after its first P slots were written, with S slots."""

        def resized(x: jax.Array, axis: int) -> jax.Array:
            x = jax.lax.slice_in_dim(x, 0, min(S, x.shape[axis]), axis=axis)
            return jnp.pad(x, [(0, S - x.shape[axis] if a == axis else 0) for a in range(x.ndim)])

        written_S = jnp.arange(S) < P
        return Cache(
            k_LBSKH=resized(self.k_LBSKH, 2),
            v_LBSKH=resized(self.v_LBSKH, 2),
            positions_BS=resized(self.positions_BS, 1),
            segments_BS=jnp.where(written_S, resized(self.segments_BS, 1), PADDING),
            end=jnp.asarray(P, jnp.int32),
        )

    def note(self, batch: Batch) -> Cache:
        """The cache with the positions and segments of a batch's T tokens entered at `end`.

        `end` itself is moved by `advance`, once every layer has written its keys and values.
        """
        return dataclasses.replace(
            self,
            positions_BS=jax.lax.dynamic_update_slice_in_dim(
                self.positions_BS, batch.positions_BT, self.end, axis=1
            ),
            segments_BS=jax.lax.dynamic_update_slice_in_dim(
                self.segments_BS, batch.segments_BT, self.end, axis=1
            ),
        )

    def advance(self, k_LBSKH: jax.Array, v_LBSKH: jax.Array, T: int) -> Cache:
        """The cache with its layers' new keys and values, T slots further."""
        return dataclasses.replace(self, k_LBSKH=k_LBSKH, v_LBSKH=v_LBSKH, end=self.end + T)


def write(cached_BSKH: jax.Array, new_BTKH: jax.Array, end: jax.Array) -> jax.Array:
    """Enters T new keys or values at slot `end`."""
    return jax.lax.dynamic_update_slice_in_dim(
        cached_BSKH, new_BTKH.astype(cached_BSKH.dtype), end, axis=1
    )
