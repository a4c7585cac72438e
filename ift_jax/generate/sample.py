"""How the next token is drawn from its logits."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class Sampling:
    """What a token is drawn from: temperature, then top-k, then top-p.

    Attributes:
        temperature: what logits are divided by; 0 takes the most likely token.
        top_k: only the so many most likely tokens (Fan et al. 2018, 1805.04833); None for all.
        top_p: only the fewest tokens, the most likely first, whose probabilities sum to so much,
            of what `top_k` leaves: the nucleus of Holtzman et al. 2019 (1904.09751).
    """

    temperature: float = 0.0
    top_k: int | None = None
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise ValueError(f"temperature = {self.temperature}: expected a number from 0 up")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k = {self.top_k}: expected at least 1, or None for all tokens")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p = {self.top_p}: expected above 0 and at most 1")
        if self.temperature == 0 and (self.top_k is not None or self.top_p < 1):
            raise ValueError(
                f"top_k = {self.top_k} and top_p = {self.top_p} change nothing at temperature 0,"
                " which takes the most likely token: give a temperature, such as 1"
            )


GREEDY = Sampling()
"""The most likely token."""


def pick(logits_BV: jax.Array, sampling: Sampling, keys_B: jax.Array) -> jax.Array:
    """One token of each row: int32 token_B. Among equally likely tokens, lower ids come first.

    Args:
        logits_BV: float32.
        sampling: what to draw from.
        keys_B: JAX random keys, on which a row's draw depends alone.
    """
    if sampling.temperature == 0:
        return jnp.argmax(logits_BV, axis=-1).astype(jnp.int32)
    logits_BV /= sampling.temperature
    draw = jax.vmap(jax.random.categorical)
    if sampling.top_k is None and sampling.top_p == 1:
        return draw(keys_B, logits_BV).astype(jnp.int32)
    C = min(sampling.top_k or logits_BV.shape[1], logits_BV.shape[1])
    logits_BC, tokens_BC = jax.lax.top_k(logits_BV, C)
    if sampling.top_p < 1:
        p_BC = jax.nn.softmax(logits_BC)
        before_BC = jnp.cumsum(p_BC, axis=-1) - p_BC
        logits_BC = jnp.where(before_BC < sampling.top_p, logits_BC, -jnp.inf)
    place_B = draw(keys_B, logits_BC)
    return jnp.take_along_axis(tokens_BC, place_B[:, None], axis=1)[:, 0]
