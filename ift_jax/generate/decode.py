"""Greedy decoding: the most likely token, again and again, over a key/value cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ift_jax.dims import PADDING, Batch
from ift_jax.prompts import find
from ift_jax.sharding import batch_sharding, replicated
from ift_jax.tokenizers import Tokenizer

PROMPT_MULTIPLE = 64
"""Prompts are padded to a multiple of so many tokens, so that few shapes are compiled."""

TEXT = 1
"""Segment id of a row's prompt and of what is decoded after it."""


def encode_prompt(
    tokenizer: Tokenizer, prompt_format: str, instruction: str, input: str = ""
) -> list[int]:
    """The tokens that an answer follows: BOS, where there is one, and the prompt in its format.

    Args:
        tokenizer: the model's.
        prompt_format: a name of `prompts.FORMATS`; with `eos_separator` an EOS token ends it.
        instruction: what is asked.
        input: its context, which some formats set apart.

    Raises:
        ValueError: no such format.
    """
    form = find(prompt_format)
    bos = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
    separator = [tokenizer.eos_id] if form.eos_separator else []
    return [*bos, *tokenizer.encode(form.prompt(instruction, input)), *separator]


class Decoder:
    """Decodes with one model family at one size; compiles once for each shape of batch.

    Args:
        functions: the family's functions (`layers.functional.Functions`).
        mesh: device mesh to split the prompts over, or None for the default device.
    """

    def __init__(self, functions: Any, mesh: jax.sharding.Mesh | None = None):
        self._functions = functions
        self._mesh = mesh
        self._parts = 1 if mesh is None else mesh.shape["data"] * mesh.shape["fsdp"]
        self._jitted = jax.jit(
            self._greedy,
            static_argnames="max_new_tokens",
            out_shardings=mesh and replicated(mesh),
        )

    def greedy(
        self,
        params: Any,
        prompts: Sequence[Sequence[int]],
        *,
        eos_id: int,
        max_new_tokens: int,
    ) -> list[list[int]]:
        """Continues each prompt with the most likely token, until EOS.

        Args:
            params: the family's parameters by name.
            prompts: token ids, such as `encode_prompt` gives; of any lengths.
            eos_id: ends a continuation.
            max_new_tokens: ends it likewise.

        Returns:
            The new tokens of each prompt; the last one is EOS where the model ended it.

        Raises:
            ValueError: a prompt is empty, has a token id outside the vocabulary, or leaves too
                little of the model's context for `max_new_tokens`.
        """
        if max_new_tokens < 1:
            raise ValueError(f"max_new_tokens = {max_new_tokens}: expected at least 1")
        check_prompts(prompts, max_new_tokens, self._functions.config)
        lengths = [len(prompt) for prompt in prompts]
        B = -(-len(prompts) // self._parts) * self._parts
        T = -(-max(lengths) // PROMPT_MULTIPLE) * PROMPT_MULTIPLE
        tokens_BT = np.zeros((B, T), np.int32)
        segments_BT = np.full((B, T), PADDING, np.int32)
        for b, prompt in enumerate(prompts):
            tokens_BT[b, : len(prompt)] = prompt
            segments_BT[b, : len(prompt)] = TEXT
        decoded_BS = self._run(params, tokens_BT, segments_BT, eos_id, max_new_tokens)
        return [
            _until(row[T:].tolist(), eos_id)
            for row in decoded_BS[: len(prompts)]  # without the rows that fill up the mesh
        ]

    def _run(
        self,
        params: Any,
        tokens_BT: np.ndarray,
        segments_BT: np.ndarray,
        eos_id: int,
        max_new_tokens: int,
    ) -> np.ndarray:
        arrays = (tokens_BT, segments_BT)
        if self._mesh is None:
            return np.asarray(self._jitted(params, *arrays, eos_id, max_new_tokens=max_new_tokens))
        placed = [
            jax.make_array_from_callback(array.shape, batch_sharding(self._mesh), array.__getitem__)
            for array in arrays
        ]
        with jax.set_mesh(self._mesh):
            return np.asarray(self._jitted(params, *placed, eos_id, max_new_tokens=max_new_tokens))

    def _greedy(
        self,
        params: Any,
        tokens_BT: jax.Array,
        segments_BT: jax.Array,
        eos_id: jax.Array,
        *,
        max_new_tokens: int,
    ) -> jax.Array:
        """tokens_BS: the prompts' T slots, then what is decoded, EOS after its end.

        Every row's new tokens begin in slot T of the cache, whatever its prompt's length: the
        slots between are padding, which nothing sees, and positions go on from the prompt's end.
        """
        functions = self._functions
        B, T = tokens_BT.shape
        S = T + max_new_tokens
        lengths_B = jnp.sum(segments_BT == TEXT, axis=1, dtype=jnp.int32)
        positions_BT = jnp.broadcast_to(jnp.arange(T, dtype=jnp.int32), (B, T))

        def most_likely(x_BD: jax.Array) -> jax.Array:
            logits_BV = functions.unembed(params, x_BD)
            return jnp.argmax(logits_BV, axis=-1).astype(jnp.int32)

        def unfinished(carry: tuple[Any, ...]) -> jax.Array:
            slot, ended_B, _, _ = carry
            return (slot < S) & ~jnp.all(ended_B)

        def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
            slot, ended_B, tokens_BS, cache = carry
            last = Batch(
                tokens_BT=jax.lax.dynamic_slice_in_dim(tokens_BS, slot - 1, 1, axis=1),
                positions_BT=(lengths_B + slot - 1 - T)[:, None],
                segments_BT=jnp.full((B, 1), TEXT, jnp.int32),
            )
            x_BTD, cache = functions.extend(params, last, cache)
            token_B = jnp.where(ended_B, eos_id, most_likely(x_BTD[:, 0]))
            return (
                slot + 1,
                ended_B | (token_B == eos_id),
                tokens_BS.at[:, slot].set(token_B),
                cache,
            )

        batch = Batch(tokens_BT, positions_BT, segments_BT)
        x_BTD, cache = functions.extend(params, batch, functions.init_cache(params, batch, S))
        x_BD = jnp.take_along_axis(x_BTD, (lengths_B - 1)[:, None, None], axis=1)[:, 0]
        first_B = jnp.where(lengths_B > 0, most_likely(x_BD), eos_id)
        tokens_BS = jnp.pad(tokens_BT, ((0, 0), (0, max_new_tokens)), constant_values=0)
        tokens_BS = jnp.where(jnp.arange(S) < T, tokens_BS, eos_id).at[:, T].set(first_B)
        return jax.lax.while_loop(
            unfinished, step, (jnp.int32(T + 1), first_B == eos_id, tokens_BS, cache)
        )[2]


def check_prompts(prompts: Sequence[Sequence[int]], max_new_tokens: int, config: Any) -> None:
    """Checks prompts against a model's sizes.

    Raises:
        ValueError: see `Decoder.greedy`; names the prompt by its place, from 0.
    """
    if not prompts:
        raise ValueError("no prompts: give at least one")
    for number, prompt in enumerate(prompts):
        if not len(prompt):
            raise ValueError(f"prompt {number} has no tokens: give it some text")
        low, high = min(prompt), max(prompt)
        if low < 0 or high >= config.V:
            raise ValueError(
                f"prompt {number}: token id {low if low < 0 else high} is outside the model's"
                f" vocabulary of {config.V}; the tokenizer belongs to another model"
            )
        if len(prompt) + max_new_tokens > config.max_length:
            raise ValueError(
                f"prompt {number}: {len(prompt)} tokens and max_new_tokens = {max_new_tokens}"
                f" exceed the model's context of {config.max_length}; shorten the prompt or ask"
                " for fewer tokens"
            )


def _until(tokens: list[int], eos_id: int) -> list[int]:
    """The tokens up to and with the first EOS, if there is one."""
    return tokens[: tokens.index(eos_id) + 1] if eos_id in tokens else tokens
