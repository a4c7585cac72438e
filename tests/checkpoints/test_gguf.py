"""GGUF reading, against a writer and a scalar dequantizer written here from ggml's layouts."""

from __future__ import annotations

import struct
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ift_jax.checkpoints.gguf import GGUF, GGUFError

NUMBER_FORMATS = {
    "u8": (0, "B"),
    "i8": (1, "b"),
    "u16": (2, "H"),
    "i16": (3, "h"),
    "u32": (4, "I"),
    "i32": (5, "i"),
    "f32": (6, "f"),
    "bool": (7, "?"),
    "u64": (10, "Q"),
    "i64": (11, "q"),
    "f64": (12, "d"),
}
F32, F16, Q4_0, Q4_1, Q8_0 = 0, 1, 2, 3, 8


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def payload(kind: str, value) -> bytes:
    if kind == "str":
        return text(value)
    if kind.startswith("["):
        inner = kind[1:-1]
        head = struct.pack("<IQ", type_id(inner), len(value))
        return head + b"".join(payload(inner, item) for item in value)
    return struct.pack("<" + NUMBER_FORMATS[kind][1], value)


def type_id(kind: str) -> int:
    if kind == "str":
        return 8
    return 9 if kind.startswith("[") else NUMBER_FORMATS[kind][0]


def entry(key: str, kind: str, value) -> bytes:
    return text(key) + struct.pack("<I", type_id(kind)) + payload(kind, value)


def tensor(name: str, axes, kind: int, offset: int) -> bytes:
    """`axes` in the file's order: row length first."""
    shape = struct.pack(f"<I{len(axes)}Q", len(axes), *axes)
    return text(name) + shape + struct.pack("<IQ", kind, offset)


def build(entries=(), tensors=(), data=b"", *, version=3, counts=None, alignment=32) -> bytes:
    """A file; `counts` replaces the true (tensors, metadata) counts."""
    counts = counts or (len(tensors), len(entries))
    head = b"GGUF" + struct.pack("<IQQ", version, *counts) + b"".join([*entries, *tensors])
    return head + bytes(-len(head) % alignment) + data if tensors else head


def load(directory, content: bytes) -> GGUF:
    path = directory / "m.gguf"
    path.write_bytes(content)
    return GGUF(path)


def refused(directory, content: bytes, *words: str) -> None:
    with pytest.raises(GGUFError) as caught:
        load(directory, content)
    message = str(caught.value)
    for word in ("m.gguf", *words):
        assert word in message, f"{word!r} is not in: {message}"


def floats(*values: float) -> bytes:
    return np.array(values, "<f4").tobytes()


SMALL = build(
    [
        entry("general.architecture", "str", "llama"),
        entry("n", "u32", 7),
        entry("list", "[str]", ["a", "", "é"]),
        entry("scores", "[f32]", [1.5, -2.0]),
        entry("deep", "[[u8]]", [[1, 2], []]),
        entry("flags", "[bool]", [True, False]),
    ],
    [tensor("a", [2, 3], F32, 0), tensor("q", [32, 1], Q8_0, 32)],
    floats(*range(6)) + bytes(8) + bytes(34),
)


@pytest.mark.parametrize("version", [2, 3])
def test_every_value_type(tmp_path, version):
    numbers = {
        "u8": 255,
        "i8": -128,
        "u16": 65535,
        "i16": -32768,
        "u32": 2**32 - 1,
        "i32": -(2**31),
        "f32": 0.5,
        "bool": True,
        "u64": 2**64 - 1,
        "i64": -(2**63),
        "f64": 0.1,
    }
    entries = [entry(kind, kind, value) for kind, value in numbers.items()]
    entries += [entry(f"[{kind}]", f"[{kind}]", [value, 0]) for kind, value in numbers.items()]
    entries += [entry("str", "str", "naïve 😀"), entry("none", "[i32]", [])]
    found = load(tmp_path, build(entries, version=version)).metadata
    assert {kind: found[kind] for kind in numbers} == numbers
    assert {kind: type(found[kind]) for kind in numbers} == {
        kind: type(value) for kind, value in numbers.items()
    }
    for kind, value in numbers.items():
        assert found[f"[{kind}]"].tolist() == [value, 0]
    assert found["str"] == "naïve 😀"
    assert found["none"].tolist() == []


