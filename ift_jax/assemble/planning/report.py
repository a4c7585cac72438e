"""A plan as a page on the terminal and as JSON, with what to change where it doesn't fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from ift_jax.assemble.planning.chips import read_topology
from ift_jax.assemble.planning.plan import Compiled, Plan


def as_json(plan: Plan) -> dict[str, Any]:
    """A plan's fields, `fits` first, with what to change."""
    return {"fits": plan.fits} | dataclasses.asdict(plan) | {"change": advice(plan)}


def advice(plan: Plan) -> list[str]:
    """What to change where a plan doesn't fit, what saves most for least first; else nothing."""
    if plan.fits:
        return []
    state = plan.parameter_bytes + plan.optimizer_bytes
    changes = []
    if plan.optimizer == "adamw" and plan.optimizer_bytes > plan.hbm / 8:
        changes.append(
            f"--config.optimizer.name=adafactor: its state takes next to nothing of"
            f" {gigabytes(plan.optimizer_bytes)} a chip (and wants a learning rate of its own)"
        )
    if plan.remat != "full":
        changes.append(
            "--config.model.remat=full: keeps each block's input only, for a third more operations"
        )
    here = plan.rows // plan.micro_steps // (plan.mesh["data"] * plan.mesh["fsdp"])
    if here > 1:
        changes.append(
            f"--config.batch.micro_steps={2 * plan.micro_steps}: half of the {here} rows that are"
            " on a chip at once"
        )
    if plan.mesh["data"] > 1:
        changes.append(
            f"--config.mesh: data:{plan.mesh['data']} holds as many copies of the weights; give its"
            " chips to fsdp"
        )
    # Gradients are as large as the parameters; and something must be left for activations.
    least = (state + plan.parameter_bytes) * plan.chips / (0.8 * plan.hbm)
    chip, _ = read_topology(plan.topology)
    kind = plan.topology.partition(":")[0]
    larger = [
        f"{kind}:{shape}"
        for shape in chip.slices
        if read_topology(f"{kind}:{shape}")[1] > max(plan.chips, least)
    ]
    if larger:
        changes.append(
            f"--topology={larger[0]}, with the new chips on fsdp (or on tensor, where rows don't"
            f" divide over more): each holds less of the {gigabytes(state * plan.chips)} of state"
        )
    return changes


def page(plan: Plan) -> str:
    """A plan as text."""
    training = plan.training
    lengths = f"{plan.length:,} tokens"
    if plan.encoder_length:
        lengths = f"{plan.encoder_length:,} + {lengths}"
    mesh = ", ".join(f"{axis} {size}" for axis, size in plan.mesh.items())
    lines = [
        f"{plan.model} ({plan.parameters:,} parameters) on {plan.topology}:"
        f" {'fits' if plan.fits else 'DOES NOT FIT'}",
        f"  {plan.chips} chips of {gigabytes(plan.hbm)}; mesh: {mesh}",
        f"  a step: {plan.rows} rows of {lengths}, micro-batches: {plan.micro_steps};"
        f" {plan.optimizer}, remat {plan.remat}, {plan.dtype}",
        "",
    ]
    memory, work = training.memory, training.work
    state = plan.parameter_bytes + plan.optimizer_bytes
    rows = [
        ("training, a chip", "by hand", "compiled"),
        ("parameters", gigabytes(plan.parameter_bytes), ""),
        ("optimizer state", gigabytes(plan.optimizer_bytes), ""),
        ("both, and the batch", gigabytes(state), memory and gigabytes(memory.arguments)),
        ("activations, temporaries", "", memory and gigabytes(memory.temporaries)),
        ("total", "", _total(training, plan.hbm)),
        ("operations", tera(plan.chip_flops), work and tera(work.flops)),
        (
            "to and from memory",
            gigabytes(plan.moved_by_hand),
            work and gigabytes(work.moved),
        ),
        (
            "sent to other chips",
            gigabytes(sum(plan.sent_by_hand.values())),
            work and gigabytes(work.bytes_sent),
        ),
    ]
    rows += [(f"  along {axis}", gigabytes(sent), "") for axis, sent in plan.sent_by_hand.items()]
    if work:
        rows += [
            (f"  {work.count[kind]:,} × {kind}", "", gigabytes(sent))
            for kind, sent in work.sent.items()
        ]
    lines += table(rows)
    lines += [
        "",
        f"by the roofline: compute {plan.times.compute:.3f} s, memory {plan.times.memory:.3f} s,"
        f" communication {plan.times.communication:.3f} s a step",
        f"predicted MFU {plan.mfu:.0%}; {plan.mfu_overlapped:.0%} if all communication is hidden",
    ]
    if plan.scoring:
        lines += ["", *table(_scoring(plan))]
    refusals = [each.refusal for each in (training, *plan.scoring.values()) if each.refusal]
    lines += [f"the compiler: {refusal}" for refusal in refusals]
    if changes := advice(plan):
        lines += ["", "what to change:", *(f"- {change}" for change in changes)]
    return "\n".join(lines)


def table(rows: Sequence[Sequence[str | None]]) -> list[str]:
    """Lines of a table, its first column to the left and the others to the right."""
    filled = [[cell or "" for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*filled, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in filled
    ]


def gigabytes(size: float) -> str:
    """Bytes as text."""
    return f"{size / 1e9:,.2f} GB"


def tera(flops: float) -> str:
    """Operations as text."""
    return f"{flops / 1e12:,.1f} T"


def _total(program: Compiled, hbm: float) -> str:
    if program.memory:
        total = program.memory.total
        return f"{gigabytes(total)} of {gigabytes(hbm)}, {total / hbm:.0%}"
    if not program.needed:
        return "refused"
    return f"at least {gigabytes(program.needed)} of {gigabytes(hbm)}"


def _scoring(plan: Plan) -> list[tuple[str, ...]]:
    rows = [("scoring a subject's questions, a chip", "operations", "sent", "memory")]
    for name, program in plan.scoring.items():
        done = program.work
        rows.append(
            (
                f"  {name}",
                tera(done.flops) if done else "",
                gigabytes(done.bytes_sent) if done else "",
                _total(program, plan.hbm),
            )
        )
    return rows
