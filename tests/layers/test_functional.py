"""A family as functions: what its products are rounded to."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import pytest

from ift_jax.dims import Batch
from ift_jax.layers.functional import Functions
from ift_jax.models import llama, t5

SIZES = {"L": 2, "D": 8, "N": 2, "H": 4, "F": 12, "V": 16}


def lowered(family, sizes: dict[str, int], dtype: str) -> dict[str, str]:
    """StableHLO of each function that multiplies, and of a gradient."""
    functions = Functions(family, family.Config(**sizes, dtype=dtype, remat="full"))
    ids = jax.ShapeDtypeStruct((1, 6), jnp.int32)
    encoded = [None, None, *[ids] * 3] if functions.encoder_decoder else []
    batch = Batch(ids, ids, ids, *encoded)
    x_BTD = jax.ShapeDtypeStruct((1, 6, 8), dtype)

    def init_cache(params, batch):
        return functions.init_cache(params, batch, 9)

    cache = jax.eval_shape(init_cache, functions.abstract, batch)

    def loss(params, batch):
        return jnp.sum(functions.unembed(params, functions.hidden(params, batch)))

    calls = {
        "hidden": (functions.hidden, batch),
        "unembed": (functions.unembed, x_BTD),
        "extend": (functions.extend, batch, cache),
        "gradient": (jax.grad(loss), batch),
    }
    if functions.encoder_decoder:  # it encodes
        calls["init_cache"] = (init_cache, batch)
    return {
        name: jax.jit(call).lower(functions.abstract, *arguments).as_text()
        for name, (call, *arguments) in calls.items()
    }


@pytest.mark.parametrize(
    ("family", "sizes"), [(llama, SIZES | {"K": 1}), (t5, SIZES | {"encoder_layers": 3})]
)
@pytest.mark.parametrize(("dtype", "precision"), [("float32", "HIGHEST"), ("bfloat16", "DEFAULT")])
def test_float32_products_are_float32_on_every_device(family, sizes, dtype, precision):
    for name, text in lowered(family, sizes, dtype).items():
        products = [line for line in text.splitlines() if "dot_general" in line]
        assert products, name
        for line in products:
            stated = re.search(r"precision = \[(\w+), (\w+)\]", line)
            seen = set(stated.groups()) if stated else {"DEFAULT"}
            assert seen == {precision}, f"{name}: {line}"
