"""Every golden as the folder that its family publishes: imported, saved and exported again."""

from __future__ import annotations

import json

import ml_dtypes  # noqa: F401  names bfloat16 to NumPy
import numpy as np
import pytest

from ift_jax.assemble import models
from ift_jax.checkpoints import safetensors
from ift_jax.checkpoints.safetensors import Arrays, write_model
from ift_jax.checkpoints.store import Store
from ift_jax.sharding import make_mesh
from tests.models.golden import NAMES, golden, published

LETTERS = "abcdefghijklmnopqrstuvwxyz ,.?"


def write_tokenizer(folder):
    """One of 31 tokens: goldens have few."""
    vocabulary = {"<eos>": 0} | {letter: n for n, letter in enumerate(LETTERS, start=1)}
    special = {"id": 0, "content": "<eos>", "special": True}
    special |= dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    description = {
        "version": "1.0",
        "added_tokens": [special],
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
    }
    (folder / "tokenizer.json").write_text(json.dumps(description))
    (folder / "tokenizer_config.json").write_text('{"eos_token": "<eos>"}')


@pytest.mark.parametrize(
    ("name", "dtype"),
    [*((name, "float32") for name in NAMES), (NAMES[0], "bfloat16"), (NAMES[0], "float16")],
)
def test_a_folder_comes_back_byte_for_byte(tmp_path, name, dtype):
    description, weights, _ = published(name)
    weights = {key: value.astype(dtype) for key, value in weights.items()}
    write_model(tmp_path / "in", Arrays(weights), max_shard_bytes=40000)
    (tmp_path / "in" / "config.json").write_text(json.dumps(description))
    write_tokenizer(tmp_path / "in")
    mesh = make_mesh("data:8")

    imported = models.open_model(tmp_path / "in", mesh)
    with Store(tmp_path / "run" / models.CHECKPOINTS) as store:
        store.save(0, imported.load())
    models.describe(tmp_path / "run", imported)
    models.export_model(models.open_model(tmp_path / "run", mesh), tmp_path / "out", dtype)

    back = safetensors.open_model(tmp_path / "out")
    assert back.tensors.keys() == weights.keys()
    for key, value in weights.items():
        assert back.read(key).tobytes() == value.tobytes(), key
    again = models.open_model(tmp_path / "out", mesh)
    assert again.functions.config == imported.functions.config == golden(name).functions.config
    if dtype == "float32":
        for key, value in again.load().items():
            np.testing.assert_array_equal(value, golden(name).params[key], err_msg=key)
