"""Reads GGUF files (versions 2 and 3): typed metadata and tensors, as llama.cpp stores models.

The file may come from anywhere and be cut short or lie. So every length and count in it is
compared with the bytes that remain before anything is allocated or looped over, and whatever is
wrong raises GGUFError, which names the file, the key or tensor, and the value seen. Tensor data
stays on disk, mapped, until `GGUF.read`.

Layout (ggml's docs/gguf.md): magic, version, tensor count, metadata count; metadata as key, type,
value; tensors as name, axes, type, offset; padding to `general.alignment`; tensor data.
"""

from __future__ import annotations

import dataclasses
import math
import mmap
import struct
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ift_jax.checkpoints.gguf_quants import KINDS, UNSUPPORTED, Kind, dequantize

MAGIC = b"GGUF"
VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32
MAX_AXES = 4
MAX_NESTING = 4

# Value types of metadata. Numbers map to their little-endian layout.
NUMBERS = {
    0: np.dtype("u1"),
    1: np.dtype("i1"),
    2: np.dtype("<u2"),
    3: np.dtype("<i2"),
    4: np.dtype("<u4"),
    5: np.dtype("<i4"),
    6: np.dtype("<f4"),
    10: np.dtype("<u8"),
    11: np.dtype("<i8"),
    12: np.dtype("<f8"),
}
BOOL, STRING, ARRAY = 7, 8, 9

# The fewest bytes that one entry can take: what bounds a count before it is believed.
LEAST_STRING = 8
LEAST_ARRAY = 4 + 8
LEAST_METADATA = LEAST_STRING + 4 + 1
LEAST_TENSOR = LEAST_STRING + 4 + 8 + 4 + 8


class GGUFError(ValueError):
    """A GGUF file that is broken, or holds something that this package does not read."""


