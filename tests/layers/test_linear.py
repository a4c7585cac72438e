from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ift_jax.layers.linear import Embedding, Linear

SIZES = {"D": 6, "N": 3, "H": 4, "V": 5}
FLOAT32 = {"param_dtype": jnp.float32, "dtype": jnp.float32}


@pytest.mark.parametrize(
    ("letters", "inputs", "shape", "numpy_axes"),
    [("D N H", "D", (2, 7, 6), ([2], [0])), ("N H D", "NH", (2, 7, 3, 4), ([2, 3], [0, 1]))],
)
def test_maps_the_input_letters_to_the_others(letters, inputs, shape, numpy_axes):
    layer = Linear(letters, inputs, SIZES, rngs=nnx.Rngs(0), **FLOAT32)
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    assert layer.w.letters == letters
    expected = np.tensordot(x, np.asarray(layer.w[...]), numpy_axes)
    np.testing.assert_allclose(layer(jnp.asarray(x)), expected, rtol=1e-4, atol=1e-6)


def test_weights_start_normal_with_the_given_deviation():
    sizes = {"D": 200, "F": 300}
    layer = Linear("D F", "D", sizes, rngs=nnx.Rngs(0), scale=0.5, **FLOAT32)
    w_DF = np.asarray(layer.w[...])
    # 60,000 draws: the deviation's own standard error is 0.3%.
    assert abs(w_DF.std() / 0.5 - 1) < 0.02
    assert abs(w_DF.mean()) < 0.01


def test_stores_in_one_dtype_and_computes_in_another():
    layer = Linear(
        "D N H", "D", SIZES, rngs=nnx.Rngs(0), param_dtype=jnp.float32, dtype=jnp.bfloat16
    )
    assert layer.w[...].dtype == jnp.float32
    assert layer(jnp.ones((1, 6), jnp.float32)).dtype == jnp.bfloat16


def test_embedding_looks_rows_up():
    layer = Embedding(SIZES, rngs=nnx.Rngs(0), param_dtype=jnp.float32, dtype=jnp.bfloat16)
    tokens_BT = np.array([[4, 0], [1, 4]])
    assert layer.w.letters == "V D"
    expected = np.asarray(layer.w[...].astype(jnp.bfloat16))[tokens_BT]
    np.testing.assert_array_equal(np.asarray(layer(tokens_BT)), expected)
