"""Measures a training step's memory and time by remat policy, and by what it computes in.

    python benchmarks/remat.py

Of SmolLM2-135M's shape with AdamW: each policy's step is compiled, then they take turns on one
state, two steps each, the second of which is timed (see train_throughput.py). Memory is what the
compiler sets aside for temporaries, beside the state.
"""

from __future__ import annotations

import dataclasses
import time

import jax
import numpy as np
from absl import flags

from ift_jax import sharding
from ift_jax.assemble import command
from ift_jax.dims import Batch
from ift_jax.layers.functional import Functions
from ift_jax.layers.stack import REMAT
from ift_jax.models import llama
from ift_jax.train.optim import OptimizerConfig, make_optimizer
from ift_jax.train.state import new_state
from ift_jax.train.step import make_train_step

_DTYPES = flags.DEFINE_list("dtypes", "float32,bfloat16", "computed in, on float32 weights")
_ROWS = flags.DEFINE_integer("rows", 4, "B", lower_bound=1)
_LENGTH = flags.DEFINE_integer("length", 512, "T", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "timed steps of each", lower_bound=1)


def main() -> None:
    size = llama.SIZES["smollm2-135m"]
    kinds = {
        (dtype, policy): Functions(llama, dataclasses.replace(size, dtype=dtype, remat=policy))
        for dtype in _DTYPES.value
        for policy in REMAT
    }
    B, T = _ROWS.value, _LENGTH.value
    tokens = np.random.default_rng(0).integers(0, size.V, (B, T + 1), dtype=np.int32)
    ones_BT = np.ones((B, T), np.int32)
    positions_BT = np.broadcast_to(np.arange(T, dtype=np.int32), (B, T))
    weights_BT = np.float32(ones_BT)
    with jax.set_mesh(sharding.make_mesh("fsdp:-1")):
        batch = jax.device_put(
            Batch(tokens[:, :-1], positions_BT, ones_BT, tokens[:, 1:], weights_BT)
        )
        first = next(iter(kinds.values()))
        optimizer = make_optimizer(OptimizerConfig(), first.letters, total_steps=1000)
        state = new_state(first.init(jax.random.key(0)), optimizer)
        steps = {}
        for kind, functions in kinds.items():
            steps[kind] = make_train_step(functions, optimizer).lower(state, batch).compile()
            state, _ = steps[kind](state, batch)
        seconds = {kind: [] for kind in kinds}
        for _ in range(_ROUNDS.value):
            for kind, step in steps.items():
                state, metrics = step(state, batch)
                jax.block_until_ready((state, metrics))
                started = time.perf_counter()
                state, metrics = step(state, batch)
                jax.block_until_ready((state, metrics))
                seconds[kind].append(time.perf_counter() - started)
    print(f"{B} rows of {T} on {jax.devices()[0].device_kind}, JAX {jax.__version__}\n")
    print("| computed in | remat | temporary memory, GB | seconds | to none |")
    print("|---|---|---:|---:|---:|")
    for (dtype, policy), each in seconds.items():
        memory = steps[dtype, policy].memory_analysis().temp_size_in_bytes
        ratio = np.median(each) / np.median(seconds[dtype, "none"])
        print(f"| {dtype} | {policy} | {memory / 1e9:.2f} | {np.median(each):.1f} | {ratio:.2f}× |")


if __name__ == "__main__":
    command.run(main)
