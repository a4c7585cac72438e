"""Byte-level BPE in the two files that GPT-2 came in, vocab.json and merges.txt: OPT's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ift_jax.tokenizers.bpe import (
    BPE,
    added_token,
    byte_level_json,
    settings_beside,
    token_text,
)
from ift_jax.tokenizers.interface import parse_json

FILE = "vocab.json"
MERGES_FILE = "merges.txt"

_ROLES = ("bos_token", "eos_token", "unk_token", "pad_token")


def load(path: Path) -> BPE:
    """Reads a vocab.json, with the merges.txt and tokenizer_config.json beside it.

    Saved, it is one tokenizer.json, which Hugging Face's readers take in place of the two.

    Raises:
        ValueError: a file is missing or broken; names it, the line, and the fix.
    """
    vocab = parse_json(path.read_bytes(), str(path))
    ids = list(vocab.values())
    if not all(type(i) is int and i >= 0 for i in ids) or len(set(ids)) < len(ids):
        raise ValueError(f"{path}: expected an id of its own for each token; fetch it again")
    settings = settings_beside(path, {})
    named = {token_text(settings["config"].get(role)) for role in _ROLES} & vocab.keys()
    added = [added_token(vocab[token], token, special=True) for token in named]
    return BPE(
        byte_level_json(
            vocab,
            _merges(path.with_name(MERGES_FILE), vocab),
            sorted(added, key=lambda token: token["id"]),
            bos=settings["bos"],
        ),
        where=str(path),
        **settings,
    )


def _merges(path: Path, vocab: Mapping[str, int]) -> list[list[str]]:
    """One merge a line, two tokens apart by a space, after a line that says the version."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file; {FILE} needs it: fetch it with the model")
    try:
        # Not `splitlines`, which also breaks at separators that may be letters of a token.
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8: {error}; fetch it again") from error
    merges = []
    for number, line in enumerate(lines, start=1):
        if not line or (number == 1 and line.startswith("#version")):
            continue
        merge = line.split(" ")
        if len(merge) != 2 or not {*merge, "".join(merge)} <= vocab.keys():
            raise ValueError(
                f"{path}: line {number} is {line!r}, expected two tokens of {FILE} that join into"
                " a third; fetch both files again"
            )
        merges.append(merge)
    return merges
