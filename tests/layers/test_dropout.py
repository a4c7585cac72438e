from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from ift_jax.layers.dropout import Noise, drop


def noise(rows, seed=0) -> Noise:
    return Noise(jax.random.key(seed), jnp.array(rows, jnp.int32))


def test_keeps_the_mean_and_scales_what_is_left():
    ones_BTD = jnp.ones((8, 50, 100))
    dropped = np.asarray(drop(ones_BTD, 0.3, noise(range(8)), 0))
    assert set(np.unique(dropped)) == {0, np.float32(1 / 0.7)}
    # 40,000 draws: the share dropped has a standard error of 0.23%.
    assert abs((dropped == 0).mean() - 0.3) < 0.01
    assert abs(dropped.mean() - 1) < 0.015


def test_a_rows_mask_follows_its_number_not_its_place_or_company():
    x_BTD = jnp.ones((4, 3, 64))
    whole = drop(x_BTD, 0.5, noise([0, 1, 2, 3]), 0)
    some = drop(x_BTD[:2], 0.5, noise([3, 1]), 0)
    np.testing.assert_array_equal(some, whole[jnp.array([3, 1])])


def test_rows_sites_layers_and_seeds_differ():
    x_BTD = jnp.ones((2, 3, 64))
    base = noise([0, 1])
    masks = [
        *drop(x_BTD, 0.5, base.at(0), 0),
        *drop(x_BTD, 0.5, base.at(0), 1),
        *drop(x_BTD, 0.5, base.at(1), 0),
        *drop(x_BTD, 0.5, noise([0, 1], seed=1).at(0), 0),
    ]
    assert len({np.asarray(mask).tobytes() for mask in masks}) == 8


def test_nothing_happens_at_rate_zero_or_without_noise():
    x_BTD = jnp.ones((2, 3, 4))
    assert drop(x_BTD, 0.0, noise([0, 1]), 0) is x_BTD
    assert drop(x_BTD, 0.5, None, 0) is x_BTD


def test_the_dtype_stays():
    assert drop(jnp.ones((1, 2, 3), jnp.bfloat16), 0.5, noise([0]), 0).dtype == jnp.bfloat16
