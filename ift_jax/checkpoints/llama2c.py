"""Reads llama2.c's checkpoints (version 0 of its layout): seven int32, then float32 tensors.

The rows of q and k pair rotary neighbours, as in a GGUF file of the same model. So a file is shown
under GGUF's keys and names, and a family's `from_gguf` and `gguf_table` read it too.

Layout: `legacy_export` in https://github.com/karpathy/llama2.c/blob/master/export.py; what it
doesn't write, the norms' epsilon, is a constant of that project's run.c.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ift_jax.checkpoints.gguf import TensorInfo

LATER = 0x616B3432  # 'ak42', where versions 1 and 2 begin
NORM_EPS = 1e-5
ROPE_THETA = 1e4

_LAYOUT = struct.Struct("<7i")


class Llama2CError(ValueError):
    """A file that isn't a checkpoint of llama2.c, or not the whole of one."""


class Header(NamedTuple):
    """The seven numbers that a file begins with; a negative vocab_size says: an untied head."""

    dim: int
    hidden_dim: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    vocab_size: int
    seq_len: int

    def __str__(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self._asdict().items())


class Llama2C:
    """An open checkpoint of llama2.c.

    Attributes:
        path: the file.
        metadata: its header, under the keys of a GGUF file.
        tensors: name -> TensorInfo, in the file's order, under the names of a GGUF file.
    """

    def __init__(self, path: str | Path):
        """Reads the header, and compares it with the file's length before believing it.

        Raises:
            Llama2CError: names the file, what was seen and what was expected.
        """
        self.path = Path(path)
        header = _header(self.path)
        self.metadata = {
            "general.architecture": "llama",
            "llama.block_count": header.n_layers,
            "llama.context_length": header.seq_len,
            "llama.embedding_length": header.dim,
            "llama.feed_forward_length": header.hidden_dim,
            "llama.attention.head_count": header.n_heads,
            "llama.attention.head_count_kv": header.n_kv_heads,
            "llama.attention.layer_norm_rms_epsilon": NORM_EPS,
            "llama.rope.freq_base": ROPE_THETA,
            "llama.vocab_size": abs(header.vocab_size),
        }
        self.tensors, offset = {}, _LAYOUT.size
        for name, (count, shape) in _groups(header).items():
            nbytes = 4 * math.prod(shape)
            for layer in range(count):
                known = name.format(L=layer)
                self.tensors[known] = TensorInfo(known, shape, "F32", offset, nbytes)
                offset += nbytes
        self._drop_rotary(header)

    def read(self, name: str) -> np.ndarray:
        """A tensor as a read-only float32 view of the file."""
        info = self.tensors[name]
        return np.memmap(self.path, "<f4", "r", info.offset, info.shape)

    def _drop_rotary(self, header: Header) -> None:
        """The tables of rotary positions are no parameters; they must be what theta makes them."""
        H = header.dim // header.n_heads
        frequencies = ROPE_THETA ** (-np.arange(0, H, 2) / H)
        angles = np.outer(np.arange(header.seq_len), frequencies)
        for name, expected in (("cos", np.cos(angles)), ("sin", np.sin(angles))):
            difference = np.abs(self.read(name) - expected).max()
            if not difference < 1e-3:  # float32 angles of thousands of positions
                raise Llama2CError(
                    f"{self.path}: its table of rotary {name} is {difference:.3g} away from that of"
                    f" theta = {ROPE_THETA:g}, the only one that run.c knows; fetch it again"
                )
            del self.tensors[name]


def _header(path: Path) -> Header:
    size = path.stat().st_size
    with path.open("rb") as file:
        raw = file.read(_LAYOUT.size)
    if len(raw) < _LAYOUT.size:
        raise Llama2CError(
            f"{path}: {size} bytes, and llama2.c's header takes {_LAYOUT.size}; fetch it again"
        )
    header = Header(*_LAYOUT.unpack(raw))
    if header.dim == LATER:
        raise Llama2CError(
            f"{path}: version {header.hidden_dim} of llama2.c's layout, expected 0; export the"
            " model again with --version 0"
        )
    positive = min(header._replace(vocab_size=abs(header.vocab_size))) > 0
    if not positive or header.dim % header.n_heads or header.dim // header.n_heads % 2:
        raise Llama2CError(
            f"{path}: {header}: expected positive numbers, and heads of an even size that divide"
            " dim; is it a checkpoint of llama2.c?"
        )
    floats = sum(count * math.prod(shape) for count, shape in _groups(header).values())
    expected = _LAYOUT.size + 4 * floats
    if size != expected:
        raise Llama2CError(
            f"{path}: {size:,} bytes, and {header} take {expected:,}: it is"
            f" {'cut short' if size < expected else 'not such a checkpoint'}; fetch it again"
        )
    return header


def _groups(header: Header) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Names of GGUF → how many such tensors follow one another, and the shape of each."""
    D, F, L, N, K, V, T = header
    H, tied, V = D // N, V > 0, abs(V)
    return {
        "token_embd.weight": (1, (V, D)),
        "blk.{L}.attn_norm.weight": (L, (D,)),
        "blk.{L}.attn_q.weight": (L, (N * H, D)),
        "blk.{L}.attn_k.weight": (L, (K * H, D)),
        "blk.{L}.attn_v.weight": (L, (K * H, D)),
        "blk.{L}.attn_output.weight": (L, (D, N * H)),
        "blk.{L}.ffn_norm.weight": (L, (D,)),
        "blk.{L}.ffn_gate.weight": (L, (F, D)),
        "blk.{L}.ffn_down.weight": (L, (D, F)),
        "blk.{L}.ffn_up.weight": (L, (F, D)),
        "output_norm.weight": (1, (D,)),
        "cos": (1, (T, H // 2)),
        "sin": (1, (T, H // 2)),
        **({} if tied else {"output.weight": (1, (V, D))}),
    }
