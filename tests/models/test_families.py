"""Every family against the reference implementation, and its parts against each other."""

from __future__ import annotations

import dataclasses
import math
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ift_jax import lookup
from ift_jax.assemble.models import abstract_params
from ift_jax.assemble.planning.hlo import Program
from ift_jax.assemble.planning.work import work
from ift_jax.checkpoints.transfer import export_tensors
from ift_jax.dims import SHARED, Batch
from ift_jax.layers.dropout import Noise
from ift_jax.layers.functional import Functions
from ift_jax.layers.lora import Lora
from ift_jax.sharding import batch_sharding, make_mesh
from ift_jax.train.adafactor import is_matrix
from ift_jax.train.loss import loss_sums
from ift_jax.train.optim import OptimizerConfig, make_optimizer
from tests.models.golden import NAMES, check_split, golden, logits, packed, published, random_params

FAMILIES = lookup.names("models", "Model")

# The others are for `make test-slow`.
MESHES = [
    pytest.param("fsdp:8", marks=pytest.mark.slow),
    pytest.param("fsdp:4,tensor:2", marks=pytest.mark.slow),
    "fsdp:2,tensor:4",
]
every_golden = pytest.mark.parametrize("name", NAMES)
every_family = pytest.mark.parametrize("family", FAMILIES)
# Of what all families share the code; the rest by `make test-slow`.
one_family = pytest.mark.parametrize(
    "family",
    [
        family if family == "llama" else pytest.param(family, marks=pytest.mark.slow)
        for family in FAMILIES
    ],
)


def test_every_family_has_a_golden_and_a_tiny_size():
    assert set(FAMILIES) == {name.partition("_")[0] for name in NAMES}
    assert all("tiny" in lookup.find("models", family).SIZES for family in FAMILIES)


@every_golden
def test_full_sequences_equal_the_reference(name):
    model = golden(name)
    assert model.tokens_BT.shape[1] > 256
    seen = model.logits(model.whole())[:, model.kept]
    np.testing.assert_allclose(seen, model.logits_BTV, atol=1e-4)


@every_golden
def test_right_padded_rows_equal_the_reference(name):
    model = golden(name)
    length = 270
    padded = np.zeros((2, 320), np.int32)
    padded[:, :length] = model.tokens_BT[:, :length]
    inside = np.broadcast_to(np.arange(320) < length, padded.shape)
    positions_BT = np.where(inside, np.arange(320), 0)
    batch = model.batch(padded, positions_BT, inside, [[(0, 1)], [(1, 1)]], padding=20)
    seen = model.logits(batch)
    assert np.isfinite(seen).all()
    kept = model.kept < length
    np.testing.assert_allclose(seen[:, model.kept[kept]], model.logits_BTV[:, kept], atol=1e-4)


@every_golden
def test_packed_row_equals_the_reference_on_separate_sequences(name):
    model = golden(name)
    T = model.tokens_BT.shape[1]
    batch = model.batch(
        model.tokens_BT.reshape(1, -1),
        np.tile(np.arange(T), 2)[None],
        np.repeat([1, 2], T)[None],
        [[(0, 1), (1, 2)]],
    )
    seen = model.logits(batch).reshape(2, T, -1)[:, model.kept]
    np.testing.assert_allclose(seen, model.logits_BTV, atol=1e-4)


@every_golden
def test_order_within_a_row_is_nothing_but_positions(name):
    """The same sequence written backwards in the arrays, with its positions, is the same."""
    model = golden(name)
    forwards = model.whole(40)
    backwards = jax.tree.map(lambda x: np.ascontiguousarray(x[:, ::-1]), forwards)
    np.testing.assert_allclose(model.logits(backwards)[:, ::-1], model.logits(forwards), atol=3e-5)


@every_golden
def test_shared_prefix_serves_each_continuation(name):
    model = golden(name)
    tokens_T = model.tokens_BT[0]
    prefix, first, second = tokens_T[:20], tokens_T[20:27], tokens_T[27:32]
    row = model.batch(
        np.concatenate([prefix, first, second])[None],
        np.concatenate([np.arange(20), np.arange(20, 27), np.arange(20, 25)])[None],
        np.repeat([SHARED, 1, 2], [20, 7, 5])[None],
        [[(0, SHARED)]],
    )
    seen = model.logits(row)[0]
    for start, continuation in ((20, first), (27, second)):
        alone = np.concatenate([prefix, continuation])
        end = len(alone)
        arrays = (np.pad(x, (0, 32 - end)) for x in (alone, np.arange(end), np.ones(end)))
        batch = model.batch(*(x[None] for x in arrays), [[(0, 1)]])
        np.testing.assert_allclose(
            seen[start : start + len(continuation)], model.logits(batch)[0, 20:end], atol=3e-5
        )


