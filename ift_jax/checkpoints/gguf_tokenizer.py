"""Rebuilds a model's `tokenizer.json` from the metadata of its GGUF file.

Only where the result is sure to equal the original: byte-level BPE, cut before merges by a rule
known here. Source of the rules' names: `llm_tokenizer_bpe` in llama.cpp's llama-vocab.cpp.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np

from ift_jax.checkpoints.gguf import GGUF, GGUFError

_BYTE_LEVEL = {
    "type": "ByteLevel",
    "add_prefix_space": False,
    "trim_offsets": True,
    "use_regex": True,
}
_DIGITS = {"type": "Digits", "individual_digits": True}

PRE_TOKENIZERS = {
    "gpt-2": _BYTE_LEVEL,
    "smollm": {"type": "Sequence", "pretokenizers": [_DIGITS, _BYTE_LEVEL]},
}
"""How text is cut before merges, by `tokenizer.ggml.pre`. 'default' is a converter that did not
know: llama.cpp then cuts by a rule of its own, which is no model's."""

CONTROL, USER_DEFINED = 3, 4
"""Values of `tokenizer.ggml.token_type`: special tokens, and others that are matched whole."""


@dataclasses.dataclass(frozen=True)
class Rebuilt:
    """The bytes of a tokenizer.json, and the text of its special tokens.

    `bos` is None where the model's documents begin without one.
    """

    tokenizer_json: bytes
    eos: str
    bos: str | None


def rebuild(gguf: GGUF) -> Rebuilt:
    """See the module.

    Raises:
        GGUFError: names the key, value seen, value expected, and the way out.
    """
    model = gguf.value("tokenizer.ggml.model", str)
    if model != "gpt2":
        original = "tokenizer.model" if model == "llama" else "tokenizer file"
        raise GGUFError(
            f"{gguf.path}: tokenizer.ggml.model is {model!r}, and only 'gpt2' (byte-level BPE) can"
            f" be rebuilt from a GGUF; use the model's original {original}"
        )
    pre = gguf.metadata.get("tokenizer.ggml.pre")
    if not isinstance(pre, str) or pre not in PRE_TOKENIZERS:
        raise GGUFError(
            f"{gguf.path}: tokenizer.ggml.pre is {pre!r}, expected one of"
            f" {', '.join(PRE_TOKENIZERS)}; use the model's original tokenizer.json"
        )
    tokens = gguf.value("tokenizer.ggml.tokens", list)
    vocab = {token: i for i, token in enumerate(tokens)}
    types = gguf.value("tokenizer.ggml.token_type", np.ndarray)
    if len(vocab) < len(tokens) or len(types) != len(tokens):
        raise GGUFError(
            f"{gguf.path}: {len(tokens)} tokens, {len(vocab)} different ones, {len(types)} token"
            " types: expected three equal numbers; use the model's original tokenizer.json"
        )
    description = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            _added_token(i, tokens[i], special=int(types[i]) == CONTROL)
            for i in np.flatnonzero(np.isin(types, (CONTROL, USER_DEFINED))).tolist()
        ],
        "normalizer": None,
        "pre_tokenizer": PRE_TOKENIZERS[pre],
        "post_processor": None,
        "decoder": _BYTE_LEVEL,
        "model": {"type": "BPE", "vocab": vocab, "merges": _merges(gguf, vocab)},
    }
    adds_bos = gguf.metadata.get("tokenizer.ggml.add_bos_token", False)
    return Rebuilt(
        json.dumps(description, ensure_ascii=False, indent=1).encode("utf-8"),
        eos=_token(gguf, "tokenizer.ggml.eos_token_id", tokens),
        bos=_token(gguf, "tokenizer.ggml.bos_token_id", tokens) if adds_bos else None,
    )


def _merges(gguf: GGUF, vocab: dict[str, int]) -> list[list[str]]:
    merges = [merge.split(" ") for merge in gguf.value("tokenizer.ggml.merges", list)]
    for i, merge in enumerate(merges):
        if len(merge) != 2 or not {*merge, "".join(merge)} <= vocab.keys():
            raise GGUFError(
                f"{gguf.path}: tokenizer.ggml.merges {i} is {' '.join(merge)!r}, expected two"
                " tokens that join into a token; use the model's original tokenizer.json"
            )
    return merges


def _added_token(token_id: int, content: str, *, special: bool) -> dict[str, Any]:
    as_written = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": token_id, "content": content, **as_written, "special": special}


def _token(gguf: GGUF, key: str, tokens: list[str]) -> str:
    token_id = gguf.value(key, int)
    if not 0 <= token_id < len(tokens):
        raise GGUFError(
            f"{gguf.path}: {key} is {token_id}, expected 0 to {len(tokens) - 1};"
            " convert the model again"
        )
    return tokens[token_id]
