"""Dropout whose mask depends on (seed, step, layer, row) and on nothing else.

The same under scan or unrolled layers, remat, any number of micro-batches, any mesh, any resume:
each row of the step's global batch has its own key. A mask belongs to a row and its slots, not to
the example that lies there: the same examples packed and unpacked draw different masks.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Noise:
    """Where dropout masks come from.

    Attributes:
        key: typed PRNG key of (seed, step), folded with the layer by `at`.
        rows_B: int32 index of each row within the step's global batch.
    """

    key: jax.Array
    rows_B: jax.Array

    def at(self, site: jax.Array | int) -> Noise:
        """The noise of one layer, or of one place within a layer."""
        return Noise(jax.random.fold_in(self.key, site), self.rows_B)

    def drop(self, x_BTD: jax.Array, rate: float) -> jax.Array:
        """Zeroes entries with probability `rate` and scales the others by 1/(1 - rate)."""
        keys_B = jax.vmap(jax.random.fold_in, (None, 0))(self.key, self.rows_B)
        keep = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - rate, x_BTD.shape[1:]))(keys_B)
        return jnp.where(keep, x_BTD / (1 - rate), 0).astype(x_BTD.dtype)


def drop(x_BTD: jax.Array, rate: float, noise: Noise | None, site: int) -> jax.Array:
    """Dropout at one place of a block; nothing without noise (evaluation) or at rate 0."""
    return x_BTD if noise is None or rate == 0 else noise.at(site).drop(x_BTD, rate)
