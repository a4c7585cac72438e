from __future__ import annotations

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from ift_jax import lookup, sharding
from ift_jax.dims import Batch
from ift_jax.layers.functional import Functions
from ift_jax.train import loss
from ift_jax.train.loss import loss_sums


class Fixed:
    """Functions whose logits are given."""

    head = trained = ()

    def __init__(self, logits_BTV):
        self.logits_BTV = logits_BTV

    def hidden(self, params, batch, noise):
        return self.logits_BTV

    def unembed(self, params, x):
        return x


def batch_of(targets_BT, weights_BT):
    tokens_BT = np.zeros_like(targets_BT)
    return Batch(tokens_BT, tokens_BT, tokens_BT + 1, targets_BT, np.float32(weights_BT))


def test_sums_equal_a_float64_reference():
    rng = np.random.default_rng(0)
    logits_BTV = rng.normal(size=(2, 5, 7)) * 4
    targets_BT = rng.integers(0, 7, (2, 5))
    weights_BT = np.array([[1, 0, 1, 1, 0], [0, 0, 1, 0, 0]])
    picked_BT = np.take_along_axis(logits_BTV, targets_BT[..., None], -1)[..., 0]
    expected = np.sum((logsumexp(logits_BTV, axis=-1) - picked_BT) * weights_BT)
    correct = np.sum((logits_BTV.argmax(-1) == targets_BT) * weights_BT)

    batch = batch_of(targets_BT, weights_BT)
    functions = Fixed(jnp.float32(logits_BTV))
    cross_entropy, *counts = loss_sums(functions, {}, batch)
    np.testing.assert_allclose(cross_entropy, expected, rtol=1e-6)
    assert counts == [4, correct]


def test_bfloat16_logits_are_normalised_in_float32():
    logits_BTV = jnp.zeros((1, 1, 50_000), jnp.bfloat16)
    objective, *_ = loss_sums(Fixed(logits_BTV), {}, batch_of(np.array([[3]]), [[1]]))
    assert objective.dtype == jnp.float32
    np.testing.assert_allclose(objective, np.log(50_000), rtol=1e-6)


def test_what_is_not_trained_cannot_make_the_loss_nan():
    logits_BTV = jnp.full((1, 2, 4), jnp.nan).at[0, 0].set(0.0)
    objective, targets, _ = loss_sums(Fixed(logits_BTV), {}, batch_of(np.array([[1, 1]]), [[1, 0]]))
    np.testing.assert_allclose(objective, np.log(4), rtol=1e-6)
    assert targets == 1


def test_no_target_at_all_is_a_zero_sum():
    zeros = np.zeros((1, 3), int)
    objective, targets, _ = loss_sums(Fixed(jnp.zeros((1, 3, 4))), {}, batch_of(zeros, zeros))
    assert (objective, targets) == (0, 0)


def test_disagreeing_shapes_are_named():
    batch = batch_of(np.zeros((1, 3), int), np.zeros((1, 3)))
    batch = dataclasses.replace(batch, weights_BT=np.zeros((1, 2), np.float32))
    with pytest.raises(ValueError, match=r"weights_BT: axis T .* is 2, expected 3"):
        loss_sums(Fixed(jnp.zeros((1, 3, 4))), {}, batch)


FAMILIES = ("llama", "opt", "t5", "palm", "falcon", "mpt")


class Headed:
    """A family's functions whose hidden states are given, as the parameter 'x'."""

    def __init__(self, functions):
        self.functions = functions
        self.head, self.letters, self.trained = functions.head, functions.letters, functions.trained

    def hidden(self, params, batch, noise):
        return params["x"]

    def unembed(self, params, x):
        return self.functions.unembed({k: v for k, v in params.items() if k != "x"}, x)


def headed(family="llama", B=4, T=24, **fields):
    """(functions, params, batch): a tiny head, hidden states, and a third of the targets."""
    module = lookup.find("models", family)
    functions = Functions(module, dataclasses.replace(module.SIZES["tiny"], L=1, **fields))
    rng = np.random.default_rng(0)
    params = {k: 5 * v for k, v in functions.init(jax.random.key(0)).items()}
    params["x"] = jnp.asarray(rng.normal(size=(B, T, functions.config.D)), functions.config.dtype)
    # From no target in the first row to all in the last.
    weights_BT = rng.random((B, T)) < (np.arange(B) / (B - 1))[:, None] ** 2
    return (
        Headed(functions),
        params,
        batch_of(rng.integers(0, functions.config.V, (B, T)), weights_BT),
    )


