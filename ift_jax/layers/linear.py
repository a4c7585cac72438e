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
    """y = x · w (+ b), with w's axes named by letters.

    `Linear('D N H', inputs='D', …)` maps `x_..D` to `y_..NH`; its bias, where it has one, is b_NH.
    Computes in `dtype`; parameters are stored in `param_dtype`. The weight is initialised normal
    with standard deviation `scale` (0.02, GPT-2's and LLaMA implementations' default), the bias 0.
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
        bias: bool = False,
    ):
        axes = letters.split()
        outputs = [axis for axis in axes if axis not in inputs]
        shape = tuple(sizes[axis] for axis in axes)
        self.w = nnx.Param(
            scale * jax.random.normal(rngs.params(), shape, param_dtype), letters=letters
        )
        zeros = jnp.zeros([sizes[axis] for axis in outputs], param_dtype)
        self.b = nnx.data(nnx.Param(zeros, letters=" ".join(outputs)) if bias else None)
        self.lora = nnx.data(None)  # see lora.attach
        self.inputs = inputs
        self.einsum = f"...{inputs},{''.join(axes)}->...{''.join(outputs)}"
        self.dtype = dtype

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x.astype(self.dtype)
        y = jnp.einsum(self.einsum, x, self.w[...].astype(self.dtype))
        if self.lora is not None:
            y += self.lora(x)
        return y if self.b is None else y + self.b[...].astype(self.dtype)


class Embedding(nnx.Module):
    """A table of V rows, of width D or another; also the output projection where it is tied."""

    def __init__(
        self,
        sizes: Mapping[str, int],
        *,
        rngs: nnx.Rngs,
        param_dtype: jnp.dtype,
        dtype: jnp.dtype,
        scale: float = 0.02,
        letters: str = "V D",
    ):
        shape = tuple(sizes[axis] for axis in letters.split())
        self.w = nnx.Param(
            scale * jax.random.normal(rngs.params(), shape, param_dtype), letters=letters
        )
        self.dtype = dtype

    def __call__(self, tokens_BT: jax.Array) -> jax.Array:
        """x_BTD of token ids, which the host has checked: an id past V would read the last row."""
        # Cast after the gather: the gradient then adds a token's many cotangents in the parameter's
        # dtype. In bfloat16 a sum stops growing once it is some 256 times what is added.
        return self.w[...][tokens_BT].astype(self.dtype)


def logits(
    x: jax.Array, w_VD: jax.Array, vocab_ids: jax.Array | None, dtype: jnp.dtype
) -> jax.Array:
    """float32 logits_..V of hidden states x_..D, of all rows of w_VD or of some ids.

    The factors are in `dtype`; their products are added, and kept, in float32.
    """
    if vocab_ids is not None:
        w_VD = w_VD[vocab_ids]
    return jnp.einsum(
        "...D,VD->...V", x.astype(dtype), w_VD.astype(dtype), preferred_element_type=jnp.float32
    )
