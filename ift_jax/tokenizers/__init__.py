"""Text to token ids and back: sentencepiece and `tokenizer.json` behind one small interface.

`encode` never adds special tokens and never recognises them: '</s>' in a dataset's text is three
characters and a bracket, not the end of a document. Whoever builds rows adds `bos_id` and `eos_id`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ift_jax.checkpoints import gguf_tokenizer
from ift_jax.checkpoints.gguf import GGUF, GGUFError
from ift_jax.tokenizers import bpe, sentencepiece
from ift_jax.tokenizers.bpe import BPE
from ift_jax.tokenizers.interface import Tokenizer, check_fits, check_ids
from ift_jax.tokenizers.sentencepiece import SentencePiece, train_sentencepiece

__all__ = [
    "BPE",
    "SentencePiece",
    "Tokenizer",
    "check_fits",
    "check_ids",
    "from_gguf",
    "load",
    "train_sentencepiece",
]

_NORMAL = 1  # of GGUF's token types, the ordinary one


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
                f"{path}: neither {sentencepiece.FILE} nor {bpe.FILE} in this folder;"
                " put the model's own tokenizer file there"
            )
        path = found[0]
    if not path.is_file():
        raise ValueError(f"{path}: no such file; give a tokenizer's file or its folder")
    if path.suffix == ".json":
        data = path.read_bytes()
        return BPE(data, where=str(path), **bpe.specials_beside(path, data))
    return SentencePiece(path.read_bytes(), where=str(path))


def _files_in(folder: Path) -> list[Path]:
    """The tokenizer files of a folder, the one to take first."""
    return [folder / name for name in (sentencepiece.FILE, bpe.FILE) if (folder / name).is_file()]


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
                f"{error}: put {sentencepiece.FILE}, or {bpe.FILE} with its {bpe.CONFIG_FILE},"
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
