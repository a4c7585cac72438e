"""The training loop: feeds batches to the step, logs, saves, evaluates, and stops when asked to."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ift_jax.dims import Batch
from ift_jax.metrics import Progress, Speed, Writer
from ift_jax.train.state import TrainState

SIGNAL = "signal"
"""Beside a step's metrics, where there are several processes: what asks them to stop, or 0."""


class Store(Protocol):
    """What the loop needs of `checkpoints.store.Store`."""

    def save(
        self, step: int, params: Any, *, train: Any, data: Mapping[str, Any], quality: Any
    ) -> None:
        """Starts saving; has copied the arrays when it returns, as the next step consumes them."""

    def check_errors(self) -> None:
        """Raises if a save in the background has failed."""

    def wait(self) -> None:
        """Returns when the last save is complete on disk, or raises."""


@dataclasses.dataclass(frozen=True)
class Trace:
    """Which steps to profile.

    Attributes:
        directory: for TensorBoard's profiler and Perfetto.
        after: the step after which the first one begins.
        steps: how many.
    """

    directory: str | os.PathLike[str]
    after: int
    steps: int


class Interrupted(SystemExit):
    """Training was asked to stop (SIGTERM, Ctrl-C), saved, and can be resumed.

    A script that doesn't catch it ends there, with exit status 0.
    """

    def __init__(self, step: int, signal_name: str):
        super().__init__(0)
        self.step, self.signal_name = step, signal_name


