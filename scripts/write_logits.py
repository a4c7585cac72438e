"""Writes a model's logits of some texts, for scripts/compare_reference.py.

    python scripts/write_logits.py --checkpoint=DIR --text=TEXT [--text=TEXT …] --out=FILE.npz

The file holds, for the text number i, `text:i`, its token ids `tokens_T:i`, and the float32 logits
at each of them, `logits_TV:i`.
"""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from ift_jax.assemble import command, model_flags
from ift_jax.dims import Batch
from ift_jax.generate.decode import check_prompts, encode_prompt
from ift_jax.layers.functional import Functions, Params

_MODEL = model_flags.define()
_TEXT = flags.DEFINE_multi_string("text", None, "continued as it stands", required=True)
_OUT = flags.DEFINE_string("out", None, "the .npz file to write", required=True)


def logits_of(functions: Functions, params: Params, tokens_T: list[int]) -> np.ndarray:
    """float32 logits_TV of one text."""
    batch = Batch(
        tokens_BT=jnp.asarray([tokens_T]),
        positions_BT=jnp.arange(len(tokens_T))[None],
        segments_BT=jnp.ones((1, len(tokens_T)), jnp.int32),
    )
    forward = jax.jit(lambda params, b: functions.unembed(params, functions.hidden(params, b)))
    return np.asarray(forward(params, batch))[0]


def main() -> None:
    out = Path(_OUT.value)
    command.check_folder("out", out.parent)
    model, _ = _MODEL()
    if model.functions.encoder_decoder:
        raise ValueError(
            f"{model.functions.family} is an encoder-decoder, and a text alone is no input of one;"
            " tests/golden has T5's logits and the reference's"
        )
    tokens = [encode_prompt(model.tokenizer, "plain", text) for text in _TEXT.value]
    check_prompts(tokens, 0, model.functions.config)
    params = model.load()
    arrays = {}
    for i, (text, tokens_T) in enumerate(zip(_TEXT.value, tokens, strict=True)):
        arrays[f"text:{i}"] = text
        arrays[f"tokens_T:{i}"] = np.asarray(tokens_T, np.int32)
        arrays[f"logits_TV:{i}"] = logits_of(model.functions, params, tokens_T)
        print(f"text {i}: {len(tokens_T)} tokens")
    out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(out, **arrays)


if __name__ == "__main__":
    command.run(main)
