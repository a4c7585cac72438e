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
