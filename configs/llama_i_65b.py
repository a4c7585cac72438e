"""LLaMA-I (Touvron et al. 2023, section 4) as far as it can be known: LLaMA 65B, finetuned.

The paper says "the same protocol as Chung et al. (2022)" and no more: no data, no hyperparameter.
So each field below is marked. *Published for another model* is Flan-PaLM 62B's, the nearest in
size: Chung et al. (2210.11416), Table 22 and section 2. *Our choice* is nobody's publication;
fields that aren't listed are our choice too, the defaults of `config.base()`.
Results of this config are this package's, and no reproduction of LLaMA-I's 68.9.
"""

from ml_collections import ConfigDict

from ift_jax.config import base
from ift_jax.tasks.presets import flan2022_paper


def get_config() -> ConfigDict:
    config = base()
    config.model.init = "models/llama-65b"  # published: the model is LLaMA 65B
    config.model.dropout = 0.05  # published for another model
    config.model.dtype = "bfloat16"  # our choice; weights stay float32
    config.model.remat = "full"  # our choice: memory for time
    # Published for another model, as far as there are data; EOS between input and target.
    config.mixture.update(flan2022_paper.MIXTURE)
    config.mixture.root = "data"  # what goes where is in docs/data.md
    # Our choice: LLaMA's whole context. For another model were published inputs of 2,048 tokens,
    # and targets of 512 beside them.
    config.data.length = 2048
    config.data.target_limit = 512
    config.data.packing = True  # published for another model
    config.batch.rows = 32  # published for another model: packed sequences a step
    config.optimizer.name = "adafactor"  # published for another model
    config.optimizer.lr = 3e-3  # published for another model
    config.optimizer.schedule = "constant"  # published for another model
    config.optimizer.warmup_ratio = 0.0  # our choice: none is mentioned
    config.optimizer.weight_decay = 0.0  # our choice: none is mentioned
    config.optimizer.clip_norm = None  # our choice: none but Adafactor's own clipping, as in T5X
    config.steps = 40_000  # published for another model
    config.mesh = "fsdp:-1,tensor:4"  # our choice: 32 rows divide over up to 128 devices
    config.checkpoint.every = 2000  # published for another model: evaluated every 2k-10k steps
    return config.lock()
