"""What is PaLM's own; tests/models/test_families.py compares it with the golden logits."""

from __future__ import annotations

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from flax import nnx

from ift_jax import tokenizers
from ift_jax.assemble.models import abstract_params, export_model, open_model
from ift_jax.checkpoints import safetensors
from ift_jax.checkpoints.safetensors import Arrays, write_model
from ift_jax.checkpoints.transfer import TransferError, export_tensors, import_params
from ift_jax.dims import Batch
from ift_jax.layers.dropout import Noise
from ift_jax.layers.functional import Functions
from ift_jax.layers.positions import rope_tables
from ift_jax.models import palm
from ift_jax.sharding import batch_sharding, make_mesh, parameter_spec, table
from ift_jax.train.loss import loss_sums
from tests.golden.palm import PaLM
from tests.models.golden import check_round_trip, golden, logits, published

NAME = "palm_multi_query"
SMALL = palm.Config(L=2, D=64, N=3, H=32, F=160, V=500, max_length=64)
MESHES = ("fsdp:8", "fsdp:4,tensor:2", "fsdp:2,tensor:4")

COUNTS = {"8b": 8_632_012_800, "62b": 62_495_662_080, "540b": 540_356_474_880}


@pytest.fixture(scope="module")
def random_params():
    return jax.jit(Functions(palm, SMALL).init)(jax.random.key(0))


def matrices(config: palm.Config) -> int:
    """Parameters other than the norms' scales."""
    return Functions(palm, config).parameter_count - (config.L + 1) * config.D


@pytest.mark.parametrize(
    ("size", "L", "D", "N", "billions"),
    [("8b", 32, 4096, 16, 8.63), ("62b", 64, 8192, 32, 62.50), ("540b", 118, 18432, 48, 540.35)],
)
def test_parameter_counts_are_the_papers(size, L, D, N, billions):
    q_and_o, k_and_v, gate_up_and_down = 2 * D * N * 256, 2 * D * 256, 3 * D * 4 * D
    by_hand = 256_000 * D + L * (q_and_o + k_and_v + gate_up_and_down) + (L + 1) * D
    assert Functions(palm, palm.SIZES[size]).parameter_count == by_hand == COUNTS[size]
    # The largest is 540.356 with the norms' scales and 540.354 without: the paper counts matrices.
    assert round(matrices(palm.SIZES[size]) / 1e9, 2) == billions


def test_the_golden_has_one_key_value_head_and_heads_that_do_not_fill_the_width():
    config = golden(NAME).functions.config
    assert config.N * config.H != config.D and config.F != 4 * config.D and config.V % 2
    sizes = [config.L, config.D, config.N, config.H, config.F, config.V, config.N * config.H]
    assert len({*sizes, config.K}) == len(sizes) + 1
    assert config.rope_theta != SMALL.rope_theta and config.norm_eps != SMALL.norm_eps


def test_the_golden_is_what_the_paper_says_in_float64():
    description, weights, stored = published(NAME)
    weights = {name: value.astype(np.float64) for name, value in weights.items()}
    seen = PaLM(description).logits(weights, stored["tokens_BT"], None)
    assert seen.dtype == np.float64
    np.testing.assert_allclose(seen[:, stored["kept"]], stored["logits_BTV"], atol=1e-6)


def test_random_weights_give_the_papers_logits_in_float64(random_params):
    """As they are initialised, and with the numbers that published sizes have."""
    file = export_tensors(random_params, palm.hf_table(SMALL), SMALL, "float32")
    weights = {name: file.read(name).astype(np.float64) for name in file.tensors}
    tokens_BT = np.random.default_rng(0).integers(0, SMALL.V, (2, 40)).astype(np.int32)
    places = np.broadcast_to(np.arange(40, dtype=np.int32), (2, 40)), np.ones((2, 40), np.int32)
    expected = PaLM(palm.to_hf(SMALL)).logits(weights, tokens_BT, None)
    assert 0.8 < expected.std() < 1.3
    seen = logits(Functions(palm, SMALL), random_params, Batch(tokens_BT, *places))
    np.testing.assert_allclose(seen, expected, atol=1e-4)


def test_weights_begin_as_the_paper_says(random_params):
    """W ~ N(0, 1/√n) for n inputs, embeddings N(0, 1), and norms that change nothing."""
    inputs = {"embed.w": 1, "layers.o.w": SMALL.N * SMALL.H, "layers.down.w": SMALL.F}
    for name, value in random_params.items():
        if name.endswith("scale"):
            assert (value == 1).all(), name
        else:
            n = inputs.get(name, SMALL.D)
            assert abs(float(value.std()) * n**0.5 - 1) < 0.05, name
            assert abs(float(value.mean())) * n**0.5 < 0.05, name


