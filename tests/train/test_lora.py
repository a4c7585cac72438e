"""Steps that train adapters beside frozen weights."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ift_jax import sharding
from ift_jax.layers.dropout import Noise
from ift_jax.layers.lora import Lora
from ift_jax.train.loss import loss_sums
from ift_jax.train.optim import OptimizerConfig, make_optimizer
from ift_jax.train.state import abstract_state, new_state, place
from ift_jax.train.step import make_train_step

LORA = Lora(rank=2, alpha=8.0, targets="all")


def adapters(functions) -> dict[str, jax.Array]:
    """Both matrices random, so that both have a gradient."""
    rng = np.random.default_rng(2)
    shapes = {name: functions.abstract[name].shape for name in functions.trained}
    return {name: jnp.float32(0.2 * rng.normal(size=shapes[name])) for name in shapes}


def optimizer_of(functions, **fields):
    letters = {name: functions.letters[name] for name in functions.trained}
    return make_optimizer(OptimizerConfig(**fields), letters, total_steps=10)


def test_the_gradient_is_that_of_the_merged_weights_by_the_chain_rule(
    make_functions, make_batch, params
):
    base, batch = make_functions(), make_batch()
    functions = base.adapted(LORA)
    before = adapters(functions)
    # At b1 = b2 = 0 and a large eps, an update is the gradient over eps.
    optimizer = optimizer_of(functions, lr=1e6, b1=0.0, b2=0.0, eps=1e6)
    state, metrics = make_train_step(functions, optimizer)(
        new_state(before, optimizer), batch, params
    )
    merged = functions.merge({**params, **before})
    targets = batch.weights_BT.sum()
    mean = jax.value_and_grad(lambda merged: loss_sums(base, merged, batch)[0] / targets)
    loss, full = jax.jit(mean)(merged)
    np.testing.assert_allclose(metrics["loss"], loss, rtol=1e-5)
    assert state.params.keys() == before.keys()
    for name in (name for name in before if name.endswith("lora.a")):
        stem = name.removesuffix(".lora.a")
        a, b, w = (
            functions.letters[f"{stem}.{part}"].replace(" ", "")
            for part in ("lora.a", "lora.b", "w")
        )
        gradients = {
            f"{stem}.lora.a": np.einsum(
                f"{w},{b}->{a}", full[f"{stem}.w"], before[f"{stem}.lora.b"]
            ),
            f"{stem}.lora.b": np.einsum(f"{w},{a}->{b}", full[f"{stem}.w"], before[name]),
        }
        for key, gradient in gradients.items():
            update = np.asarray(before[key] - state.params[key])
            expected = LORA.scale * gradient
            np.testing.assert_allclose(
                update, expected, atol=1e-3 * np.abs(expected).max(), err_msg=key
            )


def test_the_optimizer_knows_adapters_only_and_frozen_weights_stay(
    make_functions, make_batch, params
):
    functions = make_functions().adapted(LORA)
    kept = jax.tree.map(np.asarray, params)
    optimizer = optimizer_of(functions)
    step, state = make_train_step(functions, optimizer), new_state(adapters(functions), optimizer)
    for seed in range(2):
        state, _ = step(state, make_batch(seed=seed), params)
    (adam,) = [part for part in state.opt_state if hasattr(part, "mu")]
    assert adam.mu.keys() == state.params.keys() == set(functions.trained)
    for name in params:
        np.testing.assert_array_equal(params[name], kept[name])
    for name, before in adapters(functions).items():
        assert np.all(np.any(np.asarray(state.params[name] != before), axis=0)), name


def test_no_step_computes_anything_of_a_frozen_weights_size(make_functions, make_batch, params):
    """A gradient or a merged copy would be; doing without is what adapters save."""
    functions = make_functions().adapted(LORA)
    optimizer = optimizer_of(functions)
    state = new_state(adapters(functions), optimizer)
    step = make_train_step(functions, optimizer)
    computed = shapes(jax.make_jaxpr(step)(state, make_batch(), params).jaxpr)
    assert (3, 32, LORA.rank) in computed
    for name in ("layers.gate.w", "layers.q.w"):
        assert params[name].shape not in computed
        assert params[name].shape[1:] not in computed


def shapes(jaxpr) -> set[tuple[int, ...]]:
    """Shapes of all that a program computes, also within loops."""
    found = set()
    for equation in jaxpr.eqns:
        inner = [getattr(value, "jaxpr", value) for value in jax.tree.leaves(equation.params)]
        found |= {variable.aval.shape for variable in equation.outvars}
        found |= set().union(*(shapes(value) for value in inner if hasattr(value, "eqns")))
    return found


@pytest.mark.slow
def test_accumulation_remat_and_a_mesh_change_nothing(make_functions, make_batch, params):
    batch = make_batch(B=16)
    functions = make_functions(dropout=0.3).adapted(LORA)
    optimizer = optimizer_of(functions, name="adafactor", weight_decay=0.1)
    before = adapters(functions)
    alone, metrics = make_train_step(functions, optimizer, noise=Noise)(
        new_state(before, optimizer), batch, params
    )

    functions = make_functions(dropout=0.3, remat="full").adapted(LORA)
    mesh = sharding.make_mesh("data:2,fsdp:2,tensor:2")
    placed = sharding.param_shardings(mesh, functions.letters, functions.abstract)
    abstract = {name: functions.abstract[name] for name in functions.trained}
    shardings = jax.tree.map(
        lambda leaf: leaf.sharding, abstract_state(abstract, optimizer, placed)
    )
    with jax.set_mesh(mesh):
        state = place(lambda adapters: adapters, optimizer, shardings, before)
        frozen = jax.device_put(params, {name: placed[name] for name in params})
        step = make_train_step(
            functions, optimizer, micro_steps=2, noise=Noise, shardings=shardings
        )
        state, others = step(state, jax.device_put(batch, sharding.batch_sharding(mesh)), frozen)
    for key in metrics:
        np.testing.assert_allclose(metrics[key], others[key], rtol=2e-5, err_msg=key)
    for key in before:
        assert state.params[key].sharding.is_equivalent_to(placed[key], before[key].ndim)
        # float32 sums in another order; a first update is close to a sign of the gradient.
        close = np.isclose(alone.params[key], state.params[key], rtol=1e-4, atol=1e-5)
        assert close.mean() > 0.99, key
    assert placed["layers.o.lora.a"].spec == jax.sharding.PartitionSpec(None, "tensor", None, None)
