"""Plans of a config with other meshes, remat policies, optimizers and micro-batches, ranked."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
from ml_collections import ConfigDict

from ift_jax.assemble.planning.chips import Chip
from ift_jax.assemble.planning.plan import Plan, plan, stated_rows
from ift_jax.assemble.planning.report import gigabytes, table

TENSOR = (1, 2, 4, 8)
OPTIMIZERS = ("adamw", "adafactor")
THRIFT = (("none", 1), ("dots", 1), ("full", 1), ("full", 2), ("full", 4))
"""Remat policies and numbers of micro-batches, each saving memory and taking longer than the one
before it."""


def sweep(
    config: ConfigDict,
    topology: str,
    chip: Chip,
    devices: Sequence[jax.Device],
    say: Callable[[str], Any],
) -> list[Plan]:
    """Plans of the training step that fit, the highest predicted MFU first.

    For each mesh and optimizer, of `THRIFT` the first that fits is taken: what follows it is
    slower. Scoring isn't compiled.

    Args:
        config: of the run, whose rows, lengths and model stay as they are.
        topology, chip, devices: see `plan.plan`.
        say: is told of each try.

    Raises:
        ValueError: the config doesn't state its rows, or nothing could be tried; see `plan.plan`.
    """
    stated_rows(config)
    fitting, planned, refusals = [], 0, []
    for mesh in meshes(len(devices)):
        for optimizer in OPTIMIZERS:
            for tried in _variants(config, mesh, optimizer):
                label = f"{mesh} {optimizer} {tried.model.remat} ×{tried.batch.micro_steps}"
                try:
                    made = plan(tried, topology, chip, devices, scoring=False)
                except ValueError as error:
                    # What is wrong with the config is so in every try.
                    if not refusals or str(error) != str(refusals[-1]):
                        say(f"{label}: {error}")
                    refusals.append(error)
                    continue
                planned += 1
                say(f"{label}: {f'fits, MFU {made.mfu:.0%}' if made.fits else 'does not fit'}")
                if made.fits:
                    fitting.append(made)
                    break
    if not planned:
        raise refusals[0]
    return sorted(fitting, key=lambda made: -made.mfu)


def meshes(chips: int) -> list[str]:
    """The meshes that are tried: all chips on fsdp, or some of them on tensor."""
    return [f"fsdp:{chips // tensor},tensor:{tensor}" for tensor in TENSOR if chips % tensor == 0]


def ranking(plans: Sequence[Plan]) -> str:
    """A table of plans."""
    rows = [("mesh", "optimizer", "remat", "micro-batches", "memory", "step", "MFU")]
    for made in plans:
        mesh = ",".join(f"{axis}:{size}" for axis, size in made.mesh.items() if size > 1)
        rows.append(
            (
                mesh,
                made.optimizer,
                made.remat,
                str(made.micro_steps),
                gigabytes(made.training.memory.total),
                f"{made.times.step:.2f} s",
                f"{made.mfu:.0%}",
            )
        )
    return "\n".join(table(rows))


def _variants(config: ConfigDict, mesh: str, optimizer: str) -> Iterator[ConfigDict]:
    for remat, micro_steps in THRIFT:
        if config.batch.rows % micro_steps == 0:
            tried = copy.deepcopy(config)
            tried.mesh, tried.optimizer.name = mesh, optimizer
            tried.model.remat, tried.batch.micro_steps = remat, micro_steps
            yield tried
