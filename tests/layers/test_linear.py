from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ift_jax.layers.linear import Embedding, Linear, logits, product

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


PRODUCTS = {
    "more tokens than weights": ("abD,DNH->abNH", (5, 9, 6), (6, 3, 4)),
    "a wider output": ("aD,DV->aV", (40, 3), (3, 7)),
    "a wider input": ("aNH,NHD->aD", (40, 3, 4), (3, 4, 5)),
    "more weights than tokens": ("aD,VD->aV", (2, 6), (50, 6)),
    "scores": ("BTKGH,BSKH->BKTGS", (2, 5, 3, 2, 4), (2, 7, 3, 4)),
    "values": ("BKTGS,BSKH->BKTGH", (2, 3, 5, 2, 7), (2, 7, 3, 4)),
}


@pytest.mark.parametrize("case", PRODUCTS)
def test_a_product_and_its_gradients_are_the_einsums(case):
    einsum, *shapes = PRODUCTS[case]
    rng = np.random.default_rng(0)
    x, y = (jnp.float32(rng.normal(size=shape)) for shape in shapes)
    z, pull = jax.vjp(lambda x, y: product(einsum, x, y), x, y)
    by_z = rng.normal(size=z.shape)
    np.testing.assert_allclose(z, np.einsum(einsum, x, y), rtol=1e-5, atol=1e-5)
    of_x, of_y, of_z = einsum.replace("->", ",").split(",")
    by_x, by_y = pull(jnp.float32(by_z))
    expected = np.einsum(f"{of_z},{of_y}->{of_x}", by_z, y)
    np.testing.assert_allclose(by_x, expected, rtol=1e-5, atol=1e-5)
    expected = np.einsum(f"{of_z},{of_x}->{of_y}", by_z, x)
    np.testing.assert_allclose(by_y, expected, rtol=1e-5, atol=1e-5)


def test_a_products_gradients_have_its_factors_dtype():
    x, y = jnp.ones((3, 4), jnp.bfloat16), jnp.ones((4, 5), jnp.bfloat16)
    z, pull = jax.vjp(lambda x, y: product("aD,DV->aV", x, y, jnp.float32), x, y)
    assert z.dtype == jnp.float32
    assert [by.dtype for by in pull(z)] == [jnp.bfloat16, jnp.bfloat16]


@pytest.mark.parametrize("case", PRODUCTS)
def test_a_products_gradients_transpose_no_larger_array(case):
    """The larger factor of each product is the left one, summed over its last axes, or the right
    one, summed over its first ones after those that both have."""
    einsum, *shapes = PRODUCTS[case]
    x, y = (jnp.zeros(shape) for shape in shapes)
    z = product(einsum, x, y)
    pull = jax.vjp(lambda x, y: product(einsum, x, y), x, y)[1]
    products = [e for e in jax.make_jaxpr(pull)(z).eqns if e.primitive.name == "dot_general"]
    assert len(products) == 2
    for each in products:
        left, right = (variable.aval for variable in each.invars)
        (left_summed, right_summed), _ = each.params["dimension_numbers"]
        if left.size >= right.size:
            assert left.ndim - 1 in left_summed or min(right_summed) == 0
        else:
            assert right.ndim - 1 not in right_summed
