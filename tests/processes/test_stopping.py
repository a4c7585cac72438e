"""One of several processes is asked to stop: all do, after the same step."""

from __future__ import annotations

import signal

import pytest

PROGRAM = """
import os, signal, sys
import jax
from ift_jax import metrics
from ift_jax.assemble import processes
from ift_jax.dims import Batch
from ift_jax.sharding import make_mesh, replicated
from ift_jax.train.loop import Interrupted, train
from ift_jax.train.state import TrainState

number, at = map(int, sys.argv[1:])
processes.connect()
everywhere = replicated(make_mesh("fsdp:-1"))


class Store:
    saved = None

    def save(self, step, params, **_):
        self.saved = step

    def check_errors(self): ...

    def wait(self): ...


class Writer:
    def write(self, *_): ...


def batches():
    for step in range(30):
        if step == at and jax.process_index() == 1:
            os.kill(os.getpid(), number)
        yield jax.device_put(Batch(*[jax.numpy.ones((4, 6))] * 5), everywhere)


@jax.jit
def step_fn(state, batch):
    seen = {"loss": 1.0, "tokens": 24, "target_tokens": 9, "token_share": 1.0}
    seen["skipped"] = state.skipped
    return TrainState(state.step + 1, {}, {}, state.skipped), jax.tree.map(jax.numpy.asarray, seen)


state = jax.device_put(TrainState(0, {}, {}, 0), everywhere)
store = Store()
try:
    train(step_fn, state, batches(), stop_step=30, store=store, writer=Writer())
except Interrupted as stop:
    print(f"saved {store.saved}, stopped after {stop.step} by {stop.signal_name}")
else:
    print("never stopped")
"""
"""Trains nothing in steps that no process needs another for; process 1 is signalled before one."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_all_stop_after_the_same_step(launch, number):
    (launch.folder / "stopped.py").write_text(PROGRAM)
    printed = launch(2, 2, "stopped.py", str(int(number)), "5")
    # Before step 6: told with its metrics, which are read when step 7 is queued.
    told = f"saved 7, stopped after 7 by {number.name}"
    lines = printed.splitlines()
    assert f"[0] {told}" in lines
    assert f"[1] {told}" in lines
