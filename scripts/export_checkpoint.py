"""Exports a checkpoint in Hugging Face's layout, for any tool that reads it.

    python scripts/export_checkpoint.py --checkpoint=DIR --out=DIR [--dtype=bfloat16]

DIR is a model directory: an import or a training run. The output folder gets config.json, the
tokenizer's file and safetensors, sharded with an index where they are large.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jax
from absl import app, flags

from ift_jax import lookup, sharding
from ift_jax.assemble.models import open_model
from ift_jax.checkpoints import safetensors, transfer

CHECKPOINT = flags.DEFINE_string("checkpoint", None, "Model directory to read.", required=True)
OUT = flags.DEFINE_string("out", None, "Folder to write; must hold no weights.", required=True)
STEP = flags.DEFINE_integer("step", None, "Step to export; by default the newest.")
DTYPE = flags.DEFINE_enum(
    "dtype",
    None,
    ["float32", "bfloat16"],
    "What to write; by default what the checkpoint holds, so that nothing is rounded.",
)


def main(_: list[str]) -> None:
    out = Path(OUT.value)
    try:
        mesh = sharding.make_mesh("", jax.devices("cpu")[:1])  # on the host, as for an import
        model = open_model(CHECKPOINT.value, mesh, step=STEP.value)
        functions, tokenizer = model.functions, model.tokenizer
        family = lookup.find("models", functions.family)
        dtype = DTYPE.value or functions.config.param_dtype
        tensors = transfer.export_tensors(
            model.load(), family.hf_table(functions.config), functions.config, dtype
        )
        files = safetensors.write_model(out, tensors)
        tokenizer.save(out)
        ids = {"bos_token_id": tokenizer.bos_id, "eos_token_id": tokenizer.eos_id}
        config = family.to_hf(functions.config) | ids | {"torch_dtype": dtype}
        (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    except (ValueError, OSError) as error:
        sys.exit(f"export_checkpoint: {error}")
    print(
        f"{out}: step {model.step}, {len(tensors.tensors)} tensors in {len(files)} files, {dtype}"
    )


if __name__ == "__main__":
    app.run(main)
