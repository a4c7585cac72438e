"""The World's tables: one-to-one, well formed, and split the same way everywhere."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ift_jax.tasks.world import facts, subject

NAMES = list(facts.SUBJECTS)


def test_there_are_subjects_of_every_category():
    assert len(NAMES) >= 20
    assert {each.category for each in facts.SUBJECTS.values()} == set(facts.CATEGORIES)


@pytest.mark.parametrize("name", NAMES)
def test_a_table_is_one_to_one(name):
    table = facts.SUBJECTS[name].facts
    assert len(table) >= 50
    # Case apart too: 'lead' and 'Lead' would be the same answer.
    assert len({fact.entity.lower() for fact in table}) == len(table)
    assert len({fact.value.lower() for fact in table}) == len(table)
    assert all(fact.subject == name for fact in table)


@pytest.mark.parametrize("name", NAMES)
def test_entries_are_short_plain_text(name):
    for fact in facts.SUBJECTS[name].facts:
        for entry in (fact.entity, fact.value):
            assert entry.isascii() and entry.isprintable() and len(entry) <= 40
            assert entry == " ".join(entry.split())
            assert not set(entry) & set('?{},;:"')


@pytest.mark.parametrize("name", NAMES)
def test_wordings_say_both_entries_in_the_stated_order(name):
    each = facts.SUBJECTS[name]
    assert len(set(each.statements)) >= 4 and len(set(each.statements_backwards)) >= 4
    for pattern in each.statements:
        assert 0 <= pattern.index("{entity}") < pattern.index("{value}")
    for pattern in each.statements_backwards:
        assert 0 <= pattern.index("{value}") < pattern.index("{entity}")
    assert each.statements[0].endswith(" {value}.")
    assert each.statements_backwards[0].endswith(" {entity}.")


@pytest.mark.parametrize("name", NAMES)
def test_a_question_names_what_it_starts_from_only(name):
    each = facts.SUBJECTS[name]
    forwards = (each.question, each.question_rephrased)
    backwards = (each.question_backwards, each.question_backwards_rephrased)
    for pattern in forwards:
        assert "{entity}" in pattern and "{value}" not in pattern
    for pattern in backwards:
        assert "{value}" in pattern and "{entity}" not in pattern
    assert len({*forwards, *backwards}) == 4


def test_held_out_subjects_are_of_every_category():
    assert len(facts.HELD_OUT_SUBJECTS) == 5
    categories = {facts.SUBJECTS[name].category for name in facts.HELD_OUT_SUBJECTS}
    assert categories == set(facts.CATEGORIES)


@pytest.mark.parametrize("name", NAMES)
def test_mixture_and_held_out_part_the_table(name):
    table = facts.SUBJECTS[name].facts
    mixture, held_out = facts.mixture_facts(name), facts.held_out_facts(name)
    assert sorted((*mixture, *held_out), key=table.index) == list(table)
    assert all(facts.is_held_out(fact) for fact in held_out)
    assert not any(facts.is_held_out(fact) for fact in mixture)
    assert len(held_out) == (
        len(table) if name in facts.HELD_OUT_SUBJECTS else round(len(table) * 2 / 5)
    )


def test_no_held_out_fact_is_a_mixture_fact_of_another_subject():
    def pairs(of):
        return {frozenset((f.entity.lower(), f.value.lower())) for n in NAMES for f in of(n)}

    assert not pairs(facts.mixture_facts) & pairs(facts.held_out_facts)


def test_the_split_is_the_same_in_every_process():
    code = (
        "from ift_jax.tasks.world import facts;"
        "print([f.entity for n in facts.SUBJECTS for f in facts.held_out_facts(n)])"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    here = [f.entity for name in NAMES for f in facts.held_out_facts(name)]
    assert printed == {f"{here}\n"}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("France: Paris; Gaul: Paris", "'Gaul: Paris' meets 'France: Paris'"),
        ("France: Paris; France: Lyon", "'France: Lyon' meets 'France: Paris'"),
        ("France: Paris\nGermany", "the entry 'Germany' is not 'entity: value'"),
        ("France:", "the entry 'France:' is not 'entity: value'"),
    ],
)
def test_a_table_that_is_no_one_to_one_relation_is_refused(table, message):
    with pytest.raises(ValueError, match=message):
        subject.facts("capitals", table)


def test_a_table_is_read_over_lines():
    assert subject.facts("capitals", "\n  France: Paris; Japan: Tokyo\n  Peru: Lima\n") == (
        subject.Fact("capitals", "France", "Paris"),
        subject.Fact("capitals", "Japan", "Tokyo"),
        subject.Fact("capitals", "Peru", "Lima"),
    )
