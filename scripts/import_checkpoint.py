"""Imports published weights as a model directory that training and evaluation start from.

    python scripts/import_checkpoint.py --source=PATH --out=DIR [--param_dtype=bfloat16]
    python scripts/import_checkpoint.py --source=MODEL.bin --tokenizer=TOKENIZER.bin --out=DIR

PATH is a folder in Hugging Face's layout (config.json, safetensors, tokenizer) or a GGUF file; the
family is found by the model type that it names. MODEL.bin and TOKENIZER.bin are llama2.c's.
Everything must fit: each of the file's tensors is used exactly once and each parameter is filled
exactly once, or nothing is written.

DIR gets model.json, the tokenizer's file and checkpoints/0.
"""

from __future__ import annotations

from pathlib import Path

import jax
from absl import flags

from ift_jax import sharding
from ift_jax.assemble import command, models
from ift_jax.checkpoints.store import Store

_SOURCE = flags.DEFINE_string(
    "source", None, "Hugging Face folder, or file of GGUF or llama2.c, to read.", required=True
)
_TOKENIZER = flags.DEFINE_string(
    "tokenizer", None, "A tokenizer's file or folder; by default the source's own."
)
_OUT = flags.DEFINE_string("out", None, "Folder to write; must not be a model yet.", required=True)
_PARAM_DTYPE = flags.DEFINE_enum(
    "param_dtype",
    "float32",
    ["float32", "bfloat16"],
    "What parameters are stored in. Training updates them in this dtype, so float32 is the safe"
    " choice; bfloat16 halves the checkpoint.",
)


def main() -> None:
    out = Path(_OUT.value)
    command.check_folder("out", out)
    if (out / models.MODEL_FILE).exists():
        raise ValueError(f"{out} holds a model already; choose another --out")
    # On the host, so that the model need not fit an accelerator to be imported.
    mesh = sharding.make_mesh("", jax.devices("cpu")[:1])
    switches = {"param_dtype": _PARAM_DTYPE.value}
    model = models.open_model(_SOURCE.value, mesh, tokenizer=_TOKENIZER.value, switches=switches)
    with Store(out / models.CHECKPOINTS) as store:
        store.save(model.step, model.load())
    models.describe(out, model)  # last: a folder with model.json is whole
    functions = model.functions
    print(
        f"{out}: {functions.family}, {functions.parameter_count:,} parameters, {functions.config}"
    )


if __name__ == "__main__":
    command.run(main)