@pytest.mark.parametrize("size", ["8b", "540b"])
def test_flops_are_two_a_matrix_weight_and_token(size):
    """Without attention's T² part, and for one token that is both read and trained on."""
    c = palm.SIZES[size]
    assert palm.flops(c, 1, 1) == 2 * (matrices(c) + c.L * c.N * c.H)


def test_a_cache_holds_one_head():
    functions, params = golden(NAME).functions, golden(NAME).params
    cache = functions.init_cache(params, golden(NAME).whole(5), 7)
    assert cache.k_LBSKH.shape == cache.v_LBSKH.shape == (3, 2, 7, 1, 6)


@pytest.mark.parametrize("mesh", MESHES)
@pytest.mark.parametrize("size", ["8b", "62b", "540b"])
def test_all_is_split_but_the_one_key_value_head_over_heads(size, mesh):
    functions, mesh = Functions(palm, palm.SIZES[size]), make_mesh(mesh)
    specs = {
        name: parameter_spec(mesh, name, functions.letters[name], leaf.shape)
        for name, leaf in functions.abstract.items()
    }
    # A mesh axis of size 1 divides one head, into itself.
    K = "tensor" if mesh.shape["tensor"] == 1 else None
    assert specs == {
        "embed.w": jax.P("tensor", "fsdp"),
        "layers.norm.scale": jax.P(None, "fsdp"),
        "layers.q.w": jax.P(None, "fsdp", "tensor", None),
        "layers.k.w": jax.P(None, "fsdp", K, None),
        "layers.v.w": jax.P(None, "fsdp", K, None),
        "layers.o.w": jax.P(None, "tensor", None, "fsdp"),
        "layers.gate.w": jax.P(None, "fsdp", "tensor"),
        "layers.up.w": jax.P(None, "fsdp", "tensor"),
        "layers.down.w": jax.P(None, "tensor", "fsdp"),
        "norm.scale": jax.P("fsdp"),
    }
    lines = table(mesh, functions.letters, functions.abstract).splitlines()
    indivisible = {line.split()[0] for line in lines if "(K indivisible)" in line}
    assert indivisible == ({"layers.k.w", "layers.v.w"} if K is None else set())


@pytest.mark.parametrize("mesh", MESHES)
@pytest.mark.parametrize("size", ["62b", "540b"])
def test_a_published_size_compiles_to_what_its_mesh_promises(size, mesh):
    functions, mesh = Functions(palm, palm.SIZES[size]), make_mesh(mesh)
    c, fsdp = functions.config, mesh.shape["fsdp"]
    params = abstract_params(functions, mesh)

    def rows(dtype):
        return jax.ShapeDtypeStruct((8, 16), dtype, sharding=batch_sharding(mesh))

    batch = Batch(*(rows(jnp.int32) for _ in range(4)), rows(jnp.float32))
    loss = jax.jit(lambda params, batch: loss_sums(functions, params, batch)[0])
    with jax.set_mesh(mesh):
        compiled = loss.lower(params, batch).compile()
    # Norms and the one key/value head are not split over the tensor axis; all else is.
    whole = (c.L + 1) * c.D + c.L * 2 * c.D * c.H
    promised = 4 * (whole // fsdp + (COUNTS[size] - whole) // 8)
    held = compiled.memory_analysis().argument_size_in_bytes
    assert abs(held - promised) < 10_000  # the batch, and pointers


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_weights_come_back_byte_for_byte(tmp_path, dtype):
    check_round_trip(tmp_path, NAME, dtype)


def test_a_folder_with_its_tokenizer_is_opened_and_written_again(tmp_path):
    description, weights, _ = published(NAME)
    description["vocab_size"] = 311  # more rows than the tokenizer has pieces, which is legal
    rows = np.random.default_rng(0).normal(size=(311, description["hidden_size"]))
    weights["model.embed_tokens.weight"] = rows.astype(np.float32)
    write_model(tmp_path / "in", Arrays(weights))
    (tmp_path / "in" / "config.json").write_text(json.dumps(description))
    text = ["the quick brown fox jumps over the lazy dog", "pack my box with five dozen jugs"]
    tokenizers.train_sentencepiece(text, 300, tmp_path / "in" / "tokenizer.model")
    model = open_model(tmp_path / "in", make_mesh("data:8"))
    export_model(model, tmp_path / "out")
    back = open_model(tmp_path / "out", make_mesh("data:8"))
    assert back.functions.config == model.functions.config == palm.from_hf(description)
    assert back.tokenizer.encode("lazy dog") == model.tokenizer.encode("lazy dog")
    files = [safetensors.open_model(tmp_path / folder) for folder in ("in", "out")]
    assert files[0].tensors.keys() == files[1].tensors.keys()
    for key in weights:
        assert files[0].read(key).tobytes() == files[1].read(key).tobytes(), key


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: {"model.norm.bias": w["model.norm.weight"]}, r"table:\n  model.norm.bias"),
        (lambda w: {"lm_head.weight": w["model.embed_tokens.weight"]}, r"table:\n  lm_head.weight"),
        (
            lambda w: {"model.layers.0.self_attn.k_proj.weight": w["model.norm.weight"]},
            "model.layers.0.self_attn.k_proj.weight",
        ),
    ],
)
def test_a_file_with_other_tensors_is_refused(change, message):
    functions, weights = golden(NAME).functions, published(NAME)[1]
    with pytest.raises(TransferError, match=message):
        import_params(
            Arrays(weights | change(weights)),
            palm.hf_table(functions.config),
            functions.config,
            functions.abstract,
        )


