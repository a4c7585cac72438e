"""Text to token ids and back: sentencepiece and `tokenizer.json` behind one small interface.

`encode` never adds special tokens and never recognises them: '</s>' in a dataset's text is three
characters and a bracket, not the end of a document. Whoever builds rows adds `bos_id` and `eos_id`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ift_jax.checkpoints.gguf import GGUF, GGUFError
from ift_jax.tokenizers import bpe, gguf, gpt2, llama2c, sentencepiece
from ift_jax.tokenizers.bpe import BPE
from ift_jax.tokenizers.interface import CONFIG_FILE, Tokenizer, check_fits, check_ids
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

_FILES = (sentencepiece.FILE, sentencepiece.T5_FILE, bpe.FILE, gpt2.FILE)
"""What a folder's tokenizer may be called, the one to take first."""


def load(path: str | Path) -> SentencePiece | BPE:
    """Loads a tokenizer from its file, or from a folder that holds one.

    A folder with a sentencepiece model and a `tokenizer.json` gives the former, from which Hugging
    Face's was converted. A `tokenizer.json`, and GPT-2's `vocab.json` with its `merges.txt`, need
    the `tokenizer_config.json` that Hugging Face puts beside them, for `eos_token` and `bos_token`.
    A `.bin` file is llama2.c's.

    Raises:
        ValueError: no tokenizer there, or a broken one; names the file and the fix.
    """
    path = Path(path)
    if path.is_dir():
        found = _file_in(path)
        if found is None:
            raise ValueError(
                f"{path}: none of {', '.join(_FILES)} in this folder; put the model's own"
                " tokenizer file there"
            )
        path = found
    if not path.is_file():
        raise ValueError(f"{path}: no such file; give a tokenizer's file or its folder")
    if path.name == gpt2.FILE:
        return gpt2.load(path)
    by_suffix = {".json": bpe.load, ".bin": llama2c.load}
    return by_suffix.get(path.suffix, sentencepiece.load)(path)


def _file_in(folder: Path) -> Path | None:
    """The tokenizer file of a folder."""
    return next((folder / name for name in _FILES if (folder / name).is_file()), None)


def from_gguf(file: GGUF) -> SentencePiece | BPE:
    """A model's tokenizer: rebuilt from what its GGUF file says, else the original beside the file.

    Raises:
        GGUFError: a tokenizer that cannot be rebuilt exactly, and no original beside the file or
            one with other tokens; or metadata that disagree.
    """
    try:
        return gguf.rebuild(file)
    except GGUFError as error:
        folder = file.path.parent
        if _file_in(folder) is None:
            raise GGUFError(
                f"{error}: put {sentencepiece.FILE}, or {bpe.FILE} with its {CONFIG_FILE},"
                f" into {folder.absolute()}, where it is read"
            ) from None
        original = load(folder)
        _check_same(original, folder / original.filename, file)
        return original


def _check_same(original: SentencePiece | BPE, where: Path, file: GGUF) -> None:
    """A folder may hold another model's tokenizer: its tokens must be those of the GGUF file.

    Only ordinary tokens are compared: converters rename special ones, and fill up with others.
    """
    tokens = file.value("tokenizer.ggml.tokens", list)
    types = file.value("tokenizer.ggml.token_type", np.ndarray)
    expected = {i: tokens[i] for i in np.flatnonzero(types[: len(tokens)] == _NORMAL).tolist()}
    pieces = dict(enumerate(original.pieces()))
    for i, token in expected.items():
        if pieces.get(i) != token:
            raise GGUFError(
                f"{where}: token {i} is {pieces.get(i)!r}, {file.path} has {token!r}; replace it by"
                " the model's own tokenizer file"
            )
