from __future__ import annotations

import json
import os
import struct

import ml_dtypes
import numpy as np
import pytest

from ift_jax.checkpoints import safetensors
from ift_jax.checkpoints.safetensors import Arrays, File, SafetensorsError, open_model, write_model

BF16 = ml_dtypes.bfloat16


def raw(header, data=b"", length=None) -> bytes:
    """A file put together by hand from the format's description."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(begin, end, shape, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def some_arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "odd": rng.normal(size=(3, 1, 5)).astype(BF16),
        "f32": rng.normal(size=(2, 3)).astype(np.float32),
        "f16": rng.normal(size=(7,)).astype(np.float16),
        "i64": np.array([-(2**62), 5]),
        "i32": np.array([[7]], np.int32),
        "u8": np.arange(3, dtype=np.uint8),
        "bool": np.array([True, False, True]),
        "scalar": np.array(2.5, np.float32),
        "empty": np.zeros((0, 4), np.float32),
    }


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def test_reads_a_file_made_by_hand(tmp_path):
    path = tmp_path / "x.safetensors"
    header = {
        "__metadata__": {"format": "pt"},
        "b": entry(8, 12, [2], "BF16"),
        "a": entry(0, 8, [1, 2]),
    }
    # 1.0 and -2.0 in float32; 1.0 and -2.0 in bfloat16, the upper halves of the same.
    data = bytes.fromhex("0000803f 000000c0 803f 00c0")
    path.write_bytes(raw(header, data))
    file = File(path)
    assert file.metadata == {"format": "pt"}
    assert file.tensors["a"] == ((1, 2), np.float32)
    assert file.tensors["b"].kind == "BF16"
    np.testing.assert_array_equal(file.read("a"), [[1.0, -2.0]])
    np.testing.assert_array_equal(file.read("b").astype(np.float32), [1.0, -2.0])
    assert not file.read("a").flags.writeable


def test_round_trip_keeps_every_byte(tmp_path):
    arrays = some_arrays()
    safetensors.write(tmp_path / "x.safetensors", Arrays(arrays), {"who": "ü"})
    file = File(tmp_path / "x.safetensors")
    assert file.metadata == {"who": "ü"}
    assert file.tensors.keys() == arrays.keys()
    assert all(same(file.read(name), array) for name, array in arrays.items())
    safetensors.write(tmp_path / "y.safetensors", file, file.metadata)
    assert (tmp_path / "x.safetensors").read_bytes() == (tmp_path / "y.safetensors").read_bytes()


def test_written_layout(tmp_path):
    arrays = {"b": np.zeros(3, np.uint8), "a": np.ones(1, np.float32)}
    safetensors.write(tmp_path / "x", Arrays(arrays))
    written = (tmp_path / "x").read_bytes()
    (length,) = struct.unpack("<Q", written[:8])
    assert length % 8 == 0
    # The larger items come first, so that each is aligned.
    assert json.loads(written[8 : 8 + length]) == {
        "a": entry(0, 4, [1]),
        "b": entry(4, 7, [3], "U8"),
    }
    assert written[8 + length :] == bytes.fromhex("0000803f 000000")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_transposed_views_are_written_in_row_order(tmp_path):
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    safetensors.write(tmp_path / "x", Arrays({"a": array}))
    np.testing.assert_array_equal(File(tmp_path / "x").read("a"), [[0, 3], [1, 4], [2, 5]])


def test_will_not_write_another_dtype(tmp_path):
    with pytest.raises(SafetensorsError, match="complex64"):
        safetensors.write(tmp_path / "x", Arrays({"a": np.zeros(2, np.complex64)}))


A = entry(0, 8, [2])
BROKEN = {
    "empty file": (b"", "0 bytes"),
    "short length": (b"\x01\x00\x00", "3 bytes"),
    "length lies": (raw({"a": A}, bytes(8), length=10**15), "1000000000000000 bytes"),
    "length past the end": (raw({}, length=3), "has 3 bytes, but the file has 2"),
    "not JSON": (raw(b"{'a': 1}"), "not valid JSON"),
    "not UTF-8": (raw(b'{"\xff": 1}'), "not valid JSON"),
    "deep JSON": (raw(b"[" * 100_000), "not valid JSON"),
    "long number": (raw(b'{"a": ' + b"9" * 5000 + b"}"), "not valid JSON"),
    "a list": (raw([1]), "expected an object"),
    "tensor twice": (
        raw(b'{"a":' + json.dumps(A).encode() + b',"a":' + json.dumps(A).encode() + b"}", bytes(8)),
        "'a' appears twice",
    ),
    "truncated": (raw({"a": A}, bytes(7)), "take 8 bytes, the file holds 7: truncated"),
    "trailing bytes": (raw({"a": A}, bytes(9)), "that no tensor owns"),
    "overlap": (raw({"a": A, "b": entry(4, 12, [2])}, bytes(12)), "'b' begins .* overlaps"),
    "gap": (raw({"a": A, "b": entry(9, 17, [2])}, bytes(17)), "'b' begins .* leaves a gap"),
    "past the end": (raw({"a": entry(0, 800, [200])}, bytes(8)), "take 800 bytes"),
    "backwards": (raw({"a": entry(8, 0, [2])}, bytes(8)), r"data_offsets \[8, 0\]"),
    "wrong size": (raw({"a": entry(0, 8, [3])}, bytes(8)), "takes 12 bytes"),
    "negative size": (raw({"a": entry(0, 8, [-1, -2])}, bytes(8)), r"shape \[-1, -2\]"),
    "fractional size": (raw({"a": entry(0, 8, [2.0])}, bytes(8)), r"shape \[2.0\]"),
    "true size": (raw({"a": entry(0, 4, [True])}, bytes(4)), r"shape \[True\]"),
    "too many axes": (raw({"a": entry(0, 8, [2] + [1] * 99)}, bytes(8)), "up to 32 sizes"),
    "unknown dtype": (raw({"a": entry(0, 8, [2], "F8_E4M3")}, bytes(8)), "'F8_E4M3', can read"),
    "unhashable dtype": (raw({"a": entry(0, 8, [2], ["F32"])}, bytes(8)), "can read"),
    "missing key": (raw({"a": {"dtype": "F32", "shape": [2]}}, bytes(8)), "expected the keys"),
    "entry not an object": (raw({"a": 3}), "expected the keys"),
    "metadata not text": (raw({"__metadata__": {"a": 1}}), "text to text"),
}  # fmt: skip


@pytest.mark.parametrize("content, message", BROKEN.values(), ids=BROKEN)
def test_broken_file_is_refused(tmp_path, content, message):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(SafetensorsError, match=message) as caught:
        File(path)
    assert str(path) in str(caught.value)


def test_damage_is_refused_or_still_within_the_file(tmp_path):
    path = tmp_path / "x"
    safetensors.write(path, Arrays({"a": np.ones((2, 3), np.float32), "b": np.ones(2, BF16)}))
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(500):
        content = bytearray(whole)
        content[rng.integers(len(content))] = rng.integers(256)
        path.write_bytes(content[: rng.integers(len(content))] if rng.random() < 0.3 else content)
        try:
            file = File(path)
        except SafetensorsError:
            refused += 1
            continue
        for name, header in file.tensors.items():
            assert file.read(name).nbytes == header.nbytes
    assert 200 < refused < 500


def test_shards_have_hugging_face_names_and_read_back(tmp_path):
    arrays = {f"layer.{i}": np.full((10,), i, np.float32) for i in range(5)}
    files = write_model(tmp_path, Arrays(arrays), max_shard_bytes=80)
    assert [file.name for file in files] == [
        "model-00001-of-00003.safetensors",
        "model-00002-of-00003.safetensors",
        "model-00003-of-00003.safetensors",
        "model.safetensors.index.json",
    ]
    index = json.loads(files[-1].read_text())
    assert index["metadata"] == {"total_size": 200}
    assert index["weight_map"]["layer.4"] == "model-00003-of-00003.safetensors"
    model = open_model(tmp_path)
    assert list(model.tensors) == list(arrays)
    assert all(same(model.read(name), array) for name, array in arrays.items())
    assert File(files[0]).metadata == {"format": "pt"}


def test_one_shard_is_a_single_file_without_an_index(tmp_path):
    (file,) = write_model(tmp_path, Arrays(some_arrays()))
    assert file.name == "model.safetensors"
    assert isinstance(open_model(tmp_path), File)


def test_will_not_mix_with_files_that_are_there(tmp_path):
    write_model(tmp_path, Arrays({"a": np.ones(2, np.float32)}))
    with pytest.raises(SafetensorsError, match="exists already"):
        write_model(tmp_path, Arrays({"a": np.ones(2, np.float32)}))


def test_the_remains_of_a_killed_export_are_told_from_a_model(tmp_path):
    class Killed(Arrays):
        def read(self, name):
            if name == "b":
                raise KeyboardInterrupt
            return super().read(name)

    arrays = {name: np.ones(2, np.float32) for name in "ab"}
    for shard_bytes, remains in ((8, "model-00002-of-00002"), (1000, "model")):
        directory = tmp_path / remains
        with pytest.raises(KeyboardInterrupt):
            write_model(directory, Killed(arrays), max_shard_bytes=shard_bytes)
        with pytest.raises(SafetensorsError) as refused:
            write_model(directory, Arrays(arrays))
        assert str(refused.value).startswith(f"{directory}/{remains}.safetensors.partial: left by")
        assert f"{directory}/*.safetensors* and run again" in str(refused.value)
        for file in directory.glob("*.safetensors*"):
            file.unlink()
        write_model(directory, Arrays(arrays))


def test_shards_without_their_index_are_remains_too(sharded):
    (sharded / safetensors.INDEX).unlink()
    with pytest.raises(SafetensorsError, match="left by an export that was killed; .* 3 files"):
        write_model(sharded, Arrays({"a": np.ones(2, np.float32)}))


def test_on_disk_before_it_has_its_name(tmp_path, monkeypatch):
    done = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)

        def noted(*args, name=name, real=real):
            done.append(name)
            return real(*args)

        monkeypatch.setattr(os, name, noted)
    safetensors.write(tmp_path / "a.safetensors", Arrays({"a": np.ones(2, np.float32)}))
    assert done == ["fsync", "replace"]


@pytest.fixture
def sharded(tmp_path):
    arrays = {name: np.ones(2, np.float32) for name in "abc"}
    write_model(tmp_path, Arrays(arrays), max_shard_bytes=8)
    return tmp_path


def edit_index(directory, change):
    path = directory / safetensors.INDEX
    index = json.loads(path.read_text())
    change(index["weight_map"])
    path.write_text(json.dumps(index))


def test_missing_shard(sharded):
    (sharded / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(SafetensorsError, match=r"'model-00002-of-00003.safetensors', with 1 tens"):
        open_model(sharded)


def test_tensor_in_the_wrong_shard(sharded):
    edit_index(sharded, lambda where: where.update(a=where["b"]))
    with pytest.raises(SafetensorsError, match="tensor 'a'"):
        open_model(sharded)


def test_tensor_in_no_shard(sharded):
    edit_index(sharded, lambda where: where.update(d=where["b"]))
    with pytest.raises(SafetensorsError, match="places tensor 'd' .* does not hold it"):
        open_model(sharded)


def test_tensor_in_two_shards(sharded):
    path = sharded / "model-00002-of-00003.safetensors"
    safetensors.write(path, Arrays({name: np.ones(2, np.float32) for name in "ab"}))
    with pytest.raises(SafetensorsError, match="holds tensor 'a', which .* in one shard only"):
        open_model(sharded)


@pytest.mark.parametrize("shard", ["../x.safetensors", "/etc/passwd", "a\\b", "..", 3, ""])
def test_index_cannot_lead_out_of_the_folder(sharded, shard):
    edit_index(sharded, lambda where: where.update(a=shard))
    with pytest.raises(SafetensorsError, match="not a file beside it"):
        open_model(sharded)


def test_index_without_a_map(tmp_path):
    (tmp_path / safetensors.INDEX).write_text('{"metadata": {}}')
    with pytest.raises(SafetensorsError, match="no weight_map"):
        open_model(tmp_path)


def test_folder_without_weights(tmp_path):
    with pytest.raises(SafetensorsError, match="has neither"):
        open_model(tmp_path)
