"""Byte-pair encodings in Hugging Face's `tokenizer.json`, run by the `tokenizers` library."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import tokenizers

from ift_jax.tokenizers.interface import (
    CONFIG_FILE,
    check_ids,
    parse_json,
    utf8,
    write_config,
    write_whole,
)

FILE = "tokenizer.json"

BYTE_LEVEL = {
    "type": "ByteLevel",
    "add_prefix_space": False,
    "trim_offsets": True,
    "use_regex": True,
}
"""How GPT-2 cuts text into words, and writes their bytes as letters."""


class BPE:
    """A Hugging Face `tokenizer.json`, run by the `tokenizers` library."""

    filename = FILE

    def __init__(
        self,
        data: bytes,
        eos: str,
        bos: str | None = None,
        where: str = FILE,
        config: Mapping[str, Any] = MappingProxyType({}),
    ):
        """Prepares a tokenizer.

        Args:
            data: the file's bytes.
            eos, bos: texts of the tokens that end and begin a document.
            where: the file, as messages shall name it.
            config: its tokenizer_config.json, which `save` writes again.
        """
        self._data, self._eos, self._bos = data, eos, bos
        named = {"eos_token": eos} | ({} if bos is None else {"bos_token": bos})
        self._config = named | dict(config) | {"add_bos_token": bos is not None}
        description = parse_json(data, where)
        # Post-processing adds special tokens and trims spaces off the offsets; truncation and
        # padding belong to whoever builds rows.
        description |= {"post_processor": None, "truncation": None, "padding": None}
        try:
            self._model = tokenizers.Tokenizer.from_str(json.dumps(description))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # The library's Rust panics are no Exceptions.
            raise ValueError(f"{where}: not a tokenizer.json: {error}; fetch it again") from error
        self._model.encode_special_tokens = True  # That is: as text.
        self.vocab_size = max(self._model.get_vocab(with_added_tokens=True).values()) + 1
        self.eos_id = self._special(eos, "eos_token", where)
        self.bos_id = None if bos is None else self._special(bos, "bos_token", where)
        self.fingerprint = hashlib.sha256(data).hexdigest()

    def _special(self, token: str, role: str, where: str) -> int:
        token_id = self._model.token_to_id(token)
        if token_id is None:
            raise ValueError(
                f"{where}: {role} {token!r} is not in the vocabulary; name another in {CONFIG_FILE}"
            )
        if token_id in self.encode(token):
            raise ValueError(
                f"{where}: {role} {token!r} would be recognised in text;"
                ' give it "special": true in added_tokens'
            )
        return token_id

    def __reduce__(self) -> Any:
        return BPE, (self._data, self._eos, self._bos, self.filename, self._config)

    def encode(self, text: str) -> list[int]:
        """See `Tokenizer.encode`."""
        utf8(text)
        return self._model.encode(text, add_special_tokens=False).ids

    def encode_spans(self, text: str) -> tuple[list[int], list[int]]:
        """See `Tokenizer.encode_spans`."""
        utf8(text)
        encoding = self._model.encode(text, add_special_tokens=False)
        ends = [end for _, end in encoding.offsets]
        normalizer = self._model.normalizer
        if normalizer is not None and normalizer.normalize_str(text) != text:
            ends = _after_marks(text, encoding.offsets)
        return encoding.ids, ends

    def decode(self, ids: Sequence[int]) -> str:
        """See `Tokenizer.decode`."""
        check_ids(ids, self.vocab_size, self.filename)
        return self._model.decode([int(i) for i in ids], skip_special_tokens=True)

    def save(self, directory: str | Path) -> None:
        """Writes tokenizer.json, and its special tokens to tokenizer_config.json beside it."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        write_whole(directory / self.filename, self._data)
        write_config(directory, self._config)

    def pieces(self) -> list[str | None]:
        """The text of each id, as the file has it; None where an id has none."""
        return [self._model.id_to_token(i) for i in range(self.vocab_size)]


