"""Text to token ids and back: sentencepiece and `tokenizer.json` behind one small interface.

`encode` never adds special tokens and never recognises them: '</s>' in a dataset's text is three
characters and a bracket, not the end of a document. Whoever builds rows adds `bos_id` and `eos_id`.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import sentencepiece
import tokenizers
from sentencepiece import sentencepiece_pb2

from ift_jax.checkpoints import gguf_tokenizer
from ift_jax.checkpoints.gguf import GGUF, GGUFError

SENTENCEPIECE_FILE = "tokenizer.model"
BPE_FILE = "tokenizer.json"
BPE_CONFIG_FILE = "tokenizer_config.json"

_NORMAL = 1  # of GGUF's token types, the ordinary one


class Tokenizer(Protocol):
    """What the rest of the package knows of a tokenizer.

    Attributes:
        vocab_size: ids are 0 to vocab_size - 1.
        bos_id: what every document of the model's pretraining began with, or None.
        eos_id: what ends a document.
        fingerprint: SHA-256 of the tokenizer's file, in hex.
        filename: that file's name, 'tokenizer.model' or 'tokenizer.json'.
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
        tokens that share a character between them (its UTF-8 bytes) end after that character.
        """

    def decode(self, ids: Sequence[int]) -> str:
        """Text of `ids`; special tokens are left out."""

    def save(self, directory: str | Path) -> None:
        """Writes the tokenizer's original bytes as `directory/filename`, for `load`."""


def load(path: str | Path) -> SentencePiece | BPE:
    """Loads a tokenizer from its file, or from a folder that holds one.

    A folder with both kinds gives its `tokenizer.model`, which is what Hugging Face's
    `tokenizer.json` of such a model was converted from. A `tokenizer.json` needs the
    `tokenizer_config.json` that Hugging Face puts beside it, for `eos_token` and `bos_token`.

    Raises:
        ValueError: no tokenizer there, or a broken one; names the file and the fix.
    """
    path = Path(path)
    if path.is_dir():
        found = _files_in(path)
        if not found:
            raise ValueError(
                f"{path}: neither {SENTENCEPIECE_FILE} nor {BPE_FILE} in this folder;"
                " put the model's own tokenizer file there"
            )
        path = found[0]
    if not path.is_file():
        raise ValueError(f"{path}: no such file; give a tokenizer's file or its folder")
    if path.suffix == ".json":
        data = path.read_bytes()
        return BPE(data, where=str(path), **_specials_beside(path, data))
    return SentencePiece(path.read_bytes(), where=str(path))


def _files_in(folder: Path) -> list[Path]:
    """The tokenizer files of a folder, the one to take first."""
    return [folder / name for name in (SENTENCEPIECE_FILE, BPE_FILE) if (folder / name).is_file()]


class SentencePiece:
    """A sentencepiece model (`tokenizer.model`)."""

    filename = SENTENCEPIECE_FILE

    def __init__(self, data: bytes, where: str = SENTENCEPIECE_FILE):
        """Args: data: the file's bytes. where: the file, as messages shall name it."""
        try:
            self._model = sentencepiece.SentencePieceProcessor(model_proto=data)
        except (RuntimeError, ValueError, OSError) as error:
            raise ValueError(
                f"{where}: {len(data):,} bytes that are no sentencepiece model; fetch it again"
            ) from error
        self._data = data
        self.vocab_size = self._model.vocab_size()
        bos, eos = self._model.bos_id(), self._model.eos_id()
        if eos < 0:
            raise ValueError(
                f"{where}: the model has no end-of-sentence piece (eos_id is {eos});"
                " train it with an eos_id"
            )
        self.bos_id = None if bos < 0 else bos
        self.eos_id = eos
        self.fingerprint = hashlib.sha256(data).hexdigest()

    def __reduce__(self) -> Any:
        # Data loading starts fresh processes, which get the tokenizer pickled.
        return SentencePiece, (self._data,)

    def encode(self, text: str) -> list[int]:
        """See `Tokenizer.encode`."""
        _utf8(text)
        return self._model.encode(text)

    def encode_spans(self, text: str) -> tuple[list[int], list[int]]:
        """See `Tokenizer.encode_spans`."""
        raw = np.frombuffer(_utf8(text), np.uint8)
        serialized = self._model.encode(text, out_type="serialized_proto")
        pieces = sentencepiece_pb2.SentencePieceText.FromString(serialized).pieces
        # Of a character's byte pieces only the last one has its text; the others end with it.
        ends, end = [], len(raw)
        for piece in reversed(pieces):
            if piece.surface or not self._model.is_byte(piece.id):
                end = piece.end
            ends.append(end)
        # Sentencepiece counts bytes: a character starts wherever no continuation byte is.
        characters = np.concatenate([[0], np.cumsum((raw & 0xC0) != 0x80)])
        return [piece.id for piece in pieces], characters[ends[::-1]].tolist() if ends else []

    def decode(self, ids: Sequence[int]) -> str:
        """See `Tokenizer.decode`."""
        check_ids(ids, self.vocab_size, self.filename)
        return self._model.decode([int(i) for i in ids])

    def save(self, directory: str | Path) -> None:
        """See `Tokenizer.save`."""
        Path(directory).mkdir(parents=True, exist_ok=True)
        _write(Path(directory) / self.filename, self._data)

    def pieces(self) -> list[str | None]:
        """The text of each id, as the file has it."""
        return [self._model.id_to_piece(i) for i in range(self.vocab_size)]


