"""Every family against the reference implementation, and its parts against each other."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ift_jax import lookup
from ift_jax.dims import SHARED, Batch
from ift_jax.layers.functional import Functions
from ift_jax.layers.lora import Lora
from ift_jax.models import llama, opt
from ift_jax.sharding import batch_shardings, make_mesh, param_shardings
from ift_jax.train.adafactor import is_matrix
from ift_jax.train.loss import loss_sums
from tests.models.golden import NAMES, golden, logits, packed, whole

every_golden = pytest.mark.parametrize("name", NAMES)

# Divide over eight devices every way that the tests split them.
SPLIT = {
    "llama": llama.Config(L=2, D=32, N=4, K=2, H=16, F=48, V=64),
    "opt": opt.Config(L=2, D=32, N=4, H=8, F=48, V=64, W=32, max_length=64),
    "opt post-norm": opt.Config(
        L=2, D=32, N=4, H=8, F=48, V=64, W=16, max_length=64, pre_norm=False
    ),
}


def test_every_family_has_a_golden_and_a_tiny_size():
    families = lookup.names("models", "Model")
    assert set(families) == {name.partition("_")[0] for name in NAMES}
    assert all("tiny" in lookup.find("models", family).SIZES for family in families)


@every_golden
def test_full_sequences_equal_the_reference(name):
    functions, params, tokens_BT, kept, expected = golden(name)
    assert tokens_BT.shape[1] > 256
    seen = logits(functions, params, whole(tokens_BT))[:, kept]
    np.testing.assert_allclose(seen, expected, atol=1e-4)


@every_golden
def test_right_padded_rows_equal_the_reference(name):
    functions, params, tokens_BT, kept, expected = golden(name)
    length = 270
    padded = np.zeros((2, 320), np.int32)
    padded[:, :length] = tokens_BT[:, :length]
    batch = whole(padded)
    inside = np.arange(320) < length
    batch = dataclasses.replace(
        batch,
        segments_BT=np.broadcast_to(inside.astype(np.int32), padded.shape),
        positions_BT=np.where(inside, batch.positions_BT, 0),
    )
    kept_inside = kept[kept < length]
    seen = logits(functions, params, batch)
    assert np.isfinite(seen).all()
    np.testing.assert_allclose(seen[:, kept_inside], expected[:, kept < length], atol=1e-4)


@every_golden
def test_packed_row_equals_the_reference_on_separate_sequences(name):
    functions, params, tokens_BT, kept, expected = golden(name)
    T = tokens_BT.shape[1]
    batch = Batch(
        jnp.asarray(tokens_BT.reshape(1, -1)),
        np.tile(np.arange(T, dtype=np.int32), 2)[None],
        np.repeat(np.int32([1, 2]), T)[None],
    )
    seen = logits(functions, params, batch).reshape(2, T, -1)[:, kept]
    np.testing.assert_allclose(seen, expected, atol=1e-4)


@every_golden
def test_order_within_a_row_is_nothing_but_positions(name):
    """The same sequence written backwards in the arrays, with its positions, is the same."""
    functions, params, tokens_BT, _, _ = golden(name)
    forwards = whole(tokens_BT[:, :40])
    backwards = jax.tree.map(lambda x: x[:, ::-1], forwards)
    np.testing.assert_allclose(
        logits(functions, params, backwards)[:, ::-1],
        logits(functions, params, forwards),
        atol=1e-5,
    )


@every_golden
def test_shared_prefix_serves_each_continuation(name):
    functions, params, tokens_BT, _, _ = golden(name)
    prefix, first, second = tokens_BT[0, :20], tokens_BT[0, 20:27], tokens_BT[0, 27:32]
    row = Batch(
        np.concatenate([prefix, first, second])[None],
        np.concatenate([np.arange(20), np.arange(20, 27), np.arange(20, 25)])[None],
        np.repeat([SHARED, 1, 2], [20, 7, 5])[None],
    )
    seen = logits(functions, params, row)[0]
    for start, continuation in ((20, first), (27, second)):
        alone = logits(functions, params, whole(np.concatenate([prefix, continuation])[None]))[0]
        np.testing.assert_allclose(seen[start : start + len(continuation)], alone[20:], atol=1e-5)


@every_golden
@pytest.mark.parametrize("chunk", [1, 7])
def test_cached_decoding_equals_the_full_forward(name, chunk):
    functions, params, tokens_BT, _, _ = golden(name)
    batch = whole(tokens_BT[:, :21])
    cache = functions.init_cache(params, batch, 30)
    extend = jax.jit(functions.extend)
    pieces = []
    for start in range(0, 21, chunk):
        piece = jax.tree.map(lambda x, start=start: x[:, start : start + chunk], batch)
        x_BTD, cache = extend(params, piece, cache)
        pieces.append(x_BTD)
    assert int(cache.end) == 21
    np.testing.assert_allclose(
        np.concatenate(pieces, 1), functions.hidden(params, batch), atol=1e-5
    )


@every_golden
def test_no_token_depends_on_later_ones(name):
    functions, params, tokens_BT, _, _ = golden(name)
    batch = whole(tokens_BT[:1, :12])
    table_VD = params["embed.w"]

    def out_at_5(x_VD):
        return functions.hidden({**params, "embed.w": x_VD}, batch)[0, 5].sum()

    later = set(tokens_BT[0, 6:12].tolist()) - set(tokens_BT[0, :6].tolist())
    gradient_VD = np.asarray(jax.grad(out_at_5)(table_VD))
    assert later
    assert not gradient_VD[sorted(later)].any()
    assert gradient_VD[tokens_BT[0, 5]].any()


@every_golden
def test_unembed_of_some_ids_is_those_columns(name):
    functions, params, tokens_BT, _, _ = golden(name)
    x_BTD = functions.hidden(params, whole(tokens_BT[:, :5]))
    ids = jnp.array([7, 50, 0])
    np.testing.assert_allclose(
        functions.unembed(params, x_BTD, ids), functions.unembed(params, x_BTD)[..., ids], atol=1e-6
    )


@pytest.mark.parametrize("mesh", ["fsdp:8", "fsdp:4,tensor:2", "fsdp:2,tensor:4"])
@pytest.mark.parametrize("name", SPLIT)
def test_loss_and_gradients_on_eight_devices_are_those_on_one(name, mesh):
    functions = Functions(lookup.find("models", name.split()[0]), SPLIT[name])
    params = functions.init(jax.random.key(0))
    params = {k: v if k.endswith("scale") else 5 * v for k, v in params.items()}
    batch = packed(8, 24, functions.config.V)
    run = jax.value_and_grad(lambda params, batch: loss_sums(functions, params, batch)[0])
    loss, gradients = jax.jit(run)(params, batch)
    mesh = make_mesh(mesh)
    with jax.set_mesh(mesh):
        shardings = param_shardings(mesh, functions.letters, functions.abstract)
        placed = jax.device_put((params, batch), (shardings, batch_shardings(mesh, batch)))
        split_loss, split_gradients = jax.jit(run)(*placed)
    np.testing.assert_allclose(split_loss, loss, rtol=1e-5)
    # float32 sums in another order.
    for key, gradient in gradients.items():
        np.testing.assert_allclose(
            split_gradients[key], gradient, atol=1e-4 * np.abs(gradient).max() + 1e-5, err_msg=key
        )


@pytest.mark.parametrize("family", lookup.names("models", "Model"))
def test_a_tiny_size_learns_eight_packed_rows_by_heart(family):
    family = lookup.find("models", family)
    functions = Functions(family, family.SIZES["tiny"])
    batch = packed(8, 24, functions.config.V)
    adam = optax.adam(3e-3)
    targets = batch.weights_BT.sum()

    def loss(params):
        return loss_sums(functions, params, batch)[0] / targets

    @jax.jit
    def step(params, state):
        value, gradients = jax.value_and_grad(loss)(params)
        updates, state = adam.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, value

    params = jax.jit(functions.init)(jax.random.key(0))
    state, losses = adam.init(params), []
    for _ in range(60):
        params, state, value = step(params, state)
        losses.append(float(value))
    # Uniform guesses to begin with. The first tokens of sequences are not trained on, so that
    # every target has a context of its own.
    assert abs(losses[0] - np.log(functions.config.V)) < 0.5
    assert losses[-1] < 0.05


@pytest.mark.parametrize("family", lookup.names("models", "Model"))
def test_adapters_stand_beside_all_matrices_of_blocks_and_merge_into_them(family):
    family = lookup.find("models", family)
    base = Functions(family, family.SIZES["tiny"])
    functions = base.adapted(Lora(rank=3, alpha=6.0, targets="all"))
    matrices = [
        name for name, axes in base.letters.items() if axes.startswith("L ") and is_matrix(axes)
    ]
    assert set(functions.trained) == {
        name.removesuffix("w") + part for name in matrices for part in ("lora.a", "lora.b")
    }

    batch = packed(4, 24, functions.config.V)
    params = jax.jit(functions.init)(jax.random.key(0))
    frozen = {name: params[name] for name in base.abstract}
    before = logits(base, frozen, batch)
    np.testing.assert_array_equal(logits(functions, params, batch), before)

    rng = np.random.default_rng(0)
    for name in functions.trained:
        params[name] = jnp.float32(0.1 * rng.normal(size=params[name].shape))
    adapted = logits(functions, params, batch)
    assert np.abs(adapted - before).max() > 0.1
    merged = functions.merge(params)
    np.testing.assert_allclose(logits(base, merged, batch), adapted, atol=1e-5)
    cache = functions.init_cache(params, batch, 24)
    x_BTD, _ = jax.jit(functions.extend)(params, batch, cache)
    np.testing.assert_allclose(functions.unembed(params, x_BTD), adapted, atol=1e-5)
    for name in matrices:
        assert np.any(merged[name] != params[name]), name
