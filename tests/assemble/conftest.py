from __future__ import annotations

import pytest

from ift_jax import config as configs
from ift_jax import tokenizers
from ift_jax.tasks.world import statements


@pytest.fixture(scope="session")
def tokenizer_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.model"
    texts = [row["text"] for row in statements.rows("mixture")]
    tokenizers.train_sentencepiece(texts, 600, path)
    return path


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def config(tokenizer_file, data_dir):
    """Six steps of a random tiny model on instructions and statements."""
    run = configs.base()
    run.model.init = "llama:tiny"
    run.model.tokenizer = str(tokenizer_file)
    run.model.dropout = 0.1
    run.mixture.entries = (
        {"task": "world.number_comparison", "weight": 1.0},
        {"task": "world.statements@mixture", "weight": 1.0},
    )
    run.data.dir = str(data_dir)
    run.data.length = 128
    run.batch.rows = 8
    run.optimizer.warmup_ratio = 0.2
    run.steps = 6
    run.mesh = "data:1,fsdp:-1"
    run.log_every = 1
    run.checkpoint.every = 3
    return run
