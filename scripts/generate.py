"""Answers prompts with a model, or with two side by side.

    python scripts/generate.py --checkpoint=DIR --prompt=TEXT [--format=alpaca] [--stream]
    python scripts/generate.py --compare BASE TUNED --prompts_file=FILE.jsonl

A model is a model directory, a Hugging Face folder, a GGUF file, or 'bundled'. Each is asked in its
own prompt format, unless --format names another. A line of --prompts_file is an object with
`instruction` and, where there are any, `input`, `system` and `history`. Tokens/s, without reading
the prompt and without compiling, go to stderr.
"""

from __future__ import annotations

import dataclasses
import shutil
import sys

import jax
from absl import flags

from ift_jax.assemble import command, generation, model_flags
from ift_jax.generate.sample import Sampling
from ift_jax.prompts import FORMATS

_MODEL = model_flags.define(required=False)
_COMPARE = flags.DEFINE_bool("compare", False, "answer with two models, side by side")
_PROMPT = flags.DEFINE_multi_string("prompt", [], "what is asked")
_FILE = flags.DEFINE_string("prompts_file", None, "JSON Lines with more of that")
_INPUT = flags.DEFINE_string("input", "", "context, for prompts without one of their own")
_SYSTEM = flags.DEFINE_string("system", "", "system prompt, for prompts without one of their own")
_FORMAT = flags.DEFINE_string("format", None, f"{' or '.join(FORMATS)}; by default the model's own")
_TEMPERATURE = flags.DEFINE_float("temperature", 0, "0 takes the most likely token, always")
_TOP_K = flags.DEFINE_integer("top_k", None, "draw from the so many most likely tokens")
_TOP_P = flags.DEFINE_float("top_p", 1, "draw from the most likely tokens of this probability")
_SEED = flags.DEFINE_integer("seed", 0, "of the draws", lower_bound=0)
_STOP = flags.DEFINE_multi_string("stop", [], r"text that ends an answer; \n is a line break")
_MAX_NEW_TOKENS = flags.DEFINE_integer("max_new_tokens", 64, "where an answer is cut off")
_BATCH = flags.DEFINE_integer("batch", 16, "prompts answered at once", lower_bound=1)
_STREAM = flags.DEFINE_bool("stream", sys.stdout.isatty(), "print answers as they come")


def main(words: list[str]) -> None:
    if len(words) != (2 if _COMPARE.value else 0):
        raise ValueError(f"unexpected {words}: two models follow --compare, and nothing else")
    asked = generation.read_prompts(_FILE.value) if _FILE.value else []
    asked = [
        dataclasses.replace(
            each, input=each.input or _INPUT.value, system=each.system or _SYSTEM.value
        )
        for each in (*map(generation.Prompt, _PROMPT.value), *asked)
    ]
    if not asked:
        raise ValueError("nothing is asked: give a --prompt or a --prompts_file")
    settings = generation.Settings(
        prompt_format=_FORMAT.value,
        sampling=Sampling(_TEMPERATURE.value, _TOP_K.value, _TOP_P.value),
        seed=_SEED.value,
        stop=[text.replace("\\n", "\n") for text in _STOP.value],
        max_new_tokens=_MAX_NEW_TOKENS.value,
        batch=_BATCH.value,
    )

    def answers(path: str | None, show: generation.Show = generation.quiet) -> list[str]:
        model, mesh = _MODEL(path)
        texts, decoder = generation.answer(model, mesh, asked, settings, show)
        if jax.process_index() == 0:
            print(f"{path or 'generate'}: {generation.speed(decoder)}", file=sys.stderr)
        return texts

    if not _COMPARE.value:
        answers(None, generation.Printer(asked, _STREAM.value))
        return
    columns = [answers(path) for path in words]
    if jax.process_index() == 0:
        width = shutil.get_terminal_size().columns
        for each, *texts in zip(asked, *columns, strict=True):
            print(generation.heading(each))
            print(generation.side_by_side(words, texts, width), end="\n\n")


if __name__ == "__main__":
    command.run(main, words=True, together=True)