def test_small_file(tmp_path):
    gguf = load(tmp_path, SMALL)
    assert gguf.metadata["list"] == ["a", "", "é"]
    assert [part.tolist() for part in gguf.metadata["deep"]] == [[1, 2], []]
    assert gguf.metadata["flags"].tolist() == [True, False]
    info = gguf.tensors["a"]
    assert (info.shape, info.kind, info.nbytes) == ((3, 2), "F32", 24)
    np.testing.assert_array_equal(gguf.read("a"), [[0, 1], [2, 3], [4, 5]])
    assert gguf.read("q").shape == (1, 32)
    with pytest.raises(GGUFError, match="no tensor 'b' among 2"):
        gguf.read("b")


def test_value_checks_presence_and_type(tmp_path):
    gguf = load(tmp_path, build([entry("n", "u32", 7), entry("flag", "bool", True)]))
    assert gguf.value("n", int) == 7
    assert gguf.value("flag", bool) is True
    with pytest.raises(GGUFError, match=r"m\.gguf: metadata has no 'm'"):
        gguf.value("m", int)
    with pytest.raises(GGUFError, match=r"'n' is a int \(7\), expected str"):
        gguf.value("n", str)
    with pytest.raises(GGUFError, match=r"'flag' is a bool \(True\), expected int"):
        gguf.value("flag", int)


def test_a_read_tensor_is_a_copy_in_native_order(tmp_path):
    gguf = load(
        tmp_path, build([], [tensor("h", [4], F16, 0)], np.arange(4, dtype="<f2").tobytes())
    )
    weights = gguf.read("h")
    assert weights.dtype == np.float16
    weights += 1
    np.testing.assert_array_equal(gguf.read("h"), [0, 1, 2, 3])


def scalar_weights(kind: int, block: bytes) -> list[float]:
    """One block's 32 weights, one at a time, as ggml's dequantize_row_* loops do."""

    def half(at: int) -> np.float32:
        return np.float32(struct.unpack_from("<e", block, at)[0])

    out = [np.float32(0)] * 32
    for j in range(16):
        if kind == Q8_0:
            out[2 * j], out[2 * j + 1] = (
                half(0) * np.float32(struct.unpack_from("<b", block, 2 + 2 * j + odd)[0])
                for odd in (0, 1)
            )
        elif kind == Q4_0:
            byte = block[2 + j]
            out[j] = half(0) * np.float32((byte & 0x0F) - 8)
            out[j + 16] = half(0) * np.float32((byte >> 4) - 8)
        else:
            byte = block[4 + j]
            out[j] = half(0) * np.float32(byte & 0x0F) + half(2)
            out[j + 16] = half(0) * np.float32(byte >> 4) + half(2)
    return out


@pytest.mark.parametrize(
    ("kind", "halves", "nbytes"), [(Q8_0, 1, 34), (Q4_0, 1, 18), (Q4_1, 2, 20)]
)
def test_dequantization_equals_a_scalar_loop(tmp_path, kind, halves, nbytes):
    rng = np.random.default_rng(kind)
    blocks = [
        rng.normal(size=halves).astype("<f2").tobytes() + rng.bytes(nbytes - 2 * halves)
        for _ in range(6)
    ]
    gguf = load(tmp_path, build([], [tensor("w", [64, 3], kind, 0)], b"".join(blocks)))
    weights = gguf.read("w")
    expected = np.array([scalar_weights(kind, block) for block in blocks]).reshape(3, 64)
    assert weights.dtype == np.float32
    np.testing.assert_array_equal(weights, expected)  # The same float32 operations: exact.


def test_no_truncation_hangs_or_passes(tmp_path):
    for length in range(len(SMALL)):
        refused(tmp_path, SMALL[:length])


@settings(max_examples=300, deadline=1000, suppress_health_check=list(HealthCheck))
@given(flips=st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(1, 255)), max_size=4))
def test_flipped_bytes_raise_nothing_but_gguf_error(tmp_path, flips):
    damaged = bytearray(SMALL)
    for at, mask in flips:
        damaged[at] ^= mask
    try:
        gguf = load(tmp_path, bytes(damaged))
    except GGUFError:
        return
    with np.errstate(all="ignore"):
        for name in gguf.tensors:
            gguf.read(name)


HUGE = 2**60


CASES = {"argnames": ("content", "words"), "ids": lambda v: "-".join(v) if type(v) is list else ""}


