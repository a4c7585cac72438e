from __future__ import annotations

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from ift_jax import sharding
from ift_jax.checkpoints.store import Store
from ift_jax.layers.dropout import Noise
from ift_jax.train.optim import OptimizerConfig, make_optimizer
from ift_jax.train.state import TrainState, abstract_state, new_state, place, state_shardings
from ift_jax.train.step import make_train_step


def trainer(functions, optimizer, mesh, **switches):
    """(shardings of the state, step, function that places a batch) for a mesh."""
    param_shardings = sharding.param_shardings(mesh, functions.letters, functions.abstract)
    shardings = state_shardings(abstract_state(functions.abstract, optimizer), param_shardings)
    train_step = make_train_step(functions, optimizer, shardings=shardings, **switches)
    return shardings, train_step, lambda x: jax.device_put(x, sharding.batch_sharding(mesh))


@pytest.mark.parametrize(
    ("mesh", "name", "dropout"),
    [
        pytest.param("fsdp:8", "adamw", 0.3, marks=pytest.mark.slow),
        pytest.param("fsdp:4,tensor:2", "adafactor", 0.0, marks=pytest.mark.slow),
        pytest.param("data:2,fsdp:2,tensor:2", "adamw", 0.0, marks=pytest.mark.slow),
        ("fsdp:2,sequence:2,tensor:2", "adafactor", 0.3),
    ],
)
def test_a_mesh_trains_as_one_device_does(
    make_functions, make_batch, params, optimizer_for, mesh, name, dropout
):
    functions, batch = make_functions(dropout=dropout), make_batch(B=16)
    optimizer = optimizer_for(functions, name=name)
    noise = Noise if dropout else None
    alone = place(lambda params: params, optimizer, None, params)
    step_alone = make_train_step(functions, optimizer, noise=noise)
    mesh = sharding.make_mesh(mesh)
    shardings, train_step, place_batch = trainer(
        functions, optimizer, mesh, micro_steps=2, noise=noise
    )
    with jax.set_mesh(mesh):
        state = place(lambda params: params, optimizer, shardings, params)
    for _ in range(2):
        alone, metrics = step_alone(alone, batch)
        with jax.set_mesh(mesh):
            state, others = train_step(state, place_batch(batch))
        # float32 sums over devices, in another order.
        for key in metrics:
            np.testing.assert_allclose(metrics[key], others[key], rtol=2e-5, err_msg=key)
    for leaf, expected in zip(jax.tree.leaves(state), jax.tree.leaves(shardings), strict=True):
        assert leaf.sharding.is_equivalent_to(expected, leaf.ndim)
    for key in params:
        # AdamW's first updates are close to a sign: a gradient near 0 may come out otherwise.
        close = np.isclose(alone.params[key], state.params[key], rtol=1e-4, atol=1e-5)
        assert close.mean() > 0.999, key


def test_optimizer_state_lies_as_its_parameters_do(make_functions, optimizer_for):
    functions = make_functions()
    mesh = sharding.make_mesh("fsdp:4,tensor:2")
    param_shardings = sharding.param_shardings(mesh, functions.letters, functions.abstract)
    adamw = optimizer_for(functions, name="adamw")
    shardings = state_shardings(abstract_state(functions.abstract, adamw), param_shardings)
    (adam,) = [part for part in shardings.opt_state if hasattr(part, "mu")]
    assert adam.mu == adam.nu == shardings.params == param_shardings
    assert adam.count.spec == shardings.step.spec == PartitionSpec()


