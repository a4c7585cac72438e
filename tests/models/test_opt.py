"""What is OPT's own; tests/models/test_families.py compares it with the reference."""

from __future__ import annotations

import dataclasses

import ml_dtypes
import numpy as np
import pytest

from ift_jax.assemble.models import open_published
from ift_jax.checkpoints.safetensors import Arrays
from ift_jax.checkpoints.transfer import TransferError, import_params
from ift_jax.layers.functional import Functions
from ift_jax.models import opt
from ift_jax.sharding import make_mesh, param_shardings
from tests.checkpoints.test_gguf import build, entry
from tests.models.golden import check_round_trip, check_split, golden, published

NAMES = ("opt_pre_norm", "opt_post_norm")
COUNTS = {
    "125m": 125_239_296,
    "350m": 331_196_416,
    "1.3b": 1_315_758_080,
    "2.7b": 2_651_596_800,
    "6.7b": 6_658_473_984,
    "13b": 12_853_473_280,
    "30b": 29_974_540_288,
    "66b": 65_719_701_504,
    "175b": 174_604_468_224,
}
"""Parameters of Hugging Face's OPTForCausalLM, made without memory at the published sizes."""


def test_published_parameter_counts():
    assert {size: Functions(opt, opt.SIZES[size]).parameter_count for size in COUNTS} == COUNTS
    assert set(opt.SIZES) == {"tiny", *COUNTS}


def test_the_goldens_are_one_model_of_each_kind():
    pre_norm, post_norm = (golden(name).functions.config for name in NAMES)
    assert pre_norm.pre_norm and pre_norm.W == pre_norm.D
    assert not post_norm.pre_norm and post_norm.W != post_norm.D
    assert pre_norm.V % 2 and post_norm.V % 2


def layout(weights, prefix, head):
    """Weights under the names that one of the published files has."""
    renamed = {name.replace("model.decoder.", prefix): w for name, w in weights.items()}
    tied = {"lm_head.weight": weights["model.decoder.embed_tokens.weight"]}
    return {**renamed, **(tied if head else {})}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("prefix", ["model.decoder.", "decoder."])
@pytest.mark.parametrize("head", [True, False])
def test_each_published_layout_comes_back_byte_for_byte(tmp_path, name, dtype, prefix, head):
    check_round_trip(tmp_path, name, dtype, lambda weights: layout(weights, prefix, head))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: {"decoder.x": w["lm_head.weight"]}, r"table:\n  decoder.x"),
        (lambda w: {"lm_head.weight": -w["lm_head.weight"]}, "lm_head.weight must equal model.dec"),
        (lambda w: {"decoder.layers.0.fc1.bias": w["lm_head.weight"][0]}, "decoder.layers.0.fc1.b"),
    ],
)
def test_a_file_of_two_layouts_or_two_tables_is_refused(change, message):
    functions = golden("opt_pre_norm").functions
    weights = layout(published("opt_pre_norm")[1], "model.decoder.", True)
    table = opt.hf_table(functions.config)
    with pytest.raises(TransferError, match=message):
        import_params(
            Arrays(weights | change(weights)), table, functions.config, functions.abstract
        )


def test_a_gguf_file_is_refused_with_the_families_that_are_read(tmp_path):
    (tmp_path / "m.gguf").write_bytes(build([entry("general.architecture", "str", "opt")], [], b""))
    with pytest.raises(ValueError, match=r"m.gguf: no module 'opt'.*There are: llama$"):
        open_published(tmp_path / "m.gguf")


def test_no_position_reads_the_two_rows_before_the_first():
    model = golden("opt_pre_norm")
    batch, table_PD = model.whole(), model.params["positions.w"]
    expected = model.logits(batch)

    def changed(rows):
        params = {**model.params, "positions.w": table_PD.at[rows].set(1e3)}
        return dataclasses.replace(model, params=params).logits(batch)

    np.testing.assert_array_equal(changed(slice(2)), expected)
    assert np.any(changed(2) != expected)


@pytest.mark.parametrize("size", ["6.7b", "350m"])
def test_flops_are_two_a_matrix_weight_and_token(size):
    """Without attention's T² part, and for one token that is both read and trained on."""
    config = opt.SIZES[size]
    functions = Functions(opt, config)
    vectors = sum(
        np.prod(functions.abstract[name].shape)
        for name in functions.abstract
        if not name.endswith(".w")
    )
    matrices = functions.parameter_count - vectors - 2050 * config.D
    assert opt.flops(config, 1, 1) == 2 * (matrices + config.L * config.D)


