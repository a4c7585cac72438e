"""A LoRA run from its config: small, resumed, merged wherever it is opened, and its base kept."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ift_jax import metrics
from ift_jax.assemble import models, training
from ift_jax.layers.lora import Lora
from ift_jax.sharding import make_mesh
from tests.models.golden import logits, packed


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("lora")


@pytest.fixture
def mesh():
    return make_mesh("fsdp:4,tensor:2")


@pytest.fixture
def base(folder, tokenizer_file, mesh):
    """A random model in Hugging Face's layout; its weights large enough to matter."""
    if not (folder / "base").exists():
        random = models.random_model("llama:tiny", tokenizer_file, mesh, seed=3)
        models.export_model(random, folder / "base")
    return folder / "base"


@pytest.fixture
def config(config, base):
    config.model.init, config.model.tokenizer = str(base), None
    config.lora.rank, config.lora.alpha, config.lora.targets = 4, 8.0, "q,v,down"
    config.optimizer.lr = 0.05
    return config


@pytest.fixture
def run(config, folder):
    """The finished run's folder; made by whoever asks first."""
    if not (folder / "run").exists():
        training.train(config, folder / "run")
    return folder / "run"


def copy(run: Path, to: Path, **base: object) -> Path:
    """A copy, with changes to what it says of its base."""
    shutil.copytree(run, to)
    where = to / models.MODEL_FILE
    description = json.loads(where.read_text())
    description["base"] |= base
    where.write_text(json.dumps(description))
    return to


def losses(workdir: Path) -> list[tuple[int, float]]:
    return [(r["step"], r["loss"]) for r in metrics.read(workdir / "metrics.jsonl")]


def stored(run: Path) -> dict[str, dict[str, str]]:
    return json.loads((run / "checkpoints/6/seal.json").read_text())["content"]["arrays"]


def test_checkpoints_hold_adapters_and_their_optimizer_state_only(run, base):
    arrays = stored(run)
    assert set(arrays["params"]) == {
        f"layers.{name}.lora.{part}" for name in ("q", "v", "down") for part in "ab"
    }
    # a and b of two projections 128 → 128 and one 352 → 128, four layers of each.
    parameters = 4 * 4 * (2 * (128 + 128) + (352 + 128))
    assert (
        sum(np.prod(json.loads(text[text.index("[") :])) for text in arrays["params"].values())
        == parameters
    )
    assert not [name for name in arrays["train"] if name.endswith(".w")]
    size = sum(file.stat().st_size for file in (run / "checkpoints/6").rglob("*"))
    assert size < (base / "model.safetensors").stat().st_size / 8


def test_a_run_opens_merged_on_any_mesh_and_computes_what_was_trained(run, base, mesh):
    opened, frozen = models.open_model(run, mesh), models.open_model(base, mesh)
    assert (opened.step, opened.prompt_format) == (6, "flan")
    before, merged = frozen.load(), opened.load()
    changed = {name for name in before if np.any(before[name] != merged[name])}
    assert changed == {"layers.q.w", "layers.v.w", "layers.down.w"}
    elsewhere = models.open_model(run, make_mesh("fsdp:8")).load()
    for name in merged:
        np.testing.assert_allclose(elsewhere[name], merged[name], atol=1e-6, err_msg=name)

    adapted = frozen.functions.adapted(Lora(4, 8.0, "q,v,down"))
    with models.Store(run / models.CHECKPOINTS) as store:
        adapters = store.restore(6, models.abstract_params(adapted, mesh)).params
    batch = packed(opened.functions, 4, 24)
    with_adapters = logits(adapted, before | adapters, batch)
    np.testing.assert_allclose(logits(opened.functions, merged, batch), with_adapters, atol=1e-5)
    assert np.abs(with_adapters - logits(frozen.functions, before, batch)).max() > 0.1


def test_training_returns_the_merged_model_and_lowers_the_loss(run, config, mesh):
    finished = training.train(config, run)  # has nothing left to do
    merged = models.open_model(run, mesh).load()
    for name, weight in finished.load().items():
        np.testing.assert_allclose(weight, merged[name], atol=1e-6, err_msg=name)
    first, *_, last = losses(run)
    assert last[1] < first[1] - 0.1


def test_its_export_is_a_model_without_adapters(run, mesh, tmp_path):
    opened = models.open_model(run, mesh)
    models.export_model(opened, tmp_path / "hf")
    exported = models.open_model(tmp_path / "hf", mesh)
    assert exported.base is None
    weights = exported.load()
    for name, weight in opened.load().items():
        np.testing.assert_array_equal(weights[name], weight, err_msg=name)


