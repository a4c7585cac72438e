"""A small LLaMA, packed batches with unequal numbers of targets, and an optimizer for it."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from ift_jax.dims import PADDING, Batch
from ift_jax.layers.functional import Functions
from ift_jax.models import llama
from ift_jax.train.optim import Optimizer, OptimizerConfig, make_optimizer

# Divides over eight devices every way that the tests split it; N * H differs from D.
SIZES = {"L": 3, "D": 32, "N": 4, "K": 2, "H": 16, "F": 48, "V": 64}


def _functions(**switches) -> Functions:
    return Functions(llama, llama.Config(**SIZES, max_length=64, **switches))


def _batch(seed: int = 0, B: int = 8, T: int = 24) -> Batch:
    rng = np.random.default_rng(seed)
    segments_BT = np.zeros((B, T), np.int32)
    positions_BT = np.zeros((B, T), np.int32)
    for row in range(B):
        start, segment = 0, 1
        while start < T - 4 and segment <= 3:
            end = min(T - row % 3, start + int(rng.integers(3, 11)))
            segments_BT[row, start:end] = segment
            positions_BT[row, start:end] = np.arange(end - start)
            start, segment = end, segment + 1
    real_BT = segments_BT != PADDING
    tokens_BT = np.where(real_BT, rng.integers(1, SIZES["V"], (B, T)), 0).astype(np.int32)
    followed_BT = real_BT & (segments_BT == np.roll(segments_BT, -1, axis=1))
    followed_BT[:, -1] = False
    targets_BT = np.where(followed_BT, np.roll(tokens_BT, -1, axis=1), 0).astype(np.int32)
    # The share trained on grows with the row: 0% in the first, 87% in the last.
    trained_BT = followed_BT & (rng.random((B, T)) < np.arange(B)[:, None] / B)
    return Batch(
        tokens_BT=tokens_BT,
        positions_BT=positions_BT,
        segments_BT=segments_BT,
        targets_BT=targets_BT,
        weights_BT=trained_BT.astype(np.float32),
    )


def _optimizer(functions: Functions, total_steps: int = 10, **fields) -> Optimizer:
    fields = {"lr": 1e-2, "weight_decay": 0.1, "clip_norm": 1.0, **fields}
    return make_optimizer(OptimizerConfig(**fields), functions.letters, total_steps=total_steps)


@pytest.fixture
def make_functions():
    return _functions


@pytest.fixture
def make_batch():
    return _batch


@pytest.fixture
def optimizer_for():
    return _optimizer


@pytest.fixture
def params():
    """Parameters of `make_functions()`, scaled up so that every layer matters."""
    params = _functions().init(jax.random.key(1))
    return {k: v if k.endswith("scale") else 5 * v for k, v in params.items()}
