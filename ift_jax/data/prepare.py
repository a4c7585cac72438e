"""Task rows, written once as a TFDS dataset (ArrayRecord) and read back without TensorFlow."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import tensorflow_datasets as tfds

from ift_jax.data import cache

SPLIT = "rows"


def content_hash(rows: Sequence[Mapping[str, str]]) -> str:
    """A sha256 in hex of rows, their order included."""
    hasher = hashlib.sha256()
    for row in rows:
        hasher.update(json.dumps(row, sort_keys=True).encode())
        hasher.update(b"\n")
    return hasher.hexdigest()


def prepare(
    name: str, rows: Sequence[Mapping[str, str]], directory: Path, licence: str, source: str
) -> Path:
    """Writes rows as a TFDS dataset, unless it is there.

    Args:
        name: the task's, part of the folder's name and of the dataset's.
        rows: text fields, the same ones in every row.
        directory: of all prepared datasets.
        licence: of the rows.
        source: where the rows come from.

    Returns:
        The dataset's folder, for `read_rows`; its name ends in the rows' hash.

    Raises:
        ValueError: rows whose fields differ, or a prepared folder that was damaged.
    """
    fields = _fields(name, rows)
    sha256 = content_hash(rows)
    folder = directory / cache.folder_name(name.partition(":")[0], sha256)

    def make(partial: Path) -> dict:
        with _quiet():
            builder = _builder_class(name)(rows, fields, licence, source, data_dir=str(partial))
            builder.download_and_prepare(file_format="array_record")
        return {
            "task": name,
            "rows": len(rows),
            "sha256": sha256,
            "licence": licence,
            "source": source,
            "dataset": str(Path(builder.data_dir).relative_to(partial)),
        }

    cache.cached(folder, make)
    return folder


def data_source(folder: Path) -> Sequence[dict[str, bytes]]:
    """A prepared dataset as TFDS's random-access source of rows, text as bytes, in their order.

    Raises:
        ValueError: the dataset's files or its number of rows disagree with its manifest.
    """
    manifest = cache.read(folder)
    with _quiet():
        source = tfds.builder_from_directory(folder / manifest["dataset"]).as_data_source(SPLIT)
    if len(source) != manifest["rows"]:
        raise ValueError(
            f"{folder}: {len(source)} rows, the manifest says {manifest['rows']};"
            f" {cache.fix(folder)}"
        )
    return source


def read_rows(folder: Path) -> tuple[dict[str, str], ...]:
    """All rows of a prepared dataset.

    Raises:
        ValueError: as `data_source`, or rows that are not those written.
    """
    source = data_source(folder)
    try:
        found = source.__getitems__(range(len(source)))
    except (RuntimeError, ValueError, IndexError) as error:
        raise ValueError(f"{folder}: cannot be read: {error}; {cache.fix(folder)}") from None
    rows = tuple({field: text.decode() for field, text in row.items()} for row in found)
    seen, expected = content_hash(rows), cache.read(folder)["sha256"]
    if seen != expected:
        raise ValueError(
            f"{folder}: the rows' sha256 is {seen}, the manifest says {expected};"
            f" {cache.fix(folder)}"
        )
    return rows


def _fields(name: str, rows: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    if not rows:
        raise ValueError(f"task {name!r} has no rows")
    for number, row in enumerate(rows):
        if row.keys() != rows[0].keys():
            raise ValueError(
                f"task {name!r}, row {number}: has the fields {sorted(row)}, row 0 has"
                f" {sorted(rows[0])}; give every row the same, with '' where there is no text"
            )
    return tuple(rows[0])


class _Info(tfds.core.DatasetInfo):
    def initialize_from_bucket(self) -> None:
        """Nothing of ours lies there; TFDS would look, and leave a temporary folder each time."""


class _Rows(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, rows, fields, licence, source, **kwargs):
        self._rows, self._fields, self._licence, self._source = rows, fields, licence, source
        super().__init__(**kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        return _Info(
            builder=self,
            features=tfds.features.FeaturesDict(
                {field: tfds.features.Text() for field in self._fields}
            ),
            homepage=self._source,
            license=self._licence,
            disable_shuffling=True,  # a draw names its row by number
        )

    def _split_generators(self, dl_manager):
        del dl_manager
        return {SPLIT: self._generate_examples()}

    # TFDS asks for exactly this name.
    def _generate_examples(self) -> Iterator[tuple[int, dict[str, str]]]:
        yield from enumerate(map(dict, self._rows))


def _builder_class(name: str) -> type[_Rows]:
    """TFDS names a dataset by its builder's class."""
    plain = "".join(c if c.isalnum() else "_" for c in name.partition(":")[0].lower())
    return type(_Rows)(plain, (_Rows,), {"name": plain}, skip_registration=True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps TFDS from logging, printing and drawing progress bars for every task."""
    logger = logging.getLogger("absl")
    level = logger.level
    tfds.disable_progress_bar()
    logger.setLevel(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