def test_each_branch_has_its_own_dropout():
    x_BTD = jax.random.normal(jax.random.key(0), (2, 5, SMALL.D))
    rope = rope_tables(jnp.broadcast_to(jnp.arange(5), (2, 5)), SMALL.H, SMALL.rope_theta)

    @functools.partial(jax.jit, static_argnums=0)
    def added(silent: str) -> list[jax.Array]:
        block = palm.Block(dataclasses.replace(SMALL, dropout=0.5), nnx.Rngs(0))
        getattr(block, silent).w[...] *= 0
        noises = None, Noise(jax.random.key(1), jnp.arange(2))
        return [block(x_BTD, rope, lambda q, k, v: (q, None), noise)[0] - x_BTD for noise in noises]

    kept = []
    for silent in ("o", "down"):
        whole, dropped = added(silent)
        kept.append(dropped != 0)
        assert 0.4 < kept[-1].mean() < 0.6
        np.testing.assert_allclose(dropped, np.where(kept[-1], 2 * whole, 0), atol=1e-5)
    assert 0.4 < (kept[0] != kept[1]).mean() < 0.6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"H": 7}, "H = 7 must be even"),
        ({"N": 0}, "N = 0 must be a positive integer"),
        ({"F": "8"}, "F = '8' must be a positive integer"),
        ({"max_length": 2.0}, "max_length = 2.0 must be a positive integer"),
        ({"rope_theta": 0.0}, "rope_theta = 0.0 must be a positive number"),
        ({"norm_eps": float("nan")}, "norm_eps = nan must be a positive number"),
        ({"scan": 1}, "scan = 1 must be True or False"),
        ({"dropout": 1.0}, "dropout = 1.0"),
        ({"remat": "some"}, "remat = 'some', expected"),
        ({"dtype": "float16"}, "dtype = 'float16'"),
    ],
)
def test_bad_config_is_refused(change, message):
    good = {"L": 2, "D": 8, "N": 2, "H": 4, "F": 8, "V": 9}
    with pytest.raises(ValueError, match=f"palm.Config: {message}"):
        palm.Config(**{**good, **change})


@pytest.mark.parametrize("size", palm.SIZES)
def test_config_survives_being_published(size):
    assert palm.from_hf(palm.to_hf(palm.SIZES[size])) == palm.SIZES[size]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "llama"}, "model_type = 'llama'.*palm family, expected 'palm'"),
        ({"hidden_act": "gelu"}, "hidden_act = 'gelu'.*expected 'silu'"),
        ({"attention_bias": True}, "know the fields {'attention_bias': True}"),
        ({"num_key_value_heads": 16}, "num_key_value_heads = 16.*expected 1"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings = False.*expected True"),
        ({"logit_scale": 0.0625}, "know the fields {'logit_scale': 0.0625}"),
        ({"use_parallel_residual": False}, "know the fields {'use_parallel_residual': False}"),
        ({"rope_scaling": {"type": "linear"}}, "know the fields {'rope_scaling'"),
        ({"head_dim": 256.0}, "H = 256.0 must be a positive integer"),
        ({"layer_norm_eps": None}, "the field 'layer_norm_eps' is missing"),
        ({"head_dim": None}, "the field 'head_dim' is missing"),
    ],
)
def test_published_config_is_read_or_refused_by_name(change, message):
    changed = {**palm.to_hf(palm.SIZES["8b"]), **change}
    with pytest.raises(ValueError, match=message):
        palm.from_hf({k: v for k, v in changed.items() if v is not None})
