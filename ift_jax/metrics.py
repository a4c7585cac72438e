"""Where numbers about a run go: `metrics.jsonl`, TensorBoard, and a line on the console."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import jax
from tqdm import tqdm

SECONDS_BETWEEN_LINES = 10.0


class Writer:
    """Writes scalars of a run to `<directory>/metrics.jsonl` and TensorBoard events beside it.

    A record is one JSON object a line, `{"step": 40, "loss": 1.25, …}`, where step counts the
    updates made so far. Not-a-number and infinities are written as null, which JSON has.

    A run that resumes at step s keeps its records up to s and drops later ones: those steps are
    about to be done again. In a run of several processes, process 0 alone writes.
    """

    def __init__(self, directory: str | os.PathLike[str], *, resume_step: int = 0):
        """Opens the files.

        Args:
            directory: made if it isn't there.
            resume_step: records of later steps are dropped.

        Raises:
            ValueError: the `metrics.jsonl` there isn't one of ours; names the line.
        """
        self._enabled = jax.process_index() == 0
        if not self._enabled:
            return
        # Imported here: it takes longer than the rest, and evaluation alone doesn't write events.
        from tensorboardX import SummaryWriter

        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / "metrics.jsonl"
        if path.exists():
            _truncate(path, resume_step)
        self._file = path.open("a", encoding="utf-8")
        self._events = SummaryWriter(str(directory), purge_step=resume_step + 1)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Appends one record, on disk when this returns."""
        if not self._enabled:
            return
        record = {name: _finite(value) for name, value in values.items()}
        self._file.write(json.dumps({"step": step, **record}) + "\n")
        self._file.flush()
        for name, value in values.items():
            self._events.add_scalar(name, value, step)

    def close(self) -> None:
        """Flushes and closes the files."""
        if self._enabled:
            self._file.close()
            self._events.close()


