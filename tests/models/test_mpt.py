"""What is MPT's own; tests/models/test_families.py compares it with the reference."""

from __future__ import annotations

import dataclasses
import json
import math

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from ift_jax.assemble.models import abstract_params
from ift_jax.checkpoints.safetensors import Arrays
from ift_jax.checkpoints.transfer import TransferError, import_params
from ift_jax.dims import Batch
from ift_jax.layers.dropout import Noise
from ift_jax.layers.functional import Functions
from ift_jax.models import mpt
from ift_jax.sharding import batch_sharding, make_mesh, param_shardings
from ift_jax.train.loss import loss_sums
from tests.models.golden import check_round_trip, check_split, golden, published

NAMES = ("mpt_plain", "mpt_clip_norm")
COUNTS = {"7b": 6_649_286_656, "30b": 29_957_200_896}
"""Parameters of Hugging Face's MptForCausalLM, made without memory at the published sizes."""

# mosaicml/mpt-7b-instruct's config.json, all of it.
INSTRUCT = {
    "architectures": ["MPTForCausalLM"],
    "attn_config": {
        "alibi": True,
        "alibi_bias_max": 8,
        "attn_impl": "torch",
        "attn_pdrop": 0,
        "attn_type": "multihead_attention",
        "attn_uses_sequence_id": False,
        "clip_qkv": None,
        "prefix_lm": False,
        "qk_ln": False,
        "softmax_scale": None,
    },
    "auto_map": {
        "AutoConfig": "configuration_mpt.MPTConfig",
        "AutoModelForCausalLM": "modeling_mpt.MPTForCausalLM",
    },
    "d_model": 4096,
    "emb_pdrop": 0,
    "embedding_fraction": 1.0,
    "expansion_ratio": 4,
    "init_config": {
        "emb_init_std": None,
        "emb_init_uniform_lim": None,
        "fan_mode": "fan_in",
        "init_div_is_residual": True,
        "init_gain": 0,
        "init_nonlinearity": "relu",
        "init_std": 0.02,
        "name": "kaiming_normal_",
        "verbose": 0,
    },
    "init_device": "cpu",
    "learned_pos_emb": True,
    "logit_scale": None,
    "max_seq_len": 2048,
    "model_type": "mpt",
    "n_heads": 32,
    "n_layers": 32,
    "no_bias": True,
    "norm_type": "low_precision_layernorm",
    "resid_pdrop": 0,
    "tokenizer_name": "EleutherAI/gpt-neox-20b",
    "torch_dtype": "bfloat16",
    "transformers_version": "4.28.1",
    "use_cache": False,
    "verbose": 0,
    "vocab_size": 50432,
}


def test_published_parameter_counts():
    assert {size: Functions(mpt, mpt.SIZES[size]).parameter_count for size in COUNTS} == COUNTS
    assert set(mpt.SIZES) == {"tiny", *COUNTS}


def test_the_goldens_are_one_model_of_each_kind():
    plain, clip_norm = (golden(name).functions.config for name in NAMES)
    assert (plain.clip_qkv, plain.qk_norm, plain.alibi_bias_max) == (None, False, 8)
    assert (clip_norm.clip_qkv, clip_norm.qk_norm, clip_norm.alibi_bias_max) == (0.7, True, 12)
    for config in (plain, clip_norm):
        assert math.log2(config.N) % 1 and config.V % 2


def test_the_golden_that_clips_clips_much_and_not_all():
    model = golden("mpt_clip_norm")
    config = model.functions.config
    wide = dataclasses.replace(config, clip_qkv=1e3)
    narrow = dataclasses.replace(config, clip_qkv=0.1)
    batch = model.whole(30)
    clipped = model.logits(batch)
    for other in (wide, narrow):
        functions = Functions(mpt, other)
        seen = dataclasses.replace(model, functions=functions).logits(batch)
        assert np.abs(seen - clipped).max() > 0.1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("head", [True, False])
def test_a_published_file_comes_back_byte_for_byte(tmp_path, name, dtype, head):
    def layout(weights):
        tied = {"lm_head.weight": weights["transformer.wte.weight"]} if head else {}
        return weights | tied

    check_round_trip(tmp_path, name, dtype, layout)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transformer.wpe.weight": np.ones((9, 42))}, r"table:\n  transformer.wpe.weight"),
        ({"transformer.norm_f.bias": np.ones(42)}, r"table:\n  transformer.norm_f.bias"),
        ({"transformer.blocks.0.attn.q_ln.weight": np.ones(42)}, "  transformer.blocks.0.attn.q_l"),
        ({"lm_head.weight": np.ones((61, 42), np.float32)}, "lm_head.weight must equal transf"),
    ],
)
def test_a_file_that_holds_more_than_the_model_is_refused(change, message):
    functions = golden("mpt_plain").functions
    table = mpt.hf_table(functions.config)
    source = Arrays(published("mpt_plain")[1] | change)
    with pytest.raises(TransferError, match=message):
        import_params(source, table, functions.config, functions.abstract)