@pytest.mark.parametrize(
    ("name", "param_dtype"),
    [
        pytest.param("adamw", "bfloat16", marks=pytest.mark.slow),
        ("adafactor", "float32"),
        pytest.param("adamw", "float32", marks=pytest.mark.slow),
        pytest.param("adafactor", "bfloat16", marks=pytest.mark.slow),
    ],
)
def test_steps_change_no_dtype_and_a_resume_finds_what_it_expects(
    make_functions, make_batch, params, optimizer_for, tmp_path, name, param_dtype
):
    functions = make_functions(param_dtype=param_dtype)
    params = {key: weight.astype(param_dtype) for key, weight in params.items()}
    optimizer = optimizer_for(functions, name=name)
    mesh = sharding.make_mesh("fsdp:4,tensor:2")
    shardings, train_step, place_batch = trainer(functions, optimizer, mesh)
    abstract = abstract_state(functions.abstract, optimizer, shardings.params)
    with jax.set_mesh(mesh):
        state = place(lambda params: params, optimizer, shardings, params)
        for step in range(2):
            state, _ = train_step(state, place_batch(make_batch(seed=step)))
    assert train_step._cache_size() == 1
    for key, weight in state.params.items():
        assert weight.dtype == param_dtype
        assert np.any(weight != params[key]), key
    leaves = jax.tree.leaves_with_path(state)
    for (path, leaf), expected in zip(leaves, jax.tree.leaves(abstract), strict=True):
        assert (leaf.dtype, leaf.shape) == (expected.dtype, expected.shape), path
        assert leaf.sharding.is_equivalent_to(expected.sharding, leaf.ndim), path
    store = Store(tmp_path)
    store.save(2, state.params, train=state.training, wait=True)
    found = store.restore(2, abstract.params, train=abstract.training)
    for one, other in zip(
        jax.tree.leaves((state.params, state.training)),
        jax.tree.leaves((found.params, found.train)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_factored_moments_are_split_along_the_axes_they_keep():
    letters = {"q": "L D N H"}
    abstract = {"q": jax.ShapeDtypeStruct((2, 256, 4, 64), "float32")}
    mesh = sharding.make_mesh("fsdp:4,tensor:2")
    param_shardings = sharding.param_shardings(mesh, letters, abstract)
    optimizer = make_optimizer(OptimizerConfig("adafactor"), letters, total_steps=1)
    state = abstract_state(abstract, optimizer, param_shardings)
    (factored,) = [part for part in state.opt_state if hasattr(part, "row")]
    assert (factored.row["q"].shape, factored.row["q"].sharding.spec) == (
        (2, 256, 1, 1),
        PartitionSpec(None, "fsdp", None, None),
    )
    assert (factored.column["q"].shape, factored.column["q"].sharding.spec) == (
        (2, 1, 4, 64),
        PartitionSpec(None, None, "tensor", None),
    )


def test_state_of_another_shape_under_a_parameters_name_is_refused(
    make_functions, optimizer_for, params
):
    functions = make_functions()
    mesh = sharding.make_mesh("fsdp:8")
    param_shardings = sharding.param_shardings(mesh, functions.letters, functions.abstract)
    state = abstract_state(functions.abstract, optimizer_for(functions))
    state.opt_state[1].mu["norm.scale"] = jax.ShapeDtypeStruct((7,), "float32")
    with pytest.raises(ValueError, match=r"norm.scale.* has shape \(7,\), expected \(32,\)"):
        state_shardings(state, param_shardings)


def test_micro_batches_move_no_rows_between_devices(
    make_functions, make_batch, params, optimizer_for
):
    """Rows a::A of a batch split over devices lie on the devices they were on."""
    functions = make_functions()
    optimizer = optimizer_for(functions)
    mesh = sharding.make_mesh("data:8")
    with jax.set_mesh(mesh):
        batch = jax.device_put(make_batch(B=16), sharding.batch_sharding(mesh))
        state = jax.device_put(new_state(params, optimizer), sharding.replicated(mesh))
        train_step = make_train_step(functions, optimizer, micro_steps=2)
        compiled = train_step.lower(state, batch).compile().as_text()
    moves = [
        line
        for line in compiled.splitlines()
        if any(f" {op}(" in line for op in ("all-to-all", "all-gather", "collective-permute"))
    ]
    assert not moves


def test_resumes_bitwise_equal_and_on_another_mesh(
    make_functions, make_batch, params, optimizer_for, tmp_path
):
    functions = make_functions(dropout=0.3)
    optimizer = optimizer_for(functions)
    batches = [make_batch(seed=step) for step in range(4)]
    mesh = sharding.make_mesh("fsdp:4,tensor:2")
    shardings, train_step, place_batch = trainer(functions, optimizer, mesh, noise=Noise)
    store = Store(tmp_path)

    with jax.set_mesh(mesh):
        state = place(lambda params: params, optimizer, shardings, params)
        for step, batch in enumerate(batches):
            if step == 2:
                store.save(step, state.params, train=state.training, wait=True)
            state, _ = train_step(state, place_batch(batch))

    def resumed(mesh):
        shardings, train_step, place_batch = trainer(functions, optimizer, mesh, noise=Noise)
        abstract = abstract_state(functions.abstract, optimizer, shardings.params)
        found = store.restore(2, abstract.params, train=abstract.training)
        with jax.set_mesh(mesh):
            state = TrainState(params=found.params, **found.train)
            for batch in batches[int(state.step) :]:
                state, _ = train_step(state, place_batch(batch))
        return state

    again = resumed(mesh)
    for one, other in zip(jax.tree.leaves(state), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(one, other)
    elsewhere = resumed(sharding.make_mesh("data:2,fsdp:2,tensor:2"))
    assert elsewhere.step == 4
    for key in params:
        # float32 sums over devices, in another order; AdamW as above.
        close = np.isclose(state.params[key], elsewhere.params[key], rtol=1e-4, atol=1e-5)
        assert close.mean() > 0.999, key
