"""LLaMA out of GGUF files, written here as llama.cpp's converter writes them."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from ift_jax.checkpoints.gguf import GGUF
from ift_jax.checkpoints.transfer import TransferError, import_params
from ift_jax.layers.functional import Functions
from ift_jax.models import llama
from tests.checkpoints.test_gguf import F32, Q8_0, build, entry, tensor
from tests.models.golden import golden, published

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
METADATA = {
    "llama.block_count": "num_hidden_layers",
    "llama.context_length": "max_position_embeddings",
    "llama.embedding_length": "hidden_size",
    "llama.feed_forward_length": "intermediate_size",
    "llama.attention.head_count": "num_attention_heads",
    "llama.attention.head_count_kv": "num_key_value_heads",
    "llama.attention.key_length": "head_dim",
    "llama.rope.dimension_count": "head_dim",
    "llama.attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "llama.vocab_size": "vocab_size",
}


def permute(weight, heads):
    """`LlamaModel.permute` of llama.cpp's convert_hf_to_gguf.py: rotary halves to neighbours."""
    halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
    return halves.swapaxes(1, 2).reshape(weight.shape)


def gguf_tensors(published, weights):
    """Hugging Face's weights under GGUF's names, in GGUF's order of rows."""
    tensors = {}
    for name, weight in weights.items():
        layer, _, rest = name.removeprefix("model.layers.").partition(".")
        if rest.startswith("self_attn.q_proj"):
            weight = permute(weight, published["num_attention_heads"])
        if rest.startswith("self_attn.k_proj"):
            weight = permute(weight, published["num_key_value_heads"])
        in_layer = name.startswith("model.layers.")
        known = NAMES[(rest if in_layer else name).removesuffix(".weight")]
        tensors[f"blk.{layer}.{known}.weight" if in_layer else f"{known}.weight"] = weight
    return tensors


def q8_0(weight):
    """ggml's `quantize_row_q8_0_ref`: blocks of 32 that share a float16 scale."""
    blocks = weight.reshape(-1, 32)
    scale = np.abs(blocks).max(axis=1, keepdims=True) / 127
    out = np.empty(len(blocks), [("d", "<f2"), ("q", "i1", 32)])
    out["d"], out["q"] = scale[:, 0], np.rint(blocks / np.where(scale == 0, 1, scale))
    return out.tobytes()


def metadata(published, **changes):
    """The file's metadata; a change to None leaves the key out."""
    values = {"general.architecture": "llama"}
    values |= {key: published[field] for key, field in METADATA.items()}
    values["llama.rope.freq_base"] = float(published["rope_theta"])
    values |= changes
    return {key: value for key, value in values.items() if value is not None}


def write(path, values, tensors, kind=F32):
    """Writes a GGUF file; matrices are of a `kind`, vectors of float32 as the converter's."""
    kinds = {int: "u32", float: "f32", str: "str"}
    entries = [entry(key, kinds[type(value)], value) for key, value in values.items()]
    infos, data = [], b""
    for name, weight in tensors.items():
        quantized = kind == Q8_0 and weight.ndim == 2
        infos.append(tensor(name, weight.shape[::-1], Q8_0 if quantized else F32, len(data)))
        data += q8_0(weight) if quantized else weight.astype("<f4").tobytes()
        data += bytes(-len(data) % 32)
    path.write_bytes(build(entries, infos, data))
    return GGUF(path)


def load(file):
    """(functions, params) of an opened file, as `assemble.models` reads it."""
    functions = Functions(llama, llama.from_gguf(file.metadata, file.tensors))
    config = functions.config
    params = import_params(file, llama.gguf_table(config), config, functions.abstract)
    return functions, {name: jnp.asarray(value) for name, value in params.items()}


def golden_file(name):
    """(published config, Hugging Face's weights) of a golden file."""
    description, weights, _ = published(name)
    description["rope_theta"] = {"llama_grouped": 5000.0, "llama_tied": 10000.0}[name]
    return description, weights


@pytest.mark.parametrize("name", ["llama_grouped", "llama_tied"])
def test_a_converted_file_gives_the_reference_logits(tmp_path, name):
    published, weights = golden_file(name)
    tensors = gguf_tensors(published, weights)
    functions, params = load(write(tmp_path / "m.gguf", metadata(published), tensors))
    model = golden(name)
    for key, exact in model.params.items():
        np.testing.assert_array_equal(params[key], exact, err_msg=key)
    seen = dataclasses.replace(model, functions=functions, params=params).logits(model.whole())
    np.testing.assert_allclose(seen[:, model.kept], model.logits_BTV, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "theta", "epsilon", "K", "H", "tied"),
    [("llama_grouped", 5000.0, 1e-3, 2, 10, False), ("llama_tied", 1e4, 1e-6, 5, 6, True)],
)
def test_a_files_config_is_that_of_the_published_model(tmp_path, name, theta, epsilon, K, H, tied):
    published, weights = golden_file(name)
    file = write(tmp_path / "m.gguf", metadata(published), gguf_tensors(published, weights))
    config = llama.from_gguf(file.metadata, file.tensors)
    assert (config.rope_theta, config.K, config.H, config.tied) == (theta, K, H, tied)
    # Stored as a float32.
    assert config.norm_eps == pytest.approx(epsilon, rel=1e-6)
    reference = golden(name).functions.config
    for field in ("L", "D", "N", "F", "V", "max_length"):
        assert getattr(config, field) == getattr(reference, field), field