@pytest.mark.parametrize("mesh", ["fsdp:8", "fsdp:2,tensor:4"])
@pytest.mark.slow
def test_a_post_norm_model_is_split_likewise(mesh):
    config = opt.Config(L=2, D=32, N=4, H=8, F=48, V=64, W=16, max_length=64, pre_norm=False)
    check_split(Functions(opt, config), mesh)


@pytest.mark.parametrize("size", ["350m", "30b"])
def test_a_published_size_is_split_as_its_mesh_promises(size):
    functions = Functions(opt, opt.SIZES[size])
    shardings = param_shardings(make_mesh("fsdp:4,tensor:2"), functions.letters, functions.abstract)
    for name, leaf in functions.abstract.items():
        split = np.prod(leaf.shape) / np.prod(shardings[name].shard_shape(leaf.shape))
        expected = 8
        if name.startswith(("positions", "project")) or "norm" in name:
            expected = 4
        elif name.endswith(".b"):
            expected = 4 if name in ("layers.o.b", "layers.down.b") else 2
        elif name == "embed.w" and size == "350m":
            expected = 2
        assert split == expected, name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"H": 5}, "N = 2 heads of H = 5 must make up D = 8"),
        ({"W": 0}, "W = 0 must be a positive integer"),
        ({"W": "8"}, "W = '8' must be a positive integer"),
        ({"max_length": 2.0}, "max_length = 2.0 must be a positive integer"),
        ({"pre_norm": "false"}, "pre_norm = 'false' must be True or False"),
        ({"dropout": 1.0}, "dropout = 1.0"),
        ({"remat": "some"}, "remat = 'some', expected"),
        ({"dtype": "float16"}, "dtype = 'float16'"),
    ],
)
def test_bad_config_is_refused(change, message):
    good = {"L": 2, "D": 8, "N": 2, "H": 4, "F": 8, "V": 9, "W": 8}
    with pytest.raises(ValueError, match=message):
        opt.Config(**{**good, **change})


@pytest.mark.parametrize("size", opt.SIZES)
def test_config_survives_being_published(size):
    assert opt.from_hf(opt.to_hf(opt.SIZES[size])) == opt.SIZES[size]


def test_what_a_published_config_leaves_out_is_as_hugging_face_takes_it():
    shortest = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1}
    config = opt.from_hf({**shortest, "ffn_dim": 16, "vocab_size": 9, "dropout": 0.1})
    assert (config.W, config.max_length, config.pre_norm) == (8, 2048, True)
    assert config.dropout == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activation_function": "gelu"}, "activation_function = 'gelu'.*expected 'relu'"),
        ({"enable_bias": False}, "enable_bias = False.*expected True"),
        ({"layer_norm_elementwise_affine": False}, "layer_norm_elementwise_affine = False"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings = False"),
        ({"_remove_final_layer_norm": True}, "_remove_final_layer_norm = True"),
        ({"scale_embeddings": True}, "scale_embeddings = True"),
        ({"learned_embeddings": False}, "learned_embeddings = False"),
        ({"output_projection": False}, "output_projection = False"),
        ({"attention_dropout": 0.1}, "attention_dropout = 0.1"),
        ({"activation_dropout": 0.1}, "activation_dropout = 0.1"),
        ({"layerdrop": 0.1}, "layerdrop = 0.1"),
        ({"model_type": "gpt2"}, "model_type = 'gpt2'"),
        ({"do_layer_norm_before": "no"}, "pre_norm = 'no' must be True or False"),
        ({"word_embed_proj_dim": "512"}, "W = '512' must be a positive integer"),
        ({"hidden_size": 4096.0}, "hidden_size = 4096.0 must be a positive integer"),
        ({"num_attention_heads": 33}, "N = 33 heads of H = 124 must make up D = 4096"),
        ({"sliding_window": 7}, "know the fields {'sliding_window': 7}"),
        ({"quantization_config": {"bits": 4}}, "know the fields {'quantization_config'"),
        ({"ffn_dim": None}, "the field 'ffn_dim' is missing"),
    ],
)
def test_published_config_is_read_or_refused_by_name(change, message):
    changed = {**opt.to_hf(opt.SIZES["6.7b"]), **change}
    with pytest.raises(ValueError, match=message):
        opt.from_hf({k: v for k, v in changed.items() if v is not None})
