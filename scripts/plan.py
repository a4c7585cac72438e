"""Says, before it is paid for, whether a config fits a slice of TPUs or a host of GPUs, and why.

    python scripts/plan.py --config=configs/llama_i_65b.py --topology=v5p:4x4x4

The real training step and the real scoring step are compiled for it by the chips' compiler, which
`pip install 'ift-jax[tpu]'` (or `[cuda]`) brings to any machine; nothing is run, and no weights or
data are read.
A model that isn't on disk is planned by its published size. With `--sweep`, meshes, remat policies,
optimizers and micro-batches are tried, and those that fit ranked.
"""

from __future__ import annotations

from pathlib import Path

import jax
from absl import flags

from ift_jax.assemble import command
from ift_jax.assemble.planning import chips, report
from ift_jax.assemble.planning.plan import plan
from ift_jax.assemble.planning.sweep import ranking, sweep
from ift_jax.checkpoints.seal import write_json

_CONFIG = command.define_config("config")
_TOPOLOGY = flags.DEFINE_string("topology", None, "CHIP:SLICE, such as v5p:4x4x4, or h100:8")
_JSON = flags.DEFINE_string("json", None, "file: also write the plan there")
_SCORING = flags.DEFINE_bool("scoring", True, "plan the scoring, too, not the training alone")
_SWEEP = flags.DEFINE_bool("sweep", False, "try other settings, and rank those that fit")
flags.mark_flag_as_required("topology")


def main() -> None:
    # No accelerator of this machine's is needed, or touched.
    jax.config.update("jax_platforms", "cpu")
    # What is compiled for a chip that isn't here can't be read back from the cache.
    jax.config.update("jax_enable_compilation_cache", False)
    topology = _TOPOLOGY.value
    chip, _ = chips.read_topology(topology)
    devices = chips.devices(topology)
    if _SWEEP.value:
        found = sweep(_CONFIG.value, topology, chip, devices, lambda line: print(line, flush=True))
        print("\n" + ranking(found) if found else "\nnothing fits; take a larger slice")
        result = {"fits": bool(found), "plans": [report.as_json(each) for each in found]}
    else:
        made = plan(_CONFIG.value, topology, chip, devices, scoring=_SCORING.value)
        print(report.page(made))
        result = report.as_json(made)
    if _JSON.value:
        write_json(Path(_JSON.value), result)


if __name__ == "__main__":
    command.run(main)