@every_golden
@pytest.mark.parametrize("chunk", [1, 7])
def test_cached_decoding_equals_the_full_forward(name, chunk):
    model = golden(name)
    functions, params, whole = model.functions, model.params, model.whole(21)
    arrays = (whole.tokens_BT, whole.positions_BT, whole.segments_BT)
    # An encoder reads another example and padding besides, which concern no token here.
    batch = model.batch(*arrays, [[(0, 1), (1, 2)], [(0, 2), (1, 1)]], E=30, padding=4)
    cache = jax.jit(functions.init_cache, static_argnums=2)(params, batch, 30)
    extend = jax.jit(functions.extend)
    pieces = []
    for start in range(0, 21, chunk):
        piece = Batch(*(x[:, start : start + chunk] for x in arrays))
        x_BTD, cache = extend(params, piece, cache)
        pieces.append(x_BTD)
    assert int(cache.end) == 21
    expected = model.hidden(model.whole(21, E=30))
    np.testing.assert_allclose(np.concatenate(pieces, 1), expected, atol=3e-5)


@every_golden
def test_no_token_depends_on_later_ones(name):
    model = golden(name)
    batch = jax.tree.map(lambda x: x[:1], model.whole(12, E=3))
    table_VD = model.params["embed.w"]

    def out_at_5(x_VD):
        return model.functions.hidden({**model.params, "embed.w": x_VD}, batch)[0, 5].sum()

    encoded = [] if batch.enc_tokens_BE is None else batch.enc_tokens_BE[0].tolist()
    read = {*batch.tokens_BT[0, :6].tolist(), *encoded}
    later = set(batch.tokens_BT[0, 6:].tolist()) - read
    gradient_VD = np.asarray(jax.jit(jax.grad(out_at_5))(table_VD))
    assert later
    assert not gradient_VD[sorted(later)].any()
    assert gradient_VD[batch.tokens_BT[0, 5]].any()


@every_golden
def test_unembed_of_some_ids_is_those_columns(name):
    model = golden(name)
    x_BTD = jax.random.normal(jax.random.key(0), (2, 5, model.functions.config.D))
    ids = jnp.array([7, 50, 0])
    unembed = model.functions.unembed
    np.testing.assert_allclose(
        unembed(model.params, x_BTD, ids), unembed(model.params, x_BTD)[..., ids], atol=1e-6
    )


@every_golden
def test_gradients_equal_finite_differences_of_the_reference_in_float64(name):
    """Along a random direction of each published tensor, as scripts/make_golden.py takes them."""
    model, stored = golden(name), published(name)[2]
    functions, batch = model.functions, model.whole(24)
    batch = dataclasses.replace(
        batch,
        targets_BT=np.roll(batch.tokens_BT, -1, axis=1),
        weights_BT=np.broadcast_to(np.arange(24) < 23, batch.tokens_BT.shape).astype(np.float32),
    )
    run = jax.jit(jax.grad(lambda params: loss_sums(functions, params, batch)[0]))
    # An export's rearrangements are linear: gradients go through it as weights do.
    table = lookup.find("models", functions.family).hf_table(functions.config)
    gradients = export_tensors(run(model.params), table, functions.config, "float32")
    slopes = {key[len("slope:") :]: value for key, value in stored.items() if "slope:" in key}
    assert slopes.keys() == gradients.tensors.keys()
    for key, slope in slopes.items():
        gradient = np.float64(gradients.read(key))
        direction = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(gradient.shape)
        tolerance = 1e-5 * np.abs(gradient * direction).sum() + 1e-4
        np.testing.assert_allclose((gradient * direction).sum(), slope, atol=tolerance, err_msg=key)


@every_golden
@pytest.mark.parametrize("optimizer", ["adamw", "adafactor"])
def test_optimizers_know_every_axis(name, optimizer):
    functions = golden(name).functions
    made = make_optimizer(
        OptimizerConfig(name=optimizer, lr=1e-3), functions.letters, total_steps=1
    )
    jax.eval_shape(made.transform.init, functions.abstract)


