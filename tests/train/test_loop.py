from __future__ import annotations

import dataclasses
import gzip
import io
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from contextlib import closing

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ift_jax import metrics
from ift_jax.checkpoints.store import Quality, Store
from ift_jax.dims import Batch
from ift_jax.train.loop import Interrupted, Trace, train
from ift_jax.train.optim import OptimizerConfig, make_optimizer
from ift_jax.train.state import TrainState, abstract_state, new_state
from ift_jax.train.step import make_eval_step, make_train_step

V, D = 11, 8


LETTERS = {"embed.w": "V D", "head.w": "D V"}
ABSTRACT = {
    "embed.w": jax.ShapeDtypeStruct((V, D), "float32"),
    "head.w": jax.ShapeDtypeStruct((D, V), "float32"),
}


class Bigram:
    """The smallest family: the next token from this one."""

    letters = LETTERS
    head = ("head.w",)
    trained = ("embed.w", "head.w")

    def hidden(self, params, batch, noise=None):
        return params["embed.w"][batch.tokens_BT]

    def unembed(self, params, x):
        return x @ params["head.w"]


def batches(start: int):
    """The batches from a step on: a pure function of the step."""
    step = start
    while True:
        tokens_BT = np.random.default_rng(step).integers(0, V, (4, 6)).astype(np.int32)
        ones_BT = np.ones((4, 6), np.int32)
        yield jax.device_put(
            Batch(tokens_BT, ones_BT, ones_BT, (tokens_BT * 2 + 1) % V, np.float32(ones_BT))
        )
        step += 1


def setup(lr=0.05, schedule="cosine", warmup_ratio=0.1):
    config = OptimizerConfig(lr=lr, schedule=schedule, warmup_ratio=warmup_ratio)
    optimizer = make_optimizer(config, LETTERS, total_steps=20)
    rng = np.random.default_rng(0)
    params = {name: jnp.float32(rng.normal(size=leaf.shape)) for name, leaf in ABSTRACT.items()}
    return make_train_step(Bigram(), optimizer), new_state(params, optimizer), optimizer


def restored(store: Store, optimizer) -> TrainState:
    abstract = abstract_state(ABSTRACT, optimizer)
    found = store.restore(store.latest(), abstract.params, train=abstract.training)
    return TrainState(params=found.params, **found.train)


def progress(stop_step: int, start: int = 0) -> metrics.Progress:
    return metrics.Progress(start=start, stop=stop_step, stream=io.StringIO())


def test_logs_saves_and_evaluates_on_time(tmp_path):
    step_fn, state, optimizer = setup()
    store, writer = Store(tmp_path / "checkpoints"), metrics.Writer(tmp_path)
    shown = io.StringIO()

    state = train(
        step_fn,
        state,
        batches(0),
        stop_step=10,
        store=store,
        writer=writer,
        data={"rows": "20x6-abc"},
        save_every=4,
        log_every=3,
        evaluate=lambda params: lambda: {"eval/accuracy": 0.5},
        evaluate_every=7,
        progress=metrics.Progress(start=0, stop=10, stream=shown),
    )
    writer.close()
    assert state.step == 10
    assert store.steps() == [4, 8, 10]
    records = metrics.read(tmp_path / "metrics.jsonl")
    trained = [record for record in records if "loss" in record]
    assert [record["step"] for record in trained] == [3, 6, 9, 10]
    assert [r["step"] for r in records if "eval/accuracy" in r] == [7, 10]
    assert "step 7: eval/accuracy 0.5\n" in shown.getvalue()
    assert trained[-1]["loss"] < trained[0]["loss"]
    assert trained[0]["tokens"] == 24 and trained[0]["token_share"] == 1
    shares = {f"{part}_share" for part in metrics.PARTS}
    assert {"tokens_per_second", "step_seconds", *shares} <= trained[-1].keys()
    for record in trained[1:]:
        assert 0 <= sum(record[share] for share in shares) <= 1
    # Steps 4 and 8 were saved, 10 after its record.
    saving = [record.get("checkpoint_share", 0) > 0 for record in trained]
    assert saving == [False, True, True, False]
    found = store.restore(10, abstract_state(ABSTRACT, optimizer).params)
    assert found.data == {"rows": "20x6-abc", "next_row": 40}


FIXED = next(batches(1000))
"""What is evaluated on."""


