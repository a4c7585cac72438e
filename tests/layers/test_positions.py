"""Rotary positions against complex numbers; ALiBi by hand; learned and relative ones, tables."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ift_jax.layers.positions import (
    LearnedPositions,
    RelativePositions,
    alibi,
    alibi_slopes,
    llama3_divisors,
    rope_tables,
    rotate,
)

H, THETA = 8, 100.0


def rotated(x_BTNH, positions_BT):
    return rotate(jnp.asarray(x_BTNH), *rope_tables(jnp.asarray(positions_BT), H, THETA))


def random_heads(T=5):
    return np.random.default_rng(0).normal(size=(1, T, 2, H)).astype(np.float32)


def test_each_pair_of_halves_turns_as_a_complex_number():
    x_BTNH = random_heads()
    positions_BT = np.array([[0, 1, 2, 7, 300]])
    turned = np.empty(x_BTNH.shape)
    for t, position in enumerate(positions_BT[0]):
        for h in range(H // 2):
            pair_N = x_BTNH[0, t, :, h] + 1j * x_BTNH[0, t, :, h + H // 2]
            pair_N = pair_N * np.exp(1j * position * THETA ** (-2 * h / H))
            turned[0, t, :, h], turned[0, t, :, h + H // 2] = pair_N.real, pair_N.imag
    # Angles up to 300 radians in float32.
    np.testing.assert_allclose(rotated(x_BTNH, positions_BT), turned, atol=1e-4)


def test_products_depend_on_the_distance_alone():
    q_BTNH, k_BTNH = random_heads(1), random_heads(2)[:, 1:]

    def product(query_at, key_at):
        q = rotated(q_BTNH, [[query_at]])
        k = rotated(k_BTNH, [[key_at]])
        return np.sum(np.asarray(q) * np.asarray(k), axis=-1)

    np.testing.assert_allclose(product(9, 4), product(105, 100), atol=1e-4)
    assert np.abs(product(9, 4) - product(9, 5)).max() > 0.01


def test_position_zero_changes_nothing_and_the_dtype_stays():
    x_BTNH = jnp.bfloat16(random_heads(1))
    still = rotated(x_BTNH, [[0]])
    assert still.dtype == jnp.bfloat16
    np.testing.assert_array_equal(np.float32(still), np.float32(x_BTNH))


def test_frequencies_divided_are_positions_divided():
    positions_BT = jnp.array([[0, 1, 5, 40]])
    tables = rope_tables(4 * positions_BT, H, THETA, 4.0)
    np.testing.assert_allclose(tables, rope_tables(positions_BT, H, THETA), atol=1e-6)


def test_each_frequency_has_a_divisor_of_its_own():
    positions_BT = jnp.array([[0, 3, 50]])
    divided = rope_tables(positions_BT, H, THETA, np.float32([1, 2, 1, 5]))
    for h, divisor in enumerate([1, 2, 1, 5]):
        whole = rope_tables(positions_BT, H, THETA, float(divisor))
        np.testing.assert_allclose(divided[0][..., h], whole[0][..., h], atol=1e-6)
        np.testing.assert_allclose(divided[1][..., h], whole[1][..., h], atol=1e-6)


def test_llama3_divisors_are_those_of_metas_wavelengths():
    """Llama 3.1's own figures: 64 frequencies, three cases of their wavelengths."""
    low_wavelength, high_wavelength = 8192 / 1, 8192 / 4
    expected, cases = [], set()
    for h in range(64):
        wavelength = 2 * np.pi * 5e5 ** (h / 64)
        smooth = (8192 / wavelength - 1) / (4 - 1)
        kept, divided, between = 1, 8, 1 / ((1 - smooth) / 8 + smooth)
        case = (wavelength > high_wavelength) + (wavelength > low_wavelength)
        expected.append((kept, between, divided)[case])
        cases.add(case)
    assert cases == {0, 1, 2}
    divisors_h = llama3_divisors(128, 5e5, 8.0, 8192, 1.0, 4.0)
    assert divisors_h.dtype == np.float32
    np.testing.assert_allclose(divisors_h, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("N", "bias_max", "exponents"),
    [
        (8, 8, [1, 2, 3, 4, 5, 6, 7, 8]),  # the paper's example
        (16, 8, [n / 2 for n in range(1, 17)]),  # and its other one
        (4, 8, [2, 4, 6, 8]),
        (4, 16, [4, 8, 12, 16]),
        (1, 8, [8]),
        # Of 8 slopes: each second one, then those between.
        (5, 8, [2, 4, 6, 8, 1]),
        (6, 8, [2, 4, 6, 8, 1, 3]),
        (7, 4, [1, 2, 3, 4, 0.5, 1.5, 2.5]),
        (3, 8, [4, 8, 2]),
    ],
)
def test_alibi_slopes_are_powers_of_two(N, bias_max, exponents):
    slopes_N = alibi_slopes(N, bias_max)
    assert slopes_N.dtype == np.float32
    np.testing.assert_allclose(slopes_N, [2.0**-exponent for exponent in exponents], rtol=1e-6)


