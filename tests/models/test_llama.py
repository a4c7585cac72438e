"""What is LLaMA's own; tests/models/test_families.py compares it with the reference."""

from __future__ import annotations

import dataclasses
import json

import jax
import numpy as np
import pytest

from ift_jax.layers.functional import Functions
from ift_jax.models import llama
from ift_jax.sharding import make_mesh, param_shardings, parameter_spec
from tests.models.golden import golden


def test_a_golden_has_heads_that_do_not_fill_the_width():
    config = golden("llama_grouped").functions.config
    assert config.N * config.H != config.D
    assert config.K != config.N


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
        ("3.1-8b", 8_030_261_248),
        ("3.2-1b", 1_235_814_400),
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
        ({"rope_factor": 0.0}, "rope_factor = 0.0 must be a positive number"),
        ({"rope_length": 0}, "rope_length = 0 must be a positive integer"),
        ({"rope_low": 4.0}, "rope_low = 4.0 must be below rope_high = 4.0"),
        ({"tied": "false"}, "tied = 'false' must be True or False"),
    ],
)
def test_bad_config_is_refused(change, message):
    good = {"L": 2, "D": 8, "N": 6, "K": 2, "H": 4, "F": 8, "V": 9}
    with pytest.raises(ValueError, match=message):
        llama.Config(**{**good, **change})


LLAMA3 = {
    "factor": 8.0,
    "high_freq_factor": 4.0,
    "low_freq_factor": 1.0,
    "original_max_position_embeddings": 8192,
    "rope_type": "llama3",
}
"""`rope_scaling` of Llama-3.1-8B's config.json."""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rope_scaling": {"type": "linear"}}, "the field 'rope_scaling.factor' is missing"),
        (
            {"rope_scaling": {"type": "dynamic", "factor": 2.0}},
            "rope_scaling.rope_type = 'dynamic'",
        ),
        ({"rope_scaling": {"rope_type": "yarn"}}, "rope_type = 'yarn'.*'linear', 'llama3'"),
        ({"rope_scaling": {"rope_type": ["linear"]}}, r"rope_type = \['linear'\] is not supp"),
        ({"rope_scaling": {"rope_type": "linear", "type": "default"}}, "'linear' and 'default'"),
        ({"rope_scaling": {**LLAMA3, "factor": "8"}}, "rope_factor = '8' must be a positive numb"),
        (
            {"rope_scaling": {**LLAMA3, "original_max_position_embeddings": None}},
            "rope_scaling.original_max_position_embeddings = None must be a positive integer",
        ),
        ({"rope_scaling": {**LLAMA3, "beta_fast": 32}}, "know the fields {'rope_scaling.beta_f"),
        ({"rope_scaling": LLAMA3, "rope_parameters": LLAMA3}, "rope_scaling = {.*expected None"),
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


LINEAR = dataclasses.replace(llama.SIZES["tiny"], rope_factor=2.5)


@pytest.mark.parametrize("config", [*llama.SIZES.values(), LINEAR])
def test_config_survives_being_published(config):
    assert llama.from_hf(json.loads(json.dumps(llama.to_hf(config)))) == config


def test_scaled_positions_are_found_in_either_generation_of_files():
    published = llama.to_hf(llama.SIZES["3.1-8b"])
    assert published["rope_scaling"] == LLAMA3
    del published["rope_scaling"], published["rope_theta"]
    newer = {**published, "rope_parameters": {**LLAMA3, "rope_theta": 5e5}}
    assert llama.from_hf(newer) == llama.SIZES["3.1-8b"]
    # Written by transformers 4.
    linear = {"rope_type": "linear", "type": "linear", "factor": 2.5}
    older = {**llama.to_hf(llama.SIZES["tiny"]), "rope_scaling": linear}
    assert llama.from_hf(older) == LINEAR


def test_a_golden_reads_past_its_first_context_with_frequencies_of_all_three_kinds():
    model = golden("llama_scaled")
    c = model.functions.config
    assert c.rope_length < model.tokens_BT.shape[1]
    turns_h = c.rope_length * c.rope_theta ** (-np.arange(0, c.H, 2) / c.H) / (2 * np.pi)
    cases = np.digitize(turns_h, [c.rope_low, c.rope_high])
    assert set(cases) == {0, 1, 2}
    unscaled = Functions(llama, dataclasses.replace(c, rope_factor=1.0))
    difference = dataclasses.replace(model, functions=unscaled).logits(model.whole())
    assert np.abs(difference[:, model.kept] - model.logits_BTV).max() > 0.1


def test_linear_scaling_is_positions_divided():
    model = golden("llama_grouped")
    config = dataclasses.replace(model.functions.config, rope_factor=3.0)
    batch = model.whole()
    batch = dataclasses.replace(batch, positions_BT=3 * batch.positions_BT)
    seen = dataclasses.replace(model, functions=Functions(llama, config)).logits(batch)
    np.testing.assert_allclose(seen[:, model.kept], model.logits_BTV, atol=1e-4)
