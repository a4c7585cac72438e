from __future__ import annotations

import dataclasses

import jax
import ml_dtypes
import numpy as np
import pytest

from ift_jax.checkpoints.names import alias, derived, fused, tensor
from ift_jax.checkpoints.safetensors import Arrays, open_model, write_model
from ift_jax.checkpoints.transfer import TransferError, export_tensors, import_params

BF16 = ml_dtypes.bfloat16


@dataclasses.dataclass(frozen=True)
class Toy:
    """N·H differs from D, so that a transposed projection has another shape."""

    L: int = 2
    D: int = 5
    N: int = 4
    K: int = 2
    H: int = 6
    V: int = 7
    theta: float = 100.0


def frequencies(c: Toy) -> np.ndarray:
    return np.array([c.theta ** (-2 * i / c.H) for i in range(c.H // 2)], np.float32)


TABLE = (
    tensor("embed", "embed.w", "V D -> V D"),
    tensor("h.{L}.q", "layers.q.w", "(N H) D -> D N H"),
    tensor("h.{L}.o", "layers.o.w", "D (N H) -> N H D"),
    derived("h.{L}.freq", frequencies),
    alias("head", "embed"),
)
CONFIG = Toy()


def spec(*shape: int, dtype=np.float32) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)


ABSTRACT = {
    "embed.w": spec(7, 5),
    "layers.q.w": spec(2, 5, 4, 6),
    "layers.o.w": spec(2, 4, 6, 5),
}


def toy_file(dtype=np.float32, seed=0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = {"embed": (7, 5), **{f"h.{i}.q": (24, 5) for i in range(2)}}
    shapes |= {f"h.{i}.o": (5, 24) for i in range(2)}
    return {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}


def load(arrays, table=TABLE, abstract=ABSTRACT, **options):
    return import_params(Arrays(arrays), table, CONFIG, abstract, **options)


def test_each_value_lands_where_the_pattern_says():
    arrays = toy_file()
    params = load(arrays)
    assert params.keys() == ABSTRACT.keys()
    for layer in range(2):
        for n in range(4):
            for h in range(6):
                row = arrays[f"h.{layer}.q"][n * 6 + h]
                np.testing.assert_array_equal(params["layers.q.w"][layer, :, n, h], row)
                column = arrays[f"h.{layer}.o"][:, n * 6 + h]
                np.testing.assert_array_equal(params["layers.o.w"][layer, n, h], column)


def test_rotary_pairs_become_halves():
    # GGUF's rows of a head: x0 y0 x1 y1 x2 y2; ours: x0 x1 x2 y0 y1 y2.
    table = (tensor("q", "q.w", "(N h r) D -> D N (r h)", r=2),)
    file_q = np.arange(24 * 5, dtype=np.float32).reshape(24, 5)
    params = load({"q": file_q}, table, {"q.w": spec(5, 4, 6)})
    order = [0, 2, 4, 1, 3, 5]
    for n in range(4):
        np.testing.assert_array_equal(params["q.w"][:, n], file_q[n * 6 : n * 6 + 6][order].T)
    back = export_tensors(params, table, CONFIG)
    np.testing.assert_array_equal(back.read("q"), file_q)


FUSED = {
    # Each group of heads: its G = 2 queries, its key, its value.
    "grouped": (
        "(K m H) D",
        lambda k, m: [k * 4 + m, k * 4 + 2, k * 4 + 3],
        {"q.w": "D (K m) H", "k.w": "D (K m) H", "v.w": "D (K m) H"},
    ),
    # All queries, then all keys, then all values.
    "in a row": (
        "(m H) D",
        lambda k, m: [k * 2 + m, 4 + k, 6 + k],
        {"q.w": "D m H", "k.w": "D m H", "v.w": "D m H"},
    ),
}


@pytest.mark.parametrize("file, heads, parts", FUSED.values(), ids=FUSED)
def test_fused_heads_come_apart_and_together(file, heads, parts):
    table = (fused("h.{L}.qkv", "m", {f"layers.{k}": f"{file} -> {v}" for k, v in parts.items()}),)
    abstract = {
        "layers.q.w": spec(2, 5, 4, 6),
        "layers.k.w": spec(2, 5, 2, 6),
        "layers.v.w": spec(2, 5, 2, 6),
    }
    rng = np.random.default_rng(0)
    arrays = {f"h.{i}.qkv": rng.normal(size=(48, 5)).astype(np.float32) for i in range(2)}
    params = load(arrays, table, abstract)
    for layer in range(2):
        head_8HD = arrays[f"h.{layer}.qkv"].reshape(8, 6, 5)
        for k in range(2):
            for m in range(2):
                q, key, value = heads(k, m)
                seen = [params[f"layers.{name}.w"][layer] for name in "qkv"]
                np.testing.assert_array_equal(seen[0][:, k * 2 + m], head_8HD[q].T)
                np.testing.assert_array_equal(seen[1][:, k], head_8HD[key].T)
                np.testing.assert_array_equal(seen[2][:, k], head_8HD[value].T)
    back = export_tensors(params, table, CONFIG)
    assert all((back.read(name) == array).all() for name, array in arrays.items())


@pytest.mark.parametrize("file_dtype", [np.float32, np.float16, BF16])
@pytest.mark.parametrize("stored", [None, np.float32])
def test_file_to_parameters_to_file_keeps_every_byte(tmp_path, file_dtype, stored):
    arrays = toy_file(file_dtype)
    write_model(tmp_path / "in", Arrays(arrays), max_shard_bytes=300)
    source = open_model(tmp_path / "in")
    params = import_params(source, TABLE, CONFIG, ABSTRACT, dtype=stored or file_dtype)
    assert {array.dtype for array in params.values()} == {np.dtype(stored or file_dtype)}
    write_model(tmp_path / "out", export_tensors(params, TABLE, CONFIG, file_dtype), 300)
    back = open_model(tmp_path / "out")
    assert back.tensors == source.tensors
    assert all(back.read(name).tobytes() == arrays[name].tobytes() for name in arrays)


def test_dtype_is_the_models_unless_asked_for_another():
    abstract = {name: spec(*leaf.shape, dtype=BF16) for name, leaf in ABSTRACT.items()}
    assert load(toy_file(), abstract=abstract)["embed.w"].dtype == BF16
    assert load(toy_file(), abstract=abstract, dtype="float32")["embed.w"].dtype == np.float32


def test_a_value_beyond_float16_is_refused_by_its_tensor():
    params = {name: np.zeros(leaf.shape, np.float32) for name, leaf in ABSTRACT.items()}
    params["layers.o.w"][1, 0, 0, 0] = -70000
    export = export_tensors(params, TABLE, CONFIG, "float16")
    assert not export.read("h.0.o").any()
    with pytest.raises(TransferError, match="h.1.o has a value of 70000, and float16 ends at 655"):
        export.read("h.1.o")


def test_each_parameter_is_placed_when_filled():
    placed = {}

    def place(name, array):
        placed[name] = array.copy()
        return name.upper()

    params = load(toy_file(), place=place)
    assert params == {name: name.upper() for name in ABSTRACT}
    np.testing.assert_array_equal(placed["embed.w"], toy_file()["embed"])


def test_exports_arrays_on_devices():
    arrays = toy_file()
    params = {name: jax.numpy.asarray(array) for name, array in load(arrays).items()}
    back = export_tensors(params, TABLE, CONFIG)
    assert all((back.read(name) == array).all() for name, array in arrays.items())


def test_all_mistakes_are_in_one_error():
    arrays = toy_file()
    del arrays["h.1.q"]
    arrays["h.2.q"] = np.zeros((24, 5), np.float32)
    arrays["h.0.o"] = arrays["h.0.o"].T
    arrays["embed"] = np.zeros((7, 5), np.int32)
    with pytest.raises(TransferError) as caught:
        load(arrays)
    message = str(caught.value)
    assert "1 missing from the file:\n  h.1.q (24, 5)" in message
    assert "1 in the file and not in the family's table:\n  h.2.q (24, 5)" in message
    assert "1 of a wrong shape:\n  h.0.o (24, 5), expected (5, 24)" in message
    assert "1 of a wrong dtype:\n  embed I32, expected floating point" in message


def test_long_lists_are_cut():
    arrays = toy_file() | {f"x{i}": np.zeros(1, np.float32) for i in range(30)}
    with pytest.raises(TransferError, match=r"30 in the file[\s\S]* and 20 more"):
        load(arrays)


def test_alias_must_be_bit_equal():
    arrays = toy_file()
    arrays["head"] = arrays["embed"].copy()
    assert load(arrays).keys() == ABSTRACT.keys()
    arrays["head"][3, 2] = np.nextafter(arrays["head"][3, 2], 9)
    with pytest.raises(TransferError, match=r"head must equal embed .* 1 of 35 values differ"):
        load(arrays)
    # Equal as numbers, not as bits.
    arrays["embed"][0, 0], arrays["head"] = 0.0, arrays["embed"].copy()
    arrays["head"][0, 0] = -0.0
    with pytest.raises(TransferError, match="bit for bit"):
        load(arrays)
    arrays["head"] = arrays["embed"].astype(BF16)
    with pytest.raises(TransferError, match="expected to be the same tensor as embed"):
        load(arrays)


def test_alias_of_a_layer_is_compared_with_that_layer():
    table = (*TABLE, alias("h.{L}.again", "h.{L}.q"))
    arrays = toy_file()
    arrays |= {f"h.{i}.again": arrays[f"h.{i}.q"] for i in range(2)}
    assert load(arrays, table).keys() == ABSTRACT.keys()
    arrays["h.1.again"] = arrays["h.0.q"]
    with pytest.raises(TransferError, match=r"h.1.again must equal h.1.q"):
        load(arrays, table)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, BF16])
def test_derived_is_checked_and_dropped(dtype):
    # 100^0, 100^(-1/3), 100^(-2/3)
    right = np.array([1.0, 0.21544347, 0.04641589]).astype(dtype)
    arrays = toy_file() | {f"h.{i}.freq": right for i in range(2)}
    assert load(arrays).keys() == ABSTRACT.keys()
    arrays["h.1.freq"] = np.array([1.0, 0.25, 0.04641589]).astype(dtype)
    with pytest.raises(TransferError, match=r"h.1.freq .* value 1 is 0.25, expected 0.215"):
        load(arrays)


@pytest.mark.parametrize("wrong", [np.zeros(2, np.float32), np.zeros(3, np.int32)])
def test_derived_of_another_shape_or_dtype(wrong):
    with pytest.raises(TransferError, match=r"h.0.freq is .* expected floats of shape \(3,\)"):
        load(toy_file() | {"h.0.freq": wrong})


def test_derived_of_a_layer_that_is_not_there():
    with pytest.raises(TransferError, match=r"not in the family's table:\n  h.2.freq"):
        load(toy_file() | {"h.2.freq": frequencies(CONFIG)})


BAD_TABLES = {
    "fills twice": ((*TABLE, tensor("again", "embed.w", "V D -> V D")), "fills twice: embed.w"),
    "never fills": (TABLE[1:], "never fills: embed.w"),
    "unknown parameter": ((*TABLE, tensor("b", "b", "D -> D")), "maps b to b, which the model"),
    "two entries": ((*TABLE, alias("embed", "head")), "more than one entry for embed"),
    "wrong letters": ((tensor("embed", "embed.w", "D V -> D V"), *TABLE[1:]), "has shape"),
    "not stacked": ((tensor("{L}", "embed.w", "D -> D"), *TABLE[1:]), "stands for 2 layers"),
}


@pytest.mark.parametrize("table, message", BAD_TABLES.values(), ids=BAD_TABLES)
def test_mistakes_in_a_table(table, message):
    with pytest.raises(TransferError, match=message):
        load(toy_file(), table)
