"""Models opened in whatever form they lie on disk."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ift_jax.assemble import models
from ift_jax.checkpoints.store import Store
from ift_jax.sharding import make_mesh


@pytest.fixture
def mesh():
    return make_mesh("fsdp:4,tensor:2")


@pytest.fixture
def random(tokenizer_file, mesh):
    return models.random_model("llama:tiny", tokenizer_file, mesh, seed=3)


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
