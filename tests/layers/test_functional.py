"""A family as functions: what its products are rounded to."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import pytest

from ift_jax.dims import Batch
from ift_jax.layers.functional import Functions
from ift_jax.models import llama

SIZES = {"L": 2, "D": 8, "N": 2, "K": 1, "H": 4, "F": 12, "V": 16}


def lowered(dtype: str) -> dict[str, str]:
    """StableHLO of each function that multiplies, and of a gradient."""
    functions = Functions(llama, llama.Config(**SIZES, dtype=dtype, remat="full"))
    batch = Batch(*(jax.ShapeDtypeStruct((1, 6), jnp.int32) for _ in range(3)))
    x_BTD = jax.ShapeDtypeStruct((1, 6, 8), dtype)
    cache = jax.eval_shape(
        lambda params: functions.init_cache(params, batch, 9), functions.abstract
    )

    def loss(params, batch):
        return jnp.sum(functions.unembed(params, functions.hidden(params, batch)))

    calls = {
        "hidden": (functions.hidden, batch),
        "unembed": (functions.unembed, x_BTD),
        "extend": (functions.extend, batch, cache),
        "gradient": (jax.grad(loss), batch),
    }
    return {
        name: jax.jit(call).lower(functions.abstract, *arguments).as_text()
        for name, (call, *arguments) in calls.items()
    }


@pytest.mark.parametrize(("dtype", "precision"), [("float32", "HIGHEST"), ("bfloat16", "DEFAULT")])
def test_float32_products_are_float32_on_every_device(dtype, precision):
    for name, text in lowered(dtype).items():
        products = [line for line in text.splitlines() if "dot_general" in line]
        assert products, name
        for line in products:
            stated = re.search(r"precision = \[(\w+), (\w+)\]", line)
            seen = set(stated.groups()) if stated else {"DEFAULT"}
            assert seen == {precision}, f"{name}: {line}"
