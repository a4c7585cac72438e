"""Flan-PaLM 62B's finetuning (Chung et al. 2022, 2210.11416), on what there is of its data.

    python scripts/train.py --config=configs/flan_palm_62b.py:tokenizer.model --workdir=DIR

PaLM's weights and tokenizer were never published: the argument is another tokenizer's file, of at
most 256,000 pieces, and the weights are random. Whoever has weights sets `--config.model.init` to
their folder (`ift_jax/models/palm.py` says in what layout), and `--config.model.tokenizer=None`.
*Published* is from the paper's Table 22 and section 2; *our choice* is nobody's publication, and
so are fields that aren't listed, the defaults of `config.base()`.
"""

from ml_collections import ConfigDict

from ift_jax.config import base
from ift_jax.tasks.presets import flan2022_paper


def get_config(tokenizer: str = "tokenizer.model") -> ConfigDict:
    config = base()
    config.model.init = "palm:62b"
    config.model.tokenizer = tokenizer
    config.model.dropout = 0.05  # published
    config.model.dtype = "bfloat16"  # our choice; weights stay float32
    config.model.remat = "full"  # our choice: memory for time
    # Published, as far as there are data; EOS between input and target.
    config.mixture.update(flan2022_paper.MIXTURE)
    config.mixture.root = "data"  # what goes where is in docs/data.md
    # PaLM's whole context, our choice: published were inputs of 2,048 tokens, of 1,920 with
    # exemplars, and targets of 512 beside them.
    config.data.length = 2048
    config.data.target_limit = 512
    config.data.packing = True  # published
    config.batch.rows = 32  # published: packed sequences a step
    config.optimizer.name = "adafactor"  # published
    config.optimizer.lr = 3e-3  # published
    config.optimizer.schedule = "constant"  # published
    config.optimizer.warmup_ratio = 0.0  # our choice: none is mentioned
    config.optimizer.weight_decay = 0.0  # our choice: none is mentioned
    config.optimizer.clip_norm = None  # our choice: none but Adafactor's own clipping, as in T5X
    config.steps = 40_000  # published
    config.mesh = "fsdp:-1,tensor:4"  # our choice: 32 rows divide over up to 128 devices
    config.checkpoint.every = 2000  # published: evaluated every 2k-10k steps
    return config.lock()
