from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from ift_jax.layers.norms import LayerNorm, RMSNorm


def norm(scale_D, epsilon=1e-2):
    layer = RMSNorm(len(scale_D), epsilon=epsilon, param_dtype=jnp.float32)
    layer.scale[...] = jnp.float32(scale_D)
    return layer


def test_equals_numpy():
    rng = np.random.default_rng(0)
    x_BTD, scale_D = rng.normal(size=(2, 3, 7)) * 0.1, rng.normal(size=7)
    expected = x_BTD / np.sqrt(np.mean(x_BTD**2, -1, keepdims=True) + 1e-2) * scale_D
    np.testing.assert_allclose(norm(scale_D)(jnp.float32(x_BTD)), expected, rtol=1e-5)


def test_is_computed_in_float32_and_returned_in_the_inputs_dtype():
    x_BTD = jnp.bfloat16(np.random.default_rng(0).normal(size=(1, 1, 4096)))
    y_BTD = norm(np.ones(4096), epsilon=0.0)(x_BTD)
    assert y_BTD.dtype == jnp.bfloat16
    x64 = np.float64(x_BTD)
    expected = (x64 / np.sqrt(np.mean(x64**2))).astype(y_BTD.dtype)
    # Rounded once, at the end; float32 itself is off by a bit where the next is close.
    assert np.mean(np.asarray(y_BTD) == expected) > 0.99


def test_a_row_of_zeros_stays_zero():
    np.testing.assert_array_equal(norm(np.ones(4))(jnp.zeros((1, 1, 4))), 0)


def test_starts_as_ones_with_its_letter():
    scale = RMSNorm(5, epsilon=1e-6, param_dtype=jnp.bfloat16).scale
    assert (scale.letters, scale[...].dtype) == ("D", jnp.bfloat16)
    np.testing.assert_array_equal(np.float32(scale[...]), 1)


def layer_norm(scale_D, bias_D, epsilon=1e-2):
    layer = LayerNorm(len(scale_D), epsilon=epsilon, param_dtype=jnp.float32)
    layer.scale[...], layer.bias[...] = jnp.float32(scale_D), jnp.float32(bias_D)
    return layer


def test_layer_norm_equals_numpy():
    rng = np.random.default_rng(0)
    x_BTD, scale_D, bias_D = rng.normal(size=(2, 3, 7)) * 0.1 + 3, rng.normal(size=7), np.arange(7)
    centred = x_BTD - x_BTD.mean(-1, keepdims=True)
    expected = centred / np.sqrt(x_BTD.var(-1, keepdims=True) + 1e-2) * scale_D + bias_D
    # Inputs near 3 that differ by 0.1, in float32.
    np.testing.assert_allclose(layer_norm(scale_D, bias_D)(jnp.float32(x_BTD)), expected, atol=1e-5)


def test_layer_norm_is_rounded_once_to_the_inputs_dtype():
    rng = np.random.default_rng(0)
    x_BTD = jnp.bfloat16(rng.normal(size=(1, 1, 4096)) + 4)
    scale_D, bias_D = np.float64(np.float32(rng.normal(size=(2, 4096))))
    y_BTD = layer_norm(scale_D, bias_D, epsilon=0.0)(x_BTD)
    assert y_BTD.dtype == jnp.bfloat16
    x64 = np.float64(x_BTD)
    expected = ((x64 - x64.mean()) / x64.std() * scale_D + bias_D).astype(y_BTD.dtype)
    assert np.mean(np.asarray(y_BTD) == expected) > 0.99


def test_layer_norm_of_equal_values_is_the_bias():
    np.testing.assert_array_equal(
        layer_norm(np.ones(4), np.arange(4))(jnp.full((1, 1, 4), 7.0)), [[range(4)]]
    )


def test_layer_norm_starts_as_ones_and_zeros_with_its_letter():
    layer = LayerNorm(5, epsilon=1e-5, param_dtype=jnp.bfloat16)
    for param, value in ((layer.scale, 1), (layer.bias, 0)):
        assert (param.letters, param[...].dtype) == ("D", jnp.bfloat16)
        np.testing.assert_array_equal(np.float32(param[...]), value)
