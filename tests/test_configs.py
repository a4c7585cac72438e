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
from ift_jax.assemble.models import abstract_params, sized
from ift_jax.dims import Batch
from ift_jax.layers.dropout import Noise
from ift_jax.layers.lora import Lora
from ift_jax.sharding import batch_sharding, check_rows, make_mesh
from ift_jax.train.optim import OptimizerConfig, make_optimizer
from ift_jax.train.state import abstract_state, state_shardings
from ift_jax.train.step import make_train_step

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
    assert {*("quickstart", "tiny_base", "alpaca_7b", "alpaca_lora_7b", "llama_i_65b")} <= set(
        NAMES
    )


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


def test_llama_i_65b_builds_and_traces_a_step():
    """The true size, its optimizer state and a whole step on eight devices, nothing allocated."""
    config = load("llama_i_65b")
    switches = {name: config.model[name] for name in training.SWITCHES}
    functions = sized("llama:65b", switches)
    assert functions.parameter_count == 65_285_660_672
    assert functions.config.dropout == 0.05 and functions.config.dtype == "bfloat16"
    assert config.data.length <= functions.config.max_length

    mesh = make_mesh(config.mesh)
    assert mesh.shape["fsdp"] == 8
    check_rows(mesh, config.batch.rows)
    optimizer = make_optimizer(
        OptimizerConfig(**config.optimizer), functions.letters, total_steps=config.steps
    )
    params = abstract_params(functions, mesh)
    shardings = {name: leaf.sharding for name, leaf in params.items()}
    state = abstract_state(params, optimizer, shardings)
    per_device = sum(
        math.prod(leaf.sharding.shard_shape(leaf.shape)) for leaf in state.params.values()
    )
    assert per_device * 8 == functions.parameter_count, "every parameter is split over all devices"

    step = make_train_step(
        functions,
        optimizer,
        micro_steps=config.batch.micro_steps,
        noise=Noise,
        shardings=state_shardings(state, shardings),
    )
    shape = (config.batch.rows, config.data.length)

    def rows(dtype) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, dtype, sharding=batch_sharding(mesh))

    ids = [rows(jnp.int32) for _ in range(4)]
    with jax.set_mesh(mesh):
        new, metrics = jax.eval_shape(step, state, Batch(*ids, rows(jnp.float32)))
    described = [jax.tree.map(lambda x: (x.shape, x.dtype), tree) for tree in (new, state)]
    assert described[0] == described[1]
    assert metrics["loss"].shape == ()