def train(
    step_fn: Callable[[TrainState, Batch], tuple[TrainState, dict[str, jax.Array]]],
    state: TrainState,
    batches: Iterator[Batch],
    *,
    stop_step: int,
    store: Store,
    writer: Writer,
    data: Mapping[str, Any] | None = None,
    save_every: int | None = None,
    log_every: int = 1,
    evaluate: Callable[[Any], Callable[[], dict[str, float]]] | None = None,
    evaluate_every: int | None = None,
    judge: Callable[[Mapping[str, float]], Any] | None = None,
    speed: Speed | None = None,
    progress: Progress | None = None,
    trace: Trace | None = None,
) -> TrainState:
    """Trains from `state.step` to `stop_step`, and saves at the end.

    The device is never left idle for the console: metrics of a step are read while the next one
    runs, or its evaluation.

    Args:
        step_fn: see `step.make_train_step`; consumes the state it is given.
        state: new or restored; consumed.
        batches: the batch of step `state.step`, then the following ones, on their devices.
        stop_step: steps in all, those before a resume included.
        store: given the state every `save_every` steps, at the end, and when interrupted, with the
            data position `next_row`; asked for errors of earlier saves after every step.
        data: JSON about the data, saved beside their position.
        writer: given a record every `log_every` steps, at the last step, and after evaluations.
        save_every: None saves at the end only.
        log_every: steps between records, and readings of the console.
        evaluate: called with the parameters every `evaluate_every` steps and after the last; must
            leave them as they are. Queues what it can on the devices, behind the step, and returns
            what waits for the figures.
        evaluate_every: None never evaluates.
        judge: from an evaluation's figures to what the store is told of the step's quality, unless
            that is None; a step that has some is saved.
        speed: meter, for runs that know their FLOPs.
        progress: console, by default on stderr.
        trace: what to profile; in a run of several processes, of process 0.

    Returns:
        The last state, saved.

    Raises:
        Interrupted: SIGTERM or SIGINT came; the step in progress was finished and saved. A second
            signal isn't waited for and acts as it does elsewhere. Several processes all stop after
            the same step, whichever was signalled, one or two steps later.
        ValueError: batches end early, or the state is past `stop_step`.
    """
    step = saved = int(state.step)
    if step > stop_step:
        raise ValueError(f"the state is at step {step}, past the last step asked for, {stop_step}")
    speed = speed or Speed()
    progress = progress or Progress(start=step, stop=stop_step)
    skipped = int(state.skipped)

    def log(step: int, metrics: dict[str, jax.Array]) -> None:
        nonlocal skipped
        with speed.spending("device"):
            values = {name: value.item() for name, value in jax.device_get(metrics).items()}
        if number := values.pop(SIGNAL, 0):
            stop.append(number)
        speed.lap(values["tokens"], values["target_tokens"])
        if values["skipped"] > skipped:
            skipped = values["skipped"]
            progress.say(
                f"step {step}: loss or gradient is not finite, or no token is trained on;"
                f" update skipped ({skipped} so far)"
            )
        if step % log_every == 0 or step == stop_step:
            values |= speed.report()
            with speed.spending("logging"):
                writer.write(step, values)
                progress.show(step, values)

    def save(quality: Any = None) -> None:
        nonlocal saved
        position = {**(data or {}), "next_row": step * batch.tokens_BT.shape[0]}
        with speed.spending("checkpoint"):
            store.save(step, state.params, train=state.training, data=position, quality=quality)
        saved = step

    traced_from: int | None = None

    def begin_trace(traced: ExitStack) -> None:
        if jax.process_index() == 0:
            where = trace.directory
            # Once it is written: after the last of its steps, or where the run ends before.
            traced.callback(
                lambda: progress.say(f"steps {traced_from} to {step} are traced in {where}")
            )
            traced.enter_context(jax.profiler.trace(where))

    pending: tuple[int, dict[str, jax.Array]] | None = None
    with _asked_to_stop() as asked, closing(progress), ExitStack() as traced:
        # A signal may reach one process of several, or each at another step: what they go by is
        # what each step's metrics say that any had been sent, as all read those at the same step.
        stop = asked if jax.process_count() == 1 else []
        while step < stop_step and not stop:
            if trace and traced_from is None and trace.after <= step < trace.after + trace.steps:
                with speed.paused():
                    jax.block_until_ready(state)
                    begin_trace(traced)
                traced_from = step + 1
            with speed.spending("input"):
                batch = next(batches, None)
            if batch is None:
                raise ValueError(f"batches end at step {step}, expected {stop_step} steps")
            # Host data that slips into the step would be copied again every time: refuse it.
            with (
                jax.profiler.StepTraceAnnotation("train", step_num=step + 1),
                jax.transfer_guard_host_to_device("disallow"),
            ):
                state, metrics = step_fn(state, batch)
            step += 1
            if stop is not asked:
                metrics |= {SIGNAL: _largest(asked, state.step.sharding.mesh)}
            if pending is not None:
                log(*pending)
            pending = (step, metrics)
            if traced_from and step == trace.after + trace.steps:
                with speed.spending("device"):
                    jax.block_until_ready(state)
                with speed.paused():
                    traced.close()
            store.check_errors()
            quality = None
            if evaluate_every and (step % evaluate_every == 0 or step == stop_step):
                with speed.paused():  # the first time it compiles
                    wait_for_figures = evaluate(state.params)
                log(*pending)
                pending = None
                with speed.paused():
                    figures = wait_for_figures()
                writer.write(step, figures)
                progress.say(f"step {step}: {_listed(figures)}")
                quality = judge and judge(figures)
            if quality is not None or (save_every and step % save_every == 0):
                if pending is not None:
                    # Before it is saved: killed after that, it isn't done again.
                    log(*pending)
                    pending = None
                save(quality)
        if pending is not None:
            log(*pending)
        if saved != step:
            save()
        store.wait()
        if stop and step < stop_step:
            name = signal.Signals(stop[0]).name
            where = f"saved step {step} of {stop_step}" if step else "stopped before the first step"
            progress.say(f"{name}: {where}; the same command goes on from there")
            raise Interrupted(step, name)
    return state


def _listed(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in figures.items())


def _largest(numbers: Sequence[int], mesh: Mesh) -> jax.Array:
    """The largest of the processes' first numbers, 0 without any: a scalar on all, to come."""
    number = np.array(numbers[:1] or [0], np.int32)
    by_device = NamedSharding(mesh, PartitionSpec(mesh.axis_names))
    return _max(jax.make_array_from_callback((mesh.size,), by_device, lambda _: number))


_max = jax.jit(jnp.max)


@contextmanager
def _asked_to_stop() -> Iterator[list[int]]:
    """A list that the number of the first SIGTERM or SIGINT is put into, instead of dying of it."""
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked  # Only the main thread may handle signals.
        return
    signals = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in signals}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, frame: Any) -> None:
        asked.append(number)
        restore()

    for number in signals:
        signal.signal(number, note)
    try:
        yield asked
    finally:
        restore()
