"""Draws against probabilities by hand."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ift_jax.generate.sample import GREEDY, Sampling, pick

DRAWS = 20_000
KEYS = jax.random.split(jax.random.key(5), DRAWS)
PICK = jax.jit(pick, static_argnames="sampling")
P_V = np.array([0.1, 0.4, 0.05, 0.2, 0.2, 0.05])
"""Token 1 is the most likely; 3 and 4, and 2 and 5, are equally likely."""


def drawn(sampling: Sampling, p_V: np.ndarray = P_V) -> np.ndarray:
    """The share of draws that each token has; logits are log p, up to a constant."""
    logits_BV = jnp.tile(jnp.asarray(np.log(p_V) + 3, jnp.float32), (DRAWS, 1))
    tokens_B = PICK(logits_BV, sampling, KEYS)
    assert tokens_B.dtype == jnp.int32
    return np.bincount(tokens_B, minlength=len(p_V)) / DRAWS


def only(*tokens: int, p_V: np.ndarray = P_V) -> np.ndarray:
    """The shares of these tokens, when no other is drawn."""
    kept_V = np.where(np.isin(np.arange(len(p_V)), tokens), p_V, 0)
    return kept_V / kept_V.sum()


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(1.0), P_V),
        # Temperature 2 takes the square root of the probabilities, 0.5 the square.
        (Sampling(2.0), P_V**0.5 / sum(P_V**0.5)),
        (Sampling(0.5), P_V**2 / sum(P_V**2)),
        (Sampling(1.0, top_k=1), only(1)),
        # Of two equally likely tokens, the lower id comes first.
        (Sampling(1.0, top_k=2), only(1, 3)),
        (Sampling(1.0, top_k=3), only(1, 3, 4)),
        (Sampling(1.0, top_k=5), only(0, 1, 2, 3, 4)),
        (Sampling(1.0, top_k=6), P_V),
        (Sampling(1.0, top_k=1000), P_V),
        # The fewest tokens that reach p: 0.4, 0.6, 0.8, 0.9, 0.95, 1.
        (Sampling(1.0, top_p=1e-9), only(1)),
        (Sampling(1.0, top_p=0.39), only(1)),
        (Sampling(1.0, top_p=0.41), only(1, 3)),
        (Sampling(1.0, top_p=0.7), only(1, 3, 4)),
        (Sampling(1.0, top_p=0.85), only(0, 1, 3, 4)),
        (Sampling(1.0, top_p=0.9999), P_V),
        # Temperature comes first: at 0.5 tokens 1 and 3 have 0.16 and 0.04 of 0.255.
        (Sampling(0.5, top_p=0.7), only(1, 3, p_V=P_V**2)),
        # top-p is of what top-k leaves: of 0.4, 0.2, 0.2, which make half, quarter, quarter.
        (Sampling(1.0, top_k=3, top_p=0.7), only(1, 3)),
        (Sampling(1.0, top_k=3, top_p=0.8), only(1, 3, 4)),
    ],
    ids=str,
)
def test_shares_of_draws(sampling, expected):
    found = drawn(sampling)
    assert not found[expected == 0].any()
    deviation = np.sqrt(expected * (1 - expected) / DRAWS)
    assert (np.abs(found - expected) <= 5 * deviation + 1e-9).all(), (found, expected)


def test_all_equal_and_extreme_logits():
    equal = drawn(Sampling(1.0, top_p=0.5), np.full(8, 1 / 8))
    assert np.count_nonzero(equal) == 4
    assert equal[:4].all()
    # Cold: what float32 can't divide by 1e-30 is as far from the largest as can be.
    assert drawn(Sampling(1e-30)).tolist() == [0, 1, 0, 0, 0, 0]
    logits_BV = jnp.array([[-3e38, 0.0, 3e38]])
    assert PICK(logits_BV, Sampling(1.0, top_p=0.9), KEYS[:1]).tolist() == [2]


def test_greedy_takes_the_first_of_the_most_likely():
    logits_BV = jnp.array([[0.0, 2.0, 2.0], [3.0, 2.0, 3.0]])
    assert PICK(logits_BV, GREEDY, KEYS[:2]).tolist() == [1, 0]
    assert PICK(logits_BV, Sampling(1.0, top_k=1), KEYS[:2]).tolist() == [1, 0]


@pytest.mark.parametrize("fields", [{}, {"top_k": 4}, {"top_p": 0.8}], ids=str)
def test_a_row_depends_on_its_own_key_and_logits(fields):
    sampling = Sampling(1.0, **fields)
    logits_BV = jnp.asarray(np.random.default_rng(0).normal(size=(7, 11)), jnp.float32)
    together = PICK(logits_BV, sampling, KEYS[:7])
    alone = [PICK(logits_BV[i : i + 1], sampling, KEYS[i : i + 1])[0] for i in range(7)]
    assert together.tolist() == [int(token) for token in alone]
    assert len(set(together.tolist())) > 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"temperature": -0.1}, "temperature = -0.1: expected a number from 0 up"),
        ({"temperature": float("nan")}, "temperature = nan"),
        ({"temperature": float("inf")}, "temperature = inf"),
        ({"temperature": 1.0, "top_k": 0}, "top_k = 0: expected at least 1"),
        ({"temperature": 1.0, "top_p": 0.0}, "top_p = 0.0: expected above 0 and at most 1"),
        ({"temperature": 1.0, "top_p": 1.5}, "top_p = 1.5"),
        ({"temperature": 1.0, "top_p": float("nan")}, "top_p = nan"),
        ({"top_k": 5}, "top_k = 5 .* at temperature 0, .* give a temperature"),
        ({"top_p": 0.5}, "top_p = 0.5 change nothing at temperature 0"),
    ],
)
def test_impossible_values_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Sampling(**fields)
