"""The carried figures against each other: averages follow from subjects and their sizes."""

from __future__ import annotations

import pytest

from ift_jax.evals import published
from ift_jax.evals.mmlu import CATEGORIES, SUBJECTS, TOTAL


def micro(model: int, names) -> float:
    """Mean over all test questions of some subjects."""
    sizes = {name: SUBJECTS[name][0] for name in names}
    right = sum(n * published.TABLE_16[name][model] for name, n in sizes.items())
    return right / sum(sizes.values())


def in_category(name: str) -> list[str]:
    return [subject for subject, (*_, each) in SUBJECTS.items() if CATEGORIES[each] == name]


def test_table_16_has_every_subject_and_model():
    assert list(published.TABLE_16) == sorted(SUBJECTS)
    assert set(published.TABLE_16_CATEGORIES) == set(CATEGORIES.values())
    columns = len(published.MODELS_16)
    tables = (*published.TABLE_16.values(), *published.TABLE_16_CATEGORIES.values())
    assert all(len(row) == columns == len(published.TABLE_16_ALL) for row in tables)
    assert TOTAL == 14_042


@pytest.mark.parametrize("model", range(8), ids=published.MODELS_16)
def test_averages_of_table_16_follow_from_its_subjects(model):
    assert micro(model, SUBJECTS) == pytest.approx(published.TABLE_16_ALL[model], abs=0.06)
    for name, printed in published.TABLE_16_CATEGORIES.items():
        assert micro(model, in_category(name)) == pytest.approx(printed[model], abs=0.06)


def test_anatomy_counts_under_other():
    llama_65b = published.MODELS_16.index("LLaMA 65B")
    printed = published.TABLE_16_CATEGORIES["STEM"][llama_65b]
    assert abs(micro(llama_65b, [*in_category("STEM"), "anatomy"]) - printed) > 0.2


def test_the_tables_agree_where_the_notes_say_that_they_do():
    figures = {each.model: each for each in published.TABLE_10}
    printed = dict(zip(published.MODELS_16, published.TABLE_16_ALL, strict=True))
    for model in ("LLaMA 65B", "LLaMA-I 65B"):
        assert figures[model].percent == printed[model]
        assert (figures[model].split, figures[model].average) == ("test", "micro")
    assert (figures["Chinchilla 70B"].percent, printed["Chinchilla 70B"]) == (67.5, 67.6)
    chung = [each for each in published.TABLE_10 if each.split == "validation"]
    assert {each.model: each.percent for each in chung} == {
        "PaLM 62B": 55.1, "Flan-T5-XXL 11B": 55.1, "Flan-PaLM 62B": 59.6,
        "Flan-PaLM-cont 62B": 66.1,
    }  # fmt: skip
    assert {each.average for each in chung} == {"macro"}