def _after_marks(text: str, offsets: Sequence[tuple[int, int]]) -> list[int]:
    """The ends of tokens of a text that normalisation changed: each after its letter's marks.

    NFC joins marks to their letter and orders the others anew. The library then gives the joined
    letter the place of the first character alone, and the marks places in the new order.
    """
    kept = {i for begin, end in offsets for i in range(begin, end)}
    ends = []
    for _, end in offsets:
        while end < len(text) and (
            unicodedata.combining(text[end]) or (end not in kept and not text[end].isspace())
        ):
            end += 1
        ends.append(end)
    return ends


def load(path: Path) -> BPE:
    """Reads a tokenizer.json, with the tokenizer_config.json beside it."""
    data = path.read_bytes()
    return BPE(data, where=str(path), **settings_beside(path, parse_json(data, str(path))))


def byte_level_json(
    vocab: Mapping[str, int],
    merges: Iterable[Sequence[str]],
    added: Iterable[Mapping[str, Any]],
    pre_tokenizer: Mapping[str, Any] = BYTE_LEVEL,
    bos: str | None = None,
) -> bytes:
    """The tokenizer.json of a byte-level BPE.

    Args:
        vocab: token → id, bytes written as GPT-2's letters.
        merges: pairs of tokens, the first to be merged first.
        added: tokens matched whole, see `added_token`.
        pre_tokenizer: how text is cut before merges.
        bos: what other readers of the file shall begin a document with.
    """
    description = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": list(added),
        "normalizer": None,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": _first(bos, vocab[bos]) if bos in vocab else None,
        "decoder": BYTE_LEVEL,
        "model": {"type": "BPE", "vocab": vocab, "merges": list(merges)},
    }
    return json.dumps(description, ensure_ascii=False, indent=1).encode("utf-8")


def added_token(token_id: int, content: str, *, special: bool) -> dict[str, Any]:
    """An entry of tokenizer.json's `added_tokens`."""
    as_written = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": token_id, "content": content, **as_written, "special": special}


def _first(token: str, token_id: int) -> dict[str, Any]:
    """The post-processing that puts a special token before each text."""
    special, text, pair = (
        {"SpecialToken": {"id": token, "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
        {"Sequence": {"id": "B", "type_id": 1}},
    )
    return {
        "type": "TemplateProcessing",
        "single": [special, text],
        "pair": [special, text, pair],
        "special_tokens": {token: {"id": token, "ids": [token_id], "tokens": [token]}},
    }


def settings_beside(path: Path, description: Mapping[str, Any]) -> dict[str, Any]:
    """`eos`, `bos` and `config` of a `BPE`, from the tokenizer_config.json in its folder.

    A model may name a `bos_token` that its documents never begin with (GPT-2's do not). It counts
    when `add_bos_token` says so or, where that is not said, when the tokenizer itself adds it.

    Args:
        path: the tokenizer's file.
        description: the content of its tokenizer.json, if it has one.
    """
    beside = path.with_name(CONFIG_FILE)
    fix = f'write {{"eos_token": "…"}} to {beside}, or fetch it with the model'
    if not beside.is_file():
        raise ValueError(f"{path}: nothing says which token ends a document; {fix}")
    config = parse_json(beside.read_bytes(), str(beside))
    eos, bos = (token_text(config.get(key)) for key in ("eos_token", "bos_token"))
    if eos is None:
        raise ValueError(f"{beside}: eos_token is {config.get('eos_token')!r}; {fix}")
    adds_bos = config.get("add_bos_token")
    if adds_bos is None:
        adds_bos = bos is not None and bos in _first_added(description)
    return {"eos": eos, "bos": bos if adds_bos else None, "config": config}


def token_text(value: Any) -> str | None:
    """Text of a token as tokenizer_config.json has it: a string, or an object with `content`."""
    value = value.get("content") if isinstance(value, dict) else value
    return value if isinstance(value, str) else None


def _first_added(description: Mapping[str, Any]) -> list[str]:
    """Special tokens that the post-processing of a tokenizer.json puts first."""
    step = description.get("post_processor") or {}
    first = [
        template["single"][0].get("SpecialToken", {}).get("id")
        for template in step.get("processors", [step])
        if template.get("type") == "TemplateProcessing" and template.get("single")
    ]
    return [token for token in first if token]
