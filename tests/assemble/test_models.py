"""Models opened in whatever form they lie on disk."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import shutil

import jax
import numpy as np
import pytest

from ift_jax import lookup, tokenizers
from ift_jax.assemble import models
from ift_jax.checkpoints import safetensors
from ift_jax.checkpoints.safetensors import Arrays
from ift_jax.checkpoints.store import Store
from ift_jax.models import llama
from ift_jax.sharding import make_mesh
from tests.checkpoints.test_gguf import F32, build, entry, tensor
from tests.tokenizers.published import FAMILIES


@pytest.fixture
def mesh():
    return make_mesh("fsdp:4,tensor:2")


@pytest.fixture
def random(tokenizer_file, mesh):
    return models.random_model("llama:tiny", tokenizer_file, mesh, seed=3)


@pytest.fixture
def hf(random, tmp_path):
    """The random model in Hugging Face's layout."""
    models.export_model(random, tmp_path / "hf")
    return tmp_path / "hf"


@pytest.fixture
def directory(random, tmp_path):
    """The random model as a model directory, at step 7."""
    with Store(tmp_path / "run" / models.CHECKPOINTS) as store:
        store.save(7, random.load())
    models.describe(tmp_path / "run", random)
    return tmp_path / "run"


@pytest.fixture
def gguf(tokenizer_file, tmp_path):
    """A LLaMA of one layer as a GGUF file, with a sentencepiece tokenizer as llama.cpp has it."""
    pieces = tokenizers.load(tokenizer_file).pieces()
    D, V = 4, len(pieces)
    shapes = {"token_embd.weight": [D, V], "output.weight": [D, V], "output_norm.weight": [D]}
    shapes |= {f"blk.0.{name}_norm.weight": [D] for name in ("attn", "ffn")}
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        shapes[f"blk.0.{name}.weight"] = [D, D]
    head, data = [], b""
    for name, axes in shapes.items():
        head.append(tensor(name, axes, F32, len(data)))
        size = 4 * int(np.prod(axes))
        data += bytes(size + -size % 32)
    counts = {"block_count": 1, "embedding_length": D, "feed_forward_length": D}
    counts |= {"attention.head_count": 2, "context_length": 64}
    entries = [
        entry("general.architecture", "str", "llama"),
        *(entry(f"llama.{key}", "u32", value) for key, value in counts.items()),
        entry("llama.attention.layer_norm_rms_epsilon", "f32", 1e-5),
        entry("tokenizer.ggml.model", "str", "llama"),
        entry("tokenizer.ggml.tokens", "[str]", pieces),
        entry("tokenizer.ggml.token_type", "[i32]", [2, 3, 3] + [1] * (V - 3)),
    ]
    (tmp_path / "gguf").mkdir()
    file = tmp_path / "gguf" / "m.gguf"
    file.write_bytes(build(entries, head, data))
    return file


def edit(file, **changes):
    """Changes fields of a JSON file."""
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def refusal(path, mesh, **options) -> str:
    """What opening and loading says, on one line."""
    with pytest.raises(ValueError) as refused:
        models.open_model(path, mesh, **options).load()
    return str(refused.value).replace("\n", " ")


def assert_same(seen, expected):
    assert seen.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(seen[name], expected[name], err_msg=name)


def test_exported_weights_open_as_they_were(random, mesh, tmp_path):
    models.export_model(random, tmp_path / "hf")
    opened = models.open_model(tmp_path / "hf", mesh)
    assert opened.functions.config == random.functions.config
    assert opened.tokenizer.fingerprint == random.tokenizer.fingerprint
    assert_same(opened.load(), random.load())


def test_a_model_directory_opens_on_any_mesh(random, tmp_path):
    with Store(tmp_path / models.CHECKPOINTS) as store:
        store.save(7, random.load())
    models.describe(tmp_path, random)
    opened = models.open_model(tmp_path, make_mesh("fsdp:8"))
    assert opened.step == 7
    assert_same(opened.load(), random.load())


def test_a_folder_that_is_no_model_says_what_one_is(mesh, tmp_path):
    with pytest.raises(ValueError, match=r"neither a model directory \(model.json\)"):
        models.open_model(tmp_path, mesh)


def test_an_unknown_family_is_refused_by_name(mesh, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "lama"}')
    with pytest.raises(ValueError, match=r"config.json: no module 'lama'.*Did you mean 'llama'"):
        models.open_model(tmp_path, mesh)


