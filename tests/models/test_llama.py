"""LLaMA against the reference implementation, and its parts against each other."""

from __future__ import annotations

import dataclasses
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ift_jax.checkpoints.safetensors import Arrays
from ift_jax.checkpoints.transfer import import_params
from ift_jax.dims import SHARED, Batch
from ift_jax.layers.functional import Functions
from ift_jax.models import llama
from ift_jax.sharding import make_mesh, param_shardings, parameter_spec

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
NAMES = ("llama_grouped", "llama_tied")


def golden(name: str):
    """(functions, params, tokens_BT, kept positions, reference logits) of a golden file."""
    with np.load(GOLDEN / f"{name}.npz") as stored:
        arrays = dict(stored)
    weights = {
        key.removeprefix("weight:"): value
        for key, value in arrays.items()
        if key.startswith("weight:")
    }
    functions = Functions(llama, llama.from_hf(json.loads(str(arrays["config"]))))
    config = functions.config
    params = import_params(Arrays(weights), llama.hf_table(config), config, functions.abstract)
    params = {name: jnp.asarray(value) for name, value in params.items()}
    return functions, params, arrays["tokens_BT"], arrays["kept"], arrays["logits_BTV"]


def whole(tokens_BT: np.ndarray) -> Batch:
    """Every row one sequence without padding."""
    shape = tokens_BT.shape
    positions_BT = np.broadcast_to(np.arange(shape[1], dtype=np.int32), shape)
    return Batch(jnp.asarray(tokens_BT), positions_BT, np.ones(shape, np.int32))


def logits(functions: Functions, params, batch: Batch) -> np.ndarray:
    return np.asarray(functions.unembed(params, jax.jit(functions.hidden)(params, batch)))


@pytest.mark.parametrize("name", NAMES)
def test_full_sequences_equal_the_reference(name):
    functions, params, tokens_BT, kept, expected = golden(name)
    assert tokens_BT.shape[1] > 256
    seen = logits(functions, params, whole(tokens_BT))[:, kept]
    np.testing.assert_allclose(seen, expected, atol=1e-4)


def test_a_golden_has_heads_that_do_not_fill_the_width():
    config = golden("llama_grouped")[0].config
    assert config.N * config.H != config.D
    assert config.K != config.N


@pytest.mark.parametrize("name", NAMES)
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


@pytest.mark.parametrize("name", NAMES)
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


def test_order_within_a_row_is_nothing_but_positions():
    """The same sequence written backwards in the arrays, with its positions, is the same."""
    functions, params, tokens_BT, _, _ = golden("llama_grouped")
    forwards = whole(tokens_BT[:, :40])
    backwards = jax.tree.map(lambda x: x[:, ::-1], forwards)
    np.testing.assert_allclose(
        logits(functions, params, backwards)[:, ::-1],
        logits(functions, params, forwards),
        atol=1e-5,
    )


def test_shared_prefix_serves_each_continuation():
    functions, params, tokens_BT, _, _ = golden("llama_grouped")
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


@pytest.mark.parametrize("name", NAMES)
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


def test_no_token_depends_on_later_ones():
    functions, params, tokens_BT, _, _ = golden("llama_grouped")
    batch = whole(tokens_BT[:1, :12])
    table_VD = params["embed.w"]

    def out_at_5(x_VD):
        return functions.hidden({**params, "embed.w": x_VD}, batch)[0, 5].sum()

    later = set(tokens_BT[0, 6:12].tolist()) - set(tokens_BT[0, :6].tolist())
    gradient_VD = np.asarray(jax.grad(out_at_5)(table_VD))
    assert later
    assert not gradient_VD[sorted(later)].any()
    assert gradient_VD[tokens_BT[0, 5]].any()


def test_unembed_of_some_ids_is_those_columns():
    functions, params, tokens_BT, _, _ = golden("llama_grouped")
    x_BTD = functions.hidden(params, whole(tokens_BT[:, :5]))
    ids = jnp.array([7, 60, 0])
    np.testing.assert_allclose(
        functions.unembed(params, x_BTD, ids), functions.unembed(params, x_BTD)[..., ids], atol=1e-6
    )


@pytest.mark.parametrize(
    ("size", "parameters"),
    [
        ("7b", 6_738_415_616),
        ("13b", 13_015_864_320),
        ("33b", 32_528_943_616),
        ("65b", 65_285_660_672),
        ("2-7b", 6_738_415_616),
        ("2-13b", 13_015_864_320),
        ("2-70b", 68_976_648_192),
        ("smollm2-135m", 134_515_008),
    ],
)
def test_published_parameter_counts(size, parameters):
    assert Functions(llama, llama.SIZES[size]).parameter_count == parameters


