"""Fused attention against the plain one: TPU kernels interpreted, cuDNN's call in XLA's words."""

from __future__ import annotations

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ift_jax.dims import PADDING, Batch
from ift_jax.layers import attention, fused
from ift_jax.layers.functional import Functions
from ift_jax.models import llama, mpt
from ift_jax.sharding import make_mesh

INTERPRETED = functools.partial(fused._splash, interpret=True)
IN_XLA = functools.partial(fused._cudnn, implementation="xla")


def packed(B: int, T: int) -> tuple[np.ndarray, np.ndarray]:
    """(segments_BT, positions_BT): examples of unequal lengths, and padding."""
    segments_BT = np.full((B, T), PADDING, np.int32)
    positions_BT = np.zeros((B, T), np.int32)
    for row in range(B):
        ends = [0, T // 5 + row, T // 2, T - 11 * row]
        for segment, (start, end) in enumerate(itertools.pairwise(ends), start=1):
            segments_BT[row, start:end] = segment
            positions_BT[row, start:end] = np.arange(end - start)
    return segments_BT, positions_BT


def random_qkv(B: int, T: int, N: int, K: int, H: int) -> tuple[jax.Array, ...]:
    rng = np.random.default_rng(0)
    return tuple(jnp.asarray(rng.normal(size=(B, T, n, H)), jnp.float32) for n in (N, K, K))


def outputs_and_gradients(attend, qkv, *where):
    """x_BTNH, and the gradients of a sum that every output weighs differently in."""

    def objective(qkv):
        x_BTNH = attend(*qkv, *where)
        return jnp.sum(x_BTNH * jnp.cos(jnp.arange(x_BTNH.size)).reshape(x_BTNH.shape)), x_BTNH

    (_, x_BTNH), gradients = jax.jit(jax.value_and_grad(objective, has_aux=True))(qkv)
    return x_BTNH, *gradients


def plainly(qkv, segments_BT, positions_BT):
    seen = attention.visible(positions_BT, segments_BT, positions_BT, segments_BT)
    return outputs_and_gradients(attention.attend, qkv, seen)


@pytest.mark.parametrize("attend", [INTERPRETED, IN_XLA], ids=["splash", "cudnn"])
@pytest.mark.parametrize(("N", "K"), [(4, 2), (2, 1)])
def test_equals_the_plain_one_forwards_and_backwards(attend, N, K):
    segments_BT, positions_BT = packed(B=2, T=256)
    qkv = random_qkv(B=2, T=256, N=N, K=K, H=16)
    found = outputs_and_gradients(attend, qkv, jnp.asarray(segments_BT))
    for seen, expected in zip(found, plainly(qkv, segments_BT, positions_BT), strict=True):
        np.testing.assert_allclose(seen, expected, atol=2e-5)
    assert not np.asarray(found[0])[segments_BT == PADDING].any()


@pytest.mark.parametrize("kernel", [INTERPRETED, IN_XLA], ids=["splash", "cudnn"])
@pytest.mark.parametrize("K", [2, 1])
def test_a_kernel_runs_on_each_devices_rows_and_heads(kernel, K):
    segments_BT, positions_BT = packed(B=4, T=128)
    qkv = random_qkv(B=4, T=128, N=4, K=K, H=8)
    with jax.set_mesh(make_mesh("fsdp:4,tensor:2")):
        attend = functools.partial(fused._on_each_device, kernel)
        found = outputs_and_gradients(attend, qkv, jnp.asarray(segments_BT))
    for seen, expected in zip(found, plainly(qkv, segments_BT, positions_BT), strict=True):
        np.testing.assert_allclose(seen, expected, atol=2e-5)


@pytest.mark.parametrize(
    ("platform", "changed", "chosen"),
    [
        ("tpu", {}, "_splash"),
        ("gpu", {}, "_cudnn"),
        ("cpu", {}, None),
        ("tpu", {"dtype": jnp.float32}, None),
        ("gpu", {"dtype": jnp.float32}, None),
        ("tpu", {"T": 192}, None),
        ("gpu", {"H": 256}, None),
        ("tpu", {"H": 256}, "_splash"),
    ],
)
def test_what_each_platform_trains_with(monkeypatch, platform, changed, chosen):
    monkeypatch.setattr(fused, "platform", lambda: platform)
    found = fused.attention(**{"T": 256, "N": 8, "K": 2, "H": 64, "dtype": jnp.bfloat16, **changed})
    assert (found and found.args[0].__name__) == chosen


@pytest.mark.parametrize(
    ("mesh", "N", "K", "sound"),
    [
        ("fsdp:4,tensor:2", 8, 2, True),
        ("fsdp:2,tensor:4", 8, 2, False),  # two key/value heads over four devices
        ("fsdp:2,tensor:4", 8, 1, True),
        ("fsdp:2,tensor:4", 6, 6, False),
        ("fsdp:4,sequence:2", 8, 8, False),
    ],
)
def test_a_mesh_that_splits_what_a_kernel_needs_whole_has_none(monkeypatch, mesh, N, K, sound):
    monkeypatch.setattr(fused, "platform", lambda: "tpu")
    with jax.set_mesh(make_mesh(mesh)):
        found = fused.attention(T=256, N=N, K=K, H=64, dtype=jnp.bfloat16)
    assert (found is not None) == sound


@pytest.mark.parametrize("attend", [INTERPRETED, IN_XLA], ids=["splash", "cudnn"])
def test_a_sound_kernel_passes_its_check(attend):
    """While another program is traced for a mesh, as in training."""
    with jax.set_mesh(make_mesh("fsdp:8")):
        jax.jit(lambda x: (fused.check_kernel(attend, 256, 4, 2, 16), x)[1])(1.0)


def of_the_first_row(q_BTNH, k_BTKH, v_BTKH, segments_BT):
    return IN_XLA(q_BTNH, k_BTKH, v_BTKH, jnp.broadcast_to(segments_BT[:1], segments_BT.shape))


def leaking(q_BTNH, k_BTKH, v_BTKH, segments_BT):
    return IN_XLA(q_BTNH, k_BTKH, v_BTKH, jnp.where(segments_BT == PADDING, PADDING, 1))


@jax.custom_vjp
def wrong_backwards(q_BTNH, k_BTKH, v_BTKH, segments_BT):
    return IN_XLA(q_BTNH, k_BTKH, v_BTKH, segments_BT)


wrong_backwards.defvjp(
    lambda *arrays: (wrong_backwards(*arrays), arrays),
    lambda arrays, by_x: (by_x, *(1.05 * x for x in jax.vjp(IN_XLA, *arrays)[1](by_x)[1:3]), None),
)


def failing(*_):
    raise RuntimeError("cuDNN is not detected.")


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (leaking, r"differs from the plain one: its output by 0\.\d+ of the largest value"),
        (of_the_first_row, "its output by"),
        (wrong_backwards, "its gradient by q by"),
        (failing, "fails: cuDNN is not detected.*256 tokens, 4 heads on 2 of 16.*attention=plain"),
    ],
)
def test_an_unsound_kernel_is_refused(kernel, message):
    with pytest.raises(ValueError, match=message):
        fused.check_kernel(kernel, 256, 4, 2, 16)


