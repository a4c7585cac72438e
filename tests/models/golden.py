"""Golden logits of each family, made by scripts/make_golden.py, and what runs a model on them."""

from __future__ import annotations

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from ift_jax import lookup
from ift_jax.checkpoints.safetensors import Arrays
from ift_jax.checkpoints.transfer import import_params
from ift_jax.dims import Batch
from ift_jax.layers.functional import Functions

FOLDER = pathlib.Path(__file__).parent.parent / "golden"
NAMES = ("llama_grouped", "llama_tied", "opt_pre_norm", "opt_post_norm")
"""FAMILY_VARIANT."""


def published(name: str):
    """(Hugging Face's config, its weights by name, all else that is stored) of a golden file."""
    with np.load(FOLDER / f"{name}.npz") as stored:
        arrays = dict(stored)
    weights = {
        key.removeprefix("weight:"): arrays.pop(key)
        for key in list(arrays)
        if key.startswith("weight:")
    }
    return json.loads(str(arrays.pop("config"))), weights, arrays


def golden(name: str):
    """(functions, params, tokens_BT, kept positions, reference logits) of a golden file."""
    description, weights, arrays = published(name)
    family = lookup.find("models", name.partition("_")[0])
    functions = Functions(family, family.from_hf(description))
    config = functions.config
    params = import_params(Arrays(weights), family.hf_table(config), config, functions.abstract)
    params = {name: jnp.asarray(value) for name, value in params.items()}
    return functions, params, arrays["tokens_BT"], arrays["kept"], arrays["logits_BTV"]


def whole(tokens_BT: np.ndarray) -> Batch:
    """Every row one sequence without padding."""
    shape = tokens_BT.shape
    positions_BT = np.broadcast_to(np.arange(shape[1], dtype=np.int32), shape)
    return Batch(jnp.asarray(tokens_BT), positions_BT, np.ones(shape, np.int32))


def packed(B: int, T: int, V: int) -> Batch:
    """Rows of random tokens packed from 2 + row % 3 sequences and padding, all followed trained."""
    rng = np.random.default_rng(0)
    positions_BT, segments_BT = np.zeros((2, B, T), np.int32)
    for row in range(B):
        ends = np.sort(rng.choice(np.arange(3, T), 2 + row % 3, replace=False))
        for segment, (start, end) in enumerate(zip([0, *ends], ends, strict=False), start=1):
            positions_BT[row, start:end] = np.arange(end - start)
            segments_BT[row, start:end] = segment
    tokens_BT = np.where(segments_BT > 0, rng.integers(1, V, (B, T)), 0).astype(np.int32)
    trained_BT = (segments_BT > 0) & (segments_BT == np.roll(segments_BT, -1, axis=1))
    trained_BT[:, -1] = False
    return Batch(
        tokens_BT,
        positions_BT,
        segments_BT,
        np.where(trained_BT, np.roll(tokens_BT, -1, axis=1), 0).astype(np.int32),
        trained_BT.astype(np.float32),
    )


def logits(functions: Functions, params, batch: Batch) -> np.ndarray:
    return np.asarray(functions.unembed(params, jax.jit(functions.hidden)(params, batch)))
