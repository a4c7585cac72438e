"""llama2.c's tokenizer.bin: a sentencepiece model's pieces and scores, made a model again.

Everything else that the model said is known: llama2.c trains its own with LLaMA's settings (BPE,
unknown characters as bytes, a space before the text, no normalisation).

Layout: `Tokenizer.export` in https://github.com/karpathy/llama2.c/blob/master/tokenizer.py: the
length of the longest piece, then of each piece its score, length and bytes, ▁ written as a space.
"""

from __future__ import annotations

import struct
from pathlib import Path

from sentencepiece import sentencepiece_model_pb2

from ift_jax.tokenizers.sentencepiece import SentencePiece

_FIRST = struct.Struct("<i")
_ENTRY = struct.Struct("<fi")
_SPECIAL = ["<unk>", "\n<s>\n", "\n</s>\n", *(f"<0x{byte:02X}>" for byte in range(256))]


def load(path: Path) -> SentencePiece:
    """Reads a tokenizer.bin. Saved, it is a tokenizer.model, which other readers know too.

    Raises:
        ValueError: broken, or not of LLaMA's kind; names the file, the piece, and the fix.
    """
    model = sentencepiece_model_pb2.ModelProto()
    model.trainer_spec.model_type = sentencepiece_model_pb2.TrainerSpec.BPE
    model.trainer_spec.byte_fallback = True
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.remove_extra_whitespaces = False
    of = model.SentencePiece
    kinds = [of.UNKNOWN, of.CONTROL, of.CONTROL, *[of.BYTE] * 256]
    pieces = _pieces(path)
    for i, (expected, kind) in enumerate(zip(_SPECIAL, kinds, strict=True)):
        text, score = pieces[i]
        if text != expected:
            raise ValueError(
                f"{path}: piece {i} is {text!r}, expected {expected!r}; export it again with the"
                " newest llama2.c, from a model of LLaMA's kind"
            )
        model.pieces.add(piece=text.strip(), score=score, type=kind)
    for text, score in pieces[len(_SPECIAL) :]:
        model.pieces.add(piece=text.replace(" ", "▁"), score=score)
    return SentencePiece(model.SerializeToString(deterministic=True), where=str(path))


def _pieces(path: Path) -> list[tuple[str, float]]:
    """Text and score of each piece, every length compared with what the file has left."""
    data = path.read_bytes()
    pieces, at, longest = [], _FIRST.size, 0
    while at < len(data):
        left = len(data) - at - _ENTRY.size
        score, length = _ENTRY.unpack_from(data, at) if left >= 0 else (0.0, 0)
        if not 0 <= length <= left:
            raise ValueError(
                f"{path}: piece {len(pieces)} needs {length:,} bytes and the file has"
                f" {max(left, 0):,} left; fetch it again"
            )
        at += _ENTRY.size
        try:
            pieces.append((data[at : at + length].decode("utf-8"), score))
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{path}: piece {len(pieces)} is not UTF-8: {error}; fetch it again"
            ) from error
        at += length
        longest = max(longest, length)
    if len(pieces) < len(_SPECIAL) or _FIRST.unpack_from(data) != (longest,):
        raise ValueError(
            f"{path}: {len(pieces)} pieces, the longest of {longest} bytes, aren't those that it"
            " began with; fetch it again"
        )
    return pieces
