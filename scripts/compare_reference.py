"""Compares this package with the reference implementation of a model, Hugging Face's.

Run in an environment of its own, which the project itself doesn't need; it imports nothing of it:

    pip install torch transformers gguf
    python scripts/compare_reference.py logits --reference=MODEL --ours=FILE.npz
    python scripts/compare_reference.py mmlu --reference=MODEL --ours=DIR --prompts=FILE.jsonl

MODEL is a GGUF file or a folder in Hugging Face's layout; all is computed in float32, and texts
are tokenized by the reference's own tokenizer. FILE.npz is what scripts/write_logits.py wrote; DIR
is the --out and FILE.jsonl the --prompts of scripts/evaluate.py. The exit status is 1 where they
disagree.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import pathlib
import sys
import time
from typing import Any

import numpy as np
import torch
import transformers

LETTERS = "ABCD"


def load(path: pathlib.Path) -> tuple[Any, Any]:
    """The reference's model in float32, and its tokenizer."""
    where, file = (path.parent, {"gguf_file": path.name}) if path.is_file() else (path, {})
    tokenizer = transformers.AutoTokenizer.from_pretrained(where, **file)
    model = transformers.AutoModelForCausalLM.from_pretrained(where, dtype=torch.float32, **file)
    return model.eval(), tokenizer


def forward(model: Any, tokens: list[int], **options: Any) -> np.ndarray:
    """Logits T V of one sequence."""
    with torch.inference_mode():
        return model(torch.tensor([tokens]), use_cache=False, **options).logits[0].numpy()


def compare_logits(model: Any, tokenizer: Any, ours: pathlib.Path, tolerance: float) -> bool:
    """Compares the logits at every position of every text; prints a line a text."""
    agree = True
    with np.load(ours) as stored:
        for i in range(sum(name.startswith("text:") for name in stored)):
            tokens = stored[f"tokens_T:{i}"].tolist()
            same_tokens = tokenizer(str(stored[f"text:{i}"])).input_ids == tokens
            seen, expected = stored[f"logits_TV:{i}"], forward(model, tokens)
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
    began, largest, equal, ties, different = time.time(), 0.0, 0, 0, 0
    for number, (asked, record) in enumerate(zip(prompts, records, strict=True), start=1):
        expected = letter_loglikelihoods(model, tokenizer, asked)
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
        if number % 100 == 0:
            print(f"{number} of {len(prompts)}, {time.time() - began:.0f} s", flush=True)
    print(
        f"{len(prompts)} questions: argmax equal in {equal}, ties below {tie:g} {ties}, different"
        f" {different}; max abs difference of a letter's log-likelihood {largest:.2e}"
    )
    return different == 0


def letter_loglikelihoods(model: Any, tokenizer: Any, asked: dict[str, Any]) -> np.ndarray:
    """Log-likelihood of each of a question's continuations, which must be single tokens."""
    if asked["eos_separator"]:
        context = [*tokenizer(asked["prompt"]).input_ids, tokenizer.eos_token_id]
        answers = [
            tokenizer(text, add_special_tokens=False).input_ids for text in asked["continuations"]
        ]
        sequences = [[*context, *answer] for answer in answers]
    else:
        sequences = [tokenizer(asked["prompt"] + c).input_ids for c in asked["continuations"]]
    contexts = {tuple(sequence[:-1]) for sequence in sequences}
    if len(contexts) > 1:
        sys.exit(f"{asked['subject']} {asked['index']}: a continuation is not a single token")
    logits_V = torch.from_numpy(forward(model, list(*contexts), logits_to_keep=1)[-1])
    return logits_V.log_softmax(-1)[[sequence[-1] for sequence in sequences]].numpy()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["logits", "mmlu"])
    parser.add_argument("--reference", required=True, type=pathlib.Path, help="MODEL")
    parser.add_argument("--ours", required=True, type=pathlib.Path, help="FILE.npz or DIR")
    parser.add_argument("--prompts", type=pathlib.Path, help="FILE.jsonl, for mmlu")
    parser.add_argument("--tolerance", type=float, default=1e-3, help="of logits, or of a tie")
    args = parser.parse_args()
    if (args.what == "mmlu") != (args.prompts is not None):
        parser.error("--prompts goes with mmlu")
    model, tokenizer = load(args.reference)
    if args.what == "logits":
        agree = compare_logits(model, tokenizer, args.ours, args.tolerance)
    else:
        agree = compare_mmlu(model, tokenizer, args.ours, args.prompts, args.tolerance)
    sys.exit(0 if agree else 1)


if __name__ == "__main__":
    main()
