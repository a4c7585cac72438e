"""MMLU (Hendrycks et al. 2020, 2009.03300): its subjects, and its questions in its own layout."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ift_jax.evals.languages import ENGLISH, Language
from ift_jax.evals.questions import Questions, read_directory

SUBJECTS = {
    "abstract_algebra": (100, 11, "math"),
    "anatomy": (135, 14, "health"),
    "astronomy": (152, 16, "physics"),
    "business_ethics": (100, 11, "business"),
    "clinical_knowledge": (265, 29, "health"),
    "college_biology": (144, 16, "biology"),
    "college_chemistry": (100, 8, "chemistry"),
    "college_computer_science": (100, 11, "computer science"),
    "college_mathematics": (100, 11, "math"),
    "college_medicine": (173, 22, "health"),
    "college_physics": (102, 11, "physics"),
    "computer_security": (100, 11, "computer science"),
    "conceptual_physics": (235, 26, "physics"),
    "econometrics": (114, 12, "economics"),
    "electrical_engineering": (145, 16, "engineering"),
    "elementary_mathematics": (378, 41, "math"),
    "formal_logic": (126, 14, "philosophy"),
    "global_facts": (100, 10, "other"),
    "high_school_biology": (310, 32, "biology"),
    "high_school_chemistry": (203, 22, "chemistry"),
    "high_school_computer_science": (100, 9, "computer science"),
    "high_school_european_history": (165, 18, "history"),
    "high_school_geography": (198, 22, "geography"),
    "high_school_government_and_politics": (193, 21, "politics"),
    "high_school_macroeconomics": (390, 43, "economics"),
    "high_school_mathematics": (270, 29, "math"),
    "high_school_microeconomics": (238, 26, "economics"),
    "high_school_physics": (151, 17, "physics"),
    "high_school_psychology": (545, 60, "psychology"),
    "high_school_statistics": (216, 23, "math"),
    "high_school_us_history": (204, 22, "history"),
    "high_school_world_history": (237, 26, "history"),
    "human_aging": (223, 23, "health"),
    "human_sexuality": (131, 12, "culture"),
    "international_law": (121, 13, "law"),
    "jurisprudence": (108, 11, "law"),
    "logical_fallacies": (163, 18, "philosophy"),
    "machine_learning": (112, 11, "computer science"),
    "management": (103, 11, "business"),
    "marketing": (234, 25, "business"),
    "medical_genetics": (100, 11, "health"),
    "miscellaneous": (783, 86, "other"),
    "moral_disputes": (346, 38, "philosophy"),
    "moral_scenarios": (895, 100, "philosophy"),
    "nutrition": (306, 33, "health"),
    "philosophy": (311, 34, "philosophy"),
    "prehistory": (324, 35, "history"),
    "professional_accounting": (282, 31, "other"),
    "professional_law": (1534, 170, "law"),
    "professional_medicine": (272, 31, "health"),
    "professional_psychology": (612, 69, "psychology"),
    "public_relations": (110, 12, "politics"),
    "security_studies": (245, 27, "politics"),
    "sociology": (201, 22, "culture"),
    "us_foreign_policy": (100, 11, "politics"),
    "virology": (166, 18, "health"),
    "world_religions": (171, 19, "philosophy"),
}
"""MMLU's 57 subjects: published numbers of test and of validation questions, and subcategory."""

CATEGORIES = {
    "math": "STEM",
    "health": "other",
    "physics": "STEM",
    "business": "other",
    "biology": "STEM",
    "chemistry": "STEM",
    "computer science": "STEM",
    "economics": "social sciences",
    "engineering": "STEM",
    "philosophy": "humanities",
    "other": "other",
    "history": "humanities",
    "geography": "social sciences",
    "politics": "social sciences",
    "psychology": "social sciences",
    "culture": "social sciences",
    "law": "humanities",
}
"""Category of each subcategory, from hendrycks/test categories.py."""

TOTAL = sum(n for n, _, _ in SUBJECTS.values())
"""Test questions in all: 14,042."""


def read_questions(
    directory: Path | str,
    limit: int | None = None,
    language: Language = ENGLISH,
    split: str = "test",
) -> Questions:
    """Reads MMLU, or another set in its layout, whose subjects have other names.

    Args and errors: see `questions.read_directory`.
    """
    found = read_directory(directory, limit, language, split)
    known = {name: CATEGORIES[SUBJECTS[name][-1]] for name in found.test if name in SUBJECTS}
    whole = {name: n_val if split == "val" else n for name, (n, n_val, _) in SUBJECTS.items()}
    return dataclasses.replace(
        found,
        sizes=whole if len(known) == len(found.test) else found.sizes,
        categories=known | dict(found.categories),
    )
