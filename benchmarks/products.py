"""The fastest matrix product of a machine, which a program's speed is held against."""

from __future__ import annotations

import time

import jax
import jax.numpy as jnp


def product_rate(dtype: str, *, tokens: int, D: int, F: int) -> float:
    """Operations a second of the fastest of some products, of a model's shapes and square ones.

    Args:
        dtype: of the factors; products are kept in float32.
        tokens, D, F: rows of the model's products, its width and its MLP's.
    """
    side = 2048 if jax.default_backend() == "cpu" else 8192
    fastest = 0.0
    # What the model's own are computed at: see layers/functional.py.
    precision = "highest" if dtype == "float32" else None
    product = jax.jit(
        lambda x, y: jnp.matmul(x, y, precision=precision, preferred_element_type=jnp.float32)
    )
    for m, k, n in ((tokens, D, F), (tokens, F, D), (side, side, side)):
        # Random, as a GPU multiplies ones faster, with less power.
        x, y = (jax.random.normal(jax.random.key(0), shape, dtype) for shape in ((m, k), (k, n)))
        jax.block_until_ready(product(x, y))
        for _ in range(5):
            started = time.perf_counter()
            product(x, y).block_until_ready()
            fastest = max(fastest, 2 * m * k * n / (time.perf_counter() - started))
    return fastest