def test_a_family_is_found_by_any_model_type_that_it_lists(hf, mesh, monkeypatch):
    monkeypatch.setattr(llama, "HF_MODEL_TYPES", ("llama", "elder"), raising=False)
    edit(hf / "config.json", model_type="elder")
    assert refusal(hf, mesh).startswith(f"{hf / 'config.json'}: model_type = 'elder'")


def test_a_model_type_is_one_familys():
    listed = {
        family: lookup.find("models", family).HF_MODEL_TYPES
        for family in lookup.names("models", "HF_MODEL_TYPES")
    }
    assert all(family in model_types for family, model_types in listed.items())
    everything = [model_type for model_types in listed.values() for model_type in model_types]
    assert len(everything) == len(set(everything))


def test_a_damaged_description_is_refused(random, mesh, tmp_path):
    models.describe(tmp_path, random)
    description = json.loads((tmp_path / models.MODEL_FILE).read_text())
    del description["config"]["D"]
    (tmp_path / models.MODEL_FILE).write_text(json.dumps(description))
    with pytest.raises(ValueError, match=r"model.json does not describe a model: .*'D'"):
        models.open_model(tmp_path, mesh)


def test_a_model_directory_without_checkpoints_says_so(random, mesh, tmp_path):
    models.describe(tmp_path, random)
    with pytest.raises(ValueError, match="has no checkpoint"):
        models.open_model(tmp_path, mesh)


def test_the_bundled_model_is_small_and_opens(mesh):
    assert sum(file.stat().st_size for file in models.BUNDLED.iterdir()) <= 8e6
    model = models.open_model("bundled", mesh)
    assert 1e6 <= model.functions.parameter_count <= 4e6


def test_weights_that_do_not_fit_name_their_folder(hf, mesh):
    file = safetensors.File(hf / safetensors.SINGLE)
    arrays = {name: file.read(name) for name in file.tensors if name != "model.norm.weight"}
    safetensors.write(hf / safetensors.SINGLE, Arrays(arrays))
    said = refusal(hf, mesh)
    assert said.startswith(f"{hf}: the file does not hold this model")
    assert "1 missing from the file:   model.norm.weight (128,)" in said


def test_a_broken_safetensors_file_is_named_once(hf, mesh):
    (hf / safetensors.SINGLE).write_bytes(b"short")
    said = refusal(hf, mesh)
    assert said.startswith(f"{hf / safetensors.SINGLE}: 5 bytes, too short")
    assert said.count(str(hf)) == 1


def test_a_config_that_the_family_refuses_is_named_once(hf, mesh):
    edit(hf / "config.json", hidden_act="gelu")
    said = refusal(hf, mesh)
    assert said.startswith(f"{hf / 'config.json'}: hidden_act = 'gelu'")
    edit(hf / "config.json", hidden_act="silu", num_key_value_heads=3)
    assert refusal(hf, mesh).startswith(f"{hf / 'config.json'}: llama.Config: K = 3")


def test_a_config_that_is_no_object(hf, mesh):
    (hf / "config.json").write_text("[1]")
    assert refusal(hf, mesh).startswith(f"{hf / 'config.json'}: a JSON list, expected an object")


def test_a_refused_description_is_named(directory, mesh):
    where = directory / models.MODEL_FILE
    config = json.loads(where.read_text())["config"]
    edit(where, config=config | {"D": 0})
    assert refusal(directory, mesh).startswith(f"{where}: llama.Config: D = 0")
    edit(where, family="lama")
    assert refusal(directory, mesh).startswith(f"{where}: no module 'lama'")


def test_a_gguf_that_the_family_refuses_is_named(gguf, mesh):
    gguf.write_bytes(gguf.read_bytes().replace(b"llama.block_count", b"llama.block_kount"))
    assert refusal(gguf, mesh).startswith(f"{gguf}: GGUF: the metadata key 'llama.block_count'")


def test_a_tokenizer_larger_than_the_embedding(hf, directory, mesh, tmp_path):
    texts = [" ".join(f"{a}{b}{c}" for a in "abcdefghi" for b in "jklmnopq" for c in "rstuvwxyz")]
    tokenizers.train_sentencepiece(texts, 800, tmp_path / "large.model")
    described = directory / models.MODEL_FILE
    edit(hf / "config.json", vocab_size=700)
    edit(described, config=json.loads(described.read_text())["config"] | {"V": 700})
    for folder in (hf, directory):
        shutil.copy(tmp_path / "large.model", folder / "tokenizer.model")
        said = refusal(folder, mesh)
        assert said.startswith(f"{folder}: tokenizer.model has 800 tokens"), said
        assert "only V=700 rows; use the tokenizer that the model was trained with" in said


