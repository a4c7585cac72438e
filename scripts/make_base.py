"""Makes the bundled tiny base model again: tokenizer, pretraining, gate, export.

    python scripts/make_base.py --workdir=runs/tiny_base [--out=ift_jax/assets/tiny]

Trains a sentencepiece tokenizer on the World's text and on the wording of the instruction tasks,
pretrains configs/tiny_base.py, and writes the model to --out in Hugging Face's layout (bf16) if
it completes at least 95% of its facts as statements.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import jax
from absl import flags

from ift_jax import tokenizers
from ift_jax.assemble import command
from ift_jax.assemble.models import export_model
from ift_jax.assemble.training import train
from ift_jax.assemble.world import recall
from ift_jax.tasks.mixture import Mixture
from ift_jax.tasks.world import mixture, statements

_CONFIG = command.define_config("config", "configs/tiny_base.py")
_WORKDIR = flags.DEFINE_string("workdir", "runs/tiny_base", "folder for the pretraining run")
_OUT = flags.DEFINE_string("out", "ift_jax/assets/tiny", "folder for the finished model")

GATE = 0.95
WORDING_EXAMPLES = 4000


def train_tokenizer(path: Path) -> None:
    """Trains the tokenizer, on the words of questions too: else each would be a dozen tokens."""
    texts = [row["text"] for row in statements.rows("train")]
    for example in Mixture(mixture.ENTRIES, "flan", seed=0).examples(WORDING_EXAMPLES):
        texts += [part.content for part in example.parts if isinstance(part.content, str)]
    tokenizers.train_sentencepiece(texts, 2048, path)


def main() -> None:
    workdir, config = Path(_WORKDIR.value), _CONFIG.value
    workdir.mkdir(parents=True, exist_ok=True)
    config.model.tokenizer = str(workdir / "tokenizer.model")
    if not Path(config.model.tokenizer).exists():
        train_tokenizer(Path(config.model.tokenizer))
    model = train(config, workdir)

    # Judged as it will be shipped.
    params = jax.tree.map(lambda x: x.astype("bfloat16").astype("float32"), model.load())
    recalled = recall(model.functions, model.tokenizer, params)
    (workdir / "recall.json").write_text(json.dumps(recalled, indent=1) + "\n")
    print(f"completes {recalled['all']['exact']:.1%} of {recalled['all']['n']:,} statements")
    if recalled["all"]["exact"] < GATE:
        sys.exit(f"make_base: below the gate of {GATE:.0%}; not written to {_OUT.value}")
    exported = workdir / "exported"
    shutil.rmtree(exported, ignore_errors=True)
    export_model(model, exported, "bfloat16")
    shutil.copytree(exported, _OUT.value, dirs_exist_ok=True)
    print(f"wrote {_OUT.value}")


if __name__ == "__main__":
    command.run(main)