class BPE:
    """A Hugging Face `tokenizer.json`, run by the `tokenizers` library."""

    filename = BPE_FILE

    def __init__(self, data: bytes, eos: str, bos: str | None = None, where: str = BPE_FILE):
        """Args: data: the file's bytes. eos, bos: tokens' text. where: the file, for messages."""
        self._data, self._eos, self._bos = data, eos, bos
        description = _parse_json(data, where)
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
                f"{where}: {role} {token!r} is not in the vocabulary;"
                f" name another in {BPE_CONFIG_FILE}"
            )
        if token_id in self.encode(token):
            raise ValueError(
                f"{where}: {role} {token!r} would be recognised in text;"
                ' give it "special": true in added_tokens'
            )
        return token_id

    def __reduce__(self) -> Any:
        return BPE, (self._data, self._eos, self._bos)

    def encode(self, text: str) -> list[int]:
        """See `Tokenizer.encode`."""
        _utf8(text)
        return self._model.encode(text, add_special_tokens=False).ids

    def encode_spans(self, text: str) -> tuple[list[int], list[int]]:
        """See `Tokenizer.encode_spans`."""
        _utf8(text)
        encoding = self._model.encode(text, add_special_tokens=False)
        return encoding.ids, [end for _, end in encoding.offsets]

    def decode(self, ids: Sequence[int]) -> str:
        """See `Tokenizer.decode`."""
        check_ids(ids, self.vocab_size, self.filename)
        return self._model.decode([int(i) for i in ids], skip_special_tokens=True)

    def save(self, directory: str | Path) -> None:
        """Writes tokenizer.json, and its special tokens to tokenizer_config.json beside it."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        _write(directory / self.filename, self._data)
        config = {"eos_token": self._eos, "add_bos_token": self._bos is not None}
        if self._bos is not None:
            config["bos_token"] = self._bos
        _write(directory / BPE_CONFIG_FILE, (json.dumps(config, indent=2) + "\n").encode())

    def pieces(self) -> list[str | None]:
        """The text of each id, as the file has it; None where an id has none."""
        return [self._model.id_to_token(i) for i in range(self.vocab_size)]


def _write(path: Path, data: bytes) -> None:
    """Writes a file that is there whole or not at all, however the process ends."""
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(data)
    partial.replace(path)


def _specials_beside(path: Path, data: bytes) -> dict[str, str | None]:
    """`eos` and `bos` of a tokenizer.json, from the tokenizer_config.json in its folder.

    A model may name a `bos_token` that its documents never begin with (GPT-2's do not). It counts
    when `add_bos_token` says so or, where that is not said, when the tokenizer itself adds it.
    """
    beside = path.with_name(BPE_CONFIG_FILE)
    fix = f'write {{"eos_token": "…"}} to {beside}, or fetch it with the model'
    if not beside.is_file():
        raise ValueError(f"{path}: nothing says which token ends a document; {fix}")
    config = _parse_json(beside.read_bytes(), str(beside))
    eos, bos = (_token_text(config.get(key)) for key in ("eos_token", "bos_token"))
    if eos is None:
        raise ValueError(f"{beside}: eos_token is {config.get('eos_token')!r}; {fix}")
    adds_bos = config.get("add_bos_token")
    if adds_bos is None:
        adds_bos = bos is not None and bos in _first_added(_parse_json(data, str(path)))
    return {"eos": eos, "bos": bos if adds_bos else None}


def _token_text(value: Any) -> str | None:
    """Text of a token as tokenizer_config.json has it: a string, or an object with `content`."""
    value = value.get("content") if isinstance(value, dict) else value
    return value if isinstance(value, str) else None


def _first_added(description: dict[str, Any]) -> list[str]:
    """Special tokens that the post-processing of a tokenizer.json puts first."""
    step = description.get("post_processor") or {}
    first = [
        template["single"][0].get("SpecialToken", {}).get("id")
        for template in step.get("processors", [step])
        if template.get("type") == "TemplateProcessing" and template.get("single")
    ]
    return [token for token in first if token]


def _parse_json(data: bytes, where: str) -> dict[str, Any]:
    try:
        parsed = json.loads(data)
    except ValueError as error:
        raise ValueError(f"{where}: not JSON: {error}; fetch it again") from error
    if not isinstance(parsed, dict):
        raise ValueError(f"{where}: a JSON {type(parsed).__name__}, expected an object")
    return parsed


def from_gguf(gguf: GGUF) -> SentencePiece | BPE:
    """A model's tokenizer: rebuilt from what its GGUF file says, else the original beside the file.

    Raises:
        GGUFError: a tokenizer that cannot be rebuilt exactly, and no original beside the file or
            one with other tokens; or metadata that disagree.
    """
    try:
        rebuilt = gguf_tokenizer.rebuild(gguf)
    except GGUFError as error:
        folder = gguf.path.parent
        if not _files_in(folder):
            raise GGUFError(
                f"{error}: put {SENTENCEPIECE_FILE}, or {BPE_FILE} with its {BPE_CONFIG_FILE},"
                f" into {folder.absolute()}, where it is read"
            ) from None
        original = load(folder)
        _check_same(original, folder / original.filename, gguf)
        return original
    return BPE(rebuilt.tokenizer_json, eos=rebuilt.eos, bos=rebuilt.bos, where=str(gguf.path))


def _check_same(original: SentencePiece | BPE, where: Path, gguf: GGUF) -> None:
    """A folder may hold another model's tokenizer: its tokens must be those of the GGUF file.

    Only ordinary tokens are compared: converters rename special ones, and fill up with others.
    """
    tokens = gguf.value("tokenizer.ggml.tokens", list)
    types = gguf.value("tokenizer.ggml.token_type", np.ndarray)
    expected = {i: tokens[i] for i in np.flatnonzero(types[: len(tokens)] == _NORMAL).tolist()}
    pieces = dict(enumerate(original.pieces()))
    for i, token in expected.items():
        if pieces.get(i) != token:
            raise GGUFError(
                f"{where}: token {i} is {pieces.get(i)!r}, {gguf.path} has {token!r}; replace it by"
                " the model's own tokenizer file"
            )


def train_sentencepiece(texts: Iterable[str], vocab_size: int, path: str | Path) -> SentencePiece:
    """Trains a sentencepiece model with LLaMA's settings and writes it to `path`.

    BPE, digits split, unknown characters as bytes, no normalisation, a dummy space before the
    text; ids unk 0, bos 1, eos 2, no padding. As LLaMA's trainer saw lines, so does this one: a
    line break is always the byte piece <0x0A>. The same texts give the same bytes.

    Raises:
        ValueError: a vocabulary size that these texts don't allow.
    """
    lines = (line for text in texts for line in text.split("\n") if line)
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=lines,
            model_writer=model,
            model_type="bpe",
            vocab_size=vocab_size,
            character_coverage=0.99995,
            byte_fallback=True,
            split_digits=True,
            allow_whitespace_only_pieces=True,
            normalization_rule_name="identity",
            add_dummy_prefix=True,
            remove_extra_whitespaces=False,
            unk_id=0,
            bos_id=1,
            eos_id=2,
            pad_id=-1,
            # Longer lines would be dropped in silence.
            max_sentence_length=2**30,
            num_threads=1,
            minloglevel=2,
        )
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"no tokenizer of {vocab_size} pieces from these texts: {error}"
        ) from error
    Path(path).write_bytes(model.getvalue())
    return SentencePiece(model.getvalue(), where=str(path))


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


def _utf8(text: str) -> bytes:
    """The text's bytes; refuses half a surrogate pair, which JSON can smuggle into a str."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"character {error.start} of a text is {text[error.start]!r}, half of a surrogate pair;"
            " repair the text's source"
        ) from error
