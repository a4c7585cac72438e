"""Measures training: this package and Hugging Face's, on the same weights and tokens.

    python scripts/export_checkpoint.py --checkpoint=DIR --out=MODEL
    python benchmarks/train_throughput.py --model=MODEL --alpaca=FILE --reference_python=PYTHON

PYTHON is an interpreter with what huggingface_train.py needs; there the other trains, in a process
of its own. Both have the model in memory, and what they compile compiled, before the clock is
read; then they take turns, some updates each, with all cores: on dense batches, all of whose tokens
are trained on, and on the rows of a file in Stanford Alpaca's format, which here are packed and
there padded to the longest of a micro-batch: drawn as they come, or grouped by length as the
Trainer's `group_by_length` does. Each system makes as many updates on the same examples.

A turn's first update is made twice, and the second time counts: what a system frees at the end of
a turn goes back to the kernel, and taking it again costs page faults, which a run without pauses
doesn't have. What the first ones took is reported, too.

`--dtype=bfloat16` computes in bfloat16 on float32 weights, there by autocast. On a machine with a
GPU that both find, both train there; set XLA_PYTHON_CLIENT_MEM_FRACTION=0.45, so that JAX leaves
the other its half of the memory. (No GPU has run this yet.)
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags
from products import product_rate

from ift_jax import sharding
from ift_jax.assemble import command
from ift_jax.assemble.models import Model, open_model
from ift_jax.assemble.training import build_rows
from ift_jax.config import base
from ift_jax.data import rows
from ift_jax.dims import PADDING, Batch
from ift_jax.layers.stack import REMAT
from ift_jax.train.optim import OptimizerConfig, make_optimizer
from ift_jax.train.state import new_state
from ift_jax.train.step import make_train_step

_MODEL = flags.DEFINE_string("model", None, "a folder in Hugging Face's layout", required=True)
_ALPACA = flags.DEFINE_string("alpaca", None, "instructions in Alpaca's format", required=True)
_PYTHON = flags.DEFINE_string("reference_python", None, "the other's interpreter", required=True)
_DTYPE = flags.DEFINE_enum("dtype", "float32", ["float32", "bfloat16"], "computed in")
_REMAT = flags.DEFINE_enum("remat", "none", list(REMAT), "what ift-jax makes again backwards")
_LENGTH = flags.DEFINE_integer("length", 512, "tokens of a row", lower_bound=1)
_ROWS = flags.DEFINE_integer("rows", 4, "dense rows an update", lower_bound=1)
_EXAMPLES = flags.DEFINE_integer("examples", 16, "instructions an update", lower_bound=1)
_MICRO_BATCH = flags.DEFINE_integer("micro_batch", 8, "instructions padded together", lower_bound=1)
_TURNS = flags.DEFINE_integer("turns", 3, "of each system", lower_bound=1)
_EACH = flags.DEFINE_integer("each", 2, "timed updates of a turn", lower_bound=1)
_ONLY = flags.DEFINE_enum("only", None, ["dense", "alpaca"], "one of the two kinds of batches")
_JSON = flags.DEFINE_string("json", None, "file for the figures of each update")

OPTIMIZER = {
    "lr": 1e-5,
    "b1": 0.9,
    "b2": 0.999,
    "eps": 1e-8,
    "weight_decay": 0.01,
    "clip_norm": 1.0,
}


def main() -> None:
    mesh = sharding.make_mesh("fsdp:-1")
    switches = {"dtype": _DTYPE.value, "remat": _REMAT.value}
    model = open_model(_MODEL.value, mesh, switches=switches)
    with jax.set_mesh(mesh):
        ours, theirs = Ours(model), Theirs()
        kinds = {"dense": dense, "alpaca": alpaca}
        figures = {
            kind: turns(ours, theirs, *make(model, mesh))
            for kind, make in kinds.items()
            if _ONLY.value in (None, kind)
        }
    print(f"\n{setting(theirs)}\n\n{table(model, figures)}")
    if _JSON.value:
        Path(_JSON.value).write_text(json.dumps(figures, indent=2))


Update = Sequence[Mapping[str, list[list[int]]]]
"""What the other makes an update of: micro-batches of `tokens` and `targets`, of each example a
list; targets that aren't trained on are -100."""


