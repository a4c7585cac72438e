"""Every config of the repo loads, passes its checks, and describes a run that can be built."""

from __future__ import annotations

import importlib.util
import math
import pathlib

import jax
import jax.numpy as jnp
import pytest

from ift_jax import config as configs
from ift_jax.assemble import training
from ift_jax.assemble.models import sized
from ift_jax.assemble.planning.plan import abstract_batch
from ift_jax.assemble.program import build_program
from ift_jax.layers.lora import Lora
from ift_jax.sharding import check_rows, make_mesh
from ift_jax.train.optim import OptimizerConfig, make_schedule

FOLDER = pathlib.Path(__file__).parent.parent / "configs"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))
CASES = [*((name,) for name in NAMES), ("quickstart", "statements")]


def load(name: str, *arg: str):
    """The config that `--config=configs/NAME.py[:ARG]` gives."""
    spec = importlib.util.spec_from_file_location(f"configs_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(*arg)


def test_the_promised_configs_are_here():
    finetunings = {"alpaca_7b", "alpaca_lora_7b", "llama_i_65b", "flan_palm_62b", "opt_iml_30b"}
    finetunings |= {"flan_t5_xxl", "symbol_tuning", "smollm2"}
    assert {"quickstart", "tiny_base", *finetunings} <= set(NAMES)


@pytest.mark.parametrize("case", CASES, ids=":".join)
def test_config_loads_and_passes_its_checks(case):
    config = load(*case)
    assert config.is_locked
    configs.check(config)
    assert training.read_mixture(config).format == config.mixture.format
    OptimizerConfig(**config.optimizer)


def test_a_misspelt_override_is_refused():
    with pytest.raises(AttributeError, match="weight_decay"):
        load("alpaca_7b").optimizer.weight_decy = 0.1


def test_alpaca_7b_is_stanfords_recipe():
    config = load("alpaca_7b", "some/file.json")
    assert config.mixture.entries[0]["task"] == "alpaca:some/file.json"
    rows, gpus, per_gpu, accumulated, epochs = 52_002, 4, 4, 8, 3
    batches = math.ceil(math.ceil(rows / gpus) / per_gpu)
    assert config.steps == epochs * (batches // accumulated) == 1218
    assert config.batch.examples == gpus * per_gpu * accumulated == 128


def test_alpaca_lora_7b_is_their_recipe():
    """And trains, in 32 layers, q and v at rank 8: 32 · 2 · 8 · (4,096 + 4,096) parameters."""
    config = load("alpaca_lora_7b", "some/file.json")
    assert config.mixture.entries[0]["task"] == "alpaca:some/file.json"
    rows, held_out, per_step, batch, epochs = 52_002, 2_000, 128, 4, 3
    batches = math.ceil((rows - held_out) / batch)
    assert config.steps == epochs * (batches // (per_step // batch)) == 1170
    assert math.ceil(config.optimizer.warmup_ratio * config.steps) == 100
    functions = sized("llama:7b").adapted(Lora(**config.lora))
    trained = sum(math.prod(functions.abstract[name].shape) for name in functions.trained)
    assert trained == 4_194_304


def test_flan_palm_62b_is_llama_i_65b_on_another_model():
    """LLaMA-I's protocol is Chung et al.'s, of whose models PaLM 62B is the nearest in size."""
    flan_palm, llama_i = load("flan_palm_62b", "a/tokenizer.model"), load("llama_i_65b")
    differing = {
        key: seen
        for (key, seen), (_, other) in zip(
            configs.leaves(flan_palm), configs.leaves(llama_i), strict=True
        )
        if seen != other
    }
    assert differing == {"model.init": "palm:62b", "model.tokenizer": "a/tokenizer.model"}


def test_opt_iml_30b_is_its_papers_table_3():
    config = load("opt_iml_30b")
    assert round(config.steps * config.batch.rows * config.data.length / 1e9) == 2
    schedule = make_schedule(OptimizerConfig(**config.optimizer), config.steps)
    rates = jax.device_get(jax.jit(schedule)(jnp.arange(config.steps + 1)))
    assert rates.argmax() == 60 and rates[60] == pytest.approx(5e-5)
    assert rates[2030] == pytest.approx(2.5e-5) and rates[4000] == 0


@pytest.mark.parametrize(
    ("name", "size", "count", "dropout", "copies"),
    [
        # Norm scales, which a tensor axis of 4 doesn't split.
        ("llama_i_65b", "llama:65b", 65_285_660_672, 0.05, 3 * (2 * 80 + 1) * 8192),
        # Likewise, and each layer's one key and value head.
        ("flan_palm_62b", "palm:62b", 62_495_662_080, 0.05, 3 * (65 + 64 * 2 * 256) * 8192),
        # Position biases, which only a tensor axis splits.
        ("flan_t5_xxl", "t5:xxl", 11_135_332_352, 0.05, 7 * 2 * 32 * 64),
        # Biases of q, k, v and the first MLP matrix, likewise.
        ("opt_iml_30b", "opt:30b", 29_974_540_288, 0.1, 7 * 48 * (3 * 7168 + 28672)),
    ],
)
def test_a_large_config_builds_and_traces_a_step(name, size, count, dropout, copies):
    """The true size, its optimizer state and a whole step on eight devices, nothing allocated."""
    config = load(name)
    switches = {name: config.model[name] for name in training.SWITCHES}
    functions = sized(size, switches)
    assert functions.parameter_count == count
    assert functions.config.dropout == dropout and functions.config.dtype == "bfloat16"
    assert config.data.length <= functions.config.max_length

    mesh = make_mesh(config.mesh)
    check_rows(mesh, config.batch.rows)
    program = build_program(config, functions, mesh)
    state = program.abstract
    per_device = sum(
        math.prod(leaf.sharding.shard_shape(leaf.shape)) for leaf in state.params.values()
    )
    assert per_device * 8 == count + copies, "all else is split over all devices"
    with jax.set_mesh(mesh):
        new, metrics = jax.eval_shape(program.step, state, abstract_batch(config, functions, mesh))
    described = [jax.tree.map(lambda x: (x.shape, x.dtype), tree) for tree in (new, state)]
    assert described[0] == described[1]
    assert metrics["loss"].shape == ()