def plain(functions, params, batch):
    """The same sums from all logits at once."""
    logits_BTV = functions.unembed(params, functions.hidden(params, batch, None))
    logp_BTV = jax.nn.log_softmax(logits_BTV)
    logp_BT = jnp.take_along_axis(logp_BTV, batch.targets_BT[..., None], -1)[..., 0]
    right_BT = logits_BTV.argmax(-1) == batch.targets_BT
    weights_BT = batch.weights_BT
    return -jnp.sum(weights_BT * logp_BT), weights_BT.sum(), jnp.sum(weights_BT * right_BT)


def sums_and_gradients(of, functions, params, batch):
    def objective(params):
        cross_entropy, *counts = of(functions, params, batch)
        return 3 * cross_entropy, counts  # 3, which a gradient must have too

    return jax.jit(jax.value_and_grad(objective, has_aux=True))(params)


def assert_same(ours, theirs, tolerance):
    (sums, gradients), (other_sums, other_gradients) = ours, theirs
    np.testing.assert_allclose(jax.tree.leaves(sums), jax.tree.leaves(other_sums), rtol=1e-6)
    for name, gradient in gradients.items():
        scale = np.abs(other_gradients[name]).max()
        np.testing.assert_allclose(
            gradient, other_gradients[name], atol=tolerance * scale, err_msg=name
        )


@pytest.mark.parametrize("family", FAMILIES)
def test_chunks_give_the_sums_and_gradients_of_all_logits(family, monkeypatch):
    """In chunks of 8 of 96 positions, the last one with free places."""
    monkeypatch.setattr(loss, "CPU_CHUNK", 8)
    arguments = headed(family)
    assert arguments[2].weights_BT.sum() % 8
    ours = sums_and_gradients(loss_sums, *arguments)
    assert_same(ours, sums_and_gradients(plain, *arguments), 3e-6)
    assert len([name for name in ours[1] if np.any(ours[1][name])]) > 1


@pytest.mark.parametrize("mesh", ["data:8", "fsdp:2,sequence:2,tensor:2", "tensor:8"])
def test_chunks_on_a_mesh(mesh, monkeypatch):
    monkeypatch.setattr(loss, "CPU_CHUNK", 8)
    functions, params, batch = headed(B=8, tied=True)
    alone = sums_and_gradients(plain, functions, params, batch)
    mesh = sharding.make_mesh(mesh)
    placed = sharding.param_shardings(mesh, functions.letters, functions.functions.abstract)
    rows = sharding.batch_sharding(mesh)
    params = {name: jax.device_put(w, placed.get(name, rows)) for name, w in params.items()}
    with jax.set_mesh(mesh):
        split = sums_and_gradients(loss_sums, functions, params, jax.device_put(batch, rows))
    assert_same(split, alone, 3e-6)


def test_devices_meet_before_and_after_the_chunks_only(monkeypatch):
    """To put the head together and to find the most chunks; to add up the head's gradient."""
    monkeypatch.setattr(loss, "CPU_CHUNK", 8)
    functions, params, batch = headed(B=8, tied=True)
    mesh = sharding.make_mesh("fsdp:8")
    placed = sharding.param_shardings(mesh, functions.letters, functions.functions.abstract)
    rows = sharding.batch_sharding(mesh)
    params = {name: jax.device_put(w, placed.get(name, rows)) for name, w in params.items()}

    def sum_of_losses(head, x, batch):
        return loss_sums(functions, {**params, **head, "x": x}, batch)[0]

    head = {name: params[name] for name in functions.head}
    with jax.set_mesh(mesh):
        run = jax.jit(jax.grad(sum_of_losses, argnums=(0, 1)))
        compiled = run.lower(head, params["x"], jax.device_put(batch, rows)).compile()
    found = re.findall(r" (all-\S+|reduce-scatter|collective-\S+)\(", compiled.as_text())
    assert sorted(found) == ["all-gather", "all-reduce", "all-reduce"]


