from __future__ import annotations

import jax
import pytest

from ift_jax import config as configs
from ift_jax.assemble.planning.chips import CHIPS
from ift_jax.assemble.planning.plan import plan


def tiny_config():
    """A random tiny LLaMA on eight chips."""
    config = configs.base()
    config.model.init = "llama:tiny"
    config.model.dtype = "bfloat16"
    config.model.remat = "full"
    config.mixture.entries = ({"task": "alpaca:data.json"},)
    config.data.length = 64
    config.batch.rows = 16
    config.batch.micro_steps = 2
    config.mesh = "fsdp:4,tensor:2"
    return config


@pytest.fixture
def config():
    return tiny_config()


@pytest.fixture(scope="session")
def tiny_plan():
    """Compiled for this machine's eight devices, in v5p's place."""
    return plan(tiny_config(), "v5p:2x2x2", CHIPS["v5p"], jax.devices())
