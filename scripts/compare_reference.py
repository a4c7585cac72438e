"""Compares this package with the reference implementation of a model, Hugging Face's.

Run in an environment of its own, which the project itself doesn't need; it imports nothing of it:

    pip install torch transformers gguf sentencepiece protobuf
    python scripts/compare_reference.py logits --reference=MODEL --ours=FILE.npz
    python scripts/compare_reference.py mmlu --reference=MODEL --ours=DIR --prompts=FILE.jsonl

MODEL is a GGUF file or a folder in Hugging Face's layout; all is computed in float32. Texts are
tokenized by the reference's own tokenizer, or the one of --tokenizer=FOLDER: transformers 5.23
makes SmolLM2's from its GGUF without the step that cuts digits apart first. FILE.npz is what
scripts/write_logits.py wrote; DIR is the --out and FILE.jsonl the --prompts of
scripts/evaluate.py. The exit status is 1 where they disagree.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import itertools
import json
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import transformers

LETTERS = "ABCD"


def load(path: pathlib.Path, tokenizer_folder: pathlib.Path | None) -> tuple[Any, Any]:
    """The reference's model in float32, and its tokenizer."""
    where, file = (path.parent, {"gguf_file": path.name}) if path.is_file() else (path, {})
    if tokenizer_folder is None:
        tokenizer = transformers.AutoTokenizer.from_pretrained(where, **file)
    else:
        tokenizer = transformers.AutoTokenizer.from_pretrained(tokenizer_folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(where, dtype=torch.float32, **file)
    return model.eval(), tokenizer


def compare_logits(model: Any, tokenizer: Any, ours: pathlib.Path, tolerance: float) -> bool:
    """Compares the logits at every position of every text; prints a line a text."""
    agree = True
    with np.load(ours) as stored:
        for i in range(sum(name.startswith("text:") for name in stored)):
            tokens = stored[f"tokens_T:{i}"].tolist()
            same_tokens = tokenizer(str(stored[f"text:{i}"])).input_ids == tokens
            seen = stored[f"logits_TV:{i}"]
            with torch.inference_mode():
                expected = model(torch.tensor([tokens]), use_cache=False).logits[0].numpy()
            difference = float(abs(seen - expected).max())
            same_best = float((seen.argmax(-1) == expected.argmax(-1)).mean())
            agree &= same_tokens and difference <= tolerance
            print(
                f"text {i}: {len(tokens)} tokens {'equal' if same_tokens else 'DIFFERENT'},"
                f" logits up to {abs(expected).max():.2f}, max abs difference {difference:.2e},"
                f" argmax equal at {same_best:.1%} of positions"
            )
    return agree


def compare_mmlu(
    model: Any, tokenizer: Any, ours: pathlib.Path, prompts_file: pathlib.Path, tie: float
) -> bool:
    """Compares the choice of every question; prints those that differ, and a summary."""
    prompts, records = (
        [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
        for path in (prompts_file, ours / "records.jsonl")
    )
    summary = json.loads((ours / "summary.json").read_text("utf-8"))
    texts = (json.dumps([each["prompt"], *each["continuations"]]) for each in prompts)
    if hashlib.sha256("\n".join(texts).encode()).hexdigest() != summary["hashes"]["prompts"]:
        sys.exit(f"{prompts_file} does not hold the prompts of {ours}: evaluate again for both")
    largest, equal, ties, different = 0.0, 0, 0, 0
    found = itertools.chain.from_iterable(
        letter_loglikelihoods(model, tokenizer, list(group))
        for _, group in itertools.groupby(prompts, key=lambda asked: asked["subject"])
    )
    for asked, record, expected in zip(prompts, records, found, strict=True):
        largest = max(largest, *abs(np.array(record["loglikelihoods"]) - expected))
        choice = LETTERS[int(expected.argmax())]
        if choice == record["choice"]:
            equal += 1
        else:
            margin = np.diff(np.sort(expected))[-1]
            ties += margin < tie
            different += margin >= tie
            print(
                f"{asked['subject']} {asked['index']}: ours {record['choice']}, the reference's"
                f" {choice}, by {margin:.1e}{' (a tie)' if margin < tie else ''}"
            )
    print(
        f"{len(prompts)} questions: argmax equal in {equal}, {ties} ties (margin below {tie:g}),"
        f" {different} different; max abs difference of a letter's log-likelihood {largest:.2e}"
    )
    return different == 0


def letter_loglikelihoods(
    model: Any, tokenizer: Any, subject: list[dict[str, Any]]
) -> Iterator[np.ndarray]:
    """Log-likelihoods of the continuations of each question; they must be single tokens."""
    contexts, answers = [], []
    for asked in subject:
        texts = asked["continuations"]
        if asked["eos_separator"]:
            context = [*tokenizer(asked["prompt"]).input_ids, tokenizer.eos_token_id]
            ids = [tokenizer(text, add_special_tokens=False).input_ids for text in texts]
            sequences = [[*context, *answer] for answer in ids]
        else:
            sequences = [tokenizer(asked["prompt"] + text).input_ids for text in texts]
        if any(sequence[:-1] != sequences[0][:-1] for sequence in sequences):
            sys.exit(f"{asked['subject']} {asked['index']}: a continuation of several tokens")
        contexts.append(sequences[0][:-1])
        answers.append([sequence[-1] for sequence in sequences])
    # The shots, which a subject's questions have in common, are read once.
    columns = zip(*(context[:-1] for context in contexts), strict=False)
    shared = sum(1 for _ in itertools.takewhile(lambda ids: len(set(ids)) == 1, columns))
    with torch.inference_mode():
        cache = model(torch.tensor([contexts[0][:shared]]), logits_to_keep=1).past_key_values
        for context, ids in zip(contexts, answers, strict=True):
            rest, read = torch.tensor([context[shared:]]), copy.deepcopy(cache)
            logits_V = model(rest, past_key_values=read, logits_to_keep=1).logits[0, -1]
            yield logits_V.log_softmax(-1)[ids].numpy()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["logits", "mmlu"])
    parser.add_argument("--reference", required=True, type=pathlib.Path, help="MODEL")
    parser.add_argument("--tokenizer", type=pathlib.Path, help="FOLDER")
    parser.add_argument("--ours", required=True, type=pathlib.Path, help="FILE.npz or DIR")
    parser.add_argument("--prompts", type=pathlib.Path, help="FILE.jsonl, for mmlu")
    parser.add_argument("--tolerance", type=float, default=1e-3, help="of logits, or of a tie")
    args = parser.parse_args()
    if (args.what == "mmlu") != (args.prompts is not None):
        parser.error("--prompts goes with mmlu")
    model, tokenizer = load(args.reference, args.tokenizer)
    if args.what == "logits":
        agree = compare_logits(model, tokenizer, args.ours, args.tolerance)
    else:
        agree = compare_mmlu(model, tokenizer, args.ours, args.prompts, args.tolerance)
    sys.exit(0 if agree else 1)


if __name__ == "__main__":
    main()
