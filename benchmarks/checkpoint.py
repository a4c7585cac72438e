"""Measures what a save costs the training, and how long a restore on other devices takes.

    python benchmarks/checkpoint.py --directory=DIR

A model of SmolLM2-135M's shape with AdamW (1.6 GB of state) trains on one device, saving as the
training loop does; then the checkpoint is restored on other meshes of the processor's eight
devices, and compared bit for bit.
"""

from __future__ import annotations

import os

# Read once, when JAX's CPU backend starts.
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + (
    " --xla_force_host_platform_device_count=8"
)

import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from ift_jax import sharding
from ift_jax.assemble import command
from ift_jax.assemble.program import build_program
from ift_jax.checkpoints.store import Store
from ift_jax.config import base
from ift_jax.dims import Batch
from ift_jax.layers.functional import Functions
from ift_jax.models import llama
from ift_jax.train.state import place

_DIRECTORY = flags.DEFINE_string("directory", None, "for the checkpoints", required=True)
_ROWS = flags.DEFINE_integer("rows", 4, "B", lower_bound=1)
_LENGTH = flags.DEFINE_integer("length", 512, "T", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", 3, "timed before the save", lower_bound=1)

MESHES = ("fsdp:1", "fsdp:8", "fsdp:4,tensor:2")


def main() -> None:
    config, functions = base(), Functions(llama, llama.SIZES["smollm2-135m"])
    meshes = {
        spec: sharding.make_mesh(spec, jax.devices()[: 1 if spec == MESHES[0] else 8])
        for spec in MESHES
    }
    programs = {spec: build_program(config, functions, mesh) for spec, mesh in meshes.items()}
    with jax.set_mesh(meshes[MESHES[0]]):
        program = programs[MESHES[0]]
        state = place(functions.init, program.optimizer, program.shardings, jax.random.key(0))
        size = sum(leaf.nbytes for leaf in jax.tree.leaves((state.params, state.training)))
        print(f"{size / 1e9:.2f} GB of state")

        batch = jax.device_put(
            random_batch(functions.config.V), sharding.batch_sharding(meshes[MESHES[0]])
        )

        def step(state):
            began = time.perf_counter()
            state, metrics = program.step(state, batch)
            jax.block_until_ready((state, metrics))
            return state, time.perf_counter() - began

        state, _ = step(state)  # compiles
        before, during = [], []
        for _ in range(_STEPS.value):
            state, seconds = step(state)
            before.append(seconds)
        # Of copies: an array that was read once keeps what was copied from an accelerator.
        saved = jax.tree.map(lambda x: np.array(jnp.copy(x)), (state.params, state.training))
        with Store(Path(_DIRECTORY.value)) as store:
            number, began = int(state.step), time.perf_counter()
            store.save(number, state.params, train=state.training)
            blocked = time.perf_counter() - began
            while store.latest() != number:
                state, seconds = step(state)
                during.append(seconds)
            print(f"steps before: {listed(before)} s; a save blocked for {blocked:.2f} s")
            print(f"steps until it was sealed: {listed(during)} s")
            for spec in MESHES:
                restore(store, spec, programs[spec].abstract, saved)


def restore(store, spec, abstract, saved) -> None:
    """Times it, and compares."""
    began = time.perf_counter()
    found = store.restore(store.latest(), abstract.params, train=abstract.training)
    jax.block_until_ready((found.params, found.train))
    print(f"restored on {spec} in {time.perf_counter() - began:.2f} s, checked against its seal")
    for one, other in zip(
        jax.tree.leaves((found.params, found.train)), jax.tree.leaves(saved), strict=True
    ):
        np.testing.assert_array_equal(np.asarray(one), other)


def random_batch(V: int) -> Batch:
    """Dense rows of random tokens."""
    B, T = _ROWS.value, _LENGTH.value
    tokens = np.random.default_rng(0).integers(0, V, (B, T + 1), dtype=np.int32)
    ones_BT = np.ones((B, T), np.int32)
    positions_BT = np.broadcast_to(np.arange(T, dtype=np.int32), (B, T))
    return Batch(tokens[:, :-1], positions_BT, ones_BT, tokens[:, 1:], np.float32(ones_BT))


def listed(seconds: list[float]) -> str:
    return ", ".join(f"{each:.1f}" for each in seconds)


if __name__ == "__main__":
    command.run(main)
