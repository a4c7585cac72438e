"""The fingerprint by which adapters know their base."""

from __future__ import annotations

import hashlib
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ift_jax.checkpoints.base import Base, fingerprint
from ift_jax.sharding import make_mesh, param_shardings


@pytest.fixture
def params():
    rng = np.random.default_rng(0)
    return {
        "q": jnp.float32(rng.normal(size=(8, 4, 3))),
        "norm": jnp.asarray(rng.normal(size=8), jnp.bfloat16),
    }


def mixed(x: int) -> int:
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = (x ^ (x >> shift)) * factor % 2**32
    return x ^ (x >> 16)


def test_it_is_the_hash_it_says_it_is(params):
    # MurmurHash3's published values of its finalizer.
    assert [mixed(1), mixed(2)] == [0x514E28B7, 0x30F4C306]
    content = []
    for name in ("norm", "q"):
        array = np.asarray(params[name])
        bits = array.view(f"uint{8 * array.itemsize}").ravel().tolist()
        total = sum(mixed((bit + mixed(place)) % 2**32) for place, bit in enumerate(bits)) % 2**32
        content.append([name, array.dtype.name, list(array.shape), total])
    assert fingerprint(params) == hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


@pytest.mark.parametrize("mesh", ["fsdp:8", "fsdp:2,tensor:4"])
def test_it_is_the_same_on_any_mesh(params, mesh):
    shardings = param_shardings(make_mesh(mesh), {"q": "D N H", "norm": "D"}, params)
    assert fingerprint(jax.device_put(params, shardings)) == fingerprint(params)


def test_any_change_changes_it(params):
    q, norm = np.asarray(params["q"]), params["norm"]
    one_bit = q.view(np.uint32).copy()
    one_bit[7, 3, 2] ^= 1
    others = [
        {"q": jnp.asarray(one_bit.view(np.float32)), "norm": norm},
        {"q": jnp.asarray(q[:, ::-1]), "norm": norm},
        {"q": jnp.asarray(q.reshape(8, 3, 4)), "norm": norm},
        {"k": params["q"], "norm": norm},
        {"q": params["q"], "norm": norm.astype(jnp.float32)},
        {"q": params["q"]},
    ]
    assert len({fingerprint(each) for each in (params, *others)}) == 7


def test_other_weights_are_refused_and_the_base_is_named(params):
    base = Base("models/mine", 7, fingerprint(params))
    base.check(params, "run/model.json")
    params["norm"] = -params["norm"]
    with pytest.raises(ValueError, match="^run/model.json: .* from models/mine, step 7") as refused:
        base.check(params, "run/model.json")
    assert base.fingerprint in str(refused.value) and fingerprint(params) in str(refused.value)
