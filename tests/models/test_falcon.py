"""What is Falcon's own; tests/models/test_families.py compares it with the reference."""

from __future__ import annotations

import dataclasses
import json

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from flax import nnx

from ift_jax import tokenizers
from ift_jax.assemble.models import export_model, open_model
from ift_jax.checkpoints import safetensors
from ift_jax.checkpoints.safetensors import Arrays, write_model
from ift_jax.checkpoints.transfer import TransferError, import_params
from ift_jax.dims import Batch
from ift_jax.layers.dropout import Noise
from ift_jax.layers.functional import Functions
from ift_jax.layers.positions import alibi_slopes
from ift_jax.models import falcon
from ift_jax.sharding import batch_sharding, make_mesh, param_shardings, table
from tests.models.golden import check_round_trip, check_split, golden, published

NAMES = ("falcon_multi_query", "falcon_grouped", "falcon_alibi")
COUNTS = {"7b": 6_921_720_704, "40b": 41_303_293_952, "rw-1b": 1_311_625_216}
"""Parameters of Hugging Face's FalconForCausalLM, made without memory at the published sizes."""

COMMON = {
    "apply_residual_connection_post_layernorm": False,
    "attention_dropout": 0.0,
    "hidden_dropout": 0.0,
    "initializer_range": 0.02,
    "layer_norm_epsilon": 1e-05,
    "torch_dtype": "bfloat16",
    "use_cache": True,
}
OF_7B = {**COMMON, "alibi": False, "bias": False, "hidden_size": 4544, "vocab_size": 65024}
OF_40B = {**COMMON, "alibi": False, "bias": False, "hidden_size": 8192, "vocab_size": 65024}
PUBLISHED = [
    (
        "7b",
        OF_7B
        | {"model_type": "RefinedWebModel", "architectures": ["RWForCausalLM"]}
        | {"n_head": 71, "n_layer": 32, "multi_query": True, "parallel_attn": True},
    ),
    (
        "7b",
        OF_7B
        | {"model_type": "falcon", "architectures": ["FalconForCausalLM"]}
        | {"num_attention_heads": 71, "num_hidden_layers": 32}
        | {"multi_query": True, "parallel_attn": True, "new_decoder_architecture": False},
    ),
    (
        "40b",
        OF_40B
        | {"model_type": "RefinedWeb", "architectures": ["RWForCausalLM"]}
        | {"n_head": 128, "n_head_kv": 8, "n_layer": 60, "parallel_attn": True},
    ),
    (
        "40b",
        OF_40B
        | {"model_type": "falcon", "architectures": ["FalconForCausalLM"]}
        | {"num_attention_heads": 128, "num_hidden_layers": 60, "num_kv_heads": 8}
        | {"multi_query": True, "parallel_attn": True, "new_decoder_architecture": True},
    ),
    (
        "rw-1b",
        COMMON
        | {"model_type": "falcon", "architectures": ["FalconForCausalLM"]}
        | {"hidden_size": 2048, "num_attention_heads": 32, "num_hidden_layers": 24}
        | {"vocab_size": 50304, "alibi": True, "bias": True}
        | {"multi_query": False, "parallel_attn": False, "new_decoder_architecture": False},
    ),
]
"""Size, and the fields that change the computation of its config.json, of each generation."""


def test_published_parameter_counts():
    assert {size: Functions(falcon, falcon.SIZES[size]).parameter_count for size in COUNTS} == (
        COUNTS
    )
    assert set(falcon.SIZES) == {"tiny", *COUNTS}


def test_the_goldens_are_one_model_of_each_kind():
    multi_query, grouped, alibi = (golden(name).functions.config for name in NAMES)
    assert multi_query.K == 1 and multi_query.parallel and not multi_query.two_norms
    assert 1 < grouped.K < grouped.N and grouped.parallel and grouped.two_norms
    assert alibi.K == alibi.N and not alibi.parallel and alibi.alibi and alibi.biases
    assert 8 < alibi.N < 16, "some slopes are 2^-½ and the like, which bfloat16 rounds"


@pytest.mark.parametrize(("size", "description"), PUBLISHED)
def test_each_generation_of_published_configs_is_read(size, description):
    assert falcon.from_hf(description) == falcon.SIZES[size]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("head", [True, False])
def test_each_published_layout_comes_back_byte_for_byte(tmp_path, name, dtype, head):
    def layout(weights):
        tied = {"lm_head.weight": weights["transformer.word_embeddings.weight"]} if head else {}
        return weights | tied

    check_round_trip(tmp_path, name, dtype, layout)


