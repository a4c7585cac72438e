"""Trains a model as a config says; run again, it goes on from the newest checkpoint.

    python scripts/train.py --config=configs/quickstart.py --workdir=runs/my_run \\
        --config.optimizer.lr=1e-4
"""

from __future__ import annotations

from absl import app, flags, logging
from ml_collections import config_flags

from ift_jax.assemble.training import train

_CONFIG = config_flags.DEFINE_config_file("config", lock_config=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "folder for checkpoints and metrics")
flags.mark_flags_as_required(["config", "workdir"])


def main(argv: list[str]) -> None:
    if argv[1:]:
        raise app.UsageError(f"unexpected arguments {argv[1:]}; options look like --name=value")
    logging.set_verbosity(logging.WARNING)  # Orbax tells at length how each save went.
    try:
        train(_CONFIG.value, _WORKDIR.value)
    except ValueError as error:
        raise SystemExit(f"train: {error}") from None


if __name__ == "__main__":
    app.run(main)
