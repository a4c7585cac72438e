"""Safetensors files, read within bounds and written as Hugging Face lays them out.

A file is an 8-byte little-endian length, that many bytes of JSON (name → dtype, shape and byte
range), and the tensors' bytes without gaps. Files come from strangers, so every number in the
header is checked before it is used, and nothing in one can run code.

Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import collections
import json
import math
import mmap
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import ml_dtypes
import numpy as np

from ift_jax.checkpoints import pickles

DTYPES = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
INTEGERS = ("I64", "I32", "U8", "BOOL")
_CODES = {dtype: code for code, dtype in DTYPES.items()}

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
MAX_SHARD_BYTES = 5 * 10**9
"""Hugging Face's customary shard size."""

_MAX_HEADER_BYTES = 100 * 10**6  # the limit of the reference implementation
_MAX_RANK = 32


class SafetensorsError(ValueError):
    """A file that cannot be what it says it is, or that cannot be read here."""


class Header(NamedTuple):
    """What is known of a tensor before it is read: its shape and NumPy dtype."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def kind(self) -> str:
        """The dtype's name in the file, such as 'BF16'."""
        return _CODES[self.dtype]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


class Source(Protocol):
    """Named tensors whose shapes are known at once and whose bytes are read one at a time."""

    tensors: Mapping[str, Header]

    def read(self, name: str) -> np.ndarray: ...


class Arrays:
    """A `Source` of arrays already in memory."""

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        self._arrays = arrays
        self.tensors = {n: Header(tuple(a.shape), np.dtype(a.dtype)) for n, a in arrays.items()}

    def read(self, name: str) -> np.ndarray:
        return self._arrays[name]


class File:
    """One open file: a `Source` of read-only views into the mapped file.

    Attributes:
        tensors: each tensor's shape and dtype, in the order of their bytes.
        metadata: the file's own `__metadata__`, text to text.
    """

    def __init__(self, path: str | Path):
        """Opens a file and checks its header.

        Raises:
            SafetensorsError: the header and the file's bytes do not agree.
        """
        self.path = Path(path)
        if not self.path.is_file():
            raise SafetensorsError(f"{self.path}: no such file")
        with self.path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            header = _read_header(self.path, file, size)
            self.metadata = _metadata(self.path, header.pop("__metadata__", {}))
            start = file.tell()
            self._ranges = {}
            self.tensors = {}
            for name, entry in header.items():
                self.tensors[name], self._ranges[name] = _entry(self.path, name, entry)
            _check_ranges(self.path, self._ranges, size - start)
            self._data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))[start:]

    def read(self, name: str) -> np.ndarray:
        """The tensor as a read-only view: its bytes are fetched from disk as they are touched."""
        shape, dtype = self.tensors[name]
        begin, end = self._ranges[name]
        return np.frombuffer(self._data[begin:end], np.uint8).view(dtype).reshape(shape)


class Shards:
    """Several files behind one index: a `Source` of all their tensors."""

    def __init__(self, index: str | Path):
        """Opens every shard named by a `*.safetensors.index.json`.

        Raises:
            SafetensorsError: the index and the shards disagree about what is where.
        """
        index = Path(index)
        where = _weight_map(index)
        self._files = {}
        for shard in sorted(set(where.values())):
            if not (index.parent / shard).is_file():
                lost = sum(file == shard for file in where.values())
                raise SafetensorsError(
                    f"{index}: shard {shard!r}, with {lost} tensors, is not in {index.parent}:"
                    " download it"
                )
            self._files[shard] = File(index.parent / shard)
        for shard, file in self._files.items():
            for name in file.tensors:
                if where.get(name) != shard:
                    raise SafetensorsError(
                        f"{file.path}: holds tensor {name!r}, which {index.name} places in"
                        f" {where.get(name, 'no shard')!r}; a tensor must be in one shard only"
                    )
        for name, shard in where.items():
            if name not in self._files[shard].tensors:
                raise SafetensorsError(
                    f"{index}: places tensor {name!r} in {shard!r}, which does not hold it"
                )
        self._where = where
        self.tensors = {name: self._files[shard].tensors[name] for name, shard in where.items()}

    def read(self, name: str) -> np.ndarray:
        """The tensor as a read-only view into its shard."""
        return self._files[self._where[name]].read(name)