def evaluated(directory, until, *, every=None, keep=1, batches=batches):
    """Trains with evaluations, from the newest checkpoint there; its last state and its store."""
    step_fn, state, optimizer = setup(0.3, "constant", 0)
    sums = make_eval_step(Bigram())

    def evaluate(params):
        queued = sums(params, FIXED)
        return lambda: {"eval/loss": float(queued[0] / queued[1])}

    with Store(directory, keep=keep) as store:
        if store.latest() is not None:
            state = restored(store, optimizer)
        start = int(state.step)
        with closing(metrics.Writer(directory, resume_step=start)) as writer:
            state = train(
                step_fn,
                state,
                batches(start),
                stop_step=until,
                store=store,
                writer=writer,
                save_every=5,
                evaluate=evaluate,
                evaluate_every=every,
                judge=lambda figures: Quality("eval/loss", figures["eval/loss"], False),
                progress=progress(until, start),
            )
    return state, store


def figures(directory):
    """The steps' records, and the evaluations', without what is measured by the clock."""
    wanted = ("step", "loss", "grad_norm", "eval/loss")
    records = metrics.read(directory / "metrics.jsonl")
    return [{name: record[name] for name in wanted if name in record} for record in records]


def test_evaluating_changes_no_bit_of_the_training(tmp_path):
    plain, _ = evaluated(tmp_path / "plain", 9)
    every_second, _ = evaluated(tmp_path / "evaluated", 9, every=2)
    for one, other in zip(jax.tree.leaves(plain), jax.tree.leaves(every_second), strict=True):
        np.testing.assert_array_equal(one, other)
    trained = [record for record in figures(tmp_path / "evaluated") if "loss" in record]
    assert trained == figures(tmp_path / "plain") and len(trained) == 9


def test_an_evaluation_is_queued_before_its_step_is_read(tmp_path):
    """Or the devices would stand idle between the two."""
    events = []
    step_fn, state, _ = setup()

    class Writer:
        def write(self, step, values):
            events.append(f"write {', '.join(values) if len(values) == 1 else 'step'} {step}")

    def evaluate(params):
        events.append("queue")
        return lambda: events.append("wait") or {"eval/loss": 1.0}

    train(step_fn, state, batches(0), stop_step=2, store=NullStore(), writer=Writer(),
          evaluate=evaluate, evaluate_every=2, progress=progress(2))  # fmt: skip
    assert events == ["write step 1", "queue", "write step 2", "wait", "write eval/loss 2"]


def best_of(records):
    """The step of the lowest figure, the first of equals."""
    scored = [record for record in records if "eval/loss" in record]
    return min(scored, key=lambda record: record["eval/loss"])["step"]


def rising(start: int):
    """Batches with other targets from the seventh on: what is evaluated gets worse from there."""
    for step, batch in enumerate(batches(start), start):
        shift = 0 if step < 6 else 3
        yield dataclasses.replace(batch, targets_BT=(batch.targets_BT + shift) % V)


def test_the_best_step_is_kept_and_found_by_its_figures(tmp_path):
    evaluated(tmp_path, 12, every=2, batches=rising)
    records = figures(tmp_path)
    assert [r["step"] for r in records if "eval/loss" in r] == [2, 4, 6, 8, 10, 12]
    with Store(tmp_path) as store:
        assert store.best() == best_of(records) == 6
        assert store.steps() == [6, 12]
        quality = store.quality(6)
        kept = store.restore(6, ABSTRACT).params
    loss, targets, _ = make_eval_step(Bigram())(kept, FIXED)
    assert quality == Quality("eval/loss", float(loss / targets), False)


def test_resuming_gives_the_same_best_and_the_same_records(tmp_path):
    evaluated(tmp_path / "straight", 12, every=2, batches=rising)
    for until in (3, 8, 12):
        # What ends at 3 is evaluated there too; a straight run isn't: those records are dropped.
        evaluated(tmp_path / "stopped", until, every=2, batches=rising)
    assert [r for r in figures(tmp_path / "stopped") if r["step"] != 3] == [
        r for r in figures(tmp_path / "straight") if r["step"] != 3
    ]
    for folder in ("straight", "stopped"):
        with Store(tmp_path / folder) as store:
            assert (store.best(), store.steps()) == (6, [6, 12])


def slowly_evaluated(directory: str) -> None:
    """What the subprocess below does: it gets worse from the seventh step on."""

    def slowly(start):
        for batch in rising(start):
            time.sleep(0.02)
            yield batch

    evaluated(pathlib.Path(directory), 100_000, every=2, batches=slowly)


