"""GGUF's block-quantized tensor types: their names, sizes, and how to undo them.

A tensor's rows are cut into blocks of 32 weights that share a float16 scale `d` (and, for Q4_1, a
float16 offset `m`). Sources: `block_q4_0`, `block_q4_1`, `block_q8_0` and `dequantize_row_*` in
ggml's ggml-common.h and ggml-quants.c.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np


@dataclasses.dataclass(frozen=True)
class Kind:
    """A tensor type: `block` weights are stored together in `layout.itemsize` bytes."""

    name: str
    block: int
    layout: np.dtype
    decode: Callable[[np.ndarray], np.ndarray]


def _as_stored(values: np.ndarray) -> np.ndarray:
    return values.astype(values.dtype.newbyteorder("="))


def _scale(values_f16: np.ndarray) -> np.ndarray:
    """One float32 a block, ready to broadcast over the block's weights."""
    return values_f16.astype(np.float32)[:, None]


def _nibbles(packed: np.ndarray) -> np.ndarray:
    """(blocks, 16) bytes -> (blocks, 32) weights: low nibbles are weights 0-15, high 16-31."""
    return np.concatenate([packed & 0x0F, packed >> 4], axis=1).astype(np.float32)


def _q8_0(blocks: np.ndarray) -> np.ndarray:
    return _scale(blocks["d"]) * blocks["q"].astype(np.float32)


def _q4_0(blocks: np.ndarray) -> np.ndarray:
    return _scale(blocks["d"]) * (_nibbles(blocks["q"]) - np.float32(8))


def _q4_1(blocks: np.ndarray) -> np.ndarray:
    return _scale(blocks["d"]) * _nibbles(blocks["q"]) + _scale(blocks["m"])


KINDS = {
    0: Kind("F32", 1, np.dtype("<f4"), _as_stored),
    1: Kind("F16", 1, np.dtype("<f2"), _as_stored),
    2: Kind("Q4_0", 32, np.dtype([("d", "<f2"), ("q", "u1", 16)]), _q4_0),
    3: Kind("Q4_1", 32, np.dtype([("d", "<f2"), ("m", "<f2"), ("q", "u1", 16)]), _q4_1),
    8: Kind("Q8_0", 32, np.dtype([("d", "<f2"), ("q", "i1", 32)]), _q8_0),
}
"""The types read here, by their number in the file (`enum ggml_type`)."""

UNSUPPORTED = {
    6: "Q5_0",
    7: "Q5_1",
    9: "Q8_1",
    10: "Q2_K",
    11: "Q3_K",
    12: "Q4_K",
    13: "Q5_K",
    14: "Q6_K",
    15: "Q8_K",
    16: "IQ2_XXS",
    17: "IQ2_XS",
    18: "IQ3_XXS",
    19: "IQ1_S",
    20: "IQ4_NL",
    21: "IQ3_S",
    22: "IQ2_S",
    23: "IQ4_XS",
    24: "I8",
    25: "I16",
    26: "I32",
    27: "I64",
    28: "F64",
    29: "IQ1_M",
    30: "BF16",
    34: "TQ1_0",
    35: "TQ2_0",
    39: "MXFP4",
}
"""Names of the other types, so that a refusal can say what the file holds."""


def dequantize(kind: Kind, data: bytes | memoryview) -> np.ndarray:
    """A flat new array of a tensor's weights: float16 for F16, else float32."""
    return kind.decode(np.frombuffer(data, kind.layout)).reshape(-1)
