"""Adapters: their formula, their first values, what gets one, and merging."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ift_jax.layers import lora, stack
from ift_jax.layers.functional import Functions
from ift_jax.layers.linear import Linear
from ift_jax.layers.lora import Lora
from ift_jax.models import llama, opt
from ift_jax.sharding import make_mesh, param_shardings

SIZES = {"D": 6, "N": 3, "H": 4}
SETTINGS = Lora(rank=2, alpha=3.0, targets="all")


class Block(nnx.Module):
    def __init__(self, rngs: nnx.Rngs, dtype=jnp.float32):
        dtypes = {"param_dtype": dtype, "dtype": dtype}
        self.q = Linear("D N H", "D", SIZES, rngs=rngs, scale=1.0, bias=True, **dtypes)
        self.o = Linear("N H D", "NH", SIZES, rngs=rngs, scale=1.0, **dtypes)


class Toy(nnx.Module):
    def __init__(self, dtype=jnp.float32):
        self.layers = stack.stack(lambda rngs: Block(rngs, dtype), 5, nnx.Rngs(0))
        self.head = Linear(
            "D N", "D", SIZES, rngs=nnx.Rngs(0), param_dtype=dtype, dtype=jnp.float32
        )


def test_each_layer_adds_its_own_product_times_alpha_over_rank():
    model = Toy()
    lora.attach(model, SETTINGS, nnx.Rngs(1))
    rng = np.random.default_rng(0)
    for linear in (model.layers.q, model.layers.o):
        linear.lora.b[...] = jnp.float32(rng.normal(size=linear.lora.b.shape))
    x_BTD = rng.normal(size=(2, 7, 6))
    _, (q_LBTNH, o_LBTD) = stack.run(
        model.layers,
        lambda block, x, *_: (x, (block.q(x), block.o(block.q(x)))),
        jnp.float32(x_BTD),
        L=5,
    )
    q, o = (
        [np.float64(x[...]) for x in (linear.w, linear.lora.a, linear.lora.b)]
        for linear in (model.layers.q, model.layers.o)
    )
    for layer in range(5):
        w_DNH, a_DZ, b_ZNH = (x[layer] for x in q)
        q_BTNH = np.einsum("btd,dnh->btnh", x_BTD, w_DNH)
        q_BTNH += 1.5 * np.einsum("btd,dz,znh->btnh", x_BTD, a_DZ, b_ZNH)
        np.testing.assert_allclose(q_LBTNH[layer], q_BTNH, atol=1e-5)
        w_NHD, a_NHZ, b_ZD = (x[layer] for x in o)
        o_BTD = np.einsum("btnh,nhd->btd", q_BTNH, w_NHD)
        o_BTD += 1.5 * np.einsum("btnh,nhz,zd->btd", q_BTNH, a_NHZ, b_ZD)
        np.testing.assert_allclose(o_LBTD[layer], o_BTD, atol=1e-4)


def test_an_adapter_starts_uniform_in_its_inputs_and_zero_and_is_float32():
    model = Toy(jnp.bfloat16)
    lora.attach(model, Lora(400, 1.0, "all"), nnx.Rngs(1))
    for linear, inputs in ((model.layers.q, 6), (model.layers.o, 12)):
        a = np.asarray(linear.lora.a[...])
        assert a.dtype == linear.lora.b[...].dtype == np.float32
        # 12,000 draws and more: the deviation's own standard error is below 1%.
        assert abs(a.std() * (3 * inputs) ** 0.5 - 1) < 0.02
        assert 0.99 < np.abs(a).max() * inputs**0.5 <= 1
        assert np.unique(a[:, 0].reshape(5, -1), axis=0).shape[0] == 5, "each layer its own"
        np.testing.assert_array_equal(linear.lora.b[...], 0)


def test_projections_are_the_matrices_of_blocks_only():
    config = opt.Config(L=2, D=32, N=4, H=8, F=48, V=64, W=16, pre_norm=False)
    functions = Functions(opt, config).adapted(SETTINGS)
    names = {name.removesuffix(lora.A).removesuffix(lora.B) for name in functions.trained}
    assert names == {f"layers.{name}" for name in ("q", "k", "v", "o", "up", "down")}


PROJECTIONS = ["encoder.q", "encoder.o", "decoder.q", "decoder.cross.q", "decoder.s_q"]


@pytest.mark.parametrize(
    ("targets", "chosen"),
    [
        ("all", PROJECTIONS),
        ("q", ["encoder.q", "decoder.q", "decoder.cross.q"]),
        ("cross.q, o", ["decoder.cross.q", "encoder.o"]),
        ("q,encoder.q", ["encoder.q", "decoder.q", "decoder.cross.q"]),
    ],
)
def test_a_target_is_every_projection_of_that_name(targets, chosen):
    assert Lora(1, 1, targets).choose(PROJECTIONS, "t5") == chosen


@pytest.mark.parametrize("targets", ["q,kq", "q,", "ross.q"])
def test_an_unknown_target_lists_those_there_are(targets):
    with pytest.raises(ValueError, match="There are: q, o, s_q; or 'all'") as refused:
        Lora(1, 1, targets).choose(PROJECTIONS, "t5")
    unknown = targets.rpartition(",")[2]
    assert f"lora.targets = {targets!r}: t5 has no projection {unknown!r}." in str(refused.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [("rank", 0), ("rank", 2.0), ("alpha", 0.0), ("alpha", float("nan")), ("targets", None)],
)
def test_settings_are_checked(field, value):
    with pytest.raises(ValueError, match=f"lora.{field} = {value!r}"):
        Lora(**{"rank": 2, "alpha": 1.0, "targets": "q", field: value})


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_merging_adds_in_float32_and_rounds_once(dtype):
    letters = {"q.w": "L N H D", "q.lora.a": "L N H Z", "q.lora.b": "L Z D", "norm": "L D"}
    shapes = {"q.w": (2, 3, 4, 6), "q.lora.a": (2, 3, 4, 5), "q.lora.b": (2, 5, 6), "norm": (2, 6)}
    rng = np.random.default_rng(0)
    params = {name: jnp.float32(rng.normal(size=shape)) for name, shape in shapes.items()}
    params |= {name: params[name].astype(dtype) for name in ("q.w", "norm")}
    merged = lora.merge(params, letters, 0.25)
    assert merged.keys() == {"q.w", "norm"}
    assert merged["norm"] is params["norm"]
    exact = np.float64(params["q.w"]) + 0.25 * np.einsum(
        "lnhz,lzd->lnhd", np.float64(params["q.lora.a"]), np.float64(params["q.lora.b"])
    )
    assert merged["q.w"].dtype == dtype
    expected = np.asarray(jnp.asarray(exact, dtype), np.float64)
    np.testing.assert_allclose(np.float64(merged["q.w"]), expected, rtol=1e-6, atol=1e-6)


def test_merged_weights_lie_where_they_lay():
    config = llama.Config(L=2, D=32, N=4, K=2, H=16, F=48, V=64)
    base = Functions(llama, config)
    functions = base.adapted(SETTINGS)
    shardings = param_shardings(make_mesh("fsdp:4,tensor:2"), functions.letters, functions.abstract)
    params = jax.jit(functions.init, out_shardings=shardings)(jax.random.key(0))
    merged = functions.merge(params)
    assert merged.keys() == base.abstract.keys()
    assert {name: leaf.sharding for name, leaf in merged.items()} == {
        name: shardings[name] for name in merged
    }
    assert base.merge(merged) is merged
