"""Normalisation."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx


class RMSNorm(nnx.Module):
    """Root-mean-square norm (Zhang & Sennrich 2019, 1910.07467), without centring or bias.

    As in LLaMA's code: normalised in float32, cast back, then multiplied by the scale.
    """

    def __init__(self, size: int, *, epsilon: float, param_dtype: jnp.dtype):
        self.scale = nnx.Param(jnp.ones((size,), param_dtype), letters="D")
        self.epsilon = epsilon

    def __call__(self, x_BTD: jax.Array) -> jax.Array:
        x32 = x_BTD.astype(jnp.float32)
        x32 *= jax.lax.rsqrt(jnp.mean(jnp.square(x32), -1, keepdims=True) + self.epsilon)
        return x32.astype(x_BTD.dtype) * self.scale[...].astype(x_BTD.dtype)


class LayerNorm(nnx.Module):
    """Layer norm (Ba et al. 2016, 1607.06450): centred, scaled and, with `bias`, shifted.

    As PyTorch's: all of it in float32, cast back once.
    """

    def __init__(self, size: int, *, epsilon: float, param_dtype: jnp.dtype, bias: bool = True):
        zeros = jnp.zeros((size,), param_dtype)
        self.scale = nnx.Param(jnp.ones((size,), param_dtype), letters="D")
        self.bias = nnx.data(nnx.Param(zeros, letters="D") if bias else None)
        self.epsilon = epsilon

    def __call__(self, x_BTD: jax.Array) -> jax.Array:
        x32 = x_BTD.astype(jnp.float32)
        x32 -= jnp.mean(x32, -1, keepdims=True)
        x32 *= jax.lax.rsqrt(jnp.mean(jnp.square(x32), -1, keepdims=True) + self.epsilon)
        x32 *= self.scale[...]
        return (x32 if self.bias is None else x32 + self.bias[...]).astype(x_BTD.dtype)
