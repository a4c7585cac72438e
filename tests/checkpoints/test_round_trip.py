"""Published LLaMA weights through the two scripts and back, byte for byte."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from ift_jax import tokenizers
from ift_jax.checkpoints.safetensors import Arrays, open_model, write_model

ROOT = Path(__file__).parents[2]
CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_act": "silu",
    "hidden_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 6,
    "intermediate_size": 14,
    "vocab_size": 310,  # more rows than the tokenizer has pieces, which is legal
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}


def llama_tensors() -> dict[str, np.ndarray]:
    """Random tensors of the names and shapes that Hugging Face's LLaMA has."""
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (310, 20),
        "model.norm.weight": (20,),
        "lm_head.weight": (310, 20),
    }
    for i in range(2):
        shapes |= {
            f"model.layers.{i}.input_layernorm.weight": (20,),
            f"model.layers.{i}.self_attn.q_proj.weight": (24, 20),
            f"model.layers.{i}.self_attn.k_proj.weight": (12, 20),
            f"model.layers.{i}.self_attn.v_proj.weight": (12, 20),
            f"model.layers.{i}.self_attn.o_proj.weight": (20, 24),
            f"model.layers.{i}.post_attention_layernorm.weight": (20,),
            f"model.layers.{i}.mlp.gate_proj.weight": (14, 20),
            f"model.layers.{i}.mlp.up_proj.weight": (14, 20),
            f"model.layers.{i}.mlp.down_proj.weight": (20, 14),
        }
    rng = np.random.default_rng(0)
    return {n: rng.normal(size=shape).astype(ml_dtypes.bfloat16) for n, shape in shapes.items()}


@pytest.fixture
def published(tmp_path):
    """A Hugging Face folder with sharded bf16 weights, and LLaMA-1's rotary buffers in float32."""
    directory = tmp_path / "published"
    inv_freq = (1e4 ** (-np.arange(3) / 3)).astype(np.float32)
    buffers = {f"model.layers.{i}.self_attn.rotary_emb.inv_freq": inv_freq for i in range(2)}
    write_model(directory, Arrays(llama_tensors() | buffers), max_shard_bytes=9000)
    (directory / "config.json").write_text(json.dumps(CONFIG))
    text = ["the quick brown fox jumps over the lazy dog", "pack my box with five dozen jugs"]
    tokenizers.train_sentencepiece(text, 300, directory / "tokenizer.model")
    return directory


def run(script: str, *flags: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / script, *flags],
        env={**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_import_then_export_keeps_every_byte(published, tmp_path):
    model, out = tmp_path / "model", tmp_path / "out"
    imported = run("import_checkpoint.py", f"--source={published}", f"--out={model}")
    assert imported.returncode == 0, imported.stderr
    assert "checkpointer.py" not in imported.stderr  # Orbax keeps its narration to itself
    assert json.loads((model / "model.json").read_text())["prompt_format"] == "plain"

    exported = run(
        "export_checkpoint.py", f"--checkpoint={model}", f"--out={out}", "--dtype=bfloat16"
    )
    assert exported.returncode == 0, exported.stderr
    back, before = open_model(out), llama_tensors()
    assert back.tensors.keys() == before.keys()  # the buffers follow from config.json
    for name, array in before.items():
        assert back.tensors[name].kind == "BF16"
        assert back.read(name).tobytes() == array.tobytes(), name
    assert json.loads((out / "config.json").read_text()).items() >= CONFIG.items()
    same = [(folder / "tokenizer.model").read_bytes() for folder in (published, model, out)]
    assert same[0] == same[1] == same[2]


def test_a_file_that_does_not_fit_leaves_nothing_behind(published, tmp_path):
    (published / "config.json").write_text(json.dumps(CONFIG | {"num_hidden_layers": 3}))
    imported = run("import_checkpoint.py", f"--source={published}", f"--out={tmp_path / 'model'}")
    assert imported.returncode == 1
    assert imported.stderr.startswith(f"import_checkpoint: {published}: the file does not hold")
    assert "9 missing from the file:" in imported.stderr
    assert "model.layers.2.self_attn.q_proj.weight (24, 20)" in imported.stderr
    assert "Traceback" not in imported.stderr
    assert not (tmp_path / "model").exists()
