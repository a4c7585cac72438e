"""Weights: a linear map written as an einsum over axis letters, and an embedding table.

Each parameter carries its axis letters (`param.letters`), which sharding, optimizers and import
tables read.
"""

from __future__ import annotations

import functools
import string
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.ad_checkpoint import checkpoint_name

from ift_jax.layers.stack import OUTPUT


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
        others = string.ascii_lowercase[: x.ndim - len(self.inputs)]
        y = product(self.einsum.replace("...", others), x, self.w[...].astype(self.dtype))
        if self.lora is not None:
            y += self.lora(x)
        if self.b is not None:
            y += self.b[...].astype(self.dtype)
        return checkpoint_name(y, OUTPUT)


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


def product(einsum: str, x: jax.Array, y: jax.Array, dtype: jnp.dtype | None = None) -> jax.Array:
    """The einsum of two arrays of one dtype, such as 'abD,DNH->abNH', without an ellipsis.

    Kept in `dtype`, by default that of the two; what is multiplied in its gradients is in theirs,
    too. There no array is transposed but the smaller one, and the result. Left to itself,
    XLA transposes what a sum over tokens has first, here the larger of the two; on a CPU that
    takes longer than the product.
    """
    return _product(einsum, dtype, jax.config.jax_default_matmul_precision, x, y)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _product(einsum: str, dtype: Any, precision: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.einsum(einsum, x, y, precision=precision, preferred_element_type=dtype)


def _kept(
    einsum: str, dtype: Any, precision: Any, x: Any, y: Any
) -> tuple[jax.Array, tuple[Any, Any]]:
    # A factor is kept for the other's gradient, which frozen weights have none of.
    kept = x.value if y.perturbed else None, y.value if x.perturbed else None
    return _product(einsum, dtype, precision, x.value, y.value), kept


def _gradients(
    einsum: str, _: Any, precision: Any, kept: tuple[Any, Any], by_z: jax.Array
) -> tuple[Any, Any]:
    x, y = kept
    by_z = by_z.astype((y if x is None else x).dtype)
    of_x, of_y, of_z = einsum.replace("->", ",").split(",")
    # Traced later, when the default may be another.
    with jax.default_matmul_precision(precision):
        by_x = None if y is None else _contract(of_z, by_z, of_y, y, of_x)
        by_y = None if x is None else _contract(of_z, by_z, of_x, x, of_y)
    return by_x, by_y


_product.defvjp(_kept, _gradients, symbolic_zeros=True)


def _contract(of_x: str, x: jax.Array, of_y: str, y: jax.Array, of_z: str) -> jax.Array:
    """z with the axes of_z, of x and y with theirs."""
    if x.size < y.size:
        of_x, x, of_y, y = of_y, y, of_x, x
    summed = [axis for axis in of_x if axis in of_y and axis not in of_z]
    if of_x[-1] not in summed:  # the right factor's sum goes over its first axes
        of_x, x, of_y, y = of_y, y, of_x, x
    both = [axis for axis in of_z if axis in of_x and axis in of_y]
    dimensions = tuple(
        tuple([names.index(axis) for axis in axes] for names in (of_x, of_y))
        for axes in (summed, both)
    )
    # Else XLA would turn a product that is transposed into that of the transposed factors.
    z = settled(jax.lax.dot_general(x, y, dimensions))
    rest = [axis for names in (of_x, of_y) for axis in names if axis in of_z and axis not in both]
    return z.transpose([(both + rest).index(axis) for axis in of_z])


def settled(x: jax.Array) -> jax.Array:
    """x, which a CPU computes as it is written and once; other devices are left to their own."""
    return jax.lax.platform_dependent(x, cpu=jax.lax.optimization_barrier, default=lambda x: x)


def logits(
    x: jax.Array, w_VD: jax.Array, vocab_ids: jax.Array | None, dtype: jnp.dtype
) -> jax.Array:
    """float32 logits_..V of hidden states x_..D, of all rows of w_VD or of some ids.

    The factors are in `dtype`; their products are added, and kept, in float32.
    """
    if vocab_ids is not None:
        w_VD = w_VD[vocab_ids]
    others = string.ascii_lowercase[: x.ndim - 1]
    einsum = f"{others}D,VD->{others}V"
    return product(einsum, x.astype(dtype), w_VD.astype(dtype), jnp.float32)
