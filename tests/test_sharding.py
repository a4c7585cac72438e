from __future__ import annotations

import itertools
import types

import jax
import numpy as np
import pytest

from ift_jax import sharding

P = jax.sharding.PartitionSpec


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("fsdp:8", (1, 8, 1, 1)),
        ("data:2,fsdp:-1", (2, 4, 1, 1)),
        ("fsdp:2,sequence:2,tensor:2", (1, 2, 2, 2)),
    ],
)
def test_meshes_are_read(spec, expected):
    assert tuple(sharding.parse_mesh(spec, 8).values()) == expected


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("fsdp:3", r"needs 3 devices, and there are 8.*\[1, 2, 4, 8\]"),
        ("fsdp:-1,tensor:3", "needs a multiple of 3 devices"),
        ("fsdp:-1,tensor:-1", "only one size may be -1"),
        ("model:8", "'model:8' is not AXIS:SIZE"),
        ("fsdp:x", "size 'x' of 'fsdp' is not a number"),
        ("fsdp:0", "size 0 of 'fsdp' must be positive"),
        ("fsdp:2,fsdp:4", "'fsdp' is given twice"),
    ],
)
def test_a_mesh_that_does_not_fit_says_what_would(spec, message):
    with pytest.raises(ValueError, match=message):
        sharding.parse_mesh(spec, 8)


def test_a_mesh_that_cuts_across_the_sides_of_a_slice_is_refused():
    """4×4×4 chips, as JAX describes TPUs: 32 is no product of sides."""
    chips = [
        types.SimpleNamespace(
            id=number, coords=coords, core_on_chip=0, platform="tpu", device_kind="TPU v5"
        )
        for number, coords in enumerate(itertools.product(range(4), repeat=3))
    ]
    with pytest.raises(ValueError, match=r"fsdp:32,tensor:2.*product of some sides.*4×4×4"):
        sharding.make_mesh("fsdp:32,tensor:2", chips)


def test_rows_must_divide():
    mesh = sharding.make_mesh("data:2,fsdp:4")
    sharding.check_rows(mesh, 16)
    with pytest.raises(ValueError, match="12 rows do not divide.*use a multiple of 8"):
        sharding.check_rows(mesh, 12)


def test_a_letter_without_a_rule_is_an_error_not_a_default():
    mesh = sharding.make_mesh("fsdp:8")
    with pytest.raises(ValueError, match="no sharding rule for axis 'Q'"):
        sharding.parameter_spec(mesh, "w", "D Q", (8, 8))


def test_table_shows_what_is_split_and_what_is_not():
    mesh = sharding.make_mesh("fsdp:4,tensor:2")
    letters = {"embed.w": "V D", "k.w": "D K H"}
    abstract = {
        "embed.w": jax.ShapeDtypeStruct((7, 8), np.float32),
        "k.w": jax.ShapeDtypeStruct((8, 2, 4), np.float32),
    }
    table = sharding.table(mesh, letters, abstract)
    assert "D:fsdp (V indivisible)" in table
    assert "D:fsdp, K:tensor" in table
    embed, k = table.splitlines()[2:4]
    assert embed.split()[-1] == f"{7 * 8 * 4 / 4 / 1e6:.2f}"
    assert k.split()[-1] == f"{8 * 2 * 4 * 4 / 8 / 1e6:.2f}"


def test_constrain_states_the_sharding_only_where_a_mesh_is_set():
    x_BTD = np.zeros((8, 4, 16), np.float32)
    assert sharding.constrain(x_BTD, "B T D") is x_BTD
    mesh = sharding.make_mesh("data:2,fsdp:4")
    with jax.set_mesh(mesh):
        y_BTD = jax.jit(lambda x: sharding.constrain(x, "B T D"))(x_BTD)
    assert y_BTD.sharding.shard_shape(y_BTD.shape) == (1, 4, 16)
