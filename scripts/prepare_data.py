"""Prepares, tokenizes and plans a config's data, and prints what it is made of.

Training does the same at its start; done beforehand, it starts at once. `--manifest=FILE` writes
what a training run writes as mixture.json: per task the source, licence, hashes, rows, cap, rate,
templates, tokens and truncations, and what is missing of the mixture.

    python scripts/prepare_data.py --config=configs/quickstart.py
"""

from __future__ import annotations

from pathlib import Path

import jax
from absl import flags

from ift_jax import config as configs
from ift_jax import sharding
from ift_jax.assemble import command
from ift_jax.assemble.training import build_held_out, build_rows, data_directory, open_base, say
from ift_jax.checkpoints.seal import write_json
from ift_jax.data import dataset

_CONFIG = command.define_config("config")
_MANIFEST = flags.DEFINE_string(
    "manifest", None, "file: also write the mixture's manifest, as JSON"
)


def main() -> None:
    config = configs.check(_CONFIG.value)
    mesh = sharding.make_mesh(config.mesh)
    base = open_base(config, mesh)
    source, rows_per_step = build_rows(config, base, mesh)
    build_held_out(config, base, rows_per_step // config.batch.micro_steps)
    say(dataset.table(source))
    if _MANIFEST.value and jax.process_index() == 0:
        write_json(Path(_MANIFEST.value), source.manifest)
    say(f"{config.steps:,} steps of {rows_per_step} rows, in {data_directory(config)}")


if __name__ == "__main__":
    command.run(main, together=True)
