"""The whole experiment on a tiny model: evaluate, instruction-finetune, evaluate again, report.

    python scripts/quickstart.py --workdir=runs/quickstart [--seed=0]
    python scripts/quickstart.py --workdir=runs/quickstart --controls

The second command adds the controls: the same training on plain statements, and two looks at why
the base model scores as it does.
"""

from __future__ import annotations

import time

BEGAN = time.time()  # before the imports, which are part of the job

from pathlib import Path

from absl import flags

from ift_jax.assemble import command, quickstart

_CONFIG = command.define_config("config", "configs/quickstart.py")
_CONTROL = command.define_config("control", "configs/quickstart.py:statements")
_WORKDIR = flags.DEFINE_string("workdir", "runs/quickstart", "folder for everything it writes")
_SEED = flags.DEFINE_integer("seed", 0, "of the data order")
_CONTROLS = flags.DEFINE_bool("controls", False, "add the controls to a finished quickstart")


def main() -> None:
    workdir = Path(_WORKDIR.value)
    config = _CONTROL.value if _CONTROLS.value else _CONFIG.value
    config.seed = config.mixture.seed = _SEED.value
    if _CONTROLS.value:
        result = quickstart.run_controls(config, workdir)
    else:
        quickstart.clear(workdir)  # always from the start, and timed whole
        result = quickstart.run(config, workdir, BEGAN)
    print(f"\n{quickstart.tables(result)}\n")
    print(f"{result['seconds']:.0f} s; report, picture, records and checkpoints: {workdir}")


if __name__ == "__main__":
    command.run(main)