def dense(model: Model, mesh: jax.sharding.Mesh) -> tuple[list[Batch], dict[str, list[Update]]]:
    """Batches of random tokens, all of them trained on, one more than are timed."""
    rng = np.random.default_rng(0)
    B, T = _ROWS.value, _LENGTH.value
    batches, updates = [], []
    for _ in range(1 + _TURNS.value * _EACH.value):
        tokens = rng.integers(0, model.functions.config.V, (B, T + 1), dtype=np.int32)
        positions_BT = np.broadcast_to(np.arange(T, dtype=np.int32), (B, T))
        ones_BT = np.ones((B, T), np.int32)
        batch = Batch(tokens[:, :-1], positions_BT, ones_BT, tokens[:, 1:], np.float32(ones_BT))
        batches.append(batch)
        updates.append([micro_batch(examples(batch))])
    return batches, {"unpadded": updates}


def alpaca(model: Model, mesh: jax.sharding.Mesh) -> tuple[list[Batch], dict[str, list[Update]]]:
    """Packed instructions, one batch more than are timed, and the same as the other has them."""
    config = base()
    config.mixture.entries = ({"task": f"alpaca:{Path(_ALPACA.value).absolute()}"},)
    config.mixture.format = "alpaca"
    config.data.length = _LENGTH.value
    config.batch.examples = _EXAMPLES.value
    timed_updates = _TURNS.value * _EACH.value
    config.steps = 1 + timed_updates
    with tempfile.TemporaryDirectory() as directory:
        config.data.dir = directory
        source, per_step = build_rows(config, model, mesh)
        batches = list(rows.batches(source, per_step, 0, config.steps))
    rng = np.random.default_rng(0)
    timed = [example for batch in batches[1:] for example in examples(batch)]
    drawn = [timed[i] for i in rng.permutation(len(timed))]
    by_length = sorted(drawn, key=lambda example: -len(example[0]))
    first = updates_of(examples(batches[0]), 1, rng)
    return batches, {
        "padded": first + updates_of(drawn, timed_updates, rng),
        "grouped": updates_of(by_length, timed_updates, rng),
    }


Example = tuple[list[int], list[int]]
"""(tokens, targets)"""


def examples(batch: Batch) -> list[Example]:
    """Those packed in a batch's rows."""
    found = []
    for row, segments_T in enumerate(batch.segments_BT):
        targets_T = np.where(batch.weights_BT[row] > 0, batch.targets_BT[row], -100)
        for segment in range(PADDING + 1, segments_T.max() + 1):
            mine_T = segments_T == segment
            found.append((batch.tokens_BT[row][mine_T].tolist(), targets_T[mine_T].tolist()))
    return found


def micro_batch(chosen: Sequence[Example]) -> dict[str, list[list[int]]]:
    tokens, targets = zip(*chosen, strict=True)
    return {"tokens": tokens, "targets": targets}


def updates_of(chosen: Sequence[Example], count: int, rng: np.random.Generator) -> list[Update]:
    """Micro-batches of neighbours, in random order dealt out to so many updates.

    The Trainer groups within 50 batches: more than are measured here.
    """
    size = _MICRO_BATCH.value
    batches = [micro_batch(chosen[i : i + size]) for i in range(0, len(chosen), size)]
    shuffled = [batches[i] for i in rng.permutation(len(batches))]
    return [shuffled[i::count] for i in range(count)]


class Ours:
    """This package's train step."""

    def __init__(self, model: Model):
        functions = model.functions
        optimizer = make_optimizer(
            OptimizerConfig(**OPTIMIZER), functions.letters, total_steps=1000
        )
        self._state = new_state(model.load(), optimizer)
        self._step = make_train_step(functions, optimizer)
        self._sizes = functions.config

    def product_rate(self) -> float:
        """See `products.product_rate`."""
        c = self._sizes
        tokens = _ROWS.value * _LENGTH.value
        return product_rate(_DTYPE.value, tokens=tokens, D=c.D, F=c.F)

    def update(self, batch: Batch) -> tuple[float, float, float]:
        """Seconds, those of processor time that were the system's, and the loss before."""
        started, system = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_stime
        self._state, metrics = self._step(self._state, jax.device_put(batch))
        loss = float(jax.block_until_ready((self._state, metrics))[1]["loss"])
        system = resource.getrusage(resource.RUSAGE_SELF).ru_stime - system
        return time.perf_counter() - started, system, loss


