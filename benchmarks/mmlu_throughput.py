"""Measures questions a second on MMLU: this package, others on the same weights, and the limit.

    python scripts/export_checkpoint.py --checkpoint=DIR --out=MODEL
    python benchmarks/mmlu_throughput.py --model=MODEL --data=MMLU --reference_python=PYTHON

PYTHON is an interpreter with what huggingface_mmlu.py needs; there the others run, each in a
process of its own. All have the model in memory, and what they compile compiled, before the clock
is read; then they take turns, subject by subject, with all cores. Tokenizing is part of a turn.

The limit is how long the operations that can't be left out would take (the layers over what a
subject's questions share once and over the rest of each once, and the projection of the positions
before the answers onto the vocabulary) at the rate of the fastest matrix product that JAX was seen
to do between the turns.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from absl import flags

from ift_jax.assemble import command
from ift_jax.assemble.models import Model, open_model
from ift_jax.evals.layout import Request, common_prefix
from ift_jax.evals.likelihood import Scorer, request
from ift_jax.evals.local import Local
from ift_jax.evals.mmlu import read_questions
from ift_jax.evals.multiple_choice import MultipleChoice
from ift_jax.layers.functional import Functions
from ift_jax.sharding import make_mesh

SPREAD = [
    "human_aging",
    "high_school_microeconomics",
    "high_school_government_and_politics",
    "college_medicine",
    "moral_scenarios",
    "professional_law",
]
"""Of MMLU's subjects in the order of their five-shot prompts' lengths, the middle of each sixth."""

_MODEL = flags.DEFINE_string("model", None, "a folder in Hugging Face's layout", required=True)
_DATA = flags.DEFINE_string("data", None, "folder with dev/ and test/", required=True)
_PYTHON = flags.DEFINE_string("reference_python", None, "the others' interpreter", required=True)
_SUBJECTS = flags.DEFINE_list("subjects", SPREAD, "which subjects")
_LIMIT = flags.DEFINE_integer("limit", 80, "questions a subject", lower_bound=1)
_PROTOCOL = flags.DEFINE_string("protocol", "original", "one by letter")
_DTYPE = flags.DEFINE_enum(
    "dtype", "float32", ["float32", "bfloat16"], "of weights and activations"
)
_DEVICE = flags.DEFINE_string("device", "cpu", "where the others compute, as PyTorch has it")
_BATCH = flags.DEFINE_integer("batch_size", 1, "of the harness", lower_bound=1)
_JSON = flags.DEFINE_string("json", None, "file for the figures of each turn")

OTHERS = ("lm-evaluation-harness", "last logit")


def main() -> None:
    switches = {"dtype": _DTYPE.value, "param_dtype": _DTYPE.value}
    mesh = make_mesh("fsdp:-1")
    model = open_model(_MODEL.value, mesh, switches=switches)
    subjects = ask(model)
    ours, others = Ours(model, mesh), {name: Other(name) for name in OTHERS}
    for asked in subjects.values():
        ours.score(asked)
    for other in others.values():
        other.score(next(iter(subjects.values()))[:2])
    usage = ours.scorer.usage
    before = dataclasses.replace(usage)
    products = Products(model.functions.config)
    turns = []
    for place, (subject, asked) in enumerate(subjects.items()):
        systems = [("ift-jax", ours), *others.items()]
        systems = systems[place % 3 :] + systems[: place % 3]
        found = {name: system.score(asked) for name, system in systems}
        turn = {
            "subject": subject,
            "questions": len(asked),
            "seconds": {name: seconds for name, (seconds, _) in found.items()},
            "difference": difference(found["ift-jax"][1], found[OTHERS[0]][1]),
            "flops": least(model.functions, [ours.request(each) for each in asked]),
            "flops_a_second": products.measure(),
        }
        turns.append(turn)
        times = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in turn["seconds"].items())
        print(f"{subject}: {times}", flush=True)
    tokens = {
        field.name: getattr(usage, field.name) - getattr(before, field.name)
        for field in dataclasses.fields(usage)
    }
    print("\n" + table(turns, tokens, [other.versions for other in others.values()]))
    if _JSON.value:
        Path(_JSON.value).write_text(json.dumps({"turns": turns, "tokens": tokens}, indent=2))


def ask(model: Model) -> dict[str, list[dict[str, Any]]]:
    """What is asked: each subject's prompts and continuations."""
    found = read_questions(_DATA.value, _LIMIT.value)
    if unknown := [subject for subject in _SUBJECTS.value if subject not in found.test]:
        raise ValueError(f"--subjects: {_DATA.value} has no {unknown[0]!r}")
    asked = dataclasses.replace(found, test={each: found.test[each] for each in _SUBJECTS.value})
    of = Local(model.functions, model.tokenizer)
    prompts = MultipleChoice(of, asked, protocol=_PROTOCOL.value).prompts()
    subjects: dict[str, list[dict[str, Any]]] = {each: [] for each in _SUBJECTS.value}
    for prompt in prompts:
        subjects[prompt["subject"]].append(prompt)
    return subjects