def test_a_killed_run_keeps_its_best_and_goes_on(tmp_path):
    path = os.pathsep.join([os.getcwd(), os.path.dirname(__file__)])
    child = subprocess.Popen(
        [sys.executable, "-c", f"import test_loop; test_loop.slowly_evaluated({str(tmp_path)!r})"],
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.DEVNULL,
    )
    store = Store(tmp_path)
    deadline = time.monotonic() + 300
    while (store.latest() or 0) < 10:
        assert child.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    child.kill()
    child.wait()
    latest = store.latest()
    before = [record for record in figures(tmp_path) if record["step"] <= latest]
    assert store.best() == best_of(before) == 6
    evaluated(tmp_path, latest + 4, every=2, batches=rising)
    assert figures(tmp_path)[: len(before)] == before
    steps = [record["step"] for record in figures(tmp_path) if "loss" in record]
    assert steps == list(range(1, latest + 5))
    assert store.best() == 6


def test_resuming_repeats_the_uninterrupted_run_bit_for_bit(tmp_path):
    def run(folder, until, state=None):
        step_fn, fresh, optimizer = setup()
        store = Store(tmp_path / folder / "checkpoints")
        state = fresh if state is None else state
        start = int(state.step)
        writer = metrics.Writer(tmp_path / folder, resume_step=start)
        state = train(
            step_fn,
            state,
            batches(start),
            stop_step=until,
            store=store,
            writer=writer,
            progress=progress(until, start),
        )
        writer.close()
        return state, restored(store, optimizer)

    straight, _ = run("straight", 12)
    _, saved = run("stopped", 5)
    _, saved = run("stopped", 6, saved)
    assert saved.step == 6
    resumed, _ = run("stopped", 12, saved)
    for one, other in zip(jax.tree.leaves(straight), jax.tree.leaves(resumed), strict=True):
        np.testing.assert_array_equal(one, other)
    losses = [
        [(r["step"], r["loss"]) for r in metrics.read(tmp_path / folder / "metrics.jsonl")]
        for folder in ("straight", "stopped")
    ]
    assert losses[0] == losses[1] and len(losses[0]) == 12


class NullStore:
    def save(self, step, params, *, train, data, quality):
        pass

    def check_errors(self):
        pass

    def wait(self):
        pass


def test_reads_a_step_only_after_the_next_is_started(tmp_path):
    """Or the device would stand idle while numbers are printed."""
    events = []
    step_fn, state, _ = setup()

    class Writer:
        def write(self, step, values):
            events.append(f"log {step}")

    def noted(state, batch):
        events.append("start")
        return step_fn(state, batch)

    train(
        noted,
        state,
        batches(0),
        stop_step=3,
        store=NullStore(),
        writer=Writer(),
        progress=progress(3),
    )
    assert events == ["start", "start", "log 1", "start", "log 2", "log 3"]


@pytest.mark.parametrize(
    ("start", "stop_step", "steps"), [(0, 5, [2, 3]), (0, 2, [2]), (2, 5, [3]), (3, 5, [])]
)
def test_a_profile_is_traced(tmp_path, start, stop_step, steps):
    """Also where the run ends within it, or goes on within or after it."""
    step_fn, state, _ = setup()
    state = dataclasses.replace(state, step=state.step + start)
    shown = io.StringIO()
    train(
        step_fn,
        state,
        batches(start),
        stop_step=stop_step,
        store=NullStore(),
        writer=metrics.Writer(tmp_path),
        progress=metrics.Progress(start=start, stop=stop_step, stream=shown),
        trace=Trace(tmp_path / "profile", after=1, steps=2),
    )
    found = []
    for trace in (tmp_path / "profile").glob("plugins/profile/*/*.trace.json.gz"):
        events = json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
        found += [int(each["args"]["step_num"]) for each in events if each.get("name") == "train"]
    assert sorted(found) == steps
    said = f"steps {min(steps)} to {max(steps)} are traced in" if steps else "traced"
    assert (said in shown.getvalue()) == bool(steps)


def test_what_is_saved_has_its_record(tmp_path):
    """A run that is killed right after a save goes on behind it, and would never write it."""
    found = []

    class Noting(NullStore):
        def save(self, step, params, *, train, data, quality):
            found.append((step, metrics.read(tmp_path / "metrics.jsonl")[-1]["step"]))

    step_fn, state, _ = setup()
    train(
        step_fn,
        state,
        batches(0),
        stop_step=5,
        store=Noting(),
        writer=metrics.Writer(tmp_path),
        save_every=2,
        progress=progress(5),
    )
    assert found == [(2, 2), (4, 4), (5, 5)]


