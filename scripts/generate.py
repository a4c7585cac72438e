"""Continues prompts with a model, greedily.

    python scripts/generate.py --checkpoint=DIR --prompt=TEXT [--format=alpaca]

`--checkpoint` is a model directory, a Hugging Face folder, a GGUF file, or 'bundled'. Several
`--prompt` are decoded in one batch. Prints what the model says after each.
"""

from __future__ import annotations

import jax
from absl import flags

from ift_jax.assemble import command, model_flags
from ift_jax.generate.decode import Decoder, encode_prompt
from ift_jax.prompts import FORMATS

_MODEL = model_flags.define()
_PROMPT = flags.DEFINE_multi_string("prompt", None, "what it is asked", required=True)
_INPUT = flags.DEFINE_string("input", "", "context of the prompts, set apart from them")
_FORMAT = flags.DEFINE_string("format", None, f"{' or '.join(FORMATS)}; by default the model's own")
_MAX_NEW_TOKENS = flags.DEFINE_integer("max_new_tokens", 64, "where an answer is cut off")


def main() -> None:
    model, mesh = _MODEL()
    prompts = [
        encode_prompt(model.tokenizer, _FORMAT.value or model.prompt_format, prompt, _INPUT.value)
        for prompt in _PROMPT.value
    ]
    decoded = Decoder(model.functions, mesh).greedy(
        model.load(),
        prompts,
        eos_id=model.tokenizer.eos_id,
        max_new_tokens=_MAX_NEW_TOKENS.value,
    )
    if jax.process_index() == 0:
        for tokens in decoded:
            print(model.tokenizer.decode(tokens))


if __name__ == "__main__":
    command.run(main)
