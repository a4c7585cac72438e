from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ift_jax.layers.linear import Embedding, Linear, logits

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


@pytest.mark.parametrize(
    ("letters", "inputs", "shape", "outputs"),
    [("D N H", "D", (2, 7, 6), "N H"), ("N H D", "NH", (2, 7, 3, 4), "D")],
)
def test_a_bias_has_the_output_letters_and_is_added(letters, inputs, shape, outputs):
    made = {"rngs": nnx.Rngs(0), **FLOAT32}
    layer = Linear(letters, inputs, SIZES, bias=True, **made)
    assert layer.b.letters == outputs
    np.testing.assert_array_equal(layer.b[...], 0)
    x = jnp.float32(np.random.default_rng(0).normal(size=shape))
    without = layer(x)
    b = np.random.default_rng(1).normal(size=layer.b[...].shape)
    layer.b[...] = jnp.float32(b)
    np.testing.assert_allclose(layer(x), without + b, rtol=1e-5)
    assert Linear(letters, inputs, SIZES, **made).b is None


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


def test_embedding_may_have_a_width_of_its_own():
    layer = Embedding({**SIZES, "W": 2}, rngs=nnx.Rngs(0), letters="V W", **FLOAT32)
    assert (layer.w.letters, layer(np.array([[4, 0]])).shape) == ("V W", (1, 2, 2))


def test_a_repeated_tokens_gradient_is_added_in_the_parameters_dtype():
    """4,096 cotangents of 0.01: a bfloat16 sum stops at 4, where 0.01 is half a step of it."""
    sizes = {"V": 3, "D": 2}
    layer = Embedding(sizes, rngs=nnx.Rngs(0), param_dtype=jnp.float32, dtype=jnp.bfloat16)
    graph, weights = nnx.split(layer)
    tokens_BT = jnp.full((4, 1024), 1)

    def total(weights):
        x_BTD = nnx.merge(graph, weights)(tokens_BT)
        assert x_BTD.dtype == jnp.bfloat16
        return jnp.sum(x_BTD.astype(jnp.float32) * 0.01)

    (w_VD,) = jax.tree.leaves(jax.grad(total)(weights))
    # 0.01 itself is rounded to bfloat16.
    np.testing.assert_allclose(w_VD[1], 40.96, rtol=2**-8)
    np.testing.assert_array_equal(w_VD[jnp.array([0, 2])], 0)


def test_logits_are_float32_sums_of_products_in_the_compute_dtype():
    rng = np.random.default_rng(0)
    x_TD, w_VD = rng.normal(size=(3, 64)), rng.normal(size=(5, 64))
    rounded = [np.float64(jnp.bfloat16(array)) for array in (x_TD, w_VD)]
    x_TD, w_VD = jnp.float32(x_TD), jnp.float32(w_VD)
    seen = logits(x_TD, w_VD, None, jnp.bfloat16)
    assert seen.dtype == jnp.float32
    # Sums of 64 near 8: bfloat16 would be wrong by 0.03.
    np.testing.assert_allclose(seen, rounded[0] @ rounded[1].T, atol=1e-4)
    ids = jnp.array([4, 0])
    np.testing.assert_allclose(logits(x_TD, w_VD, ids, jnp.bfloat16), seen[:, ids], atol=1e-5)