def test_a_failed_save_stops_the_run_at_the_next_step(tmp_path):
    class Full(NullStore):
        failed = False

        def save(self, step, params, *, train, data, quality):
            self.failed = True

        def check_errors(self):
            if self.failed:
                raise ValueError("step 2 was not saved: no space left")

    step_fn, state, _ = setup()
    seen = []

    def counted(state, batch):
        seen.append(1)
        return step_fn(state, batch)

    with pytest.raises(ValueError, match="step 2 was not saved"):
        train(
            counted,
            state,
            batches(0),
            stop_step=9,
            store=Full(),
            writer=metrics.Writer(tmp_path),
            save_every=2,
            progress=progress(9),
        )
    assert len(seen) == 3


def test_a_skipped_step_is_told(tmp_path):
    step_fn, state, _ = setup()
    shown = io.StringIO()

    def one_bad():
        for step, batch in enumerate(batches(0)):
            scale = jnp.inf if step == 1 else 1.0
            yield dataclasses.replace(batch, weights_BT=batch.weights_BT * scale)

    train(
        step_fn,
        state,
        one_bad(),
        stop_step=3,
        store=NullStore(),
        writer=metrics.Writer(tmp_path),
        progress=metrics.Progress(start=0, stop=3, stream=shown),
    )
    assert "step 2: loss or gradient is not finite" in shown.getvalue()


def test_host_arrays_in_the_step_are_refused(tmp_path):
    step_fn, state, _ = setup()
    on_host = (jax.tree.map(np.asarray, batch) for batch in batches(0))
    with pytest.raises(Exception, match="Disallowed host-to-device transfer"):
        train(
            step_fn,
            state,
            on_host,
            stop_step=2,
            store=NullStore(),
            writer=metrics.Writer(tmp_path),
            progress=progress(2),
        )


def test_batches_that_end_early(tmp_path):
    step_fn, state, _ = setup()
    first = next(batches(0))
    with pytest.raises(ValueError, match="batches end at step 1, expected 5 steps"):
        train(
            step_fn,
            state,
            iter([first]),
            stop_step=5,
            store=NullStore(),
            writer=metrics.Writer(tmp_path),
            progress=progress(5),
        )


def test_a_state_past_the_last_step(tmp_path):
    step_fn, state, _ = setup()
    state, _ = step_fn(state, next(batches(0)))
    with pytest.raises(ValueError, match="at step 1, past the last step asked for, 0"):
        train(
            step_fn,
            state,
            batches(1),
            stop_step=0,
            store=NullStore(),
            writer=metrics.Writer(tmp_path),
        )


def slow_run(directory: str) -> None:
    """What the subprocess below does."""
    step_fn, state, _ = setup()

    def slowly(state, batch):
        time.sleep(0.02)
        return step_fn(state, batch)

    with Store(directory) as store:
        train(
            slowly,
            state,
            batches(0),
            stop_step=100_000,
            store=store,
            writer=metrics.Writer(directory),
        )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_exits_cleanly(tmp_path, number):
    path = os.pathsep.join([os.getcwd(), os.path.dirname(__file__)])
    child = subprocess.Popen(
        [sys.executable, "-c", f"import test_loop; test_loop.slow_run({str(tmp_path)!r})"],
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        log = tmp_path / "metrics.jsonl"
        deadline = time.monotonic() + 120
        while not (log.exists() and len(metrics.read(log)) >= 3):
            assert child.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        child.send_signal(number)
        _, errors = child.communicate(timeout=60)
    finally:
        child.kill()
    assert child.returncode == 0, errors
    told = re.search(rf"{number.name}: saved step (\d+) of 100000", errors)
    assert told, errors
    _, _, optimizer = setup()
    state = restored(Store(tmp_path), optimizer)
    assert state.step == int(told[1]) == metrics.read(log)[-1]["step"]


def test_a_script_may_catch_the_interruption_and_handlers_are_put_back(tmp_path):
    step_fn, state, _ = setup()
    before = signal.getsignal(signal.SIGTERM)

    def and_signal(state, batch):
        os.kill(os.getpid(), signal.SIGTERM)
        return step_fn(state, batch)

    with pytest.raises(Interrupted) as caught:
        train(
            and_signal,
            state,
            batches(0),
            stop_step=5,
            store=NullStore(),
            writer=metrics.Writer(tmp_path),
            progress=progress(5),
        )
    assert (caught.value.step, caught.value.code) == (1, 0)
    assert signal.getsignal(signal.SIGTERM) is before
