"""Position encodings, read or computed from `positions_BT`, never from array indices."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ift_jax.layers.attention import Bias


def rope_tables(
    positions_BT: jax.Array, H: int, theta: float, divisors_h: np.ndarray | float = 1.0
) -> tuple[jax.Array, jax.Array]:
    """Cosines and sines of rotary position embedding (Su et al. 2021, 2104.09864), float32.

    Frequency h of H/2 is theta^(-2h/H) / divisors_h radians a position.

    Returns:
        (cos_BTh, sin_BTh) with h = H/2.
    """
    frequencies_h = theta ** (-jnp.arange(0, H, 2, dtype=jnp.float32) / H) / divisors_h
    angles_BTh = positions_BT[..., None].astype(jnp.float32) * frequencies_h
    return jnp.cos(angles_BTh), jnp.sin(angles_BTh)


def llama3_divisors(
    H: int, theta: float, factor: float, length: int, low: float, high: float
) -> np.ndarray:
    """divisors_h for `rope_tables` that stretch a context as Llama 3.1 does, float32.

    As `apply_scaling` in Meta's code for it: a frequency that turns fewer than `low` times within
    the `length` first trained on is divided by `factor`, one that turns more than `high` times is
    kept, and those between go from the one to the other linearly in their turns.
    """
    frequencies_h = theta ** (-np.arange(0, H, 2) / H)
    turns_h = length * frequencies_h / (2 * np.pi)
    kept_h = np.clip((turns_h - low) / (high - low), 0, 1)
    return np.float32(1 / (kept_h + (1 - kept_h) / factor))


def rotate(x_BTNH: jax.Array, cos_BTh: jax.Array, sin_BTh: jax.Array) -> jax.Array:
    """Rotates each pair (x[h], x[h + H/2]): Hugging Face's half-split layout, H = (r h), r = 2.

    Meta's and GGUF's files pair neighbours (x[2h], x[2h+1]); the import tables reorder them.
    """
    first, second = jnp.split(x_BTNH.astype(jnp.float32), 2, axis=-1)
    cos, sin = cos_BTh[:, :, None], sin_BTh[:, :, None]
    rotated = jnp.concatenate([first * cos - second * sin, second * cos + first * sin], -1)
    return rotated.astype(x_BTNH.dtype)


def alibi_slopes(N: int, bias_max: int = 8) -> np.ndarray:
    """slopes_N of ALiBi's heads (Press et al. 2021, 2108.12409), float32.

    For a power of two, 2^(-bias_max·n/N) with n = 1 … N; the paper's bias_max is 8. For another N
    as in the paper's code, and MPT's: of the next power of two's slopes every second, then, from
    the first, those between.
    """
    power = 1 << (N - 1).bit_length()
    slopes = np.float32(2) ** (-bias_max * np.arange(1, power + 1, dtype=np.float32) / power)
    return slopes if power == N else np.concatenate([slopes[1::2], slopes[::2]])[:N]


def alibi(slopes_N: np.ndarray, key_positions_BS: jax.Array) -> Bias:
    """ALiBi: -slope times the distance from each key back to the query."""

    def bias(positions_BT: jax.Array) -> jax.Array:
        distance_BTS = positions_BT[:, :, None] - key_positions_BS[:, None, :]
        return -slopes_N[:, None, None] * distance_BTS[:, None].astype(jnp.float32)

    return bias


class LearnedPositions(nnx.Module):
    """A table of P rows of width D; position p reads row p + offset.

    OPT's tables keep fairseq's two rows before position 0 (offset 2), which nothing reads.
    """

    def __init__(
        self,
        P: int,
        D: int,
        *,
        offset: int,
        rngs: nnx.Rngs,
        param_dtype: jnp.dtype,
        dtype: jnp.dtype,
        scale: float = 0.02,
    ):
        self.w = nnx.Param(
            scale * jax.random.normal(rngs.params(), (P, D), param_dtype), letters="P D"
        )
        self.offset = offset
        self.dtype = dtype

    def __call__(self, positions_BT: jax.Array) -> jax.Array:
        """x_BTD of positions, which the host has checked: one past P would read the last row."""
        # Cast after the gather, as in linear.Embedding.
        return self.w[...][positions_BT + self.offset].astype(self.dtype)


class RelativePositions(nnx.Module):
    """A bias for each head and bucket of distances (Raffel et al. 2020, 1910.10683, section 2.1).

    Half of the buckets are exact distances, the others grow logarithmically up to `farthest`;
    all that is farther is in the last. A bidirectional table has half of its buckets for keys after
    the query; a causal one puts those into bucket 0.
    """

    def __init__(
        self,
        R: int,
        N: int,
        *,
        farthest: int,
        bidirectional: bool,
        rngs: nnx.Rngs,
        param_dtype: jnp.dtype,
        scale: float = 0.02,
    ):
        self.w = nnx.Param(
            scale * jax.random.normal(rngs.params(), (R, N), param_dtype), letters="R N"
        )
        self.farthest = farthest
        self.bidirectional = bidirectional

    def __call__(self, positions_BT: jax.Array, key_positions_BS: jax.Array) -> jax.Array:
        """float32 bias_BNTS of queries and keys at these positions."""
        distances_BTS = key_positions_BS[:, None, :] - positions_BT[:, :, None]
        buckets_BTS = self._buckets(distances_BTS)
        return jnp.moveaxis(self.w[...].astype(jnp.float32)[buckets_BTS], -1, 1)

    def _buckets(self, distances_BTS: jax.Array) -> jax.Array:
        """The bucket of each distance, key minus query."""
        R = self.w.shape[0]
        after_BTS = distances_BTS > 0
        if self.bidirectional:
            table = jnp.asarray(log_buckets(R // 2, self.farthest))
            far_BTS = jnp.minimum(jnp.abs(distances_BTS), self.farthest)
            return table[far_BTS] + jnp.where(after_BTS, R // 2, 0)
        table = jnp.asarray(log_buckets(R, self.farthest))
        return table[jnp.clip(-distances_BTS, 0, self.farthest)]


def log_buckets(R: int, farthest: int) -> np.ndarray:
    """The bucket of each distance 0 … farthest, int32.

    Made on the host: at a bucket's border, devices round a logarithm to either side.
    """
    exact = R // 2
    distances = np.arange(farthest + 1)
    ratio = np.maximum(distances, 1).astype(np.float32) / np.float32(exact)
    grown = exact + (np.log(ratio) / np.log(farthest / exact) * (R - exact)).astype(np.int32)
    return np.where(distances < exact, distances, np.minimum(grown, R - 1)).astype(np.int32)
