"""MMLU's published facts, and how much of it a folder has."""

from __future__ import annotations

import collections

import pytest

from ift_jax.evals import mmlu
from ift_jax.evals.mmlu import read_questions


def test_published_facts():
    sizes = collections.Counter()
    for n, _, subcategory in mmlu.SUBJECTS.values():
        sizes[mmlu.CATEGORIES[subcategory]] += n
    assert len(mmlu.SUBJECTS) == 57
    assert sum(n_val for _, n_val, _ in mmlu.SUBJECTS.values()) == 1531, "as cais/mmlu has it"
    assert mmlu.TOTAL == 14_042
    assert sizes == {
        "STEM": 3018, "humanities": 4705, "social sciences": 3077, "other": 3242,
    }  # fmt: skip


def write(directory, splits=("dev", "test"), **sizes):
    """Subjects of so many questions each."""
    for split in splits:
        (directory / split).mkdir(exist_ok=True)
        for subject, n in sizes.items():
            rows = "".join(f"Question {i}?,up,down,left,None,A\n" for i in range(n))
            (directory / split / f"{subject}_{split}.csv").write_text(rows)


def test_a_partial_set_is_labelled_and_may_be_refused(tmp_path):
    write(tmp_path, anatomy=6, formal_logic=4)
    assert read_questions(tmp_path).label == "10 of 14,042"
    assert read_questions(tmp_path, limit=2).label == "4 of 14,042"
    assert not read_questions(tmp_path).complete
    with pytest.raises(ValueError, match=r"10 of 14,042.*abstract_algebra has 0 of 100 \(57 such"):
        read_questions(tmp_path).check_complete()


def test_the_whole_set_is_complete_and_a_missing_subject_is_not(tmp_path):
    write(tmp_path, **{name: n for name, (n, _, _) in mmlu.SUBJECTS.items()})
    whole = read_questions(tmp_path)
    assert whole.complete and whole.label == "14,042 of 14,042"
    whole.check_complete()
    (tmp_path / "test" / "virology_test.csv").unlink()
    with pytest.raises(ValueError, match=r"13,876 of 14,042.*virology has 0 of 166 \(1 such"):
        read_questions(tmp_path).check_complete()


def test_the_validation_split_has_its_own_sizes(tmp_path):
    write(tmp_path, ("dev", "val"), anatomy=6, formal_logic=4)
    asked = read_questions(tmp_path, split="val")
    assert (asked.label, asked.complete, asked.split) == ("10 of 1,531", False, "val")
    write(tmp_path, ("dev", "val"), **{name: n for name, (_, n, _) in mmlu.SUBJECTS.items()})
    assert read_questions(tmp_path, split="val").complete


def test_a_set_of_other_subjects_is_its_own(tmp_path):
    write(tmp_path, rivers=6, formal_logic=4)
    asked = read_questions(tmp_path)
    assert asked.label == "10 of 10" and asked.complete
    assert asked.categories == {"formal_logic": "humanities"}
    assert read_questions(tmp_path, limit=5).label == "9 of 10"
