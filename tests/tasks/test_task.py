"""Templates and examples: what is text, what is trained, what a bad template says."""

from __future__ import annotations

import pytest

from ift_jax.prompts import Special
from ift_jax.tasks.task import Example, Part, Template


def test_pair_puts_eos_between_and_trains_targets_and_last_eos():
    assert Example.pair("ask", "answer").parts == (
        Part(Special.BOS, False),
        Part("ask", False),
        Part(Special.EOS, False),
        Part("answer", True),
        Part(Special.EOS, True),
    )


def test_pair_without_separator():
    assert Example.pair("ask", "answer", separator=None).parts == (
        Part(Special.BOS, False),
        Part("ask", False),
        Part("answer", True),
        Part(Special.EOS, True),
    )


def test_plain_trains_all_text():
    assert Example.plain("text").parts == (
        Part(Special.BOS, False),
        Part("text", True),
        Part(Special.EOS, True),
    )


def test_render_leaves_braces_in_fields_alone():
    row = {"code": "{'a': 1}", "answer": "{0}"}
    assert Template("Run {code}.", "{answer}").render(row) == ("Run {'a': 1}.", "{0}")


@pytest.mark.parametrize("template", [Template("{ask}", "{b}"), Template("{a}", "{ask}")])
def test_missing_field_names_it_and_the_row(template):
    with pytest.raises(KeyError, match=r"'ask'.*\['a', 'b'\]"):
        template.render({"b": "1", "a": "2"})
