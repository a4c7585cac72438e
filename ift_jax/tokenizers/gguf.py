"""Rebuilds a model's `tokenizer.json` from the metadata of its GGUF file.

Only where the result is sure to equal the original: byte-level BPE, cut before merges by a rule
known here. Source of the rules' names: `llm_tokenizer_bpe` in llama.cpp's llama-vocab.cpp.
"""

from __future__ import annotations

import numpy as np

from ift_jax.checkpoints.gguf import GGUF, GGUFError
from ift_jax.tokenizers.bpe import BPE, BYTE_LEVEL, added_token, byte_level_json

_DIGITS = {"type": "Digits", "individual_digits": True}

PRE_TOKENIZERS = {
    "gpt-2": BYTE_LEVEL,
    "smollm": {"type": "Sequence", "pretokenizers": [_DIGITS, BYTE_LEVEL]},
}
"""How text is cut before merges, by `tokenizer.ggml.pre`. 'default' is a converter that did not
know: llama.cpp then cuts by a rule of its own, which is no model's."""

CONTROL, USER_DEFINED = 3, 4
"""Values of `tokenizer.ggml.token_type`: special tokens, and others that are matched whole."""


def rebuild(gguf: GGUF) -> BPE:
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
    added = [
        added_token(i, tokens[i], special=int(types[i]) == CONTROL)
        for i in np.flatnonzero(np.isin(types, (CONTROL, USER_DEFINED))).tolist()
    ]
    adds_bos = gguf.metadata.get("tokenizer.ggml.add_bos_token", False)
    bos = _token(gguf, "tokenizer.ggml.bos_token_id", tokens) if adds_bos else None
    return BPE(
        byte_level_json(vocab, _merges(gguf, vocab), added, PRE_TOKENIZERS[pre], bos),
        eos=_token(gguf, "tokenizer.ggml.eos_token_id", tokens),
        bos=bos,
        where=str(gguf.path),
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


def _token(gguf: GGUF, key: str, tokens: list[str]) -> str:
    token_id = gguf.value(key, int)
    if not 0 <= token_id < len(tokens):
        raise GGUFError(
            f"{gguf.path}: {key} is {token_id}, expected 0 to {len(tokens) - 1};"
            " convert the model again"
        )
    return tokens[token_id]