def test_every_familys_tokenizer_comes_along(hf, random, mesh, tmp_path):
    for file in hf.glob("tokenizer*"):
        file.unlink()
    for family, make in FAMILIES.items():
        source = make(shutil.copytree(hf, tmp_path / f"{family}-source"))
        directory, exported = tmp_path / family, tmp_path / f"{family}-exported"
        opened = dataclasses.replace(models.open_model(source, mesh), load=random.load)
        models.describe(directory, opened)
        models.export_model(opened, exported)
        expected = tokenizers.load(source)
        for path in (directory, exported):
            seen = tokenizers.load(path)
            for name in ("fingerprint", "vocab_size", "bos_id", "eos_id", "filename"):
                assert getattr(seen, name) == getattr(expected, name), (path, name)

        V = expected.vocab_size - 1
        described = directory / models.MODEL_FILE
        edit(source / "config.json", vocab_size=V)
        edit(described, config=json.loads(described.read_text())["config"] | {"V": V})
        for path in (source, directory):
            said = refusal(path, mesh)
            assert said.startswith(f"{path}: {expected.filename} has {V + 1} tokens"), said


def test_a_gguf_with_a_sentencepiece_tokenizer_reads_the_one_beside_it(gguf, tokenizer_file, mesh):
    shutil.copy(tokenizer_file, gguf.parent / "tokenizer.model")
    opened = models.open_model(gguf, mesh)
    assert opened.tokenizer.fingerprint == tokenizers.load(tokenizer_file).fingerprint
    assert opened.load()["embed.w"].shape == (600, 4)


def test_a_gguf_without_its_tokenizer_says_where_to_put_it(gguf, mesh):
    said = refusal(gguf, mesh)
    assert said.startswith(f"{gguf}: tokenizer.ggml.model is 'llama'")
    assert said.endswith(
        "use the model's original tokenizer.model: put tokenizer.model, or tokenizer.json with its"
        f" tokenizer_config.json, into {gguf.parent}, where it is read"
    )


def test_another_models_tokenizer_beside_a_gguf_is_refused(gguf, mesh):
    texts = ["the quick brown fox jumps over the lazy dog"]
    tokenizers.train_sentencepiece(texts, 300, gguf.parent / "tokenizer.model")
    said = refusal(gguf, mesh)
    assert said.startswith(f"{gguf.parent / 'tokenizer.model'}: token ")
    assert f"{gguf} has " in said


def test_published_models_have_no_steps(hf, gguf, mesh):
    for path in ("bundled", hf, gguf):
        assert "step 3 was asked for" in refusal(path, mesh, step=3)


def test_parameters_go_to_devices_without_comparing_them_on_all_processes(
    hf, random, mesh, monkeypatch
):
    """`jax.device_put` does that with an array on the host and a sharding over processes."""
    opened, expected = models.open_model(hf, mesh), random.load()

    def refuse(*_, **__):
        raise AssertionError("device_put of a parameter")

    monkeypatch.setattr(jax, "device_put", refuse)
    loaded = opened.load()
    assert_same(loaded, expected)
    assert all(loaded[name].sharding == expected[name].sharding for name in loaded)


def test_one_process_describes_a_model(random, tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    models.describe(tmp_path / "run", random)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("file", ["model.json", "tokenizer.model"])
def test_a_killed_description_leaves_the_one_before(directory, random, monkeypatch, file):
    before = {file.name: file.read_bytes() for file in directory.iterdir() if file.is_file()}

    replace = os.replace

    def killed(source, target):
        if pathlib.Path(target).name == file:
            raise KeyboardInterrupt
        replace(source, target)

    for name in ("replace", "rename"):
        monkeypatch.setattr(f"os.{name}", killed)
    with pytest.raises(KeyboardInterrupt):
        models.describe(directory, dataclasses.replace(random, prompt_format="flan"))
    assert {name: (directory / name).read_bytes() for name in before} == before


def test_opening_a_directory_leaves_no_store_open(directory, mesh, monkeypatch):
    closed = []
    monkeypatch.setattr(Store, "close", lambda self, **_: closed.append(self))
    models.open_model(directory, mesh)
    assert len(closed) == 1
