"""Instructions in Stanford Alpaca's JSON format, from a file: the task `alpaca:PATH`.

The file is a list of objects with the text fields `instruction`, `input` (often empty) and
`output`. The `input` field is the one that a prompt format sets apart from the instruction.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from ift_jax.tasks.task import Template

LICENCE = "the file's own; Stanford's 52k rows are CC BY-NC 4.0"
SOURCE = "a JSON file in the format of tatsu-lab/stanford_alpaca, alpaca_data.json"
FIELDS = ("instruction", "input", "output")
TEMPLATES = (Template("{instruction}", "{output}"),)


def rows(split: str, path: str = "") -> Iterator[dict[str, str]]:
    """The rows of a file.

    An empty `input` is usual; an empty `output` is kept, as Stanford's training does (the model
    answers with the end of text).

    Raises:
        ValueError: no path, another split than 'train', or a file that is not as described; names
            the file, the row (from 0) and the field.
    """
    if split != "train":
        raise ValueError(f"alpaca: no split {split!r}; a file is one split, 'train'")
    if not path:
        raise ValueError("alpaca: which file? Name it after a colon: 'alpaca:PATH.json'")
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}; check the path") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 at byte {error.start}; re-encode the file") from None
    except json.JSONDecodeError as error:
        hint = "; JSON Lines? Make it one list" if error.msg == "Extra data" else ""
        raise ValueError(f"{path}, line {error.lineno}: not JSON: {error.msg}{hint}") from None
    except RecursionError:
        raise ValueError(f"{path}: nested too deeply; expected a list of flat rows") from None
    if not isinstance(found, list):
        raise ValueError(f"{path}: holds a {type(found).__name__}; expected a list of rows")
    if not found:
        raise ValueError(f"{path}: an empty list; expected at least one row")
    return (_row(path, number, row) for number, row in enumerate(found))


def _row(path: str, number: int, row: object) -> dict[str, str]:
    where = f"{path}, row {number}"
    if not isinstance(row, dict):
        raise ValueError(f"{where}: a {type(row).__name__}; expected fields {', '.join(FIELDS)}")
    for field in FIELDS:
        if field not in row:
            hint = '; write "input": "" where there is none' if field == "input" else ""
            raise ValueError(f"{where}: lacks the field {field!r}{hint}")
        if not isinstance(row[field], str):
            kind = type(row[field]).__name__
            raise ValueError(f"{where}: {field!r} is a {kind}, {row[field]!r}; expected text")
    if extra := sorted(set(row) - set(FIELDS)):
        raise ValueError(f"{where}: unknown field {extra[0]!r}; drop it, or write a task for it")
    if not row["instruction"].strip():
        raise ValueError(f"{where}: the instruction is empty; drop the row")
    return {field: row[field] for field in FIELDS}
