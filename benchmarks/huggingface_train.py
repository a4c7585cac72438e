"""The other system of train_throughput.py, which starts this in an environment with PyTorch:

    pip install transformers torch

Writes its libraries' versions to standard output once the model is in memory; then, for each line
of standard input, a list of micro-batches {"tokens", "targets"}, makes one update and writes the
seconds that it took, those of processor time that were the system's, and the loss. As the Trainer
does: rows padded to the longest, gradients of the mean over all targets of the update, clipped,
AdamW (PyTorch's fused one).
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import resource
import sys
import time
from typing import Any

import torch
import transformers


def padded(rows: list[list[int]], fill: int) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([row + [fill] * (longest - len(row)) for row in rows])


def inputs(micro_batch: dict[str, list[list[int]]]) -> dict[str, torch.Tensor]:
    lengths = [len(row) for row in micro_batch["tokens"]]
    targets = padded(micro_batch["targets"], -100)
    made = {
        "input_ids": padded(micro_batch["tokens"], 0),
        "labels": targets,
        "shift_labels": targets,  # they are shifted already
    }
    if min(lengths) < max(lengths):
        made["attention_mask"] = padded([[1] * length for length in lengths], 0)
    return made


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--dtype", required=True, choices=["float32", "bfloat16"])
    parser.add_argument("--threads", required=True, type=int)
    for name in ("lr", "b1", "b2", "eps", "weight_decay", "clip_norm"):
        parser.add_argument(f"--{name}", required=True, type=float)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    # What libraries print must not end up among the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    model = transformers.AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32)
    model.to(device).train()
    matrices = [weight for weight in model.parameters() if weight.ndim > 1]
    others = [weight for weight in model.parameters() if weight.ndim == 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices}, {"params": others, "weight_decay": 0.0}],
        lr=options.lr,
        betas=(options.b1, options.b2),
        eps=options.eps,
        weight_decay=options.weight_decay,
        fused=True,
    )
    bfloat16 = options.dtype == "bfloat16"

    def update(micro_batches: list[dict[str, Any]]) -> float:
        total = 0.0
        targets = sum(t != -100 for each in micro_batches for row in each["targets"] for t in row)
        for micro_batch in micro_batches:
            given = {name: x.to(device) for name, x in inputs(micro_batch).items()}
            with torch.autocast(device, torch.bfloat16, enabled=bfloat16):
                made = model(**given, num_items_in_batch=targets, use_cache=False)
            made.loss.backward()
            total += made.loss.item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), options.clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if device == "cuda":
            torch.cuda.synchronize()
        return total

    libraries = ("transformers", "torch")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in libraries)
    print(json.dumps(versions), file=answers, flush=True)
    for line in sys.stdin:
        work = json.loads(line)
        started, system = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_stime
        loss = update(work)
        seconds = time.perf_counter() - started
        system = resource.getrusage(resource.RUSAGE_SELF).ru_stime - system
        print(json.dumps([seconds, system, loss]), file=answers, flush=True)


if __name__ == "__main__":
    main()