def test_alibi_is_slope_times_distance_whatever_the_order():
    """Two rows of three keys, the first written backwards, and queries at two of them."""
    bias = alibi(np.float32([0.5, 0.25]), jnp.array([[7, 6, 5], [0, 1, 2]]))
    bias_BNTS = bias(jnp.array([[7, 6], [0, 2]]))
    assert bias_BNTS.dtype == jnp.float32
    distance_BTS = np.array([[[0, 1, 2], [-1, 0, 1]], [[0, -1, -2], [2, 1, 0]]])
    np.testing.assert_array_equal(bias_BNTS[:, 0], -0.5 * distance_BTS)
    np.testing.assert_array_equal(bias_BNTS[:, 1], -0.25 * distance_BTS)


def test_learned_positions_read_their_row_after_the_offset():
    layer = LearnedPositions(
        7, 3, offset=2, rngs=nnx.Rngs(0), param_dtype=jnp.float32, dtype=jnp.bfloat16
    )
    positions_BT = np.array([[0, 1, 0, 1, 4]])
    assert (layer.w.letters, layer.w[...].shape) == ("P D", (7, 3))
    expected = np.asarray(layer.w[...].astype(jnp.bfloat16))[[[2, 3, 2, 3, 6]]]
    np.testing.assert_array_equal(np.asarray(layer(positions_BT)), expected)


# fmt: off
FIRST_OF_BUCKET = {
    True: {0: 0, 1: 17, 2: 18, 3: 19, 4: 20, 5: 21, 6: 22, 7: 23, 8: 24, 12: 25, 16: 26, 23: 27,
           32: 28, 46: 29, 64: 30, 91: 31},
    False: {0: 0, 19: 17, 21: 18, 24: 19, 27: 20, 31: 21, 35: 22, 40: 23, 46: 24, 52: 25, 59: 26,
            67: 27, 77: 28, 87: 29, 99: 30, 113: 31} | {n: n for n in range(17)},
}
# fmt: on
"""Distance -> bucket, where a bucket begins: transformers' T5 with 32 buckets up to 128."""


@pytest.mark.parametrize("bidirectional", [True, False])
def test_relative_positions_read_the_references_bucket_of_each_distance(bidirectional):
    table = RelativePositions(
        32, 3, farthest=128, bidirectional=bidirectional, rngs=nnx.Rngs(0), param_dtype=jnp.float32
    )
    queries, keys = np.array([[300]]), np.arange(600)[None]
    bias_NS = table(jnp.asarray(queries), jnp.asarray(keys))[0, :, 0]
    firsts = FIRST_OF_BUCKET[bidirectional]
    for distance in range(300):
        bucket = firsts[max(first for first in firsts if first <= distance)]
        # Keys after the query are in the upper half; those before it in the lower, or all of it.
        before = bucket % 16 if bidirectional else bucket
        after = bucket if bidirectional else 0
        np.testing.assert_array_equal(bias_NS[:, 300 - distance], table.w[before])
        np.testing.assert_array_equal(bias_NS[:, 300 + distance], table.w[after])
