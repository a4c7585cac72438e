from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from ift_jax.dims import Batch
from ift_jax.train.loss import loss_sums


class Fixed:
    """Functions whose logits are given."""

    def __init__(self, logits_BTV):
        self.logits_BTV = logits_BTV

    def hidden(self, params, batch, noise):
        return self.logits_BTV

    def unembed(self, params, x):
        return x


def batch_of(targets_BT, weights_BT):
    tokens_BT = np.zeros_like(targets_BT)
    return Batch(tokens_BT, tokens_BT, tokens_BT + 1, targets_BT, np.float32(weights_BT))


def test_sums_equal_a_float64_reference():
    rng = np.random.default_rng(0)
    logits_BTV = rng.normal(size=(2, 5, 7)) * 4
    targets_BT = rng.integers(0, 7, (2, 5))
    weights_BT = np.array([[1, 0, 1, 1, 0], [0, 0, 1, 0, 0]])
    picked_BT = np.take_along_axis(logits_BTV, targets_BT[..., None], -1)[..., 0]
    expected = np.sum((logsumexp(logits_BTV, axis=-1) - picked_BT) * weights_BT)
    correct = np.sum((logits_BTV.argmax(-1) == targets_BT) * weights_BT)

    batch = batch_of(targets_BT, weights_BT)
    functions = Fixed(jnp.float32(logits_BTV))
    cross_entropy, *counts = loss_sums(functions, {}, batch)
    np.testing.assert_allclose(cross_entropy, expected, rtol=1e-6)
    assert counts == [4, correct]


def test_bfloat16_logits_are_normalised_in_float32():
    logits_BTV = jnp.zeros((1, 1, 50_000), jnp.bfloat16)
    objective, *_ = loss_sums(Fixed(logits_BTV), {}, batch_of(np.array([[3]]), [[1]]))
    assert objective.dtype == jnp.float32
    np.testing.assert_allclose(objective, np.log(50_000), rtol=1e-6)


def test_what_is_not_trained_cannot_make_the_loss_nan():
    logits_BTV = jnp.full((1, 2, 4), jnp.nan).at[0, 0].set(0.0)
    objective, targets, _ = loss_sums(Fixed(logits_BTV), {}, batch_of(np.array([[1, 1]]), [[1, 0]]))
    np.testing.assert_allclose(objective, np.log(4), rtol=1e-6)
    assert targets == 1


def test_no_target_at_all_is_a_zero_sum():
    zeros = np.zeros((1, 3), int)
    objective, targets, _ = loss_sums(Fixed(jnp.zeros((1, 3, 4))), {}, batch_of(zeros, zeros))
    assert (objective, targets) == (0, 0)


def test_disagreeing_shapes_are_named():
    batch = batch_of(np.zeros((1, 3), int), np.zeros((1, 3)))
    batch = dataclasses.replace(batch, weights_BT=np.zeros((1, 2), np.float32))
    with pytest.raises(ValueError, match=r"weights_BT: axis T .* is 2, expected 3"):
        loss_sums(Fixed(jnp.zeros((1, 3, 4))), {}, batch)


def unpack(batch: Batch) -> Batch:
    """Each example in a row of its own, at the row's start."""
    rows = []
    for row in range(batch.tokens_BT.shape[0]):
        for segment in range(1, batch.segments_BT[row].max() + 1):
            mine_T = batch.segments_BT[row] == segment

            def alone(x_BT, row=row, mine_T=mine_T):
                x_T = np.zeros_like(x_BT[row])
                x_T[: mine_T.sum()] = x_BT[row][mine_T]
                return x_T

            rows.append(jax.tree.map(alone, batch))
            rows[-1].segments_BT[:] = rows[-1].segments_BT > 0
    return jax.tree.map(lambda *x_T: np.stack(x_T), *rows)


def test_packed_loss_and_gradients_equal_unpacked(make_functions, make_batch, params):
    functions, packed = make_functions(), make_batch()
    unpacked = unpack(packed)
    assert unpacked.tokens_BT.shape[0] > 2 * packed.tokens_BT.shape[0]

    def objective(params, batch):
        return loss_sums(functions, params, batch)[0]

    value_and_grad = jax.jit(jax.value_and_grad(objective))
    loss, grads = value_and_grad(params, packed)
    other_loss, other_grads = value_and_grad(params, unpacked)
    # float32 sums over other shapes, in another order.
    np.testing.assert_allclose(loss, other_loss, rtol=1e-5)
    for name in grads:
        scale = np.abs(grads[name]).max()
        assert scale > 0
        np.testing.assert_allclose(grads[name], other_grads[name], atol=2e-5 * scale, err_msg=name)