def open_model(directory: str | Path) -> File | Shards:
    """Opens the weights of a Hugging Face model folder: one file, or shards and their index.

    Raises:
        SafetensorsError: there are none.
        PickleError: there are only pickles (`.bin`, `.pt`, `.pth`).
    """
    directory = Path(directory)
    if (directory / INDEX).is_file():
        return Shards(directory / INDEX)
    if (directory / SINGLE).is_file():
        return File(directory / SINGLE)
    pickles.refuse(directory)
    raise SafetensorsError(f"{directory}: has neither {SINGLE} nor {INDEX}")


def write(path: str | Path, source: Source, metadata: Mapping[str, str] | None = None) -> None:
    """Writes one file; it appears under its name only when complete.

    Tensors are ordered by falling item size, then name, as the reference implementation does, so
    that each is aligned to its items.
    """
    path = Path(path)
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    names = sorted(source.tensors, key=lambda n: (-source.tensors[n].dtype.itemsize, n))
    end = 0
    for name in names:
        tensor = source.tensors[name]
        begin, end = end, end + tensor.nbytes
        header[name] = {
            "dtype": _code(name, tensor.dtype),
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the reference aligns the data to 8 bytes
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in names:
            shape, dtype = source.tensors[name]
            array = source.read(name)
            if array.shape != shape or array.dtype != dtype:
                raise SafetensorsError(
                    f"{name}: read as {array.dtype}{array.shape}, announced as {dtype}{shape}"
                )
            file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
        file.flush()
        os.fsync(file.fileno())  # else a power cut may leave the name on an empty file
    partial.replace(path)


def write_model(
    directory: str | Path, source: Source, max_shard_bytes: int = MAX_SHARD_BYTES
) -> list[Path]:
    """Writes a model folder's weights as one file, or as shards with an index.

    Shards are filled in the source's order; a tensor larger than `max_shard_bytes` gets its own.

    Returns:
        The files written, the index last.

    Raises:
        SafetensorsError: the folder already has safetensors, which would mix with the new ones.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    _check_free(directory)
    shards: list[dict[str, Header]] = [{}]
    for name, tensor in source.tensors.items():
        filled = sum(other.nbytes for other in shards[-1].values())
        if shards[-1] and filled + tensor.nbytes > max_shard_bytes:
            shards.append({})
        shards[-1][name] = tensor
    count = len(shards)
    files = [f"model-{i + 1:05}-of-{count:05}.safetensors" if count > 1 else SINGLE
             for i in range(count)]  # fmt: skip
    for file, tensors in zip(files, shards, strict=True):
        # Transformers refuses files that do not say which framework's layout they hold.
        write(directory / file, _Part(source, tensors), {"format": "pt"})
    if count > 1:
        index = {
            "metadata": {"total_size": sum(t.nbytes for t in source.tensors.values())},
            "weight_map": {n: file for file, part in zip(files, shards, strict=True) for n in part},
        }
        partial = directory / f"{INDEX}.partial"
        partial.write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
        partial.replace(directory / INDEX)
        files.append(INDEX)
    return [directory / file for file in files]


def _check_free(directory: Path) -> None:
    """Refuses a folder with safetensors, and tells those of a killed export from a model."""
    old = sorted(directory.glob("*.safetensors*"))
    if not old:
        return
    partial = [path for path in old if path.suffix == ".partial"]
    if partial or not {SINGLE, INDEX} & {path.name for path in old}:
        raise SafetensorsError(
            f"{(partial or old)[0]}: left by an export that was killed; delete the"
            f" {len(old)} files {directory / '*.safetensors*'} and run again"
        )
    raise SafetensorsError(f"{old[0]}: exists already; write to an empty folder")


class _Part(NamedTuple):
    """Some of a source's tensors."""

    source: Source
    tensors: Mapping[str, Header]

    def read(self, name: str) -> np.ndarray:
        return self.source.read(name)


def _code(name: str, dtype: np.dtype) -> str:
    if dtype not in _CODES:
        raise SafetensorsError(f"{name}: cannot write dtype {dtype}, only {', '.join(DTYPES)}")
    return _CODES[dtype]


def _read_header(path: Path, file: Any, size: int) -> dict[str, Any]:
    if size < 8:
        raise SafetensorsError(f"{path}: {size} bytes, too short for a header; download it again")
    (length,) = struct.unpack("<Q", file.read(8))
    if length > min(size - 8, _MAX_HEADER_BYTES):
        raise SafetensorsError(
            f"{path}: says that its header has {length} bytes, but the file has {size - 8} after"
            f" the length (at most {_MAX_HEADER_BYTES} are read); truncated or not safetensors"
        )
    return _load_json(path, file.read(length))


def _load_json(path: Path, text: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            ((twice, _),) = collections.Counter(key for key, _ in pairs).most_common(1)
            raise SafetensorsError(f"{path}: {twice!r} appears twice")
        return found

    try:
        loaded = json.loads(text.decode("utf-8"), object_pairs_hook=unique)
    except SafetensorsError:
        raise
    except (ValueError, RecursionError) as error:  # JSONDecodeError and bad UTF-8 among them
        raise SafetensorsError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(loaded, dict):
        raise SafetensorsError(f"{path}: JSON {type(loaded).__name__}, expected an object")
    return loaded


def _metadata(path: Path, found: Any) -> dict[str, str]:
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        raise SafetensorsError(f"{path}: __metadata__ must map text to text")
    return found


def _entry(path: Path, name: str, entry: Any) -> tuple[Header, tuple[int, int]]:
    """A tensor's header and byte range, each checked by itself."""
    where = f"{path}: tensor {name!r}"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise SafetensorsError(f"{where}: expected the keys dtype, shape and data_offsets")
    code = entry["dtype"]
    if not isinstance(code, str) or code not in DTYPES:
        raise SafetensorsError(f"{where}: dtype {code!r}, can read only {', '.join(DTYPES)}")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _counts(shape) or len(shape) > _MAX_RANK:
        raise SafetensorsError(f"{where}: shape {shape!r}, expected up to {_MAX_RANK} sizes")
    if not _counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise SafetensorsError(f"{where}: data_offsets {offsets!r}, expected [begin, end]")
    header = Header(tuple(shape), DTYPES[code])
    if offsets[1] - offsets[0] != header.nbytes:
        raise SafetensorsError(
            f"{where}: {code} of shape {header.shape} takes {header.nbytes} bytes, but"
            f" data_offsets {offsets} hold {offsets[1] - offsets[0]}"
        )
    return header, (offsets[0], offsets[1])


def _counts(found: Any) -> bool:
    return isinstance(found, list) and all(type(n) is int and n >= 0 for n in found)


def _check_ranges(path: Path, ranges: Mapping[str, tuple[int, int]], size: int) -> None:
    """Tensors must cover the data once each, from first byte to last."""
    covered = 0
    for name, (begin, end) in sorted(ranges.items(), key=lambda item: item[1]):
        if begin != covered:
            what = "overlaps the tensor before it" if begin < covered else "leaves a gap before it"
            raise SafetensorsError(
                f"{path}: tensor {name!r} begins at byte {begin} of the data, expected {covered}:"
                f" it {what}"
            )
        covered = end
    if covered != size:
        raise SafetensorsError(
            f"{path}: its tensors take {covered} bytes, the file holds {size}:"
            f" {'truncated, download it again' if covered > size else 'bytes that no tensor owns'}"
        )


def _weight_map(index: Path) -> dict[str, str]:
    where = _load_json(index, index.read_bytes()).get("weight_map")
    if not isinstance(where, dict) or not where:
        raise SafetensorsError(f"{index}: has no weight_map from tensors to shards")
    for name, shard in where.items():
        # The name comes from a stranger: it must not lead out of the folder.
        plain = isinstance(shard, str) and Path(shard).name == shard and "\\" not in shard
        if not plain or not shard.endswith(".safetensors"):
            raise SafetensorsError(f"{index}: shard {shard!r} of {name!r} is not a file beside it")
    return where
