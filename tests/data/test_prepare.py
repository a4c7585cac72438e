"""Prepared datasets: TFDS's ArrayRecord, in order, checked against the manifest."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest
import tensorflow_datasets as tfds

from ift_jax.data import cache, prepare

ROWS = [{"question": f"What is {n}²?\n", "answer": str(n * n) * (n % 3)} for n in range(50)]


def prepared(directory, rows=ROWS, name="squares@train:/a/file.json"):
    return prepare.prepare(name, rows, directory, licence="CC0", source="made for this test")


def test_rows_come_back_in_order_with_their_text(tmp_path):
    folder = prepared(tmp_path)
    assert list(prepare.read_rows(folder)) == ROWS
    manifest = cache.read(folder)
    assert (manifest["rows"], manifest["licence"]) == (50, "CC0")
    assert manifest["source"] == "made for this test"
    assert prepare.data_source(folder)[7] == {"question": "What is 7²?\n".encode(), "answer": b"49"}


def test_leaves_nothing_among_temporary_files(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    prepare.read_rows(prepared(tmp_path / "data"))
    assert Path(tempfile.gettempdir()) == tmp_path / "tmp"
    assert list((tmp_path / "tmp").iterdir()) == []


def test_is_a_dataset_that_tfds_opens(tmp_path):
    folder = prepared(tmp_path)
    info = tfds.builder_from_directory(folder / cache.read(folder)["dataset"]).info
    assert info.splits["rows"].num_examples == 50
    assert info.file_format.value == "array_record"


def test_written_once(tmp_path):
    written = (prepared(tmp_path) / cache.MANIFEST).stat().st_mtime_ns
    assert (prepared(tmp_path) / cache.MANIFEST).stat().st_mtime_ns == written


def test_other_rows_or_another_order_is_another_folder(tmp_path):
    changed = [{**ROWS[0], "answer": "1"}, *ROWS[1:]]
    folders = {prepared(tmp_path, rows) for rows in (ROWS, changed, ROWS[::-1], ROWS[:-1])}
    assert len(folders) == 4


def test_cut_file_is_refused(tmp_path):
    folder = prepared(tmp_path)
    (file,) = folder.rglob("*.array_record*")
    size = file.stat().st_size
    os.truncate(file, size // 2)
    with pytest.raises(ValueError, match=rf"{size // 2} bytes.* {size} bytes; delete the folder"):
        prepare.read_rows(folder)


def test_flipped_byte_is_refused(tmp_path):
    folder = prepared(tmp_path)
    (file,) = folder.rglob("*.array_record*")
    raw = bytearray(file.read_bytes())
    filled = [place for place, byte in enumerate(raw) if byte]  # the rest is padding
    raw[filled[len(filled) // 2]] ^= 0x10
    file.write_bytes(raw)
    with pytest.raises(ValueError, match="delete the folder"):
        prepare.read_rows(folder)


def test_changed_row_count_is_refused(tmp_path):
    folder = prepared(tmp_path)
    manifest = json.loads((folder / cache.MANIFEST).read_text())
    (folder / cache.MANIFEST).write_text(json.dumps({**manifest, "rows": 49}))
    with pytest.raises(ValueError, match=r"50 rows, the manifest says 49; delete the folder"):
        prepare.data_source(folder)


def test_bad_rows(tmp_path):
    with pytest.raises(ValueError, match=r"row 1: has the fields \['a', 'b'\], row 0 has \['a'\]"):
        prepared(tmp_path, [{"a": "x"}, {"a": "x", "b": "y"}])
    with pytest.raises(ValueError, match="has no rows"):
        prepared(tmp_path, [])
