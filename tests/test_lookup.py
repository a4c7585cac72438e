from __future__ import annotations

import pytest

from ift_jax import lookup, prompts


def test_a_family_is_found_by_its_module_name():
    assert lookup.find("models", "llama").__name__ == "ift_jax.models.llama"


def test_an_unknown_name_lists_what_exists_and_suggests():
    with pytest.raises(ValueError, match=r"no module 'lama'.*Did you mean 'llama'\? There are:"):
        lookup.find("models", "lama")


def test_modules_without_the_asked_attribute_are_not_that_kind():
    assert "task" not in lookup.names("tasks", having="rows")
    with pytest.raises(ValueError, match="no module 'task'"):
        lookup.find("tasks", "task", having="rows")


def test_unknown_prompt_format_suggests():
    with pytest.raises(ValueError, match="Did you mean 'alpaca'"):
        prompts.find("alpacca")


def test_alpaca_prompts_are_the_published_ones():
    """Character for character as in stanford_alpaca's train.py."""
    assert prompts.find("alpaca").prompt("Add.", "1 2") == (
        "Below is an instruction that describes a task, paired with an input that provides further "
        "context. Write a response that appropriately completes the request.\n\n"
        "### Instruction:\nAdd.\n\n### Input:\n1 2\n\n### Response:"
    )
    assert prompts.find("alpaca").prompt("Add.") == (
        "Below is an instruction that describes a task. Write a response that appropriately "
        "completes the request.\n\n### Instruction:\nAdd.\n\n### Response:"
    )
