"""The same seed and data train alike on every mesh of 1, 2, 4 and 8 devices."""

from __future__ import annotations

import itertools
import math

import jax
import numpy as np
import pytest

from ift_jax import sharding
from ift_jax.layers.dropout import Noise
from ift_jax.sharding import AXES
from ift_jax.train.state import abstract_state, place, state_shardings
from ift_jax.train.step import make_train_step

STEPS, ROWS = 6, 8

MESHES = [
    ",".join(f"{axis}:{size}" for axis, size in zip(AXES, sizes, strict=True))
    for devices in (1, 2, 4, 8)
    for sizes in itertools.product((1, 2, 4, 8), repeat=len(AXES))
    if math.prod(sizes) == devices
]
"""All of them: 35."""

BOUND = 5e-5
"""Between two meshes' losses, relative: float32 sums in other orders, over six steps."""


@pytest.fixture(scope="module")
def curves():
    """The losses of each mesh that was trained on so far."""
    return {}


@pytest.mark.slow
@pytest.mark.parametrize("mesh", MESHES)
def test_every_mesh_has_the_same_loss_curve(
    make_functions, make_batch, params, optimizer_for, curves, mesh
):
    """Whatever the mesh, a device computes one row at a time: accumulation makes up the rest."""
    functions = make_functions(dropout=0.1)
    optimizer = optimizer_for(functions, lr=1e-3)
    name, sizes = mesh, sharding.parse_mesh(mesh, math.prod(int(x[-1]) for x in mesh.split(",")))
    mesh = sharding.make_mesh(mesh, jax.devices()[: math.prod(sizes.values())])
    param_shardings = sharding.param_shardings(mesh, functions.letters, functions.abstract)
    shardings = state_shardings(abstract_state(functions.abstract, optimizer), param_shardings)
    micro_steps = ROWS // (sizes["data"] * sizes["fsdp"])
    train_step = make_train_step(
        functions, optimizer, micro_steps=micro_steps, noise=Noise, shardings=shardings
    )
    losses = []
    with jax.set_mesh(mesh):
        state = place(lambda params: params, optimizer, shardings, params)
        for step in range(STEPS):
            batch = jax.device_put(make_batch(seed=step, B=ROWS), sharding.batch_sharding(mesh))
            state, metrics = train_step(state, batch)
            losses.append(float(metrics["loss"]))
    curves[name] = losses
    assert losses[-1] != losses[0]
    for other, expected in curves.items():
        np.testing.assert_allclose(losses, expected, rtol=BOUND, err_msg=f"{name} and {other}")