class Theirs:
    """huggingface_train.py, which waits for work in a process of its own.

    Attributes:
        versions: of what it runs on.
    """

    def __init__(self):
        options = {
            "model": _MODEL.value,
            "dtype": _DTYPE.value,
            "threads": os.cpu_count(),
            **OPTIMIZER,
        }
        script = Path(__file__).with_name("huggingface_train.py")
        self._process = subprocess.Popen(
            [_PYTHON.value, script, *(f"--{key}={value}" for key, value in options.items())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )
        self.versions = self._answer()

    def update(self, update: Update) -> tuple[float, float, float]:
        """See `Ours.update`."""
        self._process.stdin.write(json.dumps(update) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        line = self._process.stdout.readline()
        if not line:
            raise ValueError(f"huggingface_train.py ended with status {self._process.wait()}")
        return json.loads(line)


def turns(
    ours: Ours, theirs: Theirs, batches: Sequence[Batch], updates: Mapping[str, list[Update]]
) -> dict[str, Any]:
    """Updates in turns, after one that compiles, of those who have one more for it.

    Returns:
        By system: seconds, and the system's processor time, of each timed update (`seconds`) and of
        each turn's first (`after_pauses`); `slots`, the positions of all; the losses of the first
        update. Tokens and targets of all; and operations a second of the fastest product.
    """
    systems = {"ift-jax": (ours.update, batches)}
    systems |= {name: (theirs.update, mine) for name, mine in updates.items()}
    timed, each = len(batches) - 1, _EACH.value
    first = {name: update(work[0])[-1] for name, (update, work) in systems.items() if work[timed:]}
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in systems}
    after_pauses: dict[str, list[tuple[float, float]]] = {name: [] for name in systems}
    fastest = 0.0
    for turn in range(_TURNS.value):
        fastest = max(fastest, ours.product_rate())
        for name in (list(systems), list(reversed(systems)))[turn % 2]:
            update, work = systems[name]
            begin = len(work) - timed + turn * each
            after_pauses[name].append(update(work[begin])[:2])
            seconds[name] += [update(work[i])[:2] for i in range(begin, begin + each)]
            print(name, *(f"{took:.2f} s" for took, _ in seconds[name][-each:]), flush=True)
    slots = {"ift-jax": sum(batch.tokens_BT.size for batch in batches[1:])}
    slots |= {name: sum(map(slots_of, mine[-timed:])) for name, mine in updates.items()}
    return {
        "seconds": seconds,
        "after_pauses": after_pauses,
        "tokens": sum(int((batch.segments_BT != PADDING).sum()) for batch in batches[1:]),
        "targets": sum(int((batch.weights_BT > 0).sum()) for batch in batches[1:]),
        "slots": slots,
        "first_losses": first,
        "product_rate": fastest,
    }


def slots_of(update: Update) -> int:
    """Positions of an update's micro-batches, padding too."""
    return sum(len(each["tokens"]) * max(map(len, each["tokens"])) for each in update)


def setting(theirs: Theirs) -> str:
    versions = f"Python {platform.python_version()}, JAX {jax.__version__}"
    return (
        f"{_DTYPE.value}, {os.cpu_count()} threads on {jax.devices()[0].device_kind}; {versions};"
        f" {theirs.versions}; load {os.getloadavg()[0]:.1f}"
    )


def table(model: Model, figures: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown."""
    lines = [
        "| batches | system | s an update, mean (least … most) | tokens/s | target tokens/s"
        " | useful slots | ift-jax to it |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    notes = []
    for kind, found in figures.items():
        seconds = {name: [took for took, _ in each] for name, each in found["seconds"].items()}
        total = {name: sum(each) for name, each in seconds.items()}
        for name, each in seconds.items():
            lines.append(
                f"| {kind} | {name} | {np.mean(each):.1f} ({min(each):.1f} … {max(each):.1f})"
                f" | {found['tokens'] / total[name]:.1f} | {found['targets'] / total[name]:.1f}"
                f" | {found['tokens'] / found['slots'][name]:.1%}"
                f" | {total[name] / total['ift-jax']:.2f}× |"
            )
        for what in ("after_pauses", "seconds"):
            means = (
                f"{name} {np.mean(each, axis=0)[0]:.1f} s ({np.mean(each, axis=0)[1]:.1f} s)"
                for name, each in found[what].items()
            )
            which = "first" if what == "after_pauses" else "other"
            notes.append(f"{kind}: a turn's {which} updates (system time): {', '.join(means)}")
        losses = ", ".join(f"{name} {loss:.6f}" for name, loss in found["first_losses"].items())
        notes.append(f"{kind}: losses of the first update: {losses}")
        if kind == "dense":
            needed = 3 * model.functions.flops(_LENGTH.value, _LENGTH.value) / _LENGTH.value
            rates = {name: needed * found["tokens"] / each for name, each in total.items()}
            shares = (f"{n} {rate / found['product_rate']:.0%}" for n, rate in rates.items())
            notes.append(
                f"dense: {needed / 1e9:.3f} Gflop a token by hand; the fastest product"
                f" {found['product_rate'] / 1e9:,.0f} Gflop/s, of which {', '.join(shares)}"
            )
    return "\n".join([*lines, "", *notes])


if __name__ == "__main__":
    command.run(main)
