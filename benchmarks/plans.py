"""Makes the plans of docs/plans, and prints the tables of docs/scaling.md and docs/growth.md.

    python benchmarks/plans.py          makes those that are missing: minutes each, on two cores
    python benchmarks/plans.py --table  prints the tables of those that are there

It needs TPUs' compiler and JAX's plugin for CUDA, `pip install 'ift-jax[tpu,cuda]'`, and neither a
TPU nor a GPU. To make one again, remove its file.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "plans"

LLAMA, PALM = "llama_i_65b", "flan_palm_62b"

PLANS = {
    "llama_65b": (LLAMA, "v5p:4x4x4", {}),
    "llama_7b": (LLAMA, "v5e:4x8", {"model.init": "llama:7b"}),
    "llama_13b": (LLAMA, "v5p:2x2x4", {"model.init": "llama:13b"}),
    "llama_33b": (LLAMA, "v5p:2x4x4", {"model.init": "llama:33b"}),
    "llama_2_70b": (LLAMA, "v5p:4x4x4", {"model.init": "llama:2-70b"}),
    "flan_t5_xxl": ("flan_t5_xxl", "v5p:2x4x4", {}),
    "opt_30b": ("opt_iml_30b", "v5p:4x4x4", {}),
    "falcon_40b": (LLAMA, "v5p:4x4x4", {"model.init": "falcon:40b"}),
    "palm_62b": (PALM, "v5p:4x4x4", {}),
    "palm_540b": (PALM, "v5p:4x8x8", {"model.init": "palm:540b", "mesh": "fsdp:-1,tensor:8"}),
    "alpaca_7b": ("alpaca_7b", "h100:8", {"batch.examples": None, "batch.rows": 32}),
    "llama_1b": (
        LLAMA,
        "h100:1",
        {
            "model.init": "llama:3.2-1b",
            "model.remat": "dots",
            "mesh": "fsdp:-1",
            "optimizer.name": "adamw",
            "batch.rows": 8,
        },
    ),
}
"""Name → config, slice, and what is changed of the config."""

HALVED = {
    "llama_65b": "v5p:2x4x4",
    "llama_7b": "v5e:4x4",
    "llama_13b": "v5p:2x2x2",
    "llama_33b": "v5p:2x2x4",
    "llama_2_70b": "v5p:2x4x4",
    "flan_t5_xxl": "v5p:2x2x4",
    "opt_30b": "v5p:2x4x4",
    "falcon_40b": "v5p:2x4x4",
    "palm_62b": "v5p:2x4x4",
    "palm_540b": "v5p:4x4x8",
    "alpaca_7b": "h100:4",
}
"""Plan that is varied → a slice of half the chips."""

BASE = {"model.init": "llama:7b", "mesh": "fsdp:-1", "batch.rows": 32, "data.length": 2048}
SERIES = [
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
    given = parser.parse_args()
    made = plan_commands()
    if not given.table:
        make_missing(made.values())
        make_missing(series_commands())
        for name in HALVED:
            make_missing(varied_commands(name).values())
    print(
        "\n".join(plans()),
        "\n".join(growth((path.stem[3:], path) for path, *_ in series_commands())),
        sep="\n\n",
    )
    everything = [
        (f"**{name}**" if what == "as planned" else what, path)
        for name in HALVED
        for what, (path, *_) in ({"as planned": made[name]} | varied_commands(name)).items()
    ]
    print("\n" + "\n".join(growth(everything)))


def make_missing(commands: Iterable[Command]) -> None:
    """Makes what isn't there."""
    for path, config, topology, words in commands:
        if not path.exists():
            make(path, config, topology, words)


Command = tuple[Path, str, str, list[str]]
"""(file, config, slice, further options)"""


def plan_commands() -> dict[str, Command]:
    """Of the plans, by name."""
    return {
        name: (FOLDER / f"{name}.json", config, topology, options(changes))
        for name, (config, topology, changes) in PLANS.items()
    }