@dataclasses.dataclass(frozen=True)
class TensorInfo:
    """Where a tensor lies.

    Attributes:
        name: as in the file, such as 'blk.0.attn_q.weight'.
        shape: in C order, (rows, columns): the reverse of the file's.
        kind: type as stored, such as 'Q4_1'.
        offset: first byte, from the start of the file.
        nbytes: bytes as stored.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    offset: int
    nbytes: int


class GGUF:
    """An open GGUF file.

    Attributes:
        path: the file.
        metadata: key -> int, float, bool, str; an array is a list of str, or a numpy array
            for numbers and booleans.
        tensors: name -> TensorInfo, in the file's order.
    """

    def __init__(self, path: str | Path):
        """Maps the file and parses everything but the tensors' data.

        Raises:
            GGUFError: names the file, key or tensor, value seen, and what was expected.
        """
        self.path = Path(path)
        with self.path.open("rb") as file:
            size = file.seek(0, 2)
            if size < len(MAGIC):
                raise GGUFError(f"{path}: {size} bytes, too short for a GGUF file; fetch it again")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        cursor = _Cursor(self.path, self._map)
        tensor_count, metadata_count = _header(cursor)
        self.metadata = _metadata(cursor, metadata_count)
        self.tensors = _tensors(cursor, tensor_count, _alignment(cursor, self.metadata))

    def value(self, key: str, kind: type) -> Any:
        """The metadata value under `key`, which must be there and be a `kind` (int, str, list, …).

        Raises:
            GGUFError: missing, or of another type.
        """
        if key not in self.metadata:
            raise GGUFError(f"{self.path}: metadata has no {key!r}; convert the model again")
        value = self.metadata[key]
        # A bool is an int to Python, but not to whoever asks for a count.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise GGUFError(
                f"{self.path}: metadata {key!r} is a {type(value).__name__} ({str(value)[:80]}),"
                f" expected {kind.__name__}; convert the model again"
            )
        return value

    def read(self, name: str) -> np.ndarray:
        """A tensor's weights as a new array: float16 where stored so, else float32.

        Raises:
            GGUFError: no tensor of that name.
        """
        if name not in self.tensors:
            raise GGUFError(
                f"{self.path}: no tensor {name!r} among {len(self.tensors)};"
                " is it a model of another family?"
            )
        info = self.tensors[name]
        kind = next(kind for kind in KINDS.values() if kind.name == info.kind)
        with memoryview(self._map) as data:
            return dequantize(kind, data[info.offset : info.offset + info.nbytes]).reshape(
                info.shape
            )


class _Cursor:
    """A place in the file that only moves forward, and never past the end."""

    def __init__(self, path: Path, data: mmap.mmap):
        self.path = path
        self.data = data
        self.size = len(data)
        self.at = 0

    def fail(self, what: str, problem: str, fix: str = "fetch or convert it again") -> NoReturn:
        raise GGUFError(f"{self.path}: {what[:120]}: {problem} (near byte {self.at:,}); {fix}")

    def take(self, count: int, what: str) -> bytes:
        left = self.size - self.at
        if count > left:
            self.fail(what, f"needs {count:,} bytes and the file has {left:,} left")
        taken = self.data[self.at : self.at + count]
        self.at += count
        return taken

    def number(self, layout: str, what: str) -> Any:
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout), what))[0]

    def count(self, least: int, what: str) -> int:
        """A number of entries of at least `least` bytes each, which must fit in what is left."""
        count = self.number("Q", what)
        left = self.size - self.at
        if count * least > left:
            self.fail(
                what,
                f"{count:,} entries of {least} bytes or more, and the file has {left:,} bytes left",
            )
        return count

    def string(self, what: str) -> str:
        raw = self.take(self.number("Q", what), what)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            self.fail(what, f"not UTF-8: {error}")


def _header(cursor: _Cursor) -> tuple[int, int]:
    """Counts of tensors and metadata entries."""
    magic = cursor.take(4, "magic")
    if magic != MAGIC:
        cursor.fail("magic", f"{magic!r}, expected {MAGIC!r}", "is it a GGUF file?")
    version = cursor.number("I", "version")
    if version not in VERSIONS:
        # Version 3 may also be big-endian, which shows in the version itself.
        swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
        seen = f"big-endian {swapped}" if swapped in VERSIONS else str(version)
        cursor.fail(
            "version", f"{seen}, expected little-endian 2 or 3", "convert it with a newer llama.cpp"
        )
    tensor_count = cursor.count(LEAST_TENSOR, "tensor count")
    metadata_count = cursor.count(LEAST_METADATA, "metadata count")
    return tensor_count, metadata_count


def _metadata(cursor: _Cursor, count: int) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for index in range(count):
        key = cursor.string(f"key {index} of {count}")
        if not key:
            cursor.fail(f"key {index} of {count}", "is empty")
        if key in metadata:
            cursor.fail(f"key {key!r}", "appears twice")
        what = f"metadata {key!r}"
        metadata[key] = _value(cursor, cursor.number("I", what), what, nesting=0)
    return metadata


def _value(cursor: _Cursor, kind: int, what: str, nesting: int) -> Any:
    if kind in NUMBERS:
        layout = NUMBERS[kind]
        return np.frombuffer(cursor.take(layout.itemsize, what), layout)[0].item()
    if kind == BOOL:
        return bool(_booleans(cursor, 1, what)[0])
    if kind == STRING:
        return cursor.string(what)
    if kind == ARRAY:
        return _array(cursor, what, nesting + 1)
    return cursor.fail(what, f"value type {kind}, expected 0 to 12")


def _array(cursor: _Cursor, what: str, nesting: int) -> Any:
    if nesting > MAX_NESTING:
        cursor.fail(what, f"arrays nested over {MAX_NESTING} deep")
    kind = cursor.number("I", what)
    if kind in NUMBERS:
        layout = NUMBERS[kind]
        raw = cursor.take(cursor.count(layout.itemsize, what) * layout.itemsize, what)
        return np.frombuffer(raw, layout)
    if kind == BOOL:
        return _booleans(cursor, cursor.count(1, what), what)
    if kind == STRING:
        return [cursor.string(what) for _ in range(cursor.count(LEAST_STRING, what))]
    if kind == ARRAY:
        return [_array(cursor, what, nesting + 1) for _ in range(cursor.count(LEAST_ARRAY, what))]
    return cursor.fail(what, f"array of value type {kind}, expected 0 to 12")


def _booleans(cursor: _Cursor, count: int, what: str) -> np.ndarray:
    values = np.frombuffer(cursor.take(count, what), np.uint8)
    if count and values.max() > 1:
        cursor.fail(what, f"a boolean is {values.max()}, expected 0 or 1")
    return values.astype(bool)


def _alignment(cursor: _Cursor, metadata: dict[str, Any]) -> int:
    value = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    power_of_two = type(value) is int and value >= 8 and value & (value - 1) == 0
    if not power_of_two:
        cursor.fail(
            "metadata 'general.alignment'", f"{str(value)[:80]}, expected a power of two from 8 on"
        )
    return value


def _tensors(cursor: _Cursor, count: int, alignment: int) -> dict[str, TensorInfo]:
    tensors: dict[str, TensorInfo] = {}
    for index in range(count):
        info = _tensor(cursor, f"tensor {index} of {count}", alignment)
        if info.name in tensors:
            cursor.fail(f"tensor {info.name!r}", "appears twice")
        tensors[info.name] = info
    start = -(-cursor.at // alignment) * alignment
    tensors = {
        name: dataclasses.replace(info, offset=start + info.offset)
        for name, info in tensors.items()
    }
    _check_places(cursor, tensors)
    return tensors


def _tensor(cursor: _Cursor, what: str, alignment: int) -> TensorInfo:
    """One entry of the tensor list; its offset is from the start of the data."""
    name = cursor.string(f"{what}: name")
    what = f"tensor {name!r}"
    axes = cursor.number("I", what)
    if not 1 <= axes <= MAX_AXES:
        cursor.fail(what, f"{axes} axes, expected 1 to {MAX_AXES}")
    sizes = [cursor.number("Q", what) for _ in range(axes)]
    if 0 in sizes:
        cursor.fail(what, f"axes {sizes}, expected at least 1 each")
    kind = _kind(cursor, cursor.number("I", what), what)
    # Rows are the file's first axis, and a block never spans two of them.
    if sizes[0] % kind.block:
        cursor.fail(what, f"rows of {sizes[0]}, expected a multiple of {kind.name}'s {kind.block}")
    offset = cursor.number("Q", what)
    if offset % alignment:
        cursor.fail(what, f"offset {offset:,} is not a multiple of the alignment, {alignment}")
    nbytes = math.prod(sizes) // kind.block * kind.layout.itemsize
    return TensorInfo(name, tuple(reversed(sizes)), kind.name, offset, nbytes)


def _kind(cursor: _Cursor, number: int, what: str) -> Kind:
    if number not in KINDS:
        names = ", ".join(kind.name for kind in KINDS.values())
        cursor.fail(
            what,
            f"type {number} ({UNSUPPORTED.get(number, 'unknown')}), expected one of {names}",
            "use a file of the same model in one of these",
        )
    return KINDS[number]


def _check_places(cursor: _Cursor, tensors: dict[str, TensorInfo]) -> None:
    """Every tensor lies within the file and apart from the others."""
    last_name, last_end = "", 0
    for info in sorted(tensors.values(), key=lambda info: info.offset):
        end = info.offset + info.nbytes
        if end > cursor.size:
            cursor.fail(
                f"tensor {info.name!r}",
                f"{info.kind} {info.shape} ends at byte {end:,} of a file of {cursor.size:,}",
                "the file is cut short: fetch it again",
            )
        if info.offset < last_end:
            cursor.fail(
                f"tensor {info.name!r}",
                f"starts at byte {info.offset:,}, within {last_name!r} which ends at {last_end:,}",
            )
        last_name, last_end = info.name, end
