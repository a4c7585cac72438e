"""Measures a training step's memory, time and MFU by remat policy, and by what it computes in.

    python benchmarks/train_step.py
    python benchmarks/train_step.py --model=llama:3.2-1b --dtypes=bfloat16 --rows=8 --length=2048

Of a published size with random weights and AdamW: each policy's step is compiled, then they take
turns on one state, two steps each, the second of which is timed (see train_throughput.py). Memory
is what the compiler sets aside for temporaries, beside the state. MFU counts, by hand from the
dimensions, what the model needs; it is held against the device's data sheet, where there is one,
and against the fastest product of the same run. `--remat` leaves out what doesn't fit.
"""

from __future__ import annotations

import time

import jax
import numpy as np
from absl import flags
from products import product_rate

from ift_jax import sharding
from ift_jax.assemble import command
from ift_jax.assemble.models import abstract_params, sized
from ift_jax.dims import Batch
from ift_jax.layers.stack import REMAT
from ift_jax.metrics import peak_flops
from ift_jax.train.optim import OptimizerConfig, make_optimizer
from ift_jax.train.state import abstract_state, place, state_shardings
from ift_jax.train.step import make_train_step

_MODEL = flags.DEFINE_string("model", "llama:smollm2-135m", "FAMILY:SIZE")
_DTYPES = flags.DEFINE_list("dtypes", "float32,bfloat16", "computed in, on float32 weights")
_REMAT = flags.DEFINE_list("remat", list(REMAT), "policies")
_ROWS = flags.DEFINE_integer("rows", 4, "B", lower_bound=1)
_LENGTH = flags.DEFINE_integer("length", 512, "T", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "timed steps of each", lower_bound=1)


def main() -> None:
    kinds = {
        (dtype, policy): sized(_MODEL.value, {"dtype": dtype, "remat": policy})
        for dtype in _DTYPES.value
        for policy in _REMAT.value
    }
    first = next(iter(kinds.values()))
    c, B, T = first.config, _ROWS.value, _LENGTH.value
    tokens = np.random.default_rng(0).integers(0, c.V, (B, T + 1), dtype=np.int32)
    ones_BT = np.ones((B, T), np.int32)
    positions_BT = np.broadcast_to(np.arange(T, dtype=np.int32), (B, T))
    weights_BT = np.float32(ones_BT)
    mesh = sharding.make_mesh("fsdp:-1")
    with jax.set_mesh(mesh):
        batch = Batch(tokens[:, :-1], positions_BT, ones_BT, tokens[:, 1:], weights_BT)
        batch = jax.device_put(batch, sharding.batch_sharding(mesh))
        optimizer = make_optimizer(OptimizerConfig(), first.letters, total_steps=1000)
        params = abstract_params(first, mesh)
        placed = {name: leaf.sharding for name, leaf in params.items()}
        shardings = state_shardings(abstract_state(params, optimizer), placed)
        state = place(first.init, optimizer, shardings, jax.random.key(0))
        steps = {}
        for kind, functions in kinds.items():
            step = make_train_step(functions, optimizer, shardings=shardings)
            steps[kind] = step.lower(state, batch).compile()
            state, _ = steps[kind](state, batch)
        seconds = {kind: [] for kind in steps}
        for _ in range(_ROUNDS.value):
            for kind, step in steps.items():
                state, metrics = step(state, batch)
                jax.block_until_ready((state, metrics))
                started = time.perf_counter()
                state, metrics = step(state, batch)
                jax.block_until_ready((state, metrics))
                seconds[kind].append(time.perf_counter() - started)
    rates = {dtype: product_rate(dtype, tokens=B * T, D=c.D, F=c.F) for dtype in _DTYPES.value}
    flops = 3 * B * first.flops(T, T)
    print(
        f"{_MODEL.value}, {B} rows of {T}; {len(jax.devices())} × {jax.devices()[0].device_kind},"
    )
    print(f"JAX {jax.__version__}; {flops / 1e12:.2f} Tflop a step by hand; the fastest product:")
    print(", ".join(f"{dtype} {rate / 1e12:.3f} Tflop/s" for dtype, rate in rates.items()) + "\n")
    print(
        "| computed in | remat | temporary memory, GB | seconds | to the first | tokens/s"
        " | of the fastest product | MFU |"
    )
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for (dtype, policy), each in seconds.items():
        memory = steps[dtype, policy].memory_analysis().temp_size_in_bytes
        took = np.median(each)
        ratio = took / np.median(next(of for (kind, _), of in seconds.items() if kind == dtype))
        peak = peak_flops(jax.devices(), dtype)
        cells = (
            dtype,
            policy,
            f"{memory / 1e9:.2f}",
            f"{took:.3g} ({min(each):.3g} … {max(each):.3g})",
            f"{ratio:.2f}×",
            f"{B * T / took:,.0f}",
            f"{flops / took / rates[dtype] / len(jax.devices()):.0%}",
            f"{flops / took / peak:.0%}" if peak else "",
        )
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    command.run(main)
