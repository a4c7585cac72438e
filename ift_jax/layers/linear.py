"""Weights: a linear map written as an einsum over axis letters, and an embedding table.

Each parameter carries its axis letters (`param.letters`), which sharding, optimizers and import
tables read.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import nnx


class Linear(nnx.Module):
    """y = x · w, with w's axes named by letters.

    `Linear('D N H', inputs='D', …)` maps `x_..D` to `y_..NH`. Computes in `dtype`; the weight is
    stored in `param_dtype`. Initialised normal with standard deviation `scale` (0.02, GPT-2's and
    LLaMA implementations' default).
    """

    def __init__(
        self,
        letters: str,
        inputs: str,
        sizes: Mapping[str, int],
        *,
        rngs: nnx.Rngs,
        param_dtype: jnp.dtype,
        dtype: jnp.dtype,
        scale: float = 0.02,
    ):
        axes = letters.split()
        outputs = "".join(axis for axis in axes if axis not in inputs)
        shape = tuple(sizes[axis] for axis in axes)
        self.w = nnx.Param(
            scale * jax.random.normal(rngs.params(), shape, param_dtype), letters=letters
        )
        self.einsum = f"...{inputs},{''.join(axes)}->...{outputs}"
        self.dtype = dtype

    def __call__(self, x: jax.Array) -> jax.Array:
        return jnp.einsum(self.einsum, x.astype(self.dtype), self.w[...].astype(self.dtype))


class Embedding(nnx.Module):
    """A table of V rows of width D; also the output projection where it is tied."""

    def __init__(
        self,
        sizes: Mapping[str, int],
        *,
        rngs: nnx.Rngs,
        param_dtype: jnp.dtype,
        dtype: jnp.dtype,
        scale: float = 0.02,
    ):
        shape = (sizes["V"], sizes["D"])
        self.w = nnx.Param(
            scale * jax.random.normal(rngs.params(), shape, param_dtype), letters="V D"
        )
        self.dtype = dtype

    def __call__(self, tokens_BT: jax.Array) -> jax.Array:
        """x_BTD of token ids, which the host has checked: an id past V would read the last row."""
        return self.w[...].astype(self.dtype)[tokens_BT]
