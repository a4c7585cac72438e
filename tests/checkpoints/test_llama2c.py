"""llama2.c's checkpoints: what is read, and that a broken file is refused with its numbers."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from ift_jax.checkpoints.llama2c import Llama2C, Llama2CError

SIZES = {"D": 24, "F": 20, "L": 3, "N": 6, "K": 2, "V": 37, "T": 11}


def build(*, tied=True, theta=1e4, seed=0, **sizes) -> bytes:
    """A checkpoint with random weights, as llama2.c's `legacy_export` writes it."""
    D, F, L, N, K, V, T = (SIZES | sizes).values()
    H = D // N
    rng = np.random.default_rng(seed)
    angles_TH = np.outer(np.arange(T), theta ** (-np.arange(0, H, 2) / H))
    parts = [
        rng.normal(size=(V, D)),
        rng.uniform(0.5, 1.5, (L, D)),
        *(0.3 * rng.normal(size=(L, rows, D)) for rows in (D, K * H, K * H, D)),
        rng.uniform(0.5, 1.5, (L, D)),
        *(0.3 * rng.normal(size=(L, *shape)) for shape in ((F, D), (D, F), (F, D))),
        rng.uniform(0.5, 1.5, D),
        np.cos(angles_TH),
        np.sin(angles_TH),
        *(() if tied else (rng.normal(size=(V, D)),)),
    ]
    header = struct.pack("<7i", D, F, L, N, K, V if tied else -V, T)
    return header + b"".join(part.astype("<f4").tobytes() for part in parts)


def refusal(tmp_path, data: bytes) -> str:
    path = tmp_path / "m.bin"
    path.write_bytes(data)
    with pytest.raises(Llama2CError) as refused:
        Llama2C(path)
    said = str(refused.value)
    assert said.startswith(f"{path}: ")
    return said


@pytest.mark.parametrize("tied", [True, False])
def test_tensors_lie_one_after_another(tmp_path, tied):
    path = tmp_path / "m.bin"
    path.write_bytes(build(tied=tied))
    file = Llama2C(path)
    floats = np.frombuffer(path.read_bytes(), "<f4", offset=28)
    rotary = 2 * 11 * 2
    assert sum(np.prod(info.shape) for info in file.tensors.values()) == len(floats) - rotary
    assert ("output.weight" in file.tensors) == (not tied)
    assert file.tensors["blk.2.ffn_down.weight"].shape == (24, 20)
    assert file.tensors["blk.2.attn_k.weight"].shape == (8, 24)
    np.testing.assert_array_equal(file.read("token_embd.weight").ravel(), floats[: 37 * 24])
    # Layer 1's norm, after the embedding and layer 0's.
    start = 37 * 24 + 24
    np.testing.assert_array_equal(file.read("blk.1.attn_norm.weight"), floats[start : start + 24])
    if not tied:
        np.testing.assert_array_equal(file.read("output.weight").ravel(), floats[-37 * 24 :])


def test_the_header_is_told_as_a_gguf_file_would(tmp_path):
    (tmp_path / "m.bin").write_bytes(build())
    metadata = Llama2C(tmp_path / "m.bin").metadata
    assert {key: metadata[f"llama.{key}"] for key in ("block_count", "vocab_size")} == {
        "block_count": 3,
        "vocab_size": 37,
    }
    assert metadata["llama.attention.head_count_kv"] == 2
    assert metadata["llama.attention.layer_norm_rms_epsilon"] == 1e-5


def test_a_file_that_is_cut_short_or_too_long(tmp_path):
    whole = build()
    for data, what in ((whole[:-1], "cut short"), (whole + b"\0", "not such a checkpoint")):
        said = refusal(tmp_path, data)
        assert f"{len(data):,} bytes, and dim=24, hidden_dim=20, n_layers=3, n_heads=6" in said
        assert f"take {len(whole):,}: it is {what}" in said
    assert "27 bytes, and llama2.c's header takes 28" in refusal(tmp_path, whole[:27])


@pytest.mark.parametrize("field", range(7))
@pytest.mark.parametrize("value", [0, -3, 2**31 - 1])
def test_a_header_that_lies(tmp_path, field, value):
    """Also about counts that would take hours to loop over."""
    data = bytearray(build())
    struct.pack_into("<i", data, 4 * field, value)
    assert f"={value}" in refusal(tmp_path, bytes(data))


def test_heads_that_do_not_divide(tmp_path):
    data = bytearray(build())
    struct.pack_into("<i", data, 12, 5)
    assert "heads of an even size that divide dim" in refusal(tmp_path, bytes(data))


def test_later_versions_are_named(tmp_path):
    data = struct.pack("<Ii", 0x616B3432, 2) + bytes(248)
    assert "version 2 of llama2.c's layout, expected 0" in refusal(tmp_path, data)


def test_other_rotary_positions_are_refused(tmp_path):
    said = refusal(tmp_path, build(theta=5e5))
    assert "its table of rotary cos is" in said
    assert "theta = 10000" in said
