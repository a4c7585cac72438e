"""A toy model and a toy tokenizer, small enough to follow by hand."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from ift_jax.dims import PADDING, Batch
from ift_jax.layers.attention import visible


@dataclasses.dataclass(frozen=True)
class Config:
    V: int = 64
    D: int = 5
    L: int = 1
    N: int = 1
    max_length: int = 256


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Cache:
    """What was read, as it was."""

    read: Batch

    def beginning(self, P, S: int) -> Cache:
        before_T = jnp.arange(self.read.segments_BT.shape[1]) < P
        segments_BT = jnp.where(before_T, self.read.segments_BT, PADDING)
        return Cache(dataclasses.replace(self.read, segments_BT=segments_BT))


class Functions:
    """x at a token = mean over the tokens it sees of (1 + position/10) · embedding."""

    encoder_decoder = False

    def __init__(self, **sizes: int):
        self.config = Config(**sizes)

    def init(self, seed: int = 0) -> dict[str, np.ndarray]:
        random, c = np.random.default_rng(seed), self.config
        return {
            "embed.w": random.normal(size=(c.V, c.D)).astype(np.float32),
            "head.w": random.normal(size=(c.D, c.V)).astype(np.float32),
        }

    def hidden(self, params, batch: Batch):
        p, s = batch.positions_BT, batch.segments_BT
        x_BTD = params["embed.w"][batch.tokens_BT] * (1 + p[:, :, None] / 10)
        seen_BTS = visible(p, s, p, s).astype(jnp.float32)
        return jnp.einsum("BTS,BSD->BTD", seen_BTS, x_BTD) / seen_BTS.sum(-1, keepdims=True).clip(1)

    def init_cache(self, params, batch: Batch, S: int):
        return None

    def extend(self, params, batch: Batch, cache: Cache | None):
        return None, Cache(batch if cache is None else joined(cache.read, batch, 1))

    def follow(self, params, batch: Batch, cache: Cache):
        """By putting what is followed before each row."""
        T = cache.read.tokens_BT.shape[1]
        rows = batch.tokens_BT.shape[0] // cache.read.tokens_BT.shape[0]
        return self.hidden(params, joined(cache.read, batch, rows))[:, T:]

    def unembed(self, params, x, vocab_ids=None):
        return x @ params["head.w"]

    def flops(self, T: int, loss_tokens: int) -> int:
        return 100 * T + T * T


def joined(followed: Batch, own: Batch, rows: int) -> Batch:
    """Each row of `followed` before so many of `own`."""
    return jax.tree.map(
        lambda one, two: jnp.concatenate([jnp.repeat(one, rows, axis=0), two], axis=1),
        followed,
        own,
    )


def by_hand(params, sequence, start) -> np.ndarray:
    """Log-likelihood of each token of a sequence from `start`, in numpy float64."""
    embed, head = params["embed.w"].astype(float), params["head.w"].astype(float)
    found = []
    for i in range(start, len(sequence)):
        x_D = sum((1 + j / 10) * embed[token] for j, token in enumerate(sequence[:i])) / i
        logits_V = x_D @ head
        found.append(logits_V[sequence[i]] - np.log(np.exp(logits_V).sum()))
    return np.array(found)


class Tokenizer:
    """Characters, and a few longer pieces, the longest that matches; ids follow `PIECES`."""

    PIECES = ("<bos>", "<eos>", "\n\n", ": C", " A", *map(chr, range(32, 127)), "\n")
    vocab_size = len(PIECES)
    bos_id, eos_id = 0, 1
    fingerprint = "toy"

    def encode_spans(self, text: str) -> tuple[list[int], list[int]]:
        ids, ends, at = [], [], 0
        while at < len(text):
            piece = max((p for p in self.PIECES[2:] if text.startswith(p, at)), key=len)
            at += len(piece)
            ids.append(self.PIECES.index(piece))
            ends.append(at)
        return ids, ends

    def encode(self, text: str) -> list[int]:
        return self.encode_spans(text)[0]

    def decode(self, ids) -> str:
        return "".join(self.PIECES[i] for i in ids)