def test_no_target_has_no_gradient():
    functions, params, batch = headed()
    batch = dataclasses.replace(batch, weights_BT=np.zeros_like(batch.weights_BT))
    (sums, counts), gradients = sums_and_gradients(loss_sums, functions, params, batch)
    assert (sums, *counts) == (0, 0, 0)
    assert not any(np.any(gradient) for gradient in gradients.values())


def test_bfloat16_gradients_are_those_of_all_logits_within_its_rounding(monkeypatch):
    monkeypatch.setattr(loss, "CPU_CHUNK", 16)
    functions, params, batch = headed(dtype="bfloat16")
    ours = sums_and_gradients(loss_sums, functions, params, batch)
    theirs = sums_and_gradients(plain, functions, params, batch)
    assert ours[1]["x"].dtype == jnp.bfloat16
    assert ours[1]["head.w"].dtype == jnp.float32
    assert_same(jax.tree.map(jnp.float32, ours), jax.tree.map(jnp.float32, theirs), 2**-7)


@pytest.mark.parametrize(("frozen", "products"), [(False, 3), (True, 2)])
def test_products_a_chunk(frozen, products):
    """Logits, and gradients by what is trained: nothing is computed twice, or for nobody."""
    functions, params, batch = headed()
    if frozen:
        functions.trained = ()
    others = {} if not frozen else {name: params.pop(name) for name in list(params) if name != "x"}
    gradient = jax.grad(lambda params: loss_sums(functions, {**others, **params}, batch)[0])
    assert str(jax.make_jaxpr(gradient)(params)).count("dot_general[") == products


def test_memory_is_a_chunks_whatever_the_number_of_positions():
    functions, params, batch = headed(B=8, T=2048)
    V = functions.functions.config.V

    def temporary(of):
        run = jax.jit(jax.grad(lambda params: of(functions, params, batch)[0]))
        return run.lower(params).compile().memory_analysis().temp_size_in_bytes

    all_logits = batch.weights_BT.size * V * 4
    assert temporary(plain) > all_logits
    assert temporary(loss_sums) < 0.4 * all_logits


def unpack(batch: Batch) -> Batch:
    """Each example in a row of its own, at the row's start."""
    rows = []
    for row in range(batch.tokens_BT.shape[0]):
        for segment in range(1, batch.segments_BT[row].max() + 1):
            mine_T = batch.segments_BT[row] == segment

            def alone(x_BT, row=row, mine_T=mine_T):
                x_T = np.zeros_like(x_BT[row])
                x_T[: mine_T.sum()] = x_BT[row][mine_T]
                return x_T

            rows.append(jax.tree.map(alone, batch))
            rows[-1].segments_BT[:] = rows[-1].segments_BT > 0
    return jax.tree.map(lambda *x_T: np.stack(x_T), *rows)


def test_packed_loss_and_gradients_equal_unpacked(make_functions, make_batch, params):
    functions, packed = make_functions(), make_batch()
    unpacked = unpack(packed)
    assert unpacked.tokens_BT.shape[0] > 2 * packed.tokens_BT.shape[0]

    def objective(params, batch):
        return loss_sums(functions, params, batch)[0]

    value_and_grad = jax.jit(jax.value_and_grad(objective))
    loss, grads = value_and_grad(params, packed)
    other_loss, other_grads = value_and_grad(params, unpacked)
    # float32 sums over other shapes, in another order.
    np.testing.assert_allclose(loss, other_loss, rtol=1e-5)
    for name in grads:
        scale = np.abs(grads[name]).max()
        assert scale > 0
        np.testing.assert_allclose(grads[name], other_grads[name], atol=2e-5 * scale, err_msg=name)


@pytest.mark.parametrize(
    ("platform", "positions", "X"),
    [("cpu", 65536, 1024), ("tpu", 65536, 2048), ("gpu", 65536, 2048), ("gpu", 512, 512)],
)
def test_how_many_targets_are_projected_at_once(monkeypatch, platform, positions, X):
    monkeypatch.setattr(loss, "platform", lambda: platform)
    assert loss.chunk_size(positions) == X