@every_family
def test_dropout_changes_the_hidden_states_only_with_noise(family):
    module = lookup.find("models", family)
    plain = Functions(module, module.SIZES["tiny"])
    dropping = Functions(module, dataclasses.replace(plain.config, dropout=0.3))
    noise = Noise(jax.random.key(0), np.arange(2, dtype=np.int32))

    @jax.jit
    def run(params, batch):
        hidden = (plain.hidden(params, batch), dropping.hidden(params, batch))
        return *hidden, dropping.hidden(params, batch, noise)

    without, silent, noisy = run(random_params(plain), packed(plain, 2, 9))
    np.testing.assert_array_equal(silent, without)
    assert np.abs(noisy - without).max() > 0.1


@pytest.mark.parametrize("mesh", MESHES)
@every_family
def test_loss_and_gradients_on_eight_devices_are_those_on_one(family, mesh):
    module = lookup.find("models", family)
    check_split(Functions(module, module.SIZES["tiny"]), mesh)


@pytest.mark.parametrize("spec", MESHES)
@every_family
def test_the_largest_size_lowers_and_is_split_as_its_mesh_promises(family, spec):
    """Loss and gradients of it; of its bytes, all but 2% are an eighth on each device."""
    module, mesh = lookup.find("models", family), make_mesh(spec)
    sizes = [Functions(module, config) for config in module.SIZES.values()]
    functions = max(sizes, key=lambda functions: functions.parameter_count)
    params = abstract_params(functions, mesh)
    held = sum(math.prod(leaf.sharding.shard_shape(leaf.shape)) for leaf in params.values())
    assert functions.parameter_count / 8 <= held < 1.02 * functions.parameter_count / 8
    with jax.set_mesh(mesh):
        batch = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=batch_sharding(mesh)),
            packed(functions, 8, 256),
        )
        run = jax.value_and_grad(lambda params, batch: loss_sums(functions, params, batch)[0])
        lowered = jax.jit(run).lower(params, batch)
    loss, gradients = lowered.out_info
    assert loss.shape == ()
    assert {k: x.shape for k, x in gradients.items()} == {k: x.shape for k, x in params.items()}


@one_family
def test_unrolled_and_recomputed_layers_give_the_same_gradients(family):
    module = lookup.find("models", family)
    gradients = []
    for switches in ({}, {"scan": False}, {"remat": "full"}):
        config = dataclasses.replace(module.SIZES["tiny"], L=2, **switches)
        functions = Functions(module, config)
        params, batch = random_params(functions), packed(functions, 2, 24)
        run = jax.jit(jax.grad(lambda p, f=functions, b=batch: loss_sums(f, p, b)[0]))
        gradients.append(run(params))
    for other in gradients[1:]:
        for key, gradient in gradients[0].items():
            scale = float(jnp.abs(gradient).max())
            np.testing.assert_allclose(other[key], gradient, atol=1e-5 * scale, err_msg=key)


@one_family
def test_what_remat_repeats(family):
    """`dots` attention's scores alone, one product of each attention; `full` much more."""
    module = lookup.find("models", family)
    B, T = 2, 64

    def operations(remat):
        functions = Functions(module, dataclasses.replace(config, remat=remat))
        batch = packed(functions, B, T)
        gradients = jax.jit(jax.grad(lambda params: loss_sums(functions, params, batch)[0]))
        return work(Program(gradients.lower(functions.abstract).compile().as_text())).flops

    config = dataclasses.replace(module.SIZES["tiny"], L=2)
    none, dots, full = map(operations, ("none", "dots", "full"))
    attentions = 2 * config.L + config.encoder_layers if family == "t5" else config.L
    assert dots - none == attentions * 2 * B * config.N * config.H * T * T
    assert full - none > 5 * (dots - none)


@one_family
def test_a_tiny_size_learns_eight_packed_rows_by_heart(family):
    family = lookup.find("models", family)
    functions = Functions(family, family.SIZES["tiny"])
    batch = packed(functions, 8, 24)
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
    # Uniform guesses to begin with, or logits of variance 1 (PaLM's), which cost half a nat more.
    # The first tokens of sequences are not trained on, so that every target has a context of its
    # own.
    assert abs(losses[0] - np.log(functions.config.V)) < 0.75
    assert losses[-1] < 0.05


@one_family
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

    batch = packed(functions, 4, 24)
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
    for name in matrices:
        assert np.any(merged[name] != params[name]), name
