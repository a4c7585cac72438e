from __future__ import annotations

import pytest

from ift_jax import lookup


def test_a_family_is_found_by_its_module_name():
    assert lookup.find("models", "llama").__name__ == "ift_jax.models.llama"


def test_an_unknown_name_lists_what_exists_and_suggests():
    with pytest.raises(ValueError, match=r"no module 'lama'.*Did you mean 'llama'\? There are:"):
        lookup.find("models", "lama")


def test_modules_without_the_asked_attribute_are_not_that_kind():
    assert "task" not in lookup.names("tasks", having="rows")
    with pytest.raises(ValueError, match="no module 'task'"):
        lookup.find("tasks", "task", having="rows")
