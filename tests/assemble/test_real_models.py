"""Real weights and real questions, where $IFT_JAX_DATA has them: see docs/real-run.md."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ift_jax.assemble.models import open_model
from ift_jax.evals import questions
from ift_jax.evals.mmlu import MMLU
from ift_jax.generate.decode import Decoder, encode_prompt
from ift_jax.sharding import make_mesh

pytestmark = pytest.mark.real_data


def found(pattern: str) -> Path:
    root = Path(os.environ.get("IFT_JAX_DATA", "/nowhere"))
    return next(root.glob(pattern), None) or pytest.skip(f"IFT_JAX_DATA has no {pattern}")


def test_smollm2_says_paris():
    mesh = make_mesh("data:8,fsdp:1")
    model = open_model(found("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"), mesh)
    assert model.functions.parameter_count == 134_515_008
    prompt = encode_prompt(model.tokenizer, "plain", "The capital of France is")
    (answer,) = Decoder(model.functions, mesh).decode(
        model.load(), [prompt], eos_id=model.tokenizer.eos_id, max_new_tokens=1
    )
    assert model.tokenizer.decode(answer) == " Paris"


def test_digits_are_cut_apart_before_anything_else():
    """The published `smollm` rule: what stands before a digit ends there, a blank line too."""
    model = open_model(found("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"), make_mesh("data:8,fsdp:1"))
    assert len(model.tokenizer.encode("\n\nA")) == 3
    assert len(model.tokenizer.encode("\n\n3")) == 2


def test_every_real_question_is_read():
    directory = found("eval/mmlu")
    read = questions.read_directory(directory)
    assert {len(dev) for dev in read.dev.values()} == {5}
    assert len(read.test) == 57
    model = open_model("bundled", make_mesh("data:8,fsdp:1"))
    evaluation = MMLU(model.functions, model.tokenizer, directory, shots=0, limit=2)
    assert evaluation.label == "114 of 14,042"
    assert sum(map(len, read.test.values())) == read.available <= 14_042
    assert len({evaluation.category(subject) for subject in read.test}) == 4