class Ours:
    """This package's scorer.

    Attributes:
        scorer: which counts the tokens that it computes.
    """

    def __init__(self, model: Model, mesh: jax.sharding.Mesh):
        self._tokenizer, self._params = model.tokenizer, model.load()
        self.scorer = Scorer(model.functions, mesh)

    def request(self, asked: Mapping[str, Any]) -> Request:
        """The tokens of a question."""
        return request(self._tokenizer, asked["prompt"], asked["continuations"])

    def score(self, asked: Sequence[Mapping[str, Any]]) -> tuple[float, list[list[float]]]:
        """Seconds, and each question's log-likelihoods."""
        started = time.perf_counter()
        scores = self.scorer.score(self._params, [self.request(each) for each in asked])
        seconds = time.perf_counter() - started
        return seconds, [list(score.loglikelihoods) for score in scores]


class Other:
    """A system of huggingface_mmlu.py, which waits for work in a process of its own.

    Attributes:
        versions: of what it runs on.
    """

    def __init__(self, name: str):
        self._name = name
        options = {
            "system": name,
            "model": _MODEL.value,
            "dtype": _DTYPE.value,
            "device": _DEVICE.value,
            "threads": os.cpu_count(),
            "batch_size": _BATCH.value,
        }
        script = Path(__file__).with_name("huggingface_mmlu.py")
        self._process = subprocess.Popen(
            [_PYTHON.value, script, *(f"--{key}={value}" for key, value in options.items())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )
        self.versions = self._answer()

    def score(self, asked: Sequence[Mapping[str, Any]]) -> tuple[float, list[list[float]]]:
        """See `Ours.score`."""
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        line = self._process.stdout.readline()
        if not line:
            raise ValueError(f"{self._name} ended with exit status {self._process.wait()}")
        return json.loads(line)


class Products:
    """Matrix products of the model's own shapes, and square ones."""

    def __init__(self, config: Any):
        D, F, rows = config.D, config.F, 4096
        self._shapes = [(rows, D, F), (rows, F, D), (2048, 2048, 2048), (rows, rows, rows)]
        self._product = jax.jit(jnp.matmul)
        self.measure()

    def measure(self) -> float:
        """Operations a second of the fastest one."""
        fastest = 0.0
        for m, k, n in self._shapes:
            left, right = (jnp.ones(shape, _DTYPE.value) for shape in ((m, k), (k, n)))
            jax.block_until_ready((left, right))
            for _ in range(3):
                started = time.perf_counter()
                self._product(left, right).block_until_ready()
                fastest = max(fastest, 2 * m * k * n / (time.perf_counter() - started))
        return fastest


def least(functions: Functions, asked: Sequence[Request]) -> tuple[int, int]:
    """Operations that a subject's questions can't be scored without.

    Returns:
        With what all of them begin with counted once; with each beginning that some share, once.
    """
    contexts = sorted(each.sequences[0][:-1] for each in asked)
    alone = [functions.flops(len(context), 1) for context in contexts]
    # In this order, what a context shares with any earlier one it shares with the last.
    shared = [common_prefix(pair) for pair in itertools.pairwise(contexts)]
    prefix = functions.flops(len(common_prefix(contexts)), 0)
    by_all = sum(alone) - (len(contexts) - 1) * prefix
    return by_all, sum(alone) - sum(functions.flops(len(each), 0) for each in shared)


def difference(ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> float:
    """The largest between log-likelihoods."""
    pairs = zip(ours, theirs, strict=True)
    return max(abs(a - b) for row in pairs for a, b in zip(*row, strict=True))


def table(
    turns: Sequence[Mapping[str, Any]], tokens: Mapping[str, int], versions: Sequence[str]
) -> str:
    """Markdown."""
    questions = sum(turn["questions"] for turn in turns)
    rate = max(turn["flops_a_second"] for turn in turns)
    seconds = {name: sum(turn["seconds"][name] for turn in turns) for name in ("ift-jax", *OTHERS)}
    limit, stricter = (sum(each) / rate for each in zip(*(t["flops"] for t in turns), strict=True))
    seconds["limit"] = limit
    lines = [
        f"{questions} questions of {len(turns)} subjects, protocol {_PROTOCOL.value},"
        f" {_DTYPE.value}, {os.cpu_count()} threads on {jax.devices()[0].device_kind}; others:"
        f" {versions[0]}, batch size {_BATCH.value}",
        "",
        "| | questions/s | to the harness | of the limit | of the stricter limit |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {name} | {questions / each:.2f} | {seconds[OTHERS[0]] / each:.2f}×"
            f" | {limit / each:.1%} | {stricter / each:.1%} |"
            for name, each in seconds.items()
        ),
        "",
        "The limit: the operations of each subject's common prefix once, of each question's rest"
        " and of the projection of its answer's place, at the rate of the fastest matrix product;"
        " the stricter one counts once whatever any two questions share.",
        "",
        f"The fastest matrix product: {rate / 1e9:,.0f} Gflop/s. Of {tokens['computed']:,} tokens"
        f" that ift-jax computed, {tokens['useful'] / tokens['computed']:.1%} were useful. The"
        " largest difference of its log-likelihoods to the harness's:"
        f" {max(turn['difference'] for turn in turns):.1e}",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    command.run(main)