@pytest.mark.parametrize(
    **CASES,
    argvalues=[
        (build(counts=(HUGE, 0)), ["tensor count", f"{HUGE:,}"]),
        (build(counts=(0, HUGE)), ["metadata count", f"{HUGE:,}"]),
        (build(counts=(0, 2**64 - 1)), ["metadata count"]),
        (build(counts=(0, 1)) + struct.pack("<Q", HUGE) + bytes(20), ["key 0 of 1", f"{HUGE:,}"]),
        (
            build(counts=(0, 1)) + text("k") + struct.pack("<IQ", 8, HUGE) + bytes(20),
            ["metadata 'k'", f"{HUGE:,}"],
        ),
        *(
            (
                build(counts=(0, 1)) + text("k") + struct.pack("<IIQ", 9, kind, HUGE) + bytes(20),
                ["metadata 'k'", f"{HUGE:,} entries"],
            )
            for kind in (0, 7, 8, 9, 10)
        ),
        (
            build([], [tensor("w", [2**40, 2**40], F32, 0)], bytes(64)),
            ["'w'", "file of", "fetch it again"],
        ),
        (
            build(counts=(0, 1)) + text("k") + struct.pack("<I", 9) + 50 * struct.pack("<IQ", 9, 1),
            ["metadata 'k'", "nested over 4"],
        ),
    ],
)
def test_lying_sizes_are_refused_before_they_are_believed(tmp_path, content, words):
    start = time.perf_counter()
    refused(tmp_path, content, *words)
    assert time.perf_counter() - start < 1


def one(name="w", axes=(32,), kind=F32, offset=0, data=bytes(256), entries=()):
    return build(list(entries), [tensor(name, list(axes), kind, offset)], data)


@pytest.mark.parametrize(
    **CASES,
    argvalues=[
        (b"", ["0 bytes"]),
        (b"PK\x03\x04" + SMALL[4:], ["magic", "PK", "GGUF"]),
        (build(version=1), ["version", "1", "2 or 3"]),
        (build(version=4), ["version", "4"]),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), ["big-endian 3"]),
        (build([entry("k", "u8", 1), entry("k", "u8", 2)]), ["'k'", "twice"]),
        (build([entry("", "u8", 1)]), ["key 0", "empty"]),
        (build([text("k") + struct.pack("<I", 13) + bytes(8)]), ["'k'", "13"]),
        (build([text("k") + struct.pack("<IIQ", 9, 99, 0)]), ["'k'", "99"]),
        (build([text("k") + struct.pack("<IB", 7, 2)]), ["'k'", "boolean is 2"]),
        (build([text("k") + struct.pack("<IQ", 8, 2) + b"\xff\xfe"]), ["'k'", "UTF-8"]),
        (one(kind=14), ["'w'", "14 (Q6_K)", "F32, F16, Q4_0, Q4_1, Q8_0"]),
        (one(kind=4), ["'w'", "4 (unknown)"]),
        (one(axes=()), ["'w'", "0 axes"]),
        (one(axes=(1, 1, 1, 1, 1)), ["'w'", "5 axes"]),
        (one(axes=(4, 0)), ["'w'", "[4, 0]"]),
        (one(axes=(33,), kind=Q4_0), ["'w'", "33", "Q4_0", "32"]),
        (one(offset=16), ["'w'", "16", "alignment, 32"]),
        (one(offset=224), ["'w'", "ends at byte", "cut short"]),
        (one(offset=2**64 - 32), ["'w'", "ends at byte"]),
        (one(entries=[entry("general.alignment", "u32", 0)]), ["alignment", "0"]),
        (one(entries=[entry("general.alignment", "u32", 24)]), ["alignment", "24"]),
        (one(entries=[entry("general.alignment", "i32", -32)]), ["alignment", "-32"]),
        (one(entries=[entry("general.alignment", "str", "32")]), ["alignment", "power of two"]),
        (
            build([], [tensor("w", [8], F32, 0), tensor("w", [8], F32, 32)], bytes(64)),
            ["'w'", "twice"],
        ),
        (
            build([], [tensor("w", [16], F32, 0), tensor("v", [8], F32, 32)], bytes(64)),
            ["'v'", "within 'w'"],
        ),
    ],
)
def test_broken_files_are_refused_by_name(tmp_path, content, words):
    refused(tmp_path, content, *words)


def test_alignment_from_the_metadata(tmp_path):
    content = build(
        [entry("general.alignment", "u32", 128)],
        [tensor("a", [1], F32, 0), tensor("b", [1], F32, 128)],
        floats(3) + bytes(124) + floats(4),
        alignment=128,
    )
    gguf = load(tmp_path, content)
    assert gguf.tensors["b"].offset % 128 == 0
    assert (gguf.read("a")[0], gguf.read("b")[0]) == (3, 4)


def test_fifty_thousand_strings_parse_fast(tmp_path):
    tokens = [f"token{i}" for i in range(50_000)]
    content = build([entry("tokens", "[str]", tokens)])
    start = time.perf_counter()
    assert load(tmp_path, content).metadata["tokens"] == tokens
    assert time.perf_counter() - start < 0.5