@pytest.mark.parametrize(("backend", "checked"), [("tpu", True), ("cpu", False)])
def test_a_kernel_is_checked_where_its_device_is(monkeypatch, backend, checked):
    """Not where it is compiled for one that isn't here."""
    asked = []
    monkeypatch.setattr(fused, "platform", lambda: "tpu")
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    monkeypatch.setattr(fused, "check_kernel", lambda *about: asked.append(about))
    with jax.set_mesh(make_mesh("fsdp:4,tensor:2")):
        fused.attention(4096, 8, 2, 64, jnp.bfloat16)
        fused.attention(4096, 8, 1, 64, jnp.bfloat16)
    expected = [(fused._splash, 4096, 4, 1, 64), (fused._splash, 4096, 4, 1, 64)]
    assert asked == expected * checked


def test_rows_that_are_trained_on_and_no_others_are_read_with_it(monkeypatch):
    """In a whole model; not with ALiBi, not where it is switched off, not in evaluations."""
    calls = []

    def attend(q_BTNH, k_BTKH, v_BTKH, segments_BT):
        calls.append(segments_BT.shape)
        return INTERPRETED(q_BTNH, k_BTKH, v_BTKH, segments_BT)

    monkeypatch.setattr(fused, "attention", lambda *_, **__: attend)
    segments_BT, positions_BT = packed(B=1, T=128)
    tokens_BT = (7 * positions_BT + segments_BT) % 64
    trained = Batch(tokens_BT, positions_BT, segments_BT, tokens_BT, np.ones_like(tokens_BT))
    asked = Batch(tokens_BT, positions_BT, segments_BT)
    sizes = {"L": 2, "D": 32, "N": 4, "F": 64, "V": 64, "H": 8, "max_length": 128}

    def hidden(batch, family=llama, **fields):
        calls.clear()
        functions = Functions(family, family.Config(**sizes | fields))
        params = functions.init(jax.random.key(0))
        return functions.hidden(params, batch)

    expected = hidden(asked, K=2)
    assert not calls
    seen = hidden(trained, K=2)
    assert calls
    real = segments_BT != PADDING
    np.testing.assert_allclose(seen[real], expected[real], atol=1e-5)
    hidden(trained, K=2, attention="plain")
    assert not calls
    hidden(trained, mpt)
    assert not calls