def test_fused_rows_are_each_groups_queries_then_its_key_and_value():
    """Rows of the file's tensor numbered, and found where their head is."""
    functions = golden("falcon_grouped").functions
    c = functions.config
    weights = published("falcon_grouped")[1]
    name = "transformer.h.1.self_attention.query_key_value.weight"
    rows, M = weights[name].shape[0], c.N // c.K + 2
    weights[name] = np.broadcast_to(np.float32(np.arange(rows))[:, None], weights[name].shape)
    params = import_params(Arrays(weights), falcon.hf_table(c), c, functions.abstract)
    assert rows == c.K * M * c.H
    for head in range(c.N):
        group, place = divmod(head, c.N // c.K)
        start = (group * M + place) * c.H
        assert params["layers.q.w"][1, 0, head].tolist() == list(range(start, start + c.H))
    for group in range(c.K):
        end = (group + 1) * M * c.H
        assert params["layers.k.w"][1, 0, group].tolist() == list(range(end - 2 * c.H, end - c.H))
        assert params["layers.v.w"][1, 0, group].tolist() == list(range(end - c.H, end))


@pytest.mark.parametrize(
    ("name", "old"),
    [
        ("falcon_multi_query", {"model_type": "RefinedWebModel"}),
        ("falcon_grouped", {"model_type": "RefinedWeb"}),
        ("falcon_alibi", {}),
    ],
)
def test_a_published_folder_is_opened_and_written_again(tmp_path, name, old):
    description, weights, _ = published(name)
    description["vocab_size"] = 311  # more rows than the tokenizer has pieces, which is legal
    rows = np.random.default_rng(0).normal(size=(311, description["hidden_size"]))
    weights["transformer.word_embeddings.weight"] = rows.astype(np.float32)
    write_model(tmp_path / "in", Arrays(weights))
    (tmp_path / "in" / "config.json").write_text(json.dumps(description | old))
    text = ["the quick brown fox jumps over the lazy dog", "pack my box with five dozen jugs"]
    tokenizers.train_sentencepiece(text, 300, tmp_path / "in" / "tokenizer.model")
    model = open_model(tmp_path / "in", make_mesh("data:8"))
    export_model(model, tmp_path / "out")
    back = safetensors.open_model(tmp_path / "out")
    assert {key: back.read(key).tobytes() for key in back.tensors} == {
        key: value.tobytes() for key, value in weights.items()
    }
    written = json.loads((tmp_path / "out" / "config.json").read_text())
    assert written["model_type"] == "falcon"
    assert falcon.from_hf(written) == model.functions.config


def test_an_output_projection_of_its_own_is_refused():
    functions = golden("falcon_multi_query").functions
    weights = published("falcon_multi_query")[1]
    weights["lm_head.weight"] = -weights["transformer.word_embeddings.weight"]
    table = falcon.hf_table(functions.config)
    with pytest.raises(TransferError, match="lm_head.weight must equal transformer.word_emb"):
        import_params(Arrays(weights), table, functions.config, functions.abstract)


def test_alibi_is_rounded_to_bfloat16_before_it_is_scaled():
    """Each step in NumPy's bfloat16."""
    positions_BS = np.arange(2048, dtype=np.int32)[None]
    slopes_N = alibi_slopes(12).astype(ml_dtypes.bfloat16)
    expected_NS = slopes_N[:, None] * positions_BS.astype(ml_dtypes.bfloat16)
    bias_BN1S = jax.jit(lambda x: falcon.rounded_alibi(x, 12, 16))(positions_BS)
    np.testing.assert_array_equal(bias_BN1S[0, :, 0], expected_NS.astype(np.float32) / 4)
    assert bias_BN1S[0, 0, 0, 256] == bias_BN1S[0, 0, 0, 257]


@pytest.mark.parametrize("size", COUNTS)
def test_flops_are_two_a_matrix_weight_and_token(size):
    """Without attention's T² part, and for one token that is both read and trained on."""
    config = falcon.SIZES[size]
    functions = Functions(falcon, config)
    matrices = sum(
        np.prod(leaf.shape) for name, leaf in functions.abstract.items() if name.endswith(".w")
    )
    assert falcon.flops(config, 1, 1) == 2 * (matrices + config.L * config.D)


TWO_NORMS = falcon.Config(L=2, D=64, N=8, K=4, H=8, F=48, V=72, two_norms=True)
ALIBI = falcon.Config(
    L=2, D=48, N=6, K=6, H=8, F=64, V=72, parallel=False, two_norms=True, alibi=True, biases=True
)


@pytest.mark.parametrize("config", [TWO_NORMS, ALIBI])
def test_each_branch_has_a_mask_of_its_own(config):
    """So that at rate 1/2 a quarter of a block's input comes out unchanged."""
    block = falcon.Block(dataclasses.replace(config, dropout=0.5), nnx.Rngs(0))
    x_BTD = jax.random.normal(jax.random.key(1), (2, 20, config.D))
    noise = Noise(jax.random.key(2), np.arange(2, dtype=np.int32))
    z_BTD, _ = block(x_BTD, None, lambda q_BTNH, k_BTKH, v_BTKH: (q_BTNH, None), noise)
    assert abs((z_BTD == x_BTD).mean() - 1 / 4) < 0.05


@pytest.mark.parametrize(
    ("config", "mesh"),
    [(TWO_NORMS, "fsdp:2,tensor:4"), (ALIBI, "fsdp:2,sequence:2,tensor:2")],
)
def test_grouped_heads_and_alibi_are_split_likewise(config, mesh):
    check_split(Functions(falcon, config), mesh)


@pytest.mark.parametrize("size", COUNTS)
def test_a_published_size_is_split_as_its_mesh_promises(size):
    functions = Functions(falcon, falcon.SIZES[size])
    shardings = param_shardings(make_mesh("fsdp:4,tensor:2"), functions.letters, functions.abstract)
    for name, leaf in functions.abstract.items():
        split = np.prod(leaf.shape) / np.prod(shardings[name].shard_shape(leaf.shape))
        expected = 8
        if "norm" in name or name in ("layers.o.b", "layers.down.b"):
            expected = 4
        elif name.endswith(".b"):
            expected = 2
        elif size == "7b" and name in ("layers.q.w", "layers.k.w", "layers.v.w", "layers.o.w"):
            expected = 4  # 71 query heads, one key/value head
        assert split == expected, name


def test_heads_that_cannot_be_split_are_shown():
    functions = Functions(falcon, falcon.SIZES["7b"])
    shown = table(make_mesh("fsdp:4,tensor:2"), functions.letters, functions.abstract)
    rows = {line.split()[0]: line for line in shown.splitlines()[1:]}
    assert "D:fsdp (N indivisible)" in rows["layers.q.w"]
    assert "D:fsdp (K indivisible)" in rows["layers.k.w"]


def test_40b_lowers_with_an_eighth_of_its_parameters_on_each_of_eight_devices():
    functions, mesh = Functions(falcon, falcon.SIZES["40b"]), make_mesh("fsdp:8")
    shardings = param_shardings(mesh, functions.letters, functions.abstract)
    params = {
        name: jax.ShapeDtypeStruct(leaf.shape, jnp.bfloat16, sharding=shardings[name])
        for name, leaf in functions.abstract.items()
    }
    tokens_BT = jax.ShapeDtypeStruct((8, 2048), np.int32, sharding=batch_sharding(mesh))
    with jax.set_mesh(mesh):
        lowered = jax.jit(functions.hidden).lower(params, Batch(tokens_BT, tokens_BT, tokens_BT))
    assert lowered.out_info.shape == (8, 2048, 8192)
    held = lowered.compile().memory_analysis().argument_size_in_bytes
    assert held == 2 * COUNTS["40b"] / 8 + 3 * 4 * 2048


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"H": 6}, "N = 6 heads of H = 6 must make up D = 24"),
        ({"K": 4}, "K = 4 does not divide N = 6"),
        ({"D": 18, "H": 3}, "H = 3 must be even for rotary positions"),
        ({"parallel": False}, "two_norms = False, K = 1: where attention"),
        (
            {"parallel": False, "two_norms": True, "K": 3},
            "two_norms = True, K = 3: where attention",
        ),
        ({"two_norms": 2}, "two_norms = 2 must be True or False"),
        ({"alibi": None}, "alibi = None must be True or False"),
        ({"biases": "false"}, "biases = 'false' must be True or False"),
        ({"V": 9.0}, "V = 9.0 must be a positive integer"),
        ({"max_length": "128"}, "max_length = '128' must be a positive integer"),
        ({"rope_theta": "1e4"}, "rope_theta = '1e4' must be a positive number"),
        ({"norm_eps": -1e-5}, "norm_eps = -1e-05 must be a positive number"),
        ({"dropout": 1.0}, "dropout = 1.0"),
        ({"remat": "some"}, "remat = 'some', expected"),
        ({"dtype": "float16"}, "dtype = 'float16'"),
    ],
)
def test_bad_config_is_refused(change, message):
    good = {"L": 2, "D": 24, "N": 6, "K": 1, "H": 4, "F": 8, "V": 9}
    falcon.Config(**good)
    with pytest.raises(ValueError, match=message):
        falcon.Config(**{**good, **change})


