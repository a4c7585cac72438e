"""llama2.c's tokenizer.bin is the sentencepiece model that it was written from."""

from __future__ import annotations

import struct

import pytest
import sentencepiece

from ift_jax import tokenizers
from tests.tokenizers.published import TEXTS, llama


def export(model: bytes) -> bytes:
    """As llama2.c's `Tokenizer.export` writes a sentencepiece model."""
    model = sentencepiece.SentencePieceProcessor(model_proto=model)
    pieces = [model.id_to_piece(i) for i in range(model.vocab_size())]
    pieces[1:3] = "\n<s>\n", "\n</s>\n"
    raw = [piece.replace("▁", " ").encode() for piece in pieces]
    entries = [
        struct.pack("<fi", model.get_score(i), len(piece)) + piece for i, piece in enumerate(raw)
    ]
    return struct.pack("<i", max(map(len, raw))) + b"".join(entries)


@pytest.fixture
def original(tmp_path):
    return tokenizers.load(llama(tmp_path / "original"))


@pytest.fixture
def file(original, tmp_path):
    path = tmp_path / "tok.bin"
    path.write_bytes(export(original._data))
    return path


def test_it_is_the_model_it_was_written_from(original, file, tmp_path):
    loaded = tokenizers.load(file)
    assert loaded.pieces() == original.pieces()
    assert (loaded.vocab_size, loaded.bos_id, loaded.eos_id) == (377, 1, 2)
    for text in [*TEXTS.values(), "  two  spaces\n\n", "</s><0x0A>", ""]:
        assert loaded.encode_spans(text) == original.encode_spans(text)
        assert loaded.decode(loaded.encode(text)) == text
    loaded.save(tmp_path / "saved")
    again = tokenizers.load(tmp_path / "saved")
    assert (again.filename, again.fingerprint) == ("tokenizer.model", loaded.fingerprint)


def test_broken_files_are_refused(file):
    whole = file.read_bytes()
    for data, message in [
        (b"", "0 pieces, the longest of 0 bytes"),
        (whole[:17], "1 pieces, the longest of 5 bytes"),
        (whole[:-1], "piece 376 needs 3 bytes and the file has 2 left"),
        (whole + b"\0", "piece 377 needs 0 bytes and the file has 0 left"),
        (whole[:-7] + struct.pack("<i", -1) + whole[-3:], "piece 376 needs -1 bytes and the file"),
        (whole[:-1] + b"\xff", "piece 376 is not UTF-8"),
        (b"\1" + whole[1:], r"377 pieces, the longest of \d+ bytes, aren't those"),
        (whole.replace(b"<0x41>", b"<0x42>"), "piece 68 is '<0x42>', expected '<0x41>'"),
    ]:
        file.write_bytes(data)
        with pytest.raises(ValueError, match=rf"tok\.bin: {message}"):
            tokenizers.load(file)
