"""Measures the loss's memory and time against the plain one, which keeps all logits.

    python benchmarks/loss.py

Value and gradients by hidden states and head at SmolLM2-135M's shape, compiled; memory is what the
compiler sets aside for temporaries. Half of the rows' targets are trained on, then all.
"""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from ift_jax.assemble import command
from ift_jax.dims import Batch
from ift_jax.layers.functional import Functions
from ift_jax.models import llama
from ift_jax.train.loss import loss_sums

_ROWS = flags.DEFINE_integer("rows", 8, "B", lower_bound=1)
_LENGTH = flags.DEFINE_integer("length", 512, "T", lower_bound=1)


class Head:
    """The functions of a model whose hidden states are given, as the parameter 'x'."""

    def __init__(self, functions: Functions):
        self.head, self.letters, self.trained = functions.head, functions.letters, functions.trained
        self._functions, self._abstract = functions, functions.abstract

    def hidden(self, params: Any, batch: Batch, noise: None) -> jax.Array:
        return params["x"]

    def unembed(self, params: Any, x: jax.Array) -> jax.Array:
        # What it doesn't read is compiled away.
        others = {name: jnp.zeros(leaf.shape) for name, leaf in self._abstract.items()}
        return self._functions.unembed({**others, **{k: params[k] for k in self.head}}, x)


def plain(functions: Head, params: Any, batch: Batch) -> tuple[jax.Array, ...]:
    """Cross-entropy from the logits of all positions."""
    logits_BTV = functions.unembed(params, functions.hidden(params, batch, None))
    log_z_BT = jax.nn.logsumexp(logits_BTV, axis=-1)
    target_BT = jnp.take_along_axis(logits_BTV, batch.targets_BT[..., None], axis=-1)[..., 0]
    correct_BT = jnp.argmax(logits_BTV, axis=-1) == batch.targets_BT
    weights_BT = batch.weights_BT
    sums = jnp.sum(weights_BT * (log_z_BT - target_BT)), jnp.sum(weights_BT * correct_BT)
    return sums[0], jnp.sum(weights_BT), sums[1]


def main() -> None:
    functions = Functions(llama, llama.SIZES["smollm2-135m"])
    B, T, D, V = _ROWS.value, _LENGTH.value, functions.config.D, functions.config.V
    rng = np.random.default_rng(0)
    params = {
        name: jnp.float32(0.02 * rng.normal(size=functions.abstract[name].shape))
        for name in functions.head
    }
    params["x"] = jnp.float32(rng.normal(size=(B, T, D)))
    ids_BT = rng.integers(0, V, (B, T))
    print(f"B {B}, T {T}, V {V}: all logits are {4 * B * T * V / 1e6:,.0f} MB")
    print("\n| targets | loss | temporary memory, MB | seconds |\n|---|---|---:|---:|")
    for share in (0.5, 1.0):
        weights_BT = np.float32(np.arange(T) >= T - share * T) * np.ones((B, 1), np.float32)
        batch = jax.device_put(Batch(ids_BT, ids_BT, ids_BT, ids_BT, weights_BT))
        for name, of in (("plain", plain), ("in chunks", loss_sums)):
            gradient = jax.value_and_grad(lambda p, b, of=of: of(Head(functions), p, b)[0])
            run = jax.jit(gradient).lower(params, batch).compile()
            jax.block_until_ready(run(params, batch))
            seconds = []
            for _ in range(3):
                started = time.perf_counter()
                jax.block_until_ready(run(params, batch))
                seconds.append(time.perf_counter() - started)
            memory = run.memory_analysis().temp_size_in_bytes
            print(
                f"| {share:.0%} | {name} | {memory / 1e6:,.0f} | {min(seconds):.2f} |", flush=True
            )


if __name__ == "__main__":
    command.run(main)
