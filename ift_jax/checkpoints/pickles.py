"""Pickled weights are refused, with the command that converts them somewhere else.

Reading a pickle runs whatever code it names, so none is read in this package, not even to look.
"""

from __future__ import annotations

import shlex
from pathlib import Path

PATTERNS = ("pytorch_model*.bin", "*.bin", "*.pth", "*.pt")
"""What pickled weights are called, the customary name first."""

_MAGIC = (b"PK\x03\x04", b"\x80")  # of the archives that torch.save writes, and of bare pickles
_LISTED = 3

# All tensors under their own names, whatever the model: which other names a family's published
# files use, its import table knows. Cloned, as a file may hold one tensor under two names.
_CONVERT = (
    "import sys, torch; from safetensors.torch import save_file; "
    "save_file({name: tensor.contiguous().clone() for file in sys.argv[2:] for name, tensor in"
    ' torch.load(file, map_location="cpu", weights_only=True).items()},'
    ' sys.argv[1], {"format": "pt"})'
)


class PickleError(ValueError):
    """Weights that only a pickle holds."""


def refuse(path: Path) -> None:
    """Raises if `path` is a file of pickled weights, or a folder that holds some.

    Raises:
        PickleError: names the files, and gives the command that makes the folder's
            `model.safetensors` of them in an environment of its own.
    """
    if path.is_file() and not _is_pickle(path):
        return
    folder = path if path.is_dir() else path.parent
    named = (sorted(filter(_is_pickle, folder.glob(pattern))) for pattern in PATTERNS)
    found = next(filter(None, named), [])
    if not found:
        return
    listed = ", ".join(file.name for file in found[:_LISTED])
    if len(found) > _LISTED:
        listed += f" and {len(found) - _LISTED} more"
    why = (
        f"{path}: pickled weights ({listed}); reading a pickle runs whatever code it holds, so it"
        " is not done here."
    )
    if not (folder / "config.json").is_file():
        raise PickleError(
            f"{why} No config.json beside them says what model they are: fetch it in Hugging"
            " Face's layout, with safetensors if there are any"
        )
    words = (_CONVERT, folder / "model.safetensors", *found)
    raise PickleError(
        f"{why} Convert them once, in an environment of its own, and then import {folder}:\n"
        "  uv run --no-project --with numpy --with torch --with safetensors python -c"
        f" {' '.join(shlex.quote(str(word)) for word in words)}"
    )


def _is_pickle(path: Path) -> bool:
    if path.suffix == ".bin" and path.is_file():  # llama2.c's weights are called so too
        with path.open("rb") as file:
            return file.read(4).startswith(_MAGIC)
    return path.suffix in (".pt", ".pth")
