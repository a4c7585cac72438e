"""The bundled experiment: a brief instruction finetune of the tiny base model.

`configs/quickstart.py:statements` is its control: the same training on plain statements only.
"""

import dataclasses

from ml_collections import ConfigDict

from ift_jax.config import base
from ift_jax.tasks.world.mixture import ENTRIES


def get_config(arg: str = "instructions") -> ConfigDict:
    if arg not in ("instructions", "statements"):
        raise ValueError(f"quickstart:{arg}: expected 'instructions' or 'statements'")
    config = base()
    config.model.init = "bundled"
    if arg == "instructions":
        config.mixture.entries = tuple(dataclasses.asdict(entry) for entry in ENTRIES)
        config.mixture.format = "flan"
    else:
        config.mixture.entries = ({"task": "world.statements@train"},)
        config.mixture.format = "plain"
    config.data.length = 256
    config.batch.rows = 4
    config.optimizer.lr = 2e-4
    config.optimizer.schedule = "linear"
    config.optimizer.warmup_ratio = 0.03
    config.optimizer.final_lr_ratio = 0.1
    config.optimizer.clip_norm = 1.0
    config.steps = 400
    config.log_every = 5
    return config.lock()
