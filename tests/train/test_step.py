from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ift_jax.layers.dropout import Noise
from ift_jax.train.loss import loss_sums
from ift_jax.train.state import new_state
from ift_jax.train.step import make_train_step


def one_step(functions, optimizer, params, batch, **switches):
    """Parameters and metrics after one step."""
    step = make_train_step(functions, optimizer, **switches)
    state, metrics = step(new_state(params, optimizer), batch)
    return state.params, metrics


def assert_same_update(before, one, other, tolerance):
    """The updates agree within a share of their own size, not of the weights'."""
    for name in before:
        size = np.abs(one[name] - before[name]).max()
        assert size > 0, name
        np.testing.assert_allclose(one[name], other[name], atol=tolerance * size, err_msg=name)


@pytest.fixture
def sgd(optimizer_for):
    """The gradient itself as update: AdamW's would hide a wrong scale."""

    class Sgd:
        schedule = staticmethod(lambda step: jnp.float32(1.0))

        class transform:
            init = staticmethod(lambda params: {})
            update = staticmethod(lambda grads, state, params: (grads, state))

    return Sgd


def test_gradient_is_of_the_mean_over_all_targets(make_functions, make_batch, params, sgd):
    functions, batch = make_functions(), make_batch()
    after, metrics = one_step(functions, sgd, params, batch)
    targets = batch.weights_BT.sum()
    mean = jax.jit(jax.value_and_grad(lambda p: loss_sums(functions, p, batch)[0] / targets))
    loss, grads = mean(params)
    np.testing.assert_allclose(metrics["loss"], loss, rtol=1e-6)
    assert metrics["target_tokens"] == targets
    assert metrics["tokens"] == (batch.segments_BT > 0).sum()
    np.testing.assert_allclose(metrics["token_share"], (batch.segments_BT > 0).mean(), rtol=1e-6)
    norm = np.sqrt(sum(np.sum(np.square(grad)) for grad in grads.values()))
    np.testing.assert_allclose(metrics["grad_norm"], norm, rtol=1e-5)
    expected = {name: params[name] - grads[name] for name in params}
    assert_same_update(params, expected, after, 1e-4)


@pytest.mark.parametrize(("micro_steps", "dropout"), [(2, 0.0), (4, 0.3)])
def test_accumulated_micro_batches_equal_one_batch(
    make_functions, make_batch, params, sgd, micro_steps, dropout
):
    functions, batch = make_functions(dropout=dropout), make_batch()
    per_micro_batch = [batch.weights_BT[a::micro_steps].sum() for a in range(micro_steps)]
    assert max(per_micro_batch) > 1.3 * min(per_micro_batch)  # else a mean of means would pass
    noise = Noise if dropout else None
    whole, metrics = one_step(functions, sgd, params, batch, noise=noise)
    parts, other = one_step(functions, sgd, params, batch, noise=noise, micro_steps=micro_steps)
    # float32 sums in another order.
    assert_same_update(params, whole, parts, 1e-4)
    for name in metrics:
        np.testing.assert_allclose(metrics[name], other[name], rtol=1e-5, err_msg=name)


@pytest.mark.slow
def test_remat_and_unrolling_change_nothing(make_functions, make_batch, params, sgd):
    """Nor do they change dropout, which is on here."""
    batch = make_batch()
    plain, _ = one_step(make_functions(dropout=0.3), sgd, params, batch, noise=Noise)
    for switches in ({"remat": "full"}, {"remat": "dots"}, {"scan": False}):
        functions = make_functions(dropout=0.3, **switches)
        other, _ = one_step(functions, sgd, params, batch, noise=Noise)
        # The same float32 operations, which XLA may fuse in another way.
        assert_same_update(params, plain, other, 1e-4)


def test_dropout_follows_seed_and_step(make_functions, make_batch, params, sgd):
    functions, batch = make_functions(dropout=0.3), make_batch()

    def losses(steps, **switches):
        train_step = make_train_step(functions, sgd, **switches)
        states = [
            dataclasses.replace(new_state(params, sgd), step=jnp.int32(step)) for step in steps
        ]
        return [float(train_step(state, batch)[1]["loss"]) for state in states]

    first, second, again = losses([0, 1, 0], noise=Noise)
    other_seed = losses([0], noise=Noise, seed=1)
    without = losses([0])
    assert first == again
    assert len({first, second, *other_seed, *without}) == 4


def test_rows_that_do_not_divide_into_micro_batches(make_functions, make_batch, params, sgd):
    with pytest.raises(ValueError, match=r"8 rows does not divide into 3 micro-batches"):
        one_step(make_functions(), sgd, params, make_batch(), micro_steps=3)


@pytest.mark.parametrize(("name", "micro_steps"), [("adamw", 1), ("adafactor", 2)])
def test_a_step_that_is_not_finite_or_has_no_target_changes_nothing_but_the_count(
    make_functions, make_batch, params, optimizer_for, name, micro_steps
):
    functions, batch = make_functions(), make_batch()
    optimizer = optimizer_for(functions, name=name)
    train_step = make_train_step(functions, optimizer, micro_steps=micro_steps)
    good = train_step(new_state(params, optimizer), batch)[0]
    kept = jax.tree.map(np.asarray, good)

    weights_BT = batch.weights_BT.copy()
    row, position = np.argwhere(weights_BT)[0]
    weights_BT[row, position] = np.inf
    for bad in (weights_BT, np.zeros_like(weights_BT)):
        good, metrics = train_step(good, dataclasses.replace(batch, weights_BT=bad))
        assert not np.isnan(metrics["param_norm"])
    assert (good.step, good.skipped, metrics["skipped"]) == (3, 2, 2)
    for one, other in zip(
        jax.tree.leaves((good.params, good.opt_state)),
        jax.tree.leaves((kept.params, kept.opt_state)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
    after = train_step(good, batch)[0]
    assert after.skipped == 2
    assert any(np.any(after.params[name] != kept.params[name]) for name in params)


def test_the_callers_parameters_survive_the_donated_state(
    make_functions, make_batch, params, optimizer_for
):
    functions = make_functions()
    optimizer = optimizer_for(functions)
    state = jax.jit(lambda params: new_state(params, optimizer))(params)
    make_train_step(functions, optimizer)(state, make_batch())
    assert np.isfinite(params["embed.w"]).all()
    assert state.params["embed.w"].is_deleted()


def test_learning_rate_follows_the_step(make_functions, make_batch, params, optimizer_for):
    functions = make_functions()
    optimizer = optimizer_for(functions, total_steps=4, schedule="linear", lr=8e-3)
    train_step, state = make_train_step(functions, optimizer), new_state(params, optimizer)
    nothing = dataclasses.replace(make_batch(), weights_BT=np.zeros((8, 24), np.float32))
    lrs = []
    for batch in (make_batch(), nothing, make_batch()):
        state, metrics = train_step(state, batch)
        lrs.append(float(metrics["lr"]))
    np.testing.assert_allclose(lrs, [8e-3, 6e-3, 4e-3], rtol=1e-6)


def test_bfloat16_compute_keeps_float32_master_weights(make_functions, make_batch, params, sgd):
    batch = make_batch()
    exact, _ = one_step(make_functions(), sgd, params, batch)
    rounded, metrics = one_step(make_functions(dtype="bfloat16"), sgd, params, batch, micro_steps=2)
    assert all(value.dtype == jnp.float32 for value in rounded.values())
    assert metrics["loss"].dtype == jnp.float32
    # bfloat16 has 8 bits of mantissa; gradients are sums of many such products.
    assert_same_update(params, exact, rounded, 0.1)
