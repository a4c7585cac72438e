"""Attention over packed rows, and the key/value cache.

Who may look at whom comes from positions and segments alone, so one function serves packed
training rows, right-padded batches, cached decoding, and several continuations of one prefix.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from ift_jax.dims import PADDING, SHARED, Batch, check


def visible(
    positions_BT: jax.Array,
    segments_BT: jax.Array,
    key_positions_BS: jax.Array,
    key_segments_BS: jax.Array,
) -> jax.Array:
    """Which keys each query may attend to: bool visible_BTS.

    Same segment or a SHARED key, neither of them PADDING, and the key not after the query.
    """
    queries, keys = segments_BT[:, :, None], key_segments_BS[:, None, :]
    together = (queries == keys) | (keys == SHARED)
    earlier = key_positions_BS[:, None, :] <= positions_BT[:, :, None]
    return together & earlier & (keys != PADDING) & (queries != PADDING)


def attend(
    q_BTNH: jax.Array, k_BSKH: jax.Array, v_BSKH: jax.Array, visible_BTS: jax.Array
) -> jax.Array:
    """Scaled dot-product attention with N query heads on K key/value heads (GQA; MHA for K = N).

    Scores and softmax in float32. A query that sees no key (padding) gets zeros.

    Returns:
        x_BTNH in q's dtype.
    """
    sizes = check({}, q_BTNH=q_BTNH, k_BSKH=k_BSKH, v_BSKH=v_BSKH, visible_BTS=visible_BTS)
    B, T, N, H, K = (sizes[letter] for letter in "BTNHK")
    q_BTKGH = q_BTNH.reshape(B, T, K, N // K, H)
    scores_BKGTS = jnp.einsum(
        "BTKGH,BSKH->BKGTS", q_BTKGH, k_BSKH, preferred_element_type=jnp.float32
    )
    mask_B11TS = visible_BTS[:, None, None]
    # Finite, so that a row without any visible key gives no NaN, forwards or backwards.
    scores_BKGTS = jnp.where(mask_B11TS, scores_BKGTS * H**-0.5, -1e30)
    weights_BKGTS = jnp.where(mask_B11TS, jax.nn.softmax(scores_BKGTS, axis=-1), 0)
    x_BTKGH = jnp.einsum("BKGTS,BSKH->BTKGH", weights_BKGTS.astype(v_BSKH.dtype), v_BSKH)
    return x_BTKGH.reshape(B, T, N, H)


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
