"""What is T5's own; tests/models/test_families.py compares it with the reference."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from ift_jax.checkpoints.safetensors import Arrays
from ift_jax.checkpoints.transfer import TransferError, import_params
from ift_jax.layers.dropout import Noise
from ift_jax.layers.functional import Functions
from ift_jax.models import t5
from ift_jax.sharding import make_mesh, param_shardings
from tests.models.golden import check_round_trip, golden, published, random_params

COUNTS = {
    "small": 76_961_152,
    "base": 247_577_856,
    "large": 783_150_080,
    "xl": 2_849_757_184,
    "xxl": 11_135_332_352,
}
"""Parameters of Hugging Face's T5ForConditionalGeneration at the published sizes, untied."""


def test_published_parameter_counts():
    assert {size: Functions(t5, t5.SIZES[size]).parameter_count for size in COUNTS} == COUNTS
    assert set(t5.SIZES) == {"tiny", *COUNTS}


def test_the_goldens_have_halves_of_unequal_depth_and_heads_that_do_not_fill_the_width():
    wide, narrow = (golden(name).functions.config for name in ("t5_wide", "t5_narrow"))
    assert wide.encoder_layers < wide.L and narrow.encoder_layers > narrow.L
    assert wide.N * wide.H > wide.D and narrow.N * narrow.H < narrow.D


def test_what_the_encoder_reads_changes_the_decoder_by_segment_alone():
    model = golden("t5_wide")
    tokens = np.concatenate([model.tokens_BT[0, :5], model.tokens_BT[1, :7]])
    positions, segments = np.concatenate([np.arange(5), np.arange(7)]), np.repeat([1, 2], [5, 7])
    row = (tokens[None], positions[None], segments[None])
    before = model.logits(model.batch(*row, [[(0, 1), (1, 2)]], E=9))[0]
    after = model.logits(model.batch(*row, [[(0, 1), (0, 2)]], E=9))[0]
    np.testing.assert_array_equal(after[:5], before[:5])
    assert (np.abs(after[5:] - before[5:]).max(axis=-1) > 1e-3).all()


def test_the_encoder_reads_in_both_directions():
    model = golden("t5_narrow")
    batch = model.whole(4, E=6)
    last = batch.enc_tokens_BE.copy()
    last[:, -1] = (last[:, -1] + 1) % model.functions.config.V
    changed = dataclasses.replace(batch, enc_tokens_BE=last)
    assert (np.abs(model.logits(changed) - model.logits(batch))[:, 0].max(axis=-1) > 1e-3).all()


def layout(weights, alias):
    """Weights with the embedding's second and third names, which old files have."""
    embed = weights["shared.weight"]
    names = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
    return weights | (dict.fromkeys(names, embed) if alias else {})


@pytest.mark.parametrize("name", ["t5_wide", "t5_narrow"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("alias", [True, False])
def test_each_published_layout_comes_back_byte_for_byte(tmp_path, name, dtype, alias):
    check_round_trip(tmp_path, name, dtype, lambda weights: layout(weights, alias))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: {"decoder.x": w["lm_head.weight"]}, r"table:\n  decoder.x"),
        (
            lambda w: {"decoder.embed_tokens.weight": -w["shared.weight"]},
            "must equal shared.weight",
        ),
    ],
)
def test_a_file_with_a_strange_tensor_or_two_tables_is_refused(change, message):
    functions, weights = golden("t5_wide").functions, published("t5_wide")[1]
    table = t5.hf_table(functions.config)
    with pytest.raises(TransferError, match=message):
        import_params(
            Arrays(weights | change(weights)), table, functions.config, functions.abstract
        )


def test_a_tied_file_lacks_its_head():
    functions, weights = golden("t5_wide").functions, published("t5_wide")[1]
    del weights["lm_head.weight"]
    with pytest.raises(TransferError, match="lm_head.weight"):
        import_params(
            Arrays(weights), t5.hf_table(functions.config), functions.config, functions.abstract
        )


def test_no_two_places_share_a_dropout_mask(monkeypatch):
    config = dataclasses.replace(t5.SIZES["tiny"], dropout=0.5, scan=False)
    functions, seen = Functions(t5, config), []

    def drop(noise, x_BTD, rate):
        seen.append(jax.random.key_data(noise.key))
        return x_BTD

    @jax.jit
    def keys(params, batch):
        functions.hidden(params, batch, Noise(jax.random.key(0), np.arange(2, dtype=np.int32)))
        return jnp.stack(seen)

    monkeypatch.setattr(Noise, "drop", drop)
    found = np.asarray(keys(random_params(functions), golden("t5_wide").whole(5, E=4)))
    # The embeddings, three branches of each decoder layer, two of each of the encoder's.
    assert len(np.unique(found, axis=0)) == 2 + 3 * config.L + 2 * config.encoder_layers
    assert len(found) == len(np.unique(found, axis=0))


