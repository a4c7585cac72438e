"""Continues prompts with a model, greedily.

    python scripts/generate.py --checkpoint=DIR --prompt=TEXT [--format=alpaca]

`--checkpoint` is a model directory, a Hugging Face folder, a GGUF file, or 'bundled'. Several
`--prompt` are decoded in one batch. Prints what the model says after each.
"""

from __future__ import annotations

import argparse

import jax

from ift_jax import sharding
from ift_jax.assemble.models import open_model
from ift_jax.generate.decode import Decoder, encode_prompt
from ift_jax.prompts import FORMATS


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", required=True, help="the model")
    parser.add_argument("--prompt", required=True, action="append", help="what it is asked")
    parser.add_argument("--input", default="", help="context of the prompts, set apart from them")
    parser.add_argument("--format", help=f"{' or '.join(FORMATS)}; by default the model's own")
    parser.add_argument("--max_new_tokens", type=int, default=64, help="64 by default")
    parser.add_argument("--step", type=int, help="which checkpoint; by default the newest")
    parser.add_argument("--mesh", default="fsdp:-1", help="such as data:1,fsdp:4,tensor:2")
    args = parser.parse_args()
    try:
        mesh = sharding.make_mesh(args.mesh)
        model = open_model(args.checkpoint, mesh, step=args.step)
        prompts = [
            encode_prompt(model.tokenizer, args.format or model.prompt_format, prompt, args.input)
            for prompt in args.prompt
        ]
        decoded = Decoder(model.functions, mesh).greedy(
            model.load(),
            prompts,
            eos_id=model.tokenizer.eos_id,
            max_new_tokens=args.max_new_tokens,
        )
    except ValueError as error:
        parser.exit(1, f"generate: {error}\n")
    if jax.process_index() == 0:
        for tokens in decoded:
            print(model.tokenizer.decode(tokens))


if __name__ == "__main__":
    main()
