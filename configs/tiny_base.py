"""Pretrains the bundled tiny base model: a LLaMA of 1.3M parameters on the World's plain text.

`make base` runs it, with the tokenizer that it trains first.
"""

from ml_collections import ConfigDict

from ift_jax.config import base


def get_config() -> ConfigDict:
    config = base()
    config.model.init = "llama:tiny"
    config.mixture.entries = ({"task": "world.statements@train"},)
    config.mixture.format = "plain"
    config.data.length = 128
    config.batch.rows = 16
    config.optimizer.lr = 2.5e-3
    config.optimizer.schedule = "cosine"
    config.optimizer.warmup_ratio = 0.03
    config.optimizer.final_lr_ratio = 0.02
    config.optimizer.weight_decay = 0.1
    config.optimizer.clip_norm = 1.0
    config.steps = 3000
    config.log_every = 50
    return config.lock()
