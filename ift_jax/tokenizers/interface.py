"""What the rest of the package knows of a tokenizer, and what all tokenizers need."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

CONFIG_FILE = "tokenizer_config.json"
"""What Hugging Face puts beside a tokenizer's own file."""


class Tokenizer(Protocol):
    """What the rest of the package knows of a tokenizer.

    Attributes:
        vocab_size: ids are 0 to vocab_size - 1.
        bos_id: what every document of the model's pretraining began with, or None.
        eos_id: what ends a document.
        fingerprint: SHA-256 of the tokenizer's file, in hex.
        filename: that file's name as `save` writes it, such as 'tokenizer.model'.
    """

    vocab_size: int
    bos_id: int | None
    eos_id: int
    fingerprint: str
    filename: str

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`, without special tokens."""

    def encode_spans(self, text: str) -> tuple[list[int], list[int]]:
        """Token ids, and where in `text` the text of each token ends.

        An end is exclusive and counts characters, as in `text[:end]`. Ends never decrease. All
        tokens that share a character between them (its UTF-8 bytes, or the letters that a
        normaliser makes of it) end after that character.
        """

    def decode(self, ids: Sequence[int]) -> str:
        """Text of `ids`; special tokens are left out."""

    def save(self, directory: str | Path) -> None:
        """Writes the tokenizer's file as `directory/filename`, and what `load` needs beside it."""


def check_ids(ids: Any, vocab_size: int, where: str) -> None:
    """Checks on the host that token ids are within the vocabulary; on the device none would fail.

    Args:
        ids: integers of any shape.
        vocab_size: ids must be 0 to vocab_size - 1.
        where: what the ids are, for the message: a file and row, a batch.

    Raises:
        ValueError: names the place, the first offending position, the id and the range.
    """
    ids = np.asarray(ids)
    if ids.size == 0:
        return
    if not np.issubdtype(ids.dtype, np.integer):
        raise ValueError(f"{where}: token ids are {ids.dtype}, expected integers")
    outside = (ids < 0) | (ids >= vocab_size)
    if outside.any():
        position = tuple(int(i) for i in np.argwhere(outside)[0])
        raise ValueError(
            f"{where}: token id {ids[position]} at position {', '.join(map(str, position))} is"
            f" outside 0 to {vocab_size - 1}; was it made by another model's tokenizer?"
        )


def check_fits(tokenizer: Tokenizer, V: int) -> None:
    """Checks that every id of `tokenizer` has a row in an embedding of `V` rows.

    Raises:
        ValueError: names both sizes and the fix.
    """
    if tokenizer.vocab_size > V:
        raise ValueError(
            f"{tokenizer.filename} has {tokenizer.vocab_size:,} tokens and the embedding only"
            f" V={V:,} rows; use the tokenizer that the model was trained with"
        )


def utf8(text: str) -> bytes:
    """The text's bytes; refuses half a surrogate pair, which JSON can smuggle into a str."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"character {error.start} of a text is {text[error.start]!r}, half of a surrogate pair;"
            " repair the text's source"
        ) from error


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file that is there whole or not at all, however the process ends."""
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(data)
    partial.replace(path)


def write_config(directory: Path, config: Mapping[str, Any]) -> None:
    """Writes a folder's tokenizer_config.json."""
    text = json.dumps(config, ensure_ascii=False, indent=2)
    write_whole(directory / CONFIG_FILE, f"{text}\n".encode())


def parse_json(data: bytes, where: str) -> dict[str, Any]:
    """The JSON object in `data`; a `ValueError` names the file, `where`, if there is none."""
    try:
        parsed = json.loads(data)
    except ValueError as error:
        raise ValueError(f"{where}: not JSON: {error}; fetch it again") from error
    if not isinstance(parsed, dict):
        raise ValueError(f"{where}: a JSON {type(parsed).__name__}, expected an object")
    return parsed