@pytest.mark.parametrize("silent", ["layers.o.w", "layers.down.w"])
def test_dropout_is_on_the_embeddings_and_on_each_branch(silent):
    """At rate ½, an eighth of the stream is left at 0 by embedding and two layers' one branch.

    The final norm makes that one value a token, which then comes several times.
    """
    model = golden("mpt_clip_norm")
    config, batch = model.functions.config, model.whole(9)
    dropping = Functions(mpt, dataclasses.replace(config, dropout=0.5))
    zero = jnp.zeros_like(model.params[silent])
    params = {**model.params, silent: zero, "norm.scale": jnp.ones(config.D)}
    noise = Noise(jax.random.key(0), np.arange(2, dtype=np.int32))
    tokens_D = np.asarray(jax.jit(dropping.hidden)(params, batch, noise)).reshape(-1, config.D)
    repeated = [np.unique(token_D, return_counts=True)[1].max() for token_D in tokens_D]
    assert 0.1 < np.mean(repeated) / config.D < 0.15


@pytest.mark.parametrize("size", COUNTS)
def test_flops_are_two_a_matrix_weight_and_token(size):
    """Without attention's T² part, and for one token that is both read and trained on."""
    config = mpt.SIZES[size]
    matrices = COUNTS[size] - config.D * (2 * config.L + 1)
    assert mpt.flops(config, 1, 1) == 2 * (matrices + config.L * config.D)


CLIP_NORM = mpt.Config(
    L=2, D=32, N=4, H=8, F=64, V=64, max_length=64, clip_qkv=0.5, qk_norm=True, norm_eps=1e-2
)


@pytest.mark.parametrize("mesh", ["fsdp:4,tensor:2", "fsdp:2,tensor:4"])
@pytest.mark.slow
def test_norms_over_all_heads_are_the_same_where_heads_are_split(mesh):
    check_split(Functions(mpt, CLIP_NORM), mesh)


@pytest.mark.parametrize("config", [*map(mpt.SIZES.get, COUNTS), CLIP_NORM])
def test_a_model_is_split_as_its_mesh_promises(config):
    functions = Functions(mpt, config)
    shardings = param_shardings(make_mesh("fsdp:4,tensor:2"), functions.letters, functions.abstract)
    for name, leaf in functions.abstract.items():
        split = np.prod(leaf.shape) / np.prod(shardings[name].shard_shape(leaf.shape))
        assert split == (4 if name.endswith("scale") else 8), name


@pytest.mark.slow
def test_30b_lowers_for_eight_devices_with_an_eighth_of_it_on_each():
    config = dataclasses.replace(mpt.SIZES["30b"], param_dtype="bfloat16", dtype="bfloat16")
    functions, mesh = Functions(mpt, config), make_mesh("fsdp:4,tensor:2")
    B, T = 8, 256
    row = jax.ShapeDtypeStruct((B, T), jnp.int32, sharding=batch_sharding(mesh))
    weights = jax.ShapeDtypeStruct((B, T), jnp.float32, sharding=batch_sharding(mesh))
    run = jax.grad(lambda params, batch: loss_sums(functions, params, batch)[0])
    with jax.set_mesh(mesh):
        params = abstract_params(functions, mesh)
        lowered = jax.jit(run).lower(params, Batch(row, row, row, row, weights))
        memory = lowered.compile().memory_analysis()
    scales = config.D * (2 * config.L + 1)
    batch = 5 * 4 * B * T // 4
    expected = 2 * ((COUNTS["30b"] - scales) // 8 + scales // 4) + batch
    assert memory.argument_size_in_bytes == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"H": 5}, "N = 2 heads of H = 5 must make up D = 8"),
        ({"F": 12}, "F = 12 must be a multiple of D = 8"),
        ({"alibi_bias_max": 8.0}, "alibi_bias_max = 8.0 must be a positive integer"),
        ({"max_length": 0}, "max_length = 0 must be a positive integer"),
        ({"clip_qkv": -6.0}, "clip_qkv = -6.0 must be a positive number"),
        ({"clip_qkv": "6"}, "clip_qkv = '6' must be a positive number"),
        ({"qk_norm": 1}, "qk_norm = 1 must be True or False"),
        ({"norm_eps": 0}, "norm_eps = 0 must be a positive number"),
        ({"dropout": 1.0}, "dropout = 1.0"),
        ({"remat": "some"}, "remat = 'some', expected"),
        ({"dtype": "float16"}, "dtype = 'float16'"),
    ],
)
def test_bad_config_is_refused(change, message):
    good = {"L": 2, "D": 8, "N": 2, "H": 4, "F": 16, "V": 9}
    with pytest.raises(ValueError, match=message):
        mpt.Config(**{**good, **change})


