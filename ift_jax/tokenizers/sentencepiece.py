"""Sentencepiece models: LLaMA's, T5's, and the bundled one."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import sentencepiece
from sentencepiece import sentencepiece_pb2

from ift_jax.tokenizers.interface import (
    CONFIG_FILE,
    check_ids,
    parse_json,
    utf8,
    write_config,
    write_whole,
)

FILE = "tokenizer.model"
T5_FILE = "spiece.model"

_CLASSES = {FILE: "LlamaTokenizer", T5_FILE: "T5Tokenizer"}
_SPACE = "▁"


class SentencePiece:
    """A sentencepiece model: LLaMA's `tokenizer.model`, or T5's `spiece.model`.

    T5's sentinels, `<extra_id_0>` and so on, have the ids after those of the file. No text is
    encoded to them, and like other special tokens they are left out in decoding.
    """

    def __init__(
        self,
        data: bytes,
        where: str = FILE,
        filename: str = FILE,
        config: Mapping[str, Any] = MappingProxyType({}),
    ):
        """Prepares a tokenizer.

        Args:
            data: the file's bytes.
            where: the file, as messages shall name it.
            filename: what `save` calls it.
            config: its tokenizer_config.json, which `save` writes again.

        Raises:
            ValueError: not a sentencepiece model, one without an end-of-sentence piece, or
                `extra_ids` is no count.
        """
        try:
            self._model = sentencepiece.SentencePieceProcessor(model_proto=data)
        except (RuntimeError, ValueError, OSError) as error:
            raise ValueError(
                f"{where}: {len(data):,} bytes, not a sentencepiece model; fetch it again"
            ) from error
        extra_ids = config.get("extra_ids", 0)
        if type(extra_ids) is not int or extra_ids < 0:
            raise ValueError(
                f"{where}: extra_ids of its {CONFIG_FILE} is {extra_ids!r}, expected a count"
            )
        self._data, self.filename = data, filename
        self.vocab_size = self._model.vocab_size() + extra_ids
        bos, eos = self._model.bos_id(), self._model.eos_id()
        if eos < 0:
            raise ValueError(
                f"{where}: the model has no end-of-sentence piece (eos_id is {eos});"
                " train it with an eos_id"
            )
        adds_bos = bos >= 0 and config.get("add_bos_token") is not False
        self.bos_id = bos if adds_bos else None
        self.eos_id = eos
        # Without a class of its name, Hugging Face's reader runs another algorithm.
        named = {"tokenizer_class": _CLASSES[filename], "legacy": False}
        self._config = named | dict(config) | {"add_bos_token": adds_bos}
        self.fingerprint = hashlib.sha256(data).hexdigest()

    def __reduce__(self) -> Any:
        # Data loading starts fresh processes, which get the tokenizer pickled.
        return SentencePiece, (self._data, self.filename, self.filename, self._config)

    def encode(self, text: str) -> list[int]:
        """See `Tokenizer.encode`."""
        utf8(text)
        return self._model.encode(text)

    def encode_spans(self, text: str) -> tuple[list[int], list[int]]:
        """See `Tokenizer.encode_spans`."""
        utf8(text)
        serialized = self._model.encode(text, out_type="serialized_proto")
        pieces = sentencepiece_pb2.SentencePieceText.FromString(serialized).pieces
        # Pieces cut the normalised text, of which each character has the place in `text` where
        # what it was made of starts; that ends where a later character starts further on.
        normalized, starts = self._model.normalize(text, with_offsets=True)
        after = list(starts)
        for i in reversed(range(len(normalized))):
            after[i] = starts[i + 1] if starts[i + 1] > starts[i] else after[i + 1]
        ends, at, missing = [], 0, 0
        for piece in pieces:
            if self._model.is_byte(piece.id):
                missing = (missing or len(normalized[at].encode())) - 1
                ends.append(after[at])
                at += missing == 0
            else:
                at += len(piece.piece)
                ends.append(after[at - 1])
        if pieces and pieces[0].piece == _SPACE:
            ends[0] = starts[0]  # the space that is put before every text
        return [piece.id for piece in pieces], ends

    def decode(self, ids: Sequence[int]) -> str:
        """See `Tokenizer.decode`."""
        check_ids(ids, self.vocab_size, self.filename)
        in_file = self._model.vocab_size()
        return self._model.decode([int(i) for i in ids if i < in_file])

    def save(self, directory: str | Path) -> None:
        """See `Tokenizer.save`."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        write_whole(directory / self.filename, self._data)
        write_config(directory, self._config)

    def pieces(self) -> list[str | None]:
        """The text of each id, as the file has it; None for sentinels."""
        in_file = self._model.vocab_size()
        sentinels = self.vocab_size - in_file
        return [self._model.id_to_piece(i) for i in range(in_file)] + [None] * sentinels


def load(path: Path) -> SentencePiece:
    """Reads a sentencepiece model, with the tokenizer_config.json beside it if there is one."""
    beside = path.with_name(CONFIG_FILE)
    config = parse_json(beside.read_bytes(), str(beside)) if beside.is_file() else {}
    filename = T5_FILE if path.name == T5_FILE else FILE
    return SentencePiece(path.read_bytes(), where=str(path), filename=filename, config=config)


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
    write_whole(Path(path), model.getvalue())
    return SentencePiece(model.getvalue(), where=str(path))