def test_flops_of_7b_are_two_a_weight_and_token():
    """Without attention's T² part, a forward pass is 2 FLOPs a matrix weight and token."""
    config = llama.SIZES["7b"]
    matrices = 6_738_415_616 - config.V * config.D - config.D * (2 * config.L + 1)
    assert llama.flops(config, 1, 1) == 2 * (matrices + config.L * config.N * config.H)


def test_65b_is_split_as_its_mesh_promises():
    functions = Functions(llama, llama.SIZES["65b"])
    mesh = make_mesh("fsdp:4,tensor:2")
    shardings = param_shardings(mesh, functions.letters, functions.abstract)
    for name in functions.letters:
        shard = shardings[name].shard_shape(functions.abstract[name].shape)
        split = np.prod(functions.abstract[name].shape) / np.prod(shard)
        assert split == (4 if name.endswith("scale") else 8), name


def test_one_key_value_head_is_replicated_and_width_must_divide():
    mesh = make_mesh("fsdp:4,tensor:2")
    assert parameter_spec(mesh, "k", "D K H", (8, 1, 4)) == jax.P("fsdp", None, None)
    with pytest.raises(ValueError, match=r"k \(D K H\): axis D of size 9 .* legal sizes"):
        parameter_spec(mesh, "k", "D K H", (9, 1, 4))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"K": 4}, "K = 4 does not divide N = 6"),
        ({"H": 7}, "H = 7 must be even"),
        ({"dropout": 1.0}, "dropout = 1.0"),
        ({"remat": "some"}, "remat = 'some', expected"),
        ({"dtype": "float16"}, "dtype = 'float16'"),
        ({"dropout": "0.1"}, "dropout = '0.1'"),
        ({"L": 0}, "L = 0 must be a positive integer"),
        ({"V": 9.0}, "V = 9.0 must be a positive integer"),
        ({"max_length": "128"}, "max_length = '128' must be a positive integer"),
        ({"rope_theta": "1e4"}, "rope_theta = '1e4' must be a positive number"),
        ({"norm_eps": -1e-6}, "norm_eps = -1e-06 must be a positive number"),
        ({"tied": "false"}, "tied = 'false' must be True or False"),
    ],
)
def test_bad_config_is_refused(change, message):
    good = {"L": 2, "D": 8, "N": 6, "K": 2, "H": 4, "F": 8, "V": 9}
    with pytest.raises(ValueError, match=message):
        llama.Config(**{**good, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rope_scaling": {"type": "linear"}}, "rope_scaling.type = 'linear'.*'default'"),
        ({"rope_scaling": {"rope_type": "yarn"}}, "rope_scaling.rope_type = 'yarn'"),
        ({"rope_scaling": {"factor": 2.0}}, "know the fields {'rope_scaling.factor': 2.0}"),
        ({"rope_scaling": "linear"}, "rope_scaling = 'linear'.*expected None"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "rope_parameters.rope_type = 'yarn'"),
        (
            {"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}},
            "know the fields {'rope_parameters.partial_rotary_factor': 0.5}",
        ),
        ({"rope_parameters": {"rope_theta": 5e5}}, "two values of rope_theta: 10000.0 and 500000"),
        ({"hidden_size": "8192"}, "hidden_size = '8192' must be a positive integer"),
        ({"hidden_size": 8192.0, "head_dim": None}, "hidden_size = 8192.0 must be"),
        ({"num_attention_heads": 0, "head_dim": None}, "num_attention_heads = 0 must be"),
        ({"vocab_size": True}, "V = True must be a positive integer"),
        ({"num_hidden_layers": [80]}, r"L = \[80\] must be a positive integer"),
        ({"hidden_act": "gelu"}, "hidden_act = 'gelu'.*expected 'silu'"),
        ({"attention_bias": True}, "attention_bias"),
        ({"sliding_window": 7}, "sliding_window"),
        ({"hidden_size": None}, "hidden_size"),
    ],
)
def test_published_config_is_read_or_refused_by_name(change, message):
    published = llama.to_hf(llama.SIZES["2-70b"])
    assert llama.from_hf(published) == llama.SIZES["2-70b"]
    broken = {k: v for k, v in {**published, **change}.items() if v is not None}
    with pytest.raises(ValueError, match=message):
        llama.from_hf(broken)


@pytest.mark.parametrize("field", ["rope_theta", "rope_parameters"])
def test_theta_is_found_where_either_generation_of_files_has_it(field):
    published = llama.to_hf(llama.SIZES["2-70b"])
    del published["rope_theta"]
    inside = {"rope_type": "default", "rope_theta": 5e5}
    published[field] = 5e5 if field == "rope_theta" else inside
    assert llama.from_hf(published).rope_theta == 5e5