def test_a_resumed_run_is_bitwise_the_same(run, config, tmp_path):
    stopped = copy(run, tmp_path / "stopped")
    shutil.rmtree(stopped / "checkpoints" / "6")
    training.train(config, stopped)
    whole, resumed = (
        models.open_model(each, make_mesh("fsdp:-1")).load() for each in (run, stopped)
    )
    for name in whole:
        np.testing.assert_array_equal(resumed[name], whole[name], err_msg=name)
    assert losses(stopped) == losses(run)


def test_other_weights_in_the_bases_place_are_refused(run, config, base, mesh, tmp_path):
    where = copy(run, tmp_path / "run") / models.MODEL_FILE
    shutil.rmtree(where.parent / "checkpoints" / "6")
    message = rf"{where}: its adapters belong to weights of fingerprint \w+, from {base}, step 0;"
    kept = tmp_path / "kept"
    base.rename(kept)
    try:
        opened = models.open_model(kept, mesh)
        weights = opened.load()
        weights["norm.scale"] = 1.01 * weights["norm.scale"]
        other = models.Model(opened.functions, opened.tokenizer, "plain", 0, lambda: weights)
        models.export_model(other, base)
        with pytest.raises(ValueError, match=message):
            models.open_model(where.parent, mesh).load()
        with pytest.raises(ValueError, match=message):
            training.train(config, where.parent)
    finally:
        shutil.rmtree(base)
        kept.rename(base)


def test_a_base_that_has_moved_is_found_where_the_file_says(run, base, mesh, tmp_path):
    lost = copy(run, tmp_path / "lost", path=str(tmp_path / "gone"))
    with pytest.raises(
        ValueError, match=r"lost/model.json: the base .*gone: neither .* into base.path"
    ):
        models.open_model(lost, mesh)
    shutil.copytree(base, tmp_path / "moved")
    found = copy(run, tmp_path / "found", path=str(tmp_path / "moved"))
    models.open_model(found, mesh).load()


def test_a_bases_checkpoint_is_the_one_trained_on_not_the_newest(run, config, base, mesh, tmp_path):
    weights = models.open_model(base, mesh).load()
    folder = tmp_path / "imported"
    with models.Store(folder / models.CHECKPOINTS) as store:
        for step, factor in ((3, 1), (5, 2)):
            store.save(step, {name: factor * weight for name, weight in weights.items()})
    models.describe(folder, models.open_model(base, mesh))
    config.model.init = str(folder)
    beside = training._named(config, models.open_model(folder, mesh, step=3), weights)
    described = json.loads((run / models.MODEL_FILE).read_text())["base"]
    assert dataclasses.asdict(beside) == described | {"path": str(folder), "step": 3}

    opened = models.open_model(copy(run, tmp_path / "run", **dataclasses.asdict(beside)), mesh)
    np.testing.assert_array_equal(opened.load()["embed.w"], weights["embed.w"])


def test_adapters_are_not_trained_beside_merged_ones(run, config, tmp_path):
    config.model.init = str(run)
    with pytest.raises(ValueError, match="run' holds adapters itself, for .*: export it"):
        training.train(config, tmp_path / "run")


def test_a_merged_model_has_its_bases_dtype(run, mesh):
    with pytest.raises(ValueError, match="belong to float32 weights, and bfloat16 was asked for"):
        models.open_model(run, mesh, switches={"param_dtype": "bfloat16"})


def test_an_unknown_projection_is_refused_before_training(config, tmp_path):
    config.lora.targets = "q_proj"
    with pytest.raises(ValueError, match="no projection 'q_proj'.* There are: down, gate, k, o"):
        training.train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_description_with_other_settings_is_refused(run, mesh, tmp_path):
    where = copy(run, tmp_path / "run") / models.MODEL_FILE
    description = json.loads(where.read_text())
    for change, message in (
        ({"rank": 3}, r"layers.q.lora.a: the checkpoint has float32\[4,128,4\], expected .*128,3"),
        ({"rank": 0}, "model.json: lora.rank = 0"),
        ({"targets": "q,wv"}, "model.json: lora.targets = 'q,wv'"),
        ({"ranks": 3}, "model.json does not describe a model.*ranks"),
    ):
        where.write_text(json.dumps(description | {"lora": description["lora"] | change}))
        with pytest.raises(ValueError, match=message):
            models.open_model(where.parent, mesh).load()


def test_a_steps_flops_leave_out_the_frozen_weights_gradients(config, base, mesh, monkeypatch):
    def all_trained(*, step_flops, target_flops, peak_flops):
        return step_flops + 8 * 128 * target_flops

    monkeypatch.setattr(metrics, "Speed", all_trained)
    functions = models.open_model(base, mesh).functions
    full, adapted = (
        training._speed(config, each, 8)
        for each in (functions, functions.adapted(Lora(4, 8.0, "all")))
    )
    assert (full, adapted) == tuple(n * 8 * functions.flops(128, 128) for n in (3, 2))