@pytest.mark.parametrize("config", [*mpt.SIZES.values(), CLIP_NORM])
def test_config_survives_being_published(config):
    assert mpt.from_hf(json.loads(json.dumps(mpt.to_hf(config)))) == config


def test_published_configs_are_read():
    assert mpt.from_hf(INSTRUCT) == mpt.SIZES["7b"]
    # What MPT-7B-StoryWriter-65k+ has that others haven't.
    attn_config = {**INSTRUCT["attn_config"], "clip_qkv": 6, "alibi_bias_max": 16}
    storywriter = mpt.from_hf({**INSTRUCT, "attn_config": attn_config, "max_seq_len": 65536})
    assert storywriter == dataclasses.replace(
        mpt.SIZES["7b"], clip_qkv=6, alibi_bias_max=16, max_length=65536
    )
    assert mpt.from_hf({**INSTRUCT, "expansion_ratio": 3, "norm_type": "layernorm"}).F == 3 * 4096


def test_what_a_published_config_leaves_out_is_as_hugging_face_takes_it():
    shortest = {"d_model": 8, "n_heads": 2, "n_layers": 1, "vocab_size": 9}
    expected = mpt.Config(L=1, D=8, N=2, H=4, F=32, V=9)
    assert mpt.from_hf(shortest) == expected
    # Hugging Face's class takes a bound of 0 for none.
    assert mpt.from_hf({**shortest, "attn_config": {"clip_qkv": 0.0}}) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "opt"}, "model_type = 'opt'"),
        ({"no_bias": False}, "no_bias = False.*expected True"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings = False"),
        ({"logit_scale": "inv_sqrt_d_model"}, "logit_scale = 'inv_sqrt_d_model'.*expected None"),
        ({"embedding_fraction": 0.1}, "embedding_fraction = 0.1.*expected 1"),
        ({"norm_type": "rmsnorm"}, "norm_type = 'rmsnorm'.*'low_precision_layernorm', 'layernorm'"),
        ({"d_model": 4096.0}, "d_model = 4096.0 must be a positive integer"),
        ({"n_heads": 33}, "N = 33 heads of H = 124 must make up D = 4096"),
        ({"expansion_ratio": 2.5}, "expansion_ratio = 2.5 must be a positive integer"),
        ({"fc_type": "te"}, "fc_type = 'te'.*expected 'torch'"),
        ({"ffn_config": {"ffn_type": "mptglu"}}, "ffn_config.ffn_type = 'mptglu'"),
        ({"ffn_config": {"ffn_hidden_size": 7}}, "know the fields {'ffn_config.ffn_hidden_size'"),
        ({"attn_config": None}, "know the fields {'attn_config': None}"),
        ({"residual_modification": "layer"}, "know the fields {'residual_modification': 'layer'}"),
        ({"quantization_config": {"bits": 4}}, "know the fields {'quantization_config'"),
    ],
)
def test_published_config_is_read_or_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        mpt.from_hf({**INSTRUCT, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alibi": False}, "alibi = False.*expected True"),
        ({"attn_type": "multiquery_attention"}, "attn_type = 'multiquery_attention'"),
        ({"attn_pdrop": 0.1}, "attn_pdrop = 0.1"),
        ({"prefix_lm": True}, "prefix_lm = True"),
        ({"softmax_scale": 0.1}, "softmax_scale = 0.1.*expected None"),
        ({"rope": True}, "rope = True"),
        ({"qk_gn": True}, "qk_gn = True"),
        ({"sliding_window_size": 512}, "sliding_window_size = 512"),
        ({"kv_n_heads": 8}, "kv_n_heads = 8 is not supported by the mpt family, expected 32"),
        ({"qk_ln": "yes"}, "qk_norm = 'yes' must be True or False"),
        ({"clip_qkv": -1}, "clip_qkv = -1 must be a positive number"),
        ({"alibi_bias_max": "8"}, "alibi_bias_max = '8' must be a positive integer"),
    ],
)
def test_published_attention_is_read_or_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        mpt.from_hf({**INSTRUCT, "attn_config": {**INSTRUCT["attn_config"], **change}})


@pytest.mark.parametrize("field", INSTRUCT)
def test_a_size_that_is_missing_is_named(field):
    left = {key: value for key, value in INSTRUCT.items() if key != field}
    if field in ("d_model", "n_heads", "n_layers", "vocab_size"):
        with pytest.raises(ValueError, match=f"the field '{field}' is missing"):
            mpt.from_hf(left)
    else:
        assert mpt.from_hf(left) == mpt.SIZES["7b"]
