"""Trains a model as a config says; run again, it goes on from the newest checkpoint.

    python scripts/train.py --config=configs/quickstart.py --workdir=runs/my_run \\
        --config.optimizer.lr=1e-4
"""

from __future__ import annotations

from absl import flags

from ift_jax.assemble import command
from ift_jax.assemble.training import train

_CONFIG = command.define_config("config")
_WORKDIR = flags.DEFINE_string("workdir", None, "folder for checkpoints and metrics")
flags.mark_flag_as_required("workdir")


def main() -> None:
    command.check_folder("workdir", _WORKDIR.value)
    train(_CONFIG.value, _WORKDIR.value)


if __name__ == "__main__":
    command.run(main, together=True)