def test_flops_are_two_a_matrix_weight_and_token_that_it_multiplies():
    config, T, loss_tokens, E = t5.SIZES["base"], 5, 3, 7
    functions = Functions(t5, config)

    def weights(prefix):
        return sum(
            np.prod(leaf.shape)
            for name, leaf in functions.abstract.items()
            if name.startswith(prefix) and name.endswith(".w")
        )

    cross = weights("decoder.cross")  # half of it, q and o, by the decoder's tokens
    expected = E * weights("encoder.") + T * (weights("decoder.") - cross)
    expected += T * cross / 2 + E * cross / 2 + loss_tokens * weights("head")
    # Scores and values: the encoder's, the decoder's (causal) and those between them.
    expected += 12 * config.N * config.H * 2 * (E * E + T * T / 2 + T * E)
    assert functions.flops(T, loss_tokens, E) == 2 * expected


@pytest.mark.parametrize("size", ["xl", "xxl"])
def test_a_published_size_is_split_as_its_mesh_promises(size):
    functions = Functions(t5, t5.SIZES[size])
    shardings = param_shardings(make_mesh("fsdp:4,tensor:2"), functions.letters, functions.abstract)
    for name, leaf in functions.abstract.items():
        split = np.prod(leaf.shape) / np.prod(shardings[name].shard_shape(leaf.shape))
        expected = 4 if "norm" in name else 2 if "positions" in name else 8
        assert split == expected, name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder_layers": 0}, "encoder_layers = 0 must be a positive integer"),
        ({"R": 30}, "R = 30 buckets up to distance 128"),
        ({"farthest": 16}, "R = 32 buckets up to distance 16"),
        ({"start_id": 9}, "start_id = 9 is no token, expected 0 to 8"),
        ({"start_id": True}, "start_id = True is no token"),
        ({"norm_eps": 0}, "norm_eps = 0 must be a positive number"),
        ({"dropout": 1.0}, "dropout = 1.0"),
        ({"remat": "some"}, "remat = 'some', expected"),
    ],
)
def test_bad_config_is_refused(change, message):
    good = {"L": 2, "encoder_layers": 2, "D": 8, "N": 2, "H": 4, "F": 8, "V": 9}
    with pytest.raises(ValueError, match=message):
        t5.Config(**{**good, **change})


@pytest.mark.parametrize("size", COUNTS)
def test_config_survives_being_published(size):
    assert t5.from_hf(t5.to_hf(t5.SIZES[size])) == t5.SIZES[size]


FLAN_T5_BASE = {
    "architectures": ["T5ForConditionalGeneration"],
    "d_ff": 2048,
    "d_kv": 64,
    "d_model": 768,
    "decoder_start_token_id": 0,
    "dropout_rate": 0.1,
    "eos_token_id": 1,
    "feed_forward_proj": "gated-gelu",
    "initializer_factor": 1.0,
    "is_encoder_decoder": True,
    "layer_norm_epsilon": 1e-06,
    "model_type": "t5",
    "n_positions": 512,
    "num_decoder_layers": 12,
    "num_heads": 12,
    "num_layers": 12,
    "output_past": True,
    "pad_token_id": 0,
    "relative_attention_max_distance": 128,
    "relative_attention_num_buckets": 32,
    "task_specific_params": {"summarization": {"num_beams": 4}},
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
    "transformers_version": "4.23.1",
    "use_cache": True,
    "vocab_size": 32128,
}


def test_the_token_that_begins_an_answer_is_published():
    config = t5.from_hf({**FLAN_T5_BASE, "decoder_start_token_id": 7})
    assert config.start_id == 7 and t5.to_hf(config)["decoder_start_token_id"] == 7


def test_flan_t5_is_read_as_published_and_as_transformers_5_writes_it():
    assert t5.from_hf(FLAN_T5_BASE) == t5.SIZES["base"]
    rewritten = {"tie_word_embeddings": True, "scale_decoder_outputs": False, "is_gated_act": True}
    assert t5.from_hf({**FLAN_T5_BASE, **rewritten}) == t5.SIZES["base"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"feed_forward_proj": "relu"}, "feed_forward_proj = 'relu'.*expected 'gated-gelu'"),
        ({"feed_forward_proj": None}, "feed_forward_proj = 'relu'.*expected 'gated-gelu'"),
        ({"tie_word_embeddings": True}, "tie_word_embeddings = True.*expected False"),
        ({"tie_word_embeddings": None}, "tie_word_embeddings = True.*expected False"),
        ({"scale_decoder_outputs": True}, "scale_decoder_outputs = True.*expected False"),
        ({"dense_act_fn": "relu"}, "dense_act_fn = 'relu'"),
        ({"is_encoder_decoder": False}, "is_encoder_decoder = False"),
        ({"model_type": "mt5"}, "model_type = 'mt5'"),
        ({"d_kv": "64"}, "H = '64' must be a positive integer"),
        ({"sliding_window": 7}, "know the fields {'sliding_window': 7}"),
        ({"d_ff": None}, "the field 'd_ff' is missing"),
    ],
)
def test_published_config_is_read_or_refused_by_name(change, message):
    changed = {**FLAN_T5_BASE, **change}
    with pytest.raises(ValueError, match=message):
        t5.from_hf({k: v for k, v in changed.items() if v is not None})
