"""Pickled weights: refused wherever they are named, with the command that converts them."""

from __future__ import annotations

import shlex

import pytest

from ift_jax.assemble import models
from ift_jax.checkpoints import pickles, safetensors

ARCHIVE = b"PK\x03\x04 and so on"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "a model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama"}')
    return folder


def command(error: pytest.ExceptionInfo) -> list[str]:
    """The words of the command that an error gives, on its last line."""
    why, line = str(error.value).split("\n")
    assert why.endswith(":")
    return shlex.split(line)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "consolidated.00.pth", "model.pt"])
def test_a_folder_of_pickles_is_refused_with_the_command(folder, name):
    (folder / name).write_bytes(ARCHIVE)
    with pytest.raises(pickles.PickleError, match=rf"pickled weights \({name}\); reading") as error:
        safetensors.open_model(folder)
    *_, code, out, weights = command(error)
    compile(code, "code", "exec")
    assert "weights_only=True" in code
    assert (out, weights) == (str(folder / "model.safetensors"), str(folder / name))


def test_all_shards_are_converted_and_nothing_else(folder):
    shards = [f"pytorch_model-{i:05}-of-00005.bin" for i in range(1, 6)]
    for name in (*shards, "training_args.bin", "optimizer.pt"):
        (folder / name).write_bytes(ARCHIVE)
    for path in (folder, folder / shards[1]):
        with pytest.raises(pickles.PickleError, match="00003-of-00005.bin and 2 more") as error:
            pickles.refuse(path)
        assert command(error)[-5:] == [str(folder / name) for name in shards]


def test_safetensors_are_taken_where_there_are_both(folder):
    (folder / "pytorch_model.bin").write_bytes(ARCHIVE)
    (folder / "model.safetensors").write_bytes(b"short")
    with pytest.raises(safetensors.SafetensorsError, match="5 bytes, too short"):
        safetensors.open_model(folder)


@pytest.mark.parametrize("name", ["x.bin", "x.pt", "x.pth"])
def test_importing_a_pickled_file_is_refused(folder, name):
    (folder / name).write_bytes(ARCHIVE)
    with pytest.raises(pickles.PickleError, match=f"{name}: pickled weights .* then import"):
        models.open_published(folder / name)


def test_weights_without_a_config_are_no_model_to_convert(tmp_path):
    (tmp_path / "consolidated.00.pth").write_bytes(ARCHIVE)
    for path in (tmp_path, tmp_path / "consolidated.00.pth"):
        with pytest.raises(pickles.PickleError, match=r"No config.json .* fetch it in Hugging"):
            models.open_published(path)


def test_other_files_are_not_pickles(folder):
    for name in ("stories.bin", "m.gguf"):
        (folder / name).write_bytes(b"@\0\0\0")
        pickles.refuse(folder / name)
    pickles.refuse(folder)
    (folder / "old.pt").write_bytes(ARCHIVE)
    pickles.refuse(folder / "stories.bin")  # whatever lies beside it
    (folder / "protocol4.bin").write_bytes(b"\x80\x04")
    with pytest.raises(pickles.PickleError):
        pickles.refuse(folder / "protocol4.bin")