ONE_NORM_OF_GROUPS = dataclasses.replace(TWO_NORMS, two_norms=False, rope_theta=5e6)
ONE_HEAD_IN_TURN = dataclasses.replace(ALIBI, K=1, alibi=False, biases=False)


@pytest.mark.parametrize(
    "config", [*falcon.SIZES.values(), TWO_NORMS, ALIBI, ONE_NORM_OF_GROUPS, ONE_HEAD_IN_TURN]
)
def test_config_survives_being_published(config):
    assert falcon.from_hf(falcon.to_hf(config)) == config


def test_what_a_published_config_leaves_out_is_as_hugging_face_takes_it():
    shortest = {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2}
    config = falcon.from_hf({**shortest, "vocab_size": 9, "hidden_dropout": 0.1})
    assert config == falcon.Config(L=2, D=32, N=4, K=1, H=8, F=128, V=9)
    assert falcon.from_hf({**falcon.to_hf(config), "num_kv_heads": None}) == config
    grouped = {**shortest, "vocab_size": 9, "new_decoder_architecture": True}
    assert falcon.from_hf(grouped) == dataclasses.replace(config, K=4, two_norms=True)


@pytest.mark.parametrize("field", ["rope_theta", "rope_parameters"])
def test_theta_is_found_where_either_generation_of_files_has_it(field):
    description = falcon.to_hf(falcon.SIZES["7b"])
    del description["rope_theta"]
    inside = {"rope_type": "default", "rope_theta": 5e5}
    description[field] = 5e5 if field == "rope_theta" else inside
    assert falcon.from_hf(description).rope_theta == 5e5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "gpt2"}, "model_type = 'gpt2'.*expected 'falcon'"),
        ({"activation": "relu"}, "activation = 'relu'.*expected 'gelu'"),
        ({"apply_residual_connection_post_layernorm": True}, "post_layernorm = True"),
        ({"attention_dropout": 0.1}, "attention_dropout = 0.1"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings = False"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling = {'type': 'linear'"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "rope_parameters.rope_type = 'yarn'"),
        (
            {"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}},
            "know the fields {'rope_parameters.partial_rotary_factor': 0.5}",
        ),
        (
            {"rope_parameters": {"rope_theta": 5e5}},
            "two values of rope_theta: 10000.0, and 500000.0 as rope_parameters.rope_theta",
        ),
        ({"n_head_kv": 4}, "two values of num_kv_heads: 8, and 4 as n_head_kv"),
        ({"new_decoder_architecture": "true"}, "new_decoder_architecture = 'true' must be True or"),
        ({"multi_query": 1}, "multi_query = 1 must be True or False"),
        ({"parallel_attn": "false"}, "parallel_attn = 'false' must be True or False"),
        ({"alibi": "false"}, "alibi = 'false' must be True or False"),
        ({"bias": 0}, "biases = 0 must be True or False"),
        ({"new_decoder_architecture": False}, "num_kv_heads = 8 is neither 1 .* nor .* = 128"),
        ({"num_ln_in_parallel_attn": 3}, "num_ln_in_parallel_attn = 3, expected 1, or 2 with"),
        (
            {"new_decoder_architecture": False, "multi_query": True},
            "num_ln_in_parallel_attn = 2, expected 1, or 2 with new_decoder_architecture = True",
        ),
        ({"num_kv_heads": 7}, "K = 7 does not divide N = 128"),
        ({"num_kv_heads": "8"}, "K = '8' must be a positive integer"),
        ({"ffn_hidden_size": 32768.0}, "F = 32768.0 must be a positive integer"),
        ({"hidden_size": 8192.0}, "hidden_size = 8192.0 must be a positive integer"),
        ({"num_attention_heads": 33}, "N = 33 heads of H = 248 must make up D = 8192"),
        ({"sliding_window": 7}, "know the fields {'sliding_window': 7}"),
        ({"n_embed": 8192}, "know the fields {'n_embed': 8192}"),
        ({"vocab_size": None}, "the field 'vocab_size' is missing"),
    ],
)
def test_published_config_is_read_or_refused_by_name(change, message):
    changed = {**falcon.to_hf(falcon.SIZES["40b"]), **change}
    with pytest.raises(ValueError, match=message):
        falcon.from_hf({k: v for k, v in changed.items() if v is not None})
