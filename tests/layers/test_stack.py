"""Stacked layers against a loop over their slices."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ift_jax.layers import stack
from ift_jax.layers.linear import Linear
from ift_jax.layers.norms import RMSNorm

L, D = 3, 4


class Block(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        kinds = {"param_dtype": jnp.float32, "dtype": jnp.float32}
        self.norm = RMSNorm(D, epsilon=1e-6, param_dtype=jnp.float32)
        self.up = Linear("D F", "D", {"D": D, "F": D}, rngs=rngs, scale=1.0, **kinds)


@pytest.fixture(scope="module")
def blocks():
    return stack.stack(Block, L, nnx.Rngs(0))


def apply(block, x_BD, layer, offset):
    """Depends on the weights, on the layer's number, and on its slice of per_layer."""
    y_BD = jnp.tanh(block.up(x_BD)) * (layer + 1) + offset
    return y_BD, y_BD.sum()


def test_parameters_get_a_leading_axis_and_its_letter(blocks):
    assert (blocks.up.w.letters, blocks.up.w[...].shape) == ("L D F", (L, D, D))
    assert (blocks.norm.scale.letters, blocks.norm.scale[...].shape) == ("L D", (L, D))


def test_layers_start_different(blocks):
    assert len({np.asarray(w_DF).tobytes() for w_DF in blocks.up.w[...]}) == L


@pytest.mark.parametrize("scan", [True, False])
@pytest.mark.parametrize("remat", list(stack.REMAT))
def test_runs_layers_in_order_as_a_loop_does(blocks, scan, remat):
    x_BD = jnp.linspace(-1, 1, 2 * D).reshape(2, D)
    offsets_L = jnp.array([0.1, 0.2, 0.4])

    def run(x_BD):
        return stack.run(blocks, apply, x_BD, L=L, per_layer=offsets_L, remat=remat, scan=scan)

    expected, sums = np.float64(x_BD), []
    for layer, w_DF in enumerate(np.float64(blocks.up.w[...])):
        expected = np.tanh(expected @ w_DF) * (layer + 1) + float(offsets_L[layer])
        sums.append(expected.sum())
    last, outputs_L = run(x_BD)
    np.testing.assert_allclose(last, expected, rtol=1e-5)
    np.testing.assert_allclose(outputs_L, sums, rtol=1e-5)
    gradient = jax.grad(lambda x: run(x)[0].sum())(x_BD)
    step = 1e-2 * np.ones_like(x_BD)
    slope = (run(x_BD + step)[0].sum() - run(x_BD - step)[0].sum()) / 2e-2
    # A central difference: its own error is of the order of the step's square.
    np.testing.assert_allclose(gradient.sum(), slope, rtol=2e-2)