def varied_commands(name: str) -> dict[str, Command]:
    """Of a plan's training with one thing changed, by what is; none of a plan that isn't made."""
    config, topology, changes = PLANS[name]
    if not (FOLDER / f"{name}.json").exists():
        return {}
    sizes = json.loads((FOLDER / f"{name}.json").read_text())
    shorter = {"data.length": sizes["length"] // 2}
    if sizes["encoder_length"]:
        shorter["data.encoder_length"] = sizes["encoder_length"] // 2
    varied = {
        "half the chips": (HALVED[name], {}),
        "twice the rows": (topology, {"batch.rows": 2 * sizes["rows"]}),
        "half the length": (topology, shorter),
    }
    return {
        what: (
            FOLDER / "growth" / f"{name}_{what.split()[-1]}.json",
            config,
            on,
            [*options(changes | change), "--noscoring"],
        )
        for what, (on, change) in varied.items()
    }


def series_commands() -> list[Command]:
    """Of the series of `SERIES`."""
    return [
        (
            FOLDER / "growth" / f"{number:02}_{varied}.json",
            LLAMA,
            topology,
            [*options(BASE | changes), "--noscoring"],
        )
        for number, (varied, topology, changes) in enumerate(SERIES)
    ]


def options(changes: dict[str, Any]) -> list[str]:
    """Changes of a config as words of a command."""
    return [f"--config.{key}={value}" for key, value in changes.items()]


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
        cells = (
            plan["model"],
            plan["topology"],
            mesh(plan),
            length(plan),
            plan["optimizer"],
            f"{state / 1e9:.1f} GB",
            f"{memory['temporaries'] / 1e9:.1f} GB",
            f"{memory['total'] / plan['hbm']:.0%}" if plan["fits"] else "does not fit",
            f"{seconds(plan):.2f} s",
            f"{plan['mfu']:.0%} … {plan['mfu_overlapped']:.0%}",
        )
        yield f"| {' | '.join(cells)} |"


def growth(files: Iterable[tuple[str, Path]]) -> Iterator[str]:
    """A table of plans' training, by hand and compiled, each with what it is called."""
    yield "| | model | chips | mesh | rows × length | TFLOP by hand | compiled |" + (
        " GB of state | arguments | temporaries | GB moved by hand | compiled | GB sent by hand |"
        " compiled |"
    )
    yield "|---|---|---:|---|---|" + "---:|" * 9
    for name, path in files:
        if not path.exists():
            yield f"| {name} | not made yet |" + " |" * 12
            continue
        plan = json.loads(path.read_text())
        memory, work = plan["training"]["memory"], plan["training"]["work"]
        state = plan["parameter_bytes"] + plan["optimizer_bytes"]
        compiled = (
            ["refused"] * 5
            if work is None
            else [
                f"{work['flops'] / 1e12:.0f}",
                f"{memory['arguments'] / 1e9:.2f}",
                f"{memory['temporaries'] / 1e9:.1f}",
                f"{work['moved'] / 1e9:,.0f}",
                f"{sum(work['sent'].values()) / 1e9:.1f}",
            ]
        )
        cells = (
            name,
            plan["model"],
            str(plan["chips"]),
            mesh(plan),
            length(plan),
            f"{plan['chip_flops'] / 1e12:.0f}",
            compiled[0],
            f"{state / 1e9:.2f}",
            *compiled[1:3],
            f"{plan['moved_by_hand'] / 1e9:,.0f}",
            compiled[3],
            f"{sum(plan['sent_by_hand'].values()) / 1e9:.1f}",
            compiled[4],
        )
        yield f"| {' | '.join(cells)} |"


def length(plan: dict[str, Any]) -> str:
    """Rows × tokens of each, an encoder's first."""
    read = f"{plan['encoder_length']} + " if plan["encoder_length"] else ""
    return f"{plan['rows']} × {read}{plan['length']}"


def mesh(plan: dict[str, Any]) -> str:
    """Its axes of more than one."""
    return ",".join(f"{axis}:{size}" for axis, size in plan["mesh"].items() if size > 1)


def seconds(plan: dict[str, Any]) -> float:
    """A step's, predicted: see `assemble/planning/roofline.py`."""
    times = plan["times"]
    return max(times["compute"], times["memory"]) + times["communication"]


if __name__ == "__main__":
    main()