def read(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The records of a `metrics.jsonl`.

    A torn last line, which a killed run leaves behind, is left out.

    Raises:
        ValueError: another line isn't a record; names file and line.
    """
    lines = Path(path).read_text(encoding="utf-8").split("\n")
    # What follows the last newline is empty, or a line that was never finished.
    records = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            record = json.loads(line)
            record["step"] + 0
        except (ValueError, TypeError, KeyError):
            raise ValueError(
                f"{path}: line {number} is {line[:80]!r}, expected a JSON object with a number"
                " 'step'; move the file away to start a new one"
            ) from None
        records.append(record)
    return records


def _truncate(path: Path, step: int) -> None:
    kept = [record for record in read(path) if record["step"] <= step]
    rewritten = path.with_suffix(".jsonl.new")
    with rewritten.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in kept)
        file.flush()
        os.fsync(file.fileno())
    rewritten.replace(path)


def _finite(value: float) -> float | int | None:
    return value if math.isfinite(value) else None


class Progress:
    """Steps done so far on the console: a bar on a terminal, else a line every few seconds."""

    def __init__(self, *, start: int, stop: int, stream: TextIO | None = None):
        """Shows a run from step `start` to step `stop` on `stream`, by default stderr."""
        self._stream = sys.stderr if stream is None else stream
        self._start, self._stop, self._step = start, stop, start
        self._began = self._last_line = time.monotonic()
        quiet = jax.process_index() != 0
        self._lines = not quiet and not self._stream.isatty()
        columns, rows = shutil.get_terminal_size()
        self._bar = tqdm(
            total=stop,
            initial=start,
            file=self._stream,
            disable=quiet or self._lines,
            unit="step",
            # Not tqdm's own look-up, which shows nothing in a container's terminal of size 0.
            ncols=columns,
            nrows=rows,
            bar_format="step {n_fmt}/{total_fmt} {bar:20} {desc}, {remaining} left",
        )

    def show(self, step: int, values: Mapping[str, float]) -> None:
        """Shows that `step` updates are made, with `describe(values)`."""
        text = describe(values)
        if not self._lines:
            self._bar.set_description_str(text, refresh=False)
            self._bar.update(step - self._step)
        self._step = step
        now = time.monotonic()
        if self._lines and (now - self._last_line >= SECONDS_BETWEEN_LINES or step == self._stop):
            self._last_line = now
            left = (now - self._began) / max(step - self._start, 1) * (self._stop - step)
            self.say(f"step {step}/{self._stop}: {text}, {tqdm.format_interval(left)} left")

    def say(self, line: str) -> None:
        """Prints a line of its own, above the bar."""
        if self._lines:
            print(line, file=self._stream, flush=True)
        elif not self._bar.disable:
            self._bar.write(line, file=self._stream)

    def close(self) -> None:
        """Ends the bar."""
        self._bar.close()


def describe(values: Mapping[str, float]) -> str:
    """The figures that a person follows during training, as `loss 1.234, 5,678 tokens/s, …`."""
    parts = [f"loss {values['loss']:.3f}"]
    if "tokens_per_second" in values:
        parts.append(f"{values['tokens_per_second']:,.0f} tokens/s")
    parts.append(f"{values['token_share']:.0%} non-pad")
    if "mfu" in values:
        parts.append(f"{values['mfu']:.0%} MFU")
    for part in PARTS:
        share = values.get(f"{part}_share", 0)
        if part != "device" and share >= WORTH_SAYING:
            parts.append(f"{share:.0%} of the time for {part}")
    return ", ".join(parts)


PEAK_FLOPS = {
    "NVIDIA A100": 312e12,
    "NVIDIA H100": 989e12,
    "NVIDIA H100 NVL": 835.5e12,
    "NVIDIA H100 PCIe": 756e12,
    "NVIDIA H200": 989e12,
    "NVIDIA H200 NVL": 835.5e12,
    "TPU v4": 275e12,
    "TPU v5": 459e12,
    "TPU v5 lite": 197e12,
    "TPU v6 lite": 918e12,
}
"""FLOP/s of a device in dense bfloat16, from its maker's data sheet, by how JAX calls its kind."""


def peak_flops(devices: Sequence[jax.Device], dtype: str) -> float | None:
    """The peak of all devices together, per second; None where no data sheet's figure is known.

    Args:
        devices: all of one kind.
        dtype: of the matrix products.
    """
    kind = devices[0].device_kind
    if " MIG " in kind:
        return None  # a part of a card
    known = max((name for name in PEAK_FLOPS if kind.startswith(name)), key=len, default=None)
    return PEAK_FLOPS[known] * len(devices) if known and dtype == "bfloat16" else None


PARTS = ("input", "device", "logging", "checkpoint")
"""What a training loop's time goes to: waiting for a batch, waiting for the device's figures of the
step before, writing them, and saving. The rest is small: starting steps."""

WORTH_SAYING = 0.05
"""A share of the time that the console names, but for the device's."""


class Speed:
    """Time per step and what was done in it, measured between one report and the next.

    The step that compiles is left out: timing begins with the first `lap`.
    """

    def __init__(
        self,
        *,
        step_flops: float | None = None,
        target_flops: float = 0.0,
        peak_flops: float | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ):
        """Makes a meter.

        Args:
            step_flops: floating-point operations of a step, forward and backward, counted from
                the model's dimensions, but for those of `target_flops`.
            target_flops: those of each trained target, which alone are projected.
            peak_flops: the peak of all devices together, per second, as their maker states it
                for the compute dtype; with `step_flops` it gives `mfu`.
            clock: seconds.
        """
        self._step_flops, self._target_flops = step_flops, target_flops
        self._peak_flops, self._clock = peak_flops, clock
        self._since: float | None = None
        self._start_over()

    def _start_over(self) -> None:
        self._steps = self._tokens = self._targets = 0.0
        self._spent = dict.fromkeys(PARTS, 0.0)

    @contextmanager
    def spending(self, part: str) -> Iterator[None]:
        """Counts the time spent inside as one of `PARTS`."""
        began = self._clock()
        yield
        self._spent[part] += self._clock() - began

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leaves out the time spent inside, such as an evaluation's."""
        began = self._clock()
        yield
        if self._since is not None:
            self._since += self._clock() - began

    def lap(self, tokens: float, targets: float = 0.0) -> None:
        """Notes that a step is done.

        Args:
            tokens: that it consumed, padding not counted.
            targets: that it trained on.
        """
        if self._since is None:
            self._since = self._clock()
            self._start_over()
            return
        self._steps += 1
        self._tokens += tokens
        self._targets += targets

    def report(self) -> dict[str, float]:
        """Figures since the last report; empty while no timed step is done.

        Returns:
            `step_seconds` (mean), `tokens_per_second`, the share of time that each of `PARTS` took
            (`input_share` …), and `mfu`, the share of the stated peak, where both are known.
        """
        if self._since is None or not self._steps:
            return {}
        now = self._clock()
        seconds = max(now - self._since, 1e-9)
        figures = {
            "step_seconds": seconds / self._steps,
            "tokens_per_second": self._tokens / seconds,
            **{f"{part}_share": spent / seconds for part, spent in self._spent.items()},
        }
        if self._step_flops and self._peak_flops:
            flops = self._step_flops * self._steps + self._target_flops * self._targets
            figures["mfu"] = flops / seconds / self._peak_flops
        self._since = now
        self._start_over()
        return figures
