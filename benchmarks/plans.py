"""Makes the plans of docs/plans, and prints the tables of docs/scaling.md.

    python benchmarks/plans.py          makes those that are missing: minutes each, on two cores
    python benchmarks/plans.py --table  prints the tables of those that are there

It needs TPUs' compiler, `pip install 'ift-jax[tpu]'`, and no TPU.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "plans"

LLAMA, PALM = "llama_i_65b", "flan_palm_62b"

PLANS = {
    "llama_65b": (LLAMA, "v5p:4x4x4"),
    "llama_7b": (LLAMA, "v5e:4x8", "model.init=llama:7b"),
    "llama_13b": (LLAMA, "v5p:2x2x4", "model.init=llama:13b"),
    "llama_33b": (LLAMA, "v5p:2x4x4", "model.init=llama:33b"),
    "llama_2_70b": (LLAMA, "v5p:4x4x4", "model.init=llama:2-70b"),
    "flan_t5_xxl": ("flan_t5_xxl", "v5p:2x4x4"),
    "opt_30b": ("opt_iml_30b", "v5p:4x4x4"),
    "falcon_40b": (LLAMA, "v5p:4x4x4", "model.init=falcon:40b"),
    "palm_62b": (PALM, "v5p:4x4x4"),
    "palm_540b": (PALM, "v5p:4x8x8", "model.init=palm:540b", "mesh=fsdp:32,tensor:8"),
}
"""Name → config, slice, and what is changed of the config."""

BASE = {"model.init": "llama:7b", "mesh": "fsdp:-1", "batch.rows": 32, "data.length": 2048}
GROWTH = [
    *(("chips", f"v5p:{shape}", {}) for shape in ("2x2x1", "2x2x2", "2x2x4", "2x4x4")),
    *(("rows", "v5p:2x2x2", {"batch.rows": rows}) for rows in (16, 64)),
    ("length", "v5p:2x2x2", {"data.length": 1024}),
    ("length", "v5p:2x2x2", {"data.length": 512, "data.target_limit": 256}),
    ("size", "v5p:2x2x2", {"model.init": "llama:13b"}),
    *(("tensor", "v5p:2x2x2", {"mesh": f"fsdp:-1,tensor:{tensor}"}) for tensor in (2, 4)),
]
"""What is varied, on which slice, and what is changed of `BASE`."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if not options.table:
        for path, config, topology, changes in commands():
            if not path.exists():
                make(path, config, topology, changes)
    print("\n".join(plans()), "\n", "\n".join(growth()), sep="\n")


def commands() -> Iterator[tuple[Path, str, str, list[str]]]:
    """(file, config, slice, further options) of every plan."""
    for name, (config, topology, *changes) in PLANS.items():
        words = [f"--config.{change}" for change in changes]
        yield FOLDER / f"{name}.json", config, topology, words
    for number, (varied, topology, changes) in enumerate(GROWTH):
        words = [f"--config.{key}={value}" for key, value in (BASE | changes).items()]
        path = FOLDER / "growth" / f"{number:02}_{varied}.json"
        yield path, LLAMA, topology, [*words, "--noscoring"]


def make(path: Path, config: str, topology: str, changes: list[str]) -> None:
    """Runs plan.py."""
    path.parent.mkdir(parents=True, exist_ok=True)
    words = [f"--config=configs/{config}.py", *changes, f"--topology={topology}"]
    print(f"python scripts/plan.py {' '.join(words)} --json={path.relative_to(ROOT)}", flush=True)
    subprocess.run(
        [sys.executable, "scripts/plan.py", *words, f"--json={path}"], cwd=ROOT, check=False
    )


def plans() -> Iterator[str]:
    """The table of plans."""
    yield "| model | slice | mesh | rows × length | optimizer | state | temporaries | of HBM |" + (
        " step | MFU |"
    )
    yield "|---|---|---|---|---|---:|---:|---:|---:|---:|"
    for name in PLANS:
        path = FOLDER / f"{name}.json"
        if not path.exists():
            yield f"| {name} | not made yet |" + " |" * 8
            continue
        plan = json.loads(path.read_text())
        state = plan["parameter_bytes"] + plan["optimizer_bytes"]
        memory = plan["training"]["memory"] or {"temporaries": 0, "total": 0}
        read = f"{plan['encoder_length']} + " if plan["encoder_length"] else ""
        cells = (
            plan["model"],
            plan["topology"],
            mesh(plan),
            f"{plan['rows']} × {read}{plan['length']}",
            plan["optimizer"],
            f"{state / 1e9:.1f} GB",
            f"{memory['temporaries'] / 1e9:.1f} GB",
            f"{memory['total'] / plan['hbm']:.0%}" if plan["fits"] else "does not fit",
            f"{seconds(plan):.2f} s",
            f"{plan['mfu']:.0%} … {plan['mfu_overlapped']:.0%}",
        )
        yield f"| {' | '.join(cells)} |"


def growth() -> Iterator[str]:
    """The table of how cost grows."""
    yield "| model | chips | mesh | rows × length | TFLOP by hand | compiled | GB of state |" + (
        " arguments | temporaries | GB sent by hand | compiled |"
    )
    yield "|---|---:|---|---|---:|---:|---:|---:|---:|---:|---:|"
    for path, *_ in list(commands())[len(PLANS) :]:
        if not path.exists():
            continue
        plan = json.loads(path.read_text())
        memory, work = plan["training"]["memory"], plan["training"]["work"]
        state = plan["parameter_bytes"] + plan["optimizer_bytes"]
        refused = ["does not fit"] * 4
        compiled = (
            refused
            if work is None
            else [
                f"{work['flops'] / 1e12:.0f}",
                f"{memory['arguments'] / 1e9:.2f}",
                f"{memory['temporaries'] / 1e9:.1f}",
                f"{sum(work['sent'].values()) / 1e9:.1f}",
            ]
        )
        cells = (
            plan["model"],
            str(plan["chips"]),
            mesh(plan),
            f"{plan['rows']} × {plan['length']}",
            f"{plan['chip_flops'] / 1e12:.0f}",
            compiled[0],
            f"{state / 1e9:.2f}",
            *compiled[1:3],
            f"{sum(plan['sent_by_hand'].values()) / 1e9:.1f}",
            compiled[3],
        )
        yield f"| {' | '.join(cells)} |"


def mesh(plan: dict[str, Any]) -> str:
    """Its axes of more than one."""
    return ",".join(f"{axis}:{size}" for axis, size in plan["mesh"].items() if size > 1)


def seconds(plan: dict[str, Any]) -> float:
    """A step's, predicted: see `assemble/planning/roofline.py`."""
    times = plan["times"]
    return max(times["compute"], times["memory"]) + times["communication"]


if __name__ == "__main__":
    main()
