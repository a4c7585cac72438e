"""Greedy decoding against full forward passes, one a token."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

from ift_jax.dims import Batch
from ift_jax.generate.decode import Decoder, encode_prompt
from ift_jax.layers.functional import Functions
from ift_jax.models import llama
from ift_jax.sharding import make_mesh, param_shardings

CONFIG = dataclasses.replace(
    llama.SIZES["tiny"], L=2, D=16, N=4, K=2, H=6, F=24, V=97, max_length=160
)
FUNCTIONS = Functions(llama, CONFIG)
HIDDEN = jax.jit(FUNCTIONS.hidden)
NEW = 12
NEVER = CONFIG.V  # no token's id


@pytest.fixture(scope="module")
def params():
    """Large enough that tokens and positions matter: what is decoded varies."""
    random = np.random.default_rng(3)
    return {
        name: random.normal(scale=0.5, size=leaf.shape).astype(np.float32)
        for name, leaf in FUNCTIONS.abstract.items()
    }


@pytest.fixture(scope="module")
def decoder():
    return Decoder(FUNCTIONS)


def prompt_of(length: int) -> list[int]:
    return np.random.default_rng(length).integers(0, CONFIG.V, length).tolist()


PROMPTS = [prompt_of(n) for n in (1, 7, 64, 100)]


def by_full_forward(params, prompt: list[int], n: int) -> list[int]:
    """n tokens, each the argmax of one forward pass over all before it."""
    tokens, T = list(prompt), CONFIG.max_length
    for _ in range(n):
        row = np.zeros((1, T), np.int32)
        row[0, : len(tokens)] = tokens
        # Causal: the zeros after the last token change nothing before them.
        x_BTD = HIDDEN(params, Batch(row, np.arange(T)[None], np.ones((1, T), np.int32)))
        tokens.append(int(FUNCTIONS.unembed(params, x_BTD[0, len(tokens) - 1]).argmax()))
    return tokens[len(prompt) :]


@pytest.fixture(scope="module")
def expected(params):
    return [by_full_forward(params, prompt, NEW) for prompt in PROMPTS]


def greedy(decoder, params, prompts, *, eos_id=NEVER, max_new_tokens=NEW):
    return decoder.decode(params, prompts, eos_id=eos_id, max_new_tokens=max_new_tokens)


def test_each_token_is_the_argmax_of_a_full_forward(decoder, params, expected):
    for prompt, tokens in zip(PROMPTS, expected, strict=True):
        assert len(set(tokens)) > 1, "a stuck model would prove little"
        assert greedy(decoder, params, [prompt]) == [tokens]


def test_unequal_prompts_in_a_batch_equal_each_alone(decoder, params, expected):
    assert greedy(decoder, params, PROMPTS) == expected


def test_stops_after_eos_row_by_row(decoder, params, expected):
    eos_id = expected[1][4]
    stopped = greedy(decoder, params, PROMPTS, eos_id=eos_id)
    for tokens, whole in zip(stopped, expected, strict=True):
        assert tokens == (whole[: whole.index(eos_id) + 1] if eos_id in whole else whole)
    assert len(stopped[1]) <= 5
    assert any(len(tokens) == NEW for tokens in stopped)


def test_eos_as_the_first_token_ends_it(decoder, params, expected):
    assert greedy(decoder, params, PROMPTS[:1], eos_id=expected[0][0]) == [expected[0][:1]]


def test_one_token_and_a_full_context(decoder, params, expected):
    assert greedy(decoder, params, PROMPTS[:1], max_new_tokens=1) == [expected[0][:1]]
    longest = prompt_of(CONFIG.max_length - 2)
    assert len(greedy(decoder, params, [longest], max_new_tokens=2)[0]) == 2


def test_a_mesh_decodes_the_same(params, expected):
    mesh = make_mesh("data:2,fsdp:2,tensor:2")
    shardings = param_shardings(mesh, FUNCTIONS.letters, FUNCTIONS.abstract)
    placed = jax.tree.map(jax.device_put, params, shardings)
    # Three prompts over four parts: one row is there to fill up.
    assert greedy(Decoder(FUNCTIONS, mesh), placed, PROMPTS[1:]) == expected[1:]


@pytest.mark.parametrize(
    ("prompts", "new", "message"),
    [
        (
            [[1], prompt_of(150)],
            11,
            r"prompt 1: 150 tokens and max_new_tokens = 11 exceed the model's context of 160;"
            " shorten the prompt",
        ),
        ([[1], []], 1, "prompt 1 has no tokens"),
        ([[1, 97]], 1, "prompt 0: token id 97 is outside the model's vocabulary of 97"),
        ([[-1]], 1, "token id -1 is outside"),
        ([[1]], 0, "max_new_tokens = 0: expected at least 1"),
        ([], 1, "no prompts"),
    ],
)
def test_bad_prompts_are_refused(decoder, params, prompts, new, message):
    with pytest.raises(ValueError, match=message):
        greedy(decoder, params, prompts, max_new_tokens=new)


class Letters:
    """A tokenizer by hand: a character's id is its code point; 1 begins and 2 ends."""

    bos_id, eos_id = 1, 2

    def encode(self, text: str) -> list[int]:
        return list(map(ord, text))


def test_prompts_take_the_form_of_their_format():
    text = list(map(ord, "Hi\nyou"))
    assert encode_prompt(Letters(), "plain", "Hi", "you") == [1, *text]
    assert encode_prompt(Letters(), "flan", "Hi", "you") == [1, *text, 2]
    alpaca = "".join(map(chr, encode_prompt(Letters(), "alpaca", "Hi")[1:]))
    assert alpaca.startswith("Below is") and alpaca.endswith(":\nHi\n\n### Response:")


def test_a_tokenizer_without_bos_gives_none():
    tokenizer = Letters()
    tokenizer.bos_id = None
    assert encode_prompt(tokenizer, "plain", "Hi") == [ord("H"), ord("i")]