def test_what_a_file_leaves_out_is_as_llama_cpp_takes_it():
    published, _ = golden_file("llama_tied")
    left_out = {
        "llama.attention.head_count_kv": None,
        "llama.attention.key_length": None,
        "llama.rope.dimension_count": None,
        "llama.rope.freq_base": None,
        "llama.vocab_size": None,
    }
    values = metadata(published, **left_out) | {"tokenizer.ggml.tokens": ["a"] * 53}
    config = llama.from_gguf(values, {"output.weight"})
    assert (config.K, config.H, config.V, config.tied) == (5, 8, 53, False)
    assert config.rope_theta == 1e4


def test_a_quantized_file_gives_weights_within_half_a_step(tmp_path):
    sizes = {"L": 2, "D": 64, "N": 4, "K": 2, "H": 8, "F": 96, "V": 41}
    published = llama.to_hf(llama.Config(**sizes, rope_theta=3e4))
    shapes = {"q": (32, 64), "k": (16, 64), "v": (16, 64), "o": (64, 32)}
    rng = np.random.default_rng(0)
    weights = {"model.embed_tokens.weight": (41, 64), "model.norm.weight": (64,)}
    weights["lm_head.weight"] = (41, 64)
    for layer in range(2):
        block = f"model.layers.{layer}."
        weights |= {f"{block}self_attn.{x}_proj.weight": shape for x, shape in shapes.items()}
        weights |= {f"{block}mlp.{x}_proj.weight": (96, 64) for x in ("gate", "up")}
        weights[f"{block}mlp.down_proj.weight"] = (64, 96)
        weights |= {f"{block}{x}_layernorm.weight": (64,) for x in ("input", "post_attention")}
    weights = {name: rng.normal(size=shape).astype(np.float32) for name, shape in weights.items()}
    tensors, values = gguf_tensors(published, weights), metadata(published)
    _, exact = load(write(tmp_path / "f32.gguf", values, tensors))
    file = write(tmp_path / "q8_0.gguf", values, tensors, Q8_0)
    assert {info.kind for info in file.tensors.values()} == {"F32", "Q8_0"}
    functions, params = load(file)
    for name, weight in exact.items():
        # Half a step of the largest block, and its float16 scale's rounding on 127 steps.
        half_a_step = np.abs(weight).max() / 127 * (0.5 + 127 * 2**-11)
        error = np.abs(params[name] - weight).max()
        assert error <= half_a_step, name
        assert (error == 0) == name.endswith("scale"), name
    assert functions.config.rope_theta == 3e4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"llama.rope.scaling.type": "linear"}, r"llama.rope.scaling.type = 'linear' is not"),
        ({"llama.rope.scale_linear": 2.0}, r"llama.rope.scale_linear = 2.0 is not supported"),
        ({"llama.expert_count": 8}, r"llama.expert_count = 8 is not supported"),
        ({"llama.rope.dimension_count": 4}, r"dimension_count = 4: partial.*head size 10"),
        ({"llama.block_count": None}, r"the metadata key 'llama.block_count' is missing"),
        (
            {"llama.attention.layer_norm_rms_epsilon": None},
            r"the metadata key 'llama.attention.layer_norm_rms_epsilon' is missing",
        ),
        ({"llama.embedding_length": "36"}, r"llama.embedding_length = '36' must be a positive int"),
        ({"llama.attention.head_count": 0}, r"llama.attention.head_count = 0 must be a positive"),
        ({"llama.attention.head_count_kv": np.array([2, 1])}, r"K = array\(\[2, 1\]\) must be"),
    ],
)
def test_what_the_family_does_not_compute_is_refused_by_key(change, message):
    published, weights = golden_file("llama_grouped")
    with pytest.raises(ValueError, match=message):
        llama.from_gguf(metadata(published, **change), gguf_tensors(published, weights))


def test_llama_3_1s_divisors_are_refused_which_its_metadata_does_not_tell(tmp_path):
    published, weights = golden_file("llama_grouped")
    tensors = gguf_tensors(published, weights) | {"rope_freqs.weight": np.ones(5, np.float32)}
    file = write(tmp_path / "m.gguf", metadata(published), tensors)
    with pytest.raises(TransferError, match=r"family's table:\n  rope_freqs.weight \(5,\)"):
        load(file)
